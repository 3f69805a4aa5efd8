"""Protomux: bytes of the JavaScript module, and what two multiplexers say to each other.

tests/vectors/vectors.json: protomux.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qvac_core.blind_relay.protomux import (
    MAX_CHANNELS,
    MAX_REMOTE_ID,
    ChannelClosed,
    ChannelMessage,
    ChannelOpened,
    MuxEvent,
    Protomux,
)
from qvac_core.errors import LocalProtocolError, RemoteProtocolError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "vectors.json").read_text("utf-8"))["protomux"]
RELAY, BATCH = VECTORS
RELAY_ID = bytes.fromhex(RELAY["id"])
TOKEN = b"\x04" * 32
PAIR = bytes.fromhex("01") + TOKEN + bytes.fromhex("fe0403020100")
UNPAIR = b"\x00" + TOKEN


def hexes(mux: Protomux) -> list[str]:
    return [frame.hex() for frame in mux.frames_to_send()]


def events(mux: Protomux) -> list[MuxEvent]:
    found = []
    while (event := mux.next_event()) is not None:
        found.append(event)
    return found


def carry(sender: Protomux, receiver: Protomux) -> list[MuxEvent]:
    for frame in sender.frames_to_send():
        receiver.receive(frame)
    return events(receiver)


def test_open_messages_and_close_are_byte_for_byte_javascripts() -> None:
    mux = Protomux()
    channel = mux.open("blind-relay", RELAY_ID)
    mux.send(channel, 0, PAIR)
    mux.send(channel, 1, UNPAIR)
    mux.close(channel)
    assert hexes(mux) == RELAY["writes"]


def test_a_batch_is_byte_for_byte_javascripts() -> None:
    mux = Protomux()
    first, second = mux.open("a"), mux.open("b", handshake=b"\x07")
    mux.cork()
    mux.send(first, 0, b"\x01x")
    mux.send(first, 0, b"\x01y")
    mux.send(second, 1, bytes.fromhex("fd2c01"))
    mux.send(second, 0, b"\x01")
    mux.uncork()
    frames = hexes(mux)
    assert frames[0] == BATCH["writes"][0]
    assert frames[2] == "0000010300017803000179000204" + "01fd2c01020001"


def test_what_javascript_wrote_is_read() -> None:
    mux = Protomux()
    mux.open("blind-relay", RELAY_ID)
    for write in RELAY["writes"]:
        mux.receive(bytes.fromhex(write))
    opened, pair, unpair, closed = events(mux)
    assert isinstance(opened, ChannelOpened)
    assert isinstance(pair, ChannelMessage)
    assert isinstance(unpair, ChannelMessage)
    assert (pair.type, pair.payload) == (0, PAIR)
    assert (unpair.type, unpair.payload) == (1, UNPAIR)
    assert isinstance(closed, ChannelClosed)
    assert not closed.rejected


def test_javascripts_batch_is_taken_apart() -> None:
    mux = Protomux()
    mux.serve("a")
    mux.serve("b", b"")
    for write in BATCH["writes"]:
        mux.receive(bytes.fromhex(write))
    told = events(mux)
    assert [event.channel.protocol for event in told] == ["a", "b", "a", "a", "b", "b"]
    assert isinstance(told[1], ChannelOpened)
    assert told[1].handshake == b"\x07"
    assert [event.payload for event in told if isinstance(event, ChannelMessage)] == [
        b"\x01x",
        b"\x01y",
        b"\xfd\x2c\x01",
        b"\x01",
    ]


def test_an_open_that_nobody_wants_is_rejected() -> None:
    ours, theirs = Protomux(), Protomux()
    theirs.serve("blind-relay", b"other")
    channel = ours.open("blind-relay", b"mine")
    ours.send(channel, 0, b"early")
    assert carry(ours, theirs) == []
    (closed,) = carry(theirs, ours)
    assert closed == ChannelClosed(channel, rejected=True)
    assert channel.closed
    assert theirs.channels == ours.channels == 0
    again = ours.open("next")
    assert again.local_id == 1


def test_opens_of_both_sides_meet_whichever_comes_first() -> None:
    ours, theirs = Protomux(), Protomux()
    filler = ours.open("filler")
    mine, yours = ours.open("x", b"1"), theirs.open("x", b"1", b"hello")
    theirs.serve("filler")
    ours.send(mine, 3, b"m")
    opened = carry(theirs, ours)
    assert opened == [ChannelOpened(mine, b"hello")]
    filled, met, message = carry(ours, theirs)
    assert isinstance(filled, ChannelOpened)
    assert met == ChannelOpened(yours, b"")
    assert message == ChannelMessage(yours, 3, b"m")
    assert (mine.remote_id, yours.remote_id) == (1, 2)
    assert not filler.opened


def test_a_number_is_used_again_only_after_the_peer_has_seen_the_close() -> None:
    ours, theirs = Protomux(), Protomux()
    theirs.serve("x")
    first = ours.open("x")
    ours.close(first)
    second = ours.open("y")
    assert second.local_id == 2
    told = carry(ours, theirs)
    assert [type(event) for event in told] == [ChannelOpened, ChannelClosed]
    assert carry(theirs, ours) == [ChannelClosed(second, rejected=True)]
    assert sorted((ours.open("z").local_id, ours.open("z").local_id)) == [1, 2]


def test_messages_for_a_closed_channel_are_dropped() -> None:
    ours, theirs = Protomux(), Protomux()
    theirs.serve("x")
    channel = ours.open("x")
    (opened,) = carry(ours, theirs)
    carry(theirs, ours)
    theirs.close(opened.channel)
    ours.send(channel, 0, b"on the way")
    assert carry(ours, theirs) == []
    assert carry(theirs, ours) == [ChannelClosed(channel, rejected=False)]
    ours.send(channel, 0, b"too late")
    assert ours.frames_to_send() == []


@pytest.mark.parametrize(
    "frame",
    [
        "01",  # no type
        "0001",  # an open without anything
        "0001020161" + "00",  # number 2 before number 1
        "000205",  # a reject of what was never opened
        "000001" + "ff" + "ff" * 8,  # a batch entry of endless length
        "00000003" + "00" + "0101",  # a batch inside a batch
        "00010102ff61" + "00",  # a name that is not UTF-8
    ],
)
def test_nonsense_is_the_peers_fault(frame: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Protomux().receive(bytes.fromhex(frame))


def test_the_same_number_is_not_opened_twice() -> None:
    mux = Protomux()
    mux.serve("a")
    mux.receive(bytes.fromhex("000101016100"))
    with pytest.raises(RemoteProtocolError):
        mux.receive(bytes.fromhex("000101016100"))


def test_a_peer_cannot_open_without_end() -> None:
    ours, theirs = Protomux(), Protomux()
    theirs.serve("x")
    for number in range(MAX_CHANNELS + 10):
        ours.open("x", str(number).encode())
    carry(ours, theirs)
    assert theirs.channels == MAX_CHANNELS
    with pytest.raises(RemoteProtocolError):
        for _ in range(MAX_REMOTE_ID + 1):
            ours.open("nobody")
            carry(ours, theirs)


def test_an_open_of_the_control_channel_is_rejected_and_empty_frames_are_nothing() -> None:
    mux = Protomux()
    mux.receive(bytes.fromhex("000100016100"))
    mux.receive(b"")
    assert hexes(mux) == ["000200"]


def test_uncork_without_cork_is_our_fault() -> None:
    with pytest.raises(LocalProtocolError):
        Protomux().uncork()
