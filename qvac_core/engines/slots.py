"""The slots of one context: which sequence holds which tokens, for whom, and which of them a new prompt should take.

A prefix is shared between chats of one owner only: the time to a first token
would tell another owner what was asked before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from qvac_core.engines.checkpoints import Checkpoint
from qvac_core.engines.interface import LOCAL_OWNER
from qvac_core.errors import ModelError

WAITING_LIMIT = 64  # answers; as the SDK's own queue (docs/wire/qvac.md section 3)
WORTH_KEEPING = 0.5  # of a slot's tokens: below it, the slot's own chat would lose more than the new one gains


@dataclass(slots=True, eq=False)
class Slot:
    """One sequence of the context. `tokens` are those in its cache; `busy` while an answer is made in it.

    checkpoints: copies of what cannot be cut, at some of its beginnings.
    """

    index: int
    tokens: list[int] = field(default_factory=list)
    owner: str = ""
    busy: bool = False
    used_at: float = 0.0
    checkpoints: list[Checkpoint] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a prompt goes: `slot`, and the first `keep` tokens from `source` (the slot itself, or one to copy from)."""

    slot: Slot
    source: Slot
    keep: int


class Owned(Protocol):
    @property
    def owner(self) -> str: ...


_Job = TypeVar("_Job", bound=Owned)


def next_in_turn(waiting: Sequence[_Job], running: Iterable[Owned]) -> _Job:
    """Who asks on this machine, then the guest with fewest answers running; first come, first served among those."""
    load: dict[str, int] = {}
    for job in running:
        load[job.owner] = load.get(job.owner, 0) + 1
    # min keeps the order among equals
    return min(waiting, key=lambda job: (job.owner != LOCAL_OWNER, load.get(job.owner, 0)))


def queue_full() -> ModelError:
    return ModelError(
        "Too many answers are waiting for this model. Try again in a minute.",
        name="REQUEST_REJECTED_BY_POLICY",
        code=52420,
        typed_fields={"reason": "queue_full"},
    )


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    length = min(len(a), len(b))
    if a[:length] == b[:length]:
        return length
    low, high = 0, length
    while low < high - 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low


def place(slots: Sequence[Slot], prompt: Sequence[int], owner: str, *, can_copy: bool) -> Placement | None:
    """The slot for this prompt, or None when all are busy. At least the last prompt token is left to decode."""
    free = [slot for slot in slots if not slot.busy]
    if not free:
        return None
    reusable = prompt[:-1]
    shared = {slot.index: common_prefix(slot.tokens, reusable) if slot.owner == owner else 0 for slot in slots}
    own = max(free, key=lambda slot: (shared[slot.index], -slot.used_at))
    if shared[own.index] and shared[own.index] >= WORTH_KEEPING * len(own.tokens):
        return Placement(own, own, shared[own.index])
    slot = least_missed(free)
    source = max(slots, key=lambda slot: shared[slot.index])
    if can_copy and shared[source.index] > shared[slot.index]:
        return Placement(slot, source, shared[source.index])
    return Placement(slot, slot, shared[slot.index])


def least_missed(slots: Iterable[Slot]) -> Slot:
    """The idle slot whose loss costs least: an empty one, or the one that was used longest ago."""
    return min((slot for slot in slots if not slot.busy), key=lambda slot: (bool(slot.tokens), slot.used_at))
