"""Fonts of this machine that can print Western text, by family."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTCollection, TTFont, TTLibError
from PIL import ImageFont

FONT_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("/usr/share/texmf/fonts/opentype"),
)

LETTERS_NEEDED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,:-/()")

_UNREADABLE = re.compile(
    # Symbols, scripts, blackletter and toys: not what documents are set in.
    r"symbol|emoji|icon|dingbat|math|music|ornament|barcode|dseg|blank|adobe|outline|hand|script|chancery|calligr"
    r"|isabella|rufscript|cloister|fraktur|gothic-bold|blackletter|frames|initials|keycap|keyboard|smallcap|abecedario|phonet|ipa|api_|titling|monoisome|ellhnikh|sc-|sc[0-9]+|elegante|style|oldania|cupola"
    r"|universalismono|caps|asana|bomb|zapf|d050000l|z003|standardsymbols|aenigma|beta|phonetic|swash|clock",
    re.IGNORECASE,
)
_OTHER_SCRIPT = re.compile(
    r"Noto(Sans|Serif|Naskh|Nastaliq|Kufi|Rashi|Traditional|Music|Znamenny)(?!Mono|Display|-)",
    re.IGNORECASE,
)
_MONOSPACED = re.compile(
    r"mono|courier|typewriter|typo|code|cursor|ocr|console|hack|hermit|agave|inconsolata|anonymous|3270|lmtt|cmun(t|b?tl)"
    r"|fixed|fantasque|cousine|nimbusmon",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Face:
    """One font file (or one face of a collection) and the characters that it prints."""

    path: Path
    number: int
    family: str
    monospaced: bool
    characters: frozenset[str]

    def prints(self, text: str) -> bool:
        """Tell whether every visible character has a glyph."""
        return all(character in self.characters for character in text if character != " ")

    def at(self, size_px: int) -> ImageFont.FreeTypeFont:
        """Return the face at a size (pixels an em)."""
        return _loaded(self.path, self.number, size_px)


@lru_cache(maxsize=512)
def _loaded(path: Path, number: int, size_px: int) -> ImageFont.FreeTypeFont:
    # The basic layout engine is faster, and ligatures would hide letters that the label names.
    return ImageFont.truetype(str(path), size_px, index=number, layout_engine=ImageFont.Layout.BASIC)


class Fonts:
    """The usable faces, drawn by family so that one with fifty weights does not outweigh the rest."""

    def __init__(self, faces: list[Face]) -> None:
        if not faces:
            raise FileNotFoundError(f"no usable font in {FONT_FOLDERS}: install the packages of training/README.md")
        self.faces = faces
        self._families = _by_family(faces)
        self._monospaced = _by_family([face for face in faces if face.monospaced]) or self._families

    def draw(self, rng: np.random.Generator, monospaced: bool = False) -> Face:
        """Draw a family, then one of its faces."""
        families = self._monospaced if monospaced else self._families
        faces = families[int(rng.integers(len(families)))]
        return faces[int(rng.integers(len(faces)))]


def _by_family(faces: list[Face]) -> list[list[Face]]:
    families: dict[str, list[Face]] = {}
    for face in faces:
        families.setdefault(face.family, []).append(face)
    return list(families.values())


def find_fonts(folders: tuple[Path, ...] = FONT_FOLDERS) -> Fonts:
    """Find the fonts under `folders` that print letters, digits and common punctuation."""
    faces = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            name = path.name
            if path.suffix.lower() not in {".ttf", ".otf", ".ttc"}:
                continue
            if _UNREADABLE.search(str(path)) or _OTHER_SCRIPT.search(name):
                continue
            faces.extend(_faces(path))
    return Fonts(faces)


def _faces(path: Path) -> list[Face]:
    try:
        fonts = list(TTCollection(path, lazy=True)) if path.suffix.lower() == ".ttc" else [TTFont(path, lazy=True)]
        return [face for number, font in enumerate(fonts) if (face := _face(path, number, font)) is not None]
    except (TTLibError, OSError, KeyError, ValueError, AssertionError):
        # A broken or exotic file: the others are enough.
        return []


def _face(path: Path, number: int, font: TTFont) -> Face | None:
    characters = frozenset(chr(code) for code in font.getBestCmap() or {})
    if not characters >= LETTERS_NEEDED:
        return None
    family = font["name"].getBestFamilyName() or path.stem
    # Lower-case letters drawn as capitals would teach the wrong case.
    if _small_is_capital(path, number):
        return None
    monospaced = bool(font["post"].isFixedPitch) or bool(_MONOSPACED.search(path.name))
    return Face(path, number, family, monospaced, characters)


def _small_is_capital(path: Path, number: int) -> bool:
    font = _loaded(path, number, 48)
    pairs = [("a", "A"), ("e", "E"), ("g", "G"), ("r", "R")]
    same = 0
    for small, capital in pairs:
        small_mask, capital_mask = font.getmask(small), font.getmask(capital)
        if small_mask.size[1] == 0 or small_mask.size[0] == 0:
            return True
        same += abs(small_mask.size[0] / small_mask.size[1] - capital_mask.size[0] / capital_mask.size[1]) < 0.04
    return same >= 3
