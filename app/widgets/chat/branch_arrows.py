"""Which of the messages that stand in one place is shown: an arrow to the one before, "2 of 3", one to the next."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from app.announcements import announce
from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.label import Label
from qvac_core.core.state import Message


def neighbour(message: Message, step: int) -> str:
    """The id of the message that stands `step` places further among the branches, "" where there is none."""
    if message.id not in message.branches:
        return ""
    at = message.branches.index(message.id) + step
    return message.branches[at] if 0 <= at < len(message.branches) else ""


class BranchArrows(QWidget):
    """Nothing where a message stands alone. `wanted` says the id of the branch that is to be shown."""

    wanted = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._message: Message | None = None
        self.before = Button(theme, kind="flat", icon="chevron-left", name=tr("The version before"), size="small")
        self.place = Label(scale="hint", tone="text2")
        self.after = Button(theme, kind="flat", icon="chevron-right", name=tr("The next version"), size="small")
        self.before.clicked.connect(lambda: self._want(-1))
        self.after.clicked.connect(lambda: self._want(1))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for widget in (self.before, self.place, self.after):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
        for button in (self.before, self.after):
            button.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.before.setToolTip(tr("Alt+Left"))
        self.after.setToolTip(tr("Alt+Right"))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._turn()
        self.hide()

    def show_message(self, message: Message) -> None:
        self._message = message
        there = message.id in message.branches and len(message.branches) > 1
        self.setVisible(there)
        if not there:
            return
        self.place.setText(place_words(message))
        self.place.setAccessibleName(tr("Version {place}.", place=place_words(message)))
        self.before.setEnabled(bool(neighbour(message, -1)))
        self.after.setEnabled(bool(neighbour(message, 1)))

    @property
    def stops(self) -> tuple[QWidget, ...]:
        """What Tab walks."""
        return tuple(button for button in (self.before, self.after) if self.isVisible() and button.isEnabled())

    def _want(self, step: int) -> None:
        if self._message is not None and (there := neighbour(self._message, step)):
            at = self._message.branches.index(there) + 1
            announce(self, tr("{at} of {count}", at=at, count=len(self._message.branches)))
            self.wanted.emit(there)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.LayoutDirectionChange:
            self._turn()

    def _turn(self) -> None:
        """The one before is at the side where reading begins."""
        sides = ("chevron-right", "chevron-left") if self.isRightToLeft() else ("chevron-left", "chevron-right")
        self.before.set_icon(sides[0])
        self.after.set_icon(sides[1])


def place_words(message: Message) -> str:
    return tr("{at} of {count}", at=message.branches.index(message.id) + 1, count=len(message.branches))
