"""The real program: a second start brings the first window to the front, and every way to end it ends all of it.

Each test runs `qvac-desktop` as a process with a real core on a loopback network of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtNetwork import QLocalSocket
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.instance import Call, Instance
from qvac_core.store.folders import DataDir, InstanceLock
from tests.e2e.program import LIMIT, Program, one_line, qvac_desktop, run
from tests.e2e.test_serve import free_port

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and sockets of the file system")

# Runs the program as the command does, and acts on its window from inside, as a person or the system would.
SCRIPT = """
import json, sys, threading
from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QSessionManager
from PySide6.QtWidgets import QApplication
from shiboken6 import getCppPointer, wrapInstance
from app.application import Application
from app.cli.main import main
from app.window import MainWindow

def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)

def window():
    return next((w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow)), None)

def ready():
    found = [w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow) and w.isVisible()]
    if not found or not found[0].share_page.key.copy.value:
        QTimer.singleShot(20, ready)
        return
    say("ready")
    WAYS[sys.argv[1]]()

def until_shown():
    here = window()
    if here is None:
        return
    if here.isVisible() and not here.isMinimized():
        say("shown")
    else:
        QTimer.singleShot(20, until_shown)

def minimized():
    window().showMinimized()
    until_shown()

def log_off():
    # No session manager runs here, and Qt lets nobody make its object; who hears of it does not look at it.
    here = QObject()
    app.commitDataRequest.emit(wrapInstance(getCppPointer(here)[0], QSessionManager))
    say("logged-off", threads=threads())

def hidden(act):
    def then():
        window().hide()
        QTimer.singleShot(0, act)
    return then

WAYS = {
    "wait": lambda: None,
    "hidden": lambda: (window().hide(), say("hidden"), until_shown()),
    "minimized": minimized,
    "quit": QApplication.quit,
    "quit-hidden": hidden(QApplication.quit),
    "log-off-hidden": hidden(log_off),
}

def threads():
    # A thread of Qt's that once called Python stays listed as a dummy for ever.
    ours = [t for t in threading.enumerate() if not isinstance(t, threading._DummyThread)]
    return sorted(t.name for t in ours if t is not threading.main_thread())

app = Application(sys.argv[:1])
QTimer.singleShot(0, ready)
code = main(sys.argv[2:])
say("ended", code=code, threads=threads())
sys.exit(code)
"""


ROOT = Path(__file__).parents[2]


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A short path: a socket's name may have about 100 bytes."""
    with tempfile.TemporaryDirectory(prefix="qvac-") as folder:
        yield Path(folder)


@pytest.fixture
def folder(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data", explicit=True)


def window(way: str, folder: DataDir, sockets: Path) -> Program:
    command = [sys.executable, "-c", SCRIPT, way, "--data-dir", str(folder.root), "--bootstrap", "127.0.0.1:9"]
    return Program(command, env=environment(sockets))


def environment(sockets: Path) -> dict[str, str]:
    return {"QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(sockets), "PYTHONPATH": str(ROOT)}


def start_again(folder: DataDir, sockets: Path) -> subprocess.CompletedProcess[str]:
    return run("--data-dir", str(folder.root), env=environment(sockets))


def assert_all_ended(program: Program, folder: DataDir, sockets: Path, code: int) -> None:
    ended = program.until("ended")
    assert ended == {"event": "ended", "code": code, "threads": []}
    assert program.finish() == code
    assert "Traceback" not in program.stderr
    # The core was closed, and not cut off: a database that is left open leaves its log behind.
    assert folder.database_file.exists()
    assert not folder.database_file.with_name("qvac.db-wal").exists()
    assert not folder.instance_file.exists()
    assert list(sockets.iterdir()) == []
    lock = InstanceLock(folder.lock_file)
    lock.acquire()
    lock.release()


@pytest.mark.parametrize("way", ["quit", "quit-hidden", "log-off-hidden"])
def test_every_way_to_end_ends_all_of_it(way: str, folder: DataDir, sockets: Path) -> None:
    with window(way, folder, sockets) as program:
        program.until("ready")
        if way == "log-off-hidden":
            # The system ends what is left as soon as the handler returns.
            assert program.until("logged-off")["threads"] == []
        assert_all_ended(program, folder, sockets, 0)


@pytest.fixture
def hang_up_is_heard() -> Iterator[None]:
    """Programs inherit that it is ignored, where these tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_up_is_heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_window_is_hidden_ends_all_of_it(
    number: signal.Signals, folder: DataDir, sockets: Path
) -> None:
    with window("hidden", folder, sockets) as program:
        program.until("hidden")
        program.process.send_signal(number)
        assert_all_ended(program, folder, sockets, 130)


def test_a_second_start_brings_the_first_to_the_front(folder: DataDir, sockets: Path) -> None:
    with window("minimized", folder, sockets) as first:
        first.until("ready")
        second = start_again(folder, sockets)
        assert second.returncode == 0
        assert "running already" in second.stderr
        assert len(second.stderr.splitlines()) == 1
        first.until("shown")
        first.process.send_signal(signal.SIGTERM)
        assert_all_ended(first, folder, sockets, 130)


def test_after_a_kill_the_next_start_is_the_first(folder: DataDir, sockets: Path) -> None:
    with window("wait", folder, sockets) as killed:
        killed.until("ready")
        killed.process.kill()
    left = list(sockets.iterdir())
    assert len(left) == 1
    with window("hidden", folder, sockets) as first:
        first.until("hidden")
        assert left[0] not in sockets.iterdir()
        assert start_again(folder, sockets).returncode == 0
        first.until("shown")


def test_two_data_folders_are_two_instances(folder: DataDir, sockets: Path, tmp_path: Path) -> None:
    other = DataDir(tmp_path / "other", explicit=True)
    with window("hidden", folder, sockets) as first, window("hidden", other, sockets) as second:
        first.until("hidden")
        second.until("hidden")
        assert start_again(other, sockets).returncode == 0
        second.until("shown")
        first.process.send_signal(signal.SIGTERM)
        first.until("ended")
        assert "shown" not in {event["event"] for event in first.events}


def serve(folder: DataDir, sockets: Path, *options: str) -> Program:
    return qvac_desktop("serve", "--json", *options, data_dir=folder.root, env=environment(sockets))


def test_serve_beside_a_window_is_served_by_it_for_as_long_as_it_runs(
    folder: DataDir, sockets: Path, small_model_path: Path
) -> None:
    port, other = free_port(), free_port()
    with window("wait", folder, sockets) as first:
        first.until("ready")
        with serve(folder, sockets, "--model", str(small_model_path), "--http-port", str(port)) as verb:
            ready = verb.until("ready")
            assert ready["address"] == f"http://127.0.0.1:{port}/v1"
            (model,) = ready["models"]
            token = run("serve", "--token", "--data-dir", str(folder.root)).stdout.strip()
            client = httpx.Client(
                base_url=ready["address"], headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=LIMIT
            )
            question = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
            said = client.post("chat/completions", json=question).json()
            assert said["usage"]["completion_tokens"] == 3
            call = verb.until("call")
            assert (call["kind"], call["outcome"], call["generatedTokens"]) == ("chat", "done", 3)
            # One more is content with it as it is, and leaves it on; one that wants another place hears where it is.
            with serve(folder, sockets) as second:
                assert second.until("ready")["address"] == ready["address"]
                second.interrupt()
                assert second.finish() == 130
            elsewhere = run(
                *("serve", "--http-port", str(other), "--data-dir", str(folder.root)), env=environment(sockets)
            )
            assert elsewhere.returncode == 1
            assert str(port) in one_line(elsewhere)
            assert client.get("models").json()["data"][0]["id"] == model
            client.close()
            verb.interrupt()
            assert verb.finish() == 130
        until_closed(port)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            busy = str(taken.getsockname()[1])
            refused = run("serve", "--http-port", busy, "--data-dir", str(folder.root), env=environment(sockets))
            assert refused.returncode == 1
            assert "--http-port" in one_line(refused)
        with serve(folder, sockets, "--http-port", str(other)) as verb:
            verb.until("ready")
            first.process.send_signal(signal.SIGTERM)
            assert verb.until("error")["name"] == "WINDOW_CLOSED"
            assert verb.finish() == 1
        assert_all_ended(first, folder, sockets, 130)


def until_closed(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)


# --- The instance alone

CALLER = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from app.instance import Call, Instance
from qvac_core.errors import StoreError
from qvac_core.store.folders import DataDir
app = QCoreApplication([])
instance = Instance(DataDir(Path(sys.argv[1])))
try:
    print("first" if instance.claim(Call(tuple(sys.argv[2:]), "token")) else "taken")
except StoreError as error:
    print(error.name)
instance.close()
"""


@pytest.fixture
def instance(qapp: QApplication, folder: DataDir, sockets: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(sockets))
    instance = Instance(folder)
    yield instance
    instance.close()


def call(qtbot: QtBot, folder: DataDir, sockets: Path, *arguments: str) -> str:
    """What becomes of a start with these arguments, while this process goes on."""
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(folder.root), *arguments],
        env={**os.environ, **environment(sockets)},
        stdout=subprocess.PIPE,
        text=True,
    )
    qtbot.waitUntil(lambda: caller.poll() is not None, timeout=60_000)
    assert caller.stdout is not None
    with caller.stdout:
        return caller.stdout.read().strip()


def test_a_call_carries_its_arguments(qtbot: QtBot, instance: Instance, folder: DataDir, sockets: Path) -> None:
    assert instance.claim(Call())
    calls: list[Call] = []
    instance.called.connect(calls.append)
    assert call(qtbot, folder, sockets, "qvac://abc?name=Köln", "--x") == "taken"
    assert calls == [Call(("qvac://abc?name=Köln", "--x"), "token")]


def test_a_copy_of_the_folder_does_not_call_the_original(
    qtbot: QtBot, instance: Instance, folder: DataDir, sockets: Path, tmp_path: Path
) -> None:
    assert instance.claim(Call())
    shutil.copytree(folder.root, tmp_path / "copy")
    copy = DataDir(tmp_path / "copy")
    assert call(qtbot, copy, sockets) == "first"
    assert call(qtbot, folder, sockets) == "taken", "the copy must not have removed the original's socket"


def test_a_program_that_holds_the_folder_and_takes_no_calls_is_told_of(
    qtbot: QtBot, instance: Instance, folder: DataDir, sockets: Path
) -> None:
    folder.create()
    with InstanceLock(folder.lock_file):  # as `qvac-desktop provider` does
        assert call(qtbot, folder, sockets) == "ALREADY_RUNNING"


def test_a_connection_is_no_answer(qtbot: QtBot, instance: Instance, folder: DataDir, sockets: Path) -> None:
    assert instance.claim(Call())
    instance._server.newConnection.disconnect()  # type: ignore[union-attr]
    assert call(qtbot, folder, sockets) == "ALREADY_RUNNING"


def test_who_ends_is_waited_for(qtbot: QtBot, instance: Instance, folder: DataDir, sockets: Path) -> None:
    assert instance.claim(Call())
    instance.leave()
    QTimer.singleShot(500, instance, instance.close)
    assert call(qtbot, folder, sockets) == "first"


@pytest.mark.parametrize(
    "word",
    [
        b"hello\n",
        b"[]\n",
        b'{"arguments": 1, "token": ""}\n',
        b"x" * 70_000,
        b'{"serve": {"port": -1}}\n',
        b'{"serve": {"host": "/etc"}}\n',
    ],
)
def test_what_is_no_call_is_dropped(qtbot: QtBot, instance: Instance, word: bytes) -> None:
    assert instance.claim(Call())
    calls: list[Call] = []
    instance.called.connect(calls.append)
    caller = QLocalSocket()
    caller.connectToServer(instance._server.fullServerName())  # type: ignore[union-attr]
    caller.write(word)
    qtbot.waitUntil(lambda: caller.state() is QLocalSocket.LocalSocketState.UnconnectedState)
    assert calls == []


def test_without_a_place_for_the_socket_the_window_opens_all_the_same(
    instance: Instance, folder: DataDir, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert instance.claim(Call())
    assert not folder.instance_file.exists()
