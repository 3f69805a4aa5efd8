"""`serve` beside a window that has the data folder: the window serves, for as long as the verb runs.

And what the verb says, whoever serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from io import RawIOBase
from pathlib import Path
from typing import Any, Final

from app.cli.output import Output
from app.instance_address import instance_address
from qvac_core.core.serving import Wanted
from qvac_core.errors import StoreError
from qvac_core.store.folders import DataDir

ANSWER_LIMIT: Final = 60.0  # seconds for the first line of a window: it may be starting
LINE_LIMIT: Final = 1 << 20  # bytes


async def serve_by_the_window(folder: DataDir, wanted: Wanted, output: Output, refused: StoreError) -> int:
    """Runs until cancelled. Raises StoreError where there is no window, or it serves no more."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def take(line: dict[str, Any] | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(lines.put_nowait, line)

    connection = await asyncio.to_thread(_Connection.of, instance_address(folder))
    if connection is None:
        raise _no_window(refused)
    try:
        # A thread of its own, which nobody waits for: reading from a pipe of Windows cannot be broken off.
        threading.Thread(target=connection.run, args=(wanted, take), name="window", daemon=True).start()
        try:
            first = await asyncio.wait_for(lines.get(), ANSWER_LIMIT)
        except TimeoutError:
            raise _no_window(refused) from None
        if first is None:  # an older one, which knows no such call
            raise _no_window(refused)
        line: dict[str, Any] | None = first
        while line is not None:
            _told(line, wanted, output)
            line = await lines.get()
    finally:
        connection.close()
    raise StoreError("The window of QVAC Desktop was closed, and serves programs no more.", name="WINDOW_CLOSED")


def _no_window(refused: StoreError) -> StoreError:
    first = refused.message.partition(". ")[0]
    return StoreError(
        f"{first}, and it is no window that would serve. Name another folder with --data-dir, or end that program "
        "first.",
        name=refused.name,
    )


def _told(line: dict[str, Any], wanted: Wanted, output: Output) -> None:
    """Raises StoreError for its last word."""
    match line.pop("event", None):
        case "ready":
            tell_ready(line["address"], line["tokenEnd"], line["models"], output)
            output.text(
                "The window that is open here serves it, also after this has ended: it was on there already."
                if line["already"]
                else "The window that is open here serves it. Ctrl-C ends it."
            )
        case "call":
            tell_call(line, output)
        case "progress":
            output.event("progress", **line)
        case "off":
            raise StoreError("The endpoint was switched off in the window.", name="SWITCHED_OFF")
        case "error" if line.get("name") == "CANNOT_LISTEN":
            raise not_served(line["message"], line["free"], wanted.port)
        case "error":
            raise StoreError(str(line["message"]), name=str(line["name"]))


class _Connection:
    """Blocks. What Qt calls a local server is a socket of the file system, on Windows a named pipe."""

    def __init__(self, stream: RawIOBase, connected: socket.socket | None) -> None:
        self._stream, self._socket = stream, connected

    @classmethod
    def of(cls, address: str) -> _Connection | None:
        """None: nobody is there."""
        if not address:
            return None
        try:
            if os.name == "nt":
                return cls(Path(address).open("r+b", buffering=0), None)
            connected = socket.socket(socket.AF_UNIX)
            try:
                connected.connect(address)
            except OSError:
                connected.close()
                raise
            return cls(connected.makefile("rwb", buffering=0), connected)
        except OSError:
            return None

    def run(self, wanted: Wanted, take: Callable[[dict[str, Any] | None], None]) -> None:
        """Say what is wanted, and hand on each line, then None."""
        try:
            self._stream.write(json.dumps({"serve": asdict(wanted)}).encode() + b"\n")
            while line := self._stream.readline(LINE_LIMIT):
                take(json.loads(line))
        except (OSError, ValueError):  # it ended, or is no window of ours
            pass
        finally:
            take(None)

    def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it has gone
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()


# --- What the verb says


def not_served(message: str, free: int, port: int) -> StoreError:
    """free: a port that could be had, 0 = it is no matter of the port."""
    if free:
        which = f"port {port}" if port else "the port for programs"
        message = f"Another program uses {which} on this machine. Choose another one: --http-port {free}."
    return StoreError(message, name="CANNOT_LISTEN")


def tell_ready(address: str, token_end: str, models: Sequence[str], output: Output) -> None:
    output.event("ready", address=address, tokenEnd=token_end, models=list(models))
    output.text(f"Programs reach this at\n\n  {address}\n")
    output.text(f"Token: …{token_end} (`qvac-desktop serve --token` prints it)")
    output.text("Models: " + (", ".join(models) or "none yet"))


def tell_call(call: dict[str, Any], output: Output) -> None:
    """call: as `call_fields` made it."""
    output.event("call", **call)
    output.text(_ended(call))


_OUTCOMES = {
    "done": "done",
    "moved": "done, by another machine from the middle on",
    "left": "the program went away",
    "stopped": "stopped",
    "refused": "refused",
    "failed": "failed",
}


def _ended(call: dict[str, Any]) -> str:
    who = call["program"] or "a program"
    why = f" ({call['reason']})" if call["reason"] else ""
    of = f" of {call['origin']}" if call["origin"] else ""
    if call["outcome"] == "refused":
        return f"{who}{of}: refused{why}"
    by = f" by {call['machine']}" if call["machine"] else ""
    figures = f"{call['promptTokens']} tokens in, {call['generatedTokens']} out, {call['ms'] / 1000:.1f} s"
    return f"{who}: {call['kind']}{by}: {_OUTCOMES.get(call['outcome'], call['outcome'])}{why}: {figures}."
