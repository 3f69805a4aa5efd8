"""dht-rpc's datagrams, tables and samples against known answers made by the JavaScript modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qvac_core.codec import Address
from qvac_core.dht_rpc.messages import RequestMessage, ResponseMessage, decode, pack_address, peer_id
from qvac_core.dht_rpc.nat_sampler import NatSampler
from qvac_core.dht_rpc.table import Table, TableNode
from qvac_core.dht_rpc.tokens import token

FOLDER = Path(__file__).parents[1] / "vectors"
VECTORS: dict[str, Any] = json.loads((FOLDER / "vectors.json").read_text(encoding="utf-8"))
DHT = VECTORS["dhtRpc"]
NODES = [(node["host"], node["port"]) for node in DHT["closerNodes"]]
TOKEN = bytes.fromhex(DHT["token"])
TABLE_ID = bytes.fromhex(DHT["tableId"])


def optional(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def test_requests() -> None:
    requests = [case for case in DHT["messages"] if "command" in case]
    assert len(requests) == 8
    for case in requests:
        persistent = not case["ephemeral"] and case["socket"] == "server"
        message = RequestMessage(
            case["tid"],
            (case["to"]["host"], case["to"]["port"]),
            case["command"],
            case["internal"],
            TABLE_ID if persistent else None,
            optional(case["token"]),
            optional(case["target"]),
            optional(case["value"]),
        )
        assert message.encode().hex() == case["hex"], case["label"]


RESPONSES: dict[str, dict[str, Any]] = {
    "reply to ping (no token, no nodes)": {},
    "reply to find-node": {"closer_nodes": NODES},
    "user reply, value, token, nodes": {"token": TOKEN, "closer_nodes": NODES, "value": b"hello"},
    "user reply, no value": {"token": TOKEN, "closer_nodes": NODES},
    "user reply from an ephemeral node": {"id": None, "token": TOKEN, "closer_nodes": NODES, "value": b"hello"},
    "error UNKNOWN_COMMAND with nodes": {"closer_nodes": NODES, "error": 1},
    "error INVALID_TOKEN with token": {"token": TOKEN, "closer_nodes": NODES, "error": 2},
    "error SEQ_TOO_LOW": {"closer_nodes": NODES, "error": 17},
}


@pytest.mark.parametrize("label", RESPONSES)
def test_responses(label: str) -> None:
    case = next(case for case in DHT["messages"] if case["label"] == label)
    fields: dict[str, Any] = {"id": TABLE_ID, **RESPONSES[label]}
    message = ResponseMessage(case["tid"], (case["to"]["host"], case["to"]["port"]), **fields)
    assert message.encode().hex() == case["hex"]


def test_every_message_decodes_and_encodes_to_itself() -> None:
    for case in DHT["messages"]:
        wire = bytes.fromhex(case["hex"])
        message = decode(wire, ("1.2.3.4", 5))
        assert message.id is None, "an id that does not belong to the sender counts as absent"
        if not wire[1] & 1:
            assert message.encode() == wire


def test_tokens() -> None:
    assert token(bytes.fromhex(DHT["tokenSecret"]), DHT["tokenHost"]) == TOKEN


def test_peer_ids() -> None:
    for case in VECTORS["peerIds"]:
        assert peer_id((case["host"], case["port"])).hex() == case["id"]


@pytest.mark.parametrize("case", VECTORS["natSampler"], ids=lambda case: str(case["label"]))
def test_nat_sampler(case: dict[str, Any]) -> None:
    sampler = NatSampler()
    seen = []
    for host, port in case["samples"]:
        sampler.add(host, port)
        seen.append({"host": sampler.host, "port": sampler.port})
    assert seen == case["after"]


def test_table() -> None:
    case = VECTORS["table"]
    table = Table(bytes.fromhex(case["id"]), case["k"])
    added = [table.add(TableNode((add["host"], add["port"]), 0)) for add in case["adds"]]
    assert added == [add["added"] for add in case["adds"]]
    for lookup in case["closest"]:
        nodes = table.closest(bytes.fromhex(lookup["target"]))
        assert [f"{node.host}:{node.port}" for node in nodes] == lookup["nodes"]


def trace_datagrams() -> list[tuple[Address, bytes]]:
    """(sender, datagram) of every dht-rpc datagram of an announce, a connect, a put, and of a hole punch."""
    found: list[tuple[Address, bytes]] = []
    for part in ("announce", "connect", "mutablePut"):
        found += [(("127.0.0.1", entry["fromPort"]), bytes.fromhex(entry["hex"])) for entry in VECTORS["trace"][part]]
    hole_punch = json.loads((FOLDER / "trace-nat.json").read_text(encoding="utf-8"))
    for packet in hole_punch["packets"]:
        host, port = packet["from"].split()[-1].split(":")
        found.append(((host, int(port)), bytes.fromhex(packet["hex"])))
    return [(sender, wire) for sender, wire in found if len(wire) >= 2 and wire[0] in (0x03, 0x13)]


def test_trace_of_javascript_nodes() -> None:
    datagrams = trace_datagrams()
    assert len(datagrams) > 50
    with_id = 0
    for sender, wire in datagrams:
        message = decode(wire, sender)
        assert message.encode() == wire
        if message.id is not None:
            with_id += 1
            assert message.id == peer_id(sender)
    assert with_id > 5


def test_down_hint_carries_a_packed_address() -> None:
    case = next(case for case in DHT["messages"] if case["label"] == "down-hint")
    assert pack_address(("10.9.8.7", 77)).hex() == case["value"]
