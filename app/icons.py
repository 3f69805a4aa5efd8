"""Lucide icons in the theme's colours, painted by QtSvg from `resources/icons`.

QtSvg paints `currentColor` black. An icon is rendered once in each size, and filled with a colour for each that it is
wanted in, which costs a tenth of a rendering.
"""

from __future__ import annotations

from importlib import resources

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

# The files are drawn with 2 on a 24 grid; at 16 px and above that is too heavy beside 400-weight text.
STROKE_FROM_16 = b'stroke-width="1.75"'
STROKE_IN_FILE = b'stroke-width="2"'

# They point forwards or backwards, which a mirrored window has the other way around. Turning arrows are clocks.
DIRECTED = frozenset(
    {
        *("arrow-left", "arrow-right", "chevron-left", "chevron-right", "panel-left", "send", "undo-2", "redo-2"),
        *("external-link", "text-cursor-input", "image-down", "log-out"),
    }
)


class IconStore:
    """A cache by name, colour, size and device ratio; emptied on a theme change."""

    def __init__(self) -> None:
        self._sources: dict[str, bytes] = {}
        self._shapes: dict[tuple[str, int, float, int], QPixmap] = {}
        self._pixmaps: dict[tuple[str, str, int, float, int], QPixmap] = {}
        self._icons: dict[tuple[str, str, int, int], QIcon] = {}

    def clear(self) -> None:
        self._shapes.clear()  # they are mirrored with the window
        self._pixmaps.clear()
        self._icons.clear()

    def icon(self, name: str, colour: QColor, disabled: QColor, size: int, pad: int = 0) -> QIcon:
        key = (name, colour.name(), size, pad)
        if key not in self._icons:
            icon = QIcon()
            # The sharpest screen's; Qt scales down for the others.
            for ratio in {1.0, max(screen.devicePixelRatio() for screen in QGuiApplication.screens())}:
                icon.addPixmap(self.pixmap(name, colour, size, ratio, pad))
                icon.addPixmap(self.pixmap(name, disabled, size, ratio, pad), QIcon.Mode.Disabled)
            self._icons[key] = icon
        return self._icons[key]

    def pixmap(self, name: str, colour: QColor, size: int, ratio: float, pad: int = 0) -> QPixmap:
        key = (name, colour.name(), size, ratio, pad)
        if key not in self._pixmaps:
            self._pixmaps[key] = self._filled(name, colour, size, ratio, pad)
        return self._pixmaps[key]

    def _filled(self, name: str, colour: QColor, size: int, ratio: float, pad: int) -> QPixmap:
        key = (name, size, ratio, pad)
        if key not in self._shapes:
            self._shapes[key] = self._render(name, size, ratio, pad)
        pixmap = QPixmap(self._shapes[key])
        painter = QPainter(pixmap)
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
        painter.fillRect(pixmap.rect(), QColor(colour.name()))
        painter.end()
        return pixmap

    def _render(self, name: str, size: int, ratio: float, pad: int) -> QPixmap:
        """Black."""
        source = self._source(name)
        if size >= 16:
            source = source.replace(STROKE_IN_FILE, STROKE_FROM_16)
        pixmap = QPixmap(round((size + abs(pad)) * ratio), round(size * ratio))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        if name in DIRECTED and QGuiApplication.isRightToLeft():
            painter.translate(pixmap.width() / ratio, 0)
            painter.scale(-1, 1)
            pad = -pad
        QSvgRenderer(QByteArray(source)).render(painter, QRectF(max(0, -pad), 0, size, size))
        painter.end()
        return pixmap

    def _source(self, name: str) -> bytes:
        if name not in self._sources:
            self._sources[name] = (resources.files("resources") / "icons" / f"{name}.svg").read_bytes()
        return self._sources[name]
