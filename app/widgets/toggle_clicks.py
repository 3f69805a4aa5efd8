"""A button whose "Toggle", as assistive technology does it, is a click: Qt's own changes the mark alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QAbstractButton as _Button
else:
    _Button = object


class ToggleClicks(_Button):
    """Stands before a checkable QAbstractButton among the bases of a class. Connect `clicked` for what people do.

    `toggle_clicks` is called by that class at the end of its `__init__`.
    """

    _ours = False  # the change comes from a click or from code

    def toggle_clicks(self) -> None:
        self.toggled.connect(self._click_for_others)

    def setChecked(self, on: bool) -> None:
        self._ours = True
        super().setChecked(on)
        self._ours = False

    def nextCheckState(self) -> None:
        self._ours = True
        super().nextCheckState()
        self._ours = False

    def _click_for_others(self, on: bool) -> None:
        # A button of an exclusive group goes out because another was chosen: nobody clicked it.
        if not self._ours and (on or not self.autoExclusive()):
            self.clicked[bool].emit(on)  # type: ignore[index]  # missing in the stubs
