"""Notices that this machine came into another network: Wi-Fi to mobile, another router, an interface that went.

Ours; the original does not look. Two system calls every few seconds, the same on every operating system.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from qvac_core.hyperdht.node.network import Network

INTERVAL = 3.0
"""Seconds. A stream that is noticed so late has still ten before its peer gives it up."""
_FAR_AWAY = "203.0.113.1"
"""An address of nobody (RFC 5737), which the default route leads to. Nothing is sent there."""


class NetworkWatch:
    """Calls `on_change` when our way out leads from another address, or one of our addresses is gone. `stop` it.

    Addresses that only come in addition are no change: what is open goes on as it is. While there is no network at
    all there is nothing to do, either; its return is the change. `is_broken` is asked each time as well.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        network: Network,
        on_change: Callable[[], None],
        is_broken: Callable[[], bool] = lambda: False,
    ) -> None:
        self._loop = loop
        self._network = network
        self._on_change = on_change
        self._is_broken = is_broken
        self._source = network.source_host(_FAR_AWAY)
        self._hosts = frozenset(network.local_hosts())
        self._offline = self._source is None and not self._hosts
        self._timer = loop.call_later(INTERVAL, self._look_again)

    def stop(self) -> None:
        self._timer.cancel()

    def _look_again(self) -> None:
        self._timer = self._loop.call_later(INTERVAL, self._look_again)
        self.look()

    def look(self) -> None:
        """Look now: somebody has reason to believe that something changed."""
        source = self._network.source_host(_FAR_AWAY)
        hosts = frozenset(self._network.local_hosts())
        gone = self._hosts - hosts
        if not hosts and source is None:
            self._offline = True
            return
        changed = source != self._source or bool(gone) or self._offline
        self._source, self._hosts, self._offline = source, hosts, False
        if changed or self._is_broken():
            self._on_change()
