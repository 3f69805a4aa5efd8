"""What strangers can make a DHT node work for, remember, or believe."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvac_core.codec import Address
from qvac_core.dht_rpc import Node, RequestMessage, ResponseMessage, messages, peer_id

NOW = 1000.0
ADDRESSES = st.builds(
    lambda octets, port: (".".join(map(str, octets)), port),
    st.tuples(*[st.one_of(st.sampled_from([0, 1, 10, 127, 224, 255]), st.integers(0, 255))] * 4),
    st.integers(0, 65535),
)
FLAGS = st.one_of(st.integers(0, 31), st.integers(0, 252))


def node(**options: Any) -> Node:
    made = Node(now=NOW, random=Random(1), bootstrap=[("5.5.5.5", 5)], **options)
    made.set_server_port(49737)
    return made


def crowd(count: int, seed: int = 3) -> list[Address]:
    chance = Random(seed)
    return [
        (f"{chance.randrange(1, 200)}.{chance.randrange(256)}.{chance.randrange(256)}.7", chance.randrange(1, 65536))
        for _ in range(count)
    ]


def test_answers_that_nobody_asked_for_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """240 addresses in each would cost a thousand microseconds, and fill every cache."""
    read = 0
    true = messages._read_addresses

    def count(*args: Any) -> Any:
        nonlocal read
        read += 1
        return true(*args)

    monkeypatch.setattr(messages, "_read_addresses", count)
    asking = node()
    asking.bootstrap(NOW)
    (_, to, datagram), *_ = asking.transmissions()
    tid = int.from_bytes(datagram[2:4], "little")
    flood = [(ResponseMessage(n, to, closer_nodes=crowd(200)).encode(), ("9.9.9.9", 9)) for n in range(300)]
    asking.receive([*flood, (ResponseMessage(tid, to, closer_nodes=crowd(200)).encode(), ("9.9.9.9", 9))], 1, NOW)
    assert read == 0
    asking.receive([(ResponseMessage(tid, to, closer_nodes=crowd(20)).encode(), to)], 1, NOW)
    assert read == 1


def any_answer(chance: Random, tid: int, to: Address) -> bytes | None:
    match chance.randrange(4):
        case 0:
            return None
        case 1:
            return b"\x13\x1f" + tid.to_bytes(2, "little") + chance.randbytes(chance.randrange(80))
    hosts = [".".join(str(chance.choice((0, 1, 10, 127, 224, chance.randrange(256)))) for _ in range(4))] * 9
    return ResponseMessage(
        tid,
        (hosts[0], chance.randrange(65536)),
        id=chance.choice((None, peer_id(to), bytes(32))),
        token=chance.choice((None, bytes(32))),
        closer_nodes=[*crowd(chance.randrange(30), chance.randrange(1000)), (hosts[0], 0), (hosts[0], 1)],
        error=chance.choice((0, 0, 0, 1, 2, 300)),
        value=chance.choice((None, chance.randbytes(20))),
    ).encode()


@pytest.mark.parametrize("seed", range(15))
def test_any_answers_to_a_true_question(seed: int) -> None:
    """Right address, right number, everything else as it comes: each walk still ends once, and soon."""
    chance = Random(seed)
    asking = node()
    ended: list[Any] = []
    asking.query(bytes(32), 2, now=NOW, internal=True, on_finished=ended.append)
    now = NOW
    while not ended and now < NOW + 300:
        for socket, to, datagram in asking.transmissions():
            answer = any_answer(chance, int.from_bytes(datagram[2:4], "little"), to)
            if answer is not None:
                asking.receive([(answer, to)], socket, now)
        when = asking.get_timer()
        assert when is not None or ended
        now = max(now, when or now)
        asking.handle_timer(now)
    assert len(ended) == 1
    assert len(asking.table) < 20 * 32
    for _ in range(20):  # hints about nodes that are down need no answer, but end too
        now += 1
        asking.handle_timer(now)
    assert asking.held["requests"] == 0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from([b"\x03", b"\x13", b"\xff\x01"]), FLAGS, st.binary(max_size=120)),
            st.builds(
                RequestMessage,
                tid=st.integers(0, 65535),
                to=ADDRESSES,
                command=st.integers(0, 20),
                internal=st.booleans(),
                id=st.one_of(st.none(), st.binary(min_size=32, max_size=32)),
                token=st.one_of(st.none(), st.binary(min_size=32, max_size=32)),
                target=st.one_of(st.none(), st.binary(min_size=32, max_size=32)),
                value=st.one_of(st.none(), st.binary(max_size=50)),
            ),
        ),
        max_size=20,
    ),
    ADDRESSES,
)
def test_any_requests_from_anywhere(requests: list[Any], sender: Address) -> None:
    asked = node(ephemeral=False, firewalled=False)
    asked.know_address(("4.4.4.4", 49737))
    datagrams = [r.encode() if isinstance(r, RequestMessage) else r[0] + bytes([r[1]]) + r[2] for r in requests]
    asked.receive([(datagram, sender) for datagram in datagrams], 0, NOW)
    out = asked.transmissions()
    assert len(out) <= 2 * len(datagrams) + 1
    asked.handle_timer(NOW + 11)
    asked.transmissions()


def test_a_crowd_of_strangers_is_remembered_only_so_far() -> None:
    asked = node(ephemeral=False, firewalled=False)
    asked.know_address(("4.4.4.4", 49737))
    asked.bootstrap(NOW)
    for sender in crowd(5000):
        request = RequestMessage(1, ("4.4.4.4", 49737), 0, True, id=peer_id(sender))
        asked.receive([(request.encode(), sender)], 0, NOW)
        asked.transmissions()
    assert len(asked.table) < 20 * 32
    assert asked.held["requests"] < 200


def test_one_host_with_many_ports_does_not_tell_us_who_we_are() -> None:
    """Each port has an id of its own: 40 liars cost nothing, and our address goes into every handshake."""
    asked = node(ephemeral=False, firewalled=False)
    asked.know_address(("4.4.4.4", 49737))
    honest = crowd(12)
    for sender in honest:
        request = RequestMessage(1, ("4.4.4.4", 49737), 0, True, id=peer_id(sender))
        asked.receive([(request.encode(), sender)], 0, NOW)
    assert asked.remote_address() == ("4.4.4.4", 49737)
    for port in range(1000, 1200):
        sender = ("6.6.6.6", port)
        request = RequestMessage(1, ("66.66.66.66", 49737), 0, True, id=peer_id(sender))
        asked.receive([(request.encode(), sender)], 0, NOW + 1)
    assert asked.remote_address() == ("4.4.4.4", 49737)
