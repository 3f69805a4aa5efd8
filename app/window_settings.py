"""What the gear opens: the theme, and the way to the network. Choices act at once."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QWidget

from app.i18n import later, tr
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.card import rule
from app.widgets.label import Label
from app.widgets.popup import Popup
from app.widgets.radio_button import RadioButton

CHOICES = (("system", later("As the system")), ("light", later("Light")), ("dark", later("Dark")))


class SettingsPopup(Popup):
    """`theme_chosen(setting)`: system, light or dark. `network_wanted`: the dialog with the relays."""

    theme_chosen = Signal(str)
    network_wanted = Signal()

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(theme, tr("Settings"), parent)
        self.body.addWidget(Label(tr("Theme"), weight=600))
        self.buttons: dict[str, RadioButton] = {}
        group = QButtonGroup(self)
        for value, text in CHOICES:
            button = RadioButton(tr(text))
            button.setAccessibleName(tr("Theme: {name}", name=tr(text)))
            button.clicked.connect(lambda _checked=False, value=value: self.theme_chosen.emit(value))
            group.addButton(button)
            self.body.addWidget(button)
            self.buttons[value] = button
        self.network = Button(theme, tr("Network and relays…"), icon="cable")
        self.network.clicked.connect(self.hide)
        self.network.clicked.connect(self.network_wanted)
        self.body.addWidget(rule())
        self.body.addWidget(self.network)
        self.frame.setMinimumWidth(180)

    def open_below(self, anchor: QWidget, *, align_end: bool = False) -> None:
        super().open_below(anchor, align_end=align_end)
        # Without a focus inside, keys reach nothing and a screen reader says nothing.
        chosen = next((button for button in self.buttons.values() if button.isChecked()), self.network)
        chosen.setFocus(Qt.FocusReason.PopupFocusReason)

    def show_choice(self, value: str) -> None:
        self.buttons[value if value in self.buttons else "system"].setChecked(True)
