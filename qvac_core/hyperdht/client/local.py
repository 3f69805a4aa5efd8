"""Connecting to a peer in the own network: somebody there says where it is, and the handshake proves that it is.

Ours. It runs beside the way through the DHT, with a handshake of its own, and the first connection over which the peer
has proved its key is taken. Who answers falsely costs a few datagrams: the other way goes on as if nobody had answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from qvac_core.codec import Address, blake2b
from qvac_core.errors import ConnectionClosed, NetworkError, RemoteProtocolError
from qvac_core.hyperdht.client.stage import ConnectStage, OnStage
from qvac_core.hyperdht.lan.local_network import LocalNetwork
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.hyperdht.node.handshake_reply import read_handshake_reply
from qvac_core.hyperdht.stream.connection import Connection
from qvac_core.hyperdht.stream.path_driver import PathDriver
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.constants import Command, Firewall, Mode
from qvac_core.rendezvous.handshake import ClientHandshake, Session
from qvac_core.rendezvous.messages import HandshakeMessage, NoisePayload, UdxInfo
from qvac_core.rendezvous.paths import check_payload

logger = logging.getLogger(__name__)

SEARCH_LIMIT = 1.5
"""Seconds for an answer after the other way has failed already: the second and third question are out by then."""
PROOF_LIMIT = 4.0
"""Seconds for handshake and first frame of a peer that says it is here."""
_TRY_SECONDS, _TRIES = 0.5, 3
_FINAL = ("SERVER_ERROR", "SERVER_INCOMPATIBLE", "NODE_DESTROYED", "SUSPENDED")
"""What a peer that proved its key says, or our own node; asking in another way changes nothing."""


_ORDER = (ConnectStage.FINDING, ConnectStage.CONNECTING, ConnectStage.HANDSHAKE)


class Progress:
    """Two ways tell how far they are, and the listener hears every stage once and in order."""

    def __init__(self, on_stage: OnStage | None) -> None:
        self._on_stage = on_stage or (lambda stage: None)
        self._reached = 0

    def __call__(self, stage: ConnectStage) -> None:
        if stage not in _ORDER:
            self._on_stage(stage)
            return
        to = _ORDER.index(stage) + 1
        for passed in _ORDER[self._reached : to]:
            self._on_stage(passed)
        self._reached = max(self._reached, to)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A peer that has answered, and whose stream has reached ours: it is the one, and it is there."""

    paths: PathDriver
    session: Session
    payload: NoisePayload
    udx: UdxInfo
    socket: int
    address: Address


class LocalAttempt:
    """One search and its handshakes. `run` is called once; what it returns is opened or destroyed."""

    def __init__(self, node: LocalNode, public_key: bytes, key_pair: KeyPair, network: LocalNetwork) -> None:
        self._node = node
        self._endpoint = node.endpoint
        self._public_key = public_key
        self._key_pair = key_pair
        self._network = network
        self._trying: set[asyncio.Task[None]] = set()
        self._outcome: asyncio.Future[Neighbour] = self._endpoint.loop.create_future()

    @property
    def busy(self) -> bool:
        """Somebody answered, and is being asked for a proof."""
        return bool(self._trying)

    def open(self, peer: Neighbour) -> Connection:
        """Until now the peer's application has not heard of us."""
        try:
            peer.paths.begin((peer.socket, peer.address), peer.udx.id, local=True)
        except ConnectionClosed as error:
            raise NetworkError("The peer dropped the connection at once.", name="PEER_CONNECTION_FAILED") from error
        connection = self._node.new_connection(
            peer.paths, peer.session, initiator=True, public_key=self._key_pair.public_key
        )
        self._node.remember_relays(self._public_key, peer.payload.relay_addresses or ())
        return connection

    async def run(self) -> Neighbour:
        """Raises NetworkError: PEER_NOT_FOUND when nobody here has the key, or what the peer itself answered."""
        search = asyncio.create_task(self._search(), name="looking in the own network")
        try:
            waiting: set[asyncio.Future[Any]] = {search}
            while not self._outcome.done() and waiting:
                await asyncio.wait({self._outcome, *waiting}, return_when=asyncio.FIRST_COMPLETED)
                waiting = {task for task in (search, *self._trying) if not task.done()}
            if self._outcome.done():
                return self._outcome.result()
            search.result()
            raise NetworkError("Nobody in this network has the key.", name="PEER_NOT_FOUND")
        except asyncio.CancelledError:
            if self._outcome.done() and self._outcome.exception() is None:
                self._outcome.result().paths.raw.destroy()
            raise
        finally:
            running = [search, *self._trying]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _search(self) -> None:
        async with aclosing(self._network.find(self._public_key)) as found:
            async for address in found:
                task = asyncio.create_task(self._try(address), name="handshake in the own network")
                self._trying.add(task)
                task.add_done_callback(self._trying.discard)

    async def _try(self, address: Address) -> None:
        arrived: asyncio.Future[None] = self._endpoint.loop.create_future()

        def heard(socket: int, source: Address) -> None:
            if source == address and not arrived.done():
                arrived.set_result(None)

        paths = PathDriver(self._endpoint, heard)
        try:
            async with asyncio.timeout(PROOF_LIMIT):
                peer = await self._meet(address, paths, arrived)
        except (NetworkError, RemoteProtocolError, TimeoutError) as error:
            logger.debug("no peer at %s in the own network: %s", address, error)
            if isinstance(error, NetworkError) and error.name in _FINAL and not self._outcome.done():
                self._outcome.set_exception(error)
                self._outcome.exception()
            return
        else:
            if not self._outcome.done():
                self._outcome.set_result(peer)
        finally:
            if not self._is_outcome(paths):
                paths.raw.destroy()

    def _is_outcome(self, paths: PathDriver) -> bool:
        done = self._outcome.done() and self._outcome.exception() is None
        return done and self._outcome.result().paths is paths

    async def _meet(self, address: Address, paths: PathDriver, arrived: asyncio.Future[None]) -> Neighbour:
        handshake = ClientHandshake(
            key_pair=self._key_pair, ephemeral=self._node.ephemeral_key(), remote_public_key=self._public_key
        )
        message = HandshakeMessage(Mode.FROM_CLIENT, handshake.message(lambda: self._payload(paths.raw.id)))
        reply = await self._node.requests.request(
            Command.PEER_HANDSHAKE,
            address,
            target=blake2b(self._public_key),
            value=message.encode(),
            retries=_TRIES - 1,
            timeout=_TRY_SECONDS,
        )
        answer = read_handshake_reply(reply, address)
        if answer.relayed:
            raise RemoteProtocolError("this neighbour is not the peer itself", name="BAD_HANDSHAKE_REPLY")
        payload, session = handshake.read(answer.noise)
        udx = check_payload(payload)
        # Somebody may hand the handshake on, and nothing else. The peer's stream begins at once, with the number that
        # only the handshake told it.
        await arrived
        return Neighbour(paths, session, payload, udx, answer.socket, address)

    def _payload(self, stream_id: int) -> NoisePayload:
        return NoisePayload(
            firewall=Firewall.UNKNOWN,
            addresses4=tuple(self._endpoint.local_addresses()),
            udx=UdxInfo(stream_id),
            secret_stream=True,
        )


async def first_of(far: Coroutine[Any, Any, Connection], near: LocalAttempt, progress: Progress) -> Connection:
    """The connection of whichever way is there first; the other one is dropped. When both fail: why the far one did."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    far_task = asyncio.create_task(far, name="connecting through the DHT")
    near_task = asyncio.create_task(near.run(), name="connecting in the own network")
    winner: Connection | None = None
    try:
        await asyncio.wait([far_task, near_task], return_when=asyncio.FIRST_COMPLETED)
        if not near_task.done() and not _settles(far_task):
            await asyncio.wait([near_task], timeout=max(0.0, started + SEARCH_LIMIT - loop.time()))
            if not near_task.done() and near.busy:
                await asyncio.wait([near_task], timeout=PROOF_LIMIT)
        if near_task.done() and not far_task.done() and not _settles(near_task):
            await asyncio.wait([far_task])
        if near_task.done() and not (far_task.done() and _succeeded(far_task)) and _settles(near_task):
            winner = near.open(near_task.result())
        else:
            winner = far_task.result()
        progress(ConnectStage.HANDSHAKE)
        return winner
    finally:
        for task in (far_task, near_task):
            task.cancel()
        await asyncio.gather(far_task, near_task, return_exceptions=True)
        if _succeeded(far_task) and far_task.result() is not winner:
            far_task.result().destroy()
        if _succeeded(near_task) and not near_task.result().paths.raw.connected:
            near_task.result().paths.raw.destroy()


def _succeeded(task: asyncio.Task[Any]) -> bool:
    return not task.cancelled() and task.exception() is None


def _settles(task: asyncio.Task[Any]) -> bool:
    """It came to a peer, or to an answer that no other way can change."""
    error = task.exception()
    return error is None or not isinstance(error, NetworkError) or error.name in _FINAL
