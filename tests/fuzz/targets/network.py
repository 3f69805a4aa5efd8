"""Targets: a DHT node among strangers, what it stores for them, and which messages it passes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from qvac_core.codec import Address, Writer, blake2b
from qvac_core.dht_rpc import Outcome, QueryResult, RequestMessage, peer_id
from qvac_core.dht_rpc.commands import K
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.constants import MAX_RECORDS_PER_LOOKUP, Command, Mode
from qvac_core.rendezvous.messages import HandshakeMessage, HolepunchMessage, MutablePut, MutableRecord
from qvac_core.rendezvous.records import Records
from qvac_core.rendezvous.request import Request
from qvac_core.rendezvous.router import Answer, Router
from qvac_core.rendezvous.signatures import sign_announce, sign_mutable, sign_unannounce
from tests.fuzz.known_answers import vectors
from tests.fuzz.script import Script, chunk
from tests.fuzz.target import Target
from tests.fuzz.targets.wire import dht_seeds
from tests.unit.lone_node import LoneNode, address
from tests.unit.rendezvous_fakes import NODE_ID, TARGET, TOKEN, TOPIC, FakeRequest

_MAX_STEPS = 60


class _Node:
    """One node, and the peers that the script plays."""

    def __init__(self) -> None:
        self.lone = LoneNode()
        for n in range(1, 8):
            self.lone.node.add_node(address(n))
        self.asked: list[tuple[Address, RequestMessage]] = []
        self.answers = 0
        self.received = 0
        self.started = 0
        self.settled: list[int] = []

    def collect(self) -> None:
        for _, to, message in self.lone.sent():
            if isinstance(message, RequestMessage):
                self.asked.append((to, message))
            else:
                self.answers += 1
                assert len(message.closer_nodes) <= K
        del self.asked[:-200]
        assert self.answers <= 2 * self.received, "one answer to one question, perhaps a delayed one"
        assert self.lone.window_total <= 160

    def ask(self, script: Script) -> None:
        sender = address(script.byte())
        flags = script.byte()
        target = blake2b(bytes([script.byte()])) if flags & 1 else None
        token = self.lone.node.exchange.token_for(sender[0]) if flags & 2 else bytes(32) if flags & 4 else None
        value = script.chunk() if flags & 8 else None
        id = peer_id(sender) if flags & 16 else None
        self.received += 1
        self.lone.ask(
            sender, script.byte() % 12, internal=bool(flags & 32), target=target, token=token, value=value, id=id
        )

    def answer(self, script: Script) -> None:
        if not self.asked:
            return
        to, message = self.asked.pop(script.byte() % len(self.asked))
        flags = script.byte()
        sender = address(script.byte()) if flags & 1 else to
        nodes = [address(script.uint16() % 5000) for _ in range(script.byte() % 24)] if flags & 2 else []
        self.lone.answer(
            message,
            sender,
            id=not flags & 4,
            token=bytes(32) if flags & 8 else None,
            closer_nodes=nodes,
            error=script.byte() if flags & 16 else 0,
            value=script.chunk() if flags & 32 else None,
            to=address(script.byte()) if flags & 64 else self.lone.us(1),
        )

    def settle(self, number: int, outcome: Outcome | QueryResult) -> None:
        self.settled.append(number)

    def query(self, target: bytes, command: int) -> None:
        settle = partial(self.settle, self.started)
        self.started += 1
        self.lone.node.query(target, command, now=self.lone.now, on_finished=settle)

    def request(self, to: Address, retries: int) -> None:
        settle = partial(self.settle, self.started)
        self.started += 1
        self.lone.node.request(1, to, now=self.lone.now, retries=retries, on_done=settle)


def dht_node(data: bytes) -> None:
    """Requests, answers, junk and time in any order: everything asked ends once, every count stays bounded."""
    script, world = Script(data), _Node()
    node = world.lone.node
    node.on_request = lambda request: request.reply(b"v") if request.command % 2 else request.error(2)
    for _ in range(_MAX_STEPS):
        if script.done:
            break
        match script.byte() % 7:
            case 0 | 1:
                world.ask(script)
            case 2 | 3:
                world.answer(script)
            case 4:
                world.received += 1
                world.lone.receive(script.chunk(), address(script.byte()))
            case 5:
                world.lone.advance(script.byte() / 20)
            case _ if script.flag():
                world.query(blake2b(bytes([script.byte()])), script.byte() % 8)
            case _:
                world.request(address(script.byte()), script.byte() % 4)
        world.collect()
        assert len(node.table) <= 256 * K
        assert len(set(world.settled)) == len(world.settled)
    world.lone.advance(120)
    assert sorted(world.settled) == list(range(world.started))
    assert node.held["requests"] == 0


_OWNER = KeyPair.from_seed(bytes([8]) * 32)
_OWN_TARGET = blake2b(_OWNER.public_key)
_TARGETS = (TARGET, _OWN_TARGET, TOPIC, blake2b(b"value"))


def _announce(script: Script, target: bytes) -> bytes:
    relays = tuple(address(n) for n in range(script.byte() % 5))
    refresh = blake2b(blake2b(bytes([script.byte() % 3]))) if script.flag() else None
    return sign_announce(
        _OWNER,
        target=target,
        node_id=NODE_ID,
        token=TOKEN,
        relay_addresses=relays,
        refresh=refresh,
        bump=script.uint32() * script.byte(),
    ).encode()


def _value(script: Script, command: int, target: bytes) -> bytes | None:
    """A value that fits the command, perhaps damaged, or any bytes."""
    if script.flag():
        return script.chunk()
    match command:
        case Command.ANNOUNCE:
            true = _announce(script, target)
        case Command.UNANNOUNCE:
            true = sign_unannounce(_OWNER, target=target, node_id=NODE_ID, token=TOKEN).encode()
        case Command.MUTABLE_PUT:
            seq, value = script.byte() % 4, script.fixed(1 + script.byte() % 3)
            true = MutablePut(_OWNER.public_key, seq, value, sign_mutable(_OWNER, seq, value)).encode()
        case Command.MUTABLE_GET:
            true = Writer().uint(script.byte() % 4).finish()
        case Command.IMMUTABLE_PUT:
            true = b"value"
        case _:
            return None
    return script.damaged(true)


def persistent_requests(data: bytes) -> None:
    """Announces, records and values of strangers: at most one answer, nothing stored that does not verify."""
    script, router, now = Script(data), Router(), 0.0
    records = Records(router, chance=Random(1), max_size=64)
    put: set[bytes] = set()
    for _ in range(_MAX_STEPS // 2):
        if script.done:
            break
        command, target = script.byte() % 12, script.choice(_TARGETS)
        request = FakeRequest(command, target=None if script.byte() == 7 else target)
        request.value = _value(script, command, target)
        request.token_valid = script.byte() % 8 != 7
        now += script.byte()
        ours = records.handle(request, node_id=NODE_ID, now=now, epoch_ms=1_000_000)
        assert ours == (command not in (Command.PEER_HANDSHAKE, Command.PEER_HOLEPUNCH, 11))
        assert len(request.replies) + len(request.errors) <= 1 and not request.relayed
        if command in (Command.ANNOUNCE, Command.UNANNOUNCE, Command.MUTABLE_PUT, Command.IMMUTABLE_PUT):
            assert request.token_valid or request.silent
            if request.replies and request.value is not None:
                put.add(request.value)
        for reply in request.replies:
            _check_stored(reply["value"], command, put)


def _check_stored(value: bytes | None, command: int, put: set[bytes]) -> None:
    if value is None:
        return
    if command == Command.IMMUTABLE_GET:
        assert value == b"value" and value in put
    elif command == Command.MUTABLE_GET:
        record = MutableRecord.decode(value)
        assert MutablePut(_OWNER.public_key, record.seq, record.value, record.signature).encode() in {
            one[: 32 + len(value)] for one in put
        }
    else:
        assert len(value) <= 2 + 9 + MAX_RECORDS_PER_LOOKUP * (32 + 1 + 18)


class _Server:
    """Answers some at once, some later, some never."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.later: list[Callable[[Answer], None]] = []

    def _answer(self, answer: Callable[[Answer], None]) -> None:
        match self._script.byte() % 3:
            case 0:
                answer(Answer(b"answer"))
            case 1:
                self.later.append(answer)

    def on_peer_handshake(
        self, noise: bytes, peer_address: Address | None, request: Request, answer: Callable[[Answer], None]
    ) -> None:
        assert noise
        self._answer(answer)

    def on_peer_holepunch(
        self, id: int, payload: bytes, peer_address: Address, request: Request, answer: Callable[[Answer], None]
    ) -> None:
        self._answer(answer)


def router(data: bytes) -> None:
    """Handshakes and hole punches on every hop: each message leaves at most one, never larger than it came."""
    script, hops = Script(data), Router()
    server = _Server(script)
    hops.add_server(TARGET, b"record", server)
    hops.set_forward(_OWN_TARGET, address(1), b"record", 0.0)
    hops.set_forward(TARGET, address(2), b"false", 0.0)
    for _ in range(_MAX_STEPS // 2):
        if script.done:
            break
        request = FakeRequest(0, target=script.choice(_TARGETS))
        flags, payload = script.byte(), script.chunk()
        peer, relay = (address(script.byte()) if flags & bit else None for bit in (1, 2))
        mode = script.choice((*Mode, Mode.FROM_CLIENT, Mode.FROM_RELAY))
        holepunch = bool(flags & 4)
        if holepunch:
            value = HolepunchMessage(mode, script.byte(), payload, peer).encode()
        else:
            value = HandshakeMessage(mode, payload, peer, relay).encode()
        request.value = script.chunk() if flags & 8 else value
        (hops.on_holepunch if holepunch else hops.on_handshake)(request, 1.0)
        for answer in server.later:
            answer(Answer(b"later"))
        server.later.clear()
        assert len(request.replies) + len(request.relayed) <= 1
        onward = [reply["value"] for reply in request.replies] + [relayed[0] for relayed in request.relayed]
        for out in onward:
            assert out is None or len(out) <= len(request.value) + 16
        forward = hops.get(TARGET, 1.0)
        assert forward is not None and forward.server is server


def _node_seeds() -> Iterator[bytes]:
    yield b"\6\1\5\2" + b"\2\0\x0a\0\3\x08\0\x09\0\x0a\0" * 8 + b"\5\xff"
    yield b"\6\0\3\2" + b"\5\x20" * 9 + b"\2\0\x30\4\5hello"
    yield b"".join(bytes([0, n, 0x31 | n % 2, 5, n % 5]) for n in range(5))
    yield b"\0\3\x29\5\6" + b"\1\2\3\4\5\6" + b"\3\5\xff"
    yield b"".join(b"\4" + chunk(raw) + b"\1" for raw in list(dht_seeds())[:10])


def _record_seeds() -> Iterator[bytes]:
    for target in range(4):
        yield bytes([4, target, 0, 0, 2, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0]) + bytes([3, target, 0, 1, 0, 0, 0])
    yield bytes([6, 1, 0, 0, 2, 1]) + b"ab" + bytes([0, 0, 0]) + bytes([7, 1, 0, 0, 1, 0, 0, 0])
    yield bytes([8, 3, 0, 0, 0, 0, 0]) + bytes([9, 3, 0, 0, 0, 0])
    for case in vectors()["messages"]:
        if case["type"] == "announce":
            yield bytes([4, 1, 0, 1]) + chunk(bytes.fromhex(case["hex"])) + bytes(2)


def _router_seeds() -> Iterator[bytes]:
    for which in range(4):
        for mode in range(5):
            yield bytes([which, 3]) + chunk(b"noise") + bytes([5, 6, mode, 0])
            yield bytes([which, 5]) + chunk(b"payload") + bytes([5, mode, 9, 1])


TARGETS = [
    Target("dht_node", dht_node, ("qvac_core.dht_rpc",), _node_seeds, 512, 0.2),
    Target(
        "persistent_requests",
        persistent_requests,
        ("qvac_core.rendezvous.records", "qvac_core.rendezvous.cache", "qvac_core.rendezvous.signatures"),
        _record_seeds,
        512,
        0.5,
    ),
    Target("router", router, ("qvac_core.rendezvous.router",), _router_seeds, 256),
]
