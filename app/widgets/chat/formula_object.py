"""Formulas inside a rich text: put in as pictures named `math:N`, standing on the line of the letters."""

from __future__ import annotations

from PySide6.QtCore import QObject, QRect, QRectF, QSizeF
from PySide6.QtGui import QFontInfo, QFontMetricsF, QPainter, QPyTextObject, QTextDocument, QTextFormat

from app.formulas import Formula, renderer
from app.theme import Theme
from qvac_core.late_dataclass import dataclass

PREFIX = "math:"
SHALLOW = 0.3  # of the font's size: what hangs less below the line is painted into the room between lines


@dataclass(frozen=True, slots=True)
class Placed:
    """A formula of a text, with what was written for it."""

    formula: Formula
    written: str

    @property
    def shallow(self) -> bool:
        return self.formula.descent <= SHALLOW


class FormulaObject(QPyTextObject):
    """Draws every picture of a document: there are no others."""

    def __init__(self, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self._theme = theme
        self.token = "text"
        self.placed: list[Placed] = []

    def at(self, form: QTextFormat) -> Placed | None:
        name = form.toImageFormat().name()
        number = name.removeprefix(PREFIX)
        known = name.startswith(PREFIX) and number.isdecimal() and int(number) < len(self.placed)
        return self.placed[int(number)] if known else None

    def intrinsicSize(self, doc: QTextDocument, posInDocument: int, format: QTextFormat) -> QSizeF:
        placed = self.at(format)
        if placed is None:
            return QSizeF()
        pixels = self._pixels(doc, placed.formula)
        formula = placed.formula
        ascent, descent = formula.ascent * pixels, formula.descent * pixels
        if placed.shallow:
            # A line of nothing but a small formula is as high as one of letters.
            return QSizeF(formula.width * pixels, max(ascent, QFontMetricsF(doc.defaultFont()).ascent()))
        half = _half_x(format)
        # A picture in the middle has (height + half) / 2 above the line of the letters, the rest below.
        return QSizeF(formula.width * pixels, max(2 * ascent - half, 2 * descent + half))

    def drawObject(
        self,
        painter: QPainter,
        rect: QRectF | QRect,
        doc: QTextDocument,
        posInDocument: int,
        format: QTextFormat,
    ) -> None:
        placed = self.at(format)
        if placed is None:
            return
        formula = placed.formula
        pixels = self._pixels(doc, formula)
        rect = QRectF(rect)
        line = rect.bottom() if placed.shallow else rect.top() + (rect.height() + _half_x(format)) / 2
        top = line - formula.ascent * pixels
        height = (formula.ascent + formula.descent) * pixels
        picture = renderer(formula.svg, self._theme.colour(self.token).name())
        picture.render(painter, QRectF(rect.left(), top, formula.width * pixels, height))

    def _pixels(self, doc: QTextDocument, formula: Formula) -> float:
        """The size of the letters around it, less where it would be wider than the text."""
        pixels = float(QFontInfo(doc.defaultFont()).pixelSize())
        room = doc.textWidth()
        return min(pixels, room / formula.width) if room > 0 and formula.width > 0 else pixels


def _half_x(form: QTextFormat) -> float:
    return QFontMetricsF(form.toCharFormat().font()).xHeight() / 2
