"""The parent's end of a worker process: start it, talk to it, notice its end.

Threads and `subprocess.Popen`, not asyncio's subprocesses: the core's loop on Windows has none. Nothing here
waits on the loop's thread, and every process that was started is reaped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, TypeVar

import msgspec

from qvac_core.engines.worker_pipes import Dialogue
from qvac_core.errors import LocalProtocolError
from qvac_core.frozen import COMMAND, executable, is_frozen

_Value = TypeVar("_Value")
_Command = TypeVar("_Command")
_Report = TypeVar("_Report")

EXIT_PATIENCE = 5.0  # seconds between the end of its pipe and the kill
STDERR_KEPT = 4096  # bytes of the last output, for the log


def worker_command(dialogue: Dialogue[_Command, _Report]) -> list[str]:
    """The command line of a worker: this Python, or this app's executable without Qt where it is frozen."""
    if is_frozen():
        return [executable(COMMAND), dialogue.flag]
    # -P: a file in the current folder must not stand in for a package.
    return [sys.executable, "-P", "-X", "utf8", "-m", dialogue.module]


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """`code`: as subprocess gives it, negative = signal. `output`: the last of its stderr, for this machine only."""

    code: int
    output: str


class WorkerProcess(Generic[_Command, _Report]):
    """One process. `on_reports` and `on_exit` are called on `loop`; `on_exit` exactly once, last."""

    def __init__(
        self,
        dialogue: Dialogue[_Command, _Report],
        loop: asyncio.AbstractEventLoop,
        on_reports: Callable[[list[_Report]], None],
        on_exit: Callable[[WorkerExit], None],
    ) -> None:
        self._dialogue = dialogue
        self._loop = loop
        self._on_reports = on_reports
        self._on_exit = on_exit
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._output = b""
        # The thread that starts the process stays with it to the end: the worker asks the kernel to be killed when
        # this thread ends (PR_SET_PDEATHSIG is about threads), which is then never too early.
        threading.Thread(target=self._own, name="model-worker", daemon=True).start()

    @property
    def pid(self) -> int | None:
        with self._lock:
            return self._process.pid if self._process is not None else None

    def send(self, command: _Command) -> None:
        """Never blocks; lost when the process has ended. Raises LocalProtocolError when it is too large."""
        self._outgoing.put(self._dialogue.frame_commands([command]))

    def kill(self) -> None:
        with self._lock:
            self._killed = True
            if self._process is not None and self._process.poll() is None:
                self._process.kill()

    # --- Threads --------------------------------------------------------------------------------------------------

    def _own(self) -> None:
        try:
            process = self._start()
        except OSError as error:
            self._post(self._on_exit, WorkerExit(-1, str(error)))
            return
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        threads = [
            threading.Thread(target=self._write, args=(process.stdin,), name="model-commands", daemon=True),
            threading.Thread(target=self._drain, args=(process.stderr,), name="model-stderr", daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            while (reports := self._dialogue.read_reports(process.stdout)) is not None:
                if not self._post(self._on_reports, reports):
                    break  # the loop is closed: nobody is left to answer
        except (LocalProtocolError, msgspec.DecodeError, OSError):
            pass  # damaged beyond use: it ends like a crash
        self._end(process)
        self._outgoing.put(None)
        for thread in threads:
            thread.join(EXIT_PATIENCE)
        process.stdout.close()
        self._post(self._on_exit, WorkerExit(process.returncode, self._output.decode("utf-8", "replace")))

    def _start(self) -> subprocess.Popen[bytes]:
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        options: dict[str, object] = {"start_new_session": True}
        if sys.platform == "win32":
            options = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
        process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
            worker_command(self._dialogue),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            **options,
        )
        with self._lock:
            self._process = process
            if self._killed:
                process.kill()
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(EXIT_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _write(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError):  # it has ended; its exit is told by the other thread
            while (data := self._outgoing.get()) is not None:
                pipe.write(data)
                pipe.flush()
        with contextlib.suppress(OSError):  # close flushes, into a pipe that may be broken
            pipe.close()

    def _drain(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while chunk := pipe.read1(STDERR_KEPT):  # type: ignore[attr-defined]
                self._output = (self._output + chunk)[-STDERR_KEPT:]
        pipe.close()

    def _post(self, callback: Callable[[_Value], None], value: _Value) -> bool:
        try:
            self._loop.call_soon_threadsafe(callback, value)
        except RuntimeError:  # the loop is closed
            self.kill()
            return False
        return True
