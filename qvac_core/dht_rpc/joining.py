"""The first minutes of a node: find the neighbourhood, find out whether we are reachable, find it again under our id.

docs/wire/hyperdht.md section 1.8 "Bootstrap"; dht-rpc 6.27.0 `index.js` _bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable

from qvac_core.dht_rpc.exchange import Exchange
from qvac_core.dht_rpc.lookups import Lookups
from qvac_core.dht_rpc.own_address import OwnAddress
from qvac_core.dht_rpc.query import QueryResult
from qvac_core.dht_rpc.reachability import Reachability
from qvac_core.dht_rpc.reply import Outcome, Reply

_ROUNDS = 2


class Joining:
    """Runs once, and again in another network; `on_joined` hears the end of each.

    The quick firewall test asks only the first node that answers; if it fails, time will tell.
    """

    def __init__(
        self,
        exchange: Exchange,
        own_address: OwnAddress,
        lookups: Lookups,
        reachability: Reachability,
        *,
        force_persistent: bool,
        quick_firewall: bool,
        on_joined: Callable[[], None],
    ) -> None:
        self._exchange = exchange
        self._own = own_address
        self._lookups = lookups
        self._reachability = reachability
        self._force_persistent = force_persistent
        self._wants_quick = quick_firewall and not force_persistent
        self._on_joined = on_joined
        self._quick = self._reached = self._done = False
        self._round = 0

    def start(self) -> None:
        self._quick = self._wants_quick and self._own.firewalled
        self._reached = self._done = False
        self._round = 0
        self._look_around()

    def _look_around(self) -> None:
        self._lookups.around_us(on_reply=self._on_reply, on_finished=self._on_finished)

    def _on_reply(self, reply: Reply) -> None:
        if self._quick:
            self._quick = False
            self._exchange.ping_nat(reply.from_, on_done=self._on_pong)

    def _on_pong(self, outcome: Outcome) -> None:
        if isinstance(outcome, Reply):
            self._reached = True

    def _on_finished(self, result: QueryResult) -> None:
        if result.error is not None:
            return  # the node was closed
        self._round += 1
        if self._done or not (self._reached or self._force_persistent):
            self._finish()
        else:
            self._reachability.update(self._on_update, only_firewall=not self._force_persistent)

    def _on_update(self, changed: bool) -> None:
        if changed and self._round < _ROUNDS:
            self._look_around()
        else:
            self._finish()

    def _finish(self) -> None:
        self._done = True
        self._on_joined()
