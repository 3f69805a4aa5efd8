"""Export and import in the window: the menus, the files that are chosen, and what is said afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QMenu

from app.presenters.chat_archive import file_name
from qvac_core.core.chat_files import Imported
from qvac_core.core.state import Conversation
from qvac_core.errors import StoreError
from tests.gui.fake_core import NOW
from tests.gui.test_chat_page import Open, open_chat, populated  # noqa: F401


def acts(menu: QMenu) -> list[str]:
    return [action.text() for action in menu.actions() if action.text()]


def test_a_conversation_and_all_of_them_are_exported_from_their_menus(open_chat: Open) -> None:  # noqa: F811
    chat = open_chat(populated())
    menu = QMenu()
    chat.page.side.menu_opening.emit(menu, "merge", "A/B: test?")
    (export,) = (action.menu() for action in menu.actions() if action.menu() is not None)
    assert isinstance(export, QMenu)
    assert acts(export) == ["As Markdown…", "As JSON, with all branches…"]
    export.actions()[0].trigger()
    dialog = chat.page.archive.dialog
    assert dialog is not None
    dialog.fileSelected.emit("/tmp/there.md")
    dialog.reject()
    chat.settle()
    assert chat.core.called("export") == [(("merge",), "markdown", Path("/tmp/there.md"))]
    told = chat.page.conversation.told
    assert told.isVisible()
    assert told.title.text() == "1 conversation was exported."
    everything = QMenu()
    chat.page.side.list_menu_opening.emit(everything)
    assert acts(everything) == ["Export all conversations…", "Import conversations…"]
    main = QMenu()
    chat.page.conversation.bar.menu_wanted.emit(main)
    assert {"Export", "Export all conversations…", "Import conversations…"} <= set(acts(main))


def test_what_came_in_is_opened_and_what_did_not_is_named(open_chat: Open) -> None:  # noqa: F811
    chat = open_chat(populated())
    new = Conversation("brought", "Brought", NOW, NOW)
    chat.core.message_lists["brought"] = ()
    chat.core.chat_files.report = Imported((new,), 2, (("bad.json", "It is no JSON file, or it was cut off."),))
    chat.presenter.archive.import_files([Path("a.json"), Path("bad.json")])
    chat.settle()
    assert chat.presenter.open_id == "brought"
    conversation = chat.page.conversation
    assert conversation.told.title.text() == "1 conversation was imported."
    assert conversation.told.message.text() == "2 were here already."
    assert conversation.error.title.text() == "1 file was not imported."
    assert "bad.json: It is no JSON" in conversation.error.message.text()


def test_an_export_that_fails_is_said(open_chat: Open) -> None:  # noqa: F811
    chat = open_chat(populated())
    chat.core.fail["export"] = StoreError("The disk is full.")
    chat.presenter.archive.export(("merge",), "json", Path("x.json"))
    chat.settle()
    assert chat.page.conversation.error.isVisible()
    assert not chat.page.conversation.told.isVisible()


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("A/B: what? ", "A B what.md"),
        ("..", "Conversations.md"),
        ("x" * 200, "x" * 80 + ".md"),
        ("é – 漢", "é – 漢.md"),
    ],
)
def test_a_title_becomes_a_name_that_every_system_takes(title: str, name: str) -> None:
    assert file_name(title, "markdown") == name
