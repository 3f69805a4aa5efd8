"""The line under an answer: who computed it, by which path, how fast; at its end the acts, always in full view."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button, CopyButton
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from app.widgets.menu import Menu, add_languages

HEIGHT = 28


class StatsLine(QWidget):
    """`regenerate` and `copy` are acts of the whole answer. Narrow: copy and a menu."""

    regenerate = Signal()
    translate = Signal(str)  # the code of a language

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._facts: tuple[str, ...] = ()
        self._regenerable = self._copyable = False
        self.languages: tuple[tuple[str, str], ...] = ()  # (code, name) to translate into
        self._narrow = False
        self.icon = IconLabel(theme, "waypoints", "accent")
        self.who = Label(scale="hint", tone="text2", weight=600)
        self.facts = Label(scale="hint", tone="text3")
        self.facts.setFont(theme.font("hint", tabular=True))
        self.copy = CopyButton(theme, text="", kind="flat", name=tr("Copy the answer"))
        self.again = Button(theme, kind="flat", icon="rotate-ccw", name=tr("Answer again"))
        self.more = Button(theme, kind="flat", icon="ellipsis", name=tr("More for this answer"))
        self.again.clicked.connect(self.regenerate)
        self.more.clicked.connect(self._open_menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(7)
        for widget in (self.icon, self.who, self.facts):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.addStretch(1)
        for button in (self.copy, self.again, self.more):
            button.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
            layout.addWidget(button)
        self.setMinimumHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    @property
    def words(self) -> str:
        return " · ".join((self.who.text(), *self._facts))

    def show_facts(self, who: str, facts: Sequence[str], *, local: bool) -> None:
        self._facts = tuple(facts)
        self.icon.set_icon("laptop" if local else "waypoints", "local" if local else "accent")
        self.who.setText(who)
        self.facts.setText("  ·  ".join(("", *facts)).lstrip())
        if self.accessibleName() != self.words:
            self.setAccessibleName(self.words)
        self._show_acts()

    def set_acts(self, *, copyable: bool, regenerable: bool) -> None:
        self.copy.setVisible(copyable)
        self._copyable = copyable
        self._regenerable = regenerable
        self._show_acts()

    def set_narrow(self, narrow: bool) -> None:
        self._narrow = narrow
        self._show_acts()

    def _show_acts(self) -> None:
        self.again.setVisible(self._regenerable and not self._narrow)
        self.more.setVisible((self._regenerable and self._narrow) or (self._copyable and bool(self.languages)))

    def _open_menu(self) -> None:
        menu = Menu(self)
        if self._regenerable:
            menu.addAction(self._theme.icon("rotate-ccw"), tr("Answer again"), self.regenerate.emit)
        if self.languages and self._copyable:
            add_languages(menu, self._theme, tr("Translate to"), self.languages, self.translate.emit)
        menu.open_below(self.more)
