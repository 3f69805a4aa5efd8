"""A link or a picture that a start was given, or a second one hands over: the window asks, and connects nothing."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.cli.options import parse_options
from app.given_keys import given_key, is_link, picture_path
from app.instance import Call, Instance
from app.views.chat_provider_dialog import OWN_KEY, ProviderDialog
from app.window import MainWindow
from qvac_core.codec.key_links import link_of
from qvac_core.codec.key_text import read_key
from qvac_core.store.folders import DataDir
from tests.gui.fake_core import MY_KEY, FakeCore
from tests.gui.share_window import POPUP, Run
from tests.key_pictures import HEX, KEY, OTHER, qr_file

pytestmark = POPUP
LINK = link_of(KEY, "Studio desktop")


async def asked(window: MainWindow) -> ProviderDialog:
    dialog = window.chat_page.dialog
    assert dialog is not None and dialog.isVisible()
    await asyncio.sleep(0.02)
    while dialog.sources.reading:
        await asyncio.sleep(0.01)
    return dialog


def test_a_link_opens_the_question_for_a_provider_and_connects_nothing(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.tabs.choose(0)
        window.open_given(LINK)
        assert window.tabs.currentIndex() == 1
        dialog = await asked(window)
        assert (dialog.key.key, dialog.name.text()) == (HEX, "Studio desktop")
        assert busy.called("add_provider") == busy.called("connect_provider") == []
        dialog.close()
        window.open_given("")
        window.open_given("--data-dir")
        assert window.chat_page.dialog is dialog and not dialog.isVisible()

    run(test)


def test_what_came_before_the_window_was_loaded_waits_for_it(run: Run) -> None:
    async def test(window: MainWindow) -> None:
        window._opening._waiting = []
        window.open_given(LINK)
        assert window.chat_page.dialog is None
        window._opening.begin()
        (await asked(window)).close()

    run(test)


def test_a_picture_opens_the_same_question_also_as_an_address(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "my key ä.png"
    path.write_bytes(qr_file(LINK))

    async def test(window: MainWindow) -> None:
        for text in (str(path), path.as_uri()):
            window.open_given(text)
            dialog = await asked(window)
            assert (dialog.key.key, dialog.name.text()) == (HEX, "Studio desktop")
            dialog.close()
            await asyncio.sleep(0.02)
        path.unlink()
        window.open_given(str(path))
        dialog = await asked(window)
        assert dialog.said.text() == "There is no file my key ä.png."
        dialog.close()

    run(test)


def test_my_own_link_says_so_and_a_broken_one_stays_to_be_seen(run: Run) -> None:
    async def test(window: MainWindow) -> None:
        window.open_given(f"qvac://{MY_KEY}")
        dialog = await asked(window)
        assert dialog.checked.text() == OWN_KEY
        dialog.close()
        await asyncio.sleep(0.02)
        window.open_given(f"qvac://{HEX[:-1]}")
        dialog = await asked(window)
        assert dialog.checked.text() == "63 of 64 characters." and not dialog.go.isEnabled()
        dialog.close()

    run(test)


def test_what_is_being_typed_is_not_lost_to_a_link(run: Run) -> None:
    async def test(window: MainWindow) -> None:
        first = window.chat_page.add_provider()
        window.open_given(LINK)
        assert (await asked(window)) is first and first.key.key == HEX  # nothing was typed there
        window.open_given(link_of(OTHER))
        second = await asked(window)
        assert second is not first and second.key.key == OTHER.hex() and first.key.key == HEX
        second.close()
        first.close()

    run(test)


MAC = """
import json, sys
from PySide6.QtCore import QUrl
from PySide6.QtGui import QFileOpenEvent
from app.application import Application
app = Application(["qvac-desktop"])
given = []
app.file_wanted.connect(given.append)
for event in (QFileOpenEvent(QUrl(sys.argv[1])), QFileOpenEvent(sys.argv[2]), QFileOpenEvent(QUrl("https://a.b"))):
    app.sendEvent(app, event)
print(json.dumps(given))
"""


def test_what_a_mac_hands_over_as_an_event(tmp_path: Path) -> None:
    name = "Studio & more"
    command = [sys.executable, "-c", MAC, link_of(KEY, name), str(tmp_path / "key.png")]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    answer = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    given = json.loads(answer.stdout)
    assert (read_key(given[0]).key, read_key(given[0]).name) == (KEY, name)
    assert given[1:] == [str(tmp_path / "key.png"), ""]


# --- The command line


@pytest.mark.parametrize("text", [LINK, LINK.upper().replace("%20", " "), HEX, f"pear://{HEX}", f"qvac://{HEX[:-1]}"])
@pytest.mark.parametrize("before", [[], ["--data-dir", "here"], ["--no-local-network", "--bootstrap", "127.0.0.1:9"]])
def test_a_start_takes_a_link(text: str, before: list[str]) -> None:
    options = parse_options([*before, text, "--port", "4711"])
    assert (options.verb, options.opens, options.port) == (None, text, 4711)


def test_a_start_takes_a_picture_from_where_it_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("key.PNG").write_bytes(qr_file())
    assert parse_options(["key.PNG"]).opens == str(tmp_path / "key.PNG")
    assert parse_options([(tmp_path / "key.PNG").as_uri()]).opens == str(tmp_path / "key.PNG")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["none.png"], "there is no file"), (["provder"], "invalid choice"), ([LINK, LINK], "invalid choice")],
)
def test_a_start_with_something_else_ends(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(arguments)
    assert ended.value.code == 2 and says in capsys.readouterr().err


def test_a_verb_keeps_its_keys() -> None:
    options = parse_options(["chat", LINK, "--prompt", "Hi"])
    assert (options.verb, options.provider_key, options.opens) == ("chat", KEY, "")
    assert parse_options(["--data-dir", "x"]).opens == ""


def test_what_is_given_is_told_from_other_arguments() -> None:
    assert is_link("QVAC://x") and not is_link("https://example.org") and not is_link("")
    assert picture_path("notes.txt") is None and picture_path("https://example.org/a.png") is None
    assert given_key(["--data-dir", "/home/me", LINK]) == LINK
    assert given_key([]) == given_key(["--x"]) == ""


# --- A second start, as a process

SECOND = """
import os, sys
from app.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def _ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


@pytest.mark.skipif(sys.platform == "win32", reason="sockets of the file system")
def test_a_second_start_hands_over_its_link(qtbot: QtBot, tmp_path: Path) -> None:
    folder = DataDir(tmp_path / "data", explicit=True)
    instance = Instance(folder)
    calls: list[Call] = []
    instance.called.connect(calls.append)
    picture = tmp_path / "key.png"
    picture.write_bytes(qr_file())
    with tempfile.TemporaryDirectory(prefix="qvac-") as sockets:
        environment = {**os.environ, "XDG_RUNTIME_DIR": sockets, "QT_QPA_PLATFORM": "offscreen"}
        before = os.environ.get("XDG_RUNTIME_DIR")
        os.environ["XDG_RUNTIME_DIR"] = sockets
        try:
            assert instance.claim(Call())
        finally:
            os.environ.pop("XDG_RUNTIME_DIR")
            if before is not None:
                os.environ["XDG_RUNTIME_DIR"] = before
        try:
            for given in (LINK, "key.png"):
                second = subprocess.Popen(
                    [sys.executable, "-c", SECOND, "--data-dir", str(folder.root), given],
                    env=environment,
                    cwd=tmp_path,
                    stderr=subprocess.DEVNULL,
                )
                qtbot.waitUntil(partial(_ended, second), timeout=60_000)
                assert second.returncode == 0
        finally:
            instance.close()
    assert [given_key(call.arguments) for call in calls] == [LINK, str(picture)]
