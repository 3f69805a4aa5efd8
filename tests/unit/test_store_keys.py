"""The lists of keys: who may use us, and whom we use.

qvac_core/store/access_list.py, providers.py, known_nodes.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvac_core.errors import StoreError
from qvac_core.store import (
    MAX_KNOCKS,
    AccessList,
    AccessRecord,
    Database,
    Knock,
    Knocks,
    KnownProvider,
    Providers,
    file_of_network,
    load_known_nodes,
    prune_networks,
    save_known_nodes,
)
from qvac_core.store.records import KeyLimits

NOW = 1_750_000_000.0
ALICE, BOB = "a1" * 32, "b2" * 32


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "a.db", now=NOW)
    yield database
    database.close()


def test_allow_block_and_allow_again(database: Database) -> None:
    access = AccessList(database)
    assert access.allow(ALICE, "Alice", NOW) == AccessRecord(ALICE, "Alice", False, NOW)
    access.block(BOB, "Bob", NOW + 1)
    assert access.allowed_keys(NOW) == {ALICE}
    assert access.blocked_keys() == {BOB}
    access.block(ALICE, "", NOW + 2)
    assert access.allowed_keys(NOW) == frozenset()
    assert access.get(ALICE) == AccessRecord(ALICE, "Alice", True, NOW)
    access.allow(BOB, "Robert", NOW + 3)
    assert [(record.name, record.blocked) for record in access.records()] == [("Alice", True), ("Robert", False)]


def test_an_allowance_expires_and_can_be_renewed(database: Database) -> None:
    access = AccessList(database)
    access.allow(ALICE, "Alice", NOW, expires_at=NOW + 3600)
    assert access.allowed_keys(NOW + 3599) == {ALICE}
    assert access.allowed_keys(NOW + 3600) == frozenset()
    access.allow(ALICE, "", NOW + 4000)
    assert access.allowed_keys(NOW + 9999) == {ALICE}


def test_limits_name_and_last_seen(database: Database) -> None:
    access = AccessList(database)
    access.allow(ALICE, "Alice", NOW)
    access.set_limits(ALICE, KeyLimits(tokens_per_day=1000, parallel=2))
    access.rename(ALICE, "Al")
    access.seen(ALICE, NOW + 5)
    access.seen(BOB, NOW + 5)
    assert access.records() == (AccessRecord(ALICE, "Al", False, NOW, None, NOW + 5, KeyLimits(1000, 2)),)
    access.set_limits(ALICE, KeyLimits())
    assert access.get(ALICE) == AccessRecord(ALICE, "Al", False, NOW, None, NOW + 5)
    with pytest.raises(StoreError, match="negative"):
        access.set_limits(ALICE, KeyLimits(tokens_per_day=-1))
    access.remove(ALICE)
    access.remove(ALICE)
    assert access.get(ALICE) is None


def test_what_is_no_key_is_not_kept(database: Database) -> None:
    with pytest.raises(StoreError):
        AccessList(database).allow("short", "x", NOW)
    with pytest.raises(StoreError):
        Providers(database).add("short", "x", NOW)


def test_providers_are_remembered_once(database: Database) -> None:
    providers = Providers(database)
    assert providers.add(ALICE, "Alice", NOW) == KnownProvider(ALICE, "Alice", NOW)
    providers.add(BOB, "Bob", NOW + 1)
    assert providers.add(ALICE, "", NOW + 2) == KnownProvider(ALICE, "Alice", NOW)
    assert providers.add(ALICE, "Al", NOW + 3).name == "Al"
    providers.rename(BOB, "Robert")
    assert [provider.name for provider in providers.records()] == ["Al", "Robert"]
    providers.remove(ALICE)
    providers.remove(ALICE)
    assert providers.get(ALICE) is None


def test_what_helps_to_reach_a_provider_again(database: Database) -> None:
    providers = Providers(database)
    providers.add(ALICE, "Alice", NOW)
    providers.connected(ALICE, NOW + 5, [("192.0.2.1", 49737), ("192.0.2.2", 1)])
    providers.connected(ALICE, NOW + 6)
    providers.used_model(ALICE, "Llama")
    assert providers.get(ALICE) == KnownProvider(
        ALICE, "Alice", NOW, NOW + 6, "Llama", (("192.0.2.1", 49737), ("192.0.2.2", 1))
    )


def test_knocks_survive_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", now=NOW)
    knocks = Knocks(database)
    for number in range(MAX_KNOCKS + 10):
        knocks.put(f"{number:064x}", NOW + number)
    knocks.put(f"{20:064x}", NOW + 1000)  # again
    database.close()
    database = Database.open(tmp_path / "a.db", now=NOW)
    kept = Knocks(database).records()
    assert len(kept) == MAX_KNOCKS
    assert kept[0] == Knock(f"{10:064x}", NOW + 10)
    assert kept[-1] == Knock(f"{20:064x}", NOW + 1000)
    Knocks(database).remove(kept[0].public_key)
    Knocks(database).remove(kept[0].public_key)
    # Decided about by another program in this folder: no question any more.
    AccessList(database).block(kept[1].public_key, "", NOW)
    assert Knocks(database).records() == kept[2:]
    with pytest.raises(StoreError):
        Knocks(database).put("short", NOW)
    database.close()


def test_known_nodes_come_back(tmp_path: Path) -> None:
    path = tmp_path / "known-nodes.json"
    assert load_known_nodes(path) == ()
    nodes = [(f"192.0.2.{number % 250}", number + 1) for number in range(500)]
    save_known_nodes(path, nodes)
    assert load_known_nodes(path) == tuple(nodes[:400])


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'[{"host":"x"}]', b'[{"host":"x","port":"1"}]', b"\xff\xfe", b"null"]
)
def test_broken_known_nodes_are_no_nodes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "known-nodes.json"
    path.write_bytes(content)
    assert load_known_nodes(path) == ()


def test_known_nodes_with_impossible_ports_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "known-nodes.json"
    path.write_bytes(b'[{"host":"a","port":0},{"host":"b","port":65536},{"host":"c","port":7,"id":"x"}]')
    assert load_known_nodes(path) == (("c", 7),)


def test_each_network_has_nodes_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "known-nodes.json"
    home = file_of_network(path, [("127.0.0.1", 1), ("127.0.0.1", 2)])
    assert file_of_network(path, None) == path
    assert home == file_of_network(path, [("127.0.0.1", 2), ("127.0.0.1", 1)])
    assert home != file_of_network(path, [("127.0.0.1", 1)])
    assert home.parent == tmp_path


def test_networks_not_used_for_long_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "known-nodes.json"
    files = [file_of_network(path, [("127.0.0.1", port)]) for port in range(1, 20)]
    for age, file in enumerate([path, *files]):
        save_known_nodes(file, [("1.2.3.4", 5)])
        os.utime(file, (1e9 + age, 1e9 + age))
    prune_networks(path)
    assert path.exists()
    assert [file for file in files if file.exists()] == files[-16:]
