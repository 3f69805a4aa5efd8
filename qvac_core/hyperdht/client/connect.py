"""Connecting to a peer by its key: find who relays to it, shake hands through them, then take the best path.

From docs/wire/hyperdht.md section 6.3 (hyperdht/lib/connect.js 6.34.0). Walk and handshakes run side by side, and nodes
that relayed to this key before are asked first: a second connect needs no walk.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from qvac_core.codec import Address, blake2b
from qvac_core.dht_rpc import Reply, SocketId
from qvac_core.errors import NetworkError, RemoteProtocolError
from qvac_core.hyperdht.client.path_keeper import PathKeeper, Relaying
from qvac_core.hyperdht.client.punch import ClientPunch
from qvac_core.hyperdht.client.relay import ClientRelay, cancel
from qvac_core.hyperdht.client.stage import ConnectStage, OnStage
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.hyperdht.node.handshake_reply import FatalAnswer, read_handshake_reply
from qvac_core.hyperdht.relay.leg import RelayLeg
from qvac_core.hyperdht.stream.connection import Connection
from qvac_core.hyperdht.stream.ipv6_path import ClientGreeting
from qvac_core.hyperdht.stream.path_driver import PathDriver
from qvac_core.hyperdht.stream.routes import remember_route
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.addresses import is_private, match_address
from qvac_core.rendezvous.constants import FIREWALL_LIMIT, PASSIVE_WAIT, Command, Firewall, Mode
from qvac_core.rendezvous.handshake import ClientHandshake, Session
from qvac_core.rendezvous.messages import HandshakeMessage, NoisePayload, PeerRecord, UdxInfo
from qvac_core.rendezvous.paths import HandshakeReply, Path, Way, check_payload, choose_paths
from qvac_core.rendezvous.socket_pool import Route

logger = logging.getLogger(__name__)

CONNECT_LIMIT = 60.0
"""Seconds for a whole connect. Its parts end much sooner; this is for the sum of all bad luck."""
MAX_HANDSHAKES = 3
"""Handshakes through different relays at a time; they all carry the same message."""
SUSPECT_AFTER = 1.5
"""Seconds without an answer after which `on_stage` hears SILENT or ALONE; a refusal has come long before."""
SILENCE_LIMIT = FIREWALL_LIMIT + 1.0
"""Seconds for all handshakes through everybody who knows the peer. One that lives answers in a fraction of a second; a
firewall function may take its time, and what it says must still find us listening."""
MEMORY_LIMIT = 3.0
"""Seconds for nodes that are only remembered, when the network answers and knows nothing of the peer."""
HEAD_START = 0.08
"""Seconds that a remembered relay has before the next one is asked, and the last before the network is. With three of
them the network waits as long as the second address of RFC 8305 does. A walk is 20 requests: 100 reconnects at once
would fill the request window with answers that nobody needs."""
_HANDSHAKE_RETRIES = 3
_PATIENT_RETRIES = 4
ROUTE_HEAD_START = 0.3
"""Seconds in which only the way of the last connection is tried; the original waits 4 there."""
_WALK_RETRIES = 3
_ROUTE_RETRIES = 1
_PING_RETRIES = 2
_LAN_ATTEMPT = 0.5
"""Seconds for each of three tries to reach a peer nearby. In this house it answers within milliseconds, or after the
delays of address resolution; behind the same carrier's NAT never."""
_HEAD_START = _LAN_ATTEMPT
"""Seconds for the LAN's path alone; then the punch begins beside it."""


@dataclass(frozen=True, slots=True)
class _Met:
    """The first valid answer to our handshake."""

    reply: HandshakeReply
    payload: NoisePayload
    udx: UdxInfo
    session: Session


class Attempt:
    """One meeting with a server. Either `run` is called once: from key to Connection; or `find_again`, with `path`."""

    def __init__(
        self,
        node: LocalNode,
        public_key: bytes,
        key_pair: KeyPair,
        relays: Sequence[Address],
        relaying: Relaying,
        on_stage: OnStage | None = None,
        path: PathDriver | None = None,
        needs_relay: bool = False,
    ) -> None:
        self._relaying = relaying
        self._relay = ClientRelay(node, relaying.connect, relaying.relay, is_last=relaying.is_last)
        self._needs_relay = needs_relay
        self._relayed = False
        self._on_stage = on_stage or (lambda stage: None)
        self._node = node
        self._endpoint = node.endpoint
        self._loop = self._endpoint.loop
        self._public_key = public_key
        self._key_pair = key_pair
        self._target = blake2b(public_key)
        self._known = list(dict.fromkeys(relays))
        self._handshake = ClientHandshake(
            key_pair=key_pair, ephemeral=node.ephemeral_key(), remote_public_key=public_key
        )
        self._firewall = Firewall.UNKNOWN
        self._tried: list[Address] = []
        self._heard = 0
        self._announced = False
        """Somebody in the network said in this attempt that the peer is announced; what was remembered does not."""
        self._asked_at = 0.0
        self._slots = asyncio.Semaphore(MAX_HANDSHAKES)
        self._asking: set[asyncio.Task[None]] = set()
        self._met: asyncio.Future[_Met] = self._loop.create_future()
        self._arrived: asyncio.Future[tuple[int, Address]] = self._loop.create_future()
        self._punch: ClientPunch | None = None
        self._paths = path or PathDriver(self._endpoint, self._on_arrival)
        self._raw = self._paths.raw

    def abort(self, error: NetworkError) -> None:
        """Make `run` fail: the node is closing."""
        for waiting in (self._met, self._arrived):
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()
        self._relay.abort(error)

    async def run(self, limit: float, of: float) -> Connection:
        """`limit` seconds are left of `of`. Raises NetworkError (PEER_NOT_FOUND, SERVER_ERROR, …)."""
        suspicion = self._loop.call_later(SUSPECT_AFTER, self._suspect)
        try:
            async with asyncio.timeout(limit):
                self._on_stage(ConnectStage.FINDING)
                met = await self._meet()
                self._on_stage(ConnectStage.HANDSHAKE)
                if self._relay.agreed(met.payload) is not None and not self._is_open(met):
                    return await self._reach_or_relay(met)
                return self._open(met, *await self._reach(met))
        except TimeoutError as error:
            message = f"The peer could not be reached within {of:g} seconds."
            raise NetworkError(message, name="PEER_CONNECTION_FAILED") from error
        finally:
            suspicion.cancel()
            if not self._raw.connected:
                self._raw.destroy()
            if not self._relayed:
                self._end_punch()

    async def find_path(self, limit: float) -> tuple[int, Address]:
        """Instead of `run`: only the way to the peer, for a stream that exists. `release` when it is on it, or not.

        The peer waits in vain for the stream of this handshake. Raises NetworkError, TimeoutError.
        """
        async with asyncio.timeout(limit):
            met = await self._meet()
            if met.payload.relay_addresses:
                self._node.remember_relays(self._public_key, met.payload.relay_addresses)
            return await self._reach(met)

    def release(self) -> None:
        self._raw.destroy()
        self._end_punch()

    def _end_punch(self) -> None:
        if self._punch is not None:
            self._punch.close()

    def _open(self, met: _Met, socket: int, address: Address) -> Connection:
        self._paths.begin((socket, address), met.udx.id)
        connection = self._new_connection(met)
        if met.udx.reusable_socket:
            remember_route(self._endpoint, connection)
        return connection

    @property
    def failed_relay(self) -> bytes | None:
        """The relay that was agreed on, if it was of no use."""
        return self._relay.used if self._relay.failed else None

    @property
    def relay_named_by_server(self) -> bool:
        return self._relay.named_by_server

    async def _reach_or_relay(self, met: _Met) -> Connection:
        leg_or_path, finding = await self._relay.reach(self._paths, met.payload, self._reach(met))
        if not isinstance(leg_or_path, RelayLeg):
            try:
                connection = self._open(met, *leg_or_path)
            except BaseException:
                await self._relay.leave(None)
                raise
            self._node.spawn(self._relay.leave(self._paths), "leaving a relay that was not needed")
            return connection
        try:
            self._paths.begin_through(leg_or_path, met.udx.id, resumable=met.udx.resumable)
            connection = self._new_connection(met)
        except BaseException:
            await cancel(finding)
            leg_or_path.close()
            raise
        self._relayed = True  # the punch goes on, and ends with the keeper
        relaying = self._relaying
        keeper = PathKeeper(self._node, self._paths, relaying.all, finding, relaying.meet_again, self._end_punch)
        self._node.spawn(keeper.run(), "path of a relayed connection")
        return connection

    async def find_again(self, path: PathDriver, limit: float) -> None:
        """Another path for a connection that is open. Raises NetworkError."""
        try:
            async with asyncio.timeout(limit):
                met = await self._meet()
                if met.udx.id != path.set.direct_id:
                    message = "The peer does not know this connection any more."
                    raise NetworkError(message, name="CONNECTION_UNKNOWN")
                await self._relay.reach_again(path, met.payload, self._reach(met))
        except TimeoutError as error:
            raise NetworkError("No other path was found in time.", name="RELAY_ABORTED") from error
        finally:
            self._end_punch()

    def _new_connection(self, met: _Met) -> Connection:
        relays = met.payload.relay_addresses or tuple(self._tried)
        self._node.remember_relays(self._public_key, relays)
        return self._node.new_connection(
            self._paths, met.session, initiator=True, public_key=self._key_pair.public_key, meet_again=self._meet_again
        )

    def _meet_again(self) -> Attempt:
        """For a connection whose peer is not where it was."""
        relaying = Relaying(None, True, None, self._relaying.meet_again, self._relaying.connect)
        known = self._node.relays_of(self._public_key)
        return Attempt(self._node, self._public_key, self._key_pair, known, relaying)

    def _on_arrival(self, socket: int, source: Address) -> None:
        """The server's packets found us before we knew the way."""
        if not self._arrived.done() and not self._relay.is_relay(socket, source):
            self._arrived.set_result((socket, source))

    def _suspect(self) -> None:
        if not self._met.done() and (self._announced or self._heard == 0):
            self._on_stage(ConnectStage.SILENT if self._announced else ConnectStage.ALONE)

    # Meeting: any relay through which the server answers

    async def _meet(self) -> _Met:
        explore = asyncio.create_task(self._explore(), name="looking for a peer")
        waiting: list[asyncio.Future[Any]] = [self._met, explore]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self._met.done():
                return self._met.result()
            explore.result()
            raise self._not_met()
        finally:
            running = [explore, *self._asking]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _not_met(self) -> NetworkError:
        if self._announced:
            return NetworkError(
                "The peer is announced, but did not answer: it went away, or does not admit this key.",
                name="PEER_CONNECTION_FAILED",
            )
        if self._heard == 0:
            return NetworkError("Nobody in the network answered: check the connection.", name="PEER_NOT_FOUND")
        return NetworkError("The peer is not online: nobody in the network knows its key.", name="PEER_NOT_FOUND")

    async def _explore(self) -> None:
        """Ends when everybody who might relay to the peer has been asked."""
        route = self._endpoint.pool.route(self._public_key)
        if route is not None and self._endpoint.has_socket(route.socket):
            self._asked_at = self._loop.time()
            self._on_stage(ConnectStage.CONNECTING)
            asking = self._spawn(self._ask_at(route))
            first: list[asyncio.Future[Any]] = [asking, self._met]
            await asyncio.wait(first, timeout=ROUTE_HEAD_START)
        for address in self._known:
            self._ask_soon(address)
            if self._asking:
                await asyncio.wait(self._asking, timeout=HEAD_START)
        # What was remembered may be gone: it must not keep those from being asked who are found now.
        self._slots = asyncio.Semaphore(MAX_HANDSHAKES)
        await self._walk(self._known)
        await self._asked()

    async def _asked(self) -> None:
        limit = SILENCE_LIMIT if self._announced or self._heard == 0 else MEMORY_LIMIT
        while self._asking and (left := self._asked_at + limit - self._loop.time()) > 0:
            await asyncio.wait(self._asking, timeout=left)

    async def _walk(self, nodes: Sequence[Address]) -> None:
        def see(reply: Reply) -> bool:
            self._heard += 1
            if reply.value is not None and self._is_record(reply.value):
                self._announced = True
                self._ask_soon(reply.from_)
            return False

        await self._node.requests.query(
            self._target, Command.FIND_PEER, nodes=nodes, retries=_WALK_RETRIES, on_reply=see
        )

    def _is_record(self, value: bytes) -> bool:
        try:
            return PeerRecord.decode(value).public_key == self._public_key
        except RemoteProtocolError:
            return False

    def _ask_soon(self, relay: Address) -> None:
        if relay in self._tried or self._met.done():
            return
        if not self._tried:
            self._asked_at = self._loop.time()
            self._on_stage(ConnectStage.CONNECTING)
        self._tried.append(relay)
        self._spawn(self._ask(lambda: self._shake_hands(relay, self._slots), relay))

    def _spawn(self, asking: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(asking, name="handshake")
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        return task

    async def _ask_at(self, route: Route) -> None:
        """Where the last connection to this peer ran, or runs. The peer itself answers there, if it still does."""
        self._endpoint.hold_socket(route.socket)
        try:
            await self._ask(lambda: self._shake_hands_at(route), route.address)
            if not self._met.done():
                self._endpoint.pool.forget_route(self._public_key, route.socket)
        finally:
            self._endpoint.let_go_socket(route.socket)

    async def _shake_hands_at(self, route: Route) -> _Met:
        return self._read(await self._ask_for_answer(route.address, _ROUTE_RETRIES, socket=route.socket))

    async def _ask(self, shake_hands: Callable[[], Awaitable[_Met]], relay: Address) -> None:
        try:
            met = await shake_hands()
        except (NetworkError, RemoteProtocolError) as error:
            logger.debug("no handshake through %s: %s", relay, error)
            return
        except FatalAnswer as answer:
            if not self._met.done():
                self._met.set_exception(answer.error)
            return
        if not self._met.done():
            self._met.set_result(met)

    async def _shake_hands(self, relay: Address, slots: asyncio.Semaphore) -> _Met:
        try:
            async with slots:
                answer = await self._ask_for_answer(relay, _HANDSHAKE_RETRIES)
        except NetworkError as error:
            if error.name != "REQUEST_TIMEOUT":
                raise
            # The owner may be thinking. Whoever comes after this relay need not wait for that.
            answer = await self._ask_for_answer(relay, _PATIENT_RETRIES)
        return self._read(answer)

    def _read(self, answer: HandshakeReply) -> _Met:
        payload, session = self._handshake.read(answer.noise)
        try:
            udx = check_payload(payload)
        except NetworkError as error:
            # It is authentic: asking another relay gets the same answer.
            raise FatalAnswer(error) from error
        return _Met(answer, payload, udx, session)

    async def _ask_for_answer(
        self,
        relay: Address,
        retries: int,
        timeout: float | None = None,  # noqa: ASYNC109  of each attempt, on the wire
        socket: int | None = None,
    ) -> HandshakeReply:
        message = HandshakeMessage(Mode.FROM_CLIENT, self._handshake.message(self._make_payload))
        reply = await self._node.requests.request(
            Command.PEER_HANDSHAKE,
            relay,
            target=self._target,
            value=message.encode(),
            retries=retries,
            timeout=timeout,
            socket=socket,
        )
        return read_handshake_reply(reply, relay)

    def _make_payload(self) -> NoisePayload:
        own_address = self._endpoint.node.remote_address()
        self._firewall = Firewall.OPEN if own_address is not None else Firewall.UNKNOWN
        addresses = [own_address] if own_address is not None else []
        return NoisePayload(
            firewall=self._firewall,
            addresses4=(*addresses, *self._endpoint.local_addresses()),
            addresses6=tuple(self._endpoint.ipv6_addresses()),
            udx=UdxInfo(self._raw.id, reusable_socket=True, resumable=True, needs_relay=self._needs_relay),
            secret_stream=True,
            relay_through=self._relay.wish,
        )

    # Reaching: a path for the stream itself

    async def _reach(self, met: _Met) -> tuple[int, Address]:
        """The first path that works. Or the server comes to us: whatever it sends shows a way.

        A path begins when the one before has failed, or had its head start. A server gives the whole connect up with
        the punch: beside the LAN's path nothing is said that may end it there.
        """
        failure = NetworkError("There is no path to the peer from here.", name="CANNOT_HOLEPUNCH")
        paths = deque(
            choose_paths(
                met.reply, met.payload, firewall=self._firewall, local_addresses=self._endpoint.local_addresses()
            )
        )
        if (not paths or paths[0].way in (Way.LAN, Way.PUNCH)) and self._both_have_ipv6(met):
            paths.appendleft(Path(Way.IPV6))
        trying: list[asyncio.Task[tuple[int, Address]]] = []
        try:
            while paths or any(not task.done() for task in trying):
                head_start = 0.0
                if paths:
                    path = paths.popleft()
                    head_start = _HEAD_START if path.way is not Way.IPV6 else 0.0
                    work = self._try_path(path, met, tuple(trying))
                    trying.append(asyncio.create_task(work, name="path to a peer"))
                running = [task for task in trying if not task.done()]
                patience = head_start if paths else None
                await asyncio.wait([*running, self._arrived], timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if self._arrived.done():
                    return self._arrived.result()
                for task in running:
                    if task.done() and (error := task.exception()) is None:
                        return task.result()
            for task in trying:
                if isinstance(error := task.exception(), NetworkError):
                    failure = error
                elif error is not None:
                    raise error
            raise failure
        finally:
            for task in trying:
                task.cancel()
            await asyncio.gather(*trying, return_exceptions=True)

    def _both_have_ipv6(self, met: _Met) -> bool:
        return bool(met.payload.addresses6) and bool(self._endpoint.ipv6_addresses())

    def _is_open(self, met: _Met) -> bool:
        """A server that needs neither punch nor relay."""
        return not met.reply.relayed or met.payload.firewall == Firewall.OPEN

    async def _try_path(
        self, path: Path, met: _Met, earlier: Sequence[asyncio.Task[tuple[int, Address]]]
    ) -> tuple[int, Address]:
        match path.way:
            case Way.DIRECT if path.address is not None:
                return met.reply.socket, path.address
            case Way.OPEN if path.address is not None:
                return self._endpoint.request_socket, path.address
            case Way.PASSIVE:
                return await self._wait_for_server()
            case Way.LAN if path.address is not None:
                return await self._try_lan(path.address, met)
            case Way.IPV6:
                greeting = ClientGreeting(self._endpoint, met.payload.addresses6, met.session.holepunch_secret)
                return await greeting.run()
            case Way.PUNCH:
                self._punch = ClientPunch(
                    self._node,
                    self._target,
                    met.payload,
                    met.reply,
                    met.session,
                    may_wait=lambda: self._relay.of_use,
                )
                return await self._punch.run(path.relays, earlier)
        raise NetworkError("There is no path to the peer from here.", name="CANNOT_HOLEPUNCH")

    async def _wait_for_server(self) -> tuple[int, Address]:
        done, _ = await asyncio.wait([self._arrived], timeout=PASSIVE_WAIT)
        if not done:
            raise NetworkError("The peer answered, but never came to us.", name="HOLEPUNCH_ABORTED")
        return self._arrived.result()

    async def _try_lan(self, address: Address, met: _Met) -> tuple[int, Address]:
        """Ours asks for the handshake's answer once more, there: a pong could come from anybody.

        Houses behind one carrier use the same private addresses; the original's ping finds a node of our own house
        there, or ourselves, and connects to it.
        """
        ours = [own for own in self._endpoint.local_addresses() if is_private(own[0])]
        try:
            if match_address(met.payload.addresses4, ours) is None:
                # The server does not take us for nearby either: its punching socket answers handshakes.
                await self._node.requests.ping(address, retries=_PING_RETRIES, timeout=_LAN_ATTEMPT)
            elif (await self._ask_for_answer(address, _PING_RETRIES, _LAN_ATTEMPT)).noise != met.reply.noise:
                raise RemoteProtocolError("somebody else lives at the peer's private address")
        except (NetworkError, RemoteProtocolError) as error:
            raise NetworkError("The peer is in this network, but does not answer.", name="HOLEPUNCH_ABORTED") from error
        return SocketId.SERVER, address
