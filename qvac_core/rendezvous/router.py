"""Where PEER_HANDSHAKE and PEER_HOLEPUNCH messages go next: to a server of ours, or onwards for somebody else.

From docs/wire/hyperdht.md sections 6.1 and 6.4 (hyperdht/lib/router.js 6.34.0). A node that is merely on the path
relays for others in every mode; one that dropped a hop would be a black hole for the peers announced at it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from qvac_core.codec import Address
from qvac_core.errors import RemoteProtocolError
from qvac_core.rendezvous.cache import Cache
from qvac_core.rendezvous.constants import Mode
from qvac_core.rendezvous.messages import HandshakeMessage, HolepunchMessage
from qvac_core.rendezvous.request import Request


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer to a peer, and the socket it must leave from (None: where the request came in)."""

    payload: bytes
    socket: int | None = None


class LocalServer(Protocol):
    """A server of this node. It answers now or later by calling `answer`, or stays silent by never calling it."""

    def on_peer_handshake(
        self, noise: bytes, peer_address: Address | None, request: Request, answer: Callable[[Answer], None]
    ) -> None: ...

    def on_peer_holepunch(
        self, id: int, payload: bytes, peer_address: Address, request: Request, answer: Callable[[Answer], None]
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Forward:
    """What this node knows of a server: the address it announced from, or the server itself when it is ours."""

    record: bytes
    relay: Address | None = None
    server: LocalServer | None = None


class Router:
    """The forward table and the hop decisions. Requests must carry a target; malformed ones get no answer."""

    def __init__(self, *, max_size: int = 65536, max_age: float = 1200.0) -> None:
        self._forwards: Cache[bytes, Forward] = Cache(max_size=max_size, max_age=max_age)

    def get(self, target: bytes, now: float) -> Forward | None:
        return self._forwards.get(target, now)

    def set_forward(self, target: bytes, relay: Address, record: bytes, now: float) -> None:
        """Remember where a server announced from; the entry of a server of ours is never replaced."""
        self._forwards.set(target, Forward(record, relay=relay), now)

    def forget_forward(self, target: bytes) -> None:
        self._forwards.forget(target)

    def add_server(self, target: bytes, record: bytes, server: LocalServer) -> None:
        self._forwards.retain(target, Forward(record, server=server))

    def remove_server(self, target: bytes) -> None:
        self._forwards.delete(target)

    def on_handshake(self, request: Request, now: float) -> None:
        if request.value is None or request.target is None:
            return
        try:
            message = HandshakeMessage.decode(request.value)
        except RemoteProtocolError:
            return
        if not message.noise:
            return
        forward = self.get(request.target, now)
        if forward is not None and forward.server is not None:
            self._handshake_for_us(forward.server, message, request)
        else:
            _handshake_for_another(forward, message, request)

    def _handshake_for_us(self, server: LocalServer, message: HandshakeMessage, request: Request) -> None:
        peer = message.peer_address
        match message.mode:
            case Mode.FROM_CLIENT:

                def answer(reply: Answer) -> None:
                    value = HandshakeMessage(Mode.REPLY, reply.payload).encode()
                    request.reply(value, token=False, closer_nodes=False, socket=reply.socket)

            case Mode.FROM_RELAY | Mode.FROM_SECOND_RELAY:
                back = request.from_ if message.mode == Mode.FROM_RELAY else message.relay_address
                if back is None or peer is None:
                    return

                def answer(reply: Answer) -> None:
                    value = HandshakeMessage(Mode.FROM_SERVER, reply.payload, peer_address=peer).encode()
                    request.relay(value, back, socket=reply.socket)

            case _:
                return
        direct = message.mode == Mode.FROM_CLIENT
        server.on_peer_handshake(message.noise, None if direct else peer, request, answer)

    def on_holepunch(self, request: Request, now: float) -> None:
        if request.value is None or request.target is None:
            return
        try:
            message = HolepunchMessage.decode(request.value)
        except RemoteProtocolError:
            return
        forward = self.get(request.target, now)
        match message.mode:
            case Mode.FROM_CLIENT:
                to = message.peer_address or (forward.relay if forward else None)
                if to is not None:
                    onward = HolepunchMessage(Mode.FROM_RELAY, message.id, message.payload, peer_address=request.from_)
                    request.relay(onward.encode(), to, wanted=_announced_from(forward, to))
            case Mode.FROM_RELAY if forward is not None and forward.server is not None:
                self._holepunch_for_us(forward.server, message, request)
            case Mode.FROM_SERVER if message.peer_address is not None:
                reply = HolepunchMessage(Mode.REPLY, message.id, message.payload, peer_address=request.from_)
                request.reply(reply.encode(), token=False, closer_nodes=False, to=message.peer_address)

    @staticmethod
    def _holepunch_for_us(server: LocalServer, message: HolepunchMessage, request: Request) -> None:
        peer = message.peer_address
        if peer is None:
            return

        def answer(reply: Answer) -> None:
            value = HolepunchMessage(Mode.FROM_SERVER, 0, reply.payload, peer_address=peer)
            request.relay(value.encode(), request.from_, socket=reply.socket)

        server.on_peer_holepunch(message.id, message.payload, peer, request, answer)


def _announced_from(forward: Forward | None, address: Address) -> bool:
    """Whether the server that announced here is at this host: it proved with a token that it is, and wants its peers.

    Anybody else that a message names may never have heard of us.
    """
    return forward is not None and forward.relay is not None and forward.relay[0] == address[0]


def _handshake_for_another(forward: Forward | None, message: HandshakeMessage, request: Request) -> None:
    relay = forward.relay if forward else None
    match message.mode:
        case Mode.FROM_CLIENT:
            to = message.relay_address or relay
            if to is None:
                # Not announced here: the nodes closer to the target may know more.
                request.reply(None, token=False, closer_nodes=True)
                return
            onward = HandshakeMessage(Mode.FROM_RELAY, message.noise, peer_address=request.from_)
            request.relay(onward.encode(), to, wanted=_announced_from(forward, to))
        case Mode.FROM_RELAY if relay is not None:
            onward = HandshakeMessage(
                Mode.FROM_SECOND_RELAY, message.noise, message.peer_address, relay_address=request.from_
            )
            request.relay(onward.encode(), relay, wanted=True)
        case Mode.FROM_SERVER if message.peer_address is not None:
            reply = HandshakeMessage(Mode.REPLY, message.noise, peer_address=request.from_)
            request.reply(reply.encode(), token=False, closer_nodes=False, to=message.peer_address)
