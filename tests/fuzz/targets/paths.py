"""Target: the set of a stream's paths under a peer, relays, strangers and a clock that do as they like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

from qvac_core.rendezvous.path_set import (
    MAX_MOVES,
    WAIT_LIMIT,
    GiveUp,
    Kind,
    MoveTo,
    PathSet,
    Phase,
    Relayed,
    Send,
)
from qvac_core.rendezvous.path_validation import NONCE_BYTES, Path
from qvac_core.rendezvous.path_validation import Kind as MessageKind
from tests.fuzz.script import Script
from tests.fuzz.target import Target

HERE: Path = (1, ("20.0.0.1", 1000))
RELAY: Path = (1, ("20.0.0.9", 9000))
PLACES: tuple[Path, ...] = (
    HERE,
    RELAY,
    (1, ("20.0.0.2", 2000)),
    (1, ("20.0.0.3", 3000)),
    (2, ("192.168.1.7", 4000)),
    (2, ("2a00::1", 5000)),
    *((1, ("20.0.1.1", port)) for port in range(6000, 6006)),
)
DIRECT_ID, RELAY_ID = 7, 100
AMPLIFICATION, MESSAGE_COST = 3, 53
"""Written again, so that a number which moves there does not move here."""
_MAX_STEPS = 120


class Life:
    """One set, and what may be said of it whatever happens."""

    def __init__(self, *, relayed: bool, resumable: bool) -> None:
        self.now = 100.0
        first, kind = (RELAY, Kind.RELAY) if relayed else (HERE, Kind.DIRECT)
        how = Relayed(DIRECT_ID, resumable) if relayed else None
        self.set = PathSet(first, kind, RELAY_ID, Random(1), self.now, how)
        self.relay_ids: dict[Path, int] = {RELAY: RELAY_ID} if relayed else {}
        self.trusted = {first}
        """Where the stream was, or where somebody said that the peer is."""
        self.shown: set[Path] = set()
        self.asked: set[tuple[Path, bytes]] = set()
        """Challenges that went somewhere."""
        self.answered: set[Path] = set()
        self.given: Counter[Path] = Counter()
        self.spent: Counter[Path] = Counter()
        self.tries = 0
        self.gave_up = False
        self.take()

    def take(self) -> None:
        for command in self.set.commands():
            if isinstance(command, Send):
                self.sent(command)
            elif isinstance(command, MoveTo):
                self.moved(command)
            self.gave_up = self.gave_up or isinstance(command, GiveUp)
        assert self.set.path == self.path
        assert self.set.through_relay == (self.set.phase in (Phase.RELAYED, Phase.LOST, Phase.MOVING))

    def sent(self, command: Send) -> None:
        self.spent[command.path] += MESSAGE_COST
        if command.message[0] == MessageKind.CHALLENGE:
            self.asked.add((command.path, command.message[1:]))
        if command.path not in self.trusted:
            bound = AMPLIFICATION * self.given[command.path]
            assert self.spent[command.path] <= bound, "a stranger made us say more than it may"

    def moved(self, command: MoveTo) -> None:
        self.path = command.path
        if command.kind is Kind.RELAY:
            assert command.remote_id == self.relay_ids[command.path]
        elif command.remote_id is None:
            assert command.path in self.answered, "followed to where nobody answered"
        elif command.path in self.shown:
            assert command.path not in self.set.relays
            assert command.remote_id == DIRECT_ID
            self.tries += 1
            assert self.tries <= MAX_MOVES
        else:
            assert command.path in self.trusted
        self.trusted.add(command.path)

    def heard(self, path: Path, size: int, *, acknowledged: bool) -> None:
        self.given[path] += size
        if not self.set.settled:
            self.shown.add(path)
        self.set.heard(path, size, self.now, acknowledged=acknowledged)
        self.take()

    def say(self, message: bytes, path: Path) -> None:
        self.heard(path, MESSAGE_COST, acknowledged=False)
        if (path, message[1:]) in self.asked and message[:1] == bytes((MessageKind.RESPONSE,)):
            self.answered.add(path)
        self.set.receive(message, path, self.now)
        self.take()

    def relay_found(self, path: Path, number: int) -> None:
        if not self.set.settled:
            self.relay_ids[path] = number
            self.trusted.add(path)
        self.set.found(path, Kind.RELAY, self.now, number)
        self.take()

    def wait(self, seconds: float, *, unacked: int = 0) -> None:
        end = self.now + seconds
        for _ in range(2000):
            when = self.set.get_timer()
            if when is None or when > end:
                break
            self.now = max(self.now, when)
            self.set.handle_timer(self.now, received=0, unacked=unacked)
            self.take()
        else:
            raise AssertionError("its timer does not advance")
        self.now = end


def path_set(data: bytes) -> None:
    script = Script(data)
    life = Life(relayed=script.flag(), resumable=script.flag())
    for _ in range(_MAX_STEPS):
        if script.done or life.set.phase is Phase.OVER:
            break
        place = PLACES[script.byte() % len(PLACES)]
        match script.byte() % 16:
            case 0 | 1:
                life.heard(place, script.byte() * 8, acknowledged=script.flag())
            case 2:
                life.say(bytes((script.byte() % 4,)) + script.fixed(NONCE_BYTES), place)
            case 3 | 4:
                nonces = sorted(nonce for path, nonce in life.asked if path == place or script.byte() % 8 == 0)
                if nonces:
                    life.say(bytes((MessageKind.RESPONSE,)) + script.choice(nonces), place)
            case 5:
                life.say(bytes((MessageKind.CHALLENGE,)) + bytes(NONCE_BYTES), place)
            case 6 | 7:
                life.shown.add(place)
                life.set.found(place, Kind.DIRECT, life.now)
            case 8:
                life.relay_found(place, script.uint16())
            case 9:
                life.set.expect_relay(place)
            case 10:
                life.set.lost(place, life.now)
            case 11:
                life.set.network_changed(life.now)
            case 12:
                life.set.silent(life.now)
            case 13:
                life.trusted.add(place)
                life.set.expect(place, life.now)
            case 14:
                life.tries = 0
                life.set.try_again()
            case _:
                life.wait(script.byte() / 16, unacked=script.byte() % 2)
        life.take()
    if life.set.phase is Phase.LOST:
        life.wait(WAIT_LIMIT)
        assert life.gave_up or life.set.phase is not Phase.LOST, "it waits for ever"
    life.set.over()
    assert life.set.settled


def _seeds() -> Iterator[bytes]:
    yield b"\x00\x00" + b"\x02\x00\x40\x00" + b"\x02\x03\x00" + b"\x00\x0f\xff\x00"
    yield b"\x00\x00" + b"\x02\x05" + b"\x02\x0f\x10\x00" + b"\x02\x03\x00" + b"\x02\x0f\xff\x00" + b"\x00\x0b"
    yield b"\x01\x01" + b"\x02\x06" + b"\x02\x00\x20\x01" + b"\x02\x0b" + b"\x00\x0f\xff\x00"
    yield b"\x01\x01" + b"\x01\x0a" + b"\x00\x0f\xff\x01" + b"\x06\x08\x05\x00" + b"\x00\x0f\xff\x01"
    yield b"\x01\x00" + b"\x01\x0a" + b"\x00\x0f\xff\x01" + b"\x03\x00\x10\x00" + b"\x00\x0f\xff\x01"
    yield b"\x00\x00" + b"\x03\x0d" + b"\x03\x03\x00" + b"\x00\x0c" + b"\x00\x0f\xff\x00"


_MODULES = ("qvac_core.rendezvous.path_set", "qvac_core.rendezvous.path_validation")

TARGETS = [Target("path_set", path_set, _MODULES, _seeds, 512)]
