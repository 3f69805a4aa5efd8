"""Two ends of one connection in memory, in jumping time: what delegation's tests run on.

A pair holds at most `capacity` bytes on the way in each direction, so a peer that does not read is felt by its writer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from qvac_core.errors import ConnectionClosed
from tests.simulation.virtual_loop import VirtualLoop

T = TypeVar("T")


class MemoryStream:
    """One end. `cut` makes chunks of that many bytes, to split frames anywhere."""

    def __init__(self, remote_public_key: bytes, *, capacity: int = 256 * 1024, cut: int | None = None) -> None:
        self.remote_public_key = remote_public_key
        self.remote_address = ("127.0.0.1", 4000)
        self.path, self.relay = "direct", None
        self.heard_at, self.rtt = asyncio.get_event_loop().time(), 0.0
        self.peer: MemoryStream
        self.written = bytearray()
        self.destroyed = False
        self.is_cut = False  # nothing arrives at either end; it does when this is over
        self.closed = False
        self.frame_limit: int | None = None
        self._capacity = capacity
        self._cut = cut
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._error: ConnectionClosed | None = None
        self._ended = False

    async def write(self, data: bytes) -> None:
        peer = self.peer
        while peer._inbox_bytes >= self._capacity and self._error is None:
            peer._room.clear()
            await peer._room.wait()
        if self._error is not None or self.closed:
            raise self._error or ConnectionClosed("closed", name="ECLOSED")
        self.written += data
        step = self._cut or max(1, len(data))
        for start in range(0, len(data), step):
            peer._inbox.append(data[start : start + step])
        peer._inbox_bytes += len(data)
        if not self.is_cut:
            peer.heard_at = asyncio.get_running_loop().time()
        peer._changed.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            while self._inbox and not self.is_cut:
                chunk = self._inbox.popleft()
                self._inbox_bytes -= len(chunk)
                self._room.set()
                self.peer.heard_at = asyncio.get_running_loop().time()  # as a stream acknowledges what it takes
                yield chunk
            if self._error is not None and not self._ended and not self.is_cut:
                if self.destroyed:
                    return
                raise self._error
            if self._ended and not self.is_cut:
                return
            self._changed.clear()
            await self._changed.wait()

    def cut(self, is_cut: bool = True) -> None:
        for end in (self, self.peer):
            end.is_cut = is_cut
            end._changed.set()

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.peer._ended = True
            self.peer._changed.set()
            self._break("closed", "ECLOSED")

    def limit_frames(self, size: int) -> None:
        """A pair in memory has no frames; what it was told is for tests to read."""
        self.frame_limit = size

    def when_path_changes(self, then: object) -> None:
        """A pair in memory has one path."""

    def destroy(self) -> None:
        if self.destroyed or self.closed:
            return
        self.destroyed = True
        self._break("destroyed", "ECLOSED")
        self.peer._inbox.clear()
        self.peer._break("connection reset by peer", "ECONNRESET")

    def _break(self, message: str, name: str) -> None:
        if self._error is None:
            self._error = ConnectionClosed(message, name=name)
        self._changed.set()
        self._room.set()
        self.peer._room.set()


def stream_pair(
    left_key: bytes = b"\x01" * 32,
    right_key: bytes = b"\x02" * 32,
    *,
    capacity: int = 256 * 1024,
    cut: int | None = None,
) -> tuple[MemoryStream, MemoryStream]:
    """(the end that the left peer holds, the end that the right peer holds)."""
    left = MemoryStream(right_key, capacity=capacity, cut=cut)
    right = MemoryStream(left_key, capacity=capacity, cut=cut)
    left.peer, right.peer = right, left
    return left, right


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in jumping time: an hour's timeout takes no time, a deadlock is an error."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(0.0)) as runner:
        return runner.run(main)


async def settle(steps: int = 20) -> None:
    """Let everything that is ready run."""
    for _ in range(steps):
        await asyncio.sleep(0)
