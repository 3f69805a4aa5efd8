"""The installed program as a user runs it: a `qvac-desktop` process whose JSON lines a test waits for."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from tests.e2e.forked import Forked, can_fork
from tests.limits import EVENT

PROGRAM = str(Path(sys.executable).parent / "qvac-desktop")
TESTNET = [sys.executable, "-m", "tests.e2e.testnet"]
LIMIT = EVENT  # seconds for one expected event; a hang fails, slowness does not


def _environment(more: dict[str, str] | None) -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if not k.startswith("QVAC_HYPERSWARM")}, **(more or {})}


def _begin(command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[str] | Forked:
    """What is ours is forked from a process that has imported it (tests/e2e/forked.py says what that leaves out)."""
    for module, start in (("app.cli", [PROGRAM]), (TESTNET[-1], TESTNET)):
        if list(command[: len(start)]) == start and can_fork(environment):
            return Forked(module, command[len(start) :], environment)
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)


class Program:
    """One process. Use as a context manager: leaving it ends the process by pid and waits for it."""

    def __init__(self, command: Sequence[str], *, env: dict[str, str] | None = None) -> None:
        self.command = list(command)
        self.events: list[dict[str, Any]] = []
        self.arrivals: list[tuple[float, str]] = []  # every event with the time it came, whether waited for or not
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._stderr: list[str] = []
        self.process = _begin(self.command, _environment(env))
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read_stdout, args=(self.process.stdout,), daemon=True),
            threading.Thread(target=self._read_stderr, args=(self.process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_stdout(self, pipe: IO[str]) -> None:
        for line in pipe:
            event = json.loads(line) if line.startswith("{") else {"event": "text", "text": line.rstrip("\n")}
            self.arrivals.append((time.monotonic(), event["event"]))
            self._lines.put(event)
        self._lines.put(None)

    def _read_stderr(self, pipe: IO[str]) -> None:
        self._stderr.extend(pipe)

    @property
    def stderr(self) -> str:
        return "".join(self._stderr)

    def until(self, name: str, limit: float = LIMIT, **fields: Any) -> dict[str, Any]:
        """The next event with this name (and field values). AssertionError with all output when it does not come."""
        while True:
            try:
                event = self._lines.get(timeout=limit)
            except queue.Empty:
                raise AssertionError(f"no {name} from {self.command}: {self.events[-20:]}\n{self.stderr}") from None
            if event is None:
                raise AssertionError(f"ended before {name}: {self.command}: {self.events[-20:]}\n{self.stderr}")
            self.events.append(event)
            if event["event"] == name and all(event.get(key) == value for key, value in fields.items()):
                return event

    def finish(self, limit: float = LIMIT) -> int:
        """Wait for the end; all events are in `events` then."""
        code = self.process.wait(limit)
        for reader in self._readers:
            reader.join(limit)
        while (event := self._lines.get(timeout=limit)) is not None:
            self.events.append(event)
        return code

    def of(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    def kill(self) -> None:
        """SIGKILL: no goodbye of any kind."""
        self.process.kill()
        self.process.wait(LIMIT)

    def end(self) -> None:
        """SIGTERM, and wait: it says goodbye to its peers."""
        self.process.terminate()
        self.process.wait(LIMIT)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        for reader in self._readers:
            reader.join(10)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def qvac_desktop(
    *arguments: str, data_dir: Path, env: dict[str, str] | None = None, within: Sequence[str] = ()
) -> Program:
    """`qvac-desktop VERB … --data-dir DIR`, as installed beside this Python. `within`: what to put before it."""
    verb, *rest = arguments
    return Program([*within, PROGRAM, verb, "--data-dir", str(data_dir), *rest], env=env)


def loopback_network() -> Program:
    return Program(TESTNET)


def run(*arguments: str, env: dict[str, str] | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`qvac-desktop …` from start to end, as typed."""
    command = [PROGRAM, *arguments]
    environment = _environment(env)
    if not can_fork(environment):
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=environment, timeout=LIMIT, check=False
        )
    process = Forked("app.cli", arguments, environment)
    output, errors = process.communicate(stdin, LIMIT)
    return subprocess.CompletedProcess(command, process.wait(), output, errors)


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    """The one line of stderr that says why; AssertionError when there is more, less, or a trace."""
    (line,) = result.stderr.splitlines() or [""]
    assert line.startswith("Error: "), result.stderr
    return line


def is_to_the_point(answer: str) -> bool:
    """Of an answer to what the capital of France is: a model this small draws the wrong city now and then."""
    return any(word in answer.lower() for word in ("paris", "france", "capital"))
