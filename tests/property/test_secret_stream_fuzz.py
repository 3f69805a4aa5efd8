"""Any bytes whatever: nothing but RemoteProtocolError comes out, and any chunking reads the same.

docs/wire/hyperdht.md section 4.
"""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from qvac_core.errors import RemoteProtocolError
from qvac_core.secret_stream import SecretStream

KEY_A, KEY_B, HASH = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 64


def pair() -> tuple[SecretStream, SecretStream]:
    a = SecretStream(initiator=True, tx=KEY_A, rx=KEY_B, handshake_hash=HASH, header=bytes(24))
    b = SecretStream(initiator=False, tx=KEY_B, rx=KEY_A, handshake_hash=HASH, header=bytes(24))
    return a, b


@given(messages=st.lists(st.binary(max_size=200), max_size=20), cuts=st.lists(st.integers(1, 400), min_size=1))
@settings(deadline=None)
def test_any_messages_in_any_chunks(messages: list[bytes], cuts: list[int]) -> None:
    a, b = pair()
    wire = a.start() + b"".join(map(a.encrypt, messages))
    received: list[bytes] = []
    position = turn = 0
    while position < len(wire):
        step = cuts[turn % len(cuts)]
        received += b.receive(wire[position : position + step])
        position, turn = position + step, turn + 1
    assert received == [message for message in messages if message]
    assert b.buffered == 0


@given(chunks=st.lists(st.binary(max_size=100)), started=st.booleans())
@settings(deadline=None)
def test_any_bytes_raise_nothing_else(chunks: list[bytes], started: bool) -> None:
    a, b = pair()
    total = 0
    if started:
        b.receive(a.start())
    for chunk in chunks:
        total += len(chunk)
        with contextlib.suppress(RemoteProtocolError):
            assert b.receive(chunk) == []
        assert b.buffered <= total
        assert b.decrypt_unordered(chunk) is None


@given(
    messages=st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=5),
    where=st.integers(0),
    bit=st.integers(0, 7),
    step=st.integers(1, 100),
)
@settings(max_examples=200, deadline=None)
def test_one_flipped_bit_never_changes_a_message(messages: list[bytes], where: int, bit: int, step: int) -> None:
    a, b = pair()
    wire = bytearray(a.start() + b"".join(map(a.encrypt, messages)))
    # The header is not authenticated by itself: the first message is.
    wire[where % len(wire)] ^= 1 << bit
    received: list[bytes] = []
    with contextlib.suppress(RemoteProtocolError):
        for position in range(0, len(wire), step):
            received += b.receive(bytes(wire[position : position + step]))
    assert received == messages[: len(received)]
    assert len(received) < len(messages)
