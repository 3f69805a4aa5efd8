"""The window is on the screen before the core is there: as it was left, with little imported, and ready to write in."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from qasync import QEventLoop

from app import first_look
from app.application import DONE, live
from app.bridge import CoreProxy, CoreThread
from app.instance import Call, Instance
from app.theme import Theme
from app.window import CHAT, SHARE, MainWindow
from qvac_core.core.state import Draft
from qvac_core.store.folders import DataDir
from tests.gui import chat_scenes
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import FakeCore
from tests.gui.test_share_application import until, windows

ROOT = Path(__file__).parents[2]
# Each takes longer to import than a frame lasts, and none is needed for a first look.
LATER = (
    *(
        "numpy",
        "httpx",
        "jinja2",
        "llguidance",
        "zeroconf",
        "huggingface_hub",
        "av",
        "keyring",
        "wakepy",
        "jeepney",
        "mcp",
    ),
    *(
        "ziamath",
        "miniaudio",
        "markdown_it",
        "pygments",
        "PIL",
        "segno",
        "qvac_core.core.core",
        "qvac_core.hyperdht.dht",
        "qvac_core.delegation.provider",
    ),
    # What messages are shown with, and dialogs.
    *(
        "msgspec",
        "app.transcript_words",
        "app.views.receipts_dialog",
        "app.views.chat_first_start",
        "app.views.chat_parameters",
        "app.views.chat_provider_dialog",
        "app.widgets.table",
        "app.widgets.chat.answer_row",
        "app.widgets.chat.question_row",
        "app.widgets.chat.transcript_row",
        "app.widgets.chat.translation_box",
        "qvac_core.core.transcript",
        "qvac_core.models.descriptor",
        "qvac_core.store.log_records",
        "qvac_core.store.invites",
        "qvac_core.store.server_keys",
    ),
)


# A whole start, up to its first look.
START = """
import json, os, sys
from app import application
from app.cli.main import main

show = application._show

async def seen(window):
    await show(window)
    assert window._seen
    print(json.dumps(sorted(sys.modules)), flush=True)
    os._exit(0)

application._show = seen
sys.exit(main(["--data-dir", sys.argv[1], "--no-local-network", "--bootstrap", "127.0.0.1:9"]))
"""
MOST_MODULES = 170  # of ours; each costs a start half a millisecond or more


def test_a_window_imports_nothing_that_its_first_look_does_not_need(tmp_path: Path) -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    found = subprocess.run(
        [sys.executable, "-c", START, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True, env=environment
    )
    imported = set(json.loads(found.stdout))
    assert imported & set(LATER) == set()
    ours = [name for name in imported if name.startswith(("app.", "qvac_core."))]
    assert len(ours) <= MOST_MODULES, f"{len(ours)} modules of ours: what of them can wait for the first look?"


def test_it_is_seen_as_it_was_left_before_the_core_is_made(qloop: QEventLoop, theme: Theme, tmp_path: Path) -> None:
    seen: list[bool] = []
    core = FakeCore(settings={"tab": "share"})

    def make() -> FakeCore:
        seen.extend(window._seen for window in windows())
        return core

    async def main() -> int:
        folder = DataDir(tmp_path, explicit=True)
        folder.settings_file.write_text('tab = "share"\n')
        instance = Instance(folder)
        assert instance.claim(Call())
        life = asyncio.ensure_future(live(CoreProxy(CoreThread(make)), theme, instance))
        await until(lambda: bool(windows()))
        assert windows()[0].tabs.currentIndex() == SHARE
        await until(lambda: core.started)
        windows()[0].leave()
        code = await life
        instance.close()
        return code

    assert qloop.run_until_complete(main()) == DONE
    assert seen == [True]


def test_what_is_written_before_the_core_is_there_stays(qloop: QEventLoop, qtbot: QtBot, theme: Theme) -> None:
    async def main() -> None:
        core = FakeCore(conversation_list=chat_scenes.conversations())
        window = MainWindow(DirectProxy(core), theme, {})
        qtbot.addWidget(window)
        window.show()
        composer = window.chat_page.conversation.composer
        composer.text.setFocus()
        QTest.keyClicks(composer.text, "Why is")
        assert window.chat_page.conversation.missing.isHidden()  # it is not known yet whether there is a model
        assert not window.chat_page.conversation.empty.isVisible()
        await window.load()
        assert composer.text.toPlainText() == "Why is"
        assert window.chat.draft == Draft("Why is")
        assert window.tabs.currentIndex() == CHAT
        await window.unload()

    qloop.run_until_complete(main())


def test_the_first_start_waits_for_a_key(qloop: QEventLoop, qtbot: QtBot, theme: Theme) -> None:
    """A key in the hand, or in the clipboard: it can be typed and pasted without a click."""

    async def main() -> None:
        kinds: tuple[dict[str, str] | None, ...] = ({}, None)
        for kept in kinds:
            window = MainWindow(DirectProxy(FakeCore()), theme, kept)
            qtbot.addWidget(window)
            window.show()
            await window.load()
            assert window.chat.first_start
            assert window.focusWidget() is window.chat_page.first_start.key
            await window.unload()
            window.hide()

    qloop.run_until_complete(main())


def test_a_settings_file_that_is_none_is_no_look(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    assert first_look.read(file) == {}
    file.write_bytes(b"\xff\x00 = [")
    assert first_look.read(file) == {}
    file.write_text('theme = "dark"\ntext_size = 120\n[sharing]\nslots = 2\n')
    assert first_look.read(file) == {"theme": "dark", "text_size": "120"}
