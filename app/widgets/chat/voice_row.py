"""What stands below the text while somebody talks: level, time, how it ends, who hears it, in which language."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.combo import Combo
from app.widgets.icon_label import IconLabel
from app.widgets.key_cap import KeyCap
from app.widgets.label import Label
from app.widgets.own_font import keep_font

BARS = 32
BAR, BAR_GAP = 3, 2
HEIGHT, LEAST = 24, 3
FRAME_MS = 50  # 20 Hz


class LevelBars(QWidget):
    """The last 1.6 s of loudness, newest last; one bar where less motion is wanted. Decoration."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._levels: deque[float] = deque(maxlen=BARS)
        self._loudest = 0.0  # since the last frame
        self._frames = QTimer(self)
        self._frames.setInterval(FRAME_MS)
        self._frames.timeout.connect(self._frame)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFixedSize(self.sizeHint())

    @property
    def levels(self) -> tuple[float, ...]:
        return tuple(self._levels)

    @property
    def still(self) -> bool:
        return self._theme.duration(1) == 0

    def sizeHint(self) -> QSize:
        return QSize(BARS * (BAR + BAR_GAP) - BAR_GAP, HEIGHT)

    def start(self) -> None:
        self._levels.clear()
        self._loudest = 0.0
        self._frames.start()
        self.update()

    def stop(self) -> None:
        self._frames.stop()

    def add(self, level: float) -> None:
        self._loudest = max(self._loudest, level)

    def _frame(self) -> None:
        self._levels.append(self._loudest)
        self._loudest = 0.0
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        if self.still:
            self._paint_one(painter)
        else:
            self._paint_all(painter)
        painter.end()

    def _paint_one(self, painter: QPainter) -> None:
        level = max(list(self._levels)[-4:], default=0.0)
        groove = QRectF(0, (self.height() - 4) / 2, self.width(), 4)
        painter.setBrush(self._theme.colour("track"))
        painter.drawRoundedRect(groove, 2, 2)
        filled = QRectF(groove)
        filled.setWidth(groove.width() * level)
        if self.isRightToLeft():
            filled.moveRight(groove.right())
        painter.setBrush(self._theme.colour("accent"))
        painter.drawRoundedRect(filled, 2, 2)

    def _paint_all(self, painter: QPainter) -> None:
        levels = [0.0] * (BARS - len(self._levels)) + list(self._levels)
        for place, level in enumerate(levels):
            tall = max(LEAST, level * self.height())
            x = place * (BAR + BAR_GAP)
            if self.isRightToLeft():
                x = self.width() - BAR - x
            painter.setBrush(self._theme.colour("accent" if level > 0 else "ctl"))
            painter.drawRoundedRect(QRectF(x, (self.height() - tall) / 2, BAR, tall), BAR / 2, BAR / 2)


class VoiceRow(QWidget):
    """`language_chosen`: a code, "" for "found by itself"."""

    language_chosen = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._who = ""
        self._local = False
        self.bars = LevelBars(theme)
        self.time = Label("0:00", scale="body", tone="text2")
        keep_font(self.time, theme, lambda: theme.fixed_font())
        self.words = Label(scale="hint", tone="text3")
        self.escape = KeyCap(theme, "Esc")
        self.discards = Label(tr("discards"), scale="hint", tone="text3")
        self.icon = IconLabel(theme, "waypoints", "accent")
        self.heard_by = Label(scale="hint", tone="text3")
        self.language = Combo(theme, tr("Spoken language"))
        self.language.setAccessibleDescription(tr("Spoken language"))
        self.language.setSizeAdjustPolicy(Combo.SizeAdjustPolicy.AdjustToContents)
        self.language.activated.connect(lambda place: self.language_chosen.emit(self.language.itemData(place)))
        before: tuple[QWidget, ...] = (self.bars, self.time, self.words, self.escape, self.discards)
        after: tuple[QWidget, ...] = (self.icon, self.heard_by, self.language)
        self._parts: tuple[QWidget, ...] = (*before, *after)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(8)
        for widget in before:
            self._row.addWidget(widget)
        self._row.addStretch(1)
        for widget in after:
            self._row.addWidget(widget)
        # Else a long sentence would widen the window.
        self.setMinimumWidth(1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def show_languages(self, languages: Sequence[tuple[str, str]], chosen: str) -> None:
        """(code, name), the first one being "found by itself"."""
        if [self.language.itemData(place) for place in range(self.language.count())] != [code for code, _ in languages]:
            self.language.clear()
            for code, name in languages:
                self.language.addItem(name, code)
        self.language.setCurrentIndex(max(0, self.language.findData(chosen)))

    def show_listener(self, who: str, *, local: bool) -> None:
        self._who, self._local = who, local
        self.icon.set_icon("laptop" if local else "waypoints", "local" if local else "accent")
        self.heard_by.setText(tr("heard on this machine") if local else tr("heard by {who}", who=who))
        self.icon.setToolTip(self.heard_by.text())
        self._fit()

    def show_words(self, words: str, tone: str) -> None:
        self.words.setText(words)
        self.words.set_tone(tone)
        self._fit()

    def show_seconds(self, seconds: float) -> None:
        minutes, rest = divmod(int(seconds), 60)
        self.time.setText(f"{minutes}:{rest:02d}")

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """What decides nothing gives way where there is little room; who hears it is the icon's tooltip, too."""
        optional = (self.discards, self.heard_by)
        gap = self._row.spacing()
        widths = [widget.sizeHint().width() + gap for widget in self._parts if widget not in optional]
        room = self.width() - sum(widths)
        for widget in reversed(optional):
            wanted = widget.sizeHint().width() + gap
            widget.setVisible(wanted <= room)
            room -= wanted if wanted <= room else 0
