"""Whether others reach us unasked, and so whether we may be a lasting member of the network.

docs/wire/hyperdht.md section 1.8; dht-rpc 6.27.0 `index.js` _updateNetworkState, _checkIfFirewalled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from qvac_core.codec import Address
from qvac_core.dht_rpc.commands import MORE_STABLE_TICKS, STABLE_TICKS, SocketId
from qvac_core.dht_rpc.events import Ephemeral, Event, NatUpdated, Persistent
from qvac_core.dht_rpc.exchange import Exchange
from qvac_core.dht_rpc.nat_sampler import NatSampler
from qvac_core.dht_rpc.own_address import OwnAddress
from qvac_core.dht_rpc.reply import Outcome, Reply

_ASKED = 5
_ENOUGH_OF_FIVE = 3

Answer = Callable[[bool], None]


class Reachability:
    """`adaptive`: whether we are ephemeral was left to us. `recent(n)` are the nodes heard from last; `on_proven` gets
    the id that belongs to an address which was found to be ours.

    One thing is ours: a persistent node that others see at a new address gives its id up at once and earns one anew.
    The original keeps sending the old id, which nobody accepts any more.
    """

    def __init__(
        self,
        exchange: Exchange,
        own_address: OwnAddress,
        bootstrap_nodes: Sequence[Address],
        *,
        adaptive: bool,
        recent: Callable[[int], list[Address]],
        on_proven: Callable[[bytes], None],
        emit: Callable[[Event], None],
    ) -> None:
        self._exchange = exchange
        self._own = own_address
        self._bootstrap_nodes = bootstrap_nodes
        self._adaptive = adaptive
        self._recent = recent
        self._on_proven = on_proven
        self._emit = emit
        self._last_host: str | None = None
        self._stable_ticks = STABLE_TICKS if adaptive else 0

    def seen_elsewhere(self) -> None:
        """Others see us at another address than before, or disagree now."""
        own = self._own
        self._emit(NatUpdated(own.host, own.port))
        if own.has_moved and own.host is not None and own.port != 0:
            self._exchange.later(0.0, self._address_changed)

    def _address_changed(self) -> None:
        if self._own.has_moved:
            self._own.give_up()
            self._emit(Ephemeral())
            self.update(lambda _: None)

    # The firewall

    def _check_if_firewalled(self, sampler: NatSampler, answer: Answer) -> None:
        """Asks a few nodes to answer to our server socket and looks whether that gets through."""
        addresses = self._recent(_ASKED)
        if len(addresses) < _ASKED:
            addresses += [address for address in self._bootstrap_nodes if address not in addresses]
        if not addresses or not self._own.server_port:
            answer(True)
            return
        waiting = len(addresses)
        arrived = 0

        def on_done(outcome: Outcome) -> None:
            nonlocal waiting, arrived
            waiting -= 1
            if isinstance(outcome, Reply) and outcome.socket == SocketId.SERVER:
                arrived += 1
                sampler.add(*outcome.to)
            if waiting == 0:
                answer(self._looks_firewalled(len(addresses), arrived, sampler))

        for address in addresses:
            self._exchange.ping_nat(address, on_done=on_done)

    def _looks_firewalled(self, asked: int, arrived: int, sampler: NatSampler) -> bool:
        if arrived < (_ENOUGH_OF_FIVE if asked >= _ASKED else 1):
            return True
        if sampler.host is None or sampler.host != self._own.host:
            return True
        # A server socket that is seen under another port is behind a port map: nobody else would get through.
        return sampler.port != self._own.server_port

    def update(self, answer: Answer, *, only_firewall: bool = False) -> None:
        """Finds out whether we are firewalled, and unless `only_firewall` becomes persistent if not.

        `answer` hears whether anything was gained, maybe before this returns.
        """
        own = self._own
        if not own.ephemeral or (only_firewall and not own.firewalled):
            answer(False)
            return
        host, port = own.host, own.port
        if not only_firewall:
            self._stable_ticks = MORE_STABLE_TICKS
            self._last_host = host
        if host is None or port == 0:
            answer(False)
            return
        if not own.firewalled:
            answer(self._open(None, (host, port), only_firewall))
            return
        sampler = NatSampler()
        self._check_if_firewalled(sampler, partial(self._checked, sampler, (host, port), only_firewall, answer))

    def _checked(
        self, sampler: NatSampler, address: Address, only_firewall: bool, answer: Answer, firewalled: bool
    ) -> None:
        answer(not firewalled and self._open(sampler, address, only_firewall))

    def _open(self, seen: NatSampler | None, address: Address, only_firewall: bool) -> bool:
        id = self._own.prove(address, seen, persistent=not only_firewall)
        if id is None:
            return False
        self._on_proven(id)
        if not self._own.ephemeral:
            self._emit(Persistent())
        return True

    # Time

    def tick(self) -> None:
        """Every 20 minutes, later every hour: a node that stayed up so long may be able to become persistent."""
        if not self._adaptive or not self._own.ephemeral:
            return
        self._stable_ticks -= 1
        if self._stable_ticks > 0:
            return
        if self._last_host == self._own.host:
            self._stable_ticks = MORE_STABLE_TICKS
        else:
            self.update(lambda _: None)

    def restart(self) -> None:
        """We are in another network: nothing that was seen of us holds any more."""
        self.woke_up()
        self._own.forget()

    def woke_up(self) -> None:
        self._stable_ticks = MORE_STABLE_TICKS
        self._last_host = None
        if self._adaptive and not self._own.ephemeral:
            self._own.ephemeral = True
            self._emit(Ephemeral())
