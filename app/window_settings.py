"""What the gear opens: the theme, and the way to the network. Choices act at once."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QRadioButton, QWidget

from app.theme import Theme
from app.widgets.button import Button
from app.widgets.card import rule
from app.widgets.label import Label
from app.widgets.popup import Popup

CHOICES = (("system", "As the system"), ("light", "Light"), ("dark", "Dark"))


class SettingsPopup(Popup):
    """`theme_chosen(setting)`: system, light or dark. `network_wanted`: the dialog with the relays."""

    theme_chosen = Signal(str)
    network_wanted = Signal()

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(theme, "Settings", parent)
        self.body.addWidget(Label("Theme", weight=600))
        self.buttons: dict[str, QRadioButton] = {}
        group = QButtonGroup(self)
        for value, text in CHOICES:
            button = QRadioButton(text)
            button.setAccessibleName(f"Theme: {text}")
            button.clicked.connect(lambda _checked=False, value=value: self.theme_chosen.emit(value))
            group.addButton(button)
            self.body.addWidget(button)
            self.buttons[value] = button
        self.network = Button(theme, "Network and relays…", icon="cable")
        self.network.clicked.connect(self.hide)
        self.network.clicked.connect(self.network_wanted)
        self.body.addWidget(rule())
        self.body.addWidget(self.network)
        self.frame.setMinimumWidth(180)

    def show_choice(self, value: str) -> None:
        self.buttons[value if value in self.buttons else "system"].setChecked(True)
