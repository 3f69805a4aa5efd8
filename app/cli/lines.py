"""Lines that a person types, or that a pipe brings, without keeping the program from ending.

A thread of its own on the bare descriptor: the loop's executor would be awaited at the end, a buffered reader is locked
by the thread that reads it, and no selector takes a plain file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading

READ_BYTES = 65536


class Lines:
    """Starts reading at once. Used from one loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._ended = sys.stdin is None
        if not self._ended:
            arguments = (sys.stdin.fileno(), sys.stdin.encoding)
            threading.Thread(target=self._read, args=arguments, name="stdin", daemon=True).start()

    async def next(self) -> str | None:
        """The next line without its end; None when there are no more."""
        line = None if self._ended else await self._lines.get()
        self._ended = line is None
        return line

    def _read(self, descriptor: int, encoding: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            pending = b""
            while chunk := _read_some(descriptor):
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    self._post(line.decode(encoding, "replace").rstrip("\r"))
            if pending:
                self._post(pending.decode(encoding, "replace"))
            self._post(None)

    def _post(self, line: str | None) -> None:
        self._loop.call_soon_threadsafe(self._lines.put_nowait, line)


def _read_some(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, READ_BYTES)
    except OSError:  # the terminal is gone: the same as its end
        return b""
