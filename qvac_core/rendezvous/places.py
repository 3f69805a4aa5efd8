"""Who gives way when places run short: newcomers are not turned away for the sake of whoever took most of them.

Ours. Keys cost nothing and ports neither: "full" must not mean that a stranger shut the door for everybody else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from qvac_core.dht_rpc.limits import is_public

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bounds:
    """`per_host` is for public hosts: everybody nearby may share one, as all of a test network do."""

    in_all: int
    per_key: int
    per_host: int


@dataclass(frozen=True, slots=True)
class Place(Generic[T]):
    """Somebody's. `loose`: a stranger's, first to go. `busy`: it is not taken away from its holder."""

    holder: T
    key: bytes
    host: str
    loose: bool = False
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Full:
    """There is no place for the newcomer."""


def who_gives_way(newcomer: Place[T], present: Sequence[Place[T]], bounds: Bounds) -> T | Full | None:
    """Whoever has to leave so that the newcomer may stay; None when there is room. `present`: the first to go first.

    Within a key, and within a host, the newest wins: a friend whose network changed comes again while his old places
    are still taken. Beyond that the host with most places gives one up, unless that is the newcomer's own.
    """
    own_key = [place for place in present if place.key == newcomer.key]
    if len(own_key) >= bounds.per_key:
        return _first(own_key)
    own_host = [place for place in present if place.host == newcomer.host]
    if is_public(newcomer.host) and len(own_host) >= bounds.per_host:
        return _first(own_host)
    if len(present) < bounds.in_all:
        return None
    strangers = [place for place in present if place.loose]
    if strangers and (not newcomer.loose or len(strangers) > bounds.in_all // 2):
        return _first(strangers)
    counts = Counter(place.host for place in present if not place.busy)
    if not counts:
        return Full()
    host, most = counts.most_common(1)[0]
    if len(own_host) + 1 >= most:
        return _first(own_host)
    return _first([place for place in present if place.host == host])


def _first(places: Sequence[Place[T]]) -> T | Full:
    return next((place.holder for place in places if not place.busy), Full())
