"""What a program holds: entries in every table of ours, tasks, descriptors, threads, child processes, memory.

Soak tests take one count when all is warm and another after the storm, and name what has grown.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Set
from enum import Enum
from pathlib import Path

import psutil

_PLAIN = (str, bytes, bytearray, memoryview, int, float, complex, bool, type(None), Enum, Path)


def tables(*roots: object) -> Counter[str]:
    """Entries of all containers that objects of ours hold, by "Class.attribute", and instances by "Class"."""
    found: Counter[str] = Counter()
    seen: set[int] = set()
    waiting: deque[object] = deque(roots)
    while waiting:
        thing = waiting.popleft()
        if id(thing) in seen or not _is_ours(thing):
            continue
        seen.add(id(thing))
        kind = type(thing).__name__
        found[kind] += 1
        for name, value in _attributes(thing):
            _count(f"{kind}.{name}", value, found, seen, waiting)
    return found


def _is_ours(thing: object) -> bool:
    return type(thing).__module__.startswith("qvac_core.") and not isinstance(thing, type)


def _attributes(thing: object) -> Iterable[tuple[str, object]]:
    names = dict.fromkeys(getattr(thing, "__dict__", ()))
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names.update(dict.fromkeys([slots] if isinstance(slots, str) else slots))
    for name in names:
        if hasattr(thing, name):
            yield name, getattr(thing, name)


def _count(name: str, value: object, found: Counter[str], seen: set[int], waiting: deque[object]) -> None:
    if isinstance(value, _PLAIN) or id(value) in seen:
        return
    items: Iterable[object]
    if isinstance(value, Mapping):
        items = [*value.keys(), *value.values()]
    elif isinstance(value, Set | list | deque | tuple):
        items = list(value)
    else:
        waiting.append(value)
        return
    if not isinstance(value, tuple):
        seen.add(id(value))
        found[name] += len(value)
    for item in items:
        _count(f"{name}[]", item, found, seen, waiting)


def grown(before: Mapping[str, int], after: Mapping[str, int], allowed: Mapping[str, int] | None = None) -> list[str]:
    """What is more than before, as sentences. `allowed` gives the size up to which a bounded memory may fill up."""
    bounds = allowed or {}
    return [
        f"{name}: {before.get(name, 0)} -> {count}"
        for name, count in sorted(after.items())
        if count > max(before.get(name, 0), bounds.get(name, 0))
    ]


def process() -> Counter[str]:
    """Of this process, now. Descriptors where the system shows them (Linux)."""
    folder = Path("/proc/self/fd")
    return Counter(
        tasks=len(asyncio.all_tasks()),
        descriptors=len(os.listdir(folder)) - 1 if folder.is_dir() else 0,  # noqa: PTH208  one of them is this look
        threads=threading.active_count(),
        children=len(psutil.Process().children(recursive=True)),
    )


def resident_bytes(pid: int | None = None) -> int:
    return int(psutil.Process(pid).memory_info().rss)
