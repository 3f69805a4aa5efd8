"""Who is in the routing table and who has to leave it: newcomers, checks by ping, down hints, the work of every tick.

docs/wire/hyperdht.md sections 1.5 and 1.9; dht-rpc 6.27.0 `index.js`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address
from random import Random

from qvac_core.codec import Address
from qvac_core.dht_rpc.commands import OLD_NODE, RECENT_NODE, Internal
from qvac_core.dht_rpc.exchange import Exchange
from qvac_core.dht_rpc.messages import pack_address, peer_key, unpack_address
from qvac_core.dht_rpc.own_address import OwnAddress
from qvac_core.dht_rpc.reply import Outcome, Reply
from qvac_core.dht_rpc.table import Recency, Table, TableNode

_MAX_REPINGS = 3
_MAX_CHECKS = 10
_ADDRESS_SIZE = 6
_DOWN_HINTS_PER_TICK = 50

_MAX_LOST = 64
_LOST_ASKED = 2
"""Silent nodes that are tried again per refresh."""

_SAMPLES_REMEMBERED = 16
_SAMPLES_PER_HOST = 3
"""Of half an hour. Ports are free and so are the ids that belong to them: the original lets one machine outvote all."""


class Neighbourhood:
    """The table with its upkeep. `tick` counts 5 s steps from a random start, as every age in it does.

    One thing is ours: nodes that fell silent are remembered and tried again now and then. Without that two halves of a
    network that lost each other for a quarter of an hour forget each other and never join again: only an empty table
    sends a node back to its bootstrap nodes.
    """

    def __init__(
        self, exchange: Exchange, own_address: OwnAddress, wants: Callable[[Address], bool], *, id: bytes, tick: int
    ) -> None:
        """`wants` says whom we deal with; `id` is any, until we have earned one."""
        self._exchange = exchange
        self._own = own_address
        self._hints = 0
        self.wants = wants
        self.joined = False
        """Whether the first lookup is over: the table is as full as it can be for now."""
        self._repings = 0
        self._checks = 0
        self._lost: dict[Address, None] = {}
        self._samplers: deque[tuple[int, str]] = deque(maxlen=_SAMPLES_REMEMBERED)
        self.table = Table(id)
        self.recent = Recency()
        self.tick = tick

    @property
    def lost(self) -> int:
        """Nodes that fell silent, and are remembered."""
        return len(self._lost)

    def heard_from(self, address: Address, id: bytes | None, to: Address, socket: int) -> None:
        """A message came from `address`; `id` is verified, None without one, `to` our address as it sees us."""
        if not self.wants(address):
            return
        sample = socket == self._own.socket
        if id is not None:
            self._heard_from_node(address, to, sample)
        elif sample:
            self._own.sample_from_stranger(address, to)

    def _heard_from_node(self, address: Address, to: Address, sample: bool) -> None:
        known = self.table.get(peer_key(address))
        if known is None:
            self.add(TableNode(address, self.tick, to))
            return
        if sample and (known.sampled == 0 or self.tick - known.sampled >= OLD_NODE):
            known.to = to
            known.sampled = self.tick
            self._sample(address[0], to)
        known.pinged = known.seen = self.tick
        self.recent.touch(known)

    def add(self, newcomer: TableNode) -> None:
        if newcomer.id == self.table.id or newcomer in self.table or self.table.crowded(newcomer):
            return
        newcomer.added = newcomer.pinged = newcomer.seen = self.tick
        if not self.table.add(newcomer):
            self._row_is_full(newcomer)
            return
        self.recent.touch(newcomer)
        if newcomer.to is not None and newcomer.sampled == 0:
            newcomer.sampled = self.tick
            self._sample(newcomer.host, newcomer.to)

    def _sample(self, host: str, to: Address) -> None:
        """Somebody at `host` says that our address is `to`. Whole networks on one private host are testnets."""
        if IPv4Address(host).is_global:
            votes = sum(voter == host and self.tick - tick < OLD_NODE for tick, voter in self._samplers)
            if votes >= _SAMPLES_PER_HOST:
                return
        self._samplers.append((self.tick, host))
        self._own.sample(to)

    def remove(self, node: TableNode) -> None:
        if self.table.remove(node):
            self.recent.remove(node)

    def timed_out(self, address: Address) -> None:
        node = self.table.get(peer_key(address))
        if node is not None:
            self._lose(node)

    def _lose(self, node: TableNode) -> None:
        self.remove(node)
        self._lost[node.address] = None
        if len(self._lost) > _MAX_LOST:
            del self._lost[next(iter(self._lost))]

    def retry_lost(self, random: Random, found: Callable[[], None]) -> None:
        """Asks some of the nodes that fell silent; `found` is called for each that is back."""
        lost = list(self._lost)
        for address in random.sample(lost, min(_LOST_ASKED, len(lost))):

            def on_done(outcome: Outcome, address: Address = address) -> None:
                if isinstance(outcome, Reply) and self._lost.pop(address, address) is None:
                    found()

            self._exchange.send_internal(Internal.PING, address, on_done=on_done, retries=0)

    def adopt_id(self, id: bytes) -> bool:
        """The table sorted anew around this id of ours, if it is another; nodes that find their row full are let go."""
        old = self.table
        if id == old.id:
            return False
        self.table = Table(id)
        for node in old.closest(old.id, len(old)):
            if node.id == id or not self.table.add(node):
                self.recent.remove(node)
        return True

    def _row_is_full(self, newcomer: TableNode) -> None:
        if not self.joined or self._repings >= _MAX_REPINGS:
            return
        candidates = [node for node in self.table.row(newcomer.key) if node.pinged != self.tick]
        if not candidates:
            return
        oldest = min(candidates, key=lambda node: (node.pinged, node.added))
        if self.tick - oldest.pinged < RECENT_NODE and self.tick - oldest.added > OLD_NODE:
            return
        self._reping(oldest, newcomer)

    def _reping(self, old: TableNode, newcomer: TableNode) -> None:
        """Keeps the old node if it answers, else gives its place away. The ping retries: loss is not death."""
        last_seen = old.seen
        old.pinged = self.tick
        self._repings += 1

        def on_done(outcome: Outcome) -> None:
            self._repings -= 1
            if isinstance(outcome, Reply) and old.seen > last_seen:
                return
            if isinstance(outcome, Reply):
                self.remove(old)
                self.add(newcomer)
            elif outcome.name == "REQUEST_TIMEOUT":
                self._lose(old)
                self.add(newcomer)

        self._exchange.send_internal(Internal.PING, old.address, on_done=on_done)

    def check(self, node: TableNode) -> None:
        """Pings a node and drops it if it is silent or has lost its id."""
        last_seen = node.seen
        node.pinged = self.tick
        self._checks += 1
        self._exchange.send_internal(Internal.PING, node.address, on_done=partial(self._checked, node, last_seen))

    def _checked(self, node: TableNode, last_seen: int, outcome: Outcome) -> None:
        self._checks -= 1
        if isinstance(outcome, Reply):
            if node.seen <= last_seen:
                self.remove(node)
        elif outcome.name == "REQUEST_TIMEOUT":
            self._lose(node)

    def tell_down(self, to: Address, down: Address) -> None:
        """Tells `to` that a node it named does not answer."""
        self._hints += 1
        if self._hints <= _DOWN_HINTS_PER_TICK:
            self._exchange.send_internal(Internal.DOWN_HINT, to, value=pack_address(down), on_done=_ignore)

    def down_hint(self, value: bytes) -> None:
        """Somebody says that a node is down: we look ourselves, but not at everybody's word and not again and again."""
        if self._checks >= _MAX_CHECKS:
            return
        node = self.table.get(peer_key(unpack_address(value[:_ADDRESS_SIZE])))
        if node is not None and (node.pinged < self.tick or node.down_hints == 0):
            node.down_hints += 1
            self.check(node)

    def age(self, ticks: int) -> None:
        """So much time went by, in ticks."""
        self.tick += ticks
        self._hints = 0

    def ping_some(self, busy: bool, refresh: Callable[[], None]) -> None:
        """Checks the nodes not heard of for longest, fewer of them when we are busy or know them to be fresh."""
        oldest = self.recent.oldest(3 if busy else 5)
        if not oldest:
            refresh()
            return
        if self.tick - oldest[0].pinged < RECENT_NODE:
            del oldest[2:]
        for node in oldest:
            if node.pinged != self.tick:
                self.check(node)


def _ignore(_: Outcome) -> None:
    """For hints: whoever does not hear them learns it in another way."""
