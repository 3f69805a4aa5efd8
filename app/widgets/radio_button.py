"""A radio button that assistive technology can choose, not only check."""

from __future__ import annotations

from PySide6.QtWidgets import QRadioButton, QWidget


class RadioButton(QRadioButton):
    """Connect `clicked`. The "Toggle" that Qt offers to assistive technology changes the mark alone: here it clicks."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self._ours = False  # the change comes from a click or from code
        self.toggled.connect(self._changed)

    def setChecked(self, on: bool) -> None:
        self._ours = True
        super().setChecked(on)
        self._ours = False

    def nextCheckState(self) -> None:
        self._ours = True
        super().nextCheckState()
        self._ours = False

    def _changed(self, on: bool) -> None:
        if on and not self._ours:
            self.clicked[bool].emit(True)  # type: ignore[index]  # missing in the stubs
