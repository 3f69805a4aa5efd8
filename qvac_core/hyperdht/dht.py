"""A node of the network, as its user sees it: connect, listen, announce, look up, store.

From hyperdht/index.js 6.34.0 (class HyperDHT). Everything runs on the event loop of the first `await`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from random import Random, SystemRandom
from types import TracebackType
from typing import Any, TypeVar

from qvac_core.codec import Address
from qvac_core.dht_rpc import (
    AddressesChanged,
    Event,
    IncomingRequest,
    NetworkChanged,
    Node,
    Persistent,
    Ready,
    ReplyError,
    WakeUp,
)
from qvac_core.errors import NetworkError
from qvac_core.hyperdht import arguments, records
from qvac_core.hyperdht.application import OnConnection
from qvac_core.hyperdht.bootstrap import Bootstrap, is_no_stray, resolve
from qvac_core.hyperdht.connect import CONNECT_LIMIT, Attempt
from qvac_core.hyperdht.connect_stage import OnStage
from qvac_core.hyperdht.connection import KEEP_ALIVE, Connection
from qvac_core.hyperdht.endpoint import Endpoint
from qvac_core.hyperdht.following import MeetAgain, PathFinder
from qvac_core.hyperdht.local_connect import LocalAttempt, Progress, first_of
from qvac_core.hyperdht.local_network import LocalNetwork
from qvac_core.hyperdht.meeting import Meeting
from qvac_core.hyperdht.nearby import Nearby
from qvac_core.hyperdht.network import Network, SystemNetwork
from qvac_core.hyperdht.network_watch import NetworkWatch
from qvac_core.hyperdht.punching import Punching
from qvac_core.hyperdht.raw_stream import RawStream
from qvac_core.hyperdht.records import MutableValue
from qvac_core.hyperdht.relay_choice import RelayChoice, RelayKeys
from qvac_core.hyperdht.relay_server import RelayEvent, RelayPolicy, RelayServer
from qvac_core.hyperdht.requests import Requests
from qvac_core.hyperdht.server import Server
from qvac_core.hyperdht.server_limits import FirewallFunction, ServerLimits
from qvac_core.hyperdht.sleep_watch import SleepWatch
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.addresses import decode_key
from qvac_core.rendezvous.cache import Cache
from qvac_core.rendezvous.constants import BOOTSTRAP_NODES, MAX_RELAY_ADDRESSES, Command
from qvac_core.rendezvous.handshake import Session
from qvac_core.rendezvous.holepuncher import RandomPunches
from qvac_core.rendezvous.messages import PeerRecord
from qvac_core.rendezvous.records import Records
from qvac_core.rendezvous.router import LocalServer, Router

logger = logging.getLogger(__name__)

DEFAULT_PORT = 49737
READY_LIMIT = 60.0
_REMEMBERED_RELAYS = 512
_SAVED_NODES = 100

T = TypeVar("T")


class DHT:
    """`async with DHT(bootstrap=[...]) as dht: ...`, or `await dht.ready()` and `await dht.close()`.

    `bootstrap` None means the public network, an empty list the first node of a network of its own. `nodes` are
    addresses known from last time (`to_array`), which make the start quick. `ephemeral` False makes a node that stores
    for others; None decides by whether others can reach us, which `quick_firewall` finds out while starting.
    `on_change` hears what the node notices: that it slept, that nobody answers any more, that its address changed.
    `local_network` (a MulticastDns, closed with the node) finds peers, and lets them find us, without the DHT.
    """

    def __init__(
        self,
        bootstrap: Sequence[Address | str] | None = None,
        key_pair: KeyPair | None = None,
        ephemeral: bool | None = None,
        host: str | None = None,
        *,
        port: int = DEFAULT_PORT,
        firewalled: bool | None = None,
        quick_firewall: bool = True,
        nodes: Sequence[Address] = (),
        keep_alive: float = KEEP_ALIVE,
        network: Network | None = None,
        random: Random | None = None,
        on_change: Callable[[Event], None] | None = None,
        local_network: LocalNetwork | None = None,
    ) -> None:
        arguments.check_key_pair(key_pair)
        arguments.check_host(host)
        arguments.check_port(port)
        arguments.check_addresses(nodes, "Known nodes")
        arguments.check_seconds(keep_alive, "The time between two keep-alives", zero=True)
        self.chance = random or SystemRandom()
        self.key_pair = key_pair or KeyPair.from_seed(self.chance.randbytes(32))
        self.closed = False
        self._bootstrap = Bootstrap.parse(BOOTSTRAP_NODES if bootstrap is None else bootstrap)
        self._ephemeral, self._firewalled, self._quick_firewall = ephemeral, firewalled, quick_firewall
        self._host, self._port = host or "0.0.0.0", port
        self._known_nodes = tuple(nodes)
        self._keep_alive = keep_alive
        self._network = network or SystemNetwork()
        self._on_change = on_change
        self.nearby = Nearby(local_network)
        self._endpoint: Endpoint | None = None
        self._requests: Requests | None = None
        self._opening: asyncio.Lock | None = None
        self._ready = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._router = Router()
        self._records = Records(self._router, chance=self.chance)
        self._relays: Cache[bytes, tuple[Address, ...]] = Cache(max_size=2 * _REMEMBERED_RELAYS, max_age=0)
        self._servers: dict[bytes, Server] = {}
        self._connections: set[Connection] = set()
        self.attempts: set[Attempt] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._sleep_watch: SleepWatch | None = None
        self._network_watch: NetworkWatch | None = None
        self._suspended = False
        self._switching = asyncio.Lock()
        self.random_punches = RandomPunches()
        self.relay_choice = RelayChoice()
        self.punchings: set[Punching] = set()
        self.server_pairings: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> DHT:
        await self.ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Life

    async def ready(self) -> None:
        """Returns when the node knows its neighbourhood. Connecting and listening need not wait for it."""
        await self.open()
        try:
            async with asyncio.timeout(READY_LIMIT):
                await self._ready.wait()
        except TimeoutError as error:
            raise NetworkError("The network did not answer.", name="BOOTSTRAP_FAILED") from error
        if self.closed:
            raise _destroyed()

    async def open(self) -> Endpoint:
        """Bind the sockets and start, once. Raises NetworkError NODE_DESTROYED, OSError when nothing can be bound."""
        if self.closed or self._closing is not None:
            raise _destroyed()
        if self._endpoint is None:
            if self._opening is None:
                self._opening = asyncio.Lock()
            async with self._opening:
                if self._endpoint is None:
                    self._start(await resolve(self._bootstrap))
        return self.endpoint

    def _start(self, bootstrap: list[Address]) -> None:
        if self.closed:
            raise _destroyed()
        node = Node(
            now=asyncio.get_running_loop().time(),
            random=self.chance,
            bootstrap=bootstrap,
            ephemeral=self._ephemeral,
            firewalled=self._firewalled,
            quick_firewall=self._quick_firewall,
            filter_node=is_no_stray,
            nodes=self._known_nodes,
        )
        node.on_request = self._on_request
        self._endpoint = Endpoint(
            node, self._network, host=self._host, port=self._port, chance=self.chance, on_event=self._on_event
        )
        self._requests = Requests(self._endpoint)
        self._endpoint.start()
        self._sleep_watch = SleepWatch(self._endpoint.loop, self._woke_up)
        if not self._host.startswith("127."):
            self._network_watch = NetworkWatch(
                self._endpoint.loop, self._network, self.network_changed, lambda: self.endpoint.broken
            )

    async def close(self) -> None:
        """Withdraw servers, drop connections (peers see it at once), end all tasks, close the sockets."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="closing the node")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._sleep_watch is not None:
            self._sleep_watch.stop()
        if self._network_watch is not None:
            self._network_watch.stop()
        for attempt in list(self.attempts):
            attempt.abort(_destroyed())
        await asyncio.gather(*(server.close() for server in list(self._servers.values())))
        self.closed = True
        self._ready.set()
        for connection in list(self._connections):
            connection.destroy()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for punching in list(self.punchings):
            punching.close()
        self.nearby.close()
        if self._endpoint is not None:
            self._endpoint.close()
        if self._requests is not None:
            self._requests.close()

    async def suspend(self) -> None:
        """Withdraw the servers and fall silent, as before the machine sleeps: what is under way fails.

        Takes as long as the withdrawing, which is bounded. Connections stay, for as long as their peers wait.
        """
        endpoint = await self.open()
        async with self._switching:
            if self._suspended or self.closed:
                return
            self._suspended = True
            for attempt in list(self.attempts):
                attempt.abort(_is_suspended())
            try:
                await asyncio.gather(*(server.suspend() for server in list(self._servers.values())))
            finally:
                if not self.closed:
                    for punching in list(self.punchings):
                        punching.abandon()  # those beside a relayed connection belong to no attempt any more
                    endpoint.node.suspend(endpoint.loop.time())
                    endpoint.flush_node()

    async def resume(self) -> None:
        """Look around again, and announce the servers again at once."""
        endpoint = await self.open()
        async with self._switching:
            if not self._suspended or self.closed:
                return
            self._suspended = False
            endpoint.node.resume(endpoint.loop.time())
            for server in list(self._servers.values()):
                server.resume()
            endpoint.flush_node()

    @property
    def closing(self) -> bool:
        """`close` has begun, and not ended."""
        return self._closing is not None and not self._closing.done()

    @property
    def suspended(self) -> bool:
        return self._suspended

    def _woke_up(self) -> None:
        endpoint = self.endpoint
        if not self._suspended:
            endpoint.node.wake_up(endpoint.loop.time())
            endpoint.flush_node()

    def network_changed(self, *, rebind: bool = False) -> None:
        """Told by owners that notice before we do. Sockets that are dead (with `rebind` all) are bound anew."""
        endpoint = self.endpoint
        rebound = endpoint.rebind(everything=rebind)
        if not self._suspended:
            endpoint.node.network_changed(endpoint.loop.time())
            self._check_connections(rebound)
            endpoint.flush_node()

    def _check_connections(self, rebound: frozenset[int] = frozenset()) -> None:
        for connection in list(self._connections):
            connection.following.network_changed(rebound)

    @property
    def endpoint(self) -> Endpoint:
        if self.closed:
            raise _destroyed()
        if self._endpoint is None:
            raise NetworkError("This node is not open yet: await open() or ready() first.", name="NOT_OPEN")
        return self._endpoint

    @property
    def requests(self) -> Requests:
        if self._requests is None:
            raise _destroyed()
        return self._requests

    @property
    def address(self) -> Address:
        """Where the server socket is bound."""
        return self.endpoint.server_address

    @property
    def firewalled(self) -> bool:
        return self.endpoint.node.firewalled

    @property
    def online(self) -> bool:
        """Whether anybody in the network has answered lately."""
        return self.endpoint.node.online

    @property
    def has_bootstrap(self) -> bool:
        return not self._bootstrap.empty

    def to_array(self, limit: int = _SAVED_NODES) -> list[Address]:
        """Known nodes, newest first: give them as `nodes` at the next start."""
        return self.endpoint.node.to_array(limit)

    # Peers

    def relays_of(self, public_key: bytes) -> tuple[Address, ...]:
        """Nodes that led to this key last time, for `relay_addresses` at the next start; none when it was never met."""
        if self._endpoint is None:
            return ()
        return self._relays.get(public_key, self.now()) or ()

    def forget_peer(self, public_key: bytes) -> None:
        """The next connect to it looks for it as if it had never been met."""
        self._relays.delete(public_key)
        route = self.endpoint.pool.route(public_key)
        if route is not None:
            self.endpoint.pool.forget_route(public_key, route.socket)

    async def connect(
        self,
        public_key: bytes | str,
        key_pair: KeyPair | None = None,
        relay_through: RelayKeys | None = None,
        *,
        relay_addresses: Sequence[Address] = (),
        on_stage: OnStage | None = None,
        timeout: float = CONNECT_LIMIT,  # noqa: ASYNC109  a limit that callers choose, with a name of its own
    ) -> Connection:
        """An open connection to the server with this key (bytes, hex or z-base-32).

        `relay_addresses` are nodes to ask first; `on_stage` hears how far it has come. Raises IdentityError for what is
        no key and NetworkError:
        PEER_NOT_FOUND, PEER_CONNECTION_FAILED, SERVER_ERROR (it refused), SERVER_INCOMPATIBLE, CANNOT_HOLEPUNCH,
        HOLEPUNCH_ABORTED and its kin, RELAY_ABORTED, NODE_DESTROYED, SUSPENDED.

        `relay_through` is the key of a blind relay, or of several that are tried one after the other: the connection
        runs through it (encrypted end to end) when no direct path is there sooner, and moves to a direct path that is
        found later. When the relay goes away, two peers of ours go on through another one.
        """
        if not isinstance(public_key, bytes | str):
            raise TypeError(f"A public key is bytes, hex or z-base-32, and not of type {type(public_key).__name__}.")
        key, nodes = decode_key(public_key)
        arguments.check_key_pair(key_pair)
        arguments.check_relays(relay_through)
        arguments.check_addresses(relay_addresses, "Relay addresses")
        arguments.check_seconds(timeout, "The limit of a connect")
        endpoint = await self.open()
        if self._suspended:
            raise _is_suspended()
        now = endpoint.loop.time()
        known = list(relay_addresses or nodes or self._relays.get(key, now) or ())[:MAX_RELAY_ADDRESSES]
        progress = Progress(on_stage)
        meeting = Meeting(self, key, key_pair or self.key_pair, known, relay_through)
        if self.nearby.network is None:
            return await meeting.connect(timeout, progress)
        near = LocalAttempt(self, key, key_pair or self.key_pair, self.nearby.network)
        return await first_of(meeting.connect(timeout, progress), near, progress)

    def create_server(
        self,
        on_connection: OnConnection,
        firewall: FirewallFunction | None = None,
        relay_through: RelayKeys | None = None,
        *,
        share_local_address: bool = True,
        limits: ServerLimits | None = None,
    ) -> Server:
        """A server that is not listening yet. `on_connection(connection)` may be a function or a coroutine function.

        `firewall(remote_public_key, payload)`: True is silence, a Refusal an answer, False admits, and so does a
        Stranger for as long as there is room; may be a coroutine.
        `relay_through` as in `connect`: clients are asked to come to that relay, too.
        """
        arguments.check_function(on_connection, "What takes the connections of a server")
        if firewall is not None:
            arguments.check_function(firewall, "A firewall")
        arguments.check_relays(relay_through)
        return Server(
            self, on_connection, firewall, relay_through, share_local_address=share_local_address, limits=limits
        )

    def create_relay_server(
        self, policy: RelayPolicy | None = None, on_event: Callable[[RelayEvent], None] | None = None
    ) -> RelayServer:
        """A blind relay that is not listening yet; its public key is what others give as `relay_through`."""
        return RelayServer(self, policy, on_event)

    # Records

    async def announce(self, topic: bytes, key_pair: KeyPair | None = None) -> int:
        """Say that `key_pair` serves `topic` (32 bytes); how many nodes remember it, for about 20 minutes."""
        arguments.check_hash(topic, "A topic")
        arguments.check_key_pair(key_pair)
        await self.open()
        return await records.announce(self.requests, topic, key_pair or self.key_pair)

    async def unannounce(self, topic: bytes, key_pair: KeyPair | None = None) -> None:
        arguments.check_hash(topic, "A topic")
        arguments.check_key_pair(key_pair)
        await self.open()
        key_pair = key_pair or self.key_pair
        self._records.unannounce(topic, key_pair.public_key)
        await records.unannounce(self.requests, topic, key_pair)

    async def lookup(self, topic: bytes) -> list[PeerRecord]:
        arguments.check_hash(topic, "A topic")
        await self.open()
        return await records.lookup(self.requests, topic)

    async def mutable_put(self, key_pair: KeyPair, value: bytes, *, seq: int = 0) -> int:
        """Store a signed value under the key; how many nodes took it. Raises NetworkError SEQ_TOO_LOW, SEQ_REUSED."""
        if key_pair is None:
            raise TypeError("A value is stored under a KeyPair, and this is None.")
        arguments.check_key_pair(key_pair)
        arguments.check_value(value)
        arguments.check_sequence_number(seq)
        await self.open()
        return await records.mutable_put(self.requests, key_pair, value, seq)

    async def mutable_get(self, public_key: bytes, *, seq: int = 0, latest: bool = True) -> MutableValue | None:
        arguments.check_public_key(public_key)
        arguments.check_sequence_number(seq)
        await self.open()
        return await records.mutable_get(self.requests, public_key, seq, latest)

    async def immutable_put(self, value: bytes) -> bytes:
        """Store a value; returns the 32-byte hash under which `immutable_get` finds it."""
        arguments.check_value(value)
        await self.open()
        return await records.immutable_put(self.requests, value)

    async def immutable_get(self, target: bytes) -> bytes | None:
        arguments.check_hash(target, "The hash of a value")
        await self.open()
        return await records.immutable_get(self.requests, target)

    # For servers and attempts

    def now(self) -> float:
        return self.endpoint.loop.time()

    def ephemeral_key(self) -> KeyPair:
        return KeyPair.from_seed(self.chance.randbytes(32))

    def register_server(self, server: Server, public_key: bytes, target: bytes, record: bytes) -> None:
        if target in self._servers:
            raise NetworkError("Another server of this node has this key.", name="KEYPAIR_ALREADY_USED")
        self._servers[target] = server
        local: LocalServer = server
        self._router.add_server(target, record, local)
        self.nearby.serve(server, public_key, self.address[1])

    def unregister_server(self, server: Server, target: bytes) -> None:
        if self._servers.get(target) is server:
            del self._servers[target]
            self._router.remove_server(target)
            self.nearby.stop_serving(server)

    def remember_relays(self, public_key: bytes, relays: Sequence[Address]) -> None:
        if relays:
            self._relays.set(public_key, tuple(relays[:MAX_RELAY_ADDRESSES]), self.now())

    def new_connection(
        self,
        raw: RawStream,
        session: Session,
        *,
        initiator: bool,
        public_key: bytes,
        on_open: Callable[[Connection], None] | None = None,
        meet_again: Callable[[], PathFinder] | None = None,
    ) -> Connection:
        connection = Connection(
            self.endpoint,
            raw,
            session,
            initiator=initiator,
            public_key=public_key,
            keep_alive=self._keep_alive,
            on_open=on_open,
            on_closed=self._connections.discard,
            meet_again=MeetAgain(meet_again, self.spawn) if meet_again is not None else None,
        )
        self._connections.add(connection)
        return connection

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """A task that ends with this node; what it raises is logged."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed", task.get_name(), exc_info=error)

    # What the node tells us

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Ready):
            self._ready.set()
        back = isinstance(event, WakeUp) or (isinstance(event, NetworkChanged) and event.online)
        if back or isinstance(event, AddressesChanged | Persistent):
            for server in self._servers.values():
                server.refresh()
        if back:
            self._check_connections()
        if self._on_change is not None:
            self._on_change(event)

    def _on_request(self, request: IncomingRequest) -> None:
        try:
            self._answer(request)
        except Exception:
            logger.exception("request %d from %s failed", request.command, request.from_)

    def _answer(self, request: IncomingRequest) -> None:
        endpoint = self.endpoint
        now = endpoint.loop.time()
        if request.command == Command.PEER_HANDSHAKE:
            self._router.on_handshake(request, now)
        elif request.command == Command.PEER_HOLEPUNCH:
            self._router.on_holepunch(request, now)
        else:
            node_id = endpoint.node.id
            epoch_ms = int(time.time() * 1000)
            if node_id is None or not self._records.handle(request, node_id=node_id, now=now, epoch_ms=epoch_ms):
                request.error(ReplyError.UNKNOWN_COMMAND)


def _destroyed() -> NetworkError:
    return NetworkError("This node is closed.", name="NODE_DESTROYED")


def _is_suspended() -> NetworkError:
    return NetworkError("This node is suspended: resume it first.", name="SUSPENDED")
