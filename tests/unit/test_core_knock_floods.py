"""The owner's list of knocks under a flood of fresh keys: who really wants to come in stays to be seen."""

from __future__ import annotations

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any, cast

from qvac_core.core.sharing import Sharing
from qvac_core.store.knocks import MAX_KNOCKS

EARLY, LATE = "a1" * 32, "b2" * 32


class Door:
    """What of Sharing keeps the list."""

    def __init__(self) -> None:
        self._knocks: OrderedDict[str, Any] = OrderedDict()
        self._knocked_from: dict[str, str] = {}
        self.kept: dict[str, float] = {}
        self._store = SimpleNamespace(knocks=SimpleNamespace(put=self._put))
        self._writes = SimpleNamespace(start=lambda written, name: None)
        self.told = 0

    def _put(self, key: str, at: float, instead_of: str) -> None:
        self.kept.pop(instead_of, None)
        self.kept[key] = at

    def _run(self, act: Any, *arguments: Any) -> None:
        act(*arguments)

    def _emit_knocks(self) -> None:
        self.told += 1

    def knock(self, key: str, address: str) -> None:
        Sharing._take_knock(cast(Any, self), key, address)


def test_a_flood_hides_neither_who_came_before_nor_who_comes_from_elsewhere() -> None:
    door = Door()
    door.knock(EARLY, "203.0.113.5:4000")
    for number in range(1000):
        door.knock(number.to_bytes(32).hex(), f"10.{number % 3}.{number % 200}.7:99")
    door.knock(LATE, "[2001:db8::1]:4000")
    for number in range(1000, 1200):
        door.knock(number.to_bytes(32).hex(), f"10.7.0.{number % 200}:99")
    assert {EARLY, LATE} <= door._knocks.keys() and len(door._knocks) == MAX_KNOCKS
    assert door.kept.keys() == door._knocks.keys(), "and so it is on the disk"
    assert door._knocked_from.keys() == door._knocks.keys()
    told = door.told
    door.knock(EARLY, "203.0.113.5:4000")  # again: it is the newest now
    assert door.told == told + 1 and next(reversed(door._knocks)) == EARLY


def test_where_each_comes_from_elsewhere_those_stay_who_came_first() -> None:
    door = Door()
    keys = [number.to_bytes(32).hex() for number in range(200)]
    for number, key in enumerate(keys):
        door.knock(key, f"{number + 1}.1.1.1:9")
    assert list(door._knocks) == keys[:MAX_KNOCKS]
