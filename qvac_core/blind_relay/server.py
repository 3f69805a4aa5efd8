"""What a relay knows: who asked for which token, and which two belong together. It never sees what they say.

From docs/wire/hyperdht.md section 6.7 (blind-relay/index.js 1.6.1, BlindRelayServer and BlindRelaySession), with limits
that the original lacks: requests that wait are bounded by key and in all, and do not wait for ever.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from qvac_core.blind_relay.messages import PROTOCOL, TYPE_PAIR, TYPE_UNPAIR, Pair, Unpair
from qvac_core.blind_relay.protomux import ChannelClosed, ChannelMessage, Protomux


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """`pairing_life` in seconds: longer than a peer waits (15), so that two slow ones still meet."""

    pending: int = 4096
    pending_per_key: int = 32
    links_per_key: int = 64
    pairing_life: float = 30.0


@dataclass(frozen=True, slots=True)
class PairingSide:
    """One peer's half: its session here, and the id of its own raw stream."""

    session: RelaySession
    is_initiator: bool
    stream_id: int


@dataclass(frozen=True, slots=True)
class PairingRequested:
    session: RelaySession
    token: bytes


@dataclass(frozen=True, slots=True)
class PairingExpired:
    """Nobody came for it in time."""

    session: RelaySession
    token: bytes


@dataclass(frozen=True, slots=True)
class Matched:
    """Make two streams that forward to each other, then call `session.answer` for both sides."""

    token: bytes
    initiator: PairingSide
    responder: PairingSide


@dataclass(frozen=True, slots=True)
class PairingCancelled:
    """A matched token is over: drop its streams. `sessions` had it; those still open have been told."""

    token: bytes
    sessions: tuple[RelaySession, RelaySession]


ServerEvent = PairingRequested | PairingExpired | Matched | PairingCancelled


class RelaySession:
    """One connection to the relay. Made by `RelayState.accept`; frames are whole messages of the connection."""

    def __init__(self, state: RelayState, public_key: bytes) -> None:
        self.public_key = public_key
        self.closed = False
        self.pending: set[bytes] = set()
        self.links: set[bytes] = set()
        self._state = state
        self._mux = Protomux()
        self._channel = self._mux.open(PROTOCOL, public_key)

    def receive(self, message: bytes, now: float) -> None:
        """Raises RemoteProtocolError, after which the connection is to be dropped."""
        self._mux.receive(message)
        while (event := self._mux.next_event()) is not None:
            if isinstance(event, ChannelMessage):
                if event.type == TYPE_PAIR:
                    self._state.on_pair(self, Pair.decode(event.payload), now)
                elif event.type == TYPE_UNPAIR:
                    self._state.on_unpair(self, Unpair.decode(event.payload).token)
            elif isinstance(event, ChannelClosed):
                self._state.leave(self)

    def answer(self, side: PairingSide, token: bytes, stream_id: int) -> None:
        """Tell this peer under which stream of ours its partner is found."""
        self._mux.send(self._channel, TYPE_PAIR, Pair(side.is_initiator, token, stream_id).encode())

    def cancel(self, token: bytes) -> None:
        """Tell this peer that its pair is over. The original's peers do not listen to it; ours end at once."""
        self._mux.send(self._channel, TYPE_UNPAIR, Unpair(token).encode())

    def frames_to_send(self) -> list[bytes]:
        return self._mux.frames_to_send()

    def close(self) -> None:
        self._mux.close(self._channel)
        self._state.leave(self)


@dataclass(slots=True)
class _Pending:
    side: PairingSide
    deadline: float


class RelayState:
    """All sessions of one relay. `handle_timer` when `get_timer` is due; `next_event` after each call."""

    def __init__(self, limits: RelayLimits | None = None) -> None:
        self.limits = limits or RelayLimits()
        self._pending: dict[bytes, _Pending] = {}  # in the order of their deadlines
        self._links: dict[bytes, tuple[RelaySession, RelaySession]] = {}
        self._pending_of: dict[bytes, int] = {}
        self._links_of: dict[bytes, int] = {}
        self._events: deque[ServerEvent] = deque()

    @property
    def pending(self) -> int:
        return len(self._pending)

    @property
    def links(self) -> int:
        return len(self._links)

    def accept(self, public_key: bytes) -> RelaySession:
        return RelaySession(self, public_key)

    def leave(self, session: RelaySession) -> None:
        """The connection is gone: so is everything that was asked and relayed for it."""
        session.closed = True
        for token in list(session.pending):
            self._drop_pending(token)
        for token in list(session.links):
            self.unlink(token)

    def warn(self) -> None:
        """Tell all pairs that they are about to end. They are forwarded until somebody ends them."""
        for token, sessions in self._links.items():
            for session in sessions:
                session.cancel(token)

    def unlink(self, token: bytes) -> None:
        """End a matched pair, whoever wants it."""
        sessions = self._links.pop(token, None)
        if sessions is None:
            return
        for session in sessions:
            session.links.discard(token)
            _count(self._links_of, session.public_key, -1)
            if not session.closed:
                session.cancel(token)
        self._events.append(PairingCancelled(token, sessions))

    def next_event(self) -> ServerEvent | None:
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        return next(iter(self._pending.values())).deadline if self._pending else None

    def handle_timer(self, now: float) -> None:
        for token, pending in list(self._pending.items()):
            if pending.deadline > now:
                break
            self._drop_pending(token)
            self._events.append(PairingExpired(pending.side.session, token))

    # messages of the sessions

    def on_pair(self, session: RelaySession, pair: Pair, now: float) -> None:
        side = PairingSide(session, pair.is_initiator, pair.stream_id)
        waiting = self._pending.get(pair.token)
        if session.closed or pair.token in self._links or not self._has_room(session):
            return
        if waiting is None:
            self._wait(side, pair.token, now)
        elif waiting.side.is_initiator != pair.is_initiator:
            self._drop_pending(pair.token)
            self._match(pair.token, waiting.side, side)

    def on_unpair(self, session: RelaySession, token: bytes) -> None:
        """Only one who takes part may end it: the original lets everybody who knows the token."""
        if token in session.pending:
            self._drop_pending(token)
        elif token in session.links:
            self.unlink(token)

    def _has_room(self, session: RelaySession) -> bool:
        return self._links_of.get(session.public_key, 0) < self.limits.links_per_key

    def _wait(self, side: PairingSide, token: bytes, now: float) -> None:
        key = side.session.public_key
        if len(self._pending) >= self.limits.pending or self._pending_of.get(key, 0) >= self.limits.pending_per_key:
            return
        self._pending[token] = _Pending(side, now + self.limits.pairing_life)
        side.session.pending.add(token)
        _count(self._pending_of, key, 1)
        self._events.append(PairingRequested(side.session, token))

    def _drop_pending(self, token: bytes) -> None:
        session = self._pending.pop(token).side.session
        session.pending.discard(token)
        _count(self._pending_of, session.public_key, -1)

    def _match(self, token: bytes, first: PairingSide, second: PairingSide) -> None:
        self._links[token] = (first.session, second.session)
        for session in (first.session, second.session):
            session.links.add(token)
            _count(self._links_of, session.public_key, 1)
        initiator, responder = (first, second) if first.is_initiator else (second, first)
        self._events.append(PairingRequested(second.session, token))
        self._events.append(Matched(token, initiator, responder))


def _count(counts: dict[bytes, int], key: bytes, step: int) -> None:
    counts[key] = counts.get(key, 0) + step
    if counts[key] <= 0:
        del counts[key]
