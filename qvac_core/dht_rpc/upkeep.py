"""What a node does by itself every few seconds: checks, refreshes, its health, and noticing that it slept.

docs/wire/hyperdht.md section 1.9; dht-rpc 6.27.0 `index.js` _ontick, _onwakeup.
"""

from __future__ import annotations

from collections.abc import Callable

from qvac_core.dht_rpc.commands import OLD_NODE, SLEEP_GAP, TICK
from qvac_core.dht_rpc.events import Event, NetworkChanged, WakeUp
from qvac_core.dht_rpc.exchange import Exchange
from qvac_core.dht_rpc.health import Health
from qvac_core.dht_rpc.lookups import Lookups
from qvac_core.dht_rpc.neighbourhood import Neighbourhood
from qvac_core.dht_rpc.reachability import Reachability

_PING_TICKS = 8
_SMALL_TABLE_TICKS = 64


class Upkeep:
    """Ticks come every 5 s; one that is more than 15 s late means that the machine slept."""

    __slots__ = ("_emit", "_exchange", "_last_tick", "_lookups", "_neighbourhood", "_reachability", "health")

    def __init__(
        self,
        exchange: Exchange,
        neighbourhood: Neighbourhood,
        lookups: Lookups,
        reachability: Reachability,
        emit: Callable[[Event], None],
    ) -> None:
        self._exchange = exchange
        self._neighbourhood = neighbourhood
        self._lookups = lookups
        self._reachability = reachability
        self._emit = emit
        self._last_tick = exchange.now
        self.health = Health()

    def start(self) -> None:
        self._last_tick = self._exchange.now
        self._exchange.later(TICK, self._tick)

    def _tick(self) -> None:
        slept = self._exchange.now - self._last_tick > SLEEP_GAP
        self.start()
        if self._exchange.suspended:
            return
        if slept:
            self.wake_up()
        else:
            self._neighbourhood.age(1)
        if self._neighbourhood.joined:
            self._work()

    def _work(self) -> None:
        self._reachability.tick()
        tick, table = self._neighbourhood.tick, self._neighbourhood.table
        if tick % _PING_TICKS == 0:
            self._neighbourhood.ping_some(self._exchange.busy, self._lookups.refresh)
        self._lookups.refresh_in -= 1
        if self._lookups.refresh_in <= 0 or (tick % _SMALL_TABLE_TICKS == 0 and len(table) < table.k):
            self._lookups.refresh()
        before = (self.health.online, self.health.degraded)
        stats = self._exchange.requests.stats
        self.health.update(stats.responses, stats.timeouts)
        self._report_change(before)

    def _report_change(self, before: tuple[bool, bool]) -> None:
        if before != (self.health.online, self.health.degraded):
            self._emit(NetworkChanged(self.health.online, self.health.degraded))

    def wake_up(self) -> None:
        """Everything known is old: ping in two ticks, refresh in one, check our address again."""
        self.distrust()
        self._reachability.woke_up()
        self._emit(WakeUp())

    def distrust(self) -> None:
        """What we know of others is old, and their silence of lately says nothing."""
        self._neighbourhood.age(2 * OLD_NODE)
        self._neighbourhood.age(_PING_TICKS - self._neighbourhood.tick % _PING_TICKS - 2)
        self._lookups.refresh_in = 1
        before = (self.health.online, self.health.degraded)
        self.health.reset()
        self._report_change(before)

    def resume(self) -> None:
        self._last_tick = self._exchange.now
        self.wake_up()
