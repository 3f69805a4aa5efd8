"""What one host may store at a node: it crowds nobody out, whatever number of keys it has."""

from __future__ import annotations

from qvac_core.codec import Address, blake2b
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.constants import Command
from qvac_core.rendezvous.records import WRITES_PER_HOST, WRITES_PER_NETWORK, WRITES_PER_TOPIC, WRITES_WINDOW
from qvac_core.rendezvous.signatures import sign_announce

from .rendezvous_fakes import KEYS, NODE_ID, TOKEN, TOPIC, FakeRequest
from .test_rendezvous_records import Store

EVIL: Address = ("66.6.6.6", 6)


def key(n: int) -> KeyPair:
    return KeyPair.from_seed(n.to_bytes(32, "big"))


def topic(n: int) -> bytes:
    return blake2b(n.to_bytes(4, "big"))


def put(store: Store, n: int, source: Address) -> bool:
    value = n.to_bytes(8, "big")
    request = store.ask(Command.IMMUTABLE_PUT, value, target=blake2b(value), from_=source)
    return not request.silent


def announce(store: Store, n: int, at: bytes, source: Address) -> FakeRequest:
    message = sign_announce(key(n), target=at, node_id=NODE_ID, token=TOKEN)
    return store.ask(Command.ANNOUNCE, message.encode(), target=at, from_=source)


def test_a_host_stores_so_much_and_no_more_until_a_while_later() -> None:
    store = Store()
    taken = sum(put(store, n, (EVIL[0], n % 60_000)) for n in range(WRITES_PER_HOST + 500))
    assert taken == WRITES_PER_HOST
    assert put(store, 999_999, ("20.0.0.1", 1)), "others do"
    store.now += WRITES_WINDOW
    assert put(store, 999_998, EVIL)


def test_a_network_of_hosts_has_its_limit_too() -> None:
    store = Store()
    taken = sum(put(store, n, (f"66.6.6.{n % 250 + 1}", 1)) for n in range(WRITES_PER_NETWORK + 500))
    assert taken == WRITES_PER_NETWORK
    assert put(store, 999_999, ("66.6.7.1", 1))


def test_one_host_cannot_drown_a_topic_in_keys_of_its_own() -> None:
    store = Store()
    assert store.announce(KEYS, TOPIC).replies
    answered = sum(not announce(store, n, TOPIC, EVIL).silent for n in range(WRITES_PER_TOPIC + 40))
    assert answered == WRITES_PER_TOPIC
    now = store.now
    found = store.records._records.get(TOPIC, 10_000, now, store.records._chance)
    assert len(found) == WRITES_PER_TOPIC + 1
    assert not announce(store, 5000, topic(1), EVIL).silent, "another topic is another matter"


def test_a_test_network_on_loopback_stores_more() -> None:
    store = Store()
    assert all(put(store, n, ("127.0.0.1", 1)) for n in range(2 * WRITES_PER_HOST))


def test_what_is_stored_is_bounded_in_all_and_expires() -> None:
    store = Store()
    store.records._immutables._max_fresh = 2000
    for n in range(20_000):
        put(store, n, (f"20.{n >> 8 & 255}.{n & 255}.1", 1))
    assert len(store.records._immutables) <= 4000
    store.now += 3 * 48 * 3600
    put(store, 1, ("20.0.0.1", 1))
    assert len(store.records._immutables) == 1
