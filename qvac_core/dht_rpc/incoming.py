"""A request that somebody sent us, with the means to answer it now or later.

dht-rpc 6.27.0 `lib/io.js` class Request, the receiving half. Ours: what goes to a host that has not shown that it asked
is bounded, so that nobody can aim us at others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from qvac_core.codec import Address
from qvac_core.dht_rpc.limits import REPLY_FACTOR, SMALL_REPLY
from qvac_core.dht_rpc.messages import ADDRESS_SIZE, RequestMessage, ResponseMessage


class Responder(Protocol):
    """What a request needs of the node that received it."""

    def id_on(self, socket: int) -> bytes | None: ...
    def token_for(self, host: str) -> bytes: ...
    def accepts_token(self, token: bytes, host: str) -> bool: ...
    def closer_nodes(self, target: bytes) -> list[Address]: ...
    def may_send(self, host: str, excess: int) -> bool: ...
    def transmit(self, socket: int, to: Address, datagram: bytes) -> None: ...


class IncomingRequest:
    """Handlers must be safe to run again: a retransmitted request arrives as a new one with the same tid.

    `id` is verified (None when absent or false), `to` is our address as the sender knows it, `size` what the request
    took on the wire. When a handler sees a request, its token is either absent or valid: a node answers wrong tokens
    itself.
    """

    __slots__ = (
        "_responder",
        "command",
        "from_",
        "id",
        "internal",
        "size",
        "socket",
        "target",
        "tid",
        "to",
        "token",
        "value",
    )

    def __init__(self, responder: Responder, message: RequestMessage, from_: Address, socket: int, size: int) -> None:
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
        self.size = size

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

    def relay(self, value: bytes, to: Address, *, socket: int | None = None, wanted: bool = False) -> None:
        """Passes the request on with another value; the tid stays, so that the answer finds its way back.

        `wanted`: whoever receives it is known to wait for such.
        """
        through = self.socket if socket is None else socket
        message = RequestMessage(
            self.tid, to, self.command, self.internal, self._responder.id_on(through), None, self.target, value
        )
        datagram = message.encode()
        if wanted or self._may_send(len(datagram), to):
            self._responder.transmit(through, to, datagram)

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
        datagram = message.encode()
        if not self._may_send(len(datagram), receiver):
            too_many = -((self._free - len(datagram)) // ADDRESS_SIZE)
            fewer = tuple(message.closer_nodes)[: max(0, len(message.closer_nodes) - too_many)]
            datagram = replace(message, closer_nodes=fewer).encode()
            if len(datagram) > self._free or receiver[0] != self.from_[0]:
                return
        node.transmit(through, receiver, datagram)

    @property
    def _free(self) -> int:
        return max(REPLY_FACTOR * self.size, SMALL_REPLY)

    def _may_send(self, size: int, to: Address) -> bool:
        """Whoever is not the sender did not ask at all: for him every byte counts."""
        if to[0] != self.from_[0]:
            return self._responder.may_send(to[0], size)
        return size <= self._free or self.token_valid or self._responder.may_send(to[0], size - self.size)
