"""Our own address, whether others reach us unasked, and so whether we may be a lasting member of the network.

docs/wire/hyperdht.md section 1.8; dht-rpc 6.27.0 `index.js` _updateNetworkState, _checkIfFirewalled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from qvac_core.codec import Address, Writer
from qvac_core.dht_rpc.commands import MORE_STABLE_TICKS, STABLE_TICKS, Internal, SocketId
from qvac_core.dht_rpc.events import Ephemeral, NatUpdated, Persistent
from qvac_core.dht_rpc.messages import peer_id
from qvac_core.dht_rpc.nat_sampler import NatSampler
from qvac_core.dht_rpc.reply import Outcome, Reply

if TYPE_CHECKING:
    from qvac_core.dht_rpc.node import Node

_ASKED = 5
_ENOUGH_OF_FIVE = 3

Answer = Callable[[bool], None]


class Reachability:
    """`firewalled` and `ephemeral` start true unless told; `adaptive` when ephemeral was left to us.

    One thing is ours: a persistent node that others see at a new address gives its id up at once and earns one anew.
    The original keeps sending the old id, which nobody accepts any more.
    """

    __slots__ = (
        "_address",
        "_bootstrap_samples",
        "_last_host",
        "_node",
        "_stable_ticks",
        "_starts_firewalled",
        "adaptive",
        "ephemeral",
        "firewalled",
        "nat",
    )

    def __init__(self, node: Node, *, ephemeral: bool | None, firewalled: bool | None) -> None:
        self._node = node
        self._bootstrap_samples: set[Address] = set()
        self._last_host: str | None = None
        self.nat = NatSampler()
        self.adaptive = ephemeral is None
        self.ephemeral = True
        self._starts_firewalled = firewalled is not False
        self.firewalled = self._starts_firewalled
        self._address: tuple[str | None, int] | None = None
        self._stable_ticks = STABLE_TICKS if self.adaptive else 0

    def sample(self, to: Address) -> None:
        """One more node says that our address is `to`."""
        before = (self.nat.host, self.nat.port)
        self.nat.add(*to)
        self._report_change(before)

    def sample_from_stranger(self, sender: Address, to: Address) -> None:
        """The word of nodes without id counts only until as many as there are bootstrap nodes have spoken."""
        if sender in self._bootstrap_samples or len(self._bootstrap_samples) >= max(1, len(self._node.bootstrap_nodes)):
            return
        self._bootstrap_samples.add(sender)
        self.sample(to)

    def _report_change(self, before: tuple[str | None, int]) -> None:
        now = (self.nat.host, self.nat.port)
        if now == before:
            return
        self._node.emit(NatUpdated(*now))
        if not self.ephemeral and now[0] is not None and now[1] != 0 and now != self._address:
            self._node.later(0.0, self._address_changed)

    def _address_changed(self) -> None:
        if self.ephemeral or (self.nat.host, self.nat.port) == self._address:
            return
        self.ephemeral = True
        self.firewalled = self._starts_firewalled
        self._node.emit(Ephemeral())
        self.update(lambda _: None)

    def remote_address(self) -> Address | None:
        """Where anybody reaches our server socket, None while that is unknown or not so."""
        nat = self.nat
        if nat.host is None or nat.port == 0 or self.firewalled or nat.port != self._node.server_port:
            return None
        return nat.host, nat.port

    # The firewall

    def ping_nat_value(self) -> bytes:
        return Writer().uint16(self._node.server_port).finish()

    def _check_if_firewalled(self, sampler: NatSampler, answer: Answer) -> None:
        """Asks a few nodes to answer to our server socket and looks whether that gets through."""
        node = self._node
        addresses = [known.address for known in node.neighbourhood.recent.latest(_ASKED)]
        if len(addresses) < _ASKED:
            addresses += [address for address in node.bootstrap_nodes if address not in addresses]
        if not addresses or not node.server_port:
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

        value = self.ping_nat_value()
        for address in addresses:
            node.send_internal(Internal.PING_NAT, address, value=value, on_done=on_done)

    def _looks_firewalled(self, asked: int, arrived: int, sampler: NatSampler) -> bool:
        if arrived < (_ENOUGH_OF_FIVE if asked >= _ASKED else 1):
            return True
        if sampler.host is None or sampler.host != self.nat.host:
            return True
        # A server socket that is seen under another port is behind a port map: nobody else would get through.
        return sampler.port != self._node.server_port

    def update(self, answer: Answer, *, only_firewall: bool = False) -> None:
        """Finds out whether we are firewalled, and unless `only_firewall` becomes persistent if not.

        `answer` hears whether anything was gained, maybe before this returns.
        """
        if not self.ephemeral or (only_firewall and not self.firewalled):
            answer(False)
            return
        host, port = self.nat.host, self.nat.port
        if not only_firewall:
            self._stable_ticks = MORE_STABLE_TICKS
            self._last_host = host
        if host is None or port == 0:
            answer(False)
            return
        if not self.firewalled:
            answer(self._open(self.nat, (host, port), only_firewall))
            return
        sampler = NatSampler()
        self._check_if_firewalled(sampler, partial(self._checked, sampler, (host, port), only_firewall, answer))

    def _checked(
        self, sampler: NatSampler, address: Address, only_firewall: bool, answer: Answer, firewalled: bool
    ) -> None:
        answer(not firewalled and self._open(sampler, address, only_firewall))

    def _open(self, sampler: NatSampler, address: Address, only_firewall: bool) -> bool:
        """Nothing is in the way: take the address as ours, unless it changed while we were asking."""
        self.firewalled = False
        if not self.ephemeral or address != (self.nat.host, self.nat.port):
            return False
        if sampler.host != address[0] or sampler.port == 0:
            return False
        self._address = (sampler.host, sampler.port)
        if not only_firewall:
            self.ephemeral = False
        if sampler is not self.nat:
            before = (self.nat.host, self.nat.port)
            self._bootstrap_samples.clear()
            self.nat = sampler
            self._report_change(before)
        self._node.adopt_id(peer_id((sampler.host, sampler.port)))
        if not self.ephemeral:
            self._node.emit(Persistent())
        return True

    # Time

    def tick(self) -> None:
        """Every 20 minutes, later every hour: a node that stayed up so long may be able to become persistent."""
        if not self.adaptive or not self.ephemeral:
            return
        self._stable_ticks -= 1
        if self._stable_ticks > 0:
            return
        if self._last_host == self.nat.host:
            self._stable_ticks = MORE_STABLE_TICKS
        else:
            self.update(lambda _: None)

    def restart(self) -> None:
        """We are in another network: nothing that was seen of us holds any more."""
        before = (self.nat.host, self.nat.port)
        self.nat = NatSampler()
        self._bootstrap_samples.clear()
        self._address = None
        self.woke_up()
        if self.ephemeral:
            self.firewalled = self._starts_firewalled
        self._report_change(before)

    def woke_up(self) -> None:
        self._stable_ticks = MORE_STABLE_TICKS
        self._last_host = None
        if self.adaptive and not self.ephemeral:
            self.ephemeral = True
            self._node.emit(Ephemeral())


def random_offset(n: int, random: Random) -> int:
    """Between half of n and n, so that nodes started together do not work in step."""
    return n - int(random.random() * 0.5 * n)
