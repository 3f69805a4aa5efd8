"""The window's tabs: an underline of 2 px, and on Share the live dot with how many are on and how many ask."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QTabBar, QWidget

from app.i18n import listed, tr, trn
from app.theme import Theme
from app.widgets.focus import ring_after
from qvac_core.late_dataclass import dataclass

HEIGHT = 42
PAD = 10  # at both sides of a tab's content, below which the underline runs too
GAP = 12  # between tabs
MARK = 16


@dataclass(slots=True)
class _Mark:
    """What stands before and after a tab's word. `icon` "" means the live dot, filled when `live`."""

    icon: str = ""
    live: bool = False
    badge: str = ""
    asking: int = 0
    state: str = ""

    @property
    def badges(self) -> tuple[tuple[str, str], ...]:
        """Text and tone of what stands after the word."""
        asking = (str(self.asking), "warn") if self.asking else ("", "")
        return tuple(badge for badge in ((self.badge, "accent"), asking) if badge[0])


class TabBar(QTabBar):
    """`chosen(place)`: somebody or something wants this tab, also one that is current below a page that covers it."""

    chosen = Signal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._marks: list[_Mark] = []
        self._ring = False
        self._hover = -1
        self._covered = False
        self.setDrawBase(False)
        self.setExpanding(False)
        self.setDocumentMode(True)
        self.setUsesScrollButtons(False)
        self.setMouseTracking(True)
        self.setAccessibleName(tr("Tabs"))
        self.currentChanged.connect(self.chosen)
        theme.changed.connect(self.update)

    def add(self, text: str, *, icon: str = "", tooltip: str = "") -> int:
        self._marks.append(_Mark(icon))
        place = self.addTab(text)
        self.setTabToolTip(place, tooltip)
        return place

    def choose(self, place: int) -> None:
        """As a click on it."""
        if place == self.currentIndex():
            self.chosen.emit(place)
        else:
            self.setCurrentIndex(place)

    def show_covered(self, covered: bool) -> None:
        """Whether a page that is no tab is in front: then no tab is underlined."""
        self._covered = covered
        self.update()

    def show_live(self, place: int, live: bool, badge: str, asking: int, state: str) -> None:
        """asking: how many wait for the owner's word; state: what the dot means, in words."""
        mark = self._marks[place]
        if (mark.live, mark.badge, mark.asking, mark.state) != (live, badge, asking, state):
            mark.live, mark.badge, mark.asking, mark.state = live, badge, asking, state
            asks = trn("%n asks to use it", "%n ask to use it", asking) if asking else ""
            said = [self.tabText(place), state, badge, asks]
            self.setAccessibleTabName(place, listed(said))
            self.updateGeometry()
            # Qt lays tabs out again only when a text changes.
            self.setTabText(place, self.tabText(place))
            self.update()

    def tabSizeHint(self, index: int) -> QSize:
        metrics = QFontMetricsF(self._theme.font(weight=600))
        width = 2 * PAD + MARK + 8 + metrics.horizontalAdvance(self.tabText(index)) + GAP
        width += sum(8 + self._badge_width(text) for text, _tone in self._marks[index].badges)
        return QSize(round(width), max(HEIGHT, round(metrics.height()) + 20))

    def minimumTabSizeHint(self, index: int) -> QSize:
        return self.tabSizeHint(index)

    def _badge_width(self, badge: str) -> float:
        return QFontMetricsF(self._theme.font("small", 500)).horizontalAdvance(badge) + 12

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for place in range(self.count()):
            self._paint_tab(painter, place)
        painter.end()

    def _paint_tab(self, painter: QPainter, place: int) -> None:
        current = place == self.currentIndex()
        chosen = current and not self._covered
        mark = self._marks[place]
        whole = QRectF(self.tabRect(place))
        area = whole.adjusted(PAD, 0, -PAD - GAP, 0)
        middle = area.center().y()
        tone = "text" if chosen or place == self._hover else "text2"
        if mark.icon:
            at = self._at(whole, QRectF(area.left(), round(middle - MARK / 2), MARK, MARK)).topLeft()
            painter.drawPixmap(at, self._theme.pixmap(mark.icon, tone, MARK, self.devicePixelRatioF()))
        else:
            self._paint_dot(painter, self._at(whole, QRectF(area.left(), middle - 4, 8, 8)), mark.live)
        left = area.left() + (MARK + 7 if mark.icon else MARK)
        font = self._theme.font(weight=600 if chosen else 400)
        width = QFontMetricsF(font).horizontalAdvance(self.tabText(place)) + 2
        painter.setFont(font)
        painter.setPen(self._theme.colour(tone))
        text = self._at(whole, QRectF(left, area.top(), width, area.height()))
        painter.drawText(text, int(Qt.AlignmentFlag.AlignCenter), self.tabText(place))
        end = left + width
        for badge, tone in mark.badges:
            box = QRectF(end + 7, round(middle - 9), self._badge_width(badge), 18)
            self._paint_badge(painter, self._at(whole, box), badge, tone)
            end = box.right()
        if chosen:
            line = self._at(whole, QRectF(area.left(), whole.bottom() - 2, end - area.left(), 2))
            painter.fillRect(line, self._theme.colour("accent"))
        if current and self._ring and self.hasFocus():
            painter.setPen(QPen(self._theme.colour("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            ring = self._at(whole, QRectF(area.left() - 8, whole.top() + 6, end - area.left() + 16, HEIGHT - 14))
            painter.drawRoundedRect(ring, 6, 6)

    def _paint_dot(self, painter: QPainter, box: QRectF, live: bool) -> None:
        if live:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._theme.colour("live"))
            painter.drawEllipse(box)
            return
        painter.setPen(QPen(self._theme.colour("ctl"), 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(box.adjusted(0.75, 0.75, -0.75, -0.75))

    def _paint_badge(self, painter: QPainter, box: QRectF, text: str, tone: str) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.colour(f"{tone}_soft"))
        painter.drawRoundedRect(box, 4, 4)
        painter.setFont(self._theme.font("small", 500))
        painter.setPen(self._theme.colour(tone))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), text)

    def _at(self, whole: QRectF, box: QRectF) -> QRectF:
        if not self.isRightToLeft():
            return box
        return QRectF(whole.left() + whole.right() - box.right(), box.top(), box.width(), box.height())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = self.tabAt(event.position().toPoint())
        again = event.button() == Qt.MouseButton.LeftButton and place == self.currentIndex() >= 0
        super().mousePressEvent(event)
        if again:
            self.chosen.emit(place)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._covered and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.chosen.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        hover = self.tabAt(QPointF(event.position()).toPoint())
        if hover != self._hover:
            self._hover = hover
            self.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._ring = ring_after(event, self._ring)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._ring = ring_after(event, self._ring)
        self.update()
