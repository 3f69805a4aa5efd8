"""Bounded memories of a node: a map of two generations, and records by topic in the same manner.

From docs/wire/hyperdht.md section 2.4 (xache 1.3.0, record-cache 1.2.0): the older generation is dropped when the newer
one is full or two thirds of the age old, so that forgetting costs nothing per entry.
"""

from __future__ import annotations

import random
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

# One topic's share of a generation: a lookup copies it, and a stranger can fill one topic.
MAX_RECORDS_PER_TOPIC = 4096


class _Turn:
    """When the generations change places."""

    __slots__ = ("_at", "_period")

    def __init__(self, max_age: float) -> None:
        self._period = max_age * 2 / 3
        self._at: float | None = None

    def due(self, now: float) -> int:
        """How many turns have come since the last call: 0, 1, or 2 for "everything is too old"."""
        if self._period == 0:
            return 0
        if self._at is None:
            self._at = now + self._period
            return 0
        if now < self._at:
            return 0
        turns = 1 if now < self._at + self._period else 2
        self._at = now + self._period
        return turns


class Cache(Generic[K, V]):
    """At most about `max_size` entries, each kept for 2/3 to 4/3 of `max_age` seconds (0: until crowded out).

    Retained entries stay until deleted and count for nothing.
    """

    __slots__ = ("_max_fresh", "_newest", "_oldest", "_retained", "_turn")

    def __init__(self, *, max_size: int, max_age: float) -> None:
        self._max_fresh = max(1, max_size // 2)
        self._turn = _Turn(max_age)
        self._newest: dict[K, V] = {}
        self._oldest: dict[K, V] = {}
        self._retained: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._retained) + len(self._newest) + sum(1 for key in self._oldest if key not in self._newest)

    def get(self, key: K, now: float) -> V | None:
        self._age(now)
        for generation in (self._retained, self._newest, self._oldest):
            value = generation.get(key)
            if value is not None:
                return value
        return None

    def set(self, key: K, value: V, now: float) -> None:
        self._age(now)
        if key in self._retained:
            return
        if key not in self._newest and len(self._newest) >= self._max_fresh:
            self._flip()
        self._newest[key] = value

    def retain(self, key: K, value: V) -> None:
        self._retained[key] = value
        self._newest.pop(key, None)
        self._oldest.pop(key, None)

    def delete(self, key: K) -> None:
        for generation in (self._retained, self._newest, self._oldest):
            generation.pop(key, None)

    def forget(self, key: K) -> None:
        """Delete what others put here; a retained entry stays."""
        self._newest.pop(key, None)
        self._oldest.pop(key, None)

    def _age(self, now: float) -> None:
        for _ in range(self._turn.due(now)):
            self._flip()

    def _flip(self) -> None:
        self._oldest, self._newest = self._newest, {}


class RecordCache:
    """Records under a topic, one for each public key."""

    __slots__ = ("_fresh_count", "_max_fresh", "_newest", "_oldest", "_turn")

    def __init__(self, *, max_size: int, max_age: float) -> None:
        self._max_fresh = max(1, max_size // 2)
        self._turn = _Turn(max_age)
        self._newest: dict[bytes, dict[bytes, bytes]] = {}
        self._oldest: dict[bytes, dict[bytes, bytes]] = {}
        self._fresh_count = 0

    def add(self, topic: bytes, public_key: bytes, record: bytes, now: float) -> None:
        self._age(now)
        if self._fresh_count >= self._max_fresh:
            self._flip()
        records = self._newest.setdefault(topic, {})
        if public_key not in records:
            if len(records) >= MAX_RECORDS_PER_TOPIC:
                del records[next(iter(records))]
            else:
                self._fresh_count += 1
        records[public_key] = record

    def remove(self, topic: bytes, public_key: bytes) -> None:
        fresh = self._newest.get(topic)
        if fresh is not None and fresh.pop(public_key, None) is not None:
            self._fresh_count -= 1
            if not fresh:
                del self._newest[topic]
        stale = self._oldest.get(topic)
        if stale is not None:
            stale.pop(public_key, None)

    def get(self, topic: bytes, count: int, now: float, chance: random.Random) -> list[bytes]:
        """Up to `count` records, picked by chance when there are more."""
        self._age(now)
        merged = {**self._oldest.get(topic, {}), **self._newest.get(topic, {})}
        records = list(merged.values())
        return records if len(records) <= count else chance.sample(records, count)

    def _age(self, now: float) -> None:
        for _ in range(self._turn.due(now)):
            self._flip()

    def _flip(self) -> None:
        self._oldest, self._newest = self._newest, {}
        self._fresh_count = 0
