"""One real dht_rpc node whose whole world is written by the test: what it sent, what comes back, what time it is."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from qvac_core.codec import Address
from qvac_core.dht_rpc import Event, Node, Outcome, RequestMessage, ResponseMessage, SocketId, decode, peer_id

OUR_HOST = "198.51.100.7"
SERVER_PORT = 49737
CLIENT_PORT = 50000

Sent = tuple[int, Address, RequestMessage | ResponseMessage]


def address(n: int) -> Address:
    return f"10.0.{n >> 8}.{n & 255}", 4000 + n


def with_id(at: Address) -> bytes:
    return peer_id(at)


class LoneNode:
    """Time stands still except in `advance`, which runs every timer at its own moment."""

    def __init__(self, *, bootstrap: Sequence[Address] = (), seed: int = 7, **options: Any) -> None:
        self.now = 1000.0
        self.node = Node(now=self.now, random=options.pop("random", Random(seed)), bootstrap=bootstrap, **options)
        self.node.set_server_port(SERVER_PORT)
        self.outcomes: list[Outcome] = []

    def sent(self) -> list[Sent]:
        """Everything sent since the last call."""
        return [(socket, to, decode(datagram, self.us(socket))) for socket, to, datagram in self.node.transmissions()]

    def sent_requests(self) -> list[tuple[Address, RequestMessage]]:
        return [(to, message) for _, to, message in self.sent() if isinstance(message, RequestMessage)]

    def sent_responses(self) -> list[tuple[Address, ResponseMessage]]:
        return [(to, message) for _, to, message in self.sent() if isinstance(message, ResponseMessage)]

    def us(self, socket: int) -> Address:
        return OUR_HOST, SERVER_PORT if socket == SocketId.SERVER else CLIENT_PORT

    def receive(
        self, message: RequestMessage | ResponseMessage | bytes, sender: Address, socket: int = SocketId.CLIENT
    ) -> None:
        datagram = message if isinstance(message, bytes) else message.encode()
        self.node.receive([(datagram, sender)], socket, self.now)

    def answer(
        self, request: RequestMessage, sender: Address, *, id: bool = True, socket: int = SocketId.CLIENT, **fields: Any
    ) -> None:
        """`sender` answers a request of ours."""
        fields.setdefault("to", self.us(socket))
        if id:
            fields["id"] = peer_id(sender)
        self.receive(ResponseMessage(request.tid, **fields), sender, socket)

    def ask(self, sender: Address, command: int, *, socket: int = SocketId.SERVER, **fields: Any) -> None:
        """`sender` sends us a request with transaction id 7."""
        fields.setdefault("to", self.us(socket))
        self.receive(RequestMessage(7, command=command, **fields), sender, socket)

    def request(self, to: Address, command: int = 2, **options: Any) -> Any:
        return self.node.request(command, to, now=self.now, on_done=self.outcomes.append, **options)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while (when := self.node.get_timer()) is not None and when <= end:
            self.now = max(self.now, when)
            self.node.handle_timer(self.now)
        self.now = end
        self.node.handle_timer(end)

    def events(self) -> list[Event]:
        found: list[Event] = []
        while (event := self.node.next_event()) is not None:
            found.append(event)
        return found

    @property
    def window_total(self) -> int:
        self.node.exchange.requests.window.is_full(self.now)
        return self.node.exchange.requests.window.total

    @property
    def table_addresses(self) -> set[Address]:
        return {node.address for node in self.node.table}
