"""Requests and answers of one node: datagrams and time in, datagrams and the next timer out.

docs/wire/hyperdht.md sections 1.1 to 1.3, 1.6 and 1.7; dht-rpc 6.27.0 `lib/io.js`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from qvac_core.codec import Address, Writer
from qvac_core.dht_rpc.commands import DEFAULT_RETRIES, Internal
from qvac_core.dht_rpc.limits import ReplyBudget
from qvac_core.dht_rpc.messages import RequestMessage, ResponseMessage, decode
from qvac_core.dht_rpc.own_address import OwnAddress
from qvac_core.dht_rpc.reply import OnDone, node_suspended, request_destroyed
from qvac_core.dht_rpc.requests import Request, Requests
from qvac_core.dht_rpc.timers import Timers
from qvac_core.dht_rpc.tokens import Tokens
from qvac_core.errors import RemoteProtocolError

_FEW_IN_FLIGHT = 3


class Exchange:
    """`on_request(message, sender, socket, size)` answers others, and `closer_nodes(target)` goes with the answers.

    `on_heard(sender, id, to, socket)` hears who answered a request of ours, `on_silent` whom a query asked in vain.
    """

    def __init__(
        self,
        own_address: OwnAddress,
        *,
        now: float,
        random: Random,
        closer_nodes: Callable[[bytes], list[Address]],
        on_request: Callable[[RequestMessage, Address, int, int], None],
        on_heard: Callable[[Address, bytes | None, Address, int], None],
        on_silent: Callable[[Address], None],
    ) -> None:
        self._own = own_address
        self._on_request = on_request
        self._on_heard = on_heard
        self._on_silent = on_silent
        self._outbox: list[tuple[int, Address, bytes]] = []
        self._timers = Timers()
        self._tokens = Tokens(now, random)
        self.closer_nodes = closer_nodes
        self.now = now
        """The time that we were told last."""
        self.suspended = False
        self.closed = False
        """Nothing leaves any more, and what is asked now fails at once."""
        self.budget = ReplyBudget()
        self.requests = Requests(
            now=now,
            clock=lambda: self.now,
            random=random,
            timers=self._timers,
            transmit=self.transmit,
            on_timeout=self._on_timeout,
        )

    # In and out

    def receive(self, datagrams: Sequence[tuple[bytes, Address]], socket: int, now: float) -> None:
        """Takes what arrived on one socket. Whatever is not a message of ours is dropped."""
        self.advance(now)
        if self.closed or self.suspended:
            return
        awaits = self.requests.awaits
        for datagram, sender in datagrams:
            try:
                message = decode(datagram, sender, awaits)
            except RemoteProtocolError:
                continue  # anybody can send anything to a UDP port: no answer, no trace
            if isinstance(message, ResponseMessage):
                self._on_response(message, sender, socket)
            else:
                self._on_request(message, sender, socket, len(datagram))

    def _on_response(self, message: ResponseMessage, sender: Address, socket: int) -> None:
        request = self.requests.match(message, sender)
        if request is None:
            return
        self._on_heard(sender, message.id, message.to, socket)
        self.requests.answered(request, message, socket)

    def transmit(self, socket: int, to: Address, datagram: bytes) -> None:
        if not self.closed:
            self._outbox.append((socket, to, datagram))

    def transmissions(self) -> list[tuple[int, Address, bytes]]:
        """(socket, to, datagram) since the last call, in order."""
        outbox, self._outbox = self._outbox, []
        return outbox

    # Time

    def advance(self, now: float) -> None:
        """Time never goes back here, whatever the owner's clock does."""
        self.now = max(self.now, now)

    def get_timer(self) -> float | None:
        return self._timers.next()

    def handle_timer(self, now: float) -> None:
        self.advance(now)
        self._timers.run(self.now)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        self._timers.at(self.now + seconds, lambda _: callback())

    @property
    def timers(self) -> int:
        """Timers that are set."""
        return len(self._timers)

    # Asking

    @property
    def busy(self) -> bool:
        return len(self.requests) >= _FEW_IN_FLIGHT

    def request(
        self,
        command: int,
        to: Address,
        *,
        now: float,
        on_done: OnDone,
        internal: bool = False,
        target: bytes | None = None,
        value: bytes | None = None,
        token: bytes | None = None,
        retries: int = DEFAULT_RETRIES,
        socket: int | None = None,
        timeout: float | None = None,
    ) -> Request:
        """Sends up to 1 + `retries` times, `timeout` (1 s) apart. A Reply with `error` is an answer too."""
        self.advance(now)
        request = self.create_request(
            command, to, on_done=on_done, internal=internal, target=target, value=value, token=token, socket=socket
        )
        request.retries = retries
        if timeout is not None:
            request.timeout = timeout
        self.send_request(request)
        return request

    def ping(
        self,
        to: Address,
        *,
        now: float,
        on_done: OnDone,
        value: bytes | None = None,
        retries: int = DEFAULT_RETRIES,
        socket: int | None = None,
        timeout: float | None = None,
    ) -> Request:
        return self.request(
            Internal.PING,
            to,
            now=now,
            on_done=on_done,
            internal=True,
            value=value,
            retries=retries,
            socket=socket,
            timeout=timeout,
        )

    def create_request(
        self,
        command: int,
        to: Address,
        *,
        on_done: OnDone,
        internal: bool = False,
        target: bytes | None = None,
        value: bytes | None = None,
        token: bytes | None = None,
        socket: int | None = None,
    ) -> Request:
        through = self._own.socket if socket is None else socket
        return self.requests.create(
            to,
            through,
            on_done,
            id=self.id_on(through),
            internal=internal,
            command=command,
            target=target,
            value=value,
            token=token,
        )

    def send_request(self, request: Request) -> None:
        if self.closed:
            self.requests.settle(request, request_destroyed())
        elif self.suspended:
            self.later(0.0, lambda: self.requests.settle(request, node_suspended()))
        else:
            self.requests.send(request)

    def send_internal(
        self,
        command: Internal,
        to: Address,
        *,
        on_done: OnDone,
        value: bytes | None = None,
        retries: int = DEFAULT_RETRIES,
    ) -> None:
        request = self.create_request(command, to, on_done=on_done, internal=True, value=value)
        request.retries = retries
        self.send_request(request)

    def ping_nat(self, to: Address, *, on_done: OnDone, retries: int = DEFAULT_RETRIES) -> None:
        """Asks for an answer to our server socket, wherever this leaves from."""
        value = Writer().uint16(self._own.server_port).finish()
        self.send_internal(Internal.PING_NAT, to, value=value, on_done=on_done, retries=retries)

    def _on_timeout(self, request: Request) -> None:
        if request.known_node:
            self._on_silent(request.to)

    # What an incoming request needs of us

    def id_on(self, socket: int) -> bytes | None:
        return self._own.id_on(socket)

    def token_for(self, host: str) -> bytes:
        return self._tokens.issue(host, self.now)

    def accepts_token(self, token: bytes, host: str) -> bool:
        return self._tokens.accepts(token, host, self.now)

    def may_send(self, host: str, excess: int) -> bool:
        return self.budget.allows(host, excess, self.now)

    # Sleeping and ending

    def suspend(self) -> None:
        """Stops all traffic; requests under way fail with IO_SUSPENDED."""
        self.suspended = True
        self.requests.fail_all(node_suspended)
        self.requests.window.clear()

    def close(self) -> None:
        """Ends everything that is under way (REQUEST_DESTROYED) and sends nothing any more."""
        self.closed = True
        self.requests.fail_all(request_destroyed)
        self._timers.clear()
