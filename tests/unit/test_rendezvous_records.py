"""The store of a persistent node and the caches under it."""

from __future__ import annotations

from random import Random
from typing import Any

from qvac_core.codec import Writer, blake2b
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.cache import MAX_RECORDS_PER_TOPIC, Cache, RecordCache
from qvac_core.rendezvous.constants import SEQ_REUSED, SEQ_TOO_LOW, Command
from qvac_core.rendezvous.messages import (
    Announce,
    LookupReply,
    MutablePut,
    MutableRecord,
    PeerRecord,
)
from qvac_core.rendezvous.records import Records
from qvac_core.rendezvous.router import Router
from qvac_core.rendezvous.signatures import sign_announce, sign_mutable, sign_unannounce

from .rendezvous_fakes import CLIENT, KEYS, NODE_ID, SERVER, TARGET, TOKEN, TOPIC, FakeRequest


class Store:
    def __init__(self) -> None:
        self.router = Router()
        self.records = Records(self.router, chance=Random(1))
        self.now = 0.0

    def ask(self, command: int, value: bytes | None = None, **fields: Any) -> FakeRequest:
        request = FakeRequest(command, value, **fields)
        assert self.records.handle(request, node_id=NODE_ID, now=self.now, epoch_ms=1_000_000)
        return request

    def announce(self, keys: KeyPair, topic: bytes, **fields: Any) -> FakeRequest:
        message = sign_announce(keys, target=topic, node_id=NODE_ID, token=TOKEN, **fields)
        return self.ask(Command.ANNOUNCE, message.encode(), target=topic)

    def lookup(self, topic: bytes) -> LookupReply | None:
        [reply] = self.ask(Command.LOOKUP, target=topic).replies
        return None if reply["value"] is None else LookupReply.decode(reply["value"])


def test_an_announce_of_a_topic_is_found_until_it_is_taken_back() -> None:
    store = Store()
    assert store.lookup(TOPIC) is None
    addresses = tuple(("10.0.0.1", port) for port in range(1, 6))
    request = store.announce(KEYS, TOPIC, relay_addresses=addresses)
    assert request.replies == [{"value": None, "token": False, "closer_nodes": False}]
    assert store.lookup(TOPIC) == LookupReply((PeerRecord(KEYS.public_key, addresses[:3]),), 0)
    message = sign_unannounce(KEYS, target=TOPIC, node_id=NODE_ID, token=TOKEN)
    store.ask(Command.UNANNOUNCE, message.encode(), target=TOPIC)
    assert store.lookup(TOPIC) is None


def test_a_server_that_announces_itself_becomes_a_forward_entry() -> None:
    store = Store()
    store.announce(KEYS, TARGET)
    forward = store.router.get(TARGET, 0)
    assert forward is not None
    assert forward.relay == CLIENT
    record = PeerRecord(KEYS.public_key)
    [reply] = store.ask(Command.FIND_PEER).replies
    assert reply["value"] == record.encode()
    assert store.lookup(TARGET) == LookupReply((record,), 0)
    message = sign_unannounce(KEYS, target=TARGET, node_id=NODE_ID, token=TOKEN)
    store.ask(Command.UNANNOUNCE, message.encode())
    assert store.ask(Command.FIND_PEER).replies[0]["value"] is None


def test_announces_are_forgotten() -> None:
    store = Store()
    store.announce(KEYS, TARGET)
    store.announce(KEYS, TOPIC)
    store.now = 27 * 60
    assert store.lookup(TARGET) is None
    assert store.lookup(TOPIC) is None


def test_announces_that_do_not_verify_get_no_answer() -> None:
    store = Store()
    good = sign_announce(KEYS, target=TOPIC, node_id=NODE_ID, token=TOKEN)
    elsewhere = sign_announce(KEYS, target=TOPIC, node_id=bytes(32), token=TOKEN)
    unsigned = Announce(good.peer)
    cases: list[tuple[bytes | None, dict[str, Any]]] = [
        (elsewhere.encode(), {}),
        (unsigned.encode(), {}),
        (b"\x01\x02", {}),
        (None, {}),
        (good.encode(), {"token": None}),
        (good.encode(), {"token_valid": False}),
        (good.encode(), {"target": bytes(32)}),
        (good.encode(), {"target": None}),
        (Announce(refresh=bytes(32)).encode(), {}),
        (Announce().encode(), {}),
    ]
    for value, fields in cases:
        request = store.ask(Command.ANNOUNCE, value, **{"target": TOPIC, **fields})
        assert request.silent, (value, fields)
        request = store.ask(Command.UNANNOUNCE, value, **{"target": TOPIC, **fields})
        assert request.silent, (value, fields)
    assert store.lookup(TOPIC) is None


def test_refresh_tokens_form_a_chain() -> None:
    store = Store()
    third = b"\x05" * 32
    second = blake2b(third)
    store.announce(KEYS, TARGET, refresh=blake2b(second))
    store.router.forget_forward(TARGET)
    request = store.ask(Command.ANNOUNCE, Announce(refresh=second).encode(), from_=SERVER)
    assert len(request.replies) == 1
    forward = store.router.get(TARGET, 0)
    assert forward is not None
    assert forward.relay == SERVER
    assert store.ask(Command.ANNOUNCE, Announce(refresh=second).encode()).silent
    assert len(store.ask(Command.ANNOUNCE, Announce(refresh=third).encode()).replies) == 1


def test_the_highest_plausible_bump_is_kept() -> None:
    store = Store()
    for bump in (500, 400, 1_000_000 + 60_001):
        store.announce(KEYS, TOPIC, bump=bump)
        found = store.lookup(TOPIC)
        assert found is not None
        assert found.bump == 500
    store.announce(KEYS, TOPIC, bump=1_000_000 + 60_000)
    found = store.lookup(TOPIC)
    assert found is not None
    assert found.bump == 1_060_000


def test_a_lookup_shows_at_most_twenty_of_many() -> None:
    store = Store()
    for seed in range(40):
        store.announce(KeyPair.from_seed(bytes([seed]) * 32), TOPIC)
    found = store.lookup(TOPIC)
    assert found is not None
    assert len({peer.public_key for peer in found.peers}) == 20


def mutable_put(seq: int, value: bytes, keys: KeyPair = KEYS) -> bytes:
    return MutablePut(keys.public_key, seq, value, sign_mutable(keys, seq, value)).encode()


def test_mutable_records_only_grow() -> None:
    store = Store()

    def get(seq: int) -> bytes | None:
        [reply] = store.ask(Command.MUTABLE_GET, Writer().uint(seq).finish()).replies
        value: bytes | None = reply["value"]
        return value

    assert get(0) is None
    assert len(store.ask(Command.MUTABLE_PUT, mutable_put(2, b"two")).replies) == 1
    assert get(2) == MutableRecord(2, b"two", sign_mutable(KEYS, 2, b"two")).encode()
    assert get(3) is None
    assert len(store.ask(Command.MUTABLE_PUT, mutable_put(2, b"two")).replies) == 1
    assert store.ask(Command.MUTABLE_PUT, mutable_put(2, b"other")).errors == [SEQ_REUSED]
    assert store.ask(Command.MUTABLE_PUT, mutable_put(1, b"one")).errors == [SEQ_TOO_LOW]
    assert len(store.ask(Command.MUTABLE_PUT, mutable_put(3, b"three")).replies) == 1
    assert get(3) is not None


def test_records_that_do_not_verify_get_no_answer() -> None:
    store = Store()
    forged = MutablePut(KEYS.public_key, 1, b"x", sign_mutable(KEYS, 2, b"x")).encode()
    other = mutable_put(1, b"x", KeyPair.from_seed(bytes(32)))
    cases: list[tuple[bytes | None, dict[str, Any]]] = [
        (forged, {}),
        (other, {}),
        (mutable_put(1, b""), {}),
        (mutable_put(1, b"x"), {"token": None}),
        (mutable_put(1, b"x"), {"token_valid": False}),
        (b"\x00", {}),
        (None, {}),
    ]
    for value, fields in cases:
        assert store.ask(Command.MUTABLE_PUT, value, **fields).silent
    for value, fields in ((b"y", {}), (None, {}), (b"x", {"token": None})):
        assert store.ask(Command.IMMUTABLE_PUT, value, **{"target": blake2b(b"x"), **fields}).silent
    assert store.ask(Command.MUTABLE_GET, None).silent
    assert store.ask(Command.MUTABLE_GET, b"\xff").silent


def test_immutable_records() -> None:
    store = Store()
    target = blake2b(b"x")
    assert store.ask(Command.IMMUTABLE_GET, target=target).replies == [{"value": None}]
    assert len(store.ask(Command.IMMUTABLE_PUT, b"x", target=target).replies) == 1
    assert store.ask(Command.IMMUTABLE_GET, target=target).replies == [{"value": b"x"}]


def test_unknown_commands_are_left_to_the_node() -> None:
    store = Store()
    assert not store.records.handle(FakeRequest(99), node_id=NODE_ID, now=0, epoch_ms=0)


# Caches


def test_a_cache_forgets_by_generations() -> None:
    cache: Cache[str, int] = Cache(max_size=1000, max_age=30)
    cache.set("a", 1, 0)
    cache.set("b", 2, 19.9)
    assert cache.get("a", 20) == 1
    assert cache.get("a", 39.9) == 1
    assert cache.get("a", 40) is None
    cache.set("c", 3, 41)
    assert cache.get("c", 200) is None


def test_a_cache_is_bounded_and_retains_what_is_ours() -> None:
    cache: Cache[int, int] = Cache(max_size=10, max_age=0)
    cache.retain(-1, 1)
    for i in range(1000):
        cache.set(i, i, i)
        assert len(cache) <= 11
    assert cache.get(999, 1e9) == 999
    assert cache.get(-1, 1e9) == 1
    cache.set(-1, 2, 0)
    assert cache.get(-1, 0) == 1


def test_one_topic_cannot_fill_the_record_cache() -> None:
    cache = RecordCache(max_size=1 << 20, max_age=60)
    for i in range(MAX_RECORDS_PER_TOPIC + 10):
        cache.add(TOPIC, i.to_bytes(32, "big"), b"r%d" % i, 0)
    found = cache.get(TOPIC, 1 << 20, 0, Random(1))
    assert len(found) == MAX_RECORDS_PER_TOPIC
    assert b"r0" not in found
    small = RecordCache(max_size=10, max_age=60)
    for i in range(100):
        small.add(i.to_bytes(32, "big"), KEYS.public_key, b"r", 0)
    assert sum(bool(small.get(i.to_bytes(32, "big"), 20, 0, Random(1))) for i in range(100)) <= 10
    small.add(TOPIC, KEYS.public_key, b"r", 0)
    small.remove(TOPIC, KEYS.public_key)
    assert small.get(TOPIC, 20, 0, Random(1)) == []
