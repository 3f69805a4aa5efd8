"""Pictures that go along with the message, as chips above it, and what is so where the model cannot read them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from app.words import size

HEIGHT = 34
RADIUS = 8


class Attached(QWidget):
    removed = Signal(int)  # which one
    switch_wanted = Signal()  # to the model that can read them

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.chips: list[PictureChip] = []
        self._icon = IconLabel(theme, "triangle-alert", "warn")
        self.blind = Label(scale="hint", tone="warn", wrap=True)
        self.switch = Button(theme, "")
        self.switch.clicked.connect(self.switch_wanted)
        self._row = QHBoxLayout()
        self._row.setSpacing(8)
        self._row.addStretch(1)
        self._told = QWidget()
        told = QHBoxLayout(self._told)
        told.setContentsMargins(4, 0, 0, 0)
        told.setSpacing(6)
        told.addWidget(self._icon)
        told.addWidget(self.blind, 1)
        told.addWidget(self.switch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(self._row)
        layout.addWidget(self._told)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.hide()

    def show_pictures(self, pictures: Sequence[tuple[str, int]]) -> None:
        """(name, bytes)"""
        for chip in self.chips:
            self._row.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        self.chips = [PictureChip(self._theme, name, octets, removable=True) for name, octets in pictures]
        for place, chip in enumerate(self.chips):
            chip.remove.clicked.connect(lambda _checked=False, place=place: self.removed.emit(place))
            self._row.insertWidget(place, chip)
            chip.show()
        self.setVisible(bool(self.chips))

    def show_blind(self, sentence: str, switch: str) -> None:
        """`sentence`: that the model cannot read them, "" where it can. `switch`: what the button to another says."""
        self.blind.setText(sentence)
        self._told.setVisible(bool(sentence))
        self.switch.setText(switch)
        self.switch.setAccessibleName(switch)
        self.switch.setVisible(bool(switch))


class PictureChip(QFrame):
    def __init__(self, theme: Theme, name: str, octets: int, *, removable: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        info = size(octets) if octets else ""
        self.name = Label(name if len(name) <= 40 else f"{name[:24]}…{name[-12:]}", weight=500)
        self.name.setToolTip(name)
        self.remove = Button(theme, kind="flat", icon="x", size="small", name=tr("Remove {name}", name=name))
        self.remove.setVisible(removable)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 0, 4 if removable else 10, 0)
        layout.setSpacing(8)
        layout.addWidget(IconLabel(theme, "image"))
        layout.addWidget(self.name)
        if info:
            layout.addWidget(Label(info, scale="hint", tone="text3"))
        if removable:
            layout.addWidget(self.remove)
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Picture {name}, {info}", name=name, info=info).rstrip(", "))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.colour("border"), 1))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        painter.end()
