"""Which of several relays is named next: by chance, but not those that were of no use just now.

Ours; the original takes one by chance, whatever happened before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from random import Random

from qvac_core.hyperdht.node.arguments import check_relays

RelayKeys = bytes | Sequence[bytes]
"""One relay's public key, or several that are tried one after the other."""
RelayThrough = RelayKeys | Callable[[], RelayKeys | None]
"""The same, or a function that says it each time anew; None for no relay."""

AVOID = 60.0
"""Seconds for which a relay that failed is named last."""
RETRY_WINDOW = 40.0
"""Seconds in which a client that comes back has not met us at the relay that was named to it."""
_MAX_REMEMBERED = 1024


def relays_now(relay_through: RelayThrough | None) -> RelayKeys | None:
    """What a function says, or what was given. Raises what the function raises, TypeError for what are no keys."""
    if not callable(relay_through):
        return relay_through
    relays = relay_through()
    check_relays(relays)
    return relays


class RelayChoice:
    """One node's. `now` is any clock that goes on."""

    def __init__(self) -> None:
        self._failed: OrderedDict[bytes, float] = OrderedDict()
        self._named: OrderedDict[bytes, dict[bytes, float]] = OrderedDict()

    def order(self, relays: RelayKeys | None, chance: Random, now: float, last: Iterable[bytes] = ()) -> list[bytes]:
        """All of them, the promising ones first; `last` at the end."""
        keys = [relays] if isinstance(relays, bytes) else list(dict.fromkeys(relays or ()))
        chance.shuffle(keys)
        avoided = frozenset(last)
        return sorted(keys, key=lambda key: (key in avoided, self._has_failed(key, now)))

    def name_to(self, client: bytes, relays: RelayKeys | None, chance: Random, now: float) -> bytes | None:
        """For a server: another one each time while the same client comes back soon."""
        named = {key: at for key, at in self._named.pop(client, {}).items() if now - at < RETRY_WINDOW}
        keys = self.order(relays, chance, now)
        if not keys:
            return None
        chosen = min(keys, key=lambda key: named.get(key, float("-inf")))
        named[chosen] = now
        self._named[client] = named
        while len(self._named) > _MAX_REMEMBERED:
            self._named.popitem(last=False)
        return chosen

    def met(self, client: bytes, relay: bytes, now: float) -> None:
        """Those named to it before were of no use."""
        for other, at in self._named.pop(client, {}).items():
            if other != relay and now - at < RETRY_WINDOW:
                self.failed(other, now)

    def failed(self, relay: bytes, now: float) -> None:
        self._failed.pop(relay, None)
        self._failed[relay] = now
        while len(self._failed) > _MAX_REMEMBERED:
            self._failed.popitem(last=False)

    def worked(self, relay: bytes) -> None:
        self._failed.pop(relay, None)

    def _has_failed(self, relay: bytes, now: float) -> bool:
        at = self._failed.get(relay)
        return at is not None and now - at < AVOID
