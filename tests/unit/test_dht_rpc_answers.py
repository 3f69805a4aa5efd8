"""How a node answers others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qvac_core.codec import Writer
from qvac_core.dht_rpc import IncomingRequest, Internal, ReplyError, RequestMessage, ResponseMessage, SocketId, peer_id
from qvac_core.dht_rpc.limits import PER_SECOND, REFUSAL, HostCounts
from qvac_core.dht_rpc.messages import pack_address
from qvac_core.dht_rpc.tokens import LIFETIME
from tests.unit.lone_node import OUR_HOST, SERVER_PORT, LoneNode, address

PEER = address(1)
TARGET = bytes(32)
PUT = 9


def node_with_neighbours(count: int = 3) -> LoneNode:
    lone = LoneNode()
    for n in range(10, 10 + count):
        lone.node.add_node(address(n))
    return lone


def make_persistent(lone: LoneNode) -> None:
    lone.node.own_address.firewalled = False
    lone.node.know_address((OUR_HOST, SERVER_PORT))
    lone.node.reachability.update(lambda changed: None)
    assert not lone.node.ephemeral
    lone.sent()


def test_ping_is_answered_with_nothing_but_itself() -> None:
    lone = node_with_neighbours()
    lone.ask(PEER, Internal.PING, internal=True, target=TARGET, value=b"padding")
    assert lone.sent_responses() == [(PEER, ResponseMessage(7, PEER))]


def test_find_node_is_answered_with_nodes_and_no_token() -> None:
    lone = node_with_neighbours()
    lone.ask(PEER, Internal.FIND_NODE, internal=True, target=TARGET)
    [(to, message)] = lone.sent_responses()
    assert to == PEER
    assert message.token is None
    assert set(message.closer_nodes) == {address(10), address(11), address(12)}
    lone.ask(PEER, Internal.FIND_NODE, internal=True)
    assert lone.sent() == []


def test_ping_nat_is_answered_to_the_other_port_from_the_same_socket() -> None:
    lone = LoneNode()
    lone.ask(PEER, Internal.PING_NAT, internal=True, value=Writer().uint16(999).finish())
    [(socket, to, message)] = lone.sent()
    assert (socket, to) == (SocketId.SERVER, (PEER[0], 999))
    assert message == ResponseMessage(7, (PEER[0], 999))


@pytest.mark.parametrize("value", [None, b"\x01", bytes(2)])
def test_ping_nat_without_a_port_gets_no_answer(value: bytes | None) -> None:
    lone = LoneNode()
    lone.ask(PEER, Internal.PING_NAT, internal=True, value=value)
    assert lone.sent() == []


def test_delayed_ping_waits_and_refuses_long_waits() -> None:
    lone = LoneNode()
    lone.ask(PEER, Internal.DELAYED_PING, internal=True, value=Writer().uint32(1500).finish())
    lone.advance(1.4)
    assert lone.sent() == []
    lone.advance(0.1)
    assert lone.sent_responses() == [(PEER, ResponseMessage(7, PEER))]
    lone.ask(PEER, Internal.DELAYED_PING, internal=True, value=Writer().uint32(10_001).finish())
    lone.ask(PEER, Internal.DELAYED_PING, internal=True, value=b"\x01\x02\x03")
    lone.advance(20)
    assert lone.sent() == []


def test_unknown_commands_are_answered_as_unknown() -> None:
    lone = node_with_neighbours()
    lone.ask(PEER, 77, internal=True, target=TARGET)
    lone.ask(PEER, 77, target=TARGET)
    lone.ask(PEER, 77)
    first, second, third = [message for _, message in lone.sent_responses()]
    assert [first.error, second.error, third.error] == [ReplyError.UNKNOWN_COMMAND] * 3
    assert len(first.closer_nodes) == len(second.closer_nodes) == 3
    assert third.closer_nodes == ()
    assert first.token is second.token is None


def test_a_reply_of_the_user_carries_token_and_nodes_unless_told_otherwise() -> None:
    lone = node_with_neighbours()
    seen: list[IncomingRequest] = []
    lone.node.on_request = seen.append
    lone.ask(PEER, PUT, target=TARGET, value=b"v")
    [request] = seen
    assert (request.command, request.value, request.from_, request.token_valid) == (PUT, b"v", PEER, False)
    request.reply(b"done")
    request.reply(token=False, closer_nodes=False, to=address(3), socket=5)
    request.error(17)
    (_, _, full), (socket, to, bare), (_, _, refusal) = lone.sent()
    assert isinstance(full, ResponseMessage)
    assert full.token is not None
    assert len(full.closer_nodes) == 3
    assert (socket, to, bare) == (5, address(3), ResponseMessage(7, address(3)))
    assert isinstance(refusal, ResponseMessage)
    assert (refusal.error, refusal.token, len(refusal.closer_nodes)) == (17, None, 3)


def test_a_wrong_token_is_refused_with_one_that_works() -> None:
    lone = node_with_neighbours()
    seen: list[IncomingRequest] = []
    lone.node.on_request = seen.append
    lone.ask(PEER, PUT, target=TARGET, token=bytes(32))
    [(_, refusal)] = lone.sent_responses()
    assert (refusal.error, len(refusal.closer_nodes)) == (ReplyError.INVALID_TOKEN, 3)
    assert refusal.token is not None
    assert seen == []
    lone.ask((PEER[0], 1), PUT, target=TARGET, token=refusal.token)
    assert [request.token_valid for request in seen] == [True], "a token is the host's, whatever the port"
    lone.ask(address(2), PUT, target=TARGET, token=refusal.token)
    assert len(seen) == 1
    assert lone.sent_responses()[0][1].error == ReplyError.INVALID_TOKEN


def test_a_token_lives_between_one_and_two_turns_of_the_secret() -> None:
    lone = LoneNode()
    token = lone.node.exchange.token_for("10.0.0.1")
    lone.advance(LIFETIME)
    assert lone.node.exchange.accepts_token(token, "10.0.0.1")
    assert lone.node.exchange.token_for("10.0.0.1") != token
    lone.advance(LIFETIME)
    assert not lone.node.exchange.accepts_token(token, "10.0.0.1")


def test_only_a_persistent_node_says_its_id_and_only_from_its_server_socket() -> None:
    lone = LoneNode()
    lone.ask(PEER, Internal.PING, internal=True)
    make_persistent_before = lone.sent_responses()[0][1].id
    assert make_persistent_before is None
    make_persistent(lone)
    lone.ask(PEER, Internal.PING, internal=True)
    lone.ask(PEER, Internal.PING, internal=True, socket=SocketId.CLIENT)
    lone.ask(PEER, Internal.PING, internal=True, socket=7)
    ids = [message.id for _, message in lone.sent_responses()]
    assert ids == [peer_id((OUR_HOST, SERVER_PORT)), None, None]
    lone.request(PEER)
    lone.request(PEER, socket=7)
    assert [message.id for _, message in lone.sent_requests()] == [peer_id((OUR_HOST, SERVER_PORT)), None]


def test_a_false_id_does_not_count_but_the_message_does() -> None:
    lone = LoneNode()
    lone.ask(PEER, Internal.PING, internal=True, id=peer_id(address(2)))
    assert len(lone.sent_responses()) == 1
    assert lone.table_addresses == set()
    lone.ask(PEER, Internal.PING, internal=True, id=peer_id(PEER))
    assert lone.table_addresses == {PEER}


def test_a_relayed_request_keeps_its_transaction_id() -> None:
    lone = LoneNode()
    seen: list[IncomingRequest] = []
    lone.node.on_request = seen.append
    lone.ask(PEER, 0, target=TARGET, value=b"a")
    seen[0].relay(b"b", address(5))
    [(socket, to, message)] = lone.sent()
    assert (socket, to) == (SocketId.SERVER, address(5))
    assert message == RequestMessage(7, address(5), 0, target=TARGET, value=b"b")


def test_garbage_and_impossible_senders_get_no_answer() -> None:
    lone = LoneNode()
    ping = RequestMessage(7, PEER, Internal.PING, True).encode()
    for wire in (b"", b"\x03", b"\x13\x00", b"\x23" + ping[1:], ping[:-1], b"\x03\xff" + ping[2:]):
        lone.receive(wire, PEER)
    lone.receive(ping, (PEER[0], 0))
    lone.receive(ping, ("255.255.255.255", 5))
    lone.receive(ping, ("0.0.0.0", 5))
    assert lone.sent() == []
    lone.receive(ping + b"trailing", PEER)
    assert len(lone.sent()) == 1, "later versions may add fields at the end"


def test_one_host_cannot_make_us_work_without_end_whatever_its_ports() -> None:
    lone = LoneNode()
    limit = PER_SECOND[Internal.FIND_NODE]
    for n in range(limit + 50):
        lone.ask(("20.0.0.1", 1000 + n), Internal.FIND_NODE, internal=True, target=TARGET)
    assert len(lone.sent()) == limit
    lone.ask(("20.0.0.2", 1000), Internal.FIND_NODE, internal=True, target=TARGET)
    assert len(lone.sent()) == 1
    lone.now += 1.0
    lone.ask(("20.0.0.1", 1000), Internal.FIND_NODE, internal=True, target=TARGET)
    assert len(lone.sent()) == 1


def test_a_test_network_on_one_host_may_ask_more() -> None:
    lone = LoneNode()
    for n in range(PER_SECOND[Internal.FIND_NODE] * 4):
        lone.ask(("127.0.0.1", 1000 + n), Internal.FIND_NODE, internal=True, target=TARGET)
    assert len(lone.sent()) == PER_SECOND[Internal.FIND_NODE] * 4


def test_a_hundred_thousand_forged_senders_take_bounded_memory_and_lock_nobody_out() -> None:
    counts = HostCounts(1.0)
    limit = PER_SECOND[Internal.FIND_NODE]
    for n in range(100_000):
        counts.take(f"2 {20 + (n >> 16)}.{n >> 8 & 255}.{n & 255}.7", 1, limit, 10.0)
    assert len(counts._counts) <= 1 << 14
    assert all(counts.take("2 9.9.9.9", 1, limit, 10.5) for _ in range(limit // 2))


def test_forged_tokens_do_not_make_us_a_loudspeaker() -> None:
    lone = LoneNode()
    for n in range(PER_SECOND[REFUSAL] + 50):
        lone.ask(("20.0.0.1", 1000 + n), PUT, target=TARGET, token=bytes(32))
    assert len(lone.sent()) == PER_SECOND[REFUSAL]


def test_a_down_hint_makes_us_look_ourselves_once() -> None:
    lone = node_with_neighbours()
    hint = pack_address(address(10))
    lone.ask(PEER, Internal.DOWN_HINT, internal=True, value=hint)
    lone.ask(PEER, Internal.DOWN_HINT, internal=True, value=hint)
    lone.ask(PEER, Internal.DOWN_HINT, internal=True, value=pack_address(address(99)))
    lone.ask(PEER, Internal.DOWN_HINT, internal=True, value=b"short")
    sent = lone.sent()
    pings = [(to, message) for _, to, message in sent if isinstance(message, RequestMessage)]
    assert [(to, message.command) for to, message in pings] == [(address(10), Internal.PING)]
    assert len(sent) - len(pings) == 3
    lone.advance(3.9)
    assert address(10) in lone.table_addresses
    lone.advance(0.1)
    assert lone.table_addresses == {address(11), address(12)}


def test_a_node_that_answers_the_check_without_its_id_has_left() -> None:
    lone = node_with_neighbours()
    lone.ask(PEER, Internal.DOWN_HINT, internal=True, value=pack_address(address(10)))
    lone.ask(PEER, Internal.DOWN_HINT, internal=True, value=pack_address(address(11)))
    for _, to, message in lone.sent():
        if isinstance(message, RequestMessage):
            # seen must be later than when the check began, and the clock of the table counts ticks
            lone.node.neighbourhood.tick += 1
            lone.answer(replace(message), to, id=to == address(11))
    assert lone.table_addresses == {address(11), address(12)}
