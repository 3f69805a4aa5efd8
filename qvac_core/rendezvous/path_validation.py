"""Whether a stream may follow its peer to another address: challenges that only the peer can answer, and only there.

Ours (the original never follows), after RFC 9000 sections 8.2 and 9.3. Messages here are plain; the owner seals them
with keys of the two peers, so that nobody else can make or read one.

    message = type 1 ‖ nonce 8        type 0 (no nonce): "I do this, too"; 1: challenge; 2: its response

A path is the local socket and the peer's address. Packets from another address make that address a candidate: it is
challenged, and so is the path in use. The candidate is taken when it answers and the path in use does not: whoever
copies the peer's packets to us from elsewhere cannot silence the peer itself. A peer answers only what comes from where
its own stream goes, so an address that passes challenges on is not answered unless it can forge ours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from random import Random

from qvac_core.codec import Address

Path = tuple[int, Address]

NONCE_BYTES = 8
AMPLIFICATION = 3
"""So many times what came from an unproven address may go there (RFC 9000 section 8.1)."""
MESSAGE_COST = 20 + 8 + 16 + 1 + NONCE_BYTES
"""Bytes of the datagram that carries a challenge: UDX header, counter, authenticator, message."""
MAX_CANDIDATES = 4
TRIES = 4
EXPECTED_TRIES = 8
FIRST_REPEAT, LAST_REPEAT = 0.2, 0.8
"""Seconds until a challenge is repeated; each repeat waits twice as long, up to the last."""
MIN_GRACE, MAX_GRACE = 0.05, 1.0
"""The path in use has twice the time that the candidate took to answer, and at least, at most so many seconds."""
REST = 30.0
"""Seconds for which an address that did not answer, or was not preferred, is left alone."""
SHORT_REST = 1.0
"""The same when the peer itself speaks from there, or somebody repeats what it said."""
MOVES_PER_MINUTE = 6
_NONCES_KEPT = 16
_MOST_DOUBLINGS = 8


class Kind(IntEnum):
    HELLO = 0
    CHALLENGE = 1
    RESPONSE = 2


@dataclass(frozen=True, slots=True)
class PathMoved:
    """The peer is proven to be here now: everything goes there."""

    path: Path


@dataclass(frozen=True, slots=True)
class PathConfirmed:
    """The peer answered on the path in use, and so sends to where we are now."""


PathEvent = PathMoved | PathConfirmed


@dataclass(slots=True)
class _Check:
    """One address that is asked to prove itself."""

    path: Path
    since: float
    authentic: bool = False
    """A sealed message of the peer came from there: true, or a copy of what the peer sent."""
    proven: bool = False
    received: int = 0
    sent: int = 0
    tries: int = 0
    next_at: float | None = None
    rests_until: float = 0.0
    hurried_at: float = -REST
    nonces: deque[tuple[bytes, float]] = field(default_factory=lambda: deque(maxlen=_NONCES_KEPT))

    def sent_at(self, nonce: bytes) -> float | None:
        return next((at for known, at in self.nonces if known == nonce), None)

    def may_spend(self) -> bool:
        return self.proven or self.sent + MESSAGE_COST <= AMPLIFICATION * self.received


class PathValidation:
    """One stream's. After each call take `transmissions`, `next_event` until None, and set a timer to `get_timer`."""

    def __init__(self, path: Path, random: Random) -> None:
        self.path = path
        self.peer_follows = False
        """Whether the peer has ever spoken this language."""
        self._random = random
        self._candidates: dict[Address, _Check] = {}
        self._current = _Check(path, 0.0, proven=True)
        self._previous: _Check | None = None
        self._expected: _Check | None = None
        self._answered_at = -1.0
        self._decision: tuple[float, Address] | None = None
        self.confirming = False
        self._moves: deque[float] = deque(maxlen=MOVES_PER_MINUTE)
        self._out: list[tuple[Path, bytes]] = []
        self._events: deque[PathEvent] = deque()

    def transmissions(self) -> list[tuple[Path, bytes]]:
        out, self._out = self._out, []
        return out

    def next_event(self) -> PathEvent | None:
        return self._events.popleft() if self._events else None

    # What the owner knows by itself

    def hello(self) -> None:
        """Let the peer know that we answer challenges."""
        self._out.append((self.path, bytes((Kind.HELLO,))))

    def set_path(self, path: Path) -> None:
        """The owner moved the stream; what was under way here is void."""
        self.path = path
        self._current = _Check(path, 0.0, proven=True)
        self._previous = self._expected = self._decision = None
        self.confirming = False
        self._candidates.clear()

    def expect(self, path: Path, now: float) -> None:
        """The owner met the peer anew and was shown this way: it is proven in both directions before it is taken."""
        if path[1] == self.path[1] and path[0] == self.path[0]:
            return
        self._candidates.pop(path[1], None)
        self._expected = _Check(path, now, authentic=True, proven=True)
        self._challenge(self._expected, now)

    def confirm(self, now: float) -> None:
        """Our own address changed, or something else made us doubt: ask until PathConfirmed, or until told to stop."""
        self.confirming = True
        self._current.tries = 0
        self._challenge(self._current, now)

    def stop_confirming(self) -> None:
        """It is known in another way that the path works, or that it does not."""
        self.confirming = False

    # What arrives

    def heard(self, path: Path, size: int, now: float) -> None:
        """`size` bytes for the stream, true or not, from an address that is not the one in use."""
        if path[1] == self.path[1] or self._is_expected(path):
            return
        check = self._candidate(path, now)
        if check is None:
            return
        check.received += size
        if check.next_at is None and not check.proven and now >= check.rests_until:
            check.tries = 0
            self._challenge_candidate(check, now)

    def receive(self, message: bytes, path: Path, now: float) -> None:
        """A message that the peer sealed. Its bytes have been told to `heard` before."""
        if not message:
            return
        kind, nonce = message[0], message[1:]
        if kind not in (Kind.HELLO, Kind.CHALLENGE, Kind.RESPONSE) or len(nonce) != (NONCE_BYTES if kind else 0):
            return
        self.peer_follows = True
        if kind == Kind.RESPONSE:
            self._on_response(nonce, path, now)
        elif kind == Kind.CHALLENGE and self._expected is not None and self._is_expected(path):
            self._out.append((path, bytes((Kind.RESPONSE,)) + nonce))
            self._hurry(self._expected, now)
        elif path[1] != self.path[1]:
            self._on_authentic(path, now)
        elif kind == Kind.CHALLENGE:
            self._out.append((path, bytes((Kind.RESPONSE,)) + nonce))
            if self.confirming:
                # It found out where we are, so this may be answered a round trip sooner than the next repeat.
                self._hurry(self._current, now)

    def _is_expected(self, path: Path) -> bool:
        return self._expected is not None and self._expected.path == path

    def _on_authentic(self, path: Path, now: float) -> None:
        known = path[1] in self._candidates
        check = self._candidate(path, now, authentic=True)
        if check is None:
            return
        check.authentic = True
        if not known:
            check.received += MESSAGE_COST  # `heard` found no room for it
        if check.next_at is None and not check.proven and now >= check.rests_until - REST + SHORT_REST:
            check.tries = 0
            self._challenge_candidate(check, now)

    def _on_response(self, nonce: bytes, path: Path, now: float) -> None:
        address = path[1]
        if self._expected is not None and self._is_expected(path):
            if self._expected.sent_at(nonce) is not None:
                self._move(self._expected, now)
            return
        if address == self.path[1]:
            if self._current.sent_at(nonce) is not None:
                self._answered_at = now
                self._prefer_current(now)
                if self.confirming:
                    self.confirming = False
                    self._current.next_at = None
                    self._events.append(PathConfirmed())
            return
        previous = self._previous
        if previous is not None and previous.path[1] == address and previous.sent_at(nonce) is not None:
            # It never left: what we followed was a copy.
            self._move(previous, now, keep_previous=False)
            return
        check = self._candidates.get(address)
        if check is None or check.proven or (asked := check.sent_at(nonce)) is None:
            return
        check.proven = True
        check.next_at = None
        if self._answered_at >= check.since:
            self._rest(check, now)
        elif self._decision is None:
            grace = min(max(2 * (now - asked), MIN_GRACE), MAX_GRACE)
            self._decision = (max(asked + grace, now), address)

    def _prefer_current(self, now: float) -> None:
        check = self._candidates.get(self._decision[1]) if self._decision is not None else None
        self._decision = None
        if check is not None:
            self._rest(check, now)

    # Candidates

    def _candidate(self, path: Path, now: float, *, authentic: bool = False) -> _Check | None:
        check = self._candidates.get(path[1])
        if check is not None:
            return check
        if len(self._candidates) >= MAX_CANDIDATES and not self._make_room(now, authentic=authentic):
            return None
        check = self._candidates[path[1]] = _Check(path, now)
        return check

    def _make_room(self, now: float, *, authentic: bool) -> bool:
        """Whoever only guesses must not crowd the peer out; what has had its time goes first."""
        for check in self._candidates.values():
            if (authentic and not check.authentic) or (check.next_at is None and not check.proven):
                del self._candidates[check.path[1]]
                return True
        return False

    def _challenge_candidate(self, check: _Check, now: float) -> None:
        if check.tries == 0:
            check.since = now
            if self._current.next_at is None:
                self._current.tries = 0
                self._challenge(self._current, now)
        self._challenge(check, now)

    def _hurry(self, check: _Check, now: float) -> None:
        """Challenge before the next repeat, but seldom: the peer does the same when it hears ours, and so on."""
        if now - check.hurried_at >= FIRST_REPEAT:
            check.hurried_at = now
            self._challenge(check, now)

    def _challenge(self, check: _Check, now: float) -> None:
        check.next_at = now + min(FIRST_REPEAT * 2 ** min(check.tries, _MOST_DOUBLINGS), LAST_REPEAT)
        check.tries += 1
        if check.may_spend():
            check.sent += MESSAGE_COST
            nonce = self._random.randbytes(NONCE_BYTES)
            check.nonces.append((nonce, now))
            self._out.append((check.path, bytes((Kind.CHALLENGE,)) + nonce))

    @staticmethod
    def _rest(check: _Check, now: float) -> None:
        check.proven = False
        check.next_at = None
        check.nonces.clear()
        check.rests_until = now + REST

    def _move(self, check: _Check, now: float, *, keep_previous: bool = True) -> None:
        left = self._current
        self._candidates.pop(check.path[1], None)
        if keep_previous:
            left.tries = 1
            left.next_at = now + FIRST_REPEAT
            self._previous = left
        else:
            self._rest(left, now)
            self._candidates[left.path[1]] = left
            self._previous = None
        check.proven, check.next_at = True, None
        self._current, self.path = check, check.path
        self._decision = self._expected = None
        self.confirming = False
        self._moves.append(now)
        self._events.append(PathMoved(self.path))

    # Time

    def _checks(self) -> Iterable[_Check]:
        yield self._current
        if self._previous is not None:
            yield self._previous
        if self._expected is not None:
            yield self._expected
        yield from self._candidates.values()

    def get_timer(self) -> float | None:
        times = [check.next_at for check in self._checks() if check.next_at is not None]
        if self._decision is not None:
            times.append(self._decision[0])
        return min(times, default=None)

    def handle_timer(self, now: float) -> None:
        if self._decision is not None and self._decision[0] <= now:
            self._decide(now)
        for check in list(self._checks()):
            if check.next_at is not None and check.next_at <= now:
                self._repeat(check, now)

    def _decide(self, now: float) -> None:
        assert self._decision is not None
        check = self._candidates.get(self._decision[1])
        self._decision = None
        if check is None:
            return
        if len(self._moves) == MOVES_PER_MINUTE and now - self._moves[0] < 60.0:
            self._rest(check, now)
        else:
            self._move(check, now)

    def _repeat(self, check: _Check, now: float) -> None:
        if check.tries < TRIES or (check is self._current and self.confirming):
            self._challenge(check, now)
        elif check is self._current:
            check.next_at = None
        elif check is self._expected:
            if check.tries < EXPECTED_TRIES:
                self._challenge(check, now)
            else:
                self._expected = None
        elif check is self._previous:
            self._previous = None
        else:
            self._rest(check, now)
