"""My key: the QR, the digits in groups of four, Copy and the large QR."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.announcements import announce
from app.i18n import tr
from app.presenters.identity import IdentityPresenter
from app.theme import Theme
from app.views.share_dialogs import QrDialog
from app.views.share_identity import MachineNameDialog, NewIdentityDialog, ask_backup, ask_restore
from app.widgets.button import Button, CopyButton
from app.widgets.card import PADDING, Card
from app.widgets.error_panel import ErrorPanel
from app.widgets.keys import KeyGrid
from app.widgets.label import Label
from app.widgets.menu import Menu
from app.widgets.qr import Qr
from qvac_core.codec.key_links import link_of, qr_text
from qvac_core.codec.key_text import short_key
from qvac_core.core.state import ErrorInfo

QR_SIZE = 99
BUTTON_WIDTH = 92


class KeyCard(Card):
    """`named`: the owner has changed what the machine is called in links and pictures."""

    named = Signal(str)

    def __init__(self, presenter: IdentityPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("My key"), tr("give it to the people you allow"), parent=parent)
        self._theme = theme
        self._presenter = presenter
        self.more = Button(theme, kind="flat", icon="ellipsis", size="small", name=tr("More about my key"))
        self.add_act(self.more)
        self._public_key = ""
        self._name = ""
        self.qr = Qr(theme, QR_SIZE, tr("Show the QR code of my key large"))
        self.grid = KeyGrid(theme)
        self.copy = CopyButton(theme, name=tr("Copy my key"))
        self.large = Button(theme, "QR", icon="qr-code", name=tr("Show the QR code of my key"))
        self.link = CopyButton(theme, text=tr("Link"), name=tr("Copy the link of my key"))
        buttons = QVBoxLayout()
        buttons.setSpacing(6)
        buttons.addStrut(BUTTON_WIDTH)
        for button in (self.copy, self.large, self.link):
            button.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
            buttons.addWidget(button)
        buttons.addStretch(1)
        row = QHBoxLayout()
        row.setContentsMargins(PADDING - 1, 0, PADDING - 1, PADDING - 5)
        row.setSpacing(16)
        row.addWidget(self.qr, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.grid, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addStretch(1)
        row.addLayout(buttons)
        self.body.addLayout(row)
        self.next = Label(tone="warn", scale="hint", wrap=True)
        self._next_holder = self.add_padded(self.next, bottom=10)
        self.error = ErrorPanel(theme)
        self._error_holder = self.add_padded(self.error, bottom=12)
        self._error_holder.hide()
        self.error.dismissed.connect(self._error_holder.hide)
        self.more.clicked.connect(lambda: self.card_menu().open_below(self.more))
        presenter.changed.connect(self.refresh)
        self.refresh()
        self.qr.clicked.connect(self.show_large)
        self.large.clicked.connect(self.show_large)

    def show_key(self, public_key: str) -> None:
        self._public_key = public_key
        self.qr.set_text(qr_text(bytes.fromhex(public_key)))
        self.grid.set_key(public_key)
        self.copy.value = public_key
        self.show_name(self._name)

    def show_name(self, name: str) -> None:
        """What the owner calls this machine in the link; "" = nothing."""
        self._name = name
        if self._public_key:
            self.link.value = link_of(bytes.fromhex(self._public_key), name)

    def refresh(self) -> None:
        presenter = self._presenter
        self.show_name(presenter.name)
        shown = tr("shown to guests as {name}", name=presenter.name) if presenter.name else ""
        self.set_hint(shown or tr("give it to the people you allow"))
        waits = presenter.own.waits
        self._next_holder.setVisible(waits)
        if waits:
            key = short_key(presenter.own.next_key)
            self.next.setText(tr("From the next start on it is {key}. Quit and start QVAC Desktop again.", key=key))

    def card_menu(self) -> Menu:
        presenter, theme, window = self._presenter, self._theme, self.window()
        menu = Menu(self)
        name = menu.addAction(theme.icon("pencil"), tr("Name of this machine…"))
        name.triggered.connect(lambda: MachineNameDialog(presenter, theme, window).open())
        menu.addSeparator()
        backup = menu.addAction(tr("Back up the identity…"))
        backup.triggered.connect(lambda: ask_backup(presenter, window, self._saved, self.show_error))
        restore = menu.addAction(tr("Restore an identity…"))
        restore.triggered.connect(lambda: ask_restore(presenter, theme, window, self.show_error))
        new = menu.addAction(theme.icon("key-round", "danger"), tr("New identity…"))
        new.triggered.connect(lambda: NewIdentityDialog(presenter, theme, window).open())
        for act in (restore, new):
            act.setEnabled(not presenter.own.given)
        return menu

    def _saved(self, path: Path) -> None:
        self.clear_error()
        sentence = tr(
            "The identity is in {file}. Only you can read it. Keep it as you keep a password.", file=path.name
        )
        self.next.setText(sentence)
        self._next_holder.show()
        announce(self.window(), sentence)

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        self.error.show_error(error)

    def clear_error(self) -> None:
        self.error.clear()
        self._error_holder.hide()

    def show_large(self) -> None:
        dialog = QrDialog(self._theme, self._public_key, self.window(), name=self._name)
        dialog.named.connect(self._presenter.take_name)
        dialog.named.connect(self.named)
        dialog.open()
