"""An icon that stands beside a text, and the tile of an empty state."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QLabel, QWidget

from app.theme import Theme
from app.widgets.label import restyle


class IconLabel(QLabel):
    """Decoration: the text beside it says the same."""

    accessible_role = QAccessible.Role.Client
    accessible_leaf = True

    def __init__(
        self, theme: Theme, icon: str, token: str = "text2", size: int = 16, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._icon, self._token, self._size = icon, token, size
        self.setFixedSize(size, size)
        self._render()
        theme.changed.connect(self._render)

    def set_icon(self, icon: str, token: str) -> None:
        if (icon, token) != (self._icon, self._token):
            self._icon, self._token = icon, token
            self._render()

    def _render(self) -> None:
        self.setPixmap(self._theme.pixmap(self._icon, self._token, self._size, self.devicePixelRatioF()))


class IconTile(IconLabel):
    """44x44 soft square around an icon. `tone`: accent, local, danger."""

    def __init__(self, theme: Theme, icon: str, tone: str = "accent", parent: QWidget | None = None) -> None:
        super().__init__(theme, icon, tone, 22, parent)
        self.setObjectName("iconTile")
        self.setProperty("tone", tone)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setFixedSize(44, 44)
        restyle(self)
