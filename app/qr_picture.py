"""The picture of a key that its owner saves or copies: the QR code, dark on white, with the machine's name below."""

from __future__ import annotations

from PySide6.QtCore import QBuffer, QIODevice, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter

from app.key_words import group_key
from app.theme import Theme
from app.widgets.qr import BLACK, WHITE, qr_modules
from qvac_core.codec.key_links import qr_text

MODULE = 16  # pixels: large enough to print
QUIET_ZONE = 4  # modules, as ISO 18004 asks
CAPTION = 40  # pixels, of the name
SMALL = 20  # pixels, of the key below it
GREY = QColor("#4A524E")


def qr_picture(theme: Theme, public_key: str, name: str) -> QImage:
    """`name`: the caption; "" leaves the key alone."""
    groups = group_key(public_key).split(" ")
    halves = [" ".join(half) for half in (groups[:8], groups[8:])]
    return _picture(theme, qr_text(bytes.fromhex(public_key)), name, halves)


def invite_picture(theme: Theme, text: str, title: str) -> QImage:
    """`text`: what the code holds; `title`: whom it is for, as the owner calls them."""
    return _picture(theme, text, title, [])


def _picture(theme: Theme, text: str, name: str, below: list[str]) -> QImage:
    modules = qr_modules(text)
    side = (len(modules) + 2 * QUIET_ZONE) * MODULE
    margin = QUIET_ZONE * MODULE / 2
    caption, small = _font(theme.font("state", 600), CAPTION), _font(theme.fixed_font(), SMALL)
    rows = [(line, small, GREY, SMALL * 1.5) for line in below]
    if name:
        words = QFontMetricsF(caption).elidedText(name, Qt.TextElideMode.ElideRight, side - 4 * margin)
        rows.insert(0, (words, caption, BLACK, CAPTION * 1.6))
    image = QImage(side, round(side + sum(height for *_, height in rows)), QImage.Format.Format_RGB32)
    image.fill(WHITE)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
    for y, row in enumerate(modules):
        for x, dark in enumerate(row):
            if dark:
                painter.fillRect((x + QUIET_ZONE) * MODULE, (y + QUIET_ZONE) * MODULE, MODULE, MODULE, BLACK)
    top = side - margin
    for words, font, colour, height in rows:
        painter.setFont(font)
        painter.setPen(colour)
        painter.drawText(QRectF(0, top, side, height), int(Qt.AlignmentFlag.AlignCenter), words)
        top += height
    painter.end()
    return image


def as_png(image: QImage) -> bytes:
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]
    return bytes(buffer.data().data())


def _font(font: QFont, pixels: int) -> QFont:
    font = QFont(font)
    font.setPixelSize(pixels)
    return font
