"""The secret stream against bytes that the JavaScript module wrote.

tests/vectors/vectors.json: secretStream.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qvac_core.secret_stream import SecretStream, stream_id

VECTOR: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "vectors.json").read_text("utf-8"))[
    "secretStream"
]
HASH = bytes.fromhex(VECTOR["hash"])
LENGTH_AND_ID = 3 + 32


def side(role: str, counter: str | None = None) -> SecretStream:
    """One side with the header that JavaScript drew when the vector was made."""
    other = "responder" if role == "initiator" else "initiator"
    return SecretStream(
        initiator=role == "initiator",
        tx=bytes.fromhex(VECTOR[f"{role}Tx"]),
        rx=bytes.fromhex(VECTOR[f"{other}Tx"]),
        handshake_hash=HASH,
        header=bytes.fromhex(VECTOR[f"{role}Writes"][0])[LENGTH_AND_ID:],
        counter=None if counter is None else bytes.fromhex(counter),
    )


def test_stream_ids() -> None:
    assert stream_id(HASH, initiator=True).hex() == VECTOR["initiatorId"]
    assert stream_id(HASH, initiator=False).hex() == VECTOR["responderId"]


def test_every_write_is_byte_for_byte_javascripts() -> None:
    for role in ("initiator", "responder"):
        stream = side(role)
        assert stream.start().hex() == VECTOR[f"{role}Writes"][0]
        for plain, written in zip(VECTOR[f"{role}Plain"], VECTOR[f"{role}Writes"][1:], strict=True):
            message = bytes.fromhex(plain)
            assert (stream.encrypt(message) if message else stream.keepalive()).hex() == written


def test_javascripts_writes_are_read() -> None:
    for role, other in (("initiator", "responder"), ("responder", "initiator")):
        stream = side(role)
        wire = b"".join(map(bytes.fromhex, VECTOR[f"{other}Writes"]))
        assert [message.hex() for message in stream.receive(wire)] == [p for p in VECTOR[f"{other}Plain"] if p]
        assert stream.opened


def test_unordered_boxes() -> None:
    for box in VECTOR["unordered"]["boxes"]:
        sender = side(box["from"], counter=box["counterBefore"])
        receiver = side("responder" if box["from"] == "initiator" else "initiator")
        assert sender.encrypt_unordered(bytes.fromhex(box["plain"])).hex() == box["hex"]
        assert receiver.decrypt_unordered(bytes.fromhex(box["hex"])) == bytes.fromhex(box["plain"])
        assert sender.decrypt_unordered(bytes.fromhex(box["hex"])) is None
