"""A screen with its window manager, a session bus and AT-SPI's registry, all of one's own; programs start on them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection

from tests.e2e.program import Program
from tests.gui.screen_reader.reader import LIMIT, Reader

A11Y_BUS = DBusAddress("/org/a11y/bus", bus_name="org.a11y.Bus", interface="org.a11y.Bus")


class WindowProgram(Program):
    """A window; `say` tells the one of `window.py` what is to happen."""

    def __enter__(self) -> WindowProgram:
        return self

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()


class Desk:
    """Use as a context manager: leaving it ends everything it started, by process group, last one first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._environment = {"QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1", "QT_QPA_PLATFORM": "xcb"}

    def __enter__(self) -> Desk:
        try:
            self._begin()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def reader(self) -> Reader:
        """What listens, as a screen reader does. From then on programs send their events."""
        return self._stack.enter_context(Reader(self._accessibility_bus))

    def open(self, *command: str) -> WindowProgram:
        """Run `python -m …` on this desk."""
        return self._stack.enter_context(WindowProgram([sys.executable, "-m", *command], env=self._environment))

    def _begin(self) -> None:
        runtime = self._folder / "run"
        runtime.mkdir(mode=0o700)
        self._environment |= {"XDG_RUNTIME_DIR": str(runtime), "HOME": str(self._folder)}
        screen = ["Xvfb", "-displayfd", "1", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"]
        self._environment["DISPLAY"] = ":" + self._announced(screen)
        self._start(["openbox"])
        session = self._announced(["dbus-daemon", "--session", "--nofork", "--print-address=1"])
        self._environment["DBUS_SESSION_BUS_ADDRESS"] = session
        # Asking for the accessibility bus starts it, and whoever asks there for the registry starts that.
        with open_dbus_connection(session) as connection:
            reply = connection.send_and_get_reply(new_method_call(A11Y_BUS, "GetAddress"), timeout=LIMIT)
        assert reply.header.message_type.name == "method_return", f"no accessibility bus: {reply.body}"
        self._accessibility_bus = str(reply.body[0])

    def _start(self, command: Sequence[str], *, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._stack.callback(_end, process)
        return process

    def _announced(self, command: Sequence[str]) -> str:
        """Start a program and give the first line it prints, which it does once it is ready."""
        process = self._start(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        self._stack.callback(process.stdout.close)
        ready, _, _ = select.select([process.stdout], [], [], LIMIT)
        line = process.stdout.readline().decode().strip() if ready else ""
        assert line, f"{command[0]} did not start"
        return line


def _end(process: subprocess.Popen[bytes]) -> None:
    # Its group: a bus has started services of its own.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
