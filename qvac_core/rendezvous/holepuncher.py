"""One side of a hole punch: which probes leave which sockets when, and which path came of it.

From docs/wire/hyperdht.md section 6.5 (hyperdht/lib/holepuncher.js 6.34.0). Ours never tries a port twice in one round
of random probes.

    IDLE ── punch() ──> PUNCHING ── all tries made ──> ENDED
      └───────────────────┴── a probe arrives (the connecting side only) ──> CONNECTED
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from random import Random

from qvac_core.codec import Address
from qvac_core.rendezvous.addresses import is_dialable, is_reserved
from qvac_core.rendezvous.constants import Firewall
from qvac_core.rendezvous.nat import Nat

PROBE = b"\x00"
LOW_TTL = 5
"""Enough hops to open a mapping in our own NAT, too few to reach the peer's and be taken for an attack there."""

BIRTHDAY_SOCKETS = 256
RANDOM_TRIES = 1750
RANDOM_INTERVAL = 0.02
_MAX_CATCH_UP = 0.1
_BIRTHDAY_PAUSE = 0.1
_CONSISTENT_TRIES = 10
_CONSISTENT_INTERVAL = 1.0
_UNVERIFIED_EVERY = 4
_RANDOM_PORTS = range(1000, 65536)
_MAX_REMOTE_ADDRESSES = 8
_MAX_ANSWERS = 512
"""Probes answered with a probe. Two that are being reached would play ball with a forged one until both give up."""


class State(Enum):
    IDLE = auto()
    PUNCHING = auto()
    CONNECTED = auto()
    ENDED = auto()


class Method(Enum):
    CONSISTENT = auto()
    """Both sides keep their ports: probe the addresses they told each other."""
    RANDOM_PROBES = auto()
    """The peer has a port of its own for every destination: guess one of its many."""
    BIRTHDAY = auto()
    """We are that peer: open many sockets, so that there is something to guess."""


def coerce(firewall: Firewall) -> Firewall:
    """Nothing in the way is, for punching, the same as a NAT that keeps its ports."""
    return Firewall.CONSISTENT if firewall is Firewall.OPEN else firewall


def choose_method(local: Firewall, remote: Firewall, *, verified: bool) -> Method | None:
    match coerce(local), coerce(remote):
        case Firewall.CONSISTENT, Firewall.CONSISTENT:
            return Method.CONSISTENT
        case Firewall.CONSISTENT, Firewall.RANDOM if verified:
            return Method.RANDOM_PROBES
        case Firewall.RANDOM, Firewall.CONSISTENT if verified:
            return Method.BIRTHDAY
    return None


@dataclass(frozen=True, slots=True)
class Probe:
    """One byte to be sent from `socket`."""

    socket: int
    to: Address
    low_ttl: bool = False


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """`verified`: the peer has shown that it receives at this host."""

    address: Address
    verified: bool


class Holepuncher:
    """Sockets are numbers here: the owner opens them, sends what `transmissions` gives, and closes what we let go."""

    def __init__(
        self, *, initiator: bool, firewalled: bool, remote_firewall: Firewall, socket: int, random: Random
    ) -> None:
        self.initiator = initiator
        self.state = State.IDLE
        self.method: Method | None = None
        self.path: tuple[int, Address] | None = None
        """The winning socket and the peer's address, once CONNECTED."""
        self.socket = socket
        self.sockets = [socket]
        self.nat = Nat(firewalled=firewalled)
        self.remote_firewall = remote_firewall
        self.remote_addresses: tuple[RemoteAddress, ...] = ()
        self.remote_punching = False
        self._firewalled = firewalled
        self._random = random
        self._outbox: list[Probe] = []
        self._tries = 0
        self._answers = 0
        self._timer: float | None = None
        self._ports: list[int] = []
        self._turn = 0
        self._low_ttl_round = True

    # The two views

    @property
    def unstable(self) -> bool:
        """With this view of our own NAT there is nothing to be done: another socket may fare better."""
        own = self.nat.firewall
        both_random = self.remote_firewall is Firewall.RANDOM and own is Firewall.RANDOM
        return both_random or own is Firewall.UNKNOWN

    @property
    def is_random(self) -> bool:
        return Firewall.RANDOM in (self.remote_firewall, self.nat.firewall)

    def update_remote(
        self, *, punching: bool, firewall: Firewall, addresses: Sequence[Address] | None, verified_host: str | None
    ) -> None:
        """What the peer says of itself. A host once verified stays so as long as the peer names it."""
        known = {remote.address[0] for remote in self.remote_addresses if remote.verified}
        usable = [a for a in addresses or () if is_dialable(a) or (a[1] == 0 and not is_reserved(a[0]))]
        self.remote_addresses = tuple(
            RemoteAddress(address, address[0] == verified_host or address[0] in known)
            for address in usable[:_MAX_REMOTE_ADDRESSES]
        )
        self.remote_firewall = firewall
        self.remote_punching = punching

    @property
    def verified_address(self) -> Address | None:
        return next((remote.address for remote in self.remote_addresses if remote.verified), None)

    def reopen(self, socket: int) -> int:
        """Start over from a fresh socket; the old one would meet the same mapping again. Returns the one let go."""
        old, self.socket = self.socket, socket
        self.sockets = [socket]
        self.nat = Nat(firewalled=self._firewalled)
        return old

    # Punching

    def probe(self, to: Address, *, low_ttl: bool = False) -> None:
        """One probe at once: to open a session in our NAT (low TTL), or to answer one that the peer has opened."""
        if is_dialable(to):
            self._outbox.append(Probe(self.socket, to, low_ttl))

    def next_method(self) -> Method | None:
        """What `punch` would do, None when it cannot."""
        if not self.remote_addresses:
            return None
        address = self.verified_address
        method = choose_method(self.nat.firewall, self.remote_firewall, verified=address is not None)
        if method is Method.BIRTHDAY and (address is None or not is_dialable(address)):
            return None  # a port-keeping peer that names no port: 256 sockets would have nowhere to aim
        return method

    def punch(self, now: float) -> bool:
        """Begin, once. False: there is no way for these two NATs."""
        if self.state is not State.IDLE:
            return self.state in (State.PUNCHING, State.CONNECTED)
        self.method = self.next_method()
        match self.method:
            case None:
                return False
            case Method.CONSISTENT:
                # The reached side has sent one in "fast mode" just now.
                self._timer = now if self.initiator else now + _CONSISTENT_INTERVAL
            case Method.RANDOM_PROBES:
                self._ports = self._random.sample(_RANDOM_PORTS, RANDOM_TRIES)
                self._timer = now
            case Method.BIRTHDAY:
                self._timer = now + _BIRTHDAY_PAUSE
        self.state = State.PUNCHING
        if self._timer == now:
            self.handle_timer(now)
        return True

    @property
    def sockets_wanted(self) -> int:
        """How many sockets the birthday punch still lacks."""
        if self.state is not State.PUNCHING or self.method is not Method.BIRTHDAY:
            return 0
        return BIRTHDAY_SOCKETS - len(self.sockets)

    def add_socket(self, socket: int) -> None:
        """One more for the birthday punch; it opens a mapping at once."""
        self.sockets.append(socket)
        address = self.verified_address
        if address is not None and is_dialable(address):
            self._outbox.append(Probe(socket, address, low_ttl=True))

    def receive_probe(self, socket: int, source: Address) -> None:
        """A probe arrived: the first one decides for the connecting side; the other side answers each."""
        if socket not in self.sockets or self.state is State.ENDED or not is_dialable(source):
            return
        if not self.initiator:
            if self._answers < _MAX_ANSWERS:
                self._answers += 1
                self._outbox.append(Probe(socket, source))
        elif self.state is not State.CONNECTED:
            self.state = State.CONNECTED
            self.path = (socket, source)
            self._timer = None

    def end(self) -> None:
        if self.state is not State.CONNECTED:
            self.state = State.ENDED
        self._timer = None
        self._outbox.clear()

    def transmissions(self) -> list[Probe]:
        outbox, self._outbox = self._outbox, []
        return outbox

    def get_timer(self) -> float | None:
        return self._timer

    def handle_timer(self, now: float) -> None:
        if self.state is not State.PUNCHING or self._timer is None or self._timer > now:
            return
        if self._tries >= (_CONSISTENT_TRIES if self.method is Method.CONSISTENT else RANDOM_TRIES):
            self.end()
            return
        self._tries += 1
        match self.method:
            case Method.CONSISTENT:
                self._probe_addresses()
                self._timer = now + _CONSISTENT_INTERVAL
            case Method.RANDOM_PROBES:
                self._probe_random_port()
                self._timer = _next_try(self._timer, now)
            case _:
                self._probe_from_next_socket()
                self._timer = _next_try(self._timer, now)

    def _probe_addresses(self) -> None:
        for remote in self.remote_addresses:
            if remote.verified or self._tries % _UNVERIFIED_EVERY == 0:
                self.probe(remote.address)

    def _probe_random_port(self) -> None:
        address = self.verified_address
        if address is not None:
            self.probe((address[0], self._ports.pop()))

    def _probe_from_next_socket(self) -> None:
        address = self.verified_address
        if self._turn >= len(self.sockets):
            self._turn = 0
            self._low_ttl_round = False
        if address is not None and is_dialable(address):
            self._outbox.append(Probe(self.sockets[self._turn], address, self._low_ttl_round))
        self._turn += 1


def _next_try(due: float, now: float) -> float:
    """Late timers catch up, for the odds depend on the number of tries; but not with a burst after a long pause."""
    return max(due, now - _MAX_CATCH_UP) + RANDOM_INTERVAL


class RandomPunches:
    """Punches with random ports are loud: one at a time on a node, and a rest after each."""

    LIMIT = 1
    INTERVAL = 20.0

    __slots__ = ("_last", "_running")

    def __init__(self) -> None:
        self._running = 0
        self._last = float("-inf")

    def allowed(self, now: float) -> bool:
        return self._running < self.LIMIT and now - self._last >= self.INTERVAL

    def begin(self) -> None:
        self._running += 1

    def end(self, now: float, *, punched: bool = True) -> None:
        """`punched` False: it never came to probes, so that no rest is needed."""
        self._running -= 1
        if punched:
            self._last = now
