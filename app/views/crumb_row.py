"""The row above a page inside another one: back, where it belongs, and its name. Alt+Left goes back."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.label import ElidedLabel


class CrumbRow(QWidget):
    back = Signal()

    def __init__(self, theme: Theme, of: str, name: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        arrow = "chevron-right" if self.isRightToLeft() else "chevron-left"
        self.arrow = Button(theme, kind="flat", icon=arrow, size="small", name=tr("Back to {page}", page=of))
        self.link = Button(theme, of, kind="link", name=tr("Back to {page}", page=of))
        self.name = ElidedLabel(name, weight=600)
        self.acts = QHBoxLayout()
        self.acts.setSpacing(8)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.arrow)
        row.addWidget(self.link)
        slash = ElidedLabel("›" if not self.isRightToLeft() else "‹", tone="text3")
        row.addWidget(slash)
        row.addWidget(self.name, 1)
        row.addLayout(self.acts)
        for button in (self.arrow, self.link):
            button.clicked.connect(self.back)

    def listen_on(self, page: QWidget) -> None:
        """The keys of going back work anywhere on the page."""
        for keys in ("Alt+Left", "Esc"):
            shortcut = QShortcut(QKeySequence(keys), page)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(self.back)
