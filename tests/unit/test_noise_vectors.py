"""The Noise room against answers that the JavaScript modules gave.

tests/vectors/vectors.json: keypairs, curve, noise.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from qvac_core.noise import HandshakeState, KeyPair, dh
from qvac_core.noise.keys import secret_scalar

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "vectors.json").read_text("utf-8"))
PROLOGUE = bytes.fromhex(VECTORS["namespaces"]["hyperswarm/dht"]["PEER_HANDSHAKE"]["hex"])
HANDSHAKES = pytest.mark.parametrize("vector", VECTORS["noise"], ids=lambda vector: vector["label"])


def key_pair(seed: str) -> KeyPair:
    return KeyPair.from_seed(bytes.fromhex(seed))


def sides(vector: dict[str, Any]) -> tuple[HandshakeState, HandshakeState]:
    initiator = HandshakeState(
        initiator=True,
        static=key_pair(vector["initiatorSeed"]),
        ephemeral=key_pair(vector["initiatorEphemeralSeed"]),
        prologue=PROLOGUE,
        remote_public_key=key_pair(vector["responderSeed"]).public_key,
    )
    responder = HandshakeState(
        initiator=False,
        static=key_pair(vector["responderSeed"]),
        ephemeral=key_pair(vector["responderEphemeralSeed"]),
        prologue=PROLOGUE,
    )
    return initiator, responder


@pytest.mark.parametrize("vector", VECTORS["keypairs"], ids=lambda vector: vector["seed"][:4])
def test_seed_gives_the_same_key_pair_as_javascript(vector: dict[str, Any]) -> None:
    pair = key_pair(vector["seed"])
    assert pair.public_key.hex() == vector["publicKey"]
    assert pair.secret_key.hex() == vector["secretKey"]
    assert pair.seed.hex() == vector["seed"]
    assert hashlib.blake2b(pair.public_key, digest_size=32).hexdigest() == vector["target"]


def test_diffie_hellman_gives_edwards_points() -> None:
    curve = VECTORS["curve"]
    a, b = key_pair(curve["seedA"]), key_pair(curve["seedB"])
    assert a.public_key.hex() == curve["publicA"]
    assert b.public_key.hex() == curve["publicB"]
    assert secret_scalar(a.secret_key).hex() == curve["scalarA"]
    assert dh(b.public_key, a.secret_key).hex() == curve["dhAB"]
    assert dh(a.public_key, b.secret_key).hex() == curve["dhBA"]


@HANDSHAKES
def test_both_sides_write_what_javascript_writes(vector: dict[str, Any]) -> None:
    initiator, responder = sides(vector)
    for side in (initiator, responder):
        assert side.symmetric_state.h.hex() == vector["hAfterInitialise"]
        assert side.symmetric_state.ck.hex() == vector["ckAfterInitialise"]

    message_1 = initiator.write_message(bytes.fromhex(vector["payload1"]))
    assert message_1.hex() == vector["message1"]
    assert responder.read_message(message_1).hex() == vector["payload1"]
    assert responder.remote_public_key == key_pair(vector["initiatorSeed"]).public_key
    for side in (initiator, responder):
        assert side.symmetric_state.h.hex() == vector["hAfterMessage1"]
        assert not side.complete

    message_2 = responder.write_message(bytes.fromhex(vector["payload2"]))
    assert message_2.hex() == vector["message2"]
    assert initiator.read_message(message_2).hex() == vector["payload2"]

    for side, expected in ((initiator, vector["initiator"]), (responder, vector["responder"])):
        assert side.complete
        assert side.handshake_hash.hex() == vector["hash"]
        assert side.tx.hex() == expected["tx"]
        assert side.rx.hex() == expected["rx"]
