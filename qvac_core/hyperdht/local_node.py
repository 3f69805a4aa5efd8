"""What servers, connects and relays of one node stand on: its endpoint, its tasks, and what it keeps and remembers.

From hyperdht/index.js 6.34.0 (the other half of class HyperDHT). It knows nobody who stands on it: `DHT` makes it,
opens and closes it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, Protocol, TypeVar

from qvac_core.codec import Address
from qvac_core.dht_rpc import IncomingRequest, ReplyError
from qvac_core.errors import NetworkError
from qvac_core.hyperdht.lan.local_network import LocalNetwork
from qvac_core.hyperdht.lan.nearby import Nearby
from qvac_core.hyperdht.node.endpoint import Endpoint
from qvac_core.hyperdht.node.relay_choice import RelayChoice
from qvac_core.hyperdht.node.requests import Requests
from qvac_core.hyperdht.stream.connection import Connection
from qvac_core.hyperdht.stream.path_driver import MeetAgain, PathDriver, PathFinder
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.cache import Cache
from qvac_core.rendezvous.constants import MAX_RELAY_ADDRESSES, Command
from qvac_core.rendezvous.handshake import Session
from qvac_core.rendezvous.holepuncher import Holepuncher, RandomPunches
from qvac_core.rendezvous.records import Records
from qvac_core.rendezvous.router import LocalServer, Router
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

_REMEMBERED_RELAYS = 512

T = TypeVar("T")


class Served(LocalServer, Protocol):
    """What a node needs of a server that listens; Server is one."""

    shares_local_address: bool

    def refresh(self) -> None: ...
    def resume(self) -> None: ...
    async def suspend(self) -> None: ...
    async def close(self) -> None: ...


class Attempting(Protocol):
    """What a node needs of a meeting under way; Attempt is one."""

    def abort(self, error: NetworkError) -> None: ...


class Punched(Protocol):
    """What a node needs of a hole punch under way; Punching is one."""

    @property
    def puncher(self) -> Holepuncher: ...
    def abandon(self) -> None: ...
    def close(self) -> None: ...


class LocalNode:
    """`attempts`, `punchings` and `pairings` at relays are under way: who begins one puts it there, and takes it out.

    `endpoint` and `requests` are there once the node is open.
    """

    def __init__(
        self,
        chance: Random,
        key_pair: KeyPair,
        *,
        keep_alive: float,
        has_bootstrap: bool,
        local_network: LocalNetwork | None,
    ) -> None:
        self.chance = chance
        self.key_pair = key_pair
        self.has_bootstrap = has_bootstrap
        self._keep_alive = keep_alive
        self._endpoint: Endpoint | None = None
        self._requests: Requests | None = None
        self.closed = False
        self.closing = False
        """`DHT.close` has begun, and not ended."""
        self.suspended = False
        self.nearby = Nearby(local_network)
        self.router = Router()
        self.records = Records(self.router, chance=chance)
        self.relay_choice = RelayChoice()
        self.random_punches = RandomPunches()
        self.servers: dict[bytes, Served] = {}
        self.connections: set[Connection] = set()
        self.attempts: set[Attempting] = set()
        self.punchings: set[Punched] = set()
        self.pairings: set[asyncio.Task[None]] = set()
        self._tasks = TaskOwner()
        self._relays: Cache[bytes, tuple[Address, ...]] = Cache(max_size=2 * _REMEMBERED_RELAYS, max_age=0)

    @property
    def is_open(self) -> bool:
        return self._endpoint is not None

    def start(self, endpoint: Endpoint) -> None:
        """The sockets are bound: begin to speak."""
        self._endpoint = endpoint
        self._requests = Requests(endpoint)
        endpoint.start()

    def stop(self) -> None:
        """The last thing: the sockets are closed, and who still waits for an answer fails."""
        if self._endpoint is not None:
            self._endpoint.close()
        if self._requests is not None:
            self._requests.close()

    @property
    def endpoint(self) -> Endpoint:
        if self.closed:
            raise destroyed()
        if self._endpoint is None:
            raise NetworkError("This node is not open yet: await open() or ready() first.", name="NOT_OPEN")
        return self._endpoint

    @property
    def requests(self) -> Requests:
        if self._requests is None:
            raise destroyed()
        return self._requests

    @property
    def firewalled(self) -> bool:
        return self.endpoint.node.firewalled

    def now(self) -> float:
        return self.endpoint.loop.time()

    def ephemeral_key(self) -> KeyPair:
        return KeyPair.from_seed(self.chance.randbytes(32))

    # Relays of handshakes

    def relays_of(self, public_key: bytes) -> tuple[Address, ...]:
        """Nodes that led to this key last time; none when it was never met."""
        return self._relays.get(public_key, self.now()) or () if self.is_open else ()

    def remember_relays(self, public_key: bytes, relays: Sequence[Address]) -> None:
        if relays:
            self._relays.set(public_key, tuple(relays[:MAX_RELAY_ADDRESSES]), self.now())

    def forget_relays(self, public_key: bytes) -> None:
        self._relays.delete(public_key)

    # Servers

    def register_server(self, server: Served, public_key: bytes, target: bytes, record: bytes) -> None:
        if target in self.servers:
            raise NetworkError("Another server of this node has this key.", name="KEYPAIR_ALREADY_USED")
        self.servers[target] = server
        self.router.add_server(target, record, server)
        if server.shares_local_address:
            self.nearby.serve(server, public_key, self.endpoint.server_address[1])

    def unregister_server(self, server: Served, target: bytes) -> None:
        if self.servers.get(target) is server:
            del self.servers[target]
            self.router.remove_server(target)
            self.nearby.stop_serving(server)

    # Connections and tasks

    def new_connection(
        self,
        paths: PathDriver,
        session: Session,
        *,
        initiator: bool,
        public_key: bytes,
        on_open: Callable[[Connection], None] | None = None,
        meet_again: Callable[[], PathFinder] | None = None,
    ) -> Connection:
        connection = Connection(
            self.endpoint,
            paths,
            session,
            initiator=initiator,
            public_key=public_key,
            keep_alive=self._keep_alive,
            on_open=on_open,
            on_closed=self.connections.discard,
            meet_again=MeetAgain(meet_again, self.spawn) if meet_again is not None else None,
        )
        self.connections.add(connection)
        return connection

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """A task that ends with this node; what it raises is logged."""
        return self._tasks.start(work, name)

    @property
    def tasks(self) -> frozenset[asyncio.Task[Any]]:
        """Those of `spawn` that have not ended."""
        return self._tasks.tasks

    # Requests of others

    def on_request(self, request: IncomingRequest) -> None:
        try:
            self._answer(request)
        except Exception:
            logger.exception("request %d from %s failed", request.command, request.from_)

    def _answer(self, request: IncomingRequest) -> None:
        endpoint = self.endpoint
        now = endpoint.loop.time()
        if request.command == Command.PEER_HANDSHAKE:
            self.router.on_handshake(request, now)
        elif request.command == Command.PEER_HOLEPUNCH:
            self.router.on_holepunch(request, now)
        else:
            node_id = endpoint.node.id
            epoch_ms = int(time.time() * 1000)
            if node_id is None or not self.records.handle(request, node_id=node_id, now=now, epoch_ms=epoch_ms):
                request.error(ReplyError.UNKNOWN_COMMAND)


def destroyed() -> NetworkError:
    return NetworkError("This node is closed.", name="NODE_DESTROYED")
