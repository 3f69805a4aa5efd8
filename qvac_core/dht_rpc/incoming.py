"""A request that somebody sent us, with the means to answer it now or later.

dht-rpc 6.27.0 `lib/io.js` class Request, the receiving half.
"""

from __future__ import annotations

from typing import Protocol

from qvac_core.codec import Address
from qvac_core.dht_rpc.messages import RequestMessage, ResponseMessage


class Responder(Protocol):
    """What a request needs of the node that received it."""

    def id_on(self, socket: int) -> bytes | None: ...
    def token_for(self, host: str) -> bytes: ...
    def accepts_token(self, token: bytes, host: str) -> bool: ...
    def closer_nodes(self, target: bytes) -> list[Address]: ...
    def transmit(self, socket: int, to: Address, datagram: bytes) -> None: ...


class IncomingRequest:
    """Handlers must be safe to run again: a retransmitted request arrives as a new one with the same tid.

    `id` is verified (None when absent or false), `to` is our address as the sender knows it. When a handler sees a
    request, its token is either absent or valid: a node answers wrong tokens itself.
    """

    __slots__ = ("_responder", "command", "from_", "id", "internal", "socket", "target", "tid", "to", "token", "value")

    def __init__(self, responder: Responder, message: RequestMessage, from_: Address, socket: int) -> None:
        self._responder = responder
        self.tid = message.tid
        self.from_ = from_
        self.to = message.to
        self.id = message.id
        self.token = message.token
        self.command = message.command
        self.internal = message.internal
        self.target = message.target
        self.value = message.value
        self.socket = socket

    @property
    def token_valid(self) -> bool:
        """The sender proved that it receives at its address: within the last 7.5 to 15 s we told it this token."""
        return self.token is not None and self._responder.accepts_token(self.token, self.from_[0])

    def reply(
        self,
        value: bytes | None = None,
        *,
        token: bool = True,
        closer_nodes: bool = True,
        to: Address | None = None,
        socket: int | None = None,
    ) -> None:
        """Answers with error 0. Closer nodes travel only when the request has a target."""
        self._respond(0, value, token, closer_nodes, to, socket)

    def error(
        self,
        code: int,
        *,
        token: bool = False,
        closer_nodes: bool = True,
        to: Address | None = None,
        socket: int | None = None,
    ) -> None:
        self._respond(code, None, token, closer_nodes, to, socket)

    def relay(self, value: bytes, to: Address, *, socket: int | None = None) -> None:
        """Passes the request on with another value; the tid stays, so that the answer finds its way back."""
        through = self.socket if socket is None else socket
        message = RequestMessage(
            self.tid, to, self.command, self.internal, self._responder.id_on(through), None, self.target, value
        )
        self._responder.transmit(through, to, message.encode())

    def _respond(
        self,
        code: int,
        value: bytes | None,
        token: bool,
        closer_nodes: bool,
        to: Address | None,
        socket: int | None,
    ) -> None:
        node = self._responder
        through = self.socket if socket is None else socket
        receiver = self.from_ if to is None else to
        message = ResponseMessage(
            self.tid,
            receiver,
            node.id_on(through),
            node.token_for(receiver[0]) if token else None,
            node.closer_nodes(self.target) if closer_nodes and self.target is not None else (),
            code,
            value,
        )
        node.transmit(through, receiver, message.encode())
