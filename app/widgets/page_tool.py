"""A flat tool at the end of the tab row: it opens a page of the window, and carries the tabs' underline while open."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QEnterEvent, QFocusEvent, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme import Theme
from app.widgets.focus import KeyboardFocusButton, ring_after
from app.widgets.toggle_clicks import ToggleClicks
from app.words import percent

PAD = 11  # at both sides of the content, below which the underline runs
MARK = 16
SPACE = 7  # between icon and word
HEIGHT = 42  # as the tab bar


class PageTool(ToggleClicks, KeyboardFocusButton):
    """`open` is the page's state, shown by `show_open`; connect `clicked`.

    `compact`: the icon alone, with the word as tooltip. `show_progress`: 0 to 1 below the icon, None for nothing.
    """

    def __init__(
        self,
        theme: Theme,
        text: str,
        icon: str,
        *,
        keys: str = "",
        always_compact: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(text, parent)
        self._theme = theme
        self._icon = icon
        self._keys = keys
        self._always_compact = always_compact
        self._compact = always_compact
        self._ring = False
        self._open = False
        self._progress: float | None = None
        self.setAutoDefault(False)
        self.setCheckable(True)  # so that a screen reader says which page is open
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(text)
        self._describe()
        self.toggle_clicks()
        theme.changed.connect(self.updateGeometry)

    @property
    def compact(self) -> bool:
        return self._compact

    def set_compact(self, compact: bool) -> None:
        compact = compact or self._always_compact
        if compact != self._compact:
            self._compact = compact
            self._describe()
            self.updateGeometry()
            self.update()

    def show_open(self, is_open: bool) -> None:
        self._open = is_open
        self.setChecked(is_open)
        self.update()

    def show_progress(self, fraction: float | None) -> None:
        if fraction != self._progress:
            self._progress = fraction
            self.setAccessibleDescription("" if fraction is None else percent(fraction))
            self.update()

    def nextCheckState(self) -> None:
        """A click opens the page; that it is open then, its window says."""

    def _describe(self) -> None:
        self.setToolTip(" · ".join(filter(None, (self.text() if self._compact else "", self._keys))))

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(self._theme.font(weight=600))
        width = 2 * PAD + MARK
        if not self._compact:
            width += SPACE + round(metrics.horizontalAdvance(self.text())) + 2
        return QSize(width, max(HEIGHT, round(metrics.height()) + 20))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        whole = QRectF(self.rect())
        area = whole.adjusted(PAD, 0, -PAD, 0)
        tone = "text" if self._open or self.underMouse() else "text2"
        icon = self._at(QRectF(area.left(), round(area.center().y() - MARK / 2), MARK, MARK))
        pixmap = self._theme.pixmap(self._icon, tone, MARK, self.devicePixelRatioF())
        painter.drawPixmap(icon.topLeft(), pixmap)
        if not self._compact:
            painter.setFont(self._theme.font(weight=600 if self._open else 400))
            painter.setPen(self._theme.colour(tone))
            text = self._at(area.adjusted(MARK + SPACE, 0, 0, 0))
            painter.drawText(text, int(Qt.AlignmentFlag.AlignCenter), self.text())
        if self._progress is not None:
            track = QRectF(icon.left(), icon.bottom() + 3, MARK, 2)
            painter.fillRect(track, self._theme.colour("track"))
            done = track.width() * min(1.0, max(0.0, self._progress))
            start = track.right() - done if self.isRightToLeft() else track.left()
            painter.fillRect(QRectF(start, track.top(), done, 2), self._theme.colour("accent"))
        if self._open:
            painter.fillRect(QRectF(area.left(), whole.bottom() - 2, area.width(), 2), self._theme.colour("accent"))
        if self._ring and self.hasFocus():
            painter.setPen(QPen(self._theme.colour("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(whole.adjusted(3, 6, -3, -8), 6, 6)
        painter.end()

    def _at(self, box: QRectF) -> QRectF:
        if not self.isRightToLeft():
            return box
        return QRectF(self.width() - box.right(), box.top(), box.width(), box.height())

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = ring_after(event, self._ring)
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._ring = ring_after(event, self._ring)
        super().focusOutEvent(event)
        self.update()
