"""An error where it happened: soft red, bold cause, a sentence that helps, the remedy first, Copy details last."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.announcements import announce
from app.core_words import told
from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button, CopyButton
from app.widgets.flow_row import FlowRow
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from app.widgets.menu import Menu
from qvac_core.core.state import ErrorInfo
from qvac_core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Act:
    """A button that helps: what it says and what it does."""

    text: str
    do: Callable[[], None]
    kind: str = "quiet"
    icon: str = ""


class ErrorPanel(QFrame):
    """Hidden until `show_error`. `dismissed` fires when the person puts it away.

    `compact`: where there is little room, Copy details and further acts are in a menu.
    """

    dismissed = Signal()

    def __init__(
        self, theme: Theme, *, dismissable: bool = True, compact: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._dismissable = dismissable
        self._compact = compact
        self.setObjectName("errorPanel")
        self.title = Label(weight=600, wrap=True, selectable=True)
        self.message = Label(tone="text2", wrap=True, selectable=True)
        self._acts = FlowRow()
        texts = QVBoxLayout()
        texts.setSpacing(4)
        texts.addWidget(self.title)
        texts.addWidget(self.message)
        texts.addSpacing(4)
        texts.addLayout(self._acts)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 12, 12, 12)
        layout.setSpacing(8)
        layout.addWidget(IconLabel(theme, "circle-x", "danger"), 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(texts, 1)
        self.hide()

    def show_error(self, error: ErrorInfo, acts: Sequence[Act] = (), more: Sequence[Act] = ()) -> None:
        """`more`: acts of the menu, where it is compact."""
        self._empty_acts()
        title, message = told(error.title), told(error.message)
        self.title.setText(title)
        self.message.setText(message)
        self.message.setVisible(bool(message))
        for act in acts:
            button = Button(self._theme, act.text, kind=act.kind, icon=act.icon)
            # Through a function of ours: Qt keeps methods by weak reference, and not every object can have one.
            button.clicked.connect(lambda _checked=False, do=act.do: do())
            self._acts.add(button)
        if self._compact:
            self._add_menu(error, more)
        else:
            details = CopyButton(self._theme, describe(error), text=tr("Copy details"), kind="flat")
            self._acts.add(details, at_end=True)
        if self._dismissable:
            close = Button(self._theme, tr("Dismiss"), kind="flat", name=tr("Dismiss this message"))
            close.clicked.connect(self.clear)
            close.clicked.connect(self.dismissed)
            self._acts.add(close, at_end=True)
        self.show()
        said = f"{title} {message}".strip()
        self.setAccessibleName(said)
        announce(self, said, assertive=True)

    def _add_menu(self, error: ErrorInfo, more: Sequence[Act]) -> None:
        button = Button(self._theme, kind="flat", icon="ellipsis", name=tr("More about this failure"))

        def open_menu() -> None:
            menu = Menu(self)
            for act in more:
                menu.addAction(act.text, act.do)
            menu.addAction(tr("Copy details"), lambda: QGuiApplication.clipboard().setText(describe(error)))
            menu.open_below(button)

        button.clicked.connect(open_menu)
        self._acts.add(button)

    def clear(self) -> None:
        self.hide()

    def _empty_acts(self) -> None:
        while (item := self._acts.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()


def describe(error: ErrorInfo) -> str:
    """What Copy details puts on the clipboard: codes belong here, not into the sentence."""
    code = f" ({error.code})" if error.code else ""
    return f"{error.name}{code}: {error.title} {error.message}".strip()
