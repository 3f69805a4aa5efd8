"""One line below the tabs for what a person should know once; it stays until put away."""

from __future__ import annotations

import re

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from app.announcements import announce
from app.core_words import told
from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label

# Of a page that the notice is about: only the core's own notices have one.
_PAGE = re.compile(r"https://[\x21-\x7e]+")


class NoticeBar(QFrame):
    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("noticeBar")
        self.title = Label(weight=600)
        self.message = Label(tone="text2", wrap=True)
        self.close_button = Button(theme, kind="flat", icon="x", size="small", name=tr("Dismiss this notice"))
        self.page_button = Button(theme, tr("Open the page"), icon="external-link", size="small")
        self.page_button.clicked.connect(self._open_page)
        self.page_button.hide()
        self._page = ""
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 6, 12, 6)
        row.setSpacing(8)
        row.addWidget(IconLabel(theme, "info", "warn"))
        row.addWidget(self.title)
        row.addWidget(self.message, 1)
        row.addWidget(self.page_button)
        row.addWidget(self.close_button)
        self.close_button.clicked.connect(self.hide)
        self.hide()

    def show_notice(self, title: str, message: str) -> None:
        title, message = told(title), told(message)
        found = _PAGE.search(message)
        self._page = found[0] if found else ""
        self.page_button.setVisible(bool(self._page))
        self.title.setText(title)
        self.message.setText(message)
        self.show()
        announce(self, f"{title} {message}".strip())

    def _open_page(self) -> None:
        if not QDesktopServices.openUrl(QUrl(self._page)):
            self.message.setText(self._page)
