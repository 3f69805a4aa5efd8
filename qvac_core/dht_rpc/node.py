"""A node of the DHT without its sockets: datagrams and time in, datagrams and the next timer out.

docs/wire/hyperdht.md section 1; dht-rpc 6.27.0 `index.js`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from random import Random

from qvac_core.codec import Address
from qvac_core.dht_rpc.answering import Answering
from qvac_core.dht_rpc.commands import REFRESH_TICKS
from qvac_core.dht_rpc.events import AddressesChanged, Event, Ready
from qvac_core.dht_rpc.exchange import Exchange
from qvac_core.dht_rpc.incoming import IncomingRequest
from qvac_core.dht_rpc.joining import Joining
from qvac_core.dht_rpc.lookups import Lookups
from qvac_core.dht_rpc.messages import ID_SIZE
from qvac_core.dht_rpc.neighbourhood import Neighbourhood
from qvac_core.dht_rpc.own_address import OwnAddress
from qvac_core.dht_rpc.reachability import Reachability
from qvac_core.dht_rpc.requests import Stats
from qvac_core.dht_rpc.table import Table, TableNode
from qvac_core.dht_rpc.upkeep import Upkeep

_TICK_START = 100


class Node:
    """Feed `receive` and `handle_timer`, then take `transmissions`, `next_event` until None, and `get_timer`.

    Callbacks run inside the method that caused them, never before `request` or `query` returned their object, and
    exactly once. Only after `close` do new requests and queries fail at once, inside the call. Hosts are dotted IPv4
    everywhere: names are resolved by the owner.
    """

    def __init__(
        self,
        *,
        now: float,
        random: Random,
        bootstrap: Sequence[Address],
        ephemeral: bool | None = None,
        firewalled: bool | None = None,
        quick_firewall: bool = True,
        filter_node: Callable[[Address], bool] | None = None,
        nodes: Sequence[Address] = (),
    ) -> None:
        """`filter_node` says whom we deal with; `nodes` are those known from last time, newest first."""
        self._events: deque[Event] = deque()
        emit = self._events.append
        self.bootstrap_nodes = tuple(bootstrap)
        self.own_address = OwnAddress(
            firewalled=firewalled,
            strangers=len(self.bootstrap_nodes),
            on_seen=lambda: self.reachability.seen_elsewhere(),
        )
        self.exchange = Exchange(
            self.own_address,
            now=now,
            random=random,
            closer_nodes=lambda target: [node.address for node in self.table.closest(target)],
            on_request=lambda *request: self._answering.answer(*request),
            on_heard=lambda *heard: self.neighbourhood.heard_from(*heard),
            on_silent=lambda address: self.neighbourhood.timed_out(address),
        )
        refresh_in = random_offset(REFRESH_TICKS, random)
        self.neighbourhood = Neighbourhood(
            self.exchange,
            self.own_address,
            filter_node or (lambda _: True),
            id=random.randbytes(ID_SIZE),
            tick=random_offset(_TICK_START, random),
        )
        self._answering = Answering(self.exchange, self.neighbourhood)
        self.lookups = Lookups(
            self.exchange, self.neighbourhood, self.bootstrap_nodes, random=random, refresh_in=refresh_in
        )
        self.reachability = Reachability(
            self.exchange,
            self.own_address,
            self.bootstrap_nodes,
            adaptive=ephemeral is None,
            recent=self.to_array,
            on_proven=self._adopt_id,
            emit=emit,
        )
        self._upkeep = Upkeep(self.exchange, self.neighbourhood, self.lookups, self.reachability, emit)
        self._joining = Joining(
            self.exchange,
            self.own_address,
            self.lookups,
            self.reachability,
            force_persistent=ephemeral is False,
            quick_firewall=quick_firewall,
            on_joined=self._joined,
        )
        # What one part does alone is said there.
        self.receive = self.exchange.receive
        self.transmissions = self.exchange.transmissions
        self.get_timer = self.exchange.get_timer
        self.handle_timer = self.exchange.handle_timer
        self.request = self.exchange.request
        self.ping = self.exchange.ping
        self.query = self.lookups.query
        self.find_node = self.lookups.find_node
        self.remote_address = self.own_address.remote_address
        for address in reversed(nodes):
            self.add_node(address)

    # What we know

    @property
    def id(self) -> bytes | None:
        """Our id as others know it, None while we are ephemeral."""
        return self.own_address.id

    @property
    def key(self) -> int:
        return self.table.key

    @property
    def table(self) -> Table:
        return self.neighbourhood.table

    @property
    def bootstrapped(self) -> bool:
        """Whether `Ready` was told."""
        return self.neighbourhood.joined

    @property
    def on_request(self) -> Callable[[IncomingRequest], None] | None:
        """Gets the requests of others that are not dht-rpc's own."""
        return self._answering.on_request

    @on_request.setter
    def on_request(self, handler: Callable[[IncomingRequest], None] | None) -> None:
        self._answering.on_request = handler

    @property
    def ephemeral(self) -> bool:
        return self.own_address.ephemeral

    @property
    def firewalled(self) -> bool:
        return self.own_address.firewalled

    @property
    def online(self) -> bool:
        """Whether anybody answered lately."""
        return self._upkeep.health.online

    @property
    def host(self) -> str | None:
        """Our address as others see it, None while they disagree."""
        return self.own_address.host

    @property
    def port(self) -> int:
        """The port that goes with `host`; 0 when it differs from peer to peer."""
        return self.own_address.port

    @property
    def stats(self) -> Stats:
        """What was asked and answered since the node was made."""
        return self.exchange.requests.stats

    @property
    def held(self) -> dict[str, int]:
        """How many things it keeps, by kind: strangers must not be able to make any of them grow."""
        return {
            "table": len(self.table),
            "recent": len(self.neighbourhood.recent),
            "lost": self.neighbourhood.lost,
            "requests": len(self.exchange.requests),
            "timers": self.exchange.timers,
            "requests by host": len(self._answering.limits),
            "bytes by host": len(self.exchange.budget),
        }

    def to_array(self, limit: int | None = None) -> list[Address]:
        """The nodes heard from last, newest first: what to keep for the next start."""
        return [node.address for node in self.neighbourhood.recent.latest(limit)]

    def add_node(self, address: Address) -> None:
        """Takes a node into the table on somebody's word; it leaves again if it does not answer."""
        self.neighbourhood.add(TableNode(address, self.neighbourhood.tick))

    # The owner's verbs

    def set_server_port(self, port: int) -> None:
        """The local port of the server socket; before `bootstrap`."""
        self.own_address.server_port = port

    def know_address(self, address: Address) -> None:
        """For nodes that are told their public address, as the network's first node is."""
        self.own_address.sample(address)

    def bootstrap(self, now: float) -> None:
        """Starts the node: its ticks and the search for its neighbourhood. Ends with the event Ready."""
        self.exchange.advance(now)
        self._upkeep.start()
        self._joining.start()

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    # What the parts tell us

    def _joined(self) -> None:
        if not self.neighbourhood.joined:
            self.neighbourhood.joined = True
            self._events.append(Ready())

    def _adopt_id(self, id: bytes) -> None:
        if self.neighbourhood.adopt_id(id) and self.neighbourhood.joined:
            self.lookups.refresh()

    # Sleeping and ending

    def wake_up(self, now: float) -> None:
        """For owners that know better than the clock that the machine slept."""
        self.exchange.advance(now)
        self._upkeep.wake_up()

    def network_changed(self, now: float) -> None:
        """Our own addresses are others now: find out anew how others see us, and look around at once."""
        self.exchange.advance(now)
        if self.exchange.closed or self.exchange.suspended:
            return
        self._upkeep.distrust()
        self.reachability.restart()
        self._joining.start()
        self._events.append(AddressesChanged())

    def suspend(self, now: float) -> None:
        """Stops all traffic; requests under way fail with IO_SUSPENDED."""
        self.exchange.advance(now)
        self.exchange.suspend()

    def resume(self, now: float) -> None:
        self.exchange.advance(now)
        if self.exchange.suspended:
            self.exchange.suspended = False
            self._upkeep.resume()
            self.lookups.refresh()

    def close(self) -> None:
        """Ends everything that is under way (REQUEST_DESTROYED, QUERY_CANCELLED) and sends nothing any more."""
        if self.exchange.closed:
            return
        self.exchange.closed = True
        self.lookups.cancel_all()
        self.exchange.close()


def random_offset(n: int, random: Random) -> int:
    """Between half of n and n, so that nodes started together do not work in step."""
    return n - int(random.random() * 0.5 * n)
