"""A node of the network, as its user sees it: connect, listen, announce, look up, store.

From hyperdht/index.js 6.34.0 (class HyperDHT). Everything runs on the event loop of the first `await`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from random import Random, SystemRandom
from types import TracebackType
from typing import TypeVar

from qvac_core.codec import Address
from qvac_core.dht_rpc import (
    AddressesChanged,
    Event,
    NetworkChanged,
    Node,
    Persistent,
    Ready,
    Stats,
    WakeUp,
)
from qvac_core.errors import NetworkError
from qvac_core.hyperdht import records
from qvac_core.hyperdht.client.connect import CONNECT_LIMIT
from qvac_core.hyperdht.client.local import LocalAttempt, Progress, first_of
from qvac_core.hyperdht.client.meeting import Meeting
from qvac_core.hyperdht.client.stage import OnStage
from qvac_core.hyperdht.lan.local_network import LocalNetwork
from qvac_core.hyperdht.lan.nearby import Nearby
from qvac_core.hyperdht.local_node import LocalNode, destroyed
from qvac_core.hyperdht.node import arguments
from qvac_core.hyperdht.node.endpoint import Endpoint
from qvac_core.hyperdht.node.network import Network, SystemNetwork
from qvac_core.hyperdht.node.network_watch import NetworkWatch
from qvac_core.hyperdht.node.relay_choice import RelayThrough, relays_now
from qvac_core.hyperdht.node.requests import Requests
from qvac_core.hyperdht.node.seeds import Bootstrap, is_no_stray, resolve
from qvac_core.hyperdht.node.sleep_watch import SleepWatch
from qvac_core.hyperdht.records import MutableValue, PeerFound, TopicPeers
from qvac_core.hyperdht.relay_server import RelayEvent, RelayPolicy, RelayServer
from qvac_core.hyperdht.server.application import OnConnection
from qvac_core.hyperdht.server.limits import FirewallFunction, ServerLimits
from qvac_core.hyperdht.server.server import Server
from qvac_core.hyperdht.stream.byte_stream import ByteStream
from qvac_core.hyperdht.stream.connection import KEEP_ALIVE, Connection
from qvac_core.hyperdht.topic_keeper import TopicKeeper
from qvac_core.hyperdht.walk import Spawn, Walk
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.addresses import decode_key
from qvac_core.rendezvous.constants import BOOTSTRAP_NODES, MAX_RELAY_ADDRESSES
from qvac_core.rendezvous.messages import PeerRecord

logger = logging.getLogger(__name__)

DEFAULT_PORT = 49737
READY_LIMIT = 60.0
_REMEMBERED_RELAYS = 512
_SAVED_NODES = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NodeStats:
    """`requests` counts since the start: sent, responses, timeouts, retries. All else is how many there are now."""

    requests: Stats
    connections: int
    connecting: int
    servers: int
    punching: int


class DHT:
    """`async with DHT(bootstrap=[...]) as dht: ...`, or `await dht.ready()` and `await dht.close()`.

    `bootstrap` None means the public network, an empty list the first node of a network of its own. `nodes` are
    addresses known from last time (`to_array`), which make the start quick. `ephemeral` False makes a node that stores
    for others; None decides by whether others can reach us, which `quick_firewall` finds out while starting.
    `on_change` hears what the node notices: that it slept, that nobody answers any more, that its address changed.
    `any_port` False: `open` raises OSError when `port` is taken, instead of taking one of the next or any.
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
        any_port: bool = True,
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
        chance = random or SystemRandom()
        self._bootstrap = Bootstrap.parse(BOOTSTRAP_NODES if bootstrap is None else bootstrap)
        self._ephemeral, self._firewalled, self._quick_firewall = ephemeral, firewalled, quick_firewall
        self._host, self._port, self._any_port = host or "0.0.0.0", port, any_port
        self._known_nodes = tuple(nodes)
        self._network = network or SystemNetwork()
        self._listeners: list[Callable[[Event], None]] = [on_change] if on_change is not None else []
        self.node = LocalNode(
            chance,
            key_pair or KeyPair.from_seed(chance.randbytes(32)),
            keep_alive=keep_alive,
            has_bootstrap=not self._bootstrap.empty,
            local_network=local_network,
        )
        """What servers and connects of this node stand on."""
        self._readers_of_events: list[asyncio.Queue[Event | None]] = []
        self._opening: asyncio.Lock | None = None
        self._ready = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._sleep_watch: SleepWatch | None = None
        self._network_watch: NetworkWatch | None = None
        self._switching = asyncio.Lock()

    async def __aenter__(self) -> DHT:
        await self.ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def key_pair(self) -> KeyPair:
        return self.node.key_pair

    @property
    def closed(self) -> bool:
        return self.node.closed

    @property
    def nearby(self) -> Nearby:
        """The local network, where it is in use."""
        return self.node.nearby

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
            raise destroyed()

    async def open(self) -> Endpoint:
        """Bind the sockets and start, once. Raises NetworkError NODE_DESTROYED, OSError when nothing can be bound."""
        if self.closed or self._closing is not None:
            raise destroyed()
        if not self.node.is_open:
            if self._opening is None:
                self._opening = asyncio.Lock()
            async with self._opening:
                if not self.node.is_open:
                    self._start(await resolve(self._bootstrap))
        return self.endpoint

    def _start(self, bootstrap: list[Address]) -> None:
        if self.closed:
            raise destroyed()
        node = Node(
            now=asyncio.get_running_loop().time(),
            random=self.node.chance,
            bootstrap=bootstrap,
            ephemeral=self._ephemeral,
            firewalled=self._firewalled,
            quick_firewall=self._quick_firewall,
            filter_node=is_no_stray,
            nodes=self._known_nodes,
        )
        node.on_request = self.node.on_request
        endpoint = Endpoint(
            node,
            self._network,
            host=self._host,
            port=self._port,
            chance=self.node.chance,
            on_event=self._on_event,
            any_port=self._any_port,
        )
        self.node.start(endpoint)
        self._sleep_watch = SleepWatch(endpoint.loop, self._woke_up)
        if not self._host.startswith("127."):
            self._network_watch = NetworkWatch(
                endpoint.loop, self._network, self.network_changed, lambda: self.endpoint.broken
            )

    async def close(self) -> None:
        """Withdraw servers, drop connections (peers see it at once), end all tasks, close the sockets."""
        if self._closing is None:
            self.node.closing = True
            self._closing = asyncio.create_task(self._close(), name="closing the node")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            await self._end()
        finally:
            self.node.closing = False

    async def _end(self) -> None:
        if self._sleep_watch is not None:
            self._sleep_watch.stop()
        if self._network_watch is not None:
            self._network_watch.stop()
        for attempt in list(self.node.attempts):
            attempt.abort(destroyed())
        await asyncio.gather(*(server.close() for server in list(self.node.servers.values())))
        self.node.closed = True
        self._ready.set()
        for connection in list(self.node.connections):
            connection.destroy()
        tasks = list(self.node.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for punching in list(self.node.punchings):
            punching.close()
        self.node.nearby.close()
        self.node.stop()
        for reader in self._readers_of_events:
            reader.put_nowait(None)

    async def suspend(self) -> None:
        """Withdraw the servers and fall silent, as before the machine sleeps: what is under way fails.

        Takes as long as the withdrawing, which is bounded. Connections stay, for as long as their peers wait.
        """
        endpoint = await self.open()
        async with self._switching:
            if self.suspended or self.closed:
                return
            self.node.suspended = True
            for attempt in list(self.node.attempts):
                attempt.abort(_is_suspended())
            try:
                await asyncio.gather(*(server.suspend() for server in list(self.node.servers.values())))
            finally:
                if not self.closed:
                    for punching in list(self.node.punchings):
                        punching.abandon()  # those beside a relayed connection belong to no attempt any more
                    endpoint.node.suspend(endpoint.loop.time())
                    endpoint.flush_node()

    async def resume(self) -> None:
        """Look around again, and announce the servers again at once."""
        endpoint = await self.open()
        async with self._switching:
            if not self.suspended or self.closed:
                return
            self.node.suspended = False
            endpoint.node.resume(endpoint.loop.time())
            for server in list(self.node.servers.values()):
                server.resume()
            endpoint.flush_node()

    @property
    def closing(self) -> bool:
        """`close` has begun, and not ended."""
        return self.node.closing

    @property
    def suspended(self) -> bool:
        return self.node.suspended

    def _woke_up(self) -> None:
        endpoint = self.endpoint
        if not self.suspended:
            endpoint.node.wake_up(endpoint.loop.time())
            endpoint.flush_node()

    def network_changed(self, *, rebind: bool = False) -> None:
        """Told by owners that notice before we do. Sockets that are dead (with `rebind` all) are bound anew."""
        endpoint = self.endpoint
        rebound = endpoint.rebind(everything=rebind)
        if not self.suspended:
            endpoint.node.network_changed(endpoint.loop.time())
            self._check_connections(rebound)
            endpoint.flush_node()

    def _check_connections(self, rebound: frozenset[int] = frozenset()) -> None:
        for connection in list(self.node.connections):
            connection.paths.network_changed(rebound)

    @property
    def endpoint(self) -> Endpoint:
        return self.node.endpoint

    @property
    def requests(self) -> Requests:
        return self.node.requests

    @property
    def address(self) -> Address:
        """Where the server socket is bound."""
        return self.endpoint.server_address

    @property
    def firewalled(self) -> bool:
        return self.node.firewalled

    @property
    def remote_address(self) -> Address | None:
        """Where others reach us from outside; None while we are firewalled, or they disagree."""
        return self.endpoint.node.remote_address()

    @property
    def randomized(self) -> bool:
        """Whether our NAT uses another port for each peer: a direct path to another such peer is a matter of luck."""
        return self.endpoint.node.host is not None and self.endpoint.node.port == 0

    @property
    def online(self) -> bool:
        """Whether anybody in the network has answered lately."""
        return self.endpoint.node.online

    @property
    def stats(self) -> NodeStats:
        """What the node has asked of others, and what is under way now."""
        node = self.node
        requests = replace(self.endpoint.node.stats)
        return NodeStats(requests, len(node.connections), len(node.attempts), len(node.servers), len(node.punchings))

    @property
    def has_bootstrap(self) -> bool:
        return self.node.has_bootstrap

    def to_array(self, limit: int = _SAVED_NODES) -> list[Address]:
        """Known nodes, newest first: give them as `nodes` at the next start."""
        return self.endpoint.node.to_array(limit)

    # Peers

    def relays_of(self, public_key: bytes) -> tuple[Address, ...]:
        """Nodes that led to this key last time, for `relay_addresses` at the next start; none when it was never met."""
        return self.node.relays_of(public_key)

    def forget_peer(self, public_key: bytes) -> None:
        """The next connect to it looks for it as if it had never been met."""
        self.node.forget_relays(public_key)
        route = self.endpoint.pool.route(public_key)
        if route is not None:
            self.endpoint.pool.forget_route(public_key, route.socket)

    async def connect(
        self,
        public_key: bytes | str,
        key_pair: KeyPair | None = None,
        relay_through: RelayThrough | None = None,
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
        found later. When the relay goes away, two peers of ours go on through another one. A function is asked once for
        each connect, and may answer None.
        """
        if not isinstance(public_key, bytes | str):
            raise TypeError(f"A public key is bytes, hex or z-base-32, and not of type {type(public_key).__name__}.")
        key, nodes = decode_key(public_key)
        arguments.check_key_pair(key_pair)
        arguments.check_relays(relay_through)
        arguments.check_addresses(relay_addresses, "Relay addresses")
        arguments.check_seconds(timeout, "The limit of a connect")
        await self.open()
        if self.suspended:
            raise _is_suspended()
        known = list(relay_addresses or nodes or self.node.relays_of(key))[:MAX_RELAY_ADDRESSES]
        progress = Progress(on_stage)
        relays = relays_now(relay_through)
        meeting = Meeting(self.node, self.connect, key, key_pair or self.key_pair, known, relays)
        if self.node.nearby.network is None:
            return await meeting.connect(timeout, progress)
        near = LocalAttempt(self.node, key, key_pair or self.key_pair, self.node.nearby.network)
        return await first_of(meeting.connect(timeout, progress), near, progress)

    def create_server(
        self,
        on_connection: OnConnection,
        firewall: FirewallFunction | None = None,
        relay_through: RelayThrough | None = None,
        *,
        share_local_address: bool = True,
        limits: ServerLimits | None = None,
    ) -> Server:
        """A server that is not listening yet. `on_connection(connection)` may be a function or a coroutine function.

        `firewall(remote_public_key, payload)`: True is silence, a Refusal an answer, False admits, and so does a
        Stranger for as long as there is room; may be a coroutine.
        `relay_through` as in `connect`, a function being asked for each client: clients are asked to come there, too.
        """
        arguments.check_function(on_connection, "What takes the connections of a server")
        if firewall is not None:
            arguments.check_function(firewall, "A firewall")
        arguments.check_relays(relay_through)
        return Server(
            self.node,
            self.open,
            self.connect,
            on_connection,
            firewall,
            relay_through,
            share_local_address=share_local_address,
            limits=limits,
        )

    def create_relay_server(
        self, policy: RelayPolicy | None = None, on_event: Callable[[RelayEvent], None] | None = None
    ) -> RelayServer:
        """A blind relay that is not listening yet; its public key is what others give as `relay_through`."""
        return RelayServer(self.node, self.create_server, policy, on_event)

    def create_raw_stream(self) -> ByteStream:
        """A plain stream (no encryption) that goes along a connection: see ByteStream. The node must be open."""
        return ByteStream(self.endpoint)

    # Records

    def lookup(self, topic: bytes) -> Walk[TopicPeers, list[PeerRecord]]:
        """Who announced `topic` (32 bytes): `await` it for everybody, each key once, or read what each node says.

        `async for found in dht.lookup(topic): found.peers`. Raises NetworkError when no node answers.
        """
        arguments.check_hash(topic, "A topic")

        async def work(see: Callable[[TopicPeers], None]) -> None:
            await records.lookup(self.requests, topic, see)

        return Walk(work, records.each_key_once, self._spawner)

    def lookup_and_unannounce(
        self, topic: bytes, key_pair: KeyPair | None = None
    ) -> Walk[TopicPeers, list[PeerRecord]]:
        """As `lookup`, and `key_pair` takes its announce back wherever it is found; it ends when that is done."""
        arguments.check_hash(topic, "A topic")
        arguments.check_key_pair(key_pair)
        pair = key_pair or self.key_pair

        async def work(see: Callable[[TopicPeers], None]) -> None:
            self.node.records.unannounce(topic, pair.public_key)
            await records.lookup_and_unannounce(self.requests, topic, pair, see)

        return Walk(work, records.each_key_once, self._spawner)

    def find_peer(self, public_key: bytes | str) -> Walk[PeerFound, PeerRecord | None]:
        """Whether a server with this key is announced, and by which nodes (`from_` of what is read) it is reached.

        `await` it for the first word of it, None when nobody knows it. What is announced need not be there any more.
        """
        key, _ = decode_key(public_key)

        async def work(see: Callable[[PeerFound], None]) -> None:
            await records.find_peer(self.requests, key, see)

        return Walk(work, lambda found: found[0].peer if found else None, self._spawner, lambda found: True)

    async def _spawner(self) -> Spawn:
        await self.open()
        return self.node.spawn

    async def announce(
        self, topic: bytes, key_pair: KeyPair | None = None, relay_addresses: Sequence[Address] = ()
    ) -> int:
        """Say that `key_pair` serves `topic` (32 bytes); how many nodes remember it, for about 20 minutes.

        `relay_addresses`: nodes that lead to it, three at most (`server.relay_addresses`); who connects asks there
        first. `announcing` repeats it. Raises NetworkError TOO_FEW_NODES when no node took it.
        """
        arguments.check_hash(topic, "A topic")
        arguments.check_key_pair(key_pair)
        arguments.check_addresses(relay_addresses, "Relay addresses")
        await self.open()
        return len(await records.announce(self.requests, topic, key_pair or self.key_pair, relay_addresses))

    def announcing(
        self,
        topic: bytes,
        key_pair: KeyPair | None = None,
        relay_addresses: Callable[[], Sequence[Address]] | Sequence[Address] = (),
    ) -> TopicKeeper:
        """`async with dht.announcing(topic, ...)`: announced on the way in, repeated meanwhile, taken back at the end.

        `relay_addresses` may be a function: it is asked each time, as a server's change.
        """
        arguments.check_hash(topic, "A topic")
        arguments.check_key_pair(key_pair)
        if not callable(relay_addresses):
            arguments.check_addresses(relay_addresses, "Relay addresses")
        return TopicKeeper(
            self._requests_when_open,
            topic,
            key_pair or self.key_pair,
            relay_addresses=relay_addresses,
            random=self.node.chance,
        )

    async def _requests_when_open(self) -> Requests:
        await self.open()
        return self.requests

    async def unannounce(self, topic: bytes, key_pair: KeyPair | None = None) -> None:
        """Take an announce back wherever it is found."""
        await self.lookup_and_unannounce(topic, key_pair)

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

    # What the node tells us

    def when_changed(self, then: Callable[[Event], None]) -> Callable[[], None]:
        """Call `then` with what the node notices, beside `on_change`; what is returned ends that."""
        self._listeners.append(then)

        def stop() -> None:
            if then in self._listeners:
                self._listeners.remove(then)

        return stop

    async def events(self) -> AsyncIterator[Event]:
        """What the node notices, from the first step of the iteration on, until the node is closed."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._readers_of_events.append(queue)
        stop = self.when_changed(queue.put_nowait)
        try:
            while not self.closed and (event := await queue.get()) is not None:
                yield event
        finally:
            stop()
            self._readers_of_events.remove(queue)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Ready):
            self._ready.set()
        back = isinstance(event, WakeUp) or (isinstance(event, NetworkChanged) and event.online)
        if back or isinstance(event, AddressesChanged | Persistent):
            for server in self.node.servers.values():
                server.refresh()
        if back:
            self._check_connections()
        for listener in list(self._listeners):
            listener(event)


def _is_suspended() -> NetworkError:
    return NetworkError("This node is suspended: resume it first.", name="SUSPENDED")
