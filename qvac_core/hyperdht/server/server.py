"""A server: answers handshakes for its key pair, decides who may connect, hands connections to the application.

From docs/wire/hyperdht.md section 6.3 (hyperdht/lib/server.js 6.34.0), with more verdicts of the firewall (Refusal
answers instead of staying silent) and with limits, both in limits. Hole punching is in punch.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import NamedTuple

from qvac_core.codec import Address
from qvac_core.errors import NetworkError, RemoteProtocolError
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.hyperdht.node.arguments import check_key_pair
from qvac_core.hyperdht.node.budget import Budget
from qvac_core.hyperdht.node.endpoint import Endpoint
from qvac_core.hyperdht.node.relay_choice import RelayKeys, RelayThrough, relays_now
from qvac_core.hyperdht.relay.leg import ConnectTo, RelayLeg
from qvac_core.hyperdht.server.announcing import WITHDRAW_LIMIT, Announcing
from qvac_core.hyperdht.server.application import Application, OnConnection
from qvac_core.hyperdht.server.client import Client
from qvac_core.hyperdht.server.limits import (
    HANDSHAKES_PER_SECOND,
    HANDSHAKES_PER_SOURCE,
    PENDING,
    PUNCHES,
    REFUSALS_PER_SECOND,
    FirewallFunction,
    Refusal,
    ServerLimits,
    Stranger,
    Verdict,
)
from qvac_core.hyperdht.server.punch import ServerPunch
from qvac_core.hyperdht.server.relay import RelayedStreams, ServerRelay
from qvac_core.hyperdht.server.self_check import SelfCheck
from qvac_core.hyperdht.stream.connection import Connection
from qvac_core.hyperdht.stream.ipv6_path import ServerGreeting
from qvac_core.hyperdht.stream.path_driver import PathDriver
from qvac_core.hyperdht.stream.routes import remember_route
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.addresses import is_private, match_address
from qvac_core.rendezvous.announcer import Announcer
from qvac_core.rendezvous.constants import FIREWALL_LIMIT, FIRST_PACKET_WAIT, Firewall, PeerError
from qvac_core.rendezvous.handshake import HandshakeMemory, RememberedHandshake, ServerHandshake
from qvac_core.rendezvous.holepunch_rounds import TRY_LATER_LIMIT
from qvac_core.rendezvous.messages import NOISE_PAYLOAD_VERSION, HolepunchInfo, NoisePayload, UdxInfo
from qvac_core.rendezvous.places import Bounds, Full, who_gives_way
from qvac_core.rendezvous.request import Request
from qvac_core.rendezvous.router import Answer

logger = logging.getLogger(__name__)


class ServerAddress(NamedTuple):
    """A server's key, and its node as the network sees it."""

    public_key: bytes
    host: str | None
    port: int


class Server:
    """Made by `DHT.create_server`; `await server.listen()` makes it findable, `await server.close()` withdraws it.

    Connections that are open stay open when the server closes.
    """

    def __init__(
        self,
        node: LocalNode,
        open: Callable[[], Awaitable[Endpoint]],
        connect: ConnectTo,
        on_connection: OnConnection,
        firewall: FirewallFunction | None = None,
        relay_through: RelayThrough | None = None,
        *,
        share_local_address: bool = True,
        limits: ServerLimits | None = None,
    ) -> None:
        """`open` opens the node; `connect` leads to a relay."""
        self._node = node
        self._open = open
        self._connect_to = connect
        self._application = Application(node, on_connection, limits or ServerLimits())
        self._firewall = firewall
        self.relay_through = relay_through
        self.shares_local_address = share_local_address
        self._relayed = RelayedStreams(node)
        self._memory = HandshakeMemory()
        self._clients: dict[int, Client] = {}
        self._key_pair: KeyPair | None = None
        self._announcer: Announcer | None = None
        self._announcing: Announcing | None = None
        self._check: SelfCheck | None = None
        self._announce_task: asyncio.Task[None] | None = None
        self._beginning: asyncio.Future[None] | None = None
        self._reads = Budget(HANDSHAKES_PER_SECOND, HANDSHAKES_PER_SOURCE)
        self._refusals = Budget(REFUSALS_PER_SECOND)
        self._closing: asyncio.Task[None] | None = None
        self._suspended = False
        self.closed = False
        self.on_seen: Callable[[], None] = lambda: None
        """Called when `found` or `another` have changed."""

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def public_key(self) -> bytes | None:
        return self._key_pair.public_key if self._key_pair is not None else None

    @property
    def address(self) -> ServerAddress | None:
        """Our key and where others see us; None while it does not listen.

        `host` is None while they disagree, `port` 0 while it differs from peer to peer.
        """
        if self._key_pair is None or not self.listening or not self._node.is_open:
            return None
        node = self._node.endpoint.node
        return ServerAddress(self._key_pair.public_key, node.host, node.port)

    @property
    def listening(self) -> bool:
        return not self.closed and (self._announce_task is not None or self._suspended)

    @property
    def relay_addresses(self) -> tuple[Address, ...]:
        """Nodes that relay handshakes to us now; empty means that nobody finds us."""
        return self._announcer.relay_addresses if self._announcer is not None else ()

    @property
    def found(self) -> bool | None:
        """Whether the network led a handshake to us when we looked last (every 15 s); None before the first look."""
        if self._announcing is None or not self.listening:
            return None
        if not self._node.has_bootstrap and not self.relay_addresses:
            return True  # the first node of a network: whoever comes, comes by us
        return self._announcing.found

    @property
    def another(self) -> bool:
        """Whether another machine listens under the same key: each is found by some, or only one by all."""
        return self._announcing is not None and self._announcing.another

    async def listen(self, key_pair: KeyPair | None = None, *, alone: bool = False) -> Server:
        """Announce `key_pair` (the node's own by default) and answer for it; after `close`, again.

        When the server or its node are closed meanwhile it returns, and the server does not listen.

        `alone`: also while no node takes the announce; it is repeated until one does. `relay_addresses` tells.
        Raises NetworkError: ALREADY_LISTENING, KEYPAIR_ALREADY_USED, NODE_DESTROYED, SUSPENDED, ANNOUNCE_FAILED.
        """
        check_key_pair(key_pair)
        if self._closing is not None and not self._closing.done():
            await asyncio.wait([self._closing])
        if self._key_pair is not None and not self.closed:
            raise NetworkError("This server is listening already.", name="ALREADY_LISTENING")
        try:
            endpoint = await self._open()
        except NetworkError:
            if self._node.closing:
                return self
            raise
        if self._node.suspended:
            raise NetworkError("This node is suspended: resume it first.", name="SUSPENDED")
        key_pair = key_pair or self._node.key_pair
        announcer = Announcer(key_pair)
        self._node.register_server(self, key_pair.public_key, announcer.target, announcer.record)
        self.closed, self._closing, self._suspended = False, None, False
        self._announcer, self._key_pair = announcer, key_pair
        self._check = SelfCheck(self._node.requests, key_pair, self._node.ephemeral_key, self._on_another)
        announcing = Announcing(endpoint, self._node.requests, announcer, self._check, self._on_seen)
        self._announcing = announcing
        self._beginning = endpoint.loop.create_future()
        try:
            relays = await announcing.try_update() if alone else await announcing.update()
            if relays == 0 and self._node.has_bootstrap and not alone:
                raise NetworkError("No node of the network took the announce.", name="ANNOUNCE_FAILED")
        except BaseException as error:
            was_closed = self.closed
            self._stop()
            # Cancelled, it has announced itself at some nodes already, which would remember that for 20 minutes.
            if not self._node.closed:
                self._node.spawn(announcing.withdraw(), "withdrawing an announce that was cancelled")
            if was_closed and isinstance(error, NetworkError):
                return self
            raise
        finally:
            self._beginning.set_result(None)
        if not self.closed and not self._suspended:
            self._announce_task = self._node.spawn(announcing.run(), "announcing")
        return self

    def _on_seen(self) -> None:
        self.on_seen()

    def _on_another(self) -> None:
        if self._announcing is not None:
            self._announcing.met_another()

    async def close(self) -> None:
        """Withdraw the announces and stop answering. May be called again, also while it closes."""
        if self._closing is None:
            self._stop()
            self._closing = asyncio.create_task(self._withdraw(), name="closing a server")
        await asyncio.shield(self._closing)

    async def _withdraw(self) -> None:
        task, self._announce_task = self._announce_task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if self._beginning is not None:
            # What is announced after the withdrawal would stay for 20 minutes.
            await asyncio.wait([self._beginning], timeout=WITHDRAW_LIMIT)
        if self._announcing is not None and not self._node.closed:
            await self._announcing.withdraw()

    def _stop(self) -> None:
        self.closed = True
        if self._announcer is not None:
            self._node.unregister_server(self, self._announcer.target)
        self.drop_handshakes()

    async def suspend(self) -> None:
        """Answer nobody and withdraw the announces, in bounded time, until `resume`."""
        self._suspended = True
        self.drop_handshakes()
        await self._withdraw()

    def resume(self) -> None:
        """Announce again, at once."""
        if not self._suspended:
            return
        self._suspended = False
        if self._announcing is not None and not self.closed and self._announce_task is None:
            self._announcing.refresh()
            self._announce_task = self._node.spawn(self._announcing.run(), "announcing")

    def drop_handshakes(self) -> None:
        """Forget clients that are not connected yet."""
        for client in list(self._clients.values()):
            self._give_up(client)
        self._memory.clear()

    def refresh(self) -> None:
        """Announce again soon: the network changed."""
        if self._announcing is not None:
            self._announcing.refresh()

    # Handshakes (rendezvous.LocalServer)

    def on_peer_handshake(
        self, noise: bytes, peer_address: Address | None, request: Request, answer: Callable[[Answer], None]
    ) -> None:
        if self._suspended or (self._check is not None and self._check.arrived(noise)):
            return
        now = self._node.now()
        entry = self._memory.find(noise, now)
        if entry is not None:
            self._answer_from_open_socket(entry)
            entry.ask(answer)
            return
        if self._key_pair is None or not self._reads.allows(now, request.from_[0]):
            return
        entry = self._memory.open(noise, now)
        entry.ask(answer)
        handshake = ServerHandshake(key_pair=self._key_pair, ephemeral=self._node.ephemeral_key())
        try:
            remote_public_key, payload = handshake.read(noise)
        except RemoteProtocolError as error:
            logger.debug("handshake from %s is none: %s", request.from_, error)
            self._silence(entry)
            return
        if remote_public_key == self._key_pair.public_key and payload.udx is None and self._check is not None:
            entry.settle(Answer(self._check.answer(handshake, payload)))
            self._memory.finish(entry, now)
            return
        client = Client(
            entry,
            handshake,
            remote_public_key,
            payload,
            peer_address=peer_address or request.from_,
            seen_as=request.to,
            direct=peer_address is None,
            socket=request.socket,
            source=self._source(peer_address, request),
            read_for=request.from_[0],
        )
        self._ask_firewall(client)

    def _source(self, peer_address: Address | None, request: Request) -> str:
        trusted = self._announcer is not None and self._announcer.is_relay(request.from_)
        return peer_address[0] if peer_address is not None and trusted else request.from_[0]

    def _answer_from_open_socket(self, entry: RememberedHandshake) -> None:
        """A punch may have taken a fresh socket since, or be over: what left from a closed one would be lost."""
        if entry.answer is None or entry.answer.socket is None or self._node.endpoint.has_socket(entry.answer.socket):
            return
        client = self._clients.get(entry.id)
        punch = client.punch if client is not None and client.entry is entry else None
        entry.answer = Answer(entry.answer.payload, punch.socket if punch is not None and not punch.closed else None)

    def _ask_firewall(self, client: Client) -> None:
        if self._firewall is None:
            self._decide(client, False)
            return
        try:
            verdict = self._firewall(client.remote_public_key, client.payload)
        except Exception:
            logger.exception("the firewall function failed; the peer gets no answer")
            self._silence(client.entry)
            return
        if inspect.isawaitable(verdict):
            self._node.spawn(self._decide_later(client, verdict), "firewall decision")
        else:
            self._decide(client, verdict)

    async def _decide_later(self, client: Client, verdict: Awaitable[Verdict]) -> None:
        try:
            async with asyncio.timeout(FIREWALL_LIMIT):
                decided = await verdict
        except Exception:
            logger.exception("the firewall function failed; the peer gets no answer")
            decided = True
        self._decide(client, decided)
        self._node.endpoint.flush_node()

    def _decide(self, client: Client, verdict: Verdict) -> None:
        if self.closed:
            return
        if isinstance(verdict, Refusal):
            if self._refusals.allows(self._node.now()):
                self._answer_error(client, PeerError.ABORTED)
            else:
                self._silence(client.entry)
        elif verdict and not isinstance(verdict, Stranger):
            self._silence(client.entry)
        elif client.payload.version != NOISE_PAYLOAD_VERSION:
            self._answer_error(client, PeerError.VERSION_MISMATCH)
        elif client.payload.udx is None:
            self._answer_error(client, PeerError.ABORTED)
        else:
            client.loose = isinstance(verdict, Stranger)
            self._admit(client)

    def _silence(self, entry: RememberedHandshake) -> None:
        entry.settle(None)
        self._memory.finish(entry, self._node.now())

    def _answer_error(self, client: Client, error: PeerError) -> None:
        noise, _ = client.handshake.answer(NoisePayload(error=error))
        client.entry.settle(Answer(noise))
        self._memory.finish(client.entry, self._node.now())

    def _make_way(self, client: Client, bounds: Bounds, *, punching: bool = False) -> bool:
        """False: there is no place for this client, and nobody who had to leave for it."""
        pending = [
            other.place
            for other in self._clients.values()
            if other is not client and not other.handed_over and (not punching or other.punch is not None)
        ]
        leaving = who_gives_way(client.place, pending, bounds)
        if isinstance(leaving, Client):
            self._give_up(leaving)
        return not isinstance(leaving, Full)

    def _admit(self, client: Client) -> None:
        if not self._make_way(client, PENDING):
            self._silence(client.entry)
            return
        endpoint = self._node.endpoint
        own_address = endpoint.node.remote_address()
        again = self._relayed.find(client.remote_public_key, client.payload)
        asked = client.payload.udx
        needs_relay = again is None or (asked is not None and asked.needs_relay)
        if again is not None and again.relay is not None and needs_relay:
            self._node.relay_choice.failed(again.relay, self._node.now())
        wishes = self._relays() if needs_relay else None
        relay = ServerRelay(self._node, self._connect_to, client.remote_public_key, wishes, client.payload)
        if again is not None:
            client.connection, client.handed_over, client.meets_again = again, True, True
            paths = again.paths
            paths.try_again()
        else:
            paths = PathDriver(endpoint, lambda socket, source: self._connect(client, socket, source))
        client.paths = paths
        addresses = [own_address] if own_address is not None else []
        if self.shares_local_address:
            addresses += endpoint.local_addresses()
        needs_way = own_address is None and not client.direct
        addresses6 = endpoint.ipv6_addresses() if needs_way and self.shares_local_address else []
        noise, client.session = client.handshake.answer(
            NoisePayload(
                firewall=Firewall.OPEN if own_address is not None else Firewall.UNKNOWN,
                holepunch=self._holepunch_info(client.entry.id) if own_address is None else None,
                addresses4=tuple(addresses),
                addresses6=tuple(addresses6),
                udx=UdxInfo(paths.raw.id, reusable_socket=True, resumable=True),
                secret_stream=True,
                relay_through=relay.wish,
                relay_addresses=self.relay_addresses or None,
            )
        )
        self._clients[client.entry.id] = client
        client.entry.on_removed = lambda: self._give_up(client)
        self._give_up_after(client, FIRST_PACKET_WAIT)
        socket: int | None = None
        if client.direct:
            self._connect(client, client.socket, client.peer_address)
        elif client.payload.firewall == Firewall.OPEN:
            self._connect(client, endpoint.request_socket, client.peer_address)
        elif own_address is None:
            self._make_way(client, PUNCHES, punching=True)
            client.punch = self._make_punch(client)
            # Nearby the peer goes for our server socket: the answer must show its mapping, not the puncher's.
            socket = None if self._is_nearby(client) else client.punch.socket
        client.entry.settle(Answer(noise, socket))
        if addresses6 and client.payload.addresses6 and not paths.raw.connected:
            client.greeting = ServerGreeting(endpoint, client.payload.addresses6, client.session.holepunch_secret)
        if relay.wanted and (again is not None or not paths.raw.connected):
            client.relay = relay
            deliver = partial(self._connect_relayed if again is None else self._take_relay, client, paths)
            relay.start(paths, deliver, lambda: self._relay_failed(client))

    def _relays(self) -> RelayKeys | None:
        try:
            return relays_now(self.relay_through)
        except Exception:
            logger.exception("the function that names relays failed; none is named")
            return None

    def _make_punch(self, client: Client) -> ServerPunch:
        assert client.session is not None and self._announcer is not None

        def progress(later: bool) -> None:
            self._give_up_after(client, TRY_LATER_LIMIT if later else None)

        return ServerPunch(
            self._node,
            client.session,
            client.payload.firewall,
            is_relay=self._announcer.is_relay,
            on_end=lambda: self._punch_ended(client),
            on_progress=progress,
        )

    def _is_nearby(self, client: Client) -> bool:
        if not self.shares_local_address or client.peer_address[0] != client.seen_as[0]:
            return False
        theirs = [address for address in client.payload.addresses4 if is_private(address[0])]
        return match_address(self._node.endpoint.local_addresses(), theirs) is not None

    def _punch_ended(self, client: Client) -> None:
        if client.meets_again:
            self._expire(client)
        if client.connection is not None:
            return
        if client.peer_address[0] != client.seen_as[0]:
            self._expire(client)
        elif client.punch is not None:
            # It may be on its way to us inside our common network, where it has been told already that we are here.
            client.punch.close()
            if client.timer is None:
                self._give_up_after(client, FIRST_PACKET_WAIT)

    def _give_up_after(self, client: Client, seconds: float | None) -> None:
        """None: the puncher says when."""
        if client.timer is not None:
            client.timer.cancel()
            client.timer = None
        if seconds is not None:
            client.timer = self._node.endpoint.loop.call_later(seconds, self._expire, client)

    def _holepunch_info(self, id: int) -> HolepunchInfo | None:
        relays = self._announcer.relays if self._announcer is not None else ()
        return HolepunchInfo(id, relays) if relays else None

    def _connect(self, client: Client, socket: int, address: Address) -> None:
        paths, session, udx = client.paths, client.session, client.payload.udx
        if client.meets_again and paths is not None:
            paths.found((socket, address))
            return
        if paths is None or paths.raw.connected or paths.raw.closed:
            return
        if session is None or udx is None or self._key_pair is None:
            return
        if client.relay is not None and client.relay.is_relay(socket, address):
            return
        paths.begin((socket, address), udx.id)
        if client.relay is not None:
            client.relay.stop()
        if client.punch is not None:
            client.punch.close()
        if client.greeting is not None:
            client.greeting.close()
        self._give_up_after(client, FIRST_PACKET_WAIT)

        def opened(connection: Connection) -> None:
            self._reads.give_back(client.read_for)
            self._forget(client)
            self._application.take(connection)

        client.connection = self._node.new_connection(
            paths, session, initiator=False, public_key=self._key_pair.public_key, on_open=opened
        )
        if udx.reusable_socket:
            remember_route(self._node.endpoint, client.connection)

    def _connect_relayed(self, client: Client, paths: PathDriver, leg: RelayLeg) -> None:
        """What is punched goes on: the connection moves to a direct path when one is there."""
        session, udx = client.session, client.payload.udx
        unusable = paths.raw.connected or paths.raw.closed or self.closed
        if unusable or session is None or udx is None or self._key_pair is None:
            leg.close()
            return
        paths.begin_through(leg, udx.id, lambda: self._settled(client), resumable=udx.resumable)
        self._give_up_after(client, FIRST_PACKET_WAIT)

        def opened(connection: Connection) -> None:
            self._reads.give_back(client.read_for)
            client.handed_over = True
            self._give_up_after(client, None)
            self._application.take(connection)

        client.connection = self._node.new_connection(
            paths, session, initiator=False, public_key=self._key_pair.public_key, on_open=opened
        )
        self._relayed.add(client.connection, client.payload)

    def _settled(self, client: Client) -> None:
        """A relayed connection is direct now, or closed."""
        if client.connection is not None:
            self._relayed.forget(client.connection, client.payload)
        if not self._node.closed:
            self._forget(client)

    def _take_relay(self, client: Client, paths: PathDriver, leg: RelayLeg) -> None:
        paths.take(leg)
        if client.expired:
            self._forget(client)

    def _relay_failed(self, client: Client) -> None:
        if client.expired:
            self._give_up(client)

    def _expire(self, client: Client) -> None:
        """Nothing came directly in time."""
        if client.relay is not None and client.relay.pairing:
            client.expired = True
            if client.punch is not None:
                client.punch.close()
        else:
            self._give_up(client)

    def _give_up(self, client: Client) -> None:
        """The client never came: drop the stream that waits for it."""
        self._forget(client)
        if client.handed_over:
            return
        if client.connection is not None:
            client.connection.destroy()
        elif client.paths is not None:
            client.paths.raw.destroy()

    def _forget(self, client: Client) -> None:
        client.entry.on_removed = None
        self._give_up_after(client, None)
        if client.punch is not None:
            client.punch.close()
        if client.greeting is not None:
            client.greeting.close()
        if client.relay is not None and not client.handed_over:
            client.relay.stop()
        self._clients.pop(client.entry.id, None)
        if not self._node.closed:
            self._memory.finish(client.entry, self._node.now())

    # Hole punching (rendezvous.LocalServer)

    def on_peer_holepunch(
        self, id: int, payload: bytes, peer_address: Address, request: Request, answer: Callable[[Answer], None]
    ) -> None:
        client = self._clients.get(id)
        if client is not None and client.punch is not None:
            client.punch.receive(payload, peer_address, request, answer)
