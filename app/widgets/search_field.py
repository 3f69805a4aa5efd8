"""A field to search in: a glass before the text, a cross that empties it, both with names."""

from __future__ import annotations

from PySide6.QtCore import QEvent
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLineEdit, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.leading_icon import close_up

# Qt names the action of its own clear button so, and gives it no text.
CLEAR = "_q_qlineeditclearaction"


class SearchField(QLineEdit):
    """`name` is what a screen reader calls it; `clearable`: Qt's own cross appears beside a text."""

    def __init__(
        self, theme: Theme, name: str, placeholder: str, *, clearable: bool = True, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setAccessibleName(name)
        self.setPlaceholderText(placeholder)
        self.setClearButtonEnabled(clearable)
        clear = self.findChild(QAction, CLEAR)
        if isinstance(clear, QAction):
            clear.setText(tr("Clear"))
        self._glass = QAction(name, self)
        self._glass.triggered.connect(self.setFocus)
        self.addAction(self._glass, QLineEdit.ActionPosition.LeadingPosition)
        self._clear = clear if isinstance(clear, QAction) else None
        close_up(self)
        theme.changed.connect(self._show_icons)
        self._show_icons()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LayoutDirectionChange, QEvent.Type.StyleChange):
            close_up(self)
            self._show_icons()  # Qt has put its own cross there again

    def _show_icons(self) -> None:
        self._glass.setIcon(self._theme.icon("search", "text3"))
        if self._clear is not None:
            self._clear.setIcon(self._theme.icon("x", "text2"))
