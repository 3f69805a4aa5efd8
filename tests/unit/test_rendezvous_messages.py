"""Message layouts, signatures, sealed payloads and address choice against known answers of the JavaScript modules."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qvac_core.codec import blake2b
from qvac_core.errors import IdentityError, RemoteProtocolError
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.addresses import (
    decode_key,
    encode_key_address,
    first_public_address,
    is_private,
    is_reserved,
    lan_address,
    match_address,
)
from qvac_core.rendezvous.messages import (
    Announce,
    HandshakeMessage,
    HolepunchInfo,
    HolepunchMessage,
    HolepunchPayload,
    LookupReply,
    MutablePut,
    MutableRecord,
    NoisePayload,
    PeerRecord,
    PluginRequest,
    RelayInfo,
    RelayThrough,
    UdxInfo,
)
from qvac_core.rendezvous.secure_payload import SecurePayload
from qvac_core.rendezvous.signatures import (
    sign_announce,
    sign_mutable,
    sign_unannounce,
    verify_announce,
    verify_mutable,
    verify_unannounce,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "vectors.json").read_text("utf-8"))
Address = tuple[str, int]


def _address(value: Any) -> Address | None:
    return None if value is None else (value["host"], value["port"])


def _addresses(value: Any) -> tuple[Address, ...]:
    return tuple((a["host"], a["port"]) for a in value)


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def _peer(value: Any) -> PeerRecord:
    return PeerRecord(bytes.fromhex(value["publicKey"]), _addresses(value["relayAddresses"]))


def _noise_payload(v: Any) -> NoisePayload:
    hp, udx, through, relays = v["holepunch"], v["udx"], v["relayThrough"], v["relayAddresses"]
    return NoisePayload(
        error=v["error"],
        firewall=v["firewall"],
        holepunch=hp
        and HolepunchInfo(
            hp["id"],
            tuple(
                RelayInfo(_addresses([r["relayAddress"]])[0], _addresses([r["peerAddress"]])[0]) for r in hp["relays"]
            ),
        ),
        addresses4=_addresses(v["addresses4"]),
        addresses6=_addresses(v["addresses6"]),
        udx=udx and UdxInfo(udx["id"], udx["seq"], udx["reusableSocket"]),
        secret_stream=v["secretStream"] is not None,
        relay_through=through and RelayThrough(bytes.fromhex(through["publicKey"]), bytes.fromhex(through["token"])),
        relay_addresses=None if relays is None else _addresses(relays),
    )


def _holepunch_payload(v: Any) -> HolepunchPayload:
    return HolepunchPayload(
        error=v["error"],
        firewall=v["firewall"],
        round=v["round"],
        connected=v["connected"],
        punching=v["punching"],
        addresses=None if v["addresses"] is None else _addresses(v["addresses"]),
        remote_address=_address(v["remoteAddress"]),
        token=_bytes(v["token"]),
        remote_token=_bytes(v["remoteToken"]),
    )


BUILD: dict[str, Callable[[Any], Any]] = {
    "handshake": lambda v: HandshakeMessage(
        v["mode"], bytes.fromhex(v["noise"]), _address(v["peerAddress"]), _address(v["relayAddress"])
    ),
    "holepunch": lambda v: HolepunchMessage(
        v["mode"], v["id"], bytes.fromhex(v["payload"]), _address(v["peerAddress"])
    ),
    "noisePayload": _noise_payload,
    "holepunchPayload": _holepunch_payload,
    "peer": _peer,
    "announce": lambda v: Announce(
        v["peer"] and _peer(v["peer"]), _bytes(v["refresh"]), _bytes(v["signature"]), v["bump"]
    ),
    "mutablePutRequest": lambda v: MutablePut(
        bytes.fromhex(v["publicKey"]), v["seq"], bytes.fromhex(v["value"]), bytes.fromhex(v["signature"])
    ),
    "mutableGetResponse": lambda v: MutableRecord(v["seq"], bytes.fromhex(v["value"]), bytes.fromhex(v["signature"])),
    "pluginRequest": lambda v: PluginRequest(v["plugin"], v["version"], v["command"], _bytes(v["value"])),
}
# Covered by LookupReply and by the signatures below.
ELSEWHERE = {"peers", "lookupRawReply", "mutableSignable"}


@pytest.mark.parametrize("case", VECTORS["messages"], ids=lambda case: case["type"])
def test_layouts_are_those_of_javascript(case: Any) -> None:
    wire = bytes.fromhex(case["hex"])
    if case["type"] in ELSEWHERE:
        return
    message = BUILD[case["type"]](case["value"])
    assert message.encode() == wire
    assert type(message).decode(wire) == message
    assert type(message).decode(wire + b"\x07") == message


def test_every_message_type_of_the_vectors_is_checked() -> None:
    assert {case["type"] for case in VECTORS["messages"]} == set(BUILD) | ELSEWHERE


def test_lookup_replies_are_bare_records_and_a_bump() -> None:
    case = next(c for c in VECTORS["messages"] if c["type"] == "lookupRawReply")
    peers = [_peer(p) for p in case["value"]["peers"]]
    wire = bytes.fromhex(case["hex"])
    assert LookupReply.encode_raw([p.encode() for p in peers], case["value"]["bump"]) == wire
    assert LookupReply.decode(wire) == LookupReply(tuple(peers), case["value"]["bump"])
    without_bump = bytes.fromhex(next(c for c in VECTORS["messages"] if c["type"] == "peers")["hex"])
    assert [p.public_key.hex()[:4] for p in LookupReply.decode(without_bump).peers] == ["8a88", "8139"]
    assert LookupReply.decode(without_bump).bump == 0


@pytest.mark.parametrize("case", VECTORS["messages"], ids=lambda case: case["type"])
def test_a_cut_message_is_the_senders_fault(case: Any) -> None:
    if case["type"] in ELSEWHERE:
        return
    wire = bytes.fromhex(case["hex"])
    for length in range(len(wire)):
        with pytest.raises(RemoteProtocolError):
            type(BUILD[case["type"]](case["value"])).decode(wire[:length])


def test_nothing_after_a_foreign_version_is_read() -> None:
    assert NoisePayload.decode(b"\x02\xff") == NoisePayload(version=2)


SIGNED = VECTORS["signatures"]
KEY_PAIR = KeyPair.from_seed(bytes.fromhex(SIGNED["seed"]))
TARGET = bytes.fromhex(SIGNED["target"])
NODE_ID = bytes.fromhex(SIGNED["nodeId"])
TOKEN = bytes.fromhex(SIGNED["token"])


@pytest.mark.parametrize("name", ["announce", "announceWithRefresh"])
def test_announces_are_signed_for_one_node_and_token(name: str) -> None:
    case = SIGNED[name]
    made = sign_announce(
        KEY_PAIR,
        target=TARGET,
        node_id=NODE_ID,
        token=TOKEN,
        relay_addresses=_addresses(case["relayAddresses"]),
        refresh=_bytes(case["refresh"]),
    )
    assert made.signature is not None
    assert made.signature.hex() == case["signature"]
    assert verify_announce(made, target=TARGET, node_id=NODE_ID, token=TOKEN)
    assert not verify_announce(made, target=TARGET, node_id=NODE_ID, token=bytes(32))
    assert not verify_unannounce(made, target=TARGET, node_id=NODE_ID, token=TOKEN)


def test_unannounces() -> None:
    made = sign_unannounce(KEY_PAIR, target=TARGET, node_id=NODE_ID, token=TOKEN)
    assert made.signature is not None
    assert made.signature.hex() == SIGNED["unannounce"]["signature"]
    assert verify_unannounce(made, target=TARGET, node_id=NODE_ID, token=TOKEN)
    assert not verify_unannounce(Announce(made.peer), target=TARGET, node_id=NODE_ID, token=TOKEN)


def test_mutable_and_immutable_records() -> None:
    for case in SIGNED["mutable"]:
        value = bytes.fromhex(case["value"])
        signature = sign_mutable(KEY_PAIR, case["seq"], value)
        assert signature.hex() == case["signature"]
        assert verify_mutable(signature, case["seq"], value, KEY_PAIR.public_key)
        assert not verify_mutable(signature, case["seq"] + 1, value, KEY_PAIR.public_key)
    assert blake2b(bytes.fromhex(SIGNED["immutable"]["value"])).hex() == SIGNED["immutable"]["target"]


def test_hole_punch_payloads_are_sealed_as_in_javascript() -> None:
    case = VECTORS["holepunchPayload"]
    secure = SecurePayload(bytes.fromhex(case["secret"]), local_secret=bytes.fromhex(case["tokenSecret"]))
    payload = _holepunch_payload(case["decoded"])
    box = bytes.fromhex(case["box"])
    assert payload.encode().hex() == case["plain"]
    assert secure.seal(payload, bytes.fromhex(case["nonce"])) == box
    assert secure.open(box) == payload
    assert secure.token(case["tokenHost"]).hex() == case["token"]
    for broken in (b"", box[:40], box[:-1] + bytes([box[-1] ^ 1])):
        with pytest.raises(RemoteProtocolError):
            secure.open(broken)


@pytest.mark.parametrize("case", VECTORS["matchAddress"])
def test_the_nearest_address_is_chosen(case: Any) -> None:
    chosen = match_address([(h, 1) for h in case["mine"]], [(h, 2) for h in case["theirs"]])
    assert chosen == (None if case["chosen"] is None else (case["chosen"], 2))


@pytest.mark.parametrize("case", VECTORS["address"])
def test_keys_with_nodes(case: Any) -> None:
    key, nodes = bytes.fromhex(case["key"]), _addresses(case["nodes"] or [])
    assert encode_key_address(key, nodes).hex() == case["hex"]
    assert decode_key(bytes.fromhex(case["hex"])) == (key, nodes)
    assert decode_key(case["hex"]) == (key, nodes)


def test_written_forms_of_a_key() -> None:
    key = bytes.fromhex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")
    assert decode_key(key) == (key, ())
    assert decode_key(f"  {key.hex().upper()}\n") == (key, ())
    alphabet = "ybndrfg8ejkmcpqxot1uwisza345h769"
    bits = "".join(f"{byte:08b}" for byte in key).ljust(260, "0")
    z32 = "".join(alphabet[int(five, 2)] for five in re.findall(".{5}", bits))
    assert len(z32) == 52
    assert decode_key(z32) == (key, ())


@pytest.mark.parametrize("wrong", ["", "abc", "g" * 64, "l" * 52, b"", b"x" * 31, b"x" * 32 + b"\x01\xff"])
def test_what_is_no_key_is_said_to_be_none(wrong: str | bytes) -> None:
    with pytest.raises(IdentityError):
        decode_key(wrong)


def test_where_peers_can_and_cannot_live() -> None:
    private = ["10.1.2.3", "127.0.0.1", "192.168.0.1", "172.31.0.1", "100.64.0.1", "169.254.1.1"]
    assert all(is_private(host) for host in private)
    assert not any(is_private(host) for host in ["172.32.0.1", "100.128.0.1", "8.8.8.8", "nonsense"])
    assert all(is_reserved(h) for h in ["0.1.2.3", "203.0.113.5", "198.19.0.1", "224.0.0.1", "255.255.255.255", "x"])
    assert not any(is_reserved(h) for h in ["8.8.8.8", "127.0.0.1", "192.168.0.1"])


def test_choice_of_shared_addresses() -> None:
    seen = ("9.9.9.9", 9)
    assert first_public_address([("192.168.0.1", 1), ("8.8.8.8", 2)], seen) == ("8.8.8.8", 2)
    assert first_public_address([("192.168.0.1", 1), ("8.8.8.8", 0)], seen) == seen
    assert lan_address([("10.0.0.1", 1)], [("192.168.0.1", 2)]) == ("192.168.0.1", 2)
    assert lan_address([("10.0.0.1", 1)], [("0.0.0.0", 2)]) is None
