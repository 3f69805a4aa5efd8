"""A recording as bars of its loudness: what was heard, what is text by now, what is to come. A press plays there."""

from __future__ import annotations

import itertools

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractSlider, QSizePolicy, QWidget

from app.audio.recording import PEAK_MS
from app.i18n import tr
from app.theme import Theme
from app.widgets.slider import Slider

HEIGHT = 26
BAR, BAR_GAP = 3, 2
LEAST = 3  # px: silence, and what is not known yet
STEP, PAGE = 5, 30  # seconds, by the keys


class Waveform(Slider):
    """A slider of seconds. `wanted`: play from there, milliseconds. `looked_at`: it is painted for the first time."""

    wanted = Signal(int)
    looked_at = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("Place in the recording"), parent)
        self._theme = theme
        self._peaks = b""
        self._length_ms = self._position_ms = self._text_ms = 0
        self._looked_at = False
        self._bars: tuple[int, tuple[float, ...]] = (0, ())  # for this many of them
        self.setSingleStep(STEP)
        self.setPageStep(PAGE)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(HEIGHT)
        self.actionTriggered.connect(self._stepped)

    def sizeHint(self) -> QSize:
        return QSize(120, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, HEIGHT)

    def show_sound(self, peaks: bytes, length_ms: int, position_ms: int, text_ms: int) -> None:
        """text_ms: how far it is transcribed."""
        if peaks != self._peaks or length_ms != self._length_ms:
            self._bars = (0, ())
        self._peaks, self._length_ms, self._position_ms, self._text_ms = peaks, length_ms, position_ms, text_ms
        self.setRange(0, length_ms // 1000)
        self.setValue(position_ms // 1000)
        self.update()

    def bars(self, count: int) -> tuple[float, ...]:
        """Heights from 0 to 1, of the loudest of each part; the loudest of all is 1."""
        if self._bars[0] != count:
            most = max(self._peaks, default=0) or 1
            whole = max(1, self._length_ms // PEAK_MS, len(self._peaks))
            edges = [whole * place // count for place in range(count + 1)]
            parts = (self._peaks[a : max(b, a + 1)] for a, b in itertools.pairwise(edges))
            self._bars = count, tuple(max(part, default=0) / most for part in parts)
        return self._bars[1]

    def _stepped(self, action: int) -> None:
        if action != QAbstractSlider.SliderAction.SliderMove.value:
            self.wanted.emit(self.sliderPosition() * 1000)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.width() > 0:
            part = min(1.0, max(0.0, event.position().x() / self.width()))
            self.wanted.emit(round(self._length_ms * (1 - part if self.isRightToLeft() else part)))
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not self._looked_at:
            self._looked_at = True
            self.looked_at.emit()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        count = max(1, (self.width() + BAR_GAP) // (BAR + BAR_GAP))
        room = self.height() - 4
        for place, level in enumerate(self.bars(count)):
            at = self._length_ms * (place + 0.5) / count
            token = "accent" if at < self._position_ms else "text3" if at < self._text_ms else "ctl"
            tall = max(LEAST, level * room)
            x = place * (BAR + BAR_GAP)
            if self.isRightToLeft():
                x = self.width() - BAR - x
            painter.setBrush(self._theme.colour(token))
            painter.drawRoundedRect(QRectF(x, (self.height() - tall) / 2, BAR, tall), BAR / 2, BAR / 2)
        if self.property("keyboardFocus") == "true" or (self.hasFocus() and self.property("keyboardFocus")):
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(self._theme.colour("accent"), 2))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
        painter.end()
