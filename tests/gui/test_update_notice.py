"""What a person sees of a newer version: a notice with its page, and a switch that only a release has."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.theme import Theme
from app.widgets.notice_bar import NoticeBar


def test_a_notice_with_a_page_opens_it(qtbot: QtBot, qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[QUrl] = []

    def open_url(url: QUrl) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(QDesktopServices, "openUrl", open_url)
    bar = NoticeBar(Theme(qapp))
    qtbot.addWidget(bar)
    bar.show_notice("QVAC Desktop 0.2.0 is there.", "You have 0.1.0; get the new one at https://example.org/new")
    assert not bar.page_button.isHidden() and bar.page_button.accessibleName() == "Open the page"
    bar.page_button.click()
    assert opened == [QUrl("https://example.org/new")]
    bar.show_notice("", "Answers are saved again.")
    assert bar.page_button.isHidden()
