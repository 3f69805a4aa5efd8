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
    DEFAULT_RETRIES,
    QUERY_RETRIES,
    Internal,
    SocketId,
)
from qvac_core.dht_rpc.events import AddressesChanged, Event, Ready
from qvac_core.dht_rpc.incoming import IncomingRequest
from qvac_core.dht_rpc.messages import (
    ID_SIZE,
    ResponseMessage,
    decode,
)
from qvac_core.dht_rpc.neighbourhood import Neighbourhood
from qvac_core.dht_rpc.query import Commit, OnFinished, Query
from qvac_core.dht_rpc.reachability import Reachability, random_offset
from qvac_core.dht_rpc.reply import OnDone, Reply, node_suspended, request_destroyed
from qvac_core.dht_rpc.requests import Request, Requests, Stats
from qvac_core.dht_rpc.table import Table, TableNode
from qvac_core.dht_rpc.timers import Timers
from qvac_core.dht_rpc.tokens import Tokens
from qvac_core.dht_rpc.upkeep import Upkeep, background_query
from qvac_core.errors import RemoteProtocolError

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
        self._now = now
        self._random = random
        self._outbox: list[tuple[int, Address, bytes]] = []
        self._events: deque[Event] = deque()
        self._timers = Timers()
        self._tokens = Tokens(now, random)
        self._answering = Answering(self)
        self.on_request: Callable[[IncomingRequest], None] | None = None
        self.upkeep = Upkeep(self, now, random)
        self._filter_node = filter_node
        self._queries: set[Query] = set()
        self._closed = False
        self.suspended = False
        self.bootstrap_nodes = tuple(bootstrap)
        self.bootstrapped = False
        self.server_port = 0
        self.requests = Requests(
            now=now,
            clock=lambda: self._now,
            random=random,
            timers=self._timers,
            transmit=self.transmit,
            on_timeout=self._on_timeout,
        )
        self.neighbourhood = Neighbourhood(self, random.randbytes(ID_SIZE), random_offset(_TICK_START, random))
        self.reachability = Reachability(self, ephemeral=ephemeral, firewalled=firewalled)
        self._bootstrap = Bootstrap(self, force_persistent=ephemeral is False, quick_firewall=quick_firewall)
        for address in reversed(nodes):
            self.add_node(address)

    # What we know

    @property
    def now(self) -> float:
        """The time that we were told last."""
        return self._now

    @property
    def id(self) -> bytes | None:
        """Our id as others know it, None while we are ephemeral."""
        return None if self.ephemeral else self.table.id

    @property
    def key(self) -> int:
        return self.table.key

    @property
    def table(self) -> Table:
        return self.neighbourhood.table

    @property
    def ephemeral(self) -> bool:
        return self.reachability.ephemeral

    @property
    def firewalled(self) -> bool:
        return self.reachability.firewalled

    @property
    def online(self) -> bool:
        """Whether anybody answered lately."""
        return self.upkeep.health.online

    @property
    def busy(self) -> bool:
        return len(self.requests) >= _FEW_IN_FLIGHT

    @property
    def host(self) -> str | None:
        """Our address as others see it, None while they disagree."""
        return self.reachability.nat.host

    @property
    def port(self) -> int:
        """The port that goes with `host`; 0 when it differs from peer to peer."""
        return self.reachability.nat.port

    @property
    def socket(self) -> SocketId:
        """The socket that requests leave from."""
        return SocketId.CLIENT if self.firewalled else SocketId.SERVER

    def remote_address(self) -> Address | None:
        return self.reachability.remote_address()

    @property
    def stats(self) -> Stats:
        """What was asked and answered since the node was made."""
        return self.requests.stats

    @property
    def held(self) -> dict[str, int]:
        """How many things it keeps, by kind: strangers must not be able to make any of them grow."""
        return {
            "table": len(self.table),
            "recent": len(self.neighbourhood.recent),
            "lost": self.neighbourhood.lost,
            "requests": len(self.requests),
            "timers": len(self._timers),
            "requests by host": self._answering.hosts_counted,
            "bytes by host": self._answering.hosts_answered,
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

    # The owner's five verbs

    def set_server_port(self, port: int) -> None:
        """The local port of the server socket; before `bootstrap`."""
        self.server_port = port

    def know_address(self, address: Address) -> None:
        """For nodes that are told their public address, as the network's first node is."""
        self.reachability.sample(address)

    def bootstrap(self, now: float) -> None:
        """Starts the node: its ticks and the search for its neighbourhood. Ends with the event Ready."""
        self._advance(now)
        self.upkeep.start(now)
        self._bootstrap.start()

    def receive(self, datagrams: Sequence[tuple[bytes, Address]], socket: int, now: float) -> None:
        """Takes what arrived on one socket. Whatever is not a message of ours is dropped."""
        self._advance(now)
        if self._closed or self.suspended:
            return
        awaits = self.requests.awaits
        for datagram, sender in datagrams:
            try:
                message = decode(datagram, sender, awaits)
            except RemoteProtocolError:
                continue  # anybody can send anything to a UDP port: no answer, no trace
            if isinstance(message, ResponseMessage):
                self._on_response(message, sender, socket)
            else:
                self._answering.answer(message, sender, socket, len(datagram))

    def transmissions(self) -> list[tuple[int, Address, bytes]]:
        """(socket, to, datagram) since the last call, in order."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def get_timer(self) -> float | None:
        return self._timers.next()

    def handle_timer(self, now: float) -> None:
        self._advance(now)
        self._timers.run(self._now)

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    def _advance(self, now: float) -> None:
        self._now = max(self._now, now)

    # Asking

    def request(
        self,
        command: int,
        to: Address,
        *,
        now: float,
        on_done: OnDone,
        internal: bool = False,
        target: bytes | None = None,
        value: bytes | None = None,
        token: bytes | None = None,
        retries: int = DEFAULT_RETRIES,
        socket: int | None = None,
        timeout: float | None = None,
    ) -> Request:
        """Sends up to 1 + `retries` times, `timeout` (1 s) apart. A Reply with `error` is an answer too."""
        self._advance(now)
        request = self.create_request(
            command, to, on_done=on_done, internal=internal, target=target, value=value, token=token, socket=socket
        )
        request.retries = retries
        if timeout is not None:
            request.timeout = timeout
        self.send_request(request)
        return request

    def ping(
        self,
        to: Address,
        *,
        now: float,
        on_done: OnDone,
        value: bytes | None = None,
        retries: int = DEFAULT_RETRIES,
        socket: int | None = None,
        timeout: float | None = None,
    ) -> Request:
        return self.request(
            Internal.PING,
            to,
            now=now,
            on_done=on_done,
            internal=True,
            value=value,
            retries=retries,
            socket=socket,
            timeout=timeout,
        )

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
        self._advance(now)
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
        if self._closed:
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

    # Asking, from inside the room

    def create_request(
        self,
        command: int,
        to: Address,
        *,
        on_done: OnDone,
        internal: bool = False,
        target: bytes | None = None,
        value: bytes | None = None,
        token: bytes | None = None,
        socket: int | None = None,
    ) -> Request:
        through = self.socket if socket is None else socket
        return self.requests.create(
            to,
            through,
            on_done,
            id=self.id_on(through),
            internal=internal,
            command=command,
            target=target,
            value=value,
            token=token,
        )

    def send_request(self, request: Request) -> None:
        if self._closed:
            self.requests.settle(request, request_destroyed())
        elif self.suspended:
            self.later(0.0, lambda: self.requests.settle(request, node_suspended()))
        else:
            self.requests.send(request)

    def send_internal(
        self,
        command: Internal,
        to: Address,
        *,
        on_done: OnDone,
        value: bytes | None = None,
        retries: int = DEFAULT_RETRIES,
    ) -> None:
        request = self.create_request(command, to, on_done=on_done, internal=True, value=value)
        request.retries = retries
        self.send_request(request)

    def query_ended(self, query: Query) -> None:
        self._queries.discard(query)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        self._timers.at(self._now + seconds, lambda _: callback())

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

    def _on_timeout(self, request: Request) -> None:
        if request.known_node:
            self.neighbourhood.timed_out(request.to)

    # Answering

    def _on_response(self, message: ResponseMessage, sender: Address, socket: int) -> None:
        request = self.requests.match(message, sender)
        if request is None:
            return
        self.heard_from(sender, message.id, message.to, socket)
        self.requests.answered(request, message, socket)

    def heard_from(self, sender: Address, id: bytes | None, to: Address, socket: int) -> None:
        if not self.wants(sender):
            return
        if id is not None:
            self.neighbourhood.heard_from(sender, to, sample=socket == self.socket)
        elif socket == self.socket:
            self.reachability.sample_from_stranger(sender, to)

    # What an incoming request needs of us

    def id_on(self, socket: int) -> bytes | None:
        """Only the server socket has the address that our id is the hash of."""
        return None if self.ephemeral or socket != SocketId.SERVER else self.table.id

    def token_for(self, host: str) -> bytes:
        return self._tokens.issue(host, self._now)

    def accepts_token(self, token: bytes, host: str) -> bool:
        return self._tokens.accepts(token, host, self._now)

    def closer_nodes(self, target: bytes) -> list[Address]:
        return [node.address for node in self.table.closest(target)]

    def may_send(self, host: str, excess: int) -> bool:
        return self._answering.may_send(host, excess)

    def transmit(self, socket: int, to: Address, datagram: bytes) -> None:
        if not self._closed:
            self._outbox.append((socket, to, datagram))

    # Sleeping and ending

    def wake_up(self, now: float) -> None:
        """For owners that know better than the clock that the machine slept."""
        self._advance(now)
        self.upkeep.wake_up()

    def network_changed(self, now: float) -> None:
        """Our own addresses are others now: find out anew how others see us, and look around at once."""
        self._advance(now)
        if self._closed or self.suspended:
            return
        self.upkeep.distrust()
        self.reachability.restart()
        self._bootstrap.restart()
        self.emit(AddressesChanged())

    def suspend(self, now: float) -> None:
        """Stops all traffic; requests under way fail with IO_SUSPENDED."""
        self._advance(now)
        self.suspended = True
        self.requests.fail_all(node_suspended)
        self.requests.window.clear()

    def resume(self, now: float) -> None:
        self._advance(now)
        if self.suspended:
            self.suspended = False
            self.upkeep.resume(now)
            self.refresh()

    def close(self) -> None:
        """Ends everything that is under way (REQUEST_DESTROYED, QUERY_CANCELLED) and sends nothing any more."""
        if self._closed:
            return
        self._closed = True
        for query in list(self._queries):
            query.cancel()
        self.requests.fail_all(request_destroyed)
        self._timers.clear()
