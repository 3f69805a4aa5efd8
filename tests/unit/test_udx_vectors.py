"""Our stream in the place of either end of the captured udx-native conversations.

Where the protocol determines a packet, ours has the same bytes; where timing decided (which ACK left when), the
fields that matter are compared.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qvac_core.udx import Closed, DataReceived, EndReceived, Event, MessageReceived, Stream
from qvac_core.udx.packet import TYPE_DATA, TYPE_SACK, decode_packet

CAPTURES: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "vectors" / "vectors.json").read_text())[
    "udx"
]
NOW = 50.0


def packets(capture: int, sender: str) -> list[bytes]:
    return [bytes.fromhex(p["hex"]) for p in CAPTURES[capture]["packets"] if p["from"] == sender and "cut" not in p]


class Side:
    """A stream whose reader keeps up, so that it offers the whole window as the original does."""

    def __init__(self, capture: int, side: str) -> None:
        ids = (CAPTURES[capture]["idA"], CAPTURES[capture]["idB"])
        local, remote = ids if side == "a" else ids[::-1]
        self.stream = Stream(local, now=NOW)
        self.stream.connect(remote, NOW)
        self._events: list[Event] = []

    def events(self) -> list[Event]:
        while (event := self.stream.next_event()) is not None:
            self._events.append(event)
            if isinstance(event, DataReceived):
                self.stream.consumed(len(event.data))
        seen, self._events = self._events, []
        return seen

    def hear(self, *datagrams: bytes, at: float = NOW) -> list[bytes]:
        self.stream.receive_datagrams(datagrams, at)
        self._events = self.events()
        return self.stream.datagrams_to_send(at)


def test_conversation_as_a() -> None:
    mine, theirs = packets(0, "a"), packets(0, "b")
    a = Side(0, "a")
    a.stream.write(b"hello", NOW)
    assert a.stream.datagrams_to_send(NOW) == mine[0:1]
    assert a.hear(theirs[0], at=NOW + 0.01) == []
    assert a.hear(theirs[1], at=NOW + 0.05) == mine[1:2]
    assert a.events() == [DataReceived(b"world")]
    a.stream.send_message(b"unordered", NOW + 0.1)
    assert a.stream.datagrams_to_send(NOW + 0.1) == mine[2:3]
    a.stream.end(NOW + 0.15)
    assert a.stream.datagrams_to_send(NOW + 0.15) == mine[3:4]
    assert a.hear(theirs[2], at=NOW + 0.16) == mine[4:5]
    assert a.hear(theirs[3], at=NOW + 0.2) == mine[5:6]
    assert a.events() == [DataReceived(b"bye"), EndReceived(), Closed(None)]
    assert len(mine) == 6 and len(theirs) == 4


def test_conversation_as_b() -> None:
    mine, theirs = packets(0, "b"), packets(0, "a")
    b = Side(0, "b")
    assert b.hear(theirs[0]) == mine[0:1]
    b.stream.write(b"world", NOW)
    assert b.stream.datagrams_to_send(NOW) == mine[1:2]
    assert b.hear(theirs[1], at=NOW + 0.01) == []
    assert b.hear(theirs[2], at=NOW + 0.02) == []
    assert b.events() == [DataReceived(b"hello"), MessageReceived(b"unordered")]
    assert b.hear(theirs[3], at=NOW + 0.03) == mine[2:3]
    assert b.events() == [EndReceived()]
    assert b.hear(theirs[4], at=NOW + 0.04) == []
    b.stream.write(b"bye", NOW + 0.05)
    b.stream.end(NOW + 0.05)
    assert b.stream.datagrams_to_send(NOW + 0.05) == mine[3:4]
    b.hear(theirs[5], at=NOW + 0.06)
    assert b.events() == [Closed(None)]


def test_destroy_as_either_side() -> None:
    mine, theirs = packets(1, "a"), packets(1, "b")
    a, b = Side(1, "a"), Side(1, "b")
    a.stream.write(b"hello", NOW)
    assert a.stream.datagrams_to_send(NOW) == mine[0:1]
    assert b.hear(mine[0]) == theirs
    assert a.hear(*theirs) == []
    a.stream.destroy(NOW)
    assert a.stream.datagrams_to_send(NOW) == mine[1:2]
    assert a.events() == [Closed(None)]
    b.hear(mine[1])
    closed = b.events()[-1]
    assert isinstance(closed, Closed) and closed.error is not None and closed.error.name == "ECONNRESET"


@pytest.mark.parametrize("capture", [2, 3])
def test_captured_data_packets_are_answered_with_the_captured_acknowledgements(capture: int) -> None:
    """One datagram at a time, as the original took them: every ACK and SACK in the same bytes."""
    b = Side(capture, "b")
    answers: list[bytes] = []
    expected = [bytes.fromhex(p["hex"]) for p in CAPTURES[capture]["packets"] if p["from"] == "b"]
    received = 0
    for entry in CAPTURES[capture]["packets"]:
        if entry["from"] == "b" or entry["lost"]:
            continue
        head = bytes.fromhex(entry["hex"])
        padding = head[3]
        payload = bytes([0x61 if capture == 2 else 0x62]) * (entry["len"] - 20 - padding)
        answers += b.hear(head[:20] + bytes(padding) + payload)
        for event in b.events():
            assert isinstance(event, DataReceived) and set(event.data) == {payload[0]}
            received += len(event.data)
    assert len(expected) > 40
    assert answers[: len(expected)] == expected
    assert received > 40_000


def test_a_train_is_acknowledged_once_with_the_last_state() -> None:
    b = Side(2, "b")
    train = []
    for seq in (0, 1, 2, 4, 5, 7):
        train.append(
            b"\xff\x01\x01\x00" + b"\x0b" * 4 + bytes.fromhex("00004000") + seq.to_bytes(4, "little") + bytes(4) + b"x"
        )
    answers = b.hear(*train)
    assert [a.hex() for a in answers] == [
        "ff0104000a0a0a0a0000400000000000030000000400000006000000" + "0700000008000000"
    ]
    assert b.events() == [DataReceived(b"xxx")]


def test_mtu_search_steps_are_those_of_the_capture() -> None:
    """Padded sizes in the capture: 1204, then 1236 with 1204 as the new full size."""
    captured = [decode_packet(bytes.fromhex(p["hex"])) for p in CAPTURES[3]["packets"] if p["from"] == "a"]
    sizes = [p["len"] for p in CAPTURES[3]["packets"] if p["from"] == "a"]
    steps = [(size, p.padding) for size, p in zip(sizes, captured, strict=True) if p is not None and p.padding]
    assert steps[0] == (1204, 32)
    a, b = Side(3, "a"), Side(3, "b")
    seen: list[tuple[int, int]] = []
    now = NOW
    for _ in range(20):
        now += 0.01
        a.stream.write(bytes(30_000), now)
        out = a.stream.datagrams_to_send(now)
        seen += [(len(d), d[3]) for d in out if d[3]]
        assert all(d[2] == TYPE_DATA for d in out)
        a.stream.receive_datagrams(b.hear(*out, at=now), now)
    assert seen[: len(steps)] == steps
    assert [size for size, _ in seen] == [*range(1204, 1472, 32), 1472]
    assert a.stream.stats.mtu == 1500


def test_sacks_of_the_capture_release_exactly_the_missing_packets() -> None:
    """The captured receiver's SACKs, fed to our sender: only what it misses is sent again."""
    a = Side(2, "a")
    a.stream.write(bytes(100_000), NOW)
    first = a.stream.datagrams_to_send(NOW)
    assert [int.from_bytes(d[12:16], "little") for d in first] == list(range(10))
    sacks = [bytes.fromhex(p["hex"]) for p in CAPTURES[2]["packets"] if p["from"] == "b"][:9]
    assert sacks[-1][2] == TYPE_SACK
    out = a.hear(*sacks, at=NOW + 0.02)
    repeated = [d for d in out if int.from_bytes(d[12:16], "little") < 10]
    assert [int.from_bytes(d[12:16], "little") for d in repeated] == [3]
    assert repeated[0][20:] == first[3][20:]
