"""The blocks that pages are made of: paragraphs, headlines, tables, receipts, forms, pictures."""

import cv2
import numpy as np
from PIL import Image

from training.data.canvas import Area, Canvas, Style
from training.data.fonts import Fonts
from training.data.tokens import Tokens


class Setter:
    """Sets blocks on a canvas with one source of chance."""

    def __init__(self, canvas: Canvas, tokens: Tokens, fonts: Fonts, rng: np.random.Generator) -> None:
        self.canvas, self.tokens, self.fonts, self.rng = canvas, tokens, fonts, rng

    def style(self, size: int, ink: int, monospaced: bool = False) -> Style:
        """Draw a style; spaces are often tight, as printers set them."""
        face = self.fonts.draw(self.rng, monospaced)
        gap = 1.0 if monospaced else float(self.rng.uniform(0.78, 1.35))
        tracking = int(self.rng.integers(1, 2 + size // 8)) if self.rng.random() < 0.06 else 0
        return Style(face, size, ink, gap, float(self.rng.uniform(0.98, 1.45)), tracking)

    def paragraph(self, area: Area, style: Style) -> int:
        """Fill an area with running text; returns the y below it."""
        left, top, right, bottom = area
        language = self.tokens.language()
        justified = self.rng.random() < 0.5
        upper = self.rng.random() < 0.08
        waiting: list[str] = []
        y = float(top + style.size)
        while y + style.size * 0.3 < bottom:
            while len(waiting) < 40:
                waiting += self.tokens.sentence(language, 20)
            x = left + (style.size * 1.5 if self.rng.random() < 0.1 else 0)
            count, width = self._fitting(waiting, right - x, style)
            line, waiting = waiting[:count], waiting[count:]
            if upper:
                line = [token.upper() for token in line]
            space = style.space
            if justified and count > 2:
                space = min(style.space + (right - x - width) / (count - 1), style.space * 3)
            if self.rng.random() < 0.12:
                line, space = (
                    line[: max(1, int(count * self.rng.random()))],
                    style.space,
                )
                y += style.size * float(self.rng.choice([0.0, 0.4]))
            self.canvas.set_line(line, x, y, style, space)
            y += style.size * style.leading
        return int(y)

    def _fitting(self, waiting: list[str], room: float, style: Style) -> tuple[int, float]:
        width, count = 0.0, 0
        for token in waiting:
            wider = width + style.width(token) + (style.space if count else 0.0)
            if wider > room and count:
                break
            width, count = wider, count + 1
        return max(count, 1), width

    def headline(self, area: Area, style: Style, lines: int) -> int:
        """Set a few lines of large letters; returns the y below."""
        left, top, right, _ = area
        language, form = self.tokens.language(), int(self.rng.integers(3))
        y = float(top + style.size)
        for _ in range(lines):
            waiting = self.tokens.sentence(language, 12)
            count, width = self._fitting(waiting, right - left, style)
            forms = (
                waiting,
                [token.upper() for token in waiting],
                [token.capitalize() for token in waiting],
            )
            x = left if self.rng.random() < 0.6 else left + max(0.0, (right - left - width) / 2)
            self.canvas.set_line(forms[form][:count], x, y, style)
            y += style.size * style.leading
        return int(y)

    def table(self, area: Area, style: Style) -> int:
        """Set rows of cells, with or without rules; returns the y below."""
        left, top, right, bottom = area
        columns = int(self.rng.integers(2, 8))
        edges = np.sort(np.concatenate(([left], self.rng.integers(left, right, columns - 1), [right])))
        ruled, numeric = self.rng.random() < 0.5, self.rng.random(columns) < 0.55
        row_height = int(style.size * style.leading * self.rng.uniform(1.0, 1.6))
        y = top
        while y + row_height < bottom:
            y += row_height
            baseline = y - (row_height - style.size * 0.7) / 2
            for column in range(columns):
                room = int(edges[column + 1] - edges[column] - style.size * 0.6)
                cell = self._cell(bool(numeric[column]), room, style)
                width = sum(style.width(token) + style.space for token in cell) - style.space
                shift = max(0.0, room - width) if numeric[column] else 0.0
                self.canvas.set_line(
                    cell,
                    float(edges[column] + style.size * 0.3 + shift),
                    baseline,
                    style,
                )
            if ruled:
                self.canvas.draw.line((left, y, right, y), fill=style.ink, width=1)
        if ruled and self.rng.random() < 0.6:
            for edge in edges:
                self.canvas.draw.line(
                    (int(edge), top, int(edge), y),
                    fill=style.ink,
                    width=int(self.rng.integers(1, 3)),
                )
        return y

    def _cell(self, numeric: bool, room: int, style: Style) -> list[str]:
        wanted = [self.tokens.special()] if numeric else self.tokens.sentence(self.tokens.language(), 4)
        count, width = self._fitting(wanted, room, style)
        return wanted[:count] if width <= room else []

    def receipt(self, area: Area, style: Style) -> int:
        """Set a receipt: centred head, items with prices at the right, separators; returns the y below."""
        left, top, right, bottom = area
        shape = self.rng.choice(["upper", "title", "lower"], p=[0.5, 0.35, 0.15])
        y, row = float(top + style.size), 0
        head = int(self.rng.integers(3, 9))
        while y + style.size * 0.3 < bottom:
            row += 1
            chance = self.rng.random()
            if chance < 0.06:
                self._separator(left, right, y, style)
            else:
                tokens = [self._shaped(self._receipt_token(), str(shape)) for _ in range(int(self.rng.integers(1, 6)))]
                count, width = self._fitting(tokens, right - left, style)
                tokens = tokens[:count]
                centred = row <= head or chance > 0.9
                x = left + max(0.0, (right - left - width) / 2) if centred else left
                end = self.canvas.set_line(tokens, x, y, style)
                if not centred and chance < 0.75:
                    price = self.tokens.price()
                    at = right - style.width(price)
                    if at > end:
                        self.canvas.set_line([price], at, y, style)
            y += style.size * style.leading * (1.6 if self.rng.random() < 0.05 else 1.0)
        return int(y)

    def _receipt_token(self) -> str:
        return self.tokens.special() if self.rng.random() < 0.4 else self.tokens.receipt_word()

    def _shaped(self, token: str, shape: str) -> str:
        return {
            "upper": token.upper(),
            "title": token[:1].upper() + token[1:],
            "lower": token,
        }[shape]

    def _separator(self, left: int, right: int, y: float, style: Style) -> None:
        letter = self.tokens.pick(("-", "=", "*", "_", "."))
        count = int((right - left) / max(1.0, style.face.at(style.size).getlength(letter)))
        # Separators are no words: nothing to detect, nothing to read.
        text = letter * max(1, count - 1)
        self.canvas.draw.text((left, y), text, fill=style.ink, font=style.face.at(style.size), anchor="ls")

    def form(self, area: Area, style: Style) -> int:
        """Set labels and values, with lines or boxes to write on; returns the y below."""
        left, top, right, bottom = area
        row_height = int(style.size * self.rng.uniform(1.6, 3.0))
        boxed = self.rng.random() < 0.5
        y = top + row_height
        while y < bottom:
            label = self.tokens.sentence(self.tokens.language(), int(self.rng.integers(1, 4)))
            label[-1] = label[-1].rstrip(".,;:") + ":"
            end = self.canvas.set_line(label, left, y, style)
            if boxed and end + style.size < right:
                corner = (
                    int(end),
                    int(y - style.size * 1.1),
                    right,
                    int(y + style.size * 0.4),
                )
                self.canvas.draw.rectangle(corner, outline=style.ink)
            elif end < right:
                self.canvas.draw.line((end, y + 2, right, y + 2), fill=style.ink)
            if self.rng.random() < 0.7:
                value = [self.tokens.special() if self.rng.random() < 0.5 else self.tokens.word("en").title()]
                self.canvas.set_line(value, end + style.size * 0.4, y, style)
            y += row_height
        return y

    def picture(self, area: Area) -> None:
        """Print something that is no text: shading, hatching, or blots."""
        left, top, right, bottom = area
        width, height = right - left, bottom - top
        if width < 8 or height < 8:
            return
        kind = int(self.rng.integers(3))
        cells = [
            self.rng.integers(3, 12, 2),
            self.rng.integers(12, 60, 2),
            np.array([height // 4 + 1, 2]),
        ][kind]
        how = [cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_NEAREST][kind]
        shade = self.rng.integers(0, 256, cells).astype(np.uint8)
        texture = cv2.resize(shade, (width, height), interpolation=how)
        self.canvas.image.paste(Image.fromarray(texture), (left, top))
