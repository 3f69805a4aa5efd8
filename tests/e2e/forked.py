"""The command line without its second of imports: one process has imported it, and every call is a fork of that one.

The call is a real process with its own arguments, environment and pipes, killed and waited for like any other; `main()`
and the end of the interpreter are the real ones. What a start itself does (the installed script, the imports, the
command line that the system shows) it has from the process that it was forked from: tests of that start it truly.
"""

from __future__ import annotations

import array
import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

READ_AT_THE_START = ("PYTHON", "LANG", "LC_", "HF_")
"""What Python and the libraries read of the environment only once: who asks for something else gets a true start."""

IMPORTED = [
    *(f"app.cli.{verb}" for verb in ("chat", "demo", "embed", "models", "provider", "public_key", "serve")),
    *("app.cli.transcribe", "app.cli.translate", "qvac_core.api", "qvac_core.hyperdht"),
]


class Forked:
    """One call, with what tests use of subprocess.Popen. Text pipes; they are closed by who asked for it."""

    def __init__(self, module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.args = [module, *arguments]
        self.returncode: int | None = None
        stdin, wstdin = os.pipe()
        rstdout, stdout = os.pipe()
        rstderr, stderr = os.pipe()
        self._status, status = os.pipe()
        self._lock = threading.Lock()
        asked = {
            "module": module,
            "arguments": list(arguments),
            "environment": dict(environment),
            "cwd": str(Path.cwd()),
        }
        _server().ask(asked, (stdin, stdout, stderr, status))
        for descriptor in (stdin, stdout, stderr, status):
            os.close(descriptor)
        self.stdin: IO[str] | None = open(wstdin, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        self.stdout: IO[str] | None = open(rstdout, encoding="utf-8")  # noqa: SIM115, PTH123
        self.stderr: IO[str] | None = open(rstderr, encoding="utf-8")  # noqa: SIM115, PTH123
        self.pid = self._number()

    def _number(self) -> int:
        """The next line of who watches over the process: its pid, then what waitpid told of its end."""
        line = b""
        while not line.endswith(b"\n"):
            part = os.read(self._status, 1)
            if not part:
                raise RuntimeError("the process that forks for the tests is gone")
            line += part
        return int(line)

    def __del__(self) -> None:
        os.close(self._status)

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._ended(timeout)
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return code

    def _ended(self, within: float | None) -> int | None:
        """The exit code, or what it was killed by, as a negative number. None: it lives after so many seconds."""
        if self.returncode is None:
            waiting = select.poll()
            waiting.register(self._status, select.POLLIN)
            if waiting.poll(None if within is None else within * 1000):
                with self._lock:  # one thread reads it
                    if self.returncode is None:
                        self.returncode = os.waitstatus_to_exitcode(self._number())
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, given: str, timeout: float) -> tuple[str, str]:
        """As of Popen, but who is not done in time is killed."""
        assert self.stdin is not None
        assert self.stdout is not None
        assert self.stderr is not None
        said = ["", ""]

        def read(place: int, pipe: IO[str]) -> None:
            with pipe:
                said[place] = pipe.read()

        def write(pipe: IO[str]) -> None:
            try:
                with pipe:
                    pipe.write(given)
            except BrokenPipeError:  # it never asked
                pass

        threads = [
            threading.Thread(target=read, args=(0, self.stdout), daemon=True),
            threading.Thread(target=read, args=(1, self.stderr), daemon=True),
            threading.Thread(target=write, args=(self.stdin,), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        for thread in threads:
            thread.join(timeout)
        return said[0], said[1]


def can_fork(environment: Mapping[str, str]) -> bool:
    """Whether a fork is what a start with this environment would be."""
    return sys.platform == "linux" and _early(environment) == _early(os.environ)


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_THE_START)}


# --- The process that forks ------------------------------------------------------------------------------------------


class _Server:
    """One for each process of tests, begun by the first call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket, other = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.forked", str(other.fileno())],
            stdin=subprocess.PIPE,  # pipes, as those of its forks: Python looks at a start what it will print to
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[other.fileno()],
            env={name: value for name, value in os.environ.items() if not name.startswith("QVAC_HYPERSWARM")},
        )
        other.close()
        atexit.register(self._close)

    def ask(self, asked: Mapping[str, object], descriptors: Sequence[int]) -> None:
        text = json.dumps(asked).encode()
        with self._lock:
            self._socket.sendmsg(
                [len(text).to_bytes(4, "big")],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))],
            )
            self._socket.sendall(text)

    def _close(self) -> None:
        self._socket.close()
        self._process.communicate(timeout=10)


_started: list[_Server] = []
_starting = threading.Lock()


def _server() -> _Server:
    with _starting:
        if not _started:
            _started.append(_Server())
        return _started[0]


def _import_all() -> None:
    import gc
    import importlib

    for module in IMPORTED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()


def _serve(requests: socket.socket) -> tuple[str, list[str]]:
    """Forks for each request. Returns in the fork only: the module to run there, and its arguments."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests: it ends when they have
    while True:
        head, ancillary, _, _ = requests.recvmsg(4, socket.CMSG_SPACE(4 * 4), socket.MSG_WAITALL)
        if not head:
            os._exit(0)
        descriptors = array.array("i")
        for _, _, given in ancillary:
            descriptors.frombytes(given)
        rest = int.from_bytes(head, "big")
        text = b""
        while len(text) < rest:
            text += requests.recv(rest - len(text))
        if not os.fork():
            requests.close()
            asked = json.loads(text)
            _watch_over_a_fork(list(descriptors))
            os.environ.clear()
            os.environ.update(asked["environment"])
            os.chdir(asked["cwd"])
            return asked["module"], asked["arguments"]
        for descriptor in descriptors:
            os.close(descriptor)
        with suppress(ChildProcessError):  # those who watched and have ended
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _watch_over_a_fork(descriptors: list[int]) -> None:
    """Forks once more and returns in the fork. The other one tells its pid and its end, and ends too."""
    stdin, stdout, stderr, status = descriptors
    pid = os.fork()
    if pid:
        for descriptor in (0, 1, 2, stdin, stdout, stderr):
            os.close(descriptor)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.write(status, b"%d\n" % pid)
        try:
            os.write(status, b"%d\n" % os.waitpid(pid, 0)[1])
        finally:
            os._exit(0)
    os.close(status)
    for standard, descriptor in enumerate((stdin, stdout, stderr)):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where these tests run under nohup


def _run(module: str, arguments: list[str]) -> int | None:
    sys.argv = [module, *arguments]
    if module == "app.cli":
        from app.cli import main

        sys.argv[0] = str(os.path.join(os.path.dirname(sys.executable), "qvac-desktop"))  # noqa: PTH118, PTH120
        return main()
    import runpy

    runpy.run_module(module, run_name="__main__", alter_sys=False)
    return 0


if __name__ == "__main__":
    _import_all()
    with socket.socket(fileno=int(sys.argv[1])) as asking:
        called = _serve(asking)
    sys.exit(_run(*called))
