"""The first minutes of a node: find the neighbourhood, find out whether we are reachable, find it again under our id.

docs/wire/hyperdht.md section 1.8 "Bootstrap"; dht-rpc 6.27.0 `index.js` _bootstrap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qvac_core.dht_rpc.query import QueryResult
from qvac_core.dht_rpc.reply import Outcome, Reply
from qvac_core.dht_rpc.upkeep import background_query

if TYPE_CHECKING:
    from qvac_core.dht_rpc.node import Node

_ROUNDS = 2


class Bootstrap:
    """Runs once, and again in another network.

    The quick firewall test asks only the first node that answers; if it fails, time will tell.
    """

    __slots__ = ("_done", "_force_persistent", "_node", "_quick", "_reached", "_round", "_wants_quick")

    def __init__(self, node: Node, *, force_persistent: bool, quick_firewall: bool) -> None:
        self._node = node
        self._force_persistent = force_persistent
        self._wants_quick = quick_firewall
        self._quick = quick_firewall and node.firewalled and not force_persistent
        self._reached = False
        self._done = False
        self._round = 0

    def restart(self) -> None:
        self._quick = self._wants_quick and self._node.firewalled and not self._force_persistent
        self._reached = self._done = False
        self._round = 0
        self.start()

    def start(self) -> None:
        background_query(self._node, self._node.table.id, on_reply=self._on_reply, on_finished=self._on_finished)

    def _on_reply(self, reply: Reply) -> None:
        if not self._quick:
            return
        self._quick = False
        self._node.rpc.ping_nat(reply.from_, on_done=self._on_pong)

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
            self._node.reachability.update(self._on_update, only_firewall=not self._force_persistent)

    def _on_update(self, changed: bool) -> None:
        if changed and self._round < _ROUNDS:
            self.start()
        else:
            self._finish()

    def _finish(self) -> None:
        self._done = True
        self._node.bootstrap_done()
