"""What documents say: words of several languages, sentences, numbers, prices, dates, codes, addresses."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.vocabulary import to_label

WORD_LISTS = {
    "en": ("american-english", "british-english"),
    "fr": ("french",),
    "de": ("ngerman",),
    "es": ("spanish",),
    "it": ("italian",),
    "pt": ("portuguese",),
    "nl": ("dutch",),
    "sv": ("swedish",),
    "da": ("danish",),
}
LANGUAGE_SHARES = {
    "en": 0.34,
    "fr": 0.14,
    "de": 0.14,
    "es": 0.11,
    "it": 0.09,
    "pt": 0.08,
    "nl": 0.04,
    "sv": 0.03,
    "da": 0.03,
}

COMMON_WORDS = {
    "en": "the of and to in a is that for it was on are as with his they at be this from I have or by one had not "
    "but what all were when we there can an your which their if will each about up out them then she many some "
    "so would other into has more two him see could no than first been call who now people my made over did down",
    "fr": "de la le et les des en un une du que est pour qui dans a par plus pas au sur se ne ce il sont avec son "
    "aux d'un cette d'une ont ses mais comme on tout nous sa fait été aussi leur bien peut ces y à où même",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus "
    "er hat daß sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor",
    "es": "de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha me si "
    "sin sobre este ya entre cuando todo esta ser son dos también fue había era muy años hasta desde está mi",
    "it": "di e il la che in un a per è una sono con non del da si come le dei nel alla più al gli anche ha della "
    "ma delle i se lo questo o su degli era suo essere dal dopo nella tra ai molto stato può così dell'arte",
    "pt": "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à "
    "seu sua ou ser quando muito há nos já está eu também só pelo pela até isso ela entre era depois sem mesmo",
    "nl": "de van het een en in is dat op te zijn met voor niet aan er om ook als dan maar bij nog uit door over ze",
    "sv": "och i att det som en på är av för med till den har de inte om ett han men var jag sig från vi så kan när",
    "da": "og i at det er en til af på for med den der de ikke som et har var jeg han men vi kan fra om så blev når",
}

RECEIPT_WORDS = tuple(
    "total subtotal cash change tax invoice gst vat incl excl rounding amount qty price item discount payment visa "
    "card debit credit balance due date time cashier receipt no tel fax thank you please come again table "
    "server order tip sale net gross rate summary code description unit pcs kg ml member points bill customer "
    "store branch reg terminal".split()
)

RARE_LETTERS = {
    "fr": "œuvre œuvres cœur cœurs sœur sœurs œil bœuf bœufs vœu vœux nœud nœuds mœurs œuf œufs manœuvre chœur fœtus "
    "rancœur écœurant œillet désœuvré cænogenèse curriculum-vitæ ex-æquo Haÿ Moÿ Nicolaÿ Louÿs Aÿ Faÿ",
}
"""Words with letters that Debian's lists have none of."""

MARKED_SHARE = 0.2
"""Of the words are drawn by a letter with a mark, each as often as the others: ÿ, œ and ë are rare in word lists, and
read as their likes (y, ce, é) by who has seen few."""

CURRENCIES = ("$", "€", "£", "RM", "USD", "EUR", "CHF", "¥", "kr", "R$", "¢")


class Tokens:
    """Draws tokens; every one can be labelled with the vocabulary."""

    def __init__(self, words: dict[str, list[str]], rng: np.random.Generator) -> None:
        self.words = words
        self.rng = rng
        self.languages = list(words)
        shares = np.array([LANGUAGE_SHARES[language] for language in self.languages])
        self._shares = shares / shares.sum()
        self._marked = {language: _by_marked_letter(listed) for language, listed in words.items()}
        self._letters = {language: sorted(marked) for language, marked in self._marked.items()}

    def pick(self, choices: Sequence[str]) -> str:
        return choices[int(self.rng.integers(len(choices)))]

    def digits(self, least: int, most: int) -> str:
        return "".join(self.pick("0123456789") for _ in range(int(self.rng.integers(least, most + 1))))

    def language(self) -> str:
        return self.languages[int(self.rng.choice(len(self.languages), p=self._shares))]

    def word(self, language: str) -> str:
        """Return a word in lower case (nouns as their language has them), a third of them common ones."""
        marked = self._marked[language]
        if marked and self.rng.random() < MARKED_SHARE:
            return self.pick(marked[self.pick(self._letters[language])])
        if self.rng.random() < 0.35:
            return self.pick(COMMON_WORDS[language].split())
        return self.pick(self.words[language])

    def sentence(self, language: str, count: int) -> list[str]:
        """Return `count` words with capitals and punctuation as in running text."""
        tokens, begins = [], True
        for _ in range(count):
            word = self.special() if self.rng.random() < 0.07 else self.word(language)
            if begins or self.rng.random() < 0.06:
                word = word[:1].upper() + word[1:]
            begins = False
            chance = self.rng.random()
            if chance < 0.07:
                word += ","
            elif chance < 0.14:
                word, begins = word + self.pick(".....?!.:;"), True
            elif chance < 0.17:
                word = self.enclosed(word)
            elif chance < 0.18:
                word = f"{word}-{self.word(language)}"
            tokens.append(word)
        return tokens

    def enclosed(self, word: str) -> str:
        pair = self.pick(("()", '""', "“”", "„“", "«»", "''", "\u2018\u2019", "[]", "()", "“”"))
        return pair[0] + word + pair[1]

    def number(self) -> str:
        value = self.digits(1, 6)
        kind = int(self.rng.integers(6))
        grouped = f"{int(value):,}"
        forms = (
            value,
            grouped,
            grouped.replace(",", "."),
            f"{value}%",
            f"{value[:3]}.{self.digits(1, 3)}",
            f"#{value}",
        )
        return forms[kind]

    def price(self) -> str:
        whole = str(int(self.digits(1, 4)))
        amount = whole + self.pick((".", ".", ",")) + self.digits(2, 2)
        kind = self.rng.random()
        if kind < 0.55:
            return amount
        if kind < 0.75:
            return self.pick(CURRENCIES) + amount
        return self.pick(
            (
                f"{amount}€",
                f"-{amount}",
                f"{amount}-",
                f"({amount})",
                f"{amount}*",
                f"@{amount}",
            )
        )

    def date(self) -> str:
        day, month = f"{self.rng.integers(1, 32):02}", f"{self.rng.integers(1, 13):02}"
        year = str(self.rng.integers(1950, 2031))
        form = self.pick(("d/m/y", "d-m-y", "d.m.y", "y-m-d", "d/m/s", "m/d/y", "d.m.s"))
        return form.replace("d", day).replace("m", month).replace("y", year).replace("s", year[2:])

    def time(self) -> str:
        hour, minute, second = (
            self.rng.integers(0, 24),
            self.rng.integers(0, 60),
            self.rng.integers(0, 60),
        )
        return self.pick(
            (
                f"{hour}:{minute:02}",
                f"{hour:02}:{minute:02}:{second:02}",
                f"{hour % 12 + 1}:{minute:02}PM",
            )
        )

    def code(self) -> str:
        letters = "".join(self.pick("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(int(self.rng.integers(1, 5))))
        return self.pick(
            (
                f"{letters}{self.digits(2, 8)}",
                f"{letters}-{self.digits(2, 6)}",
                self.digits(6, 14),
                letters,
                f"{letters}{self.digits(1, 3)}/{self.digits(2, 4)}",
                f"{self.digits(1, 4)}-{letters}",
            )
        )

    def phone(self) -> str:
        return self.pick(
            (
                f"+{self.digits(2, 2)}-{self.digits(2, 3)}-{self.digits(6, 8)}",
                f"0{self.digits(1, 2)}-{self.digits(7, 8)}",
                f"({self.digits(3, 3)}){self.digits(3, 3)}-{self.digits(4, 4)}",
            )
        )

    def address(self) -> str:
        name, host = self.word("en").lower(), self.word(self.language()).lower()
        ending = self.pick((".com", ".org", ".de", ".fr", ".co.uk", ".com.my", ".net"))
        return self.pick(
            (
                f"{name}@{host}{ending}",
                f"www.{host}{ending}",
                f"https://{host}{ending}/{name}",
                f"{name}.{host}@{name}{ending}",
            )
        )

    def special(self) -> str:
        """Return something that is not a word."""
        makers = (
            self.number,
            self.price,
            self.date,
            self.time,
            self.code,
            self.phone,
            self.address,
            self.mark,
        )
        shares = (0.28, 0.24, 0.12, 0.08, 0.14, 0.05, 0.04, 0.05)
        return makers[int(self.rng.choice(len(makers), p=shares))]()

    def mark(self) -> str:
        """Return a sign that stands alone, or any two to six characters of the keyboard."""
        if self.rng.random() < 0.6:
            return self.pick(
                (
                    "&",
                    "-",
                    "•",
                    ":",
                    "+",
                    "=",
                    "/",
                    "*",
                    "x",
                    "%",
                    "§",
                    "©",
                    "|",
                    "\u2013",
                    "@",
                    "#",
                    "I",
                    "1",
                    "l",
                    "a",
                    "A",
                )
            )
        return "".join(self.pick("".join(map(chr, range(33, 127)))) for _ in range(int(self.rng.integers(2, 7))))

    def receipt_word(self) -> str:
        word = self.pick(RECEIPT_WORDS) if self.rng.random() < 0.45 else self.word(self.language())
        return word + (":" if self.rng.random() < 0.12 else "")


def _decoded(content: bytes) -> str:
    """Return a list's text: Debian's Swedish one is in Latin-1."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _by_marked_letter(words: list[str]) -> dict[str, list[str]]:
    """Return the words that have a letter beyond ASCII, by each such letter."""
    marked: dict[str, list[str]] = {}
    for word in words:
        for letter in set(word):
            if not letter.isascii() and letter.isalpha():
                marked.setdefault(letter, []).append(word)
    return marked


def read_words(folder: Path = Path("/usr/share/dict")) -> dict[str, list[str]]:
    """Read the word lists of Debian's packages w<language>; languages without a list are left out."""
    words = {}
    for language, names in WORD_LISTS.items():
        found: set[str] = set()
        for path in (folder / name for name in names):
            if path.is_file():
                found.update(_decoded(path.read_bytes()).split())
        if found:
            found.update(RARE_LETTERS.get(language, "").split())
        usable = sorted(word for word in found if to_label(word) is not None and len(word) <= 18)
        if usable:
            words[language] = usable
    if not words:
        raise FileNotFoundError(f"no word list in {folder}: install the packages of training/README.md")
    return words
