"""My key: the QR, the digits in groups of four, Copy and the large QR."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.i18n import tr
from app.theme import Theme
from app.views.share_dialogs import QrDialog
from app.widgets.button import Button, CopyButton
from app.widgets.card import PADDING, Card
from app.widgets.keys import KeyGrid
from app.widgets.qr import Qr
from qvac_core.codec.key_links import link_of, qr_text

QR_SIZE = 99
BUTTON_WIDTH = 92


class KeyCard(Card):
    """`named`: the owner has changed what the machine is called in links and pictures."""

    named = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("My key"), tr("give it to the people you allow"), parent=parent)
        self._theme = theme
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

    def show_large(self) -> None:
        dialog = QrDialog(self._theme, self._public_key, self.window(), name=self._name)
        dialog.named.connect(self.show_name)
        dialog.named.connect(self.named)
        dialog.open()
