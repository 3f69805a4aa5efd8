"""Networks of growing size in virtual time: guests behind NATs bootstrap, announce and look up; hops grow with log n.

Nodes are the real dht_rpc.Node with the real store of rendezvous.Records, and signatures are real. Ten thousand of them
under `long`; a small sister always.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from statistics import mean

import pytest

from qvac_core.codec import Address, blake2b
from qvac_core.dht_rpc import IncomingRequest, QueryResult, Reply, RequestSpec
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.constants import Command
from qvac_core.rendezvous.messages import LookupReply
from qvac_core.rendezvous.records import Records
from qvac_core.rendezvous.router import Router
from qvac_core.rendezvous.signatures import sign_announce

from .network import Network, SimulatedNode

SEED = 20251125
EPOCH_MS = 1_760_000_000_000


class Population:
    """`size` persistent nodes that store announces, and guests who come for one thing."""

    def __init__(self, size: int, *, loss: float = 0.0, at_once: int = 16) -> None:
        self.network = Network(SEED, loss=loss)
        self.nodes = list(self.network.build(size, at_once=at_once))
        for member in self.nodes:
            self._store_for_others(member)

    def _store_for_others(self, member: SimulatedNode) -> None:
        records = Records(Router(), chance=self.network.random)

        def on_request(request: IncomingRequest) -> None:
            assert member.node.id is not None
            records.handle(request, node_id=member.node.id, now=self.network.now, epoch_ms=EPOCH_MS)

        member.node.on_request = on_request

    def guest(self) -> tuple[SimulatedNode, float]:
        """Somebody behind a NAT who knows the first node only, and the seconds until it knew its neighbourhood."""
        network = self.network
        came = network.now
        guest = network.add([self.nodes[0].address], reachable=False)
        network.run_until(lambda: guest.ready)
        return guest, network.now - came

    def leave(self, guest: SimulatedNode) -> None:
        guest.node.close()
        self.network.crash([guest])


@dataclass(frozen=True)
class Walk:
    """`hops`: how many nodes had to answer one after the other until the nearest one was known and had answered."""

    result: QueryResult
    replies: tuple[Reply, ...]
    hops: int
    seconds: float


class Path:
    """Watches a walk: whoever was in the asker's own table is one hop away, whom those name two, and so on."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self._depth: dict[Address, int] = {}

    def see(self, reply: Reply) -> None:
        self.replies.append(reply)
        depth = self._depth.setdefault(reply.from_, 1)
        for address in reply.closer_nodes:
            self._depth.setdefault(address, depth + 1)

    def hops(self, result: QueryResult) -> int:
        return self._depth[result.closest_replies[0].from_]


def walk(population: Population, asking: SimulatedNode, topic: bytes, announced_by: KeyPair | None = None) -> Walk:
    """A LOOKUP; with a key also the announces at the nearest."""
    network, results, path = population.network, list[QueryResult](), Path()

    def announce_at(reply: Reply) -> RequestSpec | None:
        if announced_by is None or reply.id is None or reply.token is None:
            return None
        message = sign_announce(announced_by, target=topic, node_id=reply.id, token=reply.token)
        return RequestSpec(Command.ANNOUNCE, topic, message.encode(), reply.token)

    started = network.now
    asking.node.query(
        topic,
        Command.LOOKUP,
        now=network.now,
        on_reply=path.see,
        on_finished=results.append,
        commit=announce_at if announced_by is not None else None,
    )
    network.flush(asking)
    network.run_until(lambda: bool(results))
    return Walk(results[0], tuple(path.replies), path.hops(results[0]), network.now - started)


def keys_in(found: Walk) -> set[bytes]:
    replies = [LookupReply.decode(reply.value) for reply in found.replies if reply.value is not None]
    return {peer.public_key for reply in replies for peer in reply.peers}


@dataclass(frozen=True)
class Growth:
    """What a network of one size costs its users; means over all guests."""

    size: int
    persistent: int
    found: float
    recall: float
    hops: float
    answers: float
    walk_seconds: float
    bootstrap_seconds: float
    datagrams_per_node: float


def measure(size: int, topics: int, *, loss: float = 0.0, at_once: int = 16) -> Growth:
    population = Population(size, loss=loss, at_once=at_once)
    network = population.network
    built = network.sent
    found, recall, walks, starts = [], [], list[Walk](), []
    for number in range(topics):
        announcer, start = population.guest()
        starts.append(start)
        key_pair = KeyPair.from_seed(blake2b(b"announcer %d" % number))
        topic = blake2b(b"topic %d" % number)
        announced = walk(population, announcer, topic, key_pair)
        assert announced.result.error is None
        population.leave(announcer)
        seeker, start = population.guest()
        starts.append(start)
        looked_up = walk(population, seeker, topic)
        population.leave(seeker)
        walks += [announced, looked_up]
        found.append(keys_in(looked_up) == {key_pair.public_key})
        nearest = network.true_closest(topic)
        recall.append(len({reply.from_ for reply in looked_up.result.closest_replies} & set(nearest)) / len(nearest))
    return Growth(
        size=size,
        persistent=sum(not member.node.ephemeral for member in population.nodes),
        found=mean(found),
        recall=mean(recall),
        hops=mean(each.hops for each in walks),
        answers=mean(len(each.replies) for each in walks),
        walk_seconds=mean(each.seconds for each in walks),
        bootstrap_seconds=mean(starts),
        datagrams_per_node=built / size,
    )


def fit(growths: list[Growth]) -> tuple[float, float, float]:
    """hops = a + b * log10(size) by least squares, and the largest distance of a point from that line."""
    xs, ys = [log10(growth.size) for growth in growths], [growth.hops for growth in growths]
    x, y = mean(xs), mean(ys)
    slope = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)
    start = y - slope * x
    return start, slope, max(abs(start + slope * a - b) for a, b in zip(xs, ys, strict=True))


def check_growth(growths: list[Growth]) -> None:
    for growth in growths:
        assert growth.persistent > 0.99 * growth.size
        assert growth.found == 1.0
        assert growth.recall > 0.9
        assert growth.walk_seconds < 2
    start, slope, off = fit(growths)
    print(*growths, f"hops = {start:.2f} + {slope:.2f} * log10(n), off by at most {off:.2f}", sep="\n")
    # In proportion to n the last network would take 9 times the hops of the one before, or more.
    assert 0 < slope < 1.5
    assert off < 0.5
    assert growths[-1].hops < growths[-2].hops + 1.5
    # So does what a network of that size costs each of its nodes to become one.
    assert growths[-1].datagrams_per_node < 1.6 * growths[-2].datagrams_per_node


def test_hops_grow_with_the_logarithm_of_the_network() -> None:
    check_growth([measure(size, 8) for size in (25, 100, 400)])


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_nodes_bootstrap_announce_and_look_up() -> None:
    check_growth([measure(size, 50, loss=0.01, at_once=size // 50) for size in (100, 1_000, 10_000)])
