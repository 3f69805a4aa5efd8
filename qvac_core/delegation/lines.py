"""Newline-delimited JSON out of a stream whose chunks cut anywhere, with a bound on one line.

docs/wire/qvac.md section 1: a frame may hold up to 100 lines, and a line may straddle frames.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from qvac_core.errors import RemoteProtocolError

# A last line repeats the whole answer (completionDone.raw): generous for that, small against a flood.
MAX_LINE_BYTES = 16 * 1024 * 1024


class LineSplitter:
    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Complete lines without their newline; empty ones are left out. Raises RemoteProtocolError."""
        *complete, rest = chunk.split(b"\n")
        lines: list[bytes] = []
        for part in complete:
            self._rest += part
            self._check()
            if self._rest.strip():
                lines.append(bytes(self._rest))
            self._rest.clear()
        self._rest += rest
        self._check()
        return lines

    def _check(self) -> None:
        if len(self._rest) > self._limit:
            raise RemoteProtocolError(f"the provider sent a line of more than {self._limit} bytes")


async def lines_of(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What is left without a newline at the end of the stream is not a line."""
    splitter = LineSplitter()
    async for chunk in chunks:
        for line in splitter.feed(chunk):
            yield line
