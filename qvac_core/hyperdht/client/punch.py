"""The connecting side of one hole punch: its PEER_HOLEPUNCH rounds, then probes until one comes back.

From docs/wire/hyperdht.md section 6.4 (hyperdht/lib/connect.js `updateHolepunch` 6.34.0).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from qvac_core.codec import Address
from qvac_core.errors import NetworkError, RemoteProtocolError
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.hyperdht.punching import Punching
from qvac_core.rendezvous.constants import Command, Mode, PeerError, read_firewall
from qvac_core.rendezvous.handshake import Session
from qvac_core.rendezvous.holepunch_rounds import Ask, Asked, ClientRounds
from qvac_core.rendezvous.holepuncher import State
from qvac_core.rendezvous.messages import HolepunchMessage, NoisePayload, RelayInfo
from qvac_core.rendezvous.paths import HandshakeReply
from qvac_core.rendezvous.secure_payload import NONCE_BYTES, SecurePayload

_RETRIES = 3
_ABORT_RETRIES = 0


class ClientPunch:
    """`run` once; `close` in any case, after the stream has taken over the winning socket."""

    def __init__(
        self,
        node: LocalNode,
        target: bytes,
        payload: NoisePayload,
        reply: HandshakeReply,
        session: Session,
        *,
        may_wait: Callable[[], bool],
    ) -> None:
        assert payload.holepunch is not None
        self._node = node
        self._target = target
        self._id = payload.holepunch.id
        self._reply = reply
        self._may_wait = may_wait
        self._secure = SecurePayload(session.holepunch_secret, local_secret=node.chance.randbytes(32))
        self._earlier: list[asyncio.Task[Any]] = []
        self._answered = asyncio.Event()
        """No answer is awaited that may say that the peer takes no part."""
        self._answered.set()
        self._ended: asyncio.Future[tuple[int, Address] | None] = node.endpoint.loop.create_future()
        try:
            self._punching = Punching(
                node,
                initiator=True,
                remote_firewall=read_firewall(payload.firewall),
                on_end=self._on_end,
            )
        except OSError as error:
            raise NetworkError("No socket is left for hole punching.", name="HOLEPUNCH_ABORTED") from error

    def close(self) -> None:
        self._punching.close()
        self._ended.cancel()

    def _on_end(self, path: tuple[int, Address] | None) -> None:
        if not self._ended.done():
            self._ended.set_result(path)

    async def run(self, relays: Sequence[RelayInfo], earlier: Sequence[asyncio.Task[Any]] = ()) -> tuple[int, Address]:
        """The socket and address to connect the stream to. Raises NetworkError with the original's codes.

        Until the `earlier` paths have ended nothing is said that may end the punch at the server. Nor is anything said
        once a way is found: a server that punches back and then refuses to punch gives up the way that it has shown.
        """
        self._earlier = list(earlier)
        rounds = ClientRounds(
            self._punching.puncher,
            relays=relays,
            relay_address=self._reply.relay_address,
            server_address=self._reply.server_address,
            token=self._secure.token,
            random=self._node.chance,
            may_wait=self._may_wait,
        )
        talking = asyncio.create_task(self._punching.run(rounds.run(), self._ask), name="hole punch rounds")
        try:
            # A probe may come before the rounds are through ("fast mode"), usually does.
            either: list[asyncio.Future[Any]] = [talking, self._ended]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.done():
                await self._answered.wait()  # the probe may be older than a refusal that is on its way
            error = talking.exception() if talking.done() else None
            if error is not None and (not self._ended.done() or _is_refusal(error)):
                raise error
            await asyncio.wait({self._ended})
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
        path = self._ended.result()
        if path is None:
            raise NetworkError("No probe of the peer came through its NAT and ours.", name="HOLEPUNCH_ABORTED")
        return path

    async def _ask(self, step: Ask) -> Asked:
        """One payload through a relay and back."""
        puncher = self._punching.puncher
        random_ports = step.payload.punching and puncher.is_random
        if self._earlier and (random_ports or step.payload.error != PeerError.NONE):
            await asyncio.wait(self._earlier)
        if puncher.state is not State.IDLE or self._punching.closed or any(map(_leads_there, self._earlier)):
            # What we say now could end, at the server, the way that is found, before its first packet is in.
            raise NetworkError("The way to the peer is found, or given up.", name="HOLEPUNCH_OVER")
        if step.payload.punching:
            self._answered.clear()
        try:
            return await self._exchange(step)
        finally:
            self._answered.set()

    async def _exchange(self, step: Ask) -> Asked:
        sealed = self._secure.seal(step.payload, self._node.chance.randbytes(NONCE_BYTES))
        message = HolepunchMessage(Mode.FROM_CLIENT, self._id, sealed, peer_address=step.peer_address)
        reply = await self._node.requests.request(
            Command.PEER_HOLEPUNCH,
            step.relay,
            target=self._target,
            value=message.encode(),
            retries=_RETRIES if step.payload.error == PeerError.NONE else _ABORT_RETRIES,
            socket=self._punching.puncher.socket,
        )
        if reply.error or reply.value is None:
            raise NetworkError("The relay did not pass the hole punch on.", name="BAD_HOLEPUNCH_REPLY")
        try:
            answer = HolepunchMessage.decode(reply.value)
            payload = self._secure.open(answer.payload)
        except RemoteProtocolError as error:
            raise NetworkError("The answer to the hole punch is not the peer's.", name="HOLEPUNCH_INVALID") from error
        if answer.mode != Mode.REPLY or answer.peer_address is None:
            raise NetworkError("The relay did not pass the hole punch on.", name="BAD_HOLEPUNCH_REPLY")
        return Asked(payload, answer.peer_address, reply.to, reply.from_)


def _leads_there(path: asyncio.Task[Any]) -> bool:
    return path.done() and not path.cancelled() and path.exception() is None


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, NetworkError) and error.name == "REMOTE_ABORTED"
