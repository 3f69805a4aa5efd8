"""Two or three choices side by side, one of them in force."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFont, QFontMetrics, QKeyEvent, QPaintEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QStyle,
    QStyleOptionButton,
    QStylePainter,
    QWidget,
)

from app.widgets.focus import show_ring
from app.widgets.label import restyle
from app.widgets.radio_button import RadioButton

PAD = 12


class Segment(RadioButton):
    """One of several, and called so by screen readers; it looks like a button.

    As wide as its word is when chosen: bold, which the sheet's own size does not count.
    """

    def sizeHint(self) -> QSize:
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold)
        return QSize(QFontMetrics(font).horizontalAdvance(self.text()) + 2 * PAD, super().sizeHint().height())

    def hitButton(self, position: QPoint) -> bool:
        return self.rect().contains(position)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            super().keyPressEvent(event)
        elif not event.isAutoRepeat():
            self.click()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        show_ring(self, event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        show_ring(self, event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        option = QStyleOptionButton()
        self.initStyleOption(option)
        option.state &= ~QStyle.StateFlag.State_HasFocus  # the sheet paints the ring
        painter = QStylePainter(self)
        painter.drawControl(QStyle.ControlElement.CE_PushButton, option)
        painter.end()


class Segmented(QWidget):
    """`chosen` fires for clicks only, never for `show_choice`."""

    chosen = Signal(str)

    def __init__(self, name: str, choices: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self._buttons: dict[str, Segment] = {}
        group = QButtonGroup(self)
        group.setExclusive(True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for value, text in choices:
            button = Segment(text)
            button.setAccessibleName(f"{name}: {text}".rstrip("…"))
            button.clicked.connect(lambda _checked=False, value=value: self.chosen.emit(value))
            group.addButton(button)
            layout.addWidget(button)
            self._buttons[value] = button
        self._round_ends()

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(self._buttons)

    @property
    def choice(self) -> str:
        return next((value for value, button in self._buttons.items() if button.isChecked()), "")

    def show_choice(self, value: str) -> None:
        self._buttons[value].setChecked(True)

    def rename(self, value: str, text: str) -> None:
        button = self._buttons[value]
        if button.text() != text:
            button.setText(text)
            button.setAccessibleName(f"{self.accessibleName()}: {text}".rstrip("…"))
            button.updateGeometry()

    def _round_ends(self) -> None:
        """The sheet knows left and right only; on a mirrored page the first is at the right."""
        buttons = list(self._buttons.values())
        ends = ("last", "first") if self.isRightToLeft() else ("first", "last")
        for button in buttons:
            place = ends[0] if button is buttons[0] else ends[1] if button is buttons[-1] else "middle"
            button.setProperty("segment", place)
            restyle(button)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.LayoutDirectionChange:
            self._round_ends()

    def button(self, value: str) -> Segment:
        return self._buttons[value]
