"""What a node does by itself every few seconds: checks, refreshes, its health, and noticing that it slept.

docs/wire/hyperdht.md section 1.9; dht-rpc 6.27.0 `index.js` _ontick, _onwakeup.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from qvac_core.codec import Address
from qvac_core.dht_rpc.commands import (
    BACKGROUND_CONCURRENCY,
    DEFAULT_CONCURRENCY,
    OLD_NODE,
    REFRESH_TICKS,
    SLEEP_GAP,
    TICK,
    Internal,
)
from qvac_core.dht_rpc.events import NetworkChanged, WakeUp
from qvac_core.dht_rpc.health import Health
from qvac_core.dht_rpc.messages import pack_address
from qvac_core.dht_rpc.query import OnFinished, QueryResult
from qvac_core.dht_rpc.reachability import random_offset
from qvac_core.dht_rpc.reply import Outcome, Reply

if TYPE_CHECKING:
    from qvac_core.dht_rpc.node import Node

_PING_TICKS = 8
_SMALL_TABLE_TICKS = 64
_DOWN_HINTS_PER_TICK = 50


def background_query(
    node: Node,
    target: bytes,
    *,
    on_reply: Callable[[Reply], None] | None = None,
    on_finished: OnFinished | None = None,
) -> None:
    """A FIND_NODE that yields to other traffic; what it brings is in the table afterwards."""

    def on_background_reply(reply: Reply) -> None:
        query.concurrency = BACKGROUND_CONCURRENCY if node.rpc.busy else DEFAULT_CONCURRENCY
        if on_reply is not None:
            on_reply(reply)

    query = node.find_node(
        target,
        now=node.rpc.now,
        on_finished=on_finished or _ignore,
        on_reply=on_background_reply,
        concurrency=BACKGROUND_CONCURRENCY,
    )


def _ignore(_: QueryResult) -> None:
    """For refreshes: nobody waits for their end."""


def _ignore_outcome(_: Outcome) -> None:
    """For hints: whoever does not hear them learns it in another way."""


class Upkeep:
    """Ticks come every 5 s; one that is more than 15 s late means that the machine slept."""

    __slots__ = ("_down_hints", "_last_tick", "_node", "_refresh_ticks", "health")

    def __init__(self, node: Node, now: float, random: Random) -> None:
        self._node = node
        self._last_tick = now
        self._refresh_ticks = random_offset(REFRESH_TICKS, random)
        self._down_hints = 0
        self.health = Health()

    def start(self, now: float) -> None:
        self._last_tick = now
        self._node.rpc.later(TICK, self._tick)

    def query_started(self) -> None:
        """Any lookup keeps the table fresh, so the next refresh can wait."""
        self._refresh_ticks = REFRESH_TICKS

    def send_down_hint(self, to: Address, down: Address) -> None:
        """Tells `to` that a node it named does not answer."""
        self._down_hints += 1
        if self._down_hints <= _DOWN_HINTS_PER_TICK:
            self._node.rpc.send_internal(Internal.DOWN_HINT, to, value=pack_address(down), on_done=_ignore_outcome)

    def _tick(self) -> None:
        node = self._node
        slept = node.rpc.now - self._last_tick > SLEEP_GAP
        self.start(node.rpc.now)
        if node.rpc.suspended:
            return
        if slept:
            self.wake_up()
        else:
            node.neighbourhood.tick += 1
        if node.bootstrapped:
            self._work()

    def _work(self) -> None:
        node = self._node
        tick = node.neighbourhood.tick
        node.reachability.tick()
        if tick % _PING_TICKS == 0:
            node.neighbourhood.ping_some(node.rpc.busy, node.refresh)
        self._refresh_ticks -= 1
        if self._refresh_ticks <= 0 or (tick % _SMALL_TABLE_TICKS == 0 and len(node.table) < node.table.k):
            node.refresh()
        self._down_hints = 0
        before = (self.health.online, self.health.degraded)
        self.health.update(node.stats.responses, node.stats.timeouts)
        self._report_change(before)

    def _report_change(self, before: tuple[bool, bool]) -> None:
        if before != (self.health.online, self.health.degraded):
            self._node.emit(NetworkChanged(self.health.online, self.health.degraded))

    def wake_up(self) -> None:
        """Everything known is old: ping in two ticks, refresh in one, check our address again."""
        self.distrust()
        self._node.reachability.woke_up()
        self._node.emit(WakeUp())

    def distrust(self) -> None:
        """What we know of others is old, and their silence of lately says nothing."""
        neighbourhood = self._node.neighbourhood
        neighbourhood.tick += 2 * OLD_NODE
        neighbourhood.tick += _PING_TICKS - neighbourhood.tick % _PING_TICKS - 2
        self._refresh_ticks = 1
        before = (self.health.online, self.health.degraded)
        self.health.reset()
        self._report_change(before)

    def resume(self, now: float) -> None:
        self._last_tick = now
        self.wake_up()
