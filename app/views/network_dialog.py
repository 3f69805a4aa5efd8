"""The network in words, and the relays: why peers may not be reached, and what helps. DESIGN.md, "Words"."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.announcements import announce
from app.core_words import told
from app.i18n import later, tr
from app.network_words import headline
from app.presenters.network import NEARBY, NetworkPresenter
from app.theme import Theme
from app.widgets.avatar import Avatar
from app.widgets.button import Button
from app.widgets.dialog import Dialog
from app.widgets.error_panel import ErrorPanel
from app.widgets.keys import KeyField, group_key
from app.widgets.label import Label
from app.widgets.status_line import StatusLine
from app.widgets.switch import ROW_SIZE, Switch
from qvac_core.codec.key_text import KeyCheck, short_key
from qvac_core.core.state import ErrorInfo

RELAY_SENTENCE = later(
    "Where two routers allow no direct path, a relay forwards what it cannot read. Anybody who can be reached runs one "
    "with 'qvac-desktop relay' and gives you its key. One of the two machines has to name it."
)
NEARBY_SENTENCE = later(
    "Machines on the same network find each other by key, also without the internet. Who does not know the key learns "
    "nothing."
)
GIVEN = later("Set on the command line.")
OWN_KEY = later("This is your own key. A relay is another machine, which both of you can reach.")


class NetworkDialog(Dialog):
    """Looks at once when it opens, and again when asked. Changes of the relays act at once."""

    def __init__(self, presenter: NetworkPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, tr("Network"), "", "", cancel=tr("Close"), parent=parent)
        self._presenter = presenter
        self.line = StatusLine(theme)
        self.again = Button(theme, tr("Look again"), icon="refresh-cw", name=tr("Look at the network again"))
        self.given = Label(scale="hint", tone="text2", wrap=True)
        self.nearby = Switch(theme, tr("Find each other on the local network"), size=ROW_SIZE)
        self.nearby_given = Label(tr(GIVEN), scale="hint", tone="text2")
        self.relays_given = Label(tr(GIVEN), scale="hint", tone="text2")
        self.error = ErrorPanel(theme)
        self.key = KeyField(theme, tr("Key of a relay"), tr("Key of a relay, 64 characters"))
        self.said = Label(scale="hint", tone="text3", wrap=True)
        self.add = Button(theme, tr("Add relay"), icon="plus")
        self.rows = QVBoxLayout()
        self.rows.setSpacing(2)
        self.removes: dict[str, Button] = {}
        self._lay_out()
        self.again.clicked.connect(presenter.look)
        self.add.clicked.connect(self._add)
        self.key.checked.connect(self._check)
        self.key.returnPressed.connect(self._add)
        presenter.looked.connect(self._show_report)
        presenter.relays_changed.connect(self._show_relays)
        presenter.failed.connect(self._show_error)
        presenter.nearby_changed.connect(self._show_nearby)
        self.nearby.clicked.connect(presenter.set_nearby)
        self._show_report()
        self._show_relays()
        self._show_nearby()
        self._check(KeyCheck.EMPTY, "")
        # No default button: Enter in the key field adds the key, and does not close.
        self.cancel.setDefault(False)
        self.cancel.setAutoDefault(False)
        self.again.setFocus()
        presenter.look()

    def _lay_out(self) -> None:
        self.body.addSpacing(4)
        self.body.addWidget(self.line)
        self.body.addSpacing(4)
        self.body.addWidget(self.given)
        self.body.addLayout(_at_start(self.again))
        self.body.addSpacing(12)
        self.body.addLayout(self._nearby_row())
        self.body.addWidget(Label(tr(NEARBY_SENTENCE), tone="text2", wrap=True))
        self.body.addSpacing(12)
        relays = QHBoxLayout()
        relays.setSpacing(10)
        relays.addWidget(Label(tr("Relays"), weight=600))
        relays.addWidget(self.relays_given, 1)
        self.body.addLayout(relays)
        self.body.addWidget(Label(tr(RELAY_SENTENCE), tone="text2", wrap=True))
        self.body.addSpacing(4)
        self.body.addLayout(self.rows)
        entry = QHBoxLayout()
        entry.setSpacing(8)
        entry.addWidget(self.key, 1)
        entry.addWidget(self.add)
        self.body.addLayout(entry)
        self.body.addWidget(self.said)
        self.body.addWidget(self.error)

    def _nearby_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(Label(tr("Local network"), weight=600))
        row.addWidget(self.nearby)
        row.addWidget(self.nearby_given, 1)
        return row

    def _show_nearby(self) -> None:
        given = self._presenter.given
        fixed = NEARBY in given
        self.nearby.setChecked(self._presenter.nearby)
        self.nearby.setEnabled(not fixed)
        self.nearby.setToolTip(tr(GIVEN) if fixed else "")
        self.nearby.setAccessibleDescription(tr(GIVEN) if fixed else "")
        self.nearby_given.setVisible(fixed)
        words = _entrance(given)
        self.given.setText(words)
        self.given.setVisible(bool(words))
        self._refit()

    def _show_report(self) -> None:
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
        self._refit()

    def _show_relays(self) -> None:
        while (item := self.rows.takeAt(0)) is not None:
            if (row := item.widget()) is not None:
                row.hide()
                row.deleteLater()
        self.removes = {}
        fixed = self._relays_fixed
        self.relays_given.setVisible(fixed)
        self.key.setEnabled(not fixed)
        for place, public_key in enumerate(self._presenter.relays):
            self.rows.addWidget(self._row(public_key, first=place == 0))
        self.error.clear()
        self._refit()

    def _row(self, public_key: str, *, first: bool) -> QWidget:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 2, 0, 2)
        row.setSpacing(10)
        row.addWidget(Avatar(public_key, 24))
        key = Label(short_key(public_key), selectable=True)
        key.setFont(self._theme.fixed_font())
        key.setToolTip(group_key(public_key))
        row.addWidget(key)
        place = tr("tried first") if first and len(self._presenter.relays) > 1 else ""
        row.addWidget(Label(place, scale="hint", tone="text3"), 1)
        remove = Button(
            self._theme,
            tr("Remove"),
            kind="flat",
            name=tr("Remove the relay {key}", key=short_key(public_key)),
        )
        remove.clicked.connect(lambda: self._presenter.remove_relay(public_key))
        remove.setEnabled(not self._relays_fixed)
        row.addWidget(remove)
        self.removes[public_key] = remove
        return holder

    @property
    def _relays_fixed(self) -> bool:
        return "relays" in self._presenter.given

    def _check(self, state: KeyCheck, sentence: str) -> None:
        own = self.key.key == self._presenter.public_key and bool(self.key.key)
        known = self.key.key in self._presenter.relays
        self.said.setText(tr(OWN_KEY) if own else tr("This relay is in the list already.") if known else told(sentence))
        if own or known:
            announce(self, self.said.text())
        self.said.set_tone("danger" if own or state is KeyCheck.WRONG else "text3")
        self.said.setVisible(bool(self.said.text()))
        self.add.setEnabled(state is KeyCheck.KEY and not own and not known and not self._relays_fixed)
        self.add.setToolTip("" if self.add.isEnabled() else tr("A complete key is needed."))
        self._refit()

    def _add(self) -> None:
        if self.add.isEnabled():
            self._presenter.add_relay(self.key.key)
            self.key.clear()

    def _show_error(self, error: ErrorInfo) -> None:
        self.error.show_error(error)
        self._refit()

    def _refit(self) -> None:
        if self.isVisible():
            # Once rows that left are gone.
            QTimer.singleShot(0, self, self.fit)


def _entrance(given: Mapping[str, str]) -> str:
    """What else is shown when the command line decided it, in words."""
    entrance, port = given.get("bootstrap"), given.get("port")
    if entrance and port:
        return tr(
            "Set on the command line: the network is entered at {address}, UDP port {port}.",
            address=entrance,
            port=port,
        )
    if entrance:
        return tr("Set on the command line: the network is entered at {address}.", address=entrance)
    return tr("Set on the command line: UDP port {port}.", port=port) if port else ""


def _at_start(widget: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(widget)
    row.addStretch(1)
    return row
