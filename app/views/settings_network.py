"""Network and relays on the Settings page: how this machine is connected, which relays it goes through, one more; and
the relay that it is for others.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.announcements import announce
from app.i18n import later, tr
from app.key_words import group_key
from app.network_words import headline, offer_line
from app.presenters.network import NetworkPresenter
from app.presenters.settings_rows import Row
from app.theme import Theme
from app.views.settings_row import GIVEN, SIDE, SettingsEntry, SettingsRow
from app.widgets.avatar import Avatar
from app.widgets.button import Button, CopyButton
from app.widgets.error_panel import ErrorPanel
from app.widgets.keys import KeyField
from app.widgets.label import Label
from app.widgets.marked_label import MarkedLabel
from app.widgets.own_font import keep_font
from app.widgets.own_width import keep_width
from app.widgets.status_line import StatusLine
from qvac_core.codec.key_text import KeyCheck, short_key
from qvac_core.core.relay_offer_state import RelayPhase
from qvac_core.core.state import ErrorInfo

RELAY_SENTENCE = later(
    "Where two routers allow no direct path, a relay forwards what it cannot read. Anybody who can be reached runs "
    "one, by the switch below or with 'qvac-desktop relay', and gives you its key. One of the two machines has to "
    "name it."
)
OWN_KEY = later("This is your own key. A relay is another machine, which both of you can reach.")
LOOK_MS = 2000
KNOWN = later("This relay is in the list already.")


class ConnectionEntry(SettingsEntry):
    """Looks when it is first seen, and again when asked."""

    def __init__(self, presenter: NetworkPresenter, theme: Theme, row: Row) -> None:
        super().__init__()
        self._presenter = presenter
        self._words = row.words
        self._looked = False
        self.line = StatusLine(theme)
        self.again = Button(theme, tr("Look again"), icon="refresh-cw", name=tr("Look at the network again"))
        self.error = ErrorPanel(theme)
        first = QHBoxLayout()
        first.setSpacing(16)
        first.addWidget(self.line, 1)
        first.addWidget(self.again)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SIDE, 12, SIDE, 12)
        layout.setSpacing(8)
        layout.addLayout(first)
        layout.addWidget(self.error)
        self.again.clicked.connect(self.look)
        presenter.looked.connect(self._show)
        presenter.failed.connect(self.error.show_error)
        self._show()

    def texts(self) -> tuple[str, ...]:
        return (tr("Connection"), self.line.text, *self._words)

    def look(self) -> None:
        self._looked = True
        self.error.clear()
        self._presenter.look()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._looked:
            self.look()

    def _show(self) -> None:
        presenter = self._presenter
        self.again.setEnabled(not presenter.looking)
        if presenter.looking:
            self.line.show_status(
                "clock", tr("Looking at the network…"), tr("Some machines are asked how they see this one.")
            )
        elif presenter.report is None:
            self.line.show_status("triangle-alert", tr("The network could not be looked at."), "", "danger")
        else:
            self.line.show_status(*headline(presenter.report))


class RelaysEntry(SettingsEntry):
    """The relays as they are tried, each with a way to remove it."""

    def __init__(self, presenter: NetworkPresenter, theme: Theme, row: Row) -> None:
        super().__init__()
        self._presenter, self._theme = presenter, theme
        self._words = row.words
        self.sentence = MarkedLabel(theme, tr(RELAY_SENTENCE), scale="hint", tone="text3")
        self.given = Label(tr(GIVEN), scale="hint", tone="text2")
        self.removes: dict[str, Button] = {}
        self._rows = QVBoxLayout()
        self._rows.setSpacing(2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SIDE, 12, SIDE, 10)
        layout.setSpacing(6)
        layout.addWidget(self.sentence)
        layout.addWidget(self.given)
        layout.addLayout(self._rows)
        presenter.relays_changed.connect(self.refresh)
        self.refresh()

    def texts(self) -> tuple[str, ...]:
        return (tr("Relays"), self.sentence.text(), *self._presenter.relays, *self._words)

    def mark(self, words: Sequence[str]) -> None:
        self.sentence.mark(words)

    def refresh(self) -> None:
        while (item := self._rows.takeAt(0)) is not None:
            if (row := item.widget()) is not None:
                row.hide()
                row.deleteLater()
        self.removes = {}
        self.given.setVisible(self._presenter.relays_fixed)
        for place, public_key in enumerate(self._presenter.relays):
            self._rows.addWidget(self._row(public_key, first=place == 0))

    def _row(self, public_key: str, *, first: bool) -> QWidget:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 2, 0, 2)
        row.setSpacing(10)
        row.addWidget(Avatar(public_key, 24))
        key = Label(short_key(public_key), selectable=True)
        keep_font(key, self._theme, lambda: self._theme.fixed_font())
        key.setToolTip(group_key(public_key))
        row.addWidget(key)
        place = tr("tried first") if first and len(self._presenter.relays) > 1 else ""
        row.addWidget(Label(place, scale="hint", tone="text3"), 1)
        name = tr("Remove the relay {key}", key=short_key(public_key))
        remove = Button(self._theme, tr("Remove"), kind="flat", name=name)
        remove.clicked.connect(lambda: self._presenter.remove_relay(public_key))
        remove.setEnabled(not self._presenter.relays_fixed)
        row.addWidget(remove)
        self.removes[public_key] = remove
        return holder


class AddRelayEntry(SettingsRow):
    def __init__(self, presenter: NetworkPresenter, theme: Theme, row: Row) -> None:
        self._presenter = presenter
        self.key = KeyField(theme, tr("Key of a relay"), tr("Key of a relay, 64 characters"))
        keep_width(self.key, theme, 260, least=True)
        self.add = Button(theme, tr("Add relay"), icon="plus")
        label, hint = tr("Add a relay"), tr("For networks that block a direct path.")
        super().__init__(theme, label, hint, self.key, self.add, words=row.words)
        self.add.clicked.connect(self._add)
        self.key.checked.connect(self._check)
        self.key.returnPressed.connect(self._add)
        presenter.relays_changed.connect(self._refresh)
        presenter.relay_failed.connect(self._show_error)
        self._refresh()

    def _refresh(self) -> None:
        self.key.setEnabled(not self._presenter.relays_fixed)
        self._check(KeyCheck.KEY if self.key.key else KeyCheck.EMPTY, "")

    def _check(self, state: KeyCheck, sentence: str) -> None:
        own = self.key.key == self._presenter.public_key and bool(self.key.key)
        known = self.key.key in self._presenter.relays
        said = tr(OWN_KEY) if own else tr(KNOWN) if known else sentence
        self.set_note(said, "danger" if own or state is KeyCheck.WRONG else "text3")
        if own or known:
            announce(self, said)
        self.add.setEnabled(state is KeyCheck.KEY and not own and not known and not self._presenter.relays_fixed)
        self.add.setToolTip("" if self.add.isEnabled() else tr("A complete key is needed."))

    def _add(self) -> None:
        if self.add.isEnabled():
            self._presenter.add_relay(self.key.key)
            self.key.clear()

    def _show_error(self, error: ErrorInfo) -> None:
        self.set_note(f"{error.title} {error.message}".strip(), "danger")
        announce(self, self.note.text(), assertive=True)


class RelayOfferEntry(SettingsEntry):
    """What goes through this machine's relay now, and the key by which others name it."""

    def __init__(self, presenter: NetworkPresenter, theme: Theme, row: Row) -> None:
        super().__init__()
        self._presenter = presenter
        self._words = row.words
        self.line = StatusLine(theme)
        self.key = Label(selectable=True)
        keep_font(self.key, theme, lambda: theme.fixed_font())
        self.copy = CopyButton(theme, text=tr("Copy key"), name=tr("Copy the key of this relay"))
        self._keys = QWidget()
        keys = QHBoxLayout(self._keys)
        keys.setContentsMargins(0, 0, 0, 0)
        keys.setSpacing(10)
        keys.addWidget(Label(tr("Key of this relay"), tone="text2"))
        keys.addWidget(self.key, 1)
        keys.addWidget(self.copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SIDE, 10, SIDE, 10)
        layout.setSpacing(8)
        layout.addWidget(self.line)
        layout.addWidget(self._keys)
        # What is forwarded grows without an event.
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(presenter.look_at_offer)
        presenter.offer_changed.connect(self._show)
        self._show()

    def texts(self) -> tuple[str, ...]:
        return (tr("What it forwards"), self.line.text, self._presenter.offer.public_key, *self._words)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._presenter.look_at_offer()
        self._watch()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def _watch(self) -> None:
        running = self._presenter.offer.phase is not RelayPhase.OFF
        if running and self.isVisible():
            self._timer.start()
        else:
            self._timer.stop()

    def _show(self) -> None:
        offer = self._presenter.offer
        self.line.show_status(*offer_line(offer))
        self.key.setText(short_key(offer.public_key) if offer.public_key else "")
        self.key.setToolTip(group_key(offer.public_key))
        self.copy.value = offer.public_key
        self._keys.setVisible(offer.phase is not RelayPhase.OFF)
        self._watch()
