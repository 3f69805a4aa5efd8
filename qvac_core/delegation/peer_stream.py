"""A connection as this room needs it: bytes both ways, in order, with back-pressure.

`qvac_core.hyperdht.Connection` is one, tests use a pair in memory. Chunks have no meaning: frames come split or joined.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol


class PeerStream(Protocol):
    @property
    def remote_public_key(self) -> bytes: ...

    @property
    def remote_address(self) -> tuple[str, int]: ...

    @property
    def path(self) -> str:
        """ "direct" or "relay", as it is now."""

    @property
    def relay(self) -> bytes | None:
        """The key of the relay that forwards it now."""

    @property
    def heard_at(self) -> float:
        """When anything came from the peer, be it that it takes what is sent; in seconds of the loop."""

    @property
    def rtt(self) -> float:
        """Of the path, in seconds; 0 while it is not known."""

    def when_path_changes(self, then: Callable[[Any], None]) -> None:
        """Call back whenever `path` or `relay` have become other ones."""

    def limit_frames(self, size: int) -> None:
        """Break the connection when the peer sends a message above `size` bytes, before it is buffered."""

    async def write(self, data: bytes) -> None:
        """Hand bytes over; waits while the peer does not take them. Raises ConnectionClosed."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Chunks until the peer ends; raises ConnectionClosed when it breaks."""

    async def close(self) -> None:
        """End gracefully: what was written is delivered first. Bounded in time."""

    def destroy(self) -> None:
        """Drop it now."""
