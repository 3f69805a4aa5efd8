"""Targets: UDX packets, one stream under a hostile peer, and two encrypted ones over a hostile network."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from qvac_core.errors import ConnectionClosed, LocalProtocolError
from qvac_core.udx import Event, Stream, parse_stream_id
from qvac_core.udx.packet import MAX_SACK_BLOCKS, SEQ_MASK, TYPE_SACK, decode_packet, encode_packet
from tests.fuzz.known_answers import traced, vectors
from tests.fuzz.script import Script
from tests.fuzz.target import Target
from tests.simulation.secret_link import SecretLink
from tests.simulation.udx_invariants import check, well_ordered

LOCAL, REMOTE = 7, 9
_MAX_STEPS = 60
_WINDOWS = (0, 1, 1500, 4194304, 0xFFFFFFFF)


def udx_packet(data: bytes) -> None:
    packet = decode_packet(data)
    if packet is None:
        return
    assert parse_stream_id(data) == packet.stream_id
    assert decode_packet(memoryview(data)) == packet
    again = encode_packet(packet)
    assert decode_packet(again) == packet
    assert len(again) <= len(data)
    assert len(packet.sacks) <= MAX_SACK_BLOCKS and not (packet.type & TYPE_SACK and packet.payload)


def _hostile_packet(script: Script, stream: Stream) -> bytes:
    """Near the numbers that are in use, so that much gets past the first checks."""
    kind, padding = script.byte(), script.choice((0, 0, 0, 1, 8, 32, 255))
    window = script.choice(_WINDOWS)
    seq = stream._receive.next_seq + _signed(script)
    recovery = stream._sender.recovery
    ack = (recovery.next_seq if script.flag() else recovery.una) + _signed(script)
    if kind & TYPE_SACK and script.flag():
        edges = [(recovery.una + _signed(script)) & SEQ_MASK for _ in range(2 * (script.byte() % 8))]
        rest = struct.pack(f"<{len(edges)}I", *edges)
    else:
        rest = script.chunk()
    return struct.pack("<HBBIIII", 0x01FF, kind, padding, LOCAL, window, seq & SEQ_MASK, ack & SEQ_MASK) + rest


def _signed(script: Script) -> int:
    value = script.byte()
    return value - 256 if value > 127 else value


def udx_stream(data: bytes) -> None:
    """A script of packets, writes, reads and time: no exception, no broken invariant, no work without bound."""
    script = Script(data)
    now, written, events = 1.0, 0, list[Event]()
    stream = Stream(LOCAL, now=now)
    if script.flag():
        stream.connect(REMOTE, now)
    for _ in range(_MAX_STEPS):
        if script.done:
            break
        match script.byte() % 11:
            case 0:
                train = [_hostile_packet(script, stream) for _ in range(1 + script.byte() % 4)]
                stream.receive_datagrams(train, now)
            case 1:
                stream.receive_datagrams([script.chunk()], now)
            case 2:
                size = script.uint16()
                written += size
                try:
                    stream.write(bytes(size), now)
                except ConnectionClosed:
                    assert stream.closed or stream._sender.ending
            case 3:
                now += script.byte() / 50
                stream.handle_timer(now)
            case 4:
                now = max(now, stream.get_timer() or now)
                stream.handle_timer(now)
            case 5:
                stream.pause_reading()
            case 6:
                stream.resume_reading()
            case 7:
                stream.consumed(script.uint16())
            case 8:
                stream.end(now)
            case 9:
                _odd_calls(stream, script, now)
            case _:
                stream.destroy(now)
        check(stream)
        out = stream.datagrams_to_send(now)
        assert sum(map(len, out)) <= 2 * written + 100 * (len(data) + 20)
        assert all(len(datagram) <= 1472 for datagram in out)
        check(stream)
        while (event := stream.next_event()) is not None:
            events.append(event)
    assert well_ordered(events)


def _odd_calls(stream: Stream, script: Script, now: float) -> None:
    try:
        if script.flag():
            stream.change_remote(script.byte(), now)
        else:
            stream.send_message(script.chunk(), now)
    except LocalProtocolError:
        assert not stream.connected


def udx_pair(data: bytes) -> None:
    """The network is the script. Bytes arrive intact, or the side that lacks some has an error."""
    script = Script(data)
    link = SecretLink()
    for _ in range(2 * _MAX_STEPS):
        if script.done:
            break
        verb = script.byte()
        to = verb >> 7
        match verb % 8:
            case 0 | 1:
                link.sides[to].write(bytes([len(link.sides[to].sent) % 256]) * (script.uint16() % 6000), link.now)
                link.flush()
            case 2:
                link.deliver(to, script.byte(), 1 + script.byte() % 16)
            case 3:
                link.deliver(to, script.byte(), 1 + script.byte() % 4, keep=True)
            case 4:
                link.drop(to, script.byte(), 1 + script.byte() % 8)
            case 5:
                link.wait(script.byte() / 100)
            case 6:
                link.sides[to].end(link.now)
                link.flush()
            case _:
                link.corrupt(to, script.byte(), script.uint16(), script.byte())
        link.check()
    link.heal()
    link.check_end()


def _packet_seeds() -> Iterator[bytes]:
    for case in vectors()["udx"]:
        yield from (bytes.fromhex(packet["hex"]) for packet in case["packets"])
    yield from traced((b"\xff\x01",))


def _stream_seeds() -> Iterator[bytes]:
    write, due, end = b"\2\0\x30", b"\4", b"\x08"
    yield b"\1" + write + due + b"\0\0\0\0\3\0\1\5\0" + due * 9 + end
    yield b"\1" + write + b"\0\1" + b"\4\0\3\0\0\0\1\3\1\2\3\4\5\6" + b"\1\0\2\0\1\0\5hello" + due + end
    yield b"\1" + b"\0\0\2\0\3\0\0\0\0" + end + b"\0\0\0\0\3\0\1\1\0" + due
    yield b"\1\5\0\0\1\0\3\0\0\0\5hello\6\7\5\0\x0a"
    yield b"\1" + write * 4 + due * 30
    for case in vectors()["udx"][:2]:
        packets = [bytearray.fromhex(packet["hex"]) for packet in case["packets"] if packet["len"] < 200]
        for packet in packets:
            packet[4:8] = LOCAL.to_bytes(4, "little")
        yield b"\1" + b"".join(b"\1" + bytes([len(packet)]) + packet for packet in packets)


def _pair_seeds() -> Iterator[bytes]:
    exchange = b"\2\0\x0f\x82\0\x0f"
    yield b"\0\x10\x0e" + exchange * 4 + b"\x80\x10\x02" + exchange * 4 + b"\6\x86" + exchange * 3
    yield b"\0\x10\x0e\x84\0\1" + exchange + b"\5\xff" * 4 + exchange * 3
    yield b"\0\x10\x04" + b"\x83\0\1" * 3 + b"\x82\2\1\x82\0\1" + exchange
    yield b"\0\x10\x04" + b"\x87\0\x30\0\3" + exchange * 3


TARGETS = [
    Target("udx_packet", udx_packet, ("qvac_core.udx.packet",), _packet_seeds, 512),
    Target("udx_stream", udx_stream, ("qvac_core.udx",), _stream_seeds, 1024, 0.6),
    Target("udx_pair", udx_pair, ("qvac_core.udx", "qvac_core.secret_stream"), _pair_seeds, 512, 0.1),
]
