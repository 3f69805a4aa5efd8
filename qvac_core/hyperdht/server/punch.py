"""The server's side of one hole punch: PEER_HOLEPUNCH messages in, answers from the punching socket out.

From docs/wire/hyperdht.md section 6.4 (hyperdht/lib/server.js `_onpeerholepunch` 6.34.0).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from qvac_core.codec import Address
from qvac_core.errors import NetworkError, RemoteProtocolError
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.hyperdht.punching import Punching
from qvac_core.rendezvous.constants import PeerError, read_firewall
from qvac_core.rendezvous.handshake import Session
from qvac_core.rendezvous.holepunch_rounds import Answered, ServerRounds
from qvac_core.rendezvous.messages import HolepunchPayload
from qvac_core.rendezvous.request import Request
from qvac_core.rendezvous.router import Answer
from qvac_core.rendezvous.secure_payload import NONCE_BYTES, SecurePayload

logger = logging.getLogger(__name__)

LAN_HEAD_START = 2.0
"""Seconds by which the end of a punch is confirmed late to a peer with our own public address: the original pings us
inside at the same time, and when the punch is over before that, it fails."""
_MAX_WAITING = 4
"""Messages of one client that are worked on at a time; more than its retransmissions means no good."""


class ServerPunch:
    """`punching` is None when the punch is declined: every message is answered ABORTED then.

    `on_end` hears that the punch is over without a connection; `on_progress(later)` that probes are under way, or that
    the client was asked to come back.
    """

    def __init__(
        self,
        node: LocalNode,
        session: Session,
        remote_firewall: int,
        *,
        is_relay: Callable[[Address], bool],
        on_end: Callable[[], None],
        on_progress: Callable[[bool], None],
    ) -> None:
        self._node = node
        self._secure = SecurePayload(session.holepunch_secret, local_secret=node.chance.randbytes(32))
        self._is_relay = is_relay
        self._on_end = on_end
        self._on_progress = on_progress
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._rounds: ServerRounds | None = None
        self.punching: Punching | None = None
        try:
            self.punching = Punching(
                node,
                initiator=False,
                remote_firewall=read_firewall(remote_firewall),
                on_end=lambda _: self._on_end(),
            )
        except (OSError, NetworkError) as error:
            logger.warning("no hole punch for a peer: %s", error)
        else:
            self._rounds = ServerRounds(self.punching.puncher, token=self._secure.token)

    @property
    def socket(self) -> int | None:
        """The one that punches: the handshake's answer leaves from it, so that the relay sees its address."""
        return self.punching.puncher.socket if self.punching is not None else None

    @property
    def closed(self) -> bool:
        return self.punching is None or self.punching.closed

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self.punching is not None:
            self.punching.close()

    def receive(
        self, payload: bytes, peer_address: Address, request: Request, answer: Callable[[Answer], None]
    ) -> None:
        try:
            asked = self._secure.open(payload)
        except RemoteProtocolError as error:
            logger.debug("hole punch message from %s: %s", request.from_, error)
            return
        if len(self._tasks) < _MAX_WAITING:
            task = self._node.spawn(self._answer(asked, peer_address, request, answer), "hole punch round")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(
        self, asked: HolepunchPayload, peer_address: Address, request: Request, answer: Callable[[Answer], None]
    ) -> None:
        async with self._turn:
            answered = await self._ask_rounds(asked, peer_address, request)
            if answered.over and peer_address[0] == request.to[0]:
                await asyncio.sleep(LAN_HEAD_START)
            # A refusal ends the punching socket, so it leaves from one that stays.
            socket = self._node.endpoint.request_socket if answered.over or self.socket is None else self.socket
            self._send(answered, socket, answer)
            if answered.over:
                self._on_end()
            elif answered.later or answered.payload.punching:
                self._on_progress(answered.later)

    async def _ask_rounds(self, asked: HolepunchPayload, peer_address: Address, request: Request) -> Answered:
        punching, rounds = self.punching, self._rounds
        if punching is not None and rounds is not None and not punching.closed:
            steps = rounds.answer(
                asked,
                peer_address=peer_address,
                to=request.to,
                from_=request.from_,
                socket=request.socket,
                trusted=self._is_relay(request.from_),
            )
            try:
                return await punching.run(steps)
            except NetworkError as error:
                logger.debug("hole punch given up: %s", error)
        return Answered(HolepunchPayload(error=PeerError.ABORTED, round=asked.round), over=True)

    def _send(self, answered: Answered, socket: int | None, answer: Callable[[Answer], None]) -> None:
        sealed = self._secure.seal(answered.payload, self._node.chance.randbytes(NONCE_BYTES))
        answer(Answer(sealed, socket))
        self._node.endpoint.flush_node()
