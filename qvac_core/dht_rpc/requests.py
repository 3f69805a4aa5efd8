"""Our requests on their way: transaction ids, retries, the queue before a full window, and how each one ends.

docs/wire/hyperdht.md sections 1.2 and 1.7; dht-rpc 6.27.0 `lib/io.js`. Two things are stricter: transaction ids are
random instead of counted up, and an answer must come from the address that was asked (the original looks at the id
alone). One is quicker: a query's requests are sent again as soon as others would have answered, not after a whole
second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from qvac_core.codec import Address
from qvac_core.dht_rpc.commands import ATTEMPT_TIMEOUT, DEFAULT_RETRIES
from qvac_core.dht_rpc.congestion import RequestWindow
from qvac_core.dht_rpc.messages import RequestMessage, ResponseMessage
from qvac_core.dht_rpc.reply import OnDone, Outcome, Reply, request_destroyed, request_timeout
from qvac_core.dht_rpc.timers import Timer, Timers
from qvac_core.errors import NetworkError

_TIDS = 1 << 16
_MAX_IN_FLIGHT = _TIDS // 2
"""More than this and looking for a free transaction id takes long: the request fails."""

_NO_TID = -1

_MIN_PATIENCE = 0.25
"""Seconds that every node has for its answer, however quick the others are."""


@dataclass(slots=True)
class Stats:
    """Running totals since the node was made."""

    sent: int = 0
    responses: int = 0
    timeouts: int = 0
    retries: int = 0


class RoundTrips:
    """How long answers take, over all peers: smoothed as TCP does it (RFC 6298), from requests sent once."""

    __slots__ = ("_mean", "_variation")

    def __init__(self) -> None:
        self._mean: float | None = None
        self._variation = 0.0

    def add(self, rtt: float) -> None:
        if self._mean is None:
            self._mean, self._variation = rtt, rtt / 2
        else:
            self._variation += (abs(rtt - self._mean) - self._variation) / 4
            self._mean += (rtt - self._mean) / 8

    def patience(self, attempt: int) -> float:
        """Seconds after which hardly anybody answers any more, twice as many for each further attempt."""
        if self._mean is None:
            return ATTEMPT_TIMEOUT
        return min(max(self._mean + 4 * self._variation, _MIN_PATIENCE) * (1 << (attempt - 1)), ATTEMPT_TIMEOUT)


class Request:
    """One request; `on_done` is called exactly once, with a Reply or a NetworkError.

    `expired` counts the attempts that got no answer in time; `eager` ones learn from the others what that is, the rest
    wait `timeout` seconds each.
    """

    __slots__ = (
        "_datagram",
        "_on_done",
        "_requests",
        "_slot",
        "_timer",
        "attempts",
        "done",
        "eager",
        "expired",
        "known_node",
        "on_expired",
        "retries",
        "sent_at",
        "socket",
        "tid",
        "timeout",
        "to",
    )

    def __init__(
        self, requests: Requests, tid: int, to: Address, socket: int, datagram: bytes, on_done: OnDone
    ) -> None:
        self._requests = requests
        self._datagram = datagram
        self._on_done: OnDone | None = on_done
        self._timer: Timer | None = None
        self._slot: int | None = None
        self.tid = tid
        self.to = to
        self.socket = socket
        self.retries = DEFAULT_RETRIES
        self.timeout = ATTEMPT_TIMEOUT
        self.attempts = 0
        self.sent_at = 0.0
        self.done = False
        self.known_node = False
        self.eager = False
        self.expired = 0
        self.on_expired: Callable[[Request], None] | None = None

    def cancel(self) -> None:
        """Settles the request with REQUEST_DESTROYED; nothing happens when it is settled already."""
        self._requests.settle(self, request_destroyed())

    def abandon(self) -> None:
        """Ends the request without a word: for an owner that is itself done."""
        self._on_done = None
        self.cancel()


class Requests:
    """The requests of one node. `on_timeout` hears of addresses that stayed silent to the last attempt."""

    def __init__(
        self,
        *,
        now: float,
        clock: Callable[[], float],
        random: Random,
        timers: Timers,
        transmit: Callable[[int, Address, bytes], None],
        on_timeout: Callable[[Request], None],
    ) -> None:
        self._clock = clock
        self._random = random
        self._timers = timers
        self._transmit = transmit
        self._on_timeout = on_timeout
        self._in_flight: dict[int, Request] = {}
        self._queue: deque[Request] = deque()
        self._drain: Timer | None = None
        self._round_trips = RoundTrips()
        self.window = RequestWindow(now)
        self.stats = Stats()

    def __len__(self) -> int:
        """Requests that are not settled, sent or not."""
        return len(self._in_flight)

    def create(
        self,
        to: Address,
        socket: int,
        on_done: OnDone,
        *,
        id: bytes | None,
        internal: bool,
        command: int,
        target: bytes | None,
        value: bytes | None,
        token: bytes | None,
    ) -> Request:
        """A request that is registered but not sent: `send` it."""
        if len(self._in_flight) >= _MAX_IN_FLIGHT:
            return Request(self, _NO_TID, to, socket, b"", on_done)
        tid = self._random.randrange(_TIDS)
        while tid in self._in_flight:
            tid = self._random.randrange(_TIDS)
        datagram = RequestMessage(tid, to, command, internal, id, token, target, value).encode()
        request = Request(self, tid, to, socket, datagram, on_done)
        self._in_flight[tid] = request
        return request

    def send(self, request: Request) -> None:
        """Sends now, or as soon as the window has room."""
        if request.tid == _NO_TID:
            error = NetworkError("too many requests at once", name="TOO_MANY_REQUESTS")
            self._timers.at(self._clock(), lambda _: self.settle(request, error))
        elif self._queue or self.window.is_full(self._clock()):
            self._queue.append(request)
            self._arm_drain()
        else:
            self._send_now(request)

    def _send_now(self, request: Request) -> None:
        now = self._clock()
        if request.attempts == 0:
            request.sent_at = now
        request.attempts += 1
        request._slot = self.window.send(now)
        self.stats.sent += 1
        patience = self._round_trips.patience(request.attempts) if request.eager else request.timeout
        request._timer = self._timers.at(now + patience, partial(self._expire, request))
        self._transmit(request.socket, request.to, request._datagram)

    def _expire(self, request: Request, now: float) -> None:
        request._timer = None
        request.expired += 1
        if request.on_expired is not None:
            request.on_expired(request)
        if request.done:
            return
        if request.attempts > request.retries:
            self.stats.timeouts += 1
            self._on_timeout(request)
            self.settle(request, request_timeout(request.to))
        else:
            self.stats.retries += 1
            self.send(request)

    def awaits(self, tid: int, sender: Address) -> bool:
        request = self._in_flight.get(tid)
        return request is not None and request.to == sender

    def match(self, message: ResponseMessage, sender: Address) -> Request | None:
        """The request that this response answers, if it does."""
        request = self._in_flight.get(message.tid)
        return request if request is not None and request.to == sender and request.attempts > 0 else None

    def answered(self, request: Request, message: ResponseMessage, socket: int) -> None:
        self.stats.responses += 1
        rtt = self._clock() - request.sent_at
        if request.attempts == 1:
            self._round_trips.add(rtt)
        reply = Reply(
            message.tid,
            request.to,
            message.to,
            message.id,
            message.token,
            tuple(message.closer_nodes),
            message.error,
            message.value,
            socket,
            rtt,
        )
        self.settle(request, reply)

    def settle(self, request: Request, outcome: Outcome) -> None:
        if request.done:
            return
        request.done = True
        request.on_expired = None
        self._in_flight.pop(request.tid, None)
        if request._timer is not None:
            request._timer.cancel()
            request._timer = None
        if request._slot is not None:
            self.window.release(request._slot, self._clock())
        on_done, request._on_done = request._on_done, None
        if on_done is not None:
            on_done(outcome)
        if self._queue:
            self._send_queued()

    def _send_queued(self, now: float | None = None) -> None:
        while self._queue:
            if self._queue[0].done:
                self._queue.popleft()
            elif self.window.is_full(self._clock()):
                self._arm_drain()
                return
            else:
                self._send_now(self._queue.popleft())

    def _arm_drain(self) -> None:
        if self._drain is None or self._drain.callback is None:
            self._drain = self._timers.at(self.window.next_slot(), self._send_queued)

    def fail_all(self, error: Callable[[], NetworkError]) -> None:
        """Settles everything that is open now; what the callbacks start anew stays."""
        for request in list(self._in_flight.values()):
            self.settle(request, error())
