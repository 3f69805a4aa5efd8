"""Texts too long for the composer's editor, each as a chip above it: what it is, how much, open, remove."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QWidget

from app.given_files import titled
from app.i18n import later, tr
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.chat.long_text import amount
from app.widgets.chat.long_text_box import open_long_text

HEIGHT = 34
RADIUS = 8
MOST = 3  # chips; what is pasted beyond them joins the last one
TITLE = later("Pasted text")


class Pasted(QWidget):
    """`changed`: a text was added or removed."""

    changed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._texts: list[str] = []
        self.chips: list[Chip] = []
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)
        self._layout.addStretch(1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.hide()

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(self._texts)

    def add(self, text: str) -> None:
        if len(self._texts) < MOST:
            self._texts.append(text)
        else:
            self._texts[-1] = f"{self._texts[-1]}\n\n{text}"
        self._show()

    def clear(self) -> None:
        if self._texts:
            self._texts.clear()
            self._show()

    def _remove(self, chip: Chip) -> None:
        del self._texts[self.chips.index(chip)]
        self._show()

    def _show(self) -> None:
        for chip in self.chips:
            self._layout.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        self.chips = [Chip(self._theme, text) for text in self._texts]
        for place, chip in enumerate(self.chips):
            chip.removed.connect(self._remove)
            self._layout.insertWidget(place, chip)
            chip.show()
        self.setVisible(bool(self.chips))
        self.changed.emit()


class Chip(QFrame):
    removed = Signal(object)  # itself

    def __init__(self, theme: Theme, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._text = text
        much = amount(text)
        file = titled(text)
        self._title = file or tr(TITLE)
        what = file or tr("the pasted text")
        self.open = Button(theme, f"{self._title} · {much}", kind="flat", icon="file-text", size="small")
        self.open.setAccessibleName(tr("Open {what}, {amount}", what=what, amount=much))
        self.open.clicked.connect(self._open)
        self.remove = Button(theme, kind="flat", icon="x", size="small", name=tr("Remove {what}", what=what))
        self.remove.clicked.connect(lambda: self.removed.emit(self))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        layout.setSpacing(2)
        layout.addWidget(self.open)
        layout.addWidget(self.remove)
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def _open(self) -> None:
        open_long_text(self._theme, self._title, self._text, self.window())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.colour("border"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        painter.end()
