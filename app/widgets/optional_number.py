"""A field for a number that may be left at its default: then the default stands there, pale."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from app.i18n import number
from app.widgets.label import restyle


class OptionalNumber(QLineEdit):
    """`chosen`: a number, or None for the default, when it was written; `wrong` while what stands there is none.

    digits: behind the point; 0 = whole numbers.
    """

    chosen = Signal(object)  # float | int | None
    wrong_changed = Signal(bool)

    def __init__(
        self, name: str, default: str, low: float, high: float, *, digits: int = 0, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._low, self._high, self._digits = low, high, digits
        self._value: float | None = None
        self._wrong = False
        self.setAccessibleName(name)
        self.setPlaceholderText(default)
        self.setAlignment(Qt.AlignmentFlag.AlignTrailing | Qt.AlignmentFlag.AlignVCenter)
        self.textEdited.connect(lambda _text: self._set_wrong(False))
        self.editingFinished.connect(self._take)

    @property
    def value(self) -> float | None:
        return self._value

    @property
    def wrong(self) -> bool:
        return self._wrong

    def show_value(self, value: float | None) -> None:
        self._value = value
        if not (self.hasFocus() and self.isModified()):
            self._set_wrong(False)
            self.setText("" if value is None else self._written(value))
            self.setCursorPosition(0)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.isModified():
            self.setModified(False)
            self.show_value(self._value)
            return
        super().keyPressEvent(event)

    def _take(self) -> None:
        if not self.isModified():
            return
        text = self.text().strip()
        if not text:
            self._accept(None)
            return
        value = self._read(text)
        if value is None or not self._low <= value <= self._high:
            self._set_wrong(True)
            return
        self._accept(value)

    def _accept(self, value: float | None) -> None:
        self.setModified(False)
        changed = value != self._value
        self.show_value(value)
        if changed:
            self.chosen.emit(value)

    def _read(self, text: str) -> float | None:
        """In the user's way or in English; None for what is no number."""
        bare = "".join(text.split()).replace("\u2019", "")
        try:
            if self._digits:
                return round(float(bare.replace(",", ".")), self._digits)
            return int(bare.replace(",", "").replace(".", ""))
        except ValueError:
            return None

    def _written(self, value: float) -> str:
        if not self._digits:
            return number(int(value))
        whole = f"{value:.{self._digits}f}".rstrip("0")
        return number(value, max(1, len(whole.partition(".")[2])))

    def _set_wrong(self, wrong: bool) -> None:
        if wrong != self._wrong:
            self._wrong = wrong
            self.setProperty("state", "wrong" if wrong else "")
            restyle(self)
            self.wrong_changed.emit(wrong)
