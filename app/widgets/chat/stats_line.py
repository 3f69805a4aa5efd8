"""The line under an answer: who computed it, by which path, how fast; at its end the acts, always in full view."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from app.i18n import listed, tr
from app.languages import Choice
from app.theme import Theme
from app.widgets.button import Button, CopyButton
from app.widgets.chat.branch_arrows import BranchArrows
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from app.widgets.menu import Menu, add_languages
from app.widgets.own_font import keep_font
from qvac_core.core.state import Message

HEIGHT = 28
SPACING = 7


class StatsLine(QWidget):
    """`regenerate` and `copy` are acts of the whole answer. Narrow: copy and a menu."""

    regenerate = Signal()
    translate = Signal(str)  # the code of a language
    go_on_wanted = Signal()
    receipt_wanted = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._facts: tuple[str, ...] = ()
        self._regenerable = self._copyable = self._receipted = False
        self.languages: tuple[Choice, ...] = ()  # to translate into
        self._narrow = False
        self.icon = IconLabel(theme, "waypoints", "accent")
        self.who = Label(scale="hint", tone="text2", weight=600)
        self.facts = Label(scale="hint", tone="text3")
        keep_font(self.facts, theme, lambda: theme.font("hint", tabular=True))
        self.copy = CopyButton(theme, text="", kind="flat", name=tr("Copy the answer"))
        self.again = Button(theme, kind="flat", icon="rotate-ccw", name=tr("Answer again"))
        self.more = Button(theme, kind="flat", icon="ellipsis", name=tr("More for this answer"))
        self.again.clicked.connect(self.regenerate)
        self.more.clicked.connect(self._open_menu)
        self.branches = BranchArrows(theme)
        self.go_on = Button(theme, tr("Continue"), kind="link", size="small", name=tr("Continue the answer"))
        self.go_on.clicked.connect(self.go_on_wanted)
        self.go_on.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.go_on.hide()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACING)
        for widget in (self.icon, self.who, self.facts):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.addWidget(self.go_on)
        layout.addStretch(1)
        layout.addWidget(self.branches)
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
        self._fit_facts()
        if self.accessibleName() != self.words:
            self.setAccessibleName(self.words)
        self._show_acts()

    def set_acts(
        self, *, copyable: bool, regenerable: bool, continuable: bool = False, receipted: bool = False
    ) -> None:
        """receipted: another machine served it, so that there may be a receipt."""
        self._receipted = receipted
        self.go_on.setVisible(continuable)
        self.copy.setVisible(copyable)
        self._copyable = copyable
        self._regenerable = regenerable
        self._show_acts()

    def _fit_facts(self) -> None:
        """Numbers give way to the acts, from the first one on; where it went and how it ended stay."""
        others = [self.icon, self.who, self.go_on, self.branches, self.copy, self.again, self.more]
        shown = [widget for widget in others if widget.isVisibleTo(self)]
        room = self.width() - sum(widget.sizeHint().width() + SPACING for widget in shown) - SPACING
        words = list(self._facts)
        metrics = self.facts.fontMetrics()
        while len(words) > 2 and self.isVisible() and metrics.horizontalAdvance(_line(words)) > room:
            del words[1]
        tip = self.words if len(words) < len(self._facts) else ""
        if (_line(words), tip) != (self.facts.text(), self.facts.toolTip()):
            self.facts.setText(_line(words))
            self.facts.setToolTip(tip)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_facts()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._fit_facts()

    def show_branches(self, message: Message) -> None:
        self.branches.show_message(message)
        self._fit_facts()

    def set_narrow(self, narrow: bool) -> None:
        self._narrow = narrow
        self._show_acts()

    def _show_acts(self) -> None:
        self.again.setVisible(self._regenerable and not self._narrow)
        several = (self._regenerable and self._narrow) or (self._copyable and bool(self.languages))
        self.more.setVisible(several or self._receipted)
        self._fit_facts()

    def _open_menu(self) -> None:
        menu = Menu(self)
        if self._regenerable:
            menu.addAction(self._theme.icon("rotate-ccw"), tr("Answer again"), self.regenerate.emit)
        if self.languages and self._copyable:
            add_languages(menu, self._theme, tr("Translate to"), self.languages, self.translate.emit)
        if self._receipted:
            menu.addAction(self._theme.icon("file-text"), tr("Receipt…"), self.receipt_wanted.emit)
        menu.open_below(self.more)


def _line(facts: Sequence[str]) -> str:
    shown = listed(facts, "  ·  ")
    return f"·  {shown}" if shown else ""
