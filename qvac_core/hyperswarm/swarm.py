"""Connections to everybody who shares a topic: found, made once for each peer, kept, and made again.

From hyperswarm/index.js 4.17.2 (class Hyperswarm). Ours counts connections that come to us against `max_peers`, too,
closes no node that it was given, asks the firewall function anew each time, and keeps a topic's limit.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random, SystemRandom
from types import TracebackType
from typing import Any

from qvac_core.codec import Address
from qvac_core.dht_rpc import AddressesChanged, Event, NetworkChanged, WakeUp
from qvac_core.errors import ConnectionClosed, NetworkError
from qvac_core.hyperdht import DHT, Connection, KeyPair, PeerRecord, Refusal, Server
from qvac_core.hyperdht.node.arguments import check_function, check_hash, check_key_pair, check_public_key
from qvac_core.hyperdht.node.relay_choice import RelayKeys
from qvac_core.hyperdht.node.requests import Requests
from qvac_core.hyperdht.server.limits import FirewallFunction
from qvac_core.hyperswarm.membership import Discovery, Membership
from qvac_core.hyperswarm.peer import BACKOFFS, JITTER, Peer
from qvac_core.rendezvous.messages import NoisePayload
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

MAX_PEERS = 64
MAX_PARALLEL = 3
"""Connects at a time."""
MAX_KNOWN = 4096
"""Peers that are remembered without being connected: a topic is open to everybody, and keys cost nothing."""
_NEEDS_RELAY = frozenset(
    {"HOLEPUNCH_ABORTED", "HOLEPUNCH_DOUBLE_RANDOMIZED_NATS", "CANNOT_HOLEPUNCH", "REMOTE_NOT_HOLEPUNCHABLE"}
)

OnConnection = Callable[[Connection, Peer], Awaitable[None] | None]
SwarmRelay = RelayKeys | Callable[[bool, "Swarm"], RelayKeys | None]
"""Keys of relays, used where no direct path is likely; or a function of (a relay is needed, the swarm)."""


@dataclass(slots=True)
class SwarmStats:
    """Connections since the swarm was made: those that we began (`client_`), and those that came to us."""

    client_attempted: int = 0
    client_opened: int = 0
    client_closed: int = 0
    server_opened: int = 0
    server_closed: int = 0


class Swarm:
    """`async with Swarm(dht, on_connection) as swarm: swarm.join(topic)`.

    `on_connection(connection, peer)` hears of each new peer, whoever began; it may be a coroutine function. `dht` None
    makes a node of its own, with `bootstrap` as for DHT. There is one connection to each peer: of two that cross, both
    sides keep the same one. What breaks is made again after 1, 5 and 15 seconds, then when the peer is found again.
    """

    def __init__(
        self,
        dht: DHT | None = None,
        on_connection: OnConnection | None = None,
        *,
        key_pair: KeyPair | None = None,
        bootstrap: Sequence[Address | str] | None = None,
        max_peers: int = MAX_PEERS,
        max_client_connections: int | None = None,
        max_parallel: int = MAX_PARALLEL,
        firewall: FirewallFunction | None = None,
        relay_through: SwarmRelay | None = None,
        backoffs: Sequence[float] = BACKOFFS,
        jitter: float = JITTER,
        random: Random | None = None,
    ) -> None:
        """`firewall` as for DHT.create_server; those whom we connect to are asked about with an empty payload."""
        check_key_pair(key_pair)
        if on_connection is not None:
            check_function(on_connection, "What takes the connections of a swarm")
        if firewall is not None:
            check_function(firewall, "A firewall")
        if len(backoffs) != 4:
            raise ValueError(f"There are four times until the next try, and not {len(backoffs)}.")
        self._random = random or SystemRandom()
        self.key_pair = key_pair or KeyPair.from_seed(self._random.randbytes(32))
        self.dht = dht or DHT(bootstrap)
        self._owns_dht = dht is None
        self._on_connection = on_connection
        self._firewall = firewall
        self.relay_through = relay_through
        self.max_peers = max_peers
        self.max_client_connections = max_client_connections
        self.max_parallel = max_parallel
        self._backoffs = tuple(backoffs)
        self._jitter = jitter
        self.server: Server = self.dht.create_server(
            self._on_server_connection, self._ask_firewall, lambda: self._relays(False)
        )
        self.stats = SwarmStats()
        self.closed = False
        self.suspended = False
        self.peers: dict[bytes, Peer] = {}
        """Everybody known, by public key: connected, waiting for it, asked for or banned."""
        self._links: dict[bytes, Connection] = {}
        self._connects: dict[bytes, asyncio.Task[None]] = {}
        self._clients: set[Connection] = set()
        self._queue: dict[bytes, Peer] = {}
        self._retries: dict[bytes, asyncio.TimerHandle] = {}
        self._discoveries: dict[bytes, Discovery] = {}
        self._leaving: dict[bytes, asyncio.Task[None]] = {}
        self._tasks = TaskOwner()
        self._flushes: list[tuple[set[bytes], asyncio.Future[bool]]] = []
        self._listening: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._watchers: list[Callable[[], None]] = []
        self._stop_watching = self.dht.when_changed(self._on_dht_event)

    async def __aenter__(self) -> Swarm:
        await self.dht.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # What there is

    @property
    def connections(self) -> tuple[Connection, ...]:
        """All that are open."""
        return tuple(self._links.values())

    @property
    def connecting(self) -> int:
        """Connects under way."""
        return len(self._connects)

    @property
    def topics(self) -> tuple[bytes, ...]:
        return tuple(self._discoveries)

    def is_connected(self, public_key: bytes) -> bool:
        return public_key in self._links

    def when_updated(self, then: Callable[[], None]) -> None:
        """Call back whenever `connections` or `connecting` have changed."""
        self._watchers.append(then)

    def _updated(self) -> None:
        for watcher in self._watchers:
            watcher()

    # Topics

    def join(self, topic: bytes, *, server: bool = True, client: bool = True, limit: int | None = None) -> Membership:
        """Take part in `topic` (32 bytes): as a server we are found, as a client we look for servers and connect.

        `limit`: so many peers of this topic at most. It goes on in the background; `flushed` of what is returned waits.
        Raises RuntimeError after `close`.
        """
        check_hash(topic, "A topic")
        if self.closed:
            raise RuntimeError("This swarm is closed.")
        if not server and not client:
            raise ValueError("Who joins a topic is a server, a client or both.")
        if limit is not None and limit < 1:
            raise ValueError(f"A topic's limit is 1 at least, or None, and not {limit}.")
        discovery = self._discoveries.get(topic)
        is_new = discovery is None
        if discovery is None:
            discovery = self._discoveries[topic] = Discovery(
                topic,
                self.key_pair,
                requests=lambda serves: self._open(topic, serves),
                relay_addresses=lambda: self.server.relay_addresses,
                is_connected=lambda key: key in self._links or key in self._connects or key in self._queue,
                on_peer=lambda record: self._on_found(record, topic),
                random=self._random,
            )
        member = Membership(discovery, self._leave, server=server, client=client, limit=limit)
        discovery.members.append(member)
        if self.suspended:
            return member
        if is_new:
            discovery.begin()
        else:
            discovery.changed()
        return member

    async def leave(self, topic: bytes) -> None:
        """Leave it for all who joined it here, and take the announce back. Connections stay."""
        discovery = self._discoveries.get(topic)
        if discovery is not None:
            for member in discovery.members:
                member.left = True
            discovery.members.clear()
            await self._give_up(discovery)

    async def _leave(self, member: Membership) -> None:
        discovery = self._discoveries.get(member.topic)
        if discovery is None or member not in discovery.members:
            return
        served = discovery.serves
        discovery.members.remove(member)
        if not discovery.members:
            await self._give_up(discovery)
        elif served and not discovery.serves and not self.suspended:
            discovery.changed()
            await discovery.keeper.flushed()

    async def _give_up(self, discovery: Discovery) -> None:
        del self._discoveries[discovery.topic]
        topic = discovery.topic
        closing = self._spawn(discovery.keeper.close(), "leaving a topic")
        self._leaving[topic] = closing

        def left(_: asyncio.Task[None]) -> None:
            if self._leaving.get(topic) is closing:
                del self._leaving[topic]

        closing.add_done_callback(left)  # it goes on where nobody waits for it any more
        await asyncio.shield(closing)

    async def _open(self, topic: bytes, serves: bool) -> Requests:
        """Before each walk. What was left goes first: its last word would take our first one back."""
        if (leaving := self._leaving.get(topic)) is not None:
            await asyncio.wait([leaving])
        await self.dht.open()
        if serves:
            await self.listen()
        return self.dht.requests

    async def listen(self) -> None:
        """Be there for who knows our key; joining a topic as a server does it. Raises NetworkError."""
        if self.closed:
            raise NetworkError("This swarm is closed.", name="NODE_DESTROYED")
        if self._listening is None or (self._listening.done() and not self.server.listening):
            self._listening = asyncio.create_task(self._listen(), name="a swarm begins to listen")
        await asyncio.shield(self._listening)

    async def _listen(self) -> None:
        await self.server.listen(self.key_pair)

    # Peers by key

    def join_peer(self, public_key: bytes) -> Peer | None:
        """Connect to this peer and stay connected, whatever `max_peers` says; None for our own key."""
        check_public_key(public_key)
        peer = self._know(public_key)
        if peer is not None:
            peer.explicit = True
            self._enqueue(peer)
        return peer

    def leave_peer(self, public_key: bytes) -> None:
        """Do not connect again. A connection that is open stays open."""
        peer = self.peers.get(public_key)
        if peer is not None:
            peer.explicit = False
            if not self._is_wanted(peer):
                self._queue.pop(public_key, None)
                if (timer := self._retries.pop(public_key, None)) is not None:
                    timer.cancel()
            self._forget_unneeded(peer)

    def _know(self, public_key: bytes, relay_addresses: Sequence[Address] = ()) -> Peer | None:
        if public_key == self.key_pair.public_key:
            return None
        peer = self.peers.get(public_key)
        if peer is None:
            peer = self.peers[public_key] = Peer(public_key)
        if relay_addresses:
            peer.relay_addresses = tuple(relay_addresses)
        return peer

    def _forget_unneeded(self, peer: Peer) -> None:
        key = peer.public_key
        waits = key in self._queue or key in self._retries or key in self._connects or key in self._links
        if not (waits or peer.explicit or peer.banned):
            self.peers.pop(key, None)

    def _on_found(self, record: PeerRecord, topic: bytes) -> None:
        if record.public_key not in self.peers and len(self.peers) >= MAX_KNOWN:
            return
        peer = self._know(record.public_key, record.relay_addresses)
        if peer is None:
            return
        peer.found_under(topic)
        # Each node of a walk tells of it: what waits for its next try is not to be hurried by that.
        if not self._is_linked(record.public_key) and record.public_key not in self._retries:
            peer.found_again()
            self._enqueue(peer)

    # Connecting

    def _is_linked(self, key: bytes) -> bool:
        return key in self._links or key in self._connects

    def _enqueue(self, peer: Peer) -> None:
        if peer.may_be_tried and not self.closed and not self._is_linked(peer.public_key):
            if (timer := self._retries.pop(peer.public_key, None)) is not None:
                timer.cancel()
            self._queue[peer.public_key] = peer
            self._work_queue()

    def _has_room(self, peer: Peer) -> bool:
        if peer.explicit:
            return True
        clients = len(self._clients) + len(self._connects)
        most = self.max_client_connections
        return len(self._links) + len(self._connects) < self.max_peers and (most is None or clients < most)

    def _work_queue(self) -> None:
        while self._queue and not self.suspended and not self.closed and len(self._connects) < self.max_parallel:
            ready = [peer for peer in self._queue.values() if self._has_room(peer)]
            if not ready:
                break
            best = max(peer.priority for peer in ready)
            peer = self._random.choice([peer for peer in ready if peer.priority == best])
            del self._queue[peer.public_key]
            if peer.may_be_tried and not self._is_linked(peer.public_key):
                self.stats.client_attempted += 1
                connecting = asyncio.create_task(self._connect(peer), name="connecting to a peer of a swarm")
                self._connects[peer.public_key] = connecting
                self._updated()
            else:
                self._tried(peer.public_key)
        self._tell_flushes()

    async def _connect(self, peer: Peer) -> None:
        """One try, as a task of its own; a connection that the peer made meanwhile may cancel it."""
        key = peer.public_key
        try:
            connection = await self._connect_once(peer)
        finally:
            if self._connects.get(key) is asyncio.current_task():
                del self._connects[key]
        if connection is None:
            peer.disconnected(self._now())
            self._tried(key)
            self._retry(peer)
        else:
            self.stats.client_opened += 1
            peer.connected(self._now())
            peer.is_client = True
            self._clients.add(connection)
            self._add(connection, peer)
        self._work_queue()
        self._updated()

    async def _connect_once(self, peer: Peer) -> Connection | None:
        try:
            await self.dht.open()
            if await self._is_refused(peer.public_key):
                return None
            return await self.dht.connect(
                peer.public_key,
                self.key_pair,
                self._relays(peer.forces_relay),
                relay_addresses=peer.relay_addresses,
            )
        except NetworkError as error:
            logger.debug("%r could not be reached: %s", peer, error)
            if self.relay_through is not None and error.name in _NEEDS_RELAY and not peer.forces_relay:
                peer.forces_relay = True
                peer.attempts = 0
        except Exception:
            logger.exception("connecting to %r failed", peer)
        return None

    async def _is_refused(self, key: bytes) -> bool:
        if self._firewall is None:
            return False
        verdict = self._firewall(key, NoisePayload())
        decided = await verdict if inspect.isawaitable(verdict) else verdict
        return decided is True or isinstance(decided, Refusal)

    def _relays(self, needed: bool) -> RelayKeys | None:
        relays = self.relay_through
        if callable(relays):
            return relays(needed, self)
        return relays if needed or self.dht.randomized else None

    def _retry(self, peer: Peer) -> None:
        seconds = peer.retry_in(self._backoffs)
        if self.closed or self.suspended or not self._is_wanted(peer) or seconds is None:
            self._forget_unneeded(peer)
            return
        seconds += self._random.random() * self._jitter
        loop = asyncio.get_running_loop()
        self._retries[peer.public_key] = loop.call_later(seconds, self._try_again, peer)

    def _is_wanted(self, peer: Peer) -> bool:
        return peer.explicit or any(topic in self._discoveries for topic in peer.topics)

    def _try_again(self, peer: Peer) -> None:
        self._retries.pop(peer.public_key, None)
        if self._is_wanted(peer):
            self._enqueue(peer)
        self._forget_unneeded(peer)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # Those who come to us

    async def _ask_firewall(self, key: bytes, payload: NoisePayload) -> Any:
        peer = self.peers.get(key)
        if key == self.key_pair.public_key or (peer is not None and peer.banned) or self.suspended or self.closed:
            return True
        if not self._is_linked(key) and len(self._links) >= self.max_peers and not (peer and peer.explicit):
            return Refusal()
        if self._firewall is None:
            return False
        verdict = self._firewall(key, payload)
        return await verdict if inspect.isawaitable(verdict) else verdict

    def _on_server_connection(self, connection: Connection) -> None:
        key = connection.remote_public_key
        if self.closed or self.suspended:
            connection.destroy()
            return
        if not self._is_linked(key) and len(self._links) >= self.max_peers and not self._is_explicit(key):
            connection.destroy()  # others were quicker while this one was on its way
            return
        existing = self._links.get(key)
        if self._is_linked(key) and not self._keeps_new(existing, connection):
            if existing is not None:
                existing.write_keep_alive()
            connection.destroy()
            return
        if (connect := self._connects.pop(key, None)) is not None:
            connect.cancel()
            self._tried(key)
        if existing is not None:
            self._drop(existing)
            existing.destroy()
        peer = self._know(key)
        assert peer is not None
        self.stats.server_opened += 1
        peer.is_client = False
        self._add(connection, peer)
        self._updated()
        self._work_queue()

    def _is_explicit(self, key: bytes) -> bool:
        peer = self.peers.get(key)
        return peer is not None and peer.explicit

    def _keeps_new(self, existing: Connection | None, new: Connection) -> bool:
        """Both sides come to the same end: of two that cross, the one stays that the larger key began.

        One that has been used was lost on the other side, or there would be no new one.
        """
        if existing is not None and existing.bytes_read > 0 and existing.bytes_written > 0:
            return True
        return (new.public_key > new.remote_public_key) == new.is_initiator

    # Connections

    def _add(self, connection: Connection, peer: Peer) -> None:
        if connection.closed:
            self._clients.discard(connection)
            self._retry(peer)
            return
        if (other := self._links.get(peer.public_key)) is not None:
            self._drop(other)
            other.destroy()
        self._links[peer.public_key] = connection
        self._queue.pop(peer.public_key, None)
        if (timer := self._retries.pop(peer.public_key, None)) is not None:
            timer.cancel()
        connection.when_closed(lambda gone: self._on_closed(gone, peer))
        self._tried(peer.public_key)
        if self._on_connection is None:
            return
        try:
            outcome = self._on_connection(connection, peer)
        except Exception:
            logger.exception("on_connection failed; the connection is dropped")
            connection.destroy()
            return
        if inspect.isawaitable(outcome):
            self._spawn(self._serve(connection, outcome), "on_connection of a swarm")

    async def _serve(self, connection: Connection, work: Awaitable[None]) -> None:
        try:
            await work
        except ConnectionClosed as error:
            logger.debug("%r: %s", connection, error)
        except BaseException:
            connection.destroy()
            raise

    def _drop(self, connection: Connection) -> None:
        """It is not the peer's any more: its end says nothing about the peer."""
        if self._links.get(connection.remote_public_key) is connection:
            del self._links[connection.remote_public_key]

    def _on_closed(self, connection: Connection, peer: Peer) -> None:
        is_client = connection in self._clients
        self._clients.discard(connection)
        if is_client:
            self.stats.client_closed += 1
        else:
            self.stats.server_closed += 1
        if self._links.get(peer.public_key) is connection:
            del self._links[peer.public_key]
            peer.disconnected(self._now())
            if is_client or peer.explicit:
                self._retry(peer)
            else:
                self._forget_unneeded(peer)
        self._work_queue()
        self._updated()

    # Flushing

    async def flush(self) -> bool:
        """Returns when all topics are announced and looked up, and each peer that was found has been tried once.

        True then; False when the swarm is closed or suspended meanwhile.
        """
        await asyncio.gather(*(discovery.keeper.flushed() for discovery in list(self._discoveries.values())))
        pending = {*self._queue, *self._connects}
        if self.closed or self.suspended:
            return False
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._flushes.append((pending, done))
        self._tell_flushes()
        return await done

    def _tried(self, key: bytes) -> None:
        for pending, _ in self._flushes:
            pending.discard(key)
        self._tell_flushes()

    def _tell_flushes(self) -> None:
        """Whoever finds no room is waited for no longer."""
        left = []
        for pending, done in self._flushes:
            waits = {
                key
                for key in pending
                if key in self._connects or ((peer := self._queue.get(key)) is not None and self._has_room(peer))
            }
            if waits and not done.done():
                left.append((pending, done))
            elif not done.done():
                done.set_result(True)
        self._flushes = left

    def _fail_flushes(self) -> None:
        flushes, self._flushes = self._flushes, []
        for _, done in flushes:
            if not done.done():
                done.set_result(False)

    # The network

    def _on_dht_event(self, event: Event) -> None:
        came_back = isinstance(event, NetworkChanged) and event.online
        if self.suspended or not (came_back or isinstance(event, WakeUp | AddressesChanged)):
            return
        for connection in self._links.values():
            connection.write_keep_alive()  # those that are dead show it sooner
        for discovery in self._discoveries.values():
            discovery.keeper.refresh()

    async def suspend(self) -> None:
        """Drop all connections, withdraw topics and server, and look for nobody until `resume`.

        A node that the swarm was given goes on.
        """
        if self.suspended or self.closed:
            return
        self.suspended = True
        await self._end_connections()
        closing = [discovery.keeper.close() for discovery in self._discoveries.values()]
        await asyncio.gather(*closing, self.server.suspend())
        self._fail_flushes()
        if self._owns_dht:
            await self.dht.suspend()

    async def resume(self) -> None:
        """Announce, look up and connect again, also to those who were waiting for their turn."""
        if not self.suspended or self.closed:
            return
        if self._owns_dht:
            await self.dht.resume()
        self.server.resume()
        self.suspended = False
        for discovery in self._discoveries.values():
            discovery.begin()
        for peer in list(self.peers.values()):
            if peer.explicit:
                self._enqueue(peer)
        self._work_queue()

    async def _end_connections(self) -> None:
        for timer in self._retries.values():
            timer.cancel()
        self._retries.clear()
        connects = list(self._connects.items())
        for key, task in connects:
            task.cancel()
            if key in self.peers:
                self._queue[key] = self.peers[key]
        if connects:
            await asyncio.wait([task for _, task in connects])
        self._connects.clear()  # one that had not begun has not taken itself out
        for connection in list(self._links.values()):
            connection.destroy()

    async def close(self) -> None:
        """Leave all topics, drop all connections; a node that was made for the swarm is closed. May be called again.

        Cancelled, it goes on; who calls it again waits for its end.
        """
        if self._closing is None:
            self.closed = True
            self._closing = asyncio.create_task(self._close(), name="closing a swarm")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._stop_watching()
        await self._end_connections()
        self._queue.clear()
        discoveries, self._discoveries = list(self._discoveries.values()), {}
        for discovery in discoveries:
            for member in discovery.members:
                member.left = True
        await asyncio.gather(*(discovery.keeper.close() for discovery in discoveries), *self._leaving.values())
        self._fail_flushes()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
            if not self._listening.cancelled():
                self._listening.exception()
        await self.server.close()
        tasks = self._tasks.tasks
        for work in tasks:
            work.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._owns_dht:
            await self.dht.close()

    def __iter__(self) -> Iterator[Connection]:
        return iter(self.connections)

    def _spawn(self, work: Awaitable[Any], name: str) -> asyncio.Task[Any]:
        async def run() -> None:
            await work

        return self._tasks.start(run(), name)
