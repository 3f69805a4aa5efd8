"""Asked where a window is closed that shares, and the desktop has no tray for it to stay in."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.dialog import Dialog


class KeepSharingDialog(Dialog):
    """Enter minimises. `stop_and_quit` is asked for in red."""

    def __init__(
        self, theme: Theme, minimise: Callable[[], None], stop_and_quit: Callable[[], None], parent: QWidget
    ) -> None:
        super().__init__(
            theme,
            tr("Keep sharing without a window?"),
            tr("This desktop has no tray. The window can be minimised instead and stays in the task list."),
            tr("Minimise"),
            parent=parent,
        )
        self.stop = Button(theme, tr("Stop and quit"), kind="danger")
        self.stop.clicked.connect(self.reject)
        self.stop.clicked.connect(stop_and_quit)
        self.accepted.connect(minimise)
        self.buttons.insertWidget(self.buttons.indexOf(self.confirm), self.stop)
