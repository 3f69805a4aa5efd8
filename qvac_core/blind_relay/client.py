"""One peer's side of a connection to a blind relay: ask for a partner by token, hear under which stream it is found.

From docs/wire/hyperdht.md section 6.7 (blind-relay/index.js 1.6.1, class BlindRelayClient; hyperdht/lib/connect.js
6.34.0).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from qvac_core.blind_relay.messages import PROTOCOL, TYPE_PAIR, TYPE_UNPAIR, Pair, Unpair
from qvac_core.blind_relay.protomux import ChannelClosed, ChannelMessage, Protomux
from qvac_core.errors import LocalProtocolError

PAIRING_LIMIT = 15.0
"""Seconds for the other peer to appear at the relay."""


@dataclass(frozen=True, slots=True)
class Paired:
    """The other side is there: write to the relay's stream `remote_id`."""

    token: bytes
    remote_id: int


@dataclass(frozen=True, slots=True)
class PairingFailed:
    """Nobody came in time, or the relay closed the channel."""

    token: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Unpaired:
    """The relay ended a pair: its partner left, or the relay has had enough (ours says so, the original's does not)."""

    token: bytes


ClientEvent = Paired | PairingFailed | Unpaired


@dataclass(frozen=True, slots=True)
class _Request:
    is_initiator: bool
    deadline: float


class RelayClient:
    """`channel_id` is the public key by which the relay knows us (the reference says otherwise, and errs).

    A driver writes `frames_to_send` as messages, gives the messages of the connection to `receive`, sets one timer.
    """

    def __init__(self, channel_id: bytes) -> None:
        self._mux = Protomux()
        self._requests: dict[bytes, _Request] = {}
        self._events: deque[ClientEvent] = deque()
        self._channel = self._mux.open(PROTOCOL, channel_id)

    @property
    def closed(self) -> bool:
        return self._channel.closed

    def pair(
        self, *, is_initiator: bool, token: bytes, stream_id: int, now: float, limit: float = PAIRING_LIMIT
    ) -> None:
        """Ask for the peer with the same token and the other role. Ends in Paired or PairingFailed."""
        if token in self._requests:
            raise LocalProtocolError("this token is being paired already")
        if self.closed:
            self._events.append(PairingFailed(token, _CLOSED))
            return
        self._requests[token] = _Request(is_initiator, now + limit)
        self._mux.send(self._channel, TYPE_PAIR, Pair(is_initiator, token, stream_id).encode())

    def unpair(self, token: bytes) -> None:
        """Give up a token, paired or not: the relay drops what it holds for it."""
        self._requests.pop(token, None)
        self._mux.send(self._channel, TYPE_UNPAIR, Unpair(token).encode())

    def close(self) -> None:
        """Tell the relay that no more will be asked; it ends what it relays for us."""
        self._requests.clear()
        self._mux.close(self._channel)

    def receive(self, message: bytes, now: float) -> None:
        """Raises RemoteProtocolError, after which the connection to the relay is to be dropped."""
        self._mux.receive(message)
        while (event := self._mux.next_event()) is not None:
            if isinstance(event, ChannelMessage):
                if event.type == TYPE_PAIR:
                    self._on_pair(Pair.decode(event.payload))
                elif event.type == TYPE_UNPAIR:
                    self._events.append(Unpaired(Unpair.decode(event.payload).token))
            elif isinstance(event, ChannelClosed):
                self._fail_all(_CLOSED)

    def connection_lost(self) -> None:
        self._mux.close(self._channel)
        self._mux.frames_to_send()
        self._fail_all("The connection to the relay was lost.")

    def frames_to_send(self) -> list[bytes]:
        return self._mux.frames_to_send()

    def next_event(self) -> ClientEvent | None:
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        return min((request.deadline for request in self._requests.values()), default=None)

    def handle_timer(self, now: float) -> None:
        for token, request in list(self._requests.items()):
            if request.deadline <= now:
                self.unpair(token)
                self._events.append(PairingFailed(token, "The other peer did not come to the relay in time."))

    def _on_pair(self, pair: Pair) -> None:
        request = self._requests.get(pair.token)
        if request is not None and request.is_initiator == pair.is_initiator:
            del self._requests[pair.token]
            self._events.append(Paired(pair.token, pair.stream_id))

    def _fail_all(self, reason: str) -> None:
        requests, self._requests = self._requests, {}
        self._events.extend(PairingFailed(token, reason) for token in requests)


_CLOSED = "The relay closed the channel: it is no relay, or does not serve this key."
