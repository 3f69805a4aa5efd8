"""The sections of a page, one of them in front: name with icon, and how many hits a search has in each."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFont, QFontMetrics, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QButtonGroup, QSizePolicy, QVBoxLayout, QWidget

from app.theme import Theme
from app.widgets.focus import ring_after
from app.widgets.radio_button import RadioButton

HEIGHT = 34
INSET = 10
MARK = 16


class SectionButton(RadioButton):
    """`hits` None: nobody searches."""

    typed = Signal(str)
    stepped = Signal(int)

    def __init__(self, theme: Theme, text: str, icon: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self._theme = theme
        self._icon = icon
        self._ring = False
        self.hits: int | None = None
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        font = QFont(self._theme.font(weight=600))
        metrics = QFontMetrics(font)
        width = 2 * INSET + MARK + 9 + metrics.horizontalAdvance(self.text()) + 28
        return QSize(width, max(HEIGHT, metrics.height() + 16))

    def hitButton(self, position: QPoint) -> bool:
        return self.rect().contains(position)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up and Down walk, letters go to the search."""
        steps = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}
        if event.key() in steps:
            self.stepped.emit(steps[Qt.Key(event.key())])
        elif event.text().isalnum() and event.modifiers() in (
            Qt.KeyboardModifier.NoModifier,
            Qt.KeyboardModifier.ShiftModifier,
        ):
            self.typed.emit(event.text())
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = ring_after(event, self._ring)
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._ring = ring_after(event, self._ring)
        super().focusOutEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect())
        chosen = self.isChecked() and self.hits is None
        if chosen or self.underMouse():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("sel"))
            painter.drawRoundedRect(box, 6, 6)
        if self._ring and self.hasFocus():
            painter.setPen(QPen(theme.colour("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box.adjusted(1, 1, -1, -1), 6, 6)
        strong = chosen or bool(self.hits)
        tone = "text3" if self.hits == 0 else "text"
        icon = self._at(QRectF(INSET, round(box.center().y() - MARK / 2), MARK, MARK))
        pixmap = theme.pixmap(self._icon, "text" if strong else "text2", MARK, self.devicePixelRatioF())
        painter.drawPixmap(icon.topLeft(), pixmap)
        start = INSET + MARK + 9
        count = str(self.hits) if self.hits else ""
        painter.setFont(theme.font("hint", tabular=True))
        room = painter.fontMetrics().horizontalAdvance(count) + 10 if count else 0
        painter.setPen(theme.colour("text3"))
        trailing = int(Qt.AlignmentFlag.AlignTrailing | Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(self._at(box.adjusted(start, 0, -INSET, 0)), trailing, count)
        painter.setFont(theme.font(weight=600 if strong else 400))
        painter.setPen(theme.colour(tone))
        area = box.adjusted(start, 0, -INSET - room, 0)
        text = painter.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, round(area.width()))
        leading = int(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(self._at(area), leading, text)
        painter.end()

    def _at(self, box: QRectF) -> QRectF:
        if not self.isRightToLeft():
            return box
        return QRectF(self.width() - box.right(), box.top(), box.width(), box.height())


class SectionList(QWidget):
    """`chosen(name)` for what people do. Up and Down walk; letters that are typed go to `typed`."""

    chosen = Signal(str)
    typed = Signal(str)

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setAccessibleName(name)
        self.buttons: dict[str, SectionButton] = {}
        self._group = QButtonGroup(self)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)

    def add(self, name: str, text: str, icon: str) -> None:
        button = SectionButton(self._theme, text, icon)
        button.setAccessibleName(text)
        button.clicked.connect(lambda: self.chosen.emit(name))
        button.typed.connect(self.typed)
        button.stepped.connect(lambda step: self._step(name, step))
        self._group.addButton(button)
        self._layout.addWidget(button)
        self.buttons[name] = button

    @property
    def current(self) -> str:
        return next((name for name, button in self.buttons.items() if button.isChecked()), "")

    def show_current(self, name: str) -> None:
        self.buttons[name].setChecked(True)

    def show_hits(self, hits: Mapping[str, int] | None, words: Mapping[str, str] | None = None) -> None:
        """words: the same for who cannot see."""
        for name, button in self.buttons.items():
            button.hits = None if hits is None else hits.get(name, 0)
            button.setAccessibleDescription((words or {}).get(name, ""))
            button.update()

    def _step(self, name: str, step: int) -> None:
        names = list(self.buttons)
        place = names.index(name) + step
        if 0 <= place < len(names):
            button = self.buttons[names[place]]
            button.setFocus(Qt.FocusReason.TabFocusReason)
            button.click()
