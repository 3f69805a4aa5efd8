"""dht_rpc: messages round-trip, decoders and nodes survive any bytes, no order of events leaks a request."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qvac_core.codec import Address
from qvac_core.dht_rpc import (
    Node,
    Outcome,
    QueryResult,
    Request,
    RequestMessage,
    ResponseMessage,
    SocketId,
    decode,
    peer_id,
)
from qvac_core.dht_rpc.messages import peer_key
from qvac_core.dht_rpc.nat_sampler import NatSampler
from qvac_core.dht_rpc.table import Table, TableNode
from qvac_core.dht_rpc.timers import Timers
from qvac_core.errors import RemoteProtocolError
from tests.unit.lone_node import LoneNode, address

addresses = st.tuples(st.ip_addresses(v=4).map(str), st.integers(0, 65535))
tids = st.integers(0, 65535)
hashes = st.binary(min_size=32, max_size=32)
values = st.none() | st.binary(min_size=1, max_size=300)
senders = st.just(("10.0.0.1", 4000))

requests = st.builds(
    RequestMessage,
    tids,
    addresses,
    st.integers(0, 300),
    st.booleans(),
    st.none() | st.just(peer_id(("10.0.0.1", 4000))),
    st.none() | hashes,
    st.none() | hashes,
    values,
)
responses = st.builds(
    ResponseMessage,
    tids,
    addresses,
    st.none() | st.just(peer_id(("10.0.0.1", 4000))),
    st.none() | hashes,
    st.lists(addresses, max_size=40).map(tuple),
    st.integers(0, 300),
    values,
)


@given(requests | responses)
def test_messages_round_trip(message: RequestMessage | ResponseMessage) -> None:
    assert decode(message.encode(), ("10.0.0.1", 4000)) == message


@given(requests | responses, st.binary(max_size=20))
def test_trailing_bytes_are_ignored(message: RequestMessage | ResponseMessage, rest: bytes) -> None:
    assert decode(message.encode() + rest, ("10.0.0.1", 4000)) == message


@given(requests | responses, st.data())
def test_a_truncated_message_is_refused(message: RequestMessage | ResponseMessage, data: st.DataObject) -> None:
    wire = message.encode()
    length = data.draw(st.integers(0, len(wire) - 1))
    try:
        decode(wire[:length], ("10.0.0.1", 4000))
    except RemoteProtocolError:
        return
    raise AssertionError("every byte of a message carries something")


noise = st.binary(max_size=200) | st.builds(
    lambda kind, rest: bytes([kind]) + rest, st.sampled_from([3, 0x13]), st.binary(max_size=200)
)


@given(
    st.lists(st.tuples(noise | requests.map(RequestMessage.encode) | responses.map(ResponseMessage.encode), addresses))
)
@settings(deadline=None)
def test_a_node_survives_any_datagrams(datagrams: list[tuple[bytes, Address]]) -> None:
    node = Node(now=0.0, random=Random(1), bootstrap=[("10.0.0.1", 4000)])
    node.set_server_port(49737)
    node.bootstrap(0.0)
    node.receive(datagrams, SocketId.SERVER, 0.5)
    node.receive(datagrams, SocketId.CLIENT, 0.6)
    node.handle_timer(1.5)
    assert len(node.transmissions()) <= 4 * len(datagrams) + 4


@given(hashes, st.lists(st.integers(0, 500), unique=True, max_size=150), hashes)
def test_closest_is_made_of_the_table_and_complete(id: bytes, numbers: list[int], target: bytes) -> None:
    table = Table(id)
    kept = [node for node in (TableNode(address(n), 0) for n in numbers) if table.add(node)]
    assert len(table) == len(kept) == len(list(table))
    closest = table.closest(target)
    assert len(closest) == min(20, len(kept))
    assert len({node.key for node in closest}) == len(closest)
    shared = 256 - (table.key ^ int.from_bytes(target)).bit_length()
    nearest = [node for node in kept if 256 - (table.key ^ node.key).bit_length() == min(shared, 255)]
    assert set(map(peer_key, [node.address for node in closest])) >= {node.key for node in nearest}
    for node in kept:
        assert table.remove(node)
    assert len(table) == 0
    assert table.closest(target) == []


@given(st.lists(st.tuples(st.sampled_from(["1.1.1.1", "2.2.2.2"]), st.integers(1, 3)), max_size=60))
def test_the_sampler_only_ever_names_what_it_was_told(samples: list[tuple[str, int]]) -> None:
    sampler = NatSampler()
    for host, port in samples:
        sampler.add(host, port)
        assert sampler.host is not None or sampler.port == 0
        assert sampler.host is None or sampler.host in [host for host, _ in samples]
    if samples and len(set(samples)) == 1:
        assert (sampler.host, sampler.port) == samples[0]


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=50))
def test_timers_run_in_order_and_cancelled_ones_never(appointments: list[tuple[float, bool]]) -> None:
    timers = Timers()
    ran: list[float] = []
    for when, cancelled in appointments:
        timer = timers.at(when, ran.append)
        if cancelled:
            timer.cancel()
    while (due := timers.next()) is not None:
        timers.run(due)
    assert ran == sorted(when for when, cancelled in appointments if not cancelled)


class RequestLife(RuleBasedStateMachine):
    """Requests and queries are started, answered, cancelled and timed out in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.lone = LoneNode()
        for n in range(1, 8):
            self.lone.node.add_node(address(n))
        self.on_the_way: list[tuple[Address, RequestMessage]] = []
        self.requests: list[Request] = []
        self.queries: list[Any] = []
        self.started = 0
        self.settled: list[int] = []

    def _collect(self) -> None:
        self.on_the_way += self.lone.sent_requests()

    def _settle(self, number: int, _: Outcome | QueryResult) -> None:
        self.settled.append(number)

    @rule(count=st.integers(1, 100), peer=st.integers(1, 20), retries=st.integers(0, 2))
    def start(self, count: int, peer: int, retries: int) -> None:
        for _ in range(count):
            number = self.started
            self.started += 1
            self.requests.append(
                self.lone.node.request(
                    1,
                    address(peer),
                    now=self.lone.now,
                    retries=retries,
                    on_done=partial(self._settle, number),
                )
            )
        self._collect()

    @rule(wanted=hashes)
    def query(self, wanted: bytes) -> None:
        number = self.started
        self.started += 1
        on_finished = partial(self._settle, number)
        self.queries.append(self.lone.node.query(wanted, 2, now=self.lone.now, on_finished=on_finished))
        self._collect()

    @precondition(lambda self: self.on_the_way)
    @rule(share=st.floats(0, 1), nodes=st.lists(st.integers(1, 40), max_size=5))
    def answer(self, share: float, nodes: list[int]) -> None:
        count = int(len(self.on_the_way) * share) + 1
        answered, self.on_the_way = self.on_the_way[:count], self.on_the_way[count:]
        for to, message in answered:
            self.lone.answer(message, to, closer_nodes=[address(n) for n in nodes])
        self._collect()

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.requests)).cancel()

    @precondition(lambda self: self.queries)
    @rule(data=st.data())
    def cancel_query(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.queries)).cancel()

    @rule(seconds=st.sampled_from([0.01, 0.3, 0.75, 1.0, 3.1]))
    def wait(self, seconds: float) -> None:
        self.lone.advance(seconds)
        self._collect()

    @invariant()
    def once_at_most(self) -> None:
        assert len(set(self.settled)) == len(self.settled)
        assert self.lone.window_total >= 0

    def teardown(self) -> None:
        self.lone.advance(120)
        assert sorted(self.settled) == list(range(self.started)), "everything ended, once"
        assert self.lone.node.held["requests"] == 0
        assert self.lone.window_total == 0
        assert all(request.done for request in self.requests)


TestRequestLife = RequestLife.TestCase
TestRequestLife.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
