"""The pipes between the app and a worker process: how messages are framed on them, and the worker's end of them.

Ours alone: u32 little-endian length, then one MessagePack array of messages (all that one step produced in one write).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from typing import IO, Any, BinaryIO, Generic, NoReturn, TypeVar

import msgspec

from qvac_core.errors import LocalProtocolError

FRAME_LIMIT = 64 * 1024 * 1024  # bytes; the longest history that fits any context is far below
_LENGTH = struct.Struct("<I")
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>

_Command = TypeVar("_Command")
_Report = TypeVar("_Report")


class Dialogue(Generic[_Command, _Report]):
    """What one kind of worker and the app say to each other.

    flag: starts such a worker through the app's own executable; module: through Python.
    """

    def __init__(self, flag: str, module: str, commands: Any, reports: Any) -> None:
        """commands, reports: the type of a list of them."""
        self.flag = flag
        self.module = module
        self._encoder = msgspec.msgpack.Encoder()
        self._commands: msgspec.msgpack.Decoder[list[_Command]] = msgspec.msgpack.Decoder(commands)
        self._reports: msgspec.msgpack.Decoder[list[_Report]] = msgspec.msgpack.Decoder(reports)

    def frame_commands(self, commands: Sequence[_Command]) -> bytes:
        """Raises LocalProtocolError when they are too large."""
        return self._frame(commands)

    def frame_reports(self, reports: Sequence[_Report]) -> bytes:
        """Raises LocalProtocolError when they are too large."""
        return self._frame(reports)

    def read_commands(self, pipe: IO[bytes]) -> list[_Command] | None:
        """None at the end of the pipe."""
        body = _read_body(pipe)
        return None if body is None else self._commands.decode(body)

    def read_reports(self, pipe: IO[bytes]) -> list[_Report] | None:
        """None at the end of the pipe. Raises LocalProtocolError or msgspec.DecodeError when the stream is damaged."""
        body = _read_body(pipe)
        return None if body is None else self._reports.decode(body)

    def _frame(self, messages: Sequence[object]) -> bytes:
        body = self._encoder.encode(list(messages))
        if len(body) > FRAME_LIMIT:
            raise LocalProtocolError("A message to or from the model process is too large.")
        return _LENGTH.pack(len(body)) + body


def _read_body(pipe: IO[bytes]) -> bytes | None:
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > FRAME_LIMIT:
        raise LocalProtocolError("The model process sent something that is not a message.")
    body = pipe.read(length)
    return body if len(body) == length else None


# --- The worker's end -------------------------------------------------------------------------------------------------


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The protocol's pipes, moved away from where C's printf and Python's print would write into them."""
    commands, reports = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if sys.platform == "win32":
        import msvcrt

        for descriptor in (commands, reports):
            msvcrt.setmode(descriptor, os.O_BINARY)
    return os.fdopen(commands, "rb"), os.fdopen(reports, "wb")


def die_with_parent() -> None:
    """On Linux the kernel sees to it even while native code holds everything up; elsewhere the closed pipe does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the whole group: the parent decides
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def worker_process(dialogue: Dialogue[Any, Any], serve: Callable[[queue.SimpleQueue[Any], BinaryIO], None]) -> NoReturn:
    """A worker's process, to its end. serve: takes commands from the queue, where it may put some of its own, and
    writes reports to the pipe.

    Leaving gives all native memory back, without native destructors.
    """
    commands, reports = take_pipes()
    die_with_parent()
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listen(commands, dialogue.read_commands, inbox.put)
    with contextlib.suppress(BrokenPipeError):  # the parent has gone: nobody is left to tell
        serve(inbox, reports)
    sys.stderr.flush()
    os._exit(0)


def listen(
    pipe: BinaryIO, read: Callable[[BinaryIO], list[_Command] | None], deliver: Callable[[_Command], None]
) -> None:
    """Hand on the app's commands, from a thread. The process ends with the pipe, whatever the other threads are in."""

    def run() -> None:
        try:
            while (messages := read(pipe)) is not None:
                for message in messages:
                    deliver(message)
        finally:
            # The parent is gone, however it went. The other thread may be deep in native code: leave without asking it.
            os._exit(0)

    threading.Thread(target=run, name="commands", daemon=True).start()
