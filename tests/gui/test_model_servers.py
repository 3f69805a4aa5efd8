"""Servers of other programs on the Settings page, with a fake core: tested, kept, changed, removed, shared from."""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit

from app.presenters.share_rows import model_rows
from app.views.model_server_dialog import ModelServerDialog
from app.views.settings_model_servers import ModelServersEntry
from app.window import MainWindow
from qvac_core.core.model_servers_state import ServerState
from qvac_core.core.state import SharedModel
from qvac_core.errors import LocalProtocolError, ModelError
from tests.gui.fake_core import FakeCore
from tests.gui.fake_model_servers import OLLAMA, RACK
from tests.gui.share_window import Run

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support (raise|grabbing|propagateSizeHints)", extend=True)


async def opened(window: MainWindow) -> ModelServersEntry:
    window.open_settings("models")
    await window.settings.settle()
    (entry,) = window.settings.page.findChildren(ModelServersEntry)
    return entry


async def settled(window: MainWindow) -> None:
    for _turn in range(3):
        await asyncio.sleep(0)
        await window.settings.settle()


def dialog_of(entry: ModelServersEntry) -> ModelServerDialog:
    assert isinstance(entry.dialog, ModelServerDialog)
    return entry.dialog


def test_a_server_is_tested_and_added(run: Run, fake_core: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        entry = await opened(window)
        assert entry.rows == {} and "None yet" in entry.sentence.text()
        entry.add.click()
        dialog = dialog_of(entry)
        assert dialog.key.echoMode() is QLineEdit.EchoMode.Password and not dialog.forget.isVisible()
        dialog.address.setText("http://[")
        dialog.test.click()
        await settled(window)
        assert "is no address" in dialog.verdict.text()
        dialog.address.setText("127.0.0.1:11434")
        fake_core.model_servers.found = ModelError(
            "The server that runs this model wants a key. Give it the right one."
        )
        dialog.test.click()
        await settled(window)
        assert "wants a key" in dialog.verdict.text() and dialog.isVisible()
        fake_core.model_servers.found = OLLAMA
        dialog.key.setText(" s3cret ")
        dialog.test.click()
        await settled(window)
        assert "Ollama answers" in dialog.verdict.text() and "llama3.2:3b" in dialog.verdict.text()
        assert fake_core.called("test_model_server")[-1] == ("127.0.0.1:11434", "s3cret", "")
        assert fake_core.called("keep_model_server") == []
        dialog.name.setText("Mine")
        QTest.keyClick(dialog.name, Qt.Key.Key_Return)
        await settled(window)
        assert fake_core.called("keep_model_server") == [("127.0.0.1:11434", "Mine", "s3cret", 0, "")]
        (row,) = entry.rows.values()
        assert entry.dialog is None and row.name.text() == "Mine"
        assert row.words.text() == "Ollama, 3 models, 4 requests at once"

    run(test)


def test_what_is_refused_stays_in_the_dialog(run: Run, fake_core: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        entry = await opened(window)
        entry.add.click()
        dialog = dialog_of(entry)
        dialog.address.setText("http://x")
        fake_core.fail["keep_model_server"] = LocalProtocolError(
            "Give the server a name: its models are told apart by it."
        )
        dialog.confirm.click()
        await settled(window)
        assert dialog.isVisible() and "told apart" in dialog.verdict.text() and dialog.address.text() == "http://x"

    run(test)


def test_a_kept_key_stays_until_it_is_changed_or_forgotten(run: Run, fake_core: FakeCore) -> None:
    fake_core.model_servers.entries = (RACK,)

    async def test(window: MainWindow) -> None:
        entry = await opened(window)
        entry.edit(RACK)
        dialog = dialog_of(entry)
        assert dialog.key.text() == "" and "kept" in dialog.key.placeholderText() and dialog.forget.isVisible()
        assert dialog.written_key() is None
        dialog.key.setText("other")
        assert dialog.written_key() == "other"
        dialog.forget.click()
        assert dialog.written_key() == "" and not dialog.key.isEnabled()
        dialog.requests.setValue(7)
        dialog.confirm.click()
        await settled(window)
        assert fake_core.called("keep_model_server") == [(RACK.url, "Rack", "", 7, RACK.id)]

    run(test)


def test_models_are_shared_from_their_lines_and_one_that_is_away_is_asked_again(run: Run, fake_core: FakeCore) -> None:
    fake_core.model_servers.entries = (OLLAMA, RACK)

    async def test(window: MainWindow) -> None:
        entry = await opened(window)
        ollama, rack = entry.rows[OLLAMA.id], entry.rows[RACK.id]
        ollama.fold.setFocus(Qt.FocusReason.TabFocusReason)
        QTest.keyClick(ollama.fold, Qt.Key.Key_Space)
        assert [name for name, switch in ollama.switches.items() if switch.isChecked()] == ["llama3.2:3b@Ollama"]
        ollama.switches["llava:7b@Ollama"].click()
        await settled(window)
        assert fake_core.called("set_model_shared") == [("llava:7b@Ollama", True)]
        assert "does not answer" in rack.words.text() and not rack.again.isHidden()
        rack.again.click()
        await settled(window)
        assert rack.again.isHidden() and "vLLM" in rack.words.text()
        entry.ask_to_remove(RACK)
        assert entry.dialog is not None
        entry.dialog.confirm.click()
        await settled(window)
        assert list(entry.rows) == [OLLAMA.id]

    run(test)


def test_it_is_found_by_the_names_of_programs(run: Run, fake_core: FakeCore) -> None:
    fake_core.model_servers.entries = (RACK,)

    async def test(window: MainWindow) -> None:
        entry = await opened(window)
        for words in ("ollama", "--server", "rack"):
            window.settings.page.search.setText(words)
            await asyncio.sleep(0)
            assert not entry.isHidden(), words

    run(test)


def test_rows_of_share_say_where_a_model_is() -> None:
    model = SharedModel("a@Rack", "a@Rack", "", 0, 0, 4096, 4, True, "idle", server="Rack")
    away = SharedModel("b@Rack", "b@Rack", "", 0, 0, 4096, 4, True, "away: It is off.", server="Rack")
    first, second = model_rows((model, away))
    assert "at Rack" in first.cells[1].detail and first.cells[2].text == "–"
    assert (second.cells[1].state, second.cells[1].state_tone) == ("server away", "danger")
    assert ServerState.AWAY.value == "away"
