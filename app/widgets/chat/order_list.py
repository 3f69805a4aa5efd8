"""Who answers, one after the other: rows that are dragged by their handle, or moved by Alt+Up and Alt+Down."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QEvent, QPoint, QRectF, Qt, Signal
from PySide6.QtGui import QAccessible, QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.announcements import announce
from app.i18n import tr
from app.presenters.chat_settings import Answerer
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.focus import KEYBOARD_REASONS
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from app.widgets.menu import Menu
from qvac_core.core.state import Target

ROW_HEIGHT = 40
DOT = 8


class OrderList(QWidget):
    """`moved(from, to)`, `removed(place)`: places among those before this machine."""

    accessible_role = QAccessible.Role.List

    moved = Signal(int, int)
    removed = Signal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.rows: list[OrderRow] = []
        self._drop: int | None = None  # above which row a dragged one would come
        self._focus_place: int | None = None
        self.setAccessibleName(tr("Who answers, in order"))
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)

    def show_order(self, order: Sequence[Answerer]) -> None:
        if [row.answerer for row in self.rows] == list(order):
            return
        had = next((at for at, row in enumerate(self.rows) if row.hasFocus()), None)
        while len(self.rows) > len(order):
            row = self.rows.pop()
            self._layout.removeWidget(row)
            row.hide()
            row.deleteLater()
        movable = sum(not answerer.last for answerer in order)
        for place, answerer in enumerate(order):
            if place == len(self.rows):
                row = OrderRow(self._theme, self, place)
                self.rows.append(row)
                self._layout.addWidget(row)
            self.rows[place].show_answerer(answerer, movable)
        focus = self._focus_place if self._focus_place is not None else had
        self._focus_place = None
        if focus is not None and self.rows:
            self.rows[min(focus, len(self.rows) - 1)].setFocus(Qt.FocusReason.OtherFocusReason)

    def move_row(self, place: int, to: int) -> None:
        movable = [row for row in self.rows if not row.answerer.last]
        if 0 <= to < len(movable) and place != to:
            self._focus_place = to
            announce(self, tr("{name} is number {place} now.", name=self.rows[place].answerer.name, place=to + 1))
            self.moved.emit(place, to)

    def drag_to(self, place: int, y: int, *, dropped: bool) -> None:
        """`y` in this widget."""
        movable = sum(not row.answerer.last for row in self.rows)
        above = min(movable, max(0, round(y / max(1, self.rows[0].height()))))
        self._drop = None if dropped else above
        self.update()
        if dropped:
            self.move_row(place, above - 1 if above > place else above)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        for row in self.rows[1:]:
            painter.fillRect(0, row.y() - 1, self.width(), 1, self._theme.colour("border"))
        if self._drop is not None and self.rows:
            y = self._drop * self.rows[0].height()
            painter.fillRect(0, max(0, y - 1), self.width(), 2, self._theme.colour("accent"))
        painter.end()


class OrderRow(QWidget):
    accessible_role = QAccessible.Role.ListItem

    def __init__(self, theme: Theme, owner: OrderList, place: int) -> None:
        super().__init__(owner)
        self._theme = theme
        self._owner = owner
        self.place = place
        self._movable = 1
        self.answerer: Answerer = Answerer(Target(), "", "", "away")
        self._ring = False
        self.handle = Handle(theme, self)
        self.number = Label(str(place + 1), tone="text3")
        self.dot = Dot(theme)
        self.name = Label()
        self.words = Label(scale="small", tone="text3")
        self.more = Button(theme, kind="flat", icon="ellipsis", name=tr("More"), size="small")
        self.more.clicked.connect(self.open_menu)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(self.name)
        texts.addWidget(self.words)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(8)
        for widget in (self.handle, self.number, self.dot):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.addLayout(texts, 1)
        layout.addWidget(self.more)
        for label in (self.name, self.words):
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        policy = self.handle.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.handle.setSizePolicy(policy)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumHeight(ROW_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def show_answerer(self, answerer: Answerer, movable: int) -> None:
        """movable: how many rows there are before this machine."""
        self.answerer, self._movable = answerer, movable
        self.name.setText(answerer.name)
        self.words.setText(answerer.words)
        self.words.setToolTip(answerer.words)
        self.dot.show_reach(answerer.reach)
        self.handle.setVisible(not answerer.last and movable > 1)
        self.more.setVisible(bool(self._acts()))
        self.more.setAccessibleName(tr("More for {name}", name=answerer.name))
        self.setAccessibleName(
            tr("{place}, {name}, {words}", place=self.place + 1, name=answerer.name, words=answerer.words)
        )

    def _acts(self) -> list[tuple[str, str, int]]:
        """(word, shortcut, step; 0 = remove)"""
        if self.answerer.last:
            return []
        acts = []
        if self.place > 0:
            acts.append((tr("Move up"), tr("Alt+Up"), -1))
        if self.place < self._movable - 1:
            acts.append((tr("Move down"), tr("Alt+Down"), 1))
        if self.answerer.target.provider_key:
            acts.append((tr("Take out of the order"), tr("Del"), 0))
        return acts

    def open_menu(self) -> None:
        menu = Menu(self)
        for word, keys, step in self._acts():
            menu.addAction(f"{word}\t{keys}", partial(self._act, step))
        menu.open_below(self.more)

    def _act(self, step: int) -> None:
        if step:
            self._owner.move_row(self.place, self.place + step)
        else:
            self._owner.removed.emit(self.place)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        alt = event.modifiers() & Qt.KeyboardModifier.AltModifier
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if step is not None and alt and not self.answerer.last:
            self._owner.move_row(self.place, self.place + step)
        elif step is not None:
            rows = self._owner.rows
            rows[max(0, min(len(rows) - 1, self.place + step))].setFocus(Qt.FocusReason.TabFocusReason)
        elif event.key() == Qt.Key.Key_Delete and (tr("Take out of the order"), tr("Del"), 0) in self._acts():
            self._owner.removed.emit(self.place)
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._ring = event.reason() in KEYBOARD_REASONS or event.reason() == Qt.FocusReason.OtherFocusReason
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._ring = False
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._ring:
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(self._theme.colour("accent"), 2))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
            painter.end()


class Handle(IconLabel):
    """Where a row is taken hold of."""

    def __init__(self, theme: Theme, row: OrderRow) -> None:
        super().__init__(theme, "grip-vertical", "ctl", 14)
        self._row = row
        self.setCursor(Qt.CursorShape.OpenHandCursor)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._drag(event.globalPosition().toPoint(), dropped=False)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drag(event.globalPosition().toPoint(), dropped=True)

    def _drag(self, place: QPoint, *, dropped: bool) -> None:
        owner = self._row._owner
        owner.drag_to(self._row.place, owner.mapFromGlobal(place).y(), dropped=dropped)


class Dot(QWidget):
    """Full: there; a ring: away. The words beside it say the same."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._reach = "away"
        self.setFixedSize(DOT + 2, DOT + 2)

    def show_reach(self, reach: str) -> None:
        self._reach = reach
        self.update()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(1, 1, DOT, DOT)
        if self._reach == "away":
            painter.setPen(QPen(self._theme.colour("ctl"), 1.5))
            painter.drawEllipse(rect.adjusted(1, 1, -1, -1))
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._theme.colour("local" if self._reach == "here" else "live"))
            painter.drawEllipse(rect)
        painter.end()
