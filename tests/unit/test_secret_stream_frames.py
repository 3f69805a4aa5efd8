"""What the framing promises: message boundaries, any chunking, bounded memory, death at the first lie.

docs/wire/hyperdht.md section 4.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qvac_core.errors import LocalProtocolError, RemoteProtocolError
from qvac_core.secret_stream import MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, SecretStream
from qvac_core.secret_stream.unordered import UnorderedSender

KEY_A, KEY_B, HASH = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 64
HEADER_A, HEADER_B = bytes([4]) * 24, bytes([5]) * 24


def pair(max_frame: int = MAX_FRAME_BYTES) -> tuple[SecretStream, SecretStream]:
    a = SecretStream(initiator=True, tx=KEY_A, rx=KEY_B, handshake_hash=HASH, header=HEADER_A, max_frame=max_frame)
    b = SecretStream(initiator=False, tx=KEY_B, rx=KEY_A, handshake_hash=HASH, header=HEADER_B, max_frame=max_frame)
    return a, b


def opened_pair(max_frame: int = MAX_FRAME_BYTES) -> tuple[SecretStream, SecretStream]:
    a, b = pair(max_frame)
    assert b.receive(a.start()) == []
    assert a.receive(b.start()) == []
    return a, b


def test_messages_keep_their_boundaries_both_ways() -> None:
    a, b = opened_pair()
    messages = [b"a", b"bb", bytes(1152), b"x" * 200_000, b"end"]
    for sender, receiver in ((a, b), (b, a)):
        frames = [sender.encrypt(message) for message in messages]
        assert [len(frame) for frame in frames] == [len(message) + 20 for message in messages]
        assert receiver.receive(b"".join(frames)) == messages


def test_sizes_around_the_work_areas() -> None:
    a, b = opened_pair()
    limits = (2048, 2 * 2048, 1 << 17)
    messages = [bytes([n % 251]) * n for limit in limits for n in range(limit - 21, limit + 2)]
    for message in (*messages, *reversed(messages)):
        assert b.receive(a.encrypt(message)) == [message]


@pytest.mark.parametrize("chunk", [1, 2, 3, 19, 58, 59, 60, 61, 1000])
def test_any_chunking(chunk: int) -> None:
    a, b = pair()
    messages = [b"first", b"", bytes(300), b"last"]
    wire = a.start() + b"".join(map(a.encrypt, messages))
    received: list[bytes] = []
    for start in range(0, len(wire), chunk):
        received += b.receive(wire[start : start + chunk])
    assert received == [b"first", bytes(300), b"last"]
    assert b.buffered == 0


def test_views_are_taken_too() -> None:
    a, b = opened_pair()
    frame = a.encrypt(memoryview(b"viewed"))  # type: ignore[arg-type]
    view = memoryview(bytearray(frame))
    assert b.receive(view[:5]) == []  # type: ignore[arg-type]
    assert b.receive(view[5:]) == [b"viewed"]  # type: ignore[arg-type]
    assert b.receive(b"") == []


def test_keepalives_are_swallowed() -> None:
    a, b = opened_pair()
    assert len(a.keepalive()) == 20
    a, b = opened_pair()
    assert b.receive(a.keepalive() + a.encrypt(b"x") + a.keepalive()) == [b"x"]


def test_equal_messages_look_different_on_the_wire() -> None:
    a, _ = opened_pair()
    assert a.encrypt(b"same") != a.encrypt(b"same")


def test_largest_message_and_one_more() -> None:
    a, b = opened_pair()
    frame = a.encrypt(bytes(MAX_MESSAGE_BYTES))
    assert frame[:3] == b"\xff\xff\xff"
    assert [len(message) for message in b.receive(frame)] == [MAX_MESSAGE_BYTES]
    with pytest.raises(LocalProtocolError, match=str(MAX_MESSAGE_BYTES)):
        a.encrypt(bytes(MAX_MESSAGE_BYTES + 1))


def test_only_what_arrived_is_held_of_an_announced_frame() -> None:
    _, b = opened_pair()
    assert b.receive(b"\xff\xff\xff" + bytes(1000)) == []
    assert b.buffered == 1003


def test_own_limit_on_frames() -> None:
    a, b = opened_pair(max_frame=1000)
    assert b.receive(a.encrypt(bytes(983))) == [bytes(983)]
    with pytest.raises(RemoteProtocolError, match="1001"):
        b.receive(a.encrypt(bytes(984))[:3])


def test_a_limit_that_comes_later() -> None:
    a, b = opened_pair()
    assert b.receive(a.encrypt(bytes(984))) == [bytes(984)]
    b.limit_frames(1000)
    assert b.receive(a.encrypt(bytes(983))) == [bytes(983)]
    with pytest.raises(RemoteProtocolError, match="1001"):
        b.receive(a.encrypt(bytes(984))[:3])


@pytest.mark.parametrize("size", [0, 1, 16])
def test_frames_too_short_to_be_one(size: int) -> None:
    _, b = opened_pair()
    with pytest.raises(RemoteProtocolError, match=f"{size} bytes"):
        b.receive(size.to_bytes(3, "little"))


@pytest.mark.parametrize("size", [0, 55, 57, 0xFFFFFF])
def test_first_frame_of_another_length_is_refused_before_it_arrives(size: int) -> None:
    _, b = pair()
    length = size.to_bytes(3, "little")
    assert b.receive(length[:2]) == []
    with pytest.raises(RemoteProtocolError, match="first frame"):
        b.receive(length[2:])


def test_first_frame_of_another_handshake() -> None:
    a, b = pair()
    wire = bytearray(a.start())
    wire[3] ^= 1
    with pytest.raises(RemoteProtocolError, match="another handshake"):
        b.receive(bytes(wire))


def test_our_own_first_frame_reflected() -> None:
    a, _ = pair()
    with pytest.raises(RemoteProtocolError, match="another handshake"):
        a.receive(a.start())


def replayed(frames: list[bytes]) -> bytes:
    return frames[0] + frames[0]


def reordered(frames: list[bytes]) -> bytes:
    return frames[1] + frames[0]


def dropped(frames: list[bytes]) -> bytes:
    return frames[0] + frames[2]


def flipped(frames: list[bytes]) -> bytes:
    return frames[0][:-1] + bytes([frames[0][-1] ^ 1])


@pytest.mark.parametrize("tamper", [replayed, reordered, dropped, flipped])
def test_tampered_stream_dies_and_stays_dead(tamper: Callable[[list[bytes]], bytes]) -> None:
    a, b = opened_pair()
    frames = [a.encrypt(bytes([n]) * 10) for n in range(3)]
    with pytest.raises(RemoteProtocolError, match="not authentic"):
        b.receive(tamper(frames))
    assert b.destroyed
    assert b.buffered == 0
    with pytest.raises(RemoteProtocolError):
        b.receive(frames[0])
    with pytest.raises(LocalProtocolError):
        b.encrypt(b"x")
    with pytest.raises(LocalProtocolError):
        b.encrypt_unordered(b"x")
    assert b.decrypt_unordered(a.encrypt_unordered(b"x")) is None
    b.destroy()


def test_start_comes_first_and_once() -> None:
    a, _ = pair()
    with pytest.raises(LocalProtocolError):
        a.encrypt(b"early")
    a.start()
    with pytest.raises(LocalProtocolError):
        a.start()


def test_destroyed_before_start() -> None:
    a, _ = pair()
    a.destroy()
    with pytest.raises(LocalProtocolError):
        a.start()


def test_wrong_material_is_our_mistake() -> None:
    good = {"tx": KEY_A, "rx": KEY_B, "handshake_hash": HASH, "header": HEADER_A, "counter": bytes(8)}

    def stream(changed: dict[str, bytes], max_frame: int = MAX_FRAME_BYTES) -> SecretStream:
        material = good | changed
        return SecretStream(
            initiator=True,
            tx=material["tx"],
            rx=material["rx"],
            handshake_hash=material["handshake_hash"],
            header=material["header"],
            counter=material["counter"],
            max_frame=max_frame,
        )

    stream({})
    for name in good:
        with pytest.raises(LocalProtocolError):
            stream({name: b"short"})
    for max_frame in (55, 1 << 24):
        with pytest.raises(LocalProtocolError):
            stream({}, max_frame)


def test_unordered_survives_loss_and_reordering() -> None:
    a, b = opened_pair()
    datagrams = [a.encrypt_unordered(bytes([n])) for n in range(4)]
    assert [b.decrypt_unordered(datagrams[n]) for n in (3, 0, 0, 2)] == [b"\3", b"\0", b"\0", b"\2"]
    assert b.decrypt_unordered(datagrams[0][:-1]) is None
    assert b.decrypt_unordered(bytes(23)) is None
    assert b.decrypt_unordered(b"") is None
    assert not b.destroyed


def test_unordered_counter_never_comes_round() -> None:
    sender = UnorderedSender(KEY_A, bytes(8))
    sender._counter = (1 << 64) - 1
    with pytest.raises(LocalProtocolError):
        sender.encrypt(b"")


def test_large_frame_in_small_chunks() -> None:
    a, b = opened_pair()
    frame = a.encrypt(bytes(300_000))
    for start in range(0, len(frame) - 1, 100):
        assert b.receive(frame[start : min(start + 100, len(frame) - 1)]) == []
        assert b.buffered == min(start + 100, len(frame) - 1)
    assert b.receive(frame[-1:]) == [bytes(300_000)]
