"""A node of the DHT without its sockets: datagrams and time in, datagrams and the next timer out.

docs/wire/hyperdht.md section 1; dht-rpc 6.27.0 `index.js`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from random import Random

from qvac_core.codec import Address
from qvac_core.dht_rpc.answering import Answering
from qvac_core.dht_rpc.bootstrap import Bootstrap
from qvac_core.dht_rpc.commands import (
    DEFAULT_CONCURRENCY,
    QUERY_RETRIES,
    Internal,
)
from qvac_core.dht_rpc.events import AddressesChanged, Event, Ready
from qvac_core.dht_rpc.incoming import IncomingRequest
from qvac_core.dht_rpc.messages import (
    ID_SIZE,
)
from qvac_core.dht_rpc.neighbourhood import Neighbourhood
from qvac_core.dht_rpc.own_address import OwnAddress
from qvac_core.dht_rpc.query import Commit, OnFinished, Query
from qvac_core.dht_rpc.reachability import Reachability, random_offset
from qvac_core.dht_rpc.reply import Reply
from qvac_core.dht_rpc.requests import Stats
from qvac_core.dht_rpc.rpc import Rpc
from qvac_core.dht_rpc.table import Table, TableNode
from qvac_core.dht_rpc.upkeep import Upkeep, background_query

_TICK_START = 100
_FEW_IN_FLIGHT = 3


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
        self._random = random
        self._events: deque[Event] = deque()
        self._answering = Answering(self)
        self.on_request: Callable[[IncomingRequest], None] | None = None
        self._filter_node = filter_node
        self._queries: set[Query] = set()
        self.bootstrap_nodes = tuple(bootstrap)
        self.bootstrapped = False
        self.own_address = OwnAddress(
            firewalled=firewalled,
            strangers=len(self.bootstrap_nodes),
            on_seen=lambda: self.reachability.seen_elsewhere(),
        )
        self.rpc = Rpc(
            self.own_address,
            now=now,
            random=random,
            closer_nodes=self.closer_nodes,
            on_request=self._answering.answer,
            on_heard=self.heard_from,
            on_silent=lambda address: self.neighbourhood.timed_out(address),
        )
        self.upkeep = Upkeep(self, now, random)
        self.neighbourhood = Neighbourhood(self, random.randbytes(ID_SIZE), random_offset(_TICK_START, random))
        self.reachability = Reachability(
            self.rpc,
            self.own_address,
            self.bootstrap_nodes,
            adaptive=ephemeral is None,
            recent=lambda count: [node.address for node in self.neighbourhood.recent.latest(count)],
            on_proven=self.adopt_id,
            emit=self.emit,
        )
        self._bootstrap = Bootstrap(self, force_persistent=ephemeral is False, quick_firewall=quick_firewall)
        # What one part does alone is said there.
        self.receive = self.rpc.receive
        self.transmissions = self.rpc.transmissions
        self.get_timer = self.rpc.get_timer
        self.handle_timer = self.rpc.handle_timer
        self.request = self.rpc.request
        self.ping = self.rpc.ping
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
    def ephemeral(self) -> bool:
        return self.own_address.ephemeral

    @property
    def firewalled(self) -> bool:
        return self.own_address.firewalled

    @property
    def online(self) -> bool:
        """Whether anybody answered lately."""
        return self.upkeep.health.online

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
        return self.rpc.requests.stats

    @property
    def held(self) -> dict[str, int]:
        """How many things it keeps, by kind: strangers must not be able to make any of them grow."""
        return {
            "table": len(self.table),
            "recent": len(self.neighbourhood.recent),
            "lost": self.neighbourhood.lost,
            "requests": len(self.rpc.requests),
            "timers": self.rpc.timers,
            "requests by host": self._answering.hosts_counted,
            "bytes by host": len(self.rpc.budget),
        }

    def closest(self, target: bytes, k: int | None = None) -> list[TableNode]:
        return self.table.closest(target, k)

    def to_array(self, limit: int | None = None) -> list[Address]:
        """The nodes heard from last, newest first: what to keep for the next start."""
        return [node.address for node in self.neighbourhood.recent.latest(limit)]

    def wants(self, address: Address) -> bool:
        return self._filter_node is None or self._filter_node(address)

    def add_node(self, address: Address) -> None:
        """Takes a node into the table on somebody's word; it leaves again if it does not answer."""
        self.neighbourhood.add(TableNode(address, self.neighbourhood.tick))

    def closer_nodes(self, target: bytes) -> list[Address]:
        return [node.address for node in self.table.closest(target)]

    # The owner's verbs

    def set_server_port(self, port: int) -> None:
        """The local port of the server socket; before `bootstrap`."""
        self.own_address.server_port = port

    def know_address(self, address: Address) -> None:
        """For nodes that are told their public address, as the network's first node is."""
        self.own_address.sample(address)

    def bootstrap(self, now: float) -> None:
        """Starts the node: its ticks and the search for its neighbourhood. Ends with the event Ready."""
        self.rpc.advance(now)
        self.upkeep.start(now)
        self._bootstrap.start()

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    # Asking

    def query(
        self,
        target: bytes,
        command: int,
        value: bytes | None = None,
        *,
        now: float,
        on_finished: OnFinished,
        on_reply: Callable[[Reply], None] | None = None,
        internal: bool = False,
        nodes: Sequence[Address] = (),
        only_nodes: bool = False,
        retries: int = QUERY_RETRIES,
        concurrency: int = DEFAULT_CONCURRENCY,
        commit: Commit | None = None,
    ) -> Query:
        """Walks to the 20 nodes nearest to `target`, from `nodes` (and the table, unless `only_nodes`).

        `on_reply` gets every answer with error 0; `commit` then writes to the nearest (see QueryResult).
        """
        self.rpc.advance(now)
        self.upkeep.query_started()
        query = Query(
            self,
            target,
            command,
            value,
            internal=internal,
            nodes=nodes,
            only_nodes=only_nodes,
            retries=retries,
            concurrency=concurrency,
            on_reply=on_reply,
            on_finished=on_finished,
            commit=commit,
        )
        self._queries.add(query)
        if self.rpc.closed:
            query.cancel()
        else:
            query.start()
        return query

    def find_node(
        self,
        target: bytes,
        *,
        now: float,
        on_finished: OnFinished,
        on_reply: Callable[[Reply], None] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> Query:
        return self.query(
            target,
            Internal.FIND_NODE,
            now=now,
            on_finished=on_finished,
            on_reply=on_reply,
            internal=True,
            concurrency=concurrency,
        )

    def refresh(self) -> None:
        """Looks around a random known node, so that the table stays filled, and for some that fell silent."""
        node = self.table.random(self._random)
        background_query(self, self.table.id if node is None else node.id)
        self.neighbourhood.retry_lost(self._random, lambda: background_query(self, self.table.id))

    # What the parts tell us

    def query_ended(self, query: Query) -> None:
        self._queries.discard(query)

    def emit(self, event: Event) -> None:
        self._events.append(event)

    def bootstrap_done(self) -> None:
        if not self.bootstrapped:
            self.bootstrapped = True
            self.emit(Ready())

    def adopt_id(self, id: bytes) -> None:
        if id == self.table.id:
            return
        self.neighbourhood.adopt_id(id)
        if self.bootstrapped:
            self.refresh()

    def heard_from(self, sender: Address, id: bytes | None, to: Address, socket: int) -> None:
        if not self.wants(sender):
            return
        if id is not None:
            self.neighbourhood.heard_from(sender, to, sample=socket == self.own_address.socket)
        elif socket == self.own_address.socket:
            self.own_address.sample_from_stranger(sender, to)

    # Sleeping and ending

    def wake_up(self, now: float) -> None:
        """For owners that know better than the clock that the machine slept."""
        self.rpc.advance(now)
        self.upkeep.wake_up()

    def network_changed(self, now: float) -> None:
        """Our own addresses are others now: find out anew how others see us, and look around at once."""
        self.rpc.advance(now)
        if self.rpc.closed or self.rpc.suspended:
            return
        self.upkeep.distrust()
        self.reachability.restart()
        self._bootstrap.restart()
        self.emit(AddressesChanged())

    def suspend(self, now: float) -> None:
        """Stops all traffic; requests under way fail with IO_SUSPENDED."""
        self.rpc.advance(now)
        self.rpc.suspend()

    def resume(self, now: float) -> None:
        self.rpc.advance(now)
        if self.rpc.suspended:
            self.rpc.suspended = False
            self.upkeep.resume(now)
            self.refresh()

    def close(self) -> None:
        """Ends everything that is under way (REQUEST_DESTROYED, QUERY_CANCELLED) and sends nothing any more."""
        if self.rpc.closed:
            return
        self.rpc.closed = True
        for query in list(self._queries):
            query.cancel()
        self.rpc.close()
