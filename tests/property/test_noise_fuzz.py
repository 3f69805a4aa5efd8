"""Any bytes whatever end a handshake with RemoteProtocolError and nothing else.

docs/wire/hyperdht.md section 3.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvac_core.errors import RemoteProtocolError
from qvac_core.noise import HandshakeState, KeyPair, dh, is_public_key, sign, verify

BOB = KeyPair.from_seed(bytes([2]) * 32)
seeds = st.binary(min_size=32, max_size=32)


def handshake(initiator: bool, static: KeyPair, ephemeral: KeyPair) -> HandshakeState:
    return HandshakeState(
        initiator=initiator,
        static=static,
        ephemeral=ephemeral,
        prologue=b"fuzz",
        remote_public_key=BOB.public_key if initiator else None,
    )


@given(static=seeds, first=seeds, second=seeds, payload_1=st.binary(max_size=500), payload_2=st.binary(max_size=500))
@settings(deadline=None)
def test_any_two_keys_agree(static: bytes, first: bytes, second: bytes, payload_1: bytes, payload_2: bytes) -> None:
    caller = handshake(True, KeyPair.from_seed(static), KeyPair.from_seed(first))
    callee = handshake(False, BOB, KeyPair.from_seed(second))
    assert callee.read_message(caller.write_message(payload_1)) == payload_1
    assert caller.read_message(callee.write_message(payload_2)) == payload_2
    assert callee.remote_public_key == KeyPair.from_seed(static).public_key
    assert (caller.tx, caller.rx, caller.handshake_hash) == (callee.rx, callee.tx, callee.handshake_hash)
    assert caller.tx != caller.rx


@given(message=st.binary(max_size=300))
@settings(deadline=None)
def test_any_message_1(message: bytes) -> None:
    callee = handshake(False, BOB, KeyPair.from_seed(bytes(32)))
    with pytest.raises(RemoteProtocolError):
        callee.read_message(message)
    assert callee.remote_public_key is None


@given(ephemeral=seeds, rest=st.binary(min_size=64, max_size=300))
@settings(deadline=None)
def test_any_message_1_with_a_good_ephemeral(ephemeral: bytes, rest: bytes) -> None:
    callee = handshake(False, BOB, KeyPair.from_seed(bytes(32)))
    with pytest.raises(RemoteProtocolError, match="decrypt"):
        callee.read_message(KeyPair.from_seed(ephemeral).public_key + rest)


@given(message=st.binary(max_size=300))
@settings(deadline=None)
def test_any_message_2(message: bytes) -> None:
    caller = handshake(True, KeyPair.from_seed(bytes(32)), KeyPair.from_seed(bytes([1]) * 32))
    caller.write_message(b"")
    with pytest.raises(RemoteProtocolError):
        caller.read_message(message)
    assert not caller.complete


@given(position=st.integers(0), bit=st.integers(0, 7), payload=st.binary(max_size=100))
@settings(deadline=None)
def test_one_flipped_bit(position: int, bit: int, payload: bytes) -> None:
    caller = handshake(True, KeyPair.from_seed(bytes(32)), KeyPair.from_seed(bytes([1]) * 32))
    message = bytearray(caller.write_message(payload))
    message[position % len(message)] ^= 1 << bit
    with pytest.raises(RemoteProtocolError):
        handshake(False, BOB, KeyPair.from_seed(bytes([4]) * 32)).read_message(bytes(message))


@given(point=st.binary(max_size=40), secret=seeds)
@settings(deadline=None)
def test_any_point(point: bytes, secret: bytes) -> None:
    pair = KeyPair.from_seed(secret)
    if is_public_key(point):
        assert len(dh(point, pair.secret_key)) == 32
    else:
        with pytest.raises(RemoteProtocolError):
            dh(point, pair.secret_key)


@given(secret=seeds, message=st.binary(max_size=200), position=st.integers(0, 511))
@settings(deadline=None)
def test_signatures_hold_for_nothing_else(secret: bytes, message: bytes, position: int) -> None:
    pair = KeyPair.from_seed(secret)
    signature = sign(message, pair.secret_key)
    assert verify(signature, message, pair.public_key)
    assert not verify(signature, message + b"x", pair.public_key)
    forged = bytearray(signature)
    forged[position // 8] ^= 1 << position % 8
    assert not verify(bytes(forged), message, pair.public_key)


@given(signature=st.binary(max_size=80), message=st.binary(max_size=80), public_key=st.binary(max_size=40))
@settings(deadline=None)
def test_any_signature_is_just_false(signature: bytes, message: bytes, public_key: bytes) -> None:
    assert not verify(signature, message, public_key)
