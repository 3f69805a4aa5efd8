"""A network of DHT nodes in one process and in virtual time: latency, loss, firewalls, partitions, crashes, by seed.

Every node is the real `qvac_core.dht_rpc.Node`; only its sockets and its clock are made up.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from random import Random

from qvac_core.codec import Address
from qvac_core.dht_rpc import Event, Node, Query, QueryResult, Ready, Reply, SocketId

SERVER_PORT = 49737
CLIENT_PORT = 50000
MAPPING_LIFE = 60.0
"""Seconds for which a firewall lets answers in."""


class SimulatedNode:
    """A node with its two sockets on a host of its own. `reachable` False puts it behind a firewall."""

    __slots__ = ("_contacted", "alive", "events", "group", "host", "node", "reachable", "timer")

    def __init__(self, node: Node, host: str, reachable: bool) -> None:
        self.node = node
        self.host = host
        self.reachable = reachable
        self.alive = True
        self.group = 0
        self.timer: float | None = None
        self.events: list[Event] = []
        self._contacted: dict[tuple[int, Address], float] = {}

    @property
    def address(self) -> Address:
        return self.host, SERVER_PORT

    @property
    def ready(self) -> bool:
        return any(isinstance(event, Ready) for event in self.events)

    def note_sent(self, socket: int, to: Address, now: float) -> None:
        if not self.reachable:
            self._contacted[socket, to] = now

    def lets_in(self, socket: int, sender: Address, now: float) -> bool:
        return self.reachable or now - self._contacted.get((socket, sender), -MAPPING_LIFE) < MAPPING_LIFE


class Network:
    """Moves datagrams between nodes, and the time to whatever happens next."""

    def __init__(self, seed: int, *, latency: tuple[float, float] = (0.005, 0.06), loss: float = 0.0) -> None:
        self.random = Random(seed)
        self.now = 1000.0
        self.latency = latency
        self.loss = loss
        self.nodes: list[SimulatedNode] = []
        self.sent = 0
        self._by_host: dict[str, SimulatedNode] = {}
        self._heap: list[tuple[float, int, SimulatedNode, tuple[int, Address, bytes] | None]] = []
        self._order = count()

    def add(
        self,
        bootstrap: Sequence[Address] = (),
        *,
        ephemeral: bool | None = None,
        firewalled: bool | None = None,
        reachable: bool = True,
        nodes: Sequence[Address] = (),
        start: bool = True,
    ) -> SimulatedNode:
        number = len(self.nodes) + 1
        host = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        node = Node(
            now=self.now,
            random=self.random,
            bootstrap=bootstrap,
            ephemeral=ephemeral,
            firewalled=firewalled,
            nodes=nodes,
        )
        node.set_server_port(SERVER_PORT)
        simulated = SimulatedNode(node, host, reachable)
        self.nodes.append(simulated)
        self._by_host[host] = simulated
        if start:
            node.bootstrap(self.now)
            self.flush(simulated)
        return simulated

    def add_first(self) -> SimulatedNode:
        """A bootstrap node that was told its address, as the real ones are."""
        first = self.add(ephemeral=False, firewalled=False, start=False)
        first.node.know_address(first.address)
        first.node.bootstrap(self.now)
        self.flush(first)
        return first

    def crash(self, nodes: Iterable[SimulatedNode]) -> None:
        """The nodes are gone without a word."""
        for simulated in nodes:
            simulated.alive = False

    def partition(self, groups: Iterable[Iterable[SimulatedNode]]) -> None:
        """Nodes of different groups do not hear each other; those not named stay in group 0."""
        for number, group in enumerate(groups, start=1):
            for simulated in group:
                simulated.group = number

    def heal(self) -> None:
        for simulated in self.nodes:
            simulated.group = 0

    def flush(self, simulated: SimulatedNode) -> None:
        """Takes over what a node wants sent and when it wants to be woken; after every call into a node."""
        node = simulated.node
        for socket, to, datagram in node.transmissions():
            self._send(simulated, socket, to, datagram)
        event = node.next_event()
        while event is not None:
            simulated.events.append(event)
            event = node.next_event()
        when = node.get_timer()
        if when is not None and (simulated.timer is None or when < simulated.timer):
            simulated.timer = when
            heapq.heappush(self._heap, (when, next(self._order), simulated, None))

    def _send(self, sender: SimulatedNode, socket: int, to: Address, datagram: bytes) -> None:
        self.sent += 1
        sender.note_sent(socket, to, self.now)
        receiver = self._by_host.get(to[0])
        if receiver is None or (self.loss and self.random.random() < self.loss):
            return
        target = SocketId.SERVER if to[1] == SERVER_PORT else SocketId.CLIENT
        source = sender.host, SERVER_PORT if socket == SocketId.SERVER else CLIENT_PORT
        arrival = self.now + self.random.uniform(*self.latency)
        heapq.heappush(self._heap, (arrival, next(self._order), receiver, (target, source, datagram)))

    def step(self) -> None:
        """The next thing that happens."""
        when, _, simulated, arrival = heapq.heappop(self._heap)
        self.now = when
        if not simulated.alive:
            return
        if arrival is None:
            if simulated.timer != when:
                return
            simulated.timer = None
            simulated.node.handle_timer(when)
        else:
            socket, source, datagram = arrival
            if self._by_host[source[0]].group != simulated.group or not simulated.lets_in(socket, source, when):
                return
            simulated.node.receive([(datagram, source)], socket, when)
        self.flush(simulated)

    def run_for(self, seconds: float) -> None:
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            self.step()
        self.now = end

    def run_until(self, condition: Callable[[], bool], limit: float = 120.0) -> None:
        """Runs until the condition holds; AssertionError when it still does not after `limit` virtual seconds."""
        end = self.now + limit
        while not condition():
            if not self._heap or self._heap[0][0] > end:
                raise AssertionError(f"nothing came of it within {limit} s")
            self.step()

    def build(self, size: int, *, at_once: int = 16) -> list[SimulatedNode]:
        """A network of `size` persistent nodes that found each other through the first two."""
        first = self.add_first()
        bootstrap = [first.address]
        self.run_until(lambda: first.ready)
        while len(self.nodes) < size:
            batch = [
                self.add(bootstrap, ephemeral=False, firewalled=False)
                for _ in range(min(at_once, size - len(self.nodes)))
            ]
            self.run_until(lambda batch=batch: all(member.ready for member in batch))  # type: ignore[misc]
        return self.nodes

    def find_node(self, simulated: SimulatedNode, target: bytes, limit: float = 60.0) -> tuple[QueryResult, int]:
        """The result of one lookup, and how many answers it took."""
        results: list[QueryResult] = []
        replies: list[Reply] = []
        self.start_find_node(simulated, target, results.append, replies.append)
        self.run_until(lambda: bool(results), limit)
        return results[0], len(replies)

    def start_find_node(
        self,
        simulated: SimulatedNode,
        target: bytes,
        on_finished: Callable[[QueryResult], None],
        on_reply: Callable[[Reply], None] | None = None,
    ) -> Query:
        query = simulated.node.find_node(target, now=self.now, on_finished=on_finished, on_reply=on_reply)
        self.flush(simulated)
        return query

    def true_closest(self, target: bytes, k: int = 20) -> list[Address]:
        """Who really is nearest, by somebody who sees everything."""
        key = int.from_bytes(target)
        alive = [member for member in self.nodes if member.alive and not member.node.ephemeral]
        return [member.address for member in sorted(alive, key=lambda member: member.node.key ^ key)[:k]]
