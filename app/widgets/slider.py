"""A slider, and one beside a number field that takes the same value."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QFocusEvent, QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QSlider, QWidget

from app.theme import Theme
from app.widgets.focus import show_ring
from app.widgets.label import restyle
from app.widgets.number import Number

WIDTH = 180


class Slider(QSlider):
    """Horizontal. The wheel scrolls the page unless the slider has the focus."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._fill()

    def _fill(self) -> None:
        """The sheet knows what is left and right of the knob; on a mirrored page the filled part is at the right."""
        self.setProperty("mirrored", "true" if self.isRightToLeft() else "false")
        restyle(self)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.LayoutDirectionChange:
            self._fill()

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        show_ring(self, event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        show_ring(self, event)


class SliderNumber(QWidget):
    """`chosen(value)` when a person has let go of the knob, stepped, or written a number; `moved` while it is dragged.

    step: of the arrows and of the knob; the field takes every whole number between `low` and `high`.
    """

    chosen = Signal(int)
    moved = Signal(int)

    def __init__(
        self,
        theme: Theme,
        name: str,
        low: int,
        high: int,
        *,
        step: int = 1,
        unit: str = "",
        zero: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._step = step
        self._shown = low
        self.slider = Slider(name)
        # In steps, so that the knob stops at round numbers.
        self.slider.setRange(low // step, -(-high // step))
        self.slider.setPageStep(max(1, (high - low) // step // 10))
        self.number = Number(theme, name, low, high, step=step, unit=unit, zero=zero)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        self.slider.setMinimumWidth(80)
        self.slider.setMaximumWidth(WIDTH)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.number)
        self.setFocusProxy(self.number)
        self.number.chosen.connect(self._take)
        self.slider.valueChanged.connect(self._slide)
        self.slider.sliderReleased.connect(lambda: self._take(self.number.value()))

    @property
    def value(self) -> int:
        return self.number.value()

    def show_value(self, value: int) -> None:
        self._shown = value
        self.number.show_value(value)
        self.slider.blockSignals(True)
        self.slider.setValue(round(value / self._step))
        self.slider.blockSignals(False)

    def setAccessibleName(self, name: str) -> None:
        super().setAccessibleName(name)
        self.slider.setAccessibleName(name)
        self.number.setAccessibleName(name)

    def _slide(self, steps: int) -> None:
        self.number.show_value(steps * self._step)
        if self.slider.isSliderDown():
            self.moved.emit(self.number.value())
        else:
            self._take(self.number.value())

    def _take(self, value: int) -> None:
        if value != self._shown:
            self.show_value(value)
            self.chosen.emit(value)
