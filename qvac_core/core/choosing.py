"""Which of several providers is asked first: health, load, latency and the price of a model that is not loaded. No I/O.

Ours; docs/decisions/who-is-asked-first.md. The person's order is the first word: somebody else is only asked before the
first one where a setting lets them, and where they answer clearly sooner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qvac_core.core.state import ProviderEntry, RemoteModel, Target
from qvac_core.core.waiting_times import believed, rounded
from qvac_core.store.settings import FirstAsked

# Somebody else has to be sooner by so many seconds, and by such a part of the first one's: all of this is estimated.
CLEARLY: Final = 1.0
CLEARLY_SHARE: Final = 0.25
# What loading takes: a start, and bytes a second from a disk of today.
LOAD_SECONDS: Final = 1.0
LOAD_RATE: Final = 1e9
# Of a provider whose answers nobody here has seen yet.
UNKNOWN_FIRST_WORD: Final = 0.5


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a provider and the model that is wanted of it. Times in seconds, sizes in bytes.

    away: known not to answer now. connected: it answers now; else it is not known whether it does. wait: how long a new
    answer would wait there, as it says. first_word: how soon it answers when nobody is before me, as it was seen;
    None = it never was. sha256, source: of the model file, and what the provider calls it; "" = not known.
    """

    target: Target
    name: str
    away: bool = False
    connected: bool = True
    wait: float = 0.0
    loaded: bool = True
    size_bytes: int = 0
    rtt: float = 0.0
    first_word: float | None = None
    sha256: str = ""
    source: str = ""


def standing_as_told(target: Target, entry: ProviderEntry, model: RemoteModel) -> Standing:
    """What a provider says of this model of its, and how far away it is."""
    return Standing(
        target,
        entry.name,
        connected=entry.state == "online",
        wait=believed(model.wait_ms),
        loaded=model.loaded or not model.sha256,  # one that does not tell
        size_bytes=model.size_bytes,
        rtt=(entry.rtt_ms or 0.0) / 1000,
        sha256=model.sha256,
        source=model.source,
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is asked first, and why it is not the first of the order ("" where it is)."""

    target: Target
    why: str = ""


def seconds_to_answer(one: Standing) -> float:
    """Until its first word, as far as anybody can tell; infinite where it cannot be asked."""
    if one.away:
        return math.inf
    return one.wait + _loading(one) + _pace(one, UNKNOWN_FIRST_WORD)


def choose(order: Sequence[Standing], manner: FirstAsked) -> Choice:
    """order: as the person put them, at least one. Deterministic; the earlier one wins a tie."""
    present = [one for one in order if not one.away]
    if not present:
        return Choice(order[0].target)
    first = present[0]
    away = f"{order[0].name} is away." if first is not order[0] else ""
    if manner is FirstAsked.ORDER:
        return Choice(first.target, away)
    # Of who is not connected nothing is known but old news.
    rivals = [one for one in present if one is first or (one.connected and _may_stand_in(one, first, manner))]
    best = min(rivals, key=seconds_to_answer)
    ours, theirs = seconds_to_answer(first), seconds_to_answer(best)
    if best is first or ours - theirs < max(CLEARLY, CLEARLY_SHARE * ours):
        return Choice(first.target, away)
    return Choice(best.target, _why_not(first, best))


def same_model(one: Standing, other: Standing) -> bool:
    """Of one file; where a provider does not tell, of one name."""
    if one.sha256 and other.sha256:
        return one.sha256 == other.sha256
    return bool(one.source) and one.source == other.source


def _may_stand_in(one: Standing, first: Standing, manner: FirstAsked) -> bool:
    return manner is FirstAsked.QUICKEST or same_model(one, first)


def _loading(one: Standing) -> float:
    return 0.0 if one.loaded else LOAD_SECONDS + one.size_bytes / LOAD_RATE


def _why_not(first: Standing, best: Standing) -> str:
    """What costs most there."""
    lost = {
        f"{first.name} has a line of about {rounded(first.wait)} s.": first.wait - best.wait,
        f"{first.name} would have to load the model.": _loading(first) - _loading(best),
        f"{first.name} is slower now.": _pace(first) - _pace(best),
    }
    return max(lost, key=lambda sentence: lost[sentence])


def _pace(one: Standing, unknown: float = 0.0) -> float:
    return max(one.rtt, unknown if one.first_word is None else one.first_word)
