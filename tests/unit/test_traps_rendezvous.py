"""Where other ports fell, for the parts that need no network: what is announced, stored and believed, and how much."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, cast

import pytest

from qvac_core.codec import Address, Reader, Writer
from qvac_core.dht_rpc import Reply
from qvac_core.errors import NetworkError, RemoteProtocolError
from qvac_core.hyperdht.node.handshake_reply import read_handshake_reply
from qvac_core.hyperdht.node.requests import Requests
from qvac_core.hyperdht.records import announce
from qvac_core.hyperdht.server import announcing
from qvac_core.hyperdht.server.announcing import Announcing
from qvac_core.hyperdht.server.self_check import SelfCheck
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.announcer import Announcer
from qvac_core.rendezvous.constants import Command, Mode
from qvac_core.rendezvous.messages import (
    Announce,
    HandshakeMessage,
    HolepunchPayload,
    LookupReply,
    NoisePayload,
    PeerRecord,
)
from qvac_core.rendezvous.records import Records
from qvac_core.rendezvous.router import Router
from qvac_core.rendezvous.signatures import verify_announce

from .rendezvous_fakes import CLIENT, KEYS, NODE_ID, RELAY, SECOND, SERVER, TARGET, TOKEN, TOPIC, FakeRequest


def reply(
    from_: Address = RELAY,
    *,
    id: bytes | None = NODE_ID,
    token: bytes | None = TOKEN,
    error: int = 0,
    value: bytes | None = None,
) -> Reply:
    return Reply(1, from_, SERVER, id, token, (), error, value, 0, 0.01)


# What an announce says, and what a node stores of it


def test_a_server_announces_an_empty_relay_list() -> None:
    message = Announcer(KEYS).announce(NODE_ID, TOKEN)
    assert message.peer == PeerRecord(KEYS.public_key)
    assert message.peer.relay_addresses == ()


def test_the_record_is_stored_and_given_out_not_the_whole_announce() -> None:
    records = Records(Router(), chance=Random(1))
    value = Announcer(KEYS).announce(NODE_ID, TOKEN).encode()
    stored = FakeRequest(Command.ANNOUNCE, value)
    records.handle(stored, node_id=NODE_ID, now=0.0, epoch_ms=0)
    assert stored.replies
    asked = FakeRequest(Command.FIND_PEER)
    records.handle(asked, node_id=NODE_ID, now=1.0, epoch_ms=0)
    assert asked.replies[0]["value"] == PeerRecord(KEYS.public_key).encode()
    looked = FakeRequest(Command.LOOKUP)
    records.handle(looked, node_id=NODE_ID, now=1.0, epoch_ms=0)
    assert looked.replies[0]["value"] == b"\x01" + PeerRecord(KEYS.public_key).encode() + b"\x00"


class FakeRequests:
    """Answers walks with the given nodes, and requests with what `answer` says."""

    def __init__(self, nodes: list[Reply], answer: Callable[[int, Address, bytes], Reply] | None = None) -> None:
        self.nodes = nodes
        self.answer = answer or (lambda command, to, value: reply(to))
        self.walks: list[tuple[int, tuple[Address, ...]]] = []
        self.sent: list[tuple[int, Address, bytes, bytes | None]] = []

    async def query(self, target: bytes, command: int, value: bytes | None = None, **options: Any) -> Any:
        self.walks.append((command, tuple(options.get("nodes", ()))))

        @dataclass
        class Result:
            closest_replies: tuple[Reply, ...]

        return Result(tuple(self.nodes))

    async def request(
        self, command: int, to: Address, *, target: bytes, value: bytes = b"", token: bytes | None = None, **_: Any
    ) -> Reply:
        self.sent.append((command, to, value, token))
        return self.answer(command, to, value)

    store = Requests.store


def test_announces_of_a_topic_walk_with_lookup_and_are_signed_for_each_node() -> None:
    nodes = [reply(("5.0.0.1", n), id=bytes([10 + n]) * 32, token=bytes([100 + n]) * 32) for n in range(1, 6)]
    fake = FakeRequests(nodes)
    stored = asyncio.run(announce(cast(Requests, fake), TOPIC, KEYS))
    assert stored == [node.from_ for node in nodes]
    assert [command for command, _ in fake.walks] == [Command.LOOKUP]
    for node, (command, to, value, token) in zip(nodes, fake.sent, strict=True):
        assert (command, to, token) == (Command.ANNOUNCE, node.from_, node.token)
        assert node.id is not None
        assert node.token is not None
        message = Announce.decode(value)
        assert verify_announce(message, target=TOPIC, node_id=node.id, token=node.token)
        assert not verify_announce(message, target=TOPIC, node_id=NODE_ID, token=node.token)


@pytest.mark.parametrize(
    "nodes",
    [[], [reply(error=0, token=None)], [reply(id=None)]],
    ids=["nobody", "no token", "no id"],
)
def test_an_announce_that_nobody_can_store_fails_loudly(nodes: list[Reply]) -> None:
    with pytest.raises(NetworkError) as failed:
        asyncio.run(announce(cast(Requests, FakeRequests(nodes)), TOPIC, KEYS))
    assert failed.value.name == "TOO_FEW_NODES"


def test_an_announce_that_everybody_refuses_fails_loudly() -> None:
    fake = FakeRequests([reply()], lambda command, to, value: reply(to, error=2))
    with pytest.raises(NetworkError):
        asyncio.run(announce(cast(Requests, fake), TOPIC, KEYS))


# The announce cycle


class FakeEndpoint:
    class Node:
        @staticmethod
        def remote_address() -> Address | None:
            return None

    node = Node()


def announcing_with(fake: FakeRequests, announcer: Announcer) -> Announcing:
    requests = cast(Requests, fake)
    check = SelfCheck(requests, KEYS, lambda: KeyPair.from_seed(bytes(32)), lambda: None)
    return Announcing(cast(Any, FakeEndpoint()), requests, announcer, check)


async def test_each_cycle_starts_from_the_last_ones_closest_nodes() -> None:
    fake = FakeRequests([reply(RELAY), reply(SECOND, id=bytes(32))])
    announcer = Announcer(KEYS)
    cycle = announcing_with(fake, announcer)

    await cycle.update()
    await cycle.update()
    assert fake.walks == [(Command.FIND_PEER, ()), (Command.FIND_PEER, (RELAY, SECOND))]


def test_relays_are_published_only_when_every_commit_has_settled() -> None:
    announcer = Announcer(KEYS)
    seen: list[tuple[Address, ...]] = []

    def answer(command: int, to: Address, value: bytes) -> Reply:
        if command == Command.ANNOUNCE:
            seen.append(announcer.relay_addresses)
        return reply(to)

    nodes = [reply(("5.0.0.1", n), id=bytes([n]) * 32) for n in range(1, 4)]
    fake = FakeRequests(nodes, answer)
    asyncio.run(announcing_with(fake, announcer).update())
    assert seen == [(), (), ()]
    assert announcer.relay_addresses == tuple(node.from_ for node in nodes)


async def test_a_walk_that_never_ends_does_not_end_the_announcing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "UPDATE_LIMIT", 0.0)
    monkeypatch.setattr(announcing, "MIN_UPDATE_INTERVAL", 0.0)
    monkeypatch.setattr(announcing, "_RETRY_FIRST", 0.0)

    third = asyncio.Event()

    class Hanging(FakeRequests):
        async def query(self, target: bytes, command: int, value: bytes | None = None, **options: Any) -> Any:
            self.walks.append((command, ()))
            if len(self.walks) < 3:
                await asyncio.get_running_loop().create_future()
            third.set()
            return await super().query(target, command, value, **options)

    cycle = announcing_with(Hanging([reply()]), Announcer(KEYS))
    running = asyncio.create_task(cycle.run())
    await third.wait()
    running.cancel()
    await asyncio.wait([running])


# Answers that are none


def handshake_reply(mode: int = Mode.REPLY, noise: bytes = b"noise", peer: Address | None = SERVER) -> bytes:
    return HandshakeMessage(mode, noise, peer_address=peer).encode()


@pytest.mark.parametrize(
    "false",
    [
        reply(SECOND, value=handshake_reply()),
        reply(error=1, value=handshake_reply()),
        reply(value=None),
        reply(value=b""),
        reply(value=b"\xff"),
        *(reply(value=handshake_reply(mode)) for mode in Mode if mode != Mode.REPLY),
        reply(value=handshake_reply(noise=b"")),
        reply(value=handshake_reply()[:-1]),
    ],
)
def test_an_answer_to_a_handshake_is_checked_before_it_is_read(false: Reply) -> None:
    with pytest.raises(RemoteProtocolError):
        read_handshake_reply(false, RELAY)
    assert read_handshake_reply(reply(value=handshake_reply()), RELAY).server_address == SERVER


# Counts


def test_no_decoder_believes_a_huge_count() -> None:
    for count in (257, 4097, 0x100000, 0xFFFFFFFF, (1 << 64) - 1):
        number = Writer().uint(count).finish()
        filled = number + bytes(min(count, 5000) * 33)
        for data in (number, filled):
            with pytest.raises(RemoteProtocolError):
                Reader(data).array(Reader.ipv4, 256)
            with pytest.raises(RemoteProtocolError):
                LookupReply.decode(data)
            with pytest.raises(RemoteProtocolError):
                PeerRecord.decode(bytes(32) + data)
            for flag in (1, 2, 4, 64):
                head = Writer().uint(1).uint(flag).uint(0).uint(0).uint(0).finish()
                with pytest.raises(RemoteProtocolError):
                    NoisePayload.decode((head if flag == 1 else head[:-1]) + data)
            with pytest.raises(RemoteProtocolError):
                HolepunchPayload.decode(b"\x04\x00\x00\x00" + data)


def test_a_target_is_needed_and_a_client_cannot_be_both_ends() -> None:
    router = Router()
    for mode in (*Mode, 5, 200):
        request = FakeRequest(Command.PEER_HANDSHAKE, handshake_reply(mode), target=None, from_=CLIENT)
        router.on_handshake(request, 0.0)
        assert request.silent
        unknown = FakeRequest(Command.PEER_HANDSHAKE, handshake_reply(mode, peer=None), target=TARGET, from_=CLIENT)
        router.on_handshake(unknown, 0.0)
        assert not unknown.relayed
