"""Hop decisions, announces and paths, without a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from qvac_core.codec import Address
from qvac_core.errors import NetworkError
from qvac_core.rendezvous.announcer import Announcer
from qvac_core.rendezvous.constants import Command, Firewall, Mode
from qvac_core.rendezvous.messages import (
    HandshakeMessage,
    HolepunchInfo,
    HolepunchMessage,
    NoisePayload,
    RelayInfo,
    UdxInfo,
)
from qvac_core.rendezvous.paths import HandshakeReply, Way, check_payload, choose_paths
from qvac_core.rendezvous.paths import Path as MeetingPath
from qvac_core.rendezvous.request import Request
from qvac_core.rendezvous.router import Answer, Router

from .rendezvous_fakes import CLIENT, KEYS, NODE_ID, RELAY, SECOND, SERVER, TARGET, TOKEN, FakeRequest


class FakeServer:
    def __init__(self, answer: Answer | None) -> None:
        self.answer = answer
        self.asked: list[tuple[bytes, Address | None]] = []

    def on_peer_handshake(
        self, noise: bytes, peer_address: Address | None, request: Request, answer: Callable[[Answer], None]
    ) -> None:
        self.asked.append((noise, peer_address))
        if self.answer is not None:
            answer(self.answer)

    def on_peer_holepunch(
        self, id: int, payload: bytes, peer_address: Address, request: Request, answer: Callable[[Answer], None]
    ) -> None:
        self.asked.append((payload, peer_address))
        if self.answer is not None:
            answer(self.answer)


def handshake(
    mode: int,
    *,
    from_: Address = CLIENT,
    noise: bytes = b"n",
    peer_address: Address | None = None,
    relay_address: Address | None = None,
) -> FakeRequest:
    value = HandshakeMessage(mode, noise, peer_address, relay_address).encode()
    return FakeRequest(Command.PEER_HANDSHAKE, value, from_=from_)


def relaying_router() -> Router:
    router = Router()
    router.set_forward(TARGET, SERVER, b"record", 0)
    return router


def test_a_client_without_a_known_server_is_shown_closer_nodes() -> None:
    request = handshake(Mode.FROM_CLIENT)
    Router().on_handshake(request, 0)
    assert request.replies == [{"value": None, "token": False, "closer_nodes": True}]


def test_handshakes_are_relayed_to_the_announced_address() -> None:
    request = handshake(Mode.FROM_CLIENT)
    relaying_router().on_handshake(request, 0)
    [(value, to, _)] = request.relayed
    assert to == SERVER
    assert HandshakeMessage.decode(value) == HandshakeMessage(Mode.FROM_RELAY, b"n", peer_address=CLIENT)


def test_a_named_second_relay_takes_precedence() -> None:
    request = handshake(Mode.FROM_CLIENT, relay_address=SECOND)
    relaying_router().on_handshake(request, 0)
    [(value, to, _)] = request.relayed
    assert to == SECOND
    assert HandshakeMessage.decode(value) == HandshakeMessage(Mode.FROM_RELAY, b"n", peer_address=CLIENT)


def test_the_second_relay_passes_on_and_names_the_first() -> None:
    request = handshake(Mode.FROM_RELAY, from_=RELAY, peer_address=CLIENT)
    relaying_router().on_handshake(request, 0)
    [(value, to, _)] = request.relayed
    assert to == SERVER
    assert HandshakeMessage.decode(value) == HandshakeMessage(Mode.FROM_SECOND_RELAY, b"n", CLIENT, RELAY)


def test_the_servers_answer_goes_to_the_client_as_a_reply() -> None:
    request = handshake(Mode.FROM_SERVER, from_=SERVER, peer_address=CLIENT)
    Router().on_handshake(request, 0)
    [reply] = request.replies
    assert (reply["to"], reply["token"], reply["closer_nodes"]) == (CLIENT, False, False)
    assert HandshakeMessage.decode(reply["value"]) == HandshakeMessage(Mode.REPLY, b"n", peer_address=SERVER)


@pytest.mark.parametrize(
    ("mode", "relay_address", "back"), [(Mode.FROM_RELAY, None, RELAY), (Mode.FROM_SECOND_RELAY, SECOND, SECOND)]
)
def test_our_server_answers_to_the_first_relay(mode: Mode, relay_address: Address | None, back: Address) -> None:
    router, server = Router(), FakeServer(Answer(b"answer", socket=7))
    router.add_server(TARGET, b"record", server)
    request = handshake(mode, from_=RELAY, peer_address=CLIENT, relay_address=relay_address)
    router.on_handshake(request, 0)
    assert server.asked == [(b"n", CLIENT)]
    [(value, to, socket)] = request.relayed
    assert (to, socket) == (back, 7)
    assert HandshakeMessage.decode(value) == HandshakeMessage(Mode.FROM_SERVER, b"answer", peer_address=CLIENT)


def test_our_server_answers_a_direct_client() -> None:
    router, server = Router(), FakeServer(Answer(b"answer"))
    router.add_server(TARGET, b"record", server)
    request = handshake(Mode.FROM_CLIENT, peer_address=SECOND)
    router.on_handshake(request, 0)
    assert server.asked == [(b"n", None)]
    [reply] = request.replies
    assert HandshakeMessage.decode(reply["value"]) == HandshakeMessage(Mode.REPLY, b"answer")


def test_a_silent_server_stays_silent() -> None:
    router = Router()
    router.add_server(TARGET, b"record", FakeServer(None))
    request = handshake(Mode.FROM_CLIENT)
    router.on_handshake(request, 0)
    assert request.silent


@pytest.mark.parametrize(
    "request_",
    [
        FakeRequest(Command.PEER_HANDSHAKE, None),
        FakeRequest(Command.PEER_HANDSHAKE, b"\xff"),
        FakeRequest(Command.PEER_HANDSHAKE, HandshakeMessage(0, b"n").encode(), target=None),
        handshake(Mode.FROM_CLIENT, noise=b""),
        handshake(Mode.REPLY, peer_address=CLIENT),
        handshake(99, peer_address=CLIENT),
        handshake(Mode.FROM_SERVER),
        handshake(Mode.FROM_RELAY, peer_address=CLIENT),
    ],
)
def test_senseless_handshakes_get_no_answer(request_: FakeRequest) -> None:
    Router().on_handshake(request_, 0)
    assert request_.silent
    ours = Router()
    ours.add_server(TARGET, b"record", FakeServer(Answer(b"answer")))
    if request_.target is None or not request_.value or b"\xff" in request_.value:
        ours.on_handshake(request_, 0)
        assert request_.silent


def holepunch(mode: int, from_: Address = CLIENT, peer_address: Address | None = None) -> FakeRequest:
    value = HolepunchMessage(mode, 5, b"sealed", peer_address).encode()
    return FakeRequest(Command.PEER_HOLEPUNCH, value, from_=from_)


def test_hole_punch_messages_are_relayed_for_others() -> None:
    for asked, to in ((SECOND, SECOND), (None, SERVER)):
        request = holepunch(Mode.FROM_CLIENT, peer_address=asked)
        relaying_router().on_holepunch(request, 0)
        [(value, sent_to, _)] = request.relayed
        assert sent_to == to
        assert HolepunchMessage.decode(value) == HolepunchMessage(Mode.FROM_RELAY, 5, b"sealed", CLIENT)
    request = holepunch(Mode.FROM_SERVER, from_=SERVER, peer_address=CLIENT)
    Router().on_holepunch(request, 0)
    [reply] = request.replies
    assert reply["to"] == CLIENT
    assert HolepunchMessage.decode(reply["value"]) == HolepunchMessage(Mode.REPLY, 5, b"sealed", SERVER)


def test_hole_punch_messages_for_our_server() -> None:
    router, server = Router(), FakeServer(Answer(b"no"))
    router.add_server(TARGET, b"record", server)
    request = holepunch(Mode.FROM_RELAY, from_=RELAY, peer_address=CLIENT)
    router.on_holepunch(request, 0)
    [(value, to, _)] = request.relayed
    assert to == RELAY
    assert HolepunchMessage.decode(value) == HolepunchMessage(Mode.FROM_SERVER, 0, b"no", CLIENT)
    for senseless in (holepunch(Mode.FROM_RELAY), holepunch(Mode.FROM_SERVER), holepunch(Mode.REPLY)):
        router.on_holepunch(senseless, 0)
        assert senseless.silent


def test_nobody_replaces_the_entry_of_our_own_server() -> None:
    router, server = Router(), FakeServer(None)
    router.add_server(TARGET, b"ours", server)
    router.set_forward(TARGET, CLIENT, b"theirs", 0)
    router.forget_forward(TARGET)
    forward = router.get(TARGET, 1e9)
    assert forward is not None
    assert (forward.record, forward.relay, forward.server) == (b"ours", None, server)
    router.remove_server(TARGET)
    assert router.get(TARGET, 0) is None


@dataclass(frozen=True)
class FakeReply:
    from_: Address
    id: bytes | None = NODE_ID
    token: bytes | None = TOKEN


def test_announcing_publishes_when_all_is_settled() -> None:
    announcer = Announcer(KEYS)
    nodes = [FakeReply(("5.0.0.1", port)) for port in range(1, 6)]
    announcer.begin()
    assert announcer.pick([FakeReply(("6.0.0.1", 1), id=None), *nodes]) == nodes[:3]
    for reply in nodes[:3]:
        announcer.committed(reply.from_, CLIENT)
    assert announcer.relays == ()
    announcer.publish([reply.from_ for reply in nodes], None)
    assert announcer.relays == tuple(RelayInfo(reply.from_, CLIENT) for reply in nodes[:3])
    assert announcer.relay_addresses == tuple(reply.from_ for reply in nodes[:3])
    assert announcer.closest_nodes == tuple(reply.from_ for reply in nodes)
    assert announcer.dropped() == []
    announcer.publish([], SERVER)
    assert announcer.relay_addresses == (SERVER, nodes[0].from_, nodes[1].from_)


def test_relays_are_remembered_for_three_generations() -> None:
    announcer = Announcer(KEYS)
    for port in range(1, 5):
        announcer.begin()
        announcer.committed(("5.0.0.1", port), CLIENT)
        announcer.publish([], None)
    assert announcer.dropped() == [("5.0.0.1", 3)]
    assert [announcer.is_relay(("5.0.0.1", port)) for port in range(1, 5)] == [False, True, True, True]
    assert announcer.current() == [("5.0.0.1", 4)]


def test_a_new_address_in_a_pong_is_noticed() -> None:
    announcer = Announcer(KEYS)
    announcer.begin()
    announcer.committed(RELAY, CLIENT)
    assert not announcer.moved(RELAY, CLIENT)
    assert announcer.moved(RELAY, ("1.1.1.1", 2))
    assert not announcer.moved(SECOND, ("1.1.1.1", 2))


@pytest.mark.parametrize(("asked", "answered", "lost"), [(3, 3, False), (3, 2, True), (2, 2, False), (5, 3, False)])
def test_when_too_many_relays_are_lost(asked: int, answered: int, lost: bool) -> None:
    assert Announcer(KEYS).lost_too_many(asked, answered) == lost


# Paths


def reply(*, relayed: bool = True, server: Address = SERVER, client: Address = CLIENT) -> HandshakeReply:
    return HandshakeReply(b"", relayed, RELAY, server, client)


PUNCHABLE = HolepunchInfo(0, (RelayInfo(RELAY, SERVER),))


def ways(payload: NoisePayload, answer: HandshakeReply, firewall: Firewall = Firewall.UNKNOWN) -> list[MeetingPath]:
    return list(choose_paths(answer, payload, firewall=firewall, local_addresses=[("192.168.1.5", 1)]))


def test_a_direct_answer_is_the_path() -> None:
    assert ways(NoisePayload(), reply(relayed=False, server=RELAY)) == [MeetingPath(Way.DIRECT, RELAY)]


def test_an_open_server_is_sent_to_at_its_first_public_address() -> None:
    payload = NoisePayload(firewall=Firewall.OPEN, addresses4=(("192.168.1.9", 1), ("8.8.8.8", 2)))
    assert ways(payload, reply()) == [MeetingPath(Way.OPEN, ("8.8.8.8", 2))]
    payload = NoisePayload(firewall=Firewall.OPEN, addresses4=(("192.168.1.9", 1),))
    assert ways(payload, reply()) == [MeetingPath(Way.OPEN, SERVER)]
    assert ways(NoisePayload(), reply()) == [MeetingPath(Way.OPEN, SERVER)]


def test_an_open_client_waits() -> None:
    assert ways(NoisePayload(holepunch=PUNCHABLE), reply(), Firewall.OPEN) == [MeetingPath(Way.PASSIVE)]


def test_peers_with_one_public_address_try_their_own_network_first() -> None:
    payload = NoisePayload(holepunch=PUNCHABLE, addresses4=(("10.0.0.1", 3), ("192.168.1.9", 4)))
    same = reply(server=("1.1.1.1", 77))
    punch = MeetingPath(Way.PUNCH, relays=PUNCHABLE.relays)
    assert ways(payload, same) == [MeetingPath(Way.LAN, ("192.168.1.9", 4)), punch]
    assert ways(payload, reply()) == [punch]


def test_what_a_servers_answer_may_mean() -> None:
    assert check_payload(NoisePayload(udx=UdxInfo(1))) == UdxInfo(1)
    for payload, name in [
        (NoisePayload(version=2), "SERVER_INCOMPATIBLE"),
        (NoisePayload(error=2), "SERVER_INCOMPATIBLE"),
        (NoisePayload(error=1, udx=UdxInfo(1)), "SERVER_ERROR"),
        (NoisePayload(), "SERVER_ERROR"),
    ]:
        with pytest.raises(NetworkError) as failed:
            check_payload(payload)
        assert failed.value.name == name
