"""What the handshake refuses: bad points, tampering, messages out of turn.

docs/wire/hyperdht.md section 3.2 ("handshake must fail").
"""

from __future__ import annotations

import hmac

import pytest

from qvac_core.errors import IdentityError, LocalProtocolError, RemoteProtocolError
from qvac_core.noise import HandshakeState, KeyPair, dh, is_public_key, sign, verify
from qvac_core.noise.symmetric_state import SymmetricState, hmac_blake2b

P = 2**255 - 19
ALICE, BOB, MALLORY = (KeyPair.from_seed(bytes([n]) * 32) for n in (1, 2, 3))
EPHEMERAL_1, EPHEMERAL_2 = (KeyPair.from_seed(bytes([n]) * 32) for n in (4, 5))

IDENTITY = (1).to_bytes(32, "little")
BAD_POINTS = {
    "identity": IDENTITY,
    "zero": bytes(32),
    "order 2": (P - 1).to_bytes(32, "little"),
    "order 8": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "identity with the sign bit": bytes([1]) + bytes(30) + b"\x80",
    "identity written as p + 1": (P + 1).to_bytes(32, "little"),
    "above the field": b"\xff" * 31 + b"\x7f",
    "not on the curve": (2).to_bytes(32, "little"),
}
bad_points = pytest.mark.parametrize("point", BAD_POINTS.values(), ids=BAD_POINTS.keys())


def outside_the_main_subgroup() -> bytes:
    """A good point plus one of order 8: on the curve, canonical, and yet no honest key."""
    from nacl.bindings import crypto_core_ed25519_add

    return crypto_core_ed25519_add(ALICE.public_key, BAD_POINTS["order 8"])


def initiator(remote: bytes = BOB.public_key) -> HandshakeState:
    return HandshakeState(
        initiator=True, static=ALICE, ephemeral=EPHEMERAL_1, prologue=b"test", remote_public_key=remote
    )


def responder(static: KeyPair = BOB) -> HandshakeState:
    return HandshakeState(initiator=False, static=static, ephemeral=EPHEMERAL_2, prologue=b"test")


@bad_points
def test_bad_points_have_no_shared_secret(point: bytes) -> None:
    assert not is_public_key(point)
    with pytest.raises(RemoteProtocolError):
        dh(point, ALICE.secret_key)


def test_point_outside_the_main_subgroup_has_no_shared_secret() -> None:
    point = outside_the_main_subgroup()
    assert not is_public_key(point)
    with pytest.raises(RemoteProtocolError):
        dh(point, ALICE.secret_key)


@bad_points
def test_nobody_can_be_called_by_a_bad_point(point: bytes) -> None:
    with pytest.raises(IdentityError):
        initiator(remote=point)


@bad_points
def test_bad_ephemeral_in_message_1_ends_the_handshake(point: bytes) -> None:
    message = initiator().write_message(b"hello")
    side = responder()
    with pytest.raises(RemoteProtocolError):
        side.read_message(point + message[32:])
    assert side.remote_public_key is None
    with pytest.raises(LocalProtocolError):
        side.write_message(b"")


@bad_points
def test_bad_ephemeral_in_message_2_ends_the_handshake(point: bytes) -> None:
    caller, callee = initiator(), responder()
    callee.read_message(caller.write_message(b""))
    message = callee.write_message(b"hello")
    with pytest.raises(RemoteProtocolError):
        caller.read_message(point + message[32:])
    assert not caller.complete


@bad_points
def test_bad_static_key_inside_message_1_ends_the_handshake(point: bytes) -> None:
    """The static key travels encrypted, so that a hostile peer can put anything there and still authenticate it."""
    caller = initiator()
    symmetric = caller.symmetric_state
    symmetric.mix_hash(EPHEMERAL_1.public_key)
    symmetric.mix_key(dh(BOB.public_key, EPHEMERAL_1.secret_key))
    message = EPHEMERAL_1.public_key + symmetric.encrypt_and_hash(point)
    symmetric.mix_key(bytes(32))
    message += symmetric.encrypt_and_hash(b"payload")
    with pytest.raises(RemoteProtocolError, match="point"):
        responder().read_message(message)


def test_message_1_for_somebody_else_does_not_decrypt() -> None:
    side = responder(static=MALLORY)
    with pytest.raises(RemoteProtocolError, match="does not decrypt"):
        side.read_message(initiator().write_message(b"hello"))
    assert side.remote_public_key is None


def test_another_prologue_does_not_decrypt() -> None:
    side = HandshakeState(initiator=False, static=BOB, ephemeral=EPHEMERAL_2, prologue=b"another")
    with pytest.raises(RemoteProtocolError):
        side.read_message(initiator().write_message(b""))


def test_message_2_of_an_impostor_does_not_decrypt() -> None:
    caller, impostor = initiator(), responder()
    impostor.read_message(caller.write_message(b""))
    other_caller = HandshakeState(
        initiator=True, static=MALLORY, ephemeral=EPHEMERAL_1, prologue=b"test", remote_public_key=BOB.public_key
    )
    other_caller.write_message(b"")
    with pytest.raises(RemoteProtocolError):
        other_caller.read_message(impostor.write_message(b""))


def test_each_flipped_bit_of_message_1_is_noticed() -> None:
    message = initiator().write_message(b"payload")
    for position in range(0, len(message) * 8, 37):
        tampered = bytearray(message)
        tampered[position // 8] ^= 1 << position % 8
        with pytest.raises(RemoteProtocolError):
            responder().read_message(bytes(tampered))


@pytest.mark.parametrize("length", [0, 1, 31, 32, 95, 65536, 1 << 20])
def test_impossible_lengths(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match="cannot be one"):
        responder().read_message(bytes(length))


def test_ciphertext_without_room_for_its_tag() -> None:
    symmetric = SymmetricState()
    symmetric.mix_key(bytes(32))
    with pytest.raises(RemoteProtocolError, match="too short"):
        symmetric.decrypt_and_hash(bytes(15))


def test_empty_and_largest_payload_pass() -> None:
    for payload in (b"", bytes(65535 - 96)):
        caller, callee = initiator(), responder()
        message = caller.write_message(payload)
        assert len(message) == 96 + len(payload)
        assert callee.read_message(message) == payload
        answer = callee.write_message(payload)
        assert len(answer) == 48 + len(payload)
        assert caller.read_message(answer) == payload


def test_too_large_payload_is_our_mistake() -> None:
    side = initiator()
    with pytest.raises(LocalProtocolError, match="65439"):
        side.write_message(bytes(65535 - 95))
    assert side.write_message(b"")


def test_turns() -> None:
    caller, callee = initiator(), responder()
    with pytest.raises(LocalProtocolError):
        caller.read_message(bytes(48))
    with pytest.raises(LocalProtocolError):
        callee.write_message(b"")
    message = caller.write_message(b"")
    with pytest.raises(LocalProtocolError):
        caller.write_message(b"")
    callee.read_message(message)
    with pytest.raises(LocalProtocolError):
        callee.read_message(message)
    caller.read_message(callee.write_message(b""))
    for side in (caller, callee):
        with pytest.raises(LocalProtocolError):
            side.write_message(b"")
        with pytest.raises(LocalProtocolError):
            side.read_message(message)


def test_outputs_only_when_complete() -> None:
    side = initiator()
    side.write_message(b"")
    for output in ("tx", "rx", "handshake_hash"):
        with pytest.raises(LocalProtocolError):
            getattr(side, output)


def test_roles_and_remote_key() -> None:
    with pytest.raises(IdentityError):
        HandshakeState(initiator=True, static=ALICE, ephemeral=EPHEMERAL_1, prologue=b"")
    with pytest.raises(LocalProtocolError):
        HandshakeState(
            initiator=False, static=BOB, ephemeral=EPHEMERAL_2, prologue=b"", remote_public_key=ALICE.public_key
        )


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_seed_of_wrong_length(length: int) -> None:
    with pytest.raises(IdentityError, match=str(length)):
        KeyPair.from_seed(bytes(length))


def test_key_pair_refuses_what_is_none() -> None:
    with pytest.raises(IdentityError):
        KeyPair(ALICE.public_key, ALICE.secret_key[:32])
    with pytest.raises(IdentityError, match="does not belong"):
        KeyPair(BOB.public_key, ALICE.secret_key)


def test_key_pair_does_not_print_its_secret() -> None:
    assert ALICE.secret_key.hex() not in repr(ALICE)
    assert repr(ALICE.secret_key)[2:20] not in repr(ALICE)
    assert "secret" not in repr(ALICE)


def test_signatures() -> None:
    signature = sign(b"message", ALICE.secret_key)
    assert len(signature) == 64
    assert verify(signature, b"message", ALICE.public_key)
    assert not verify(signature, b"massage", ALICE.public_key)
    assert not verify(signature, b"message", BOB.public_key)
    assert not verify(signature[:-1], b"message", ALICE.public_key)
    assert not verify(signature, b"message", ALICE.public_key[:-1])
    assert not verify(bytes(64), b"message", IDENTITY)


def test_wrong_secret_keys_are_our_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        sign(b"", bytes(32))
    with pytest.raises(LocalProtocolError):
        dh(ALICE.public_key, bytes(32))
    with pytest.raises(RemoteProtocolError):
        dh(bytes(31), ALICE.secret_key)


@pytest.mark.parametrize("key_bytes", [0, 32, 64, 128])
def test_our_hmac_is_that_of_the_standard_library(key_bytes: int) -> None:
    key = bytes(range(key_bytes))
    for message in (b"", b"\x01", bytes(500)):
        assert hmac_blake2b(key, message) == hmac.digest(key, message, "blake2b")
