"""All the paths of one stream, and which of them it sends on now: direct, in the own network, by IPv6, through a relay.

Ours: what the original decides in three places (docs/wire/hyperdht.md 5.10 and 6.7; `confirmDirectUpgrade` of
hyperdht/lib/relay-connection.js 6.34.0), and what it lacks: following a peer, and another relay when one goes.

    RELAYED ── found a direct path ─→ MOVING ── heard and acknowledged there ─→ DIRECT
       │ ↖──── it leads one way only ────┘                                        │ ↖─┐ followed (path_validation)
       └─ nothing comes, the relay went ─→ LOST ── another relay, a direct path    └───┘
                                            └── nothing in time: GiveUp

Feed it what arrives and what others find; then take `commands`, and set a timer to `get_timer`. The first path is its
first MoveTo. While a path through a relay is in use, nothing is challenged: an address there is nobody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from random import Random

from qvac_core.rendezvous.addresses import is_private
from qvac_core.rendezvous.path_validation import Path, PathConfirmed, PathMoved, PathValidation

MOVE_LIMIT = 4.0
"""Seconds for a direct path to prove itself in both directions; three retransmissions fit in."""
ASK_AFTER, SILENT_AFTER, HOPELESS_AFTER = 1.5, 4.0, 8.0
"""Seconds in which nothing comes through the relay: then the peer is asked for a sign of life; two of ours look for
another way; towards the original the connection is given up, which takes UDX alone 13 to 18."""
WAIT_LIMIT = 12.0
"""Seconds that a stream waits for another path. UDX gives up 13 after it sent what nobody acknowledges."""
CONFIRM_LIMIT = 3.0
"""Seconds in which the peer must be heard after our network changed; three retransmissions fit in."""
MEET_AFTER = 0.8
"""Seconds for the peer to follow by itself, before we look for each other through the network."""
LOST_GRACE, SHORT_GRACE = 1.5, 0.3
"""Seconds after the relay went in which the stream may still end in order: what it carried may be on its way."""
MAX_MOVES = 4
"""Tries of direct paths that a stranger's packets may cause, until `try_again`."""
_CHECK_EVERY = 0.5
_SHOW_EVERY = 0.5


class Kind(StrEnum):
    DIRECT = "direct"
    LAN = "local network"
    IPV6 = "ipv6"
    RELAY = "relay"


class Phase(Enum):
    RELAYED = auto()
    LOST = auto()
    """The relay is gone, and nothing else is there yet."""
    MOVING = auto()
    """On a direct path that has not proven itself yet."""
    DIRECT = auto()
    OVER = auto()


class Why(Enum):
    LEFT_BEHIND = auto()
    """Our network changed, and the peer does not answer on the new one."""
    RELAY_LOST = auto()
    """The relay went away, and no other way was found."""


@dataclass(frozen=True, slots=True)
class MoveTo:
    """Everything goes there from now on; `remote_id` is the stream's number there, None: the one it has."""

    path: Path
    kind: Kind
    remote_id: int | None


@dataclass(frozen=True, slots=True)
class Send:
    """A message for the peer's set, to be sealed."""

    path: Path
    message: bytes


@dataclass(frozen=True, slots=True)
class Show:
    """An empty message: the peer sees where we are."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Something that the peer acknowledges."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What was acknowledged until now says nothing about the path."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The peer is there, on the path in use: who looks for it may stop."""


@dataclass(frozen=True, slots=True)
class LeaveRelay:
    """The relay in use ends the pair, or is not needed: let it go in order."""


@dataclass(frozen=True, slots=True)
class Settled:
    """From a relay to a direct path for good."""


@dataclass(frozen=True, slots=True)
class WantDirect:
    """The peer has to be met anew, through the network."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    why: Why


Command = MoveTo | Send | Show | Ask | Doubt | Heard | LeaveRelay | Settled | WantDirect | GiveUp


@dataclass(frozen=True, slots=True)
class Relayed:
    """How a stream that begins on a relay may go on: its number on direct paths, and whether the peer can be met anew
    for this stream."""

    direct_id: int
    resumable: bool


def kind_of(path: Path, before: Kind = Kind.DIRECT) -> Kind:
    """What a path without a relay is, for a stream that was on a path of the kind `before`."""
    host = path[1][0]
    if ":" in host:
        return Kind.IPV6
    return Kind.LAN if before is Kind.LAN and is_private(host) else Kind.DIRECT


class PathSet:
    """One stream's. `relayed` is given when it begins on a relay, whose path is then `path`."""

    def __init__(
        self, path: Path, kind: Kind, remote_id: int, random: Random, now: float, relayed: Relayed | None = None
    ) -> None:
        assert (kind is Kind.RELAY) == (relayed is not None)
        self.path = path
        self.kind = kind
        self.relays: set[Path] = set()
        """What comes from there comes through a relay, and shows no way."""
        self.validation = PathValidation(path, random)
        self.phase = Phase.DIRECT
        self._commands: list[Command] = [MoveTo(path, kind, remote_id)]
        self._relayed = relayed
        self._relay = (path, remote_id)
        self._relay_lost = False
        self._moves = 0
        self._heard_there = False
        self._deadline = 0.0
        self._due_at: float | None = None
        """When the phase has to be looked at: a grace, a repeat, the end of a wait."""
        self._patience_at: float | None = None
        self._check_at: float | None = None
        self._received = 0
        self._heard_at = now
        if relayed is not None:
            self.phase = Phase.RELAYED
            self.relays.add(path)
            self._check_at = now + _CHECK_EVERY

    def commands(self) -> list[Command]:
        """In order; each is to be obeyed once."""
        commands, self._commands = self._commands, []
        return commands

    @property
    def settled(self) -> bool:
        return self.phase in (Phase.DIRECT, Phase.OVER)

    @property
    def through_relay(self) -> bool:
        """The path that is told to users: a direct one counts when it has proven itself."""
        return self._relayed is not None and not self.settled

    @property
    def resumable(self) -> bool:
        return self._relayed is not None and self._relayed.resumable

    @property
    def direct_id(self) -> int | None:
        return self._relayed.direct_id if self._relayed is not None else None

    @property
    def peer_follows(self) -> bool:
        """Whether the peer has shown that it speaks this language."""
        return self.validation.peer_follows

    @property
    def watching(self) -> bool:
        """Whether it wants to hear of packets from the usual address, too."""
        return self._patience_at is not None or self.validation.confirming or not self.settled

    # What arrives

    def hello(self) -> None:
        """Once, when the stream is open and direct: let the peer know that we answer challenges."""
        if not self.through_relay:
            self.validation.hello()
            self._pass_on()

    def heard(self, path: Path, size: int, now: float, *, acknowledged: bool) -> None:
        """`size` bytes for the stream, true or not. `acknowledged`: the peer has everything since the last move."""
        if not self.settled and path not in self.relays:
            if self.phase in (Phase.RELAYED, Phase.LOST):
                self._try(path, now)
            elif self.phase is Phase.MOVING:
                self._heard_there = self._heard_there or path == self.path
                if self._heard_there and acknowledged:
                    self._settle(now)
        if (self._patience_at is not None or self.validation.confirming) and acknowledged:
            self._confirmed()
        if not self.through_relay and path[1] != self.path[1] and path not in self.relays:
            self.validation.heard(path, size, now)
            self._pass_on()

    def receive(self, message: bytes, path: Path, now: float) -> None:
        """A message that the peer sealed. Its bytes have been told to `heard` before."""
        if not self.through_relay:
            self.validation.receive(message, path, now)
            self._pass_on()

    # What others know

    def expect_relay(self, path: Path) -> None:
        """A relay is there that may carry the stream: its word that our partner is there may be overtaken."""
        self.relays.add(path)

    def found(self, path: Path, kind: Kind, now: float, remote_id: int | None = None) -> None:
        """A path that is believed to work: by a ping, a punch, a packet; or another relay, with the stream's number.

        For a stream that is on a relay, or has lost it; a direct one stays where it is.
        """
        if kind is Kind.RELAY:
            assert remote_id is not None
            self._found_relay(path, remote_id, now)
        else:
            self._try(path, now)

    def expect(self, path: Path, now: float) -> None:
        """The peer was met anew: a direct stream goes there when the peer proves itself there, in both directions."""
        if self.phase is Phase.DIRECT:
            self.validation.expect(path, now)
            self._pass_on()

    def lost(self, path: Path, now: float) -> None:
        """The relay there is gone, or has ended the pair."""
        if self._relayed is None or path != self._relay[0]:
            return
        self._relay_lost = True
        if self.phase is Phase.RELAYED:
            self._due_at = now + (SHORT_GRACE if self.resumable else LOST_GRACE)
            if self.resumable:
                self._commands.append(LeaveRelay())  # so that a relay which closes need not end the stream for us

    def network_changed(self, now: float) -> None:
        """Our own addresses changed, or the machine slept."""
        self._commands += [Ask(), Heard()]  # who looks for the peer begins anew
        self._patience_at = now + (MEET_AFTER if self.peer_follows else CONFIRM_LIMIT)
        if not self.through_relay:
            self.validation.confirm(now)
            self._pass_on()

    def silent(self, now: float) -> None:
        """Nothing comes any more on a direct path, though something should; told more than once."""
        if self.peer_follows and self.phase is Phase.DIRECT and not self.watching:
            self._commands.append(Doubt())
            self.validation.confirm(now)
            self._pass_on()
            self._left_behind(now)

    def try_again(self) -> None:
        """Direct paths that failed before may be tried once more."""
        self._moves = 0

    def give_up(self) -> None:
        """There is no other way."""
        if not self.settled:
            self._commands.append(GiveUp(Why.RELAY_LOST))

    def over(self) -> None:
        """The stream has ended."""
        self.phase = Phase.OVER
        self._due_at = self._patience_at = self._check_at = None

    # Off the relay, and back

    def _try(self, path: Path, now: float) -> None:
        if self.phase not in (Phase.RELAYED, Phase.LOST) or path in self.relays or self._moves >= MAX_MOVES:
            return
        assert self._relayed is not None
        self._moves += 1
        self.phase = Phase.MOVING
        self._heard_there = False
        self._deadline = now + MOVE_LIMIT
        # Something to be acknowledged; a JavaScript peer lets the relay go when data comes directly.
        self._move(path, kind_of(path), self._relayed.direct_id)
        self._commands.append(Ask())
        self._due_at = now + _SHOW_EVERY

    def _move(self, path: Path, kind: Kind, remote_id: int | None) -> None:
        self.path, self.kind = path, kind
        self._commands.append(MoveTo(path, kind, remote_id))

    def _found_relay(self, path: Path, remote_id: int, now: float) -> None:
        if self.settled:
            return
        self._relay, self._relay_lost = (path, remote_id), False
        self.relays.add(path)
        if self.phase is not Phase.MOVING:
            self._through_relay(now)

    def _through_relay(self, now: float) -> None:
        self._due_at = None
        self._heard_at = now
        self.phase = Phase.RELAYED
        self._move(self._relay[0], Kind.RELAY, self._relay[1])
        self._commands.append(Ask())

    def _settle(self, now: float) -> None:
        self.phase = Phase.DIRECT
        self._due_at = self._check_at = None
        if self.path != self.validation.path:
            self.validation.set_path(self.path)
        self.hello()
        # The peer may be waiting for a word on this path.
        self._commands += [Show(), LeaveRelay(), Settled()]

    def _lose(self, now: float) -> None:
        if self.phase is not Phase.RELAYED:
            return
        if self.resumable:
            self.phase = Phase.LOST
            self._due_at = now + WAIT_LIMIT
        else:
            self.give_up()

    # Following

    def _confirmed(self) -> None:
        self._patience_at = None
        self.validation.stop_confirming()
        self._commands.append(Heard())

    def _left_behind(self, now: float) -> None:
        self._patience_at = None
        if not self.settled and self.resumable:
            self._lose(now)  # the relay does not follow us
        elif self.through_relay or not self.peer_follows:
            self._commands.append(GiveUp(Why.LEFT_BEHIND))
        else:
            # A NAT lets nobody in whom it does not know: where we are now must be made known through the network.
            self._commands.append(WantDirect())

    def _pass_on(self) -> None:
        self._commands += [Send(path, message) for path, message in self.validation.transmissions()]
        while (event := self.validation.next_event()) is not None:
            if isinstance(event, PathMoved):
                self._move(event.path, kind_of(event.path, self.kind), None)
                self._confirmed()
            elif isinstance(event, PathConfirmed):
                self._confirmed()

    # Time

    def get_timer(self) -> float | None:
        own = self.validation.get_timer() if not self.through_relay else None
        times = (self._due_at, self._patience_at, self._check_at, own)
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float, *, received: int, unacked: int) -> None:
        """`received`: packets that ever came; `unacked`: bytes that the peer has not acknowledged."""
        if self._check_at is not None and self._check_at <= now:
            self._check(now, received, unacked)
        if self._due_at is not None and self._due_at <= now:
            self._due_at = None
            self._on_due(now)
        if self._patience_at is not None and self._patience_at <= now:
            self._left_behind(now)
        if not self.through_relay:
            self.validation.handle_timer(now)
            self._pass_on()

    def _on_due(self, now: float) -> None:
        if self.phase is Phase.RELAYED:
            self._lose(now)
        elif self.phase is Phase.LOST:
            self.give_up()
        elif self.phase is Phase.MOVING:
            if now < self._deadline or (self._relay_lost and not self.resumable):
                self._commands.append(Show())
                self._due_at = now + _SHOW_EVERY
            elif self._relay_lost:
                self.phase = Phase.RELAYED
                self._lose(now)
            else:
                self._through_relay(now)

    def _check(self, now: float, received: int, unacked: int) -> None:
        """Whether anything comes through the relay. Its own connection would tell much later, or never."""
        self._check_at = now + _CHECK_EVERY
        if received != self._received:
            self._received, self._heard_at = received, now
        if self.phase is not Phase.RELAYED:
            return
        silent = now - self._heard_at
        if silent >= ASK_AFTER and unacked == 0:
            self._commands.append(Ask())
        if unacked and silent >= (SILENT_AFTER if self.resumable else HOPELESS_AFTER):
            self._lose(now)
