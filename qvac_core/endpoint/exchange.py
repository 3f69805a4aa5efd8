"""One HTTP request and its answer over ASGI: bodies within limits, JSON, a stream of events, and who left.

A program that goes away cancels whoever works for it, down to the engine. Waits are told by comments in the stream,
which every client that was tried ignores.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

from qvac_core.endpoint.faults import Fault
from qvac_core.tasks import beside, leave

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

T = TypeVar("T")

JSON_BYTES = 64 * 1024 * 1024  # a conversation with pictures
BODY_SECONDS = 30.0  # without a byte of a body that is still to come
SEND_SECONDS = 120.0  # without a byte taken by a program that reads slowly
# Until the stream begins, an error has its own status; later, and while nothing comes, a comment keeps the line open.
COMMENT_EVERY = 10.0
AHEAD = 256  # parts of an answer that wait for a program that reads slowly


class Left(Exception):
    """The program went away, or takes nothing any more."""


class Exchange:
    """scope, receive, send: ASGI's of one HTTP request. Header names are lower case, sizes bytes.

    Fault: an answer with its status that the program is to get. Left: it went away, and nothing can be answered.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.method: str = scope["method"]
        self.path: str = scope.get("raw_path", b"").decode("ascii", "replace")
        self.headers = _headers(scope)
        self.extra: dict[str, str] = {}  # headers of whatever is answered
        self.started = False
        self.read = False  # its body

    # --- What comes

    async def chunks(self, most: int) -> AsyncGenerator[bytes, None]:
        """The body. Raises Fault 413 beyond `most` bytes, 408 when nothing comes any more; Left."""
        if self._announced() > most:
            raise _too_large(most)
        size, more = 0, True
        while more:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    message = await self._receive()
            except TimeoutError:
                raise Fault(408, "The rest of the body did not come.", retry=False) from None
            if message["type"] == "http.disconnect":
                raise Left
            chunk, more = message.get("body", b""), message.get("more_body", False)
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            if chunk:
                yield chunk
        self.read = True

    def _announced(self) -> int:
        length = self.headers.get("content-length", "")
        return int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else 0

    async def body(self, most: int = JSON_BYTES) -> bytes:
        parts = [chunk async for chunk in self.chunks(most)]
        return b"".join(parts)

    @asynccontextmanager
    async def unless_left(self) -> AsyncIterator[None]:
        """Cancels what is inside when the program goes away, and raises Left then. Its body has been read."""

        async def watch() -> None:
            while (await self._receive())["type"] != "http.disconnect":
                pass
            raise Left

        async with beside(watch()):
            yield

    # --- What goes

    async def _give(self, message: MutableMapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send(message)
        except TimeoutError:
            raise Left from None

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.started = True
        told = {"cache-control": "no-store", "x-content-type-options": "nosniff", **headers, **self.extra}
        if not self.read and self.method == "POST":
            told["connection"] = "close"  # what is left of its body is not read
        pairs = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in told.items()]
        await self._give({"type": "http.response.start", "status": status, "headers": pairs})

    async def answer(self, status: int, data: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        length = {"content-type": kind, "content-length": str(len(data)), **(headers or {})}
        await self._start(status, length)
        await self._give({"type": "http.response.body", "body": b"" if self.method == "HEAD" else data})

    async def json(self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        await self.answer(status, encoded(content), "application/json", headers)

    async def text(self, content: str, kind: str = "text/plain; charset=utf-8") -> None:
        await self.answer(200, content.encode(), kind)

    async def nothing(self, status: int, headers: Mapping[str, str]) -> None:
        await self._start(status, {"content-length": "0", **headers})
        await self._give({"type": "http.response.body", "body": b""})

    # --- A stream of events

    async def begin_stream(self) -> None:
        if not self.started:
            await self._start(200, {"content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"})

    async def event(self, content: Any, name: str = "") -> None:
        await self.begin_stream()
        head = f"event: {name}\n".encode() if name else b""
        await self._write(head + b"data: " + encoded(content) + b"\n\n")

    async def last_word(self, text: str) -> None:
        await self._write(f"data: {text}\n\n".encode())

    async def comment(self, text: str) -> None:
        """What it says is one line."""
        await self.begin_stream()
        await self._write(f": {' '.join(text.split())}\n\n".encode())

    async def _write(self, data: bytes) -> None:
        await self._give({"type": "http.response.body", "body": data, "more_body": True})

    async def end_stream(self) -> None:
        await self._give({"type": "http.response.body", "body": b""})


def encoded(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


async def paced(parts: AsyncGenerator[T, None], seconds: float = COMMENT_EVERY) -> AsyncGenerator[T | None, None]:
    """The parts, and None for every so many seconds without one. They are made in one task, a few ahead."""
    queue: asyncio.Queue[T] = asyncio.Queue(AHEAD)
    arrived = asyncio.Event()

    async def pump() -> None:
        async with aclosing(parts):
            async for part in parts:
                await queue.put(part)
                arrived.set()

    making = asyncio.create_task(pump())
    making.add_done_callback(lambda _: arrived.set())
    try:
        while True:
            if not queue.empty():
                yield queue.get_nowait()
            elif making.done():
                await making
                return
            else:
                arrived.clear()
                try:
                    async with asyncio.timeout(seconds):
                        await arrived.wait()
                except TimeoutError:
                    yield None
    finally:
        await leave(making)


def _headers(scope: Scope) -> dict[str, str]:
    """By lower-case names. Raises Fault for two of what decides who may call."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in headers and key in ("host", "origin", "authorization", "content-length"):
            raise Fault(400, f"There are two {key} headers.", retry=False)
        headers[key] = value.decode("latin-1")
    return headers


def _too_large(most: int) -> Fault:
    return Fault(413, f"The body is larger than {most // 2**20} MiB.", code="request_too_large", retry=False)
