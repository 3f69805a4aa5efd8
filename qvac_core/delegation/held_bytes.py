"""How much of what peers send is held in memory at once, over all connections of one provider.

Ours: each connection has its own bounds, but there may be hundreds, and keys cost nothing where everybody is admitted.
"""

from __future__ import annotations

from qvac_core.errors import RemoteProtocolError


class HeldBytes:
    """At most `limit` bytes, and beyond that `share` for each holder: what a modest guest needs cannot be used up."""

    def __init__(self, limit: int, share: int) -> None:
        self._limit = limit
        self._share = share
        self._held: dict[object, int] = {}
        self._in_all = 0

    @property
    def in_all(self) -> int:
        return self._in_all

    def hold(self, holder: object, size: int) -> None:
        """`holder` holds so much now. Raises RemoteProtocolError when that is too much beside the others."""
        before = self._held.get(holder, 0)
        self._in_all += size - before
        if size:
            self._held[holder] = size
        else:
            self._held.pop(holder, None)
        if size > before and size > self._share and self._in_all > self._limit:
            raise RemoteProtocolError("this provider has no room for so many bytes at the moment; try again later")

    def release(self, holder: object) -> None:
        self._in_all -= self._held.pop(holder, 0)
