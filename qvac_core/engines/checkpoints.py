"""How far back a sequence of the model's memory can go, and the copies of it that let it go back further.

Where every layer keeps every token, a sequence is cut anywhere. A layer with a sliding window keeps the last tokens
only: a cut beyond them answers true and the next logits are wrong, so it is believed only where the first position
that is still there allows it. A recurrent state has no positions: it is copied whole and never cut. For those two,
copies of what cannot be cut are kept of a few places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

State: TypeAlias = bytearray  # of a sequence, or of the part of it that cannot be cut, as llama.cpp writes it

CHECKPOINTS = 8  # of one chat
SPACING = 1024  # tokens between two of them in one prompt: going back costs as many to read again at most


@dataclass(frozen=True, slots=True)
class MemoryKind:
    """window: tokens that a layer with a sliding window sees, 0 = none has one. recurrent: some layers keep a state."""

    window: int = 0
    recurrent: bool = False

    @property
    def plain(self) -> bool:
        return not (self.window or self.recurrent)

    def first_needed(self, tokens: int) -> int:
        """The first position that must be there for token number `tokens` to be next."""
        return max(0, tokens - self.window + 1) if self.window else 0


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What cannot be cut, when the sequence had so many tokens."""

    tokens: int
    state: State


def reach(kind: MemoryKind, first: int, length: int, wanted: int) -> bool:
    """Whether a sequence of `length` tokens can be cut to `wanted`. first: the first position that every layer has."""
    if wanted == length:
        return True
    if kind.recurrent:
        return False
    return 0 <= first <= kind.first_needed(wanted)


def best_checkpoint(kind: MemoryKind, checkpoints: Sequence[Checkpoint], wanted: int) -> tuple[Checkpoint, int] | None:
    """The one that leads furthest into the first `wanted` tokens, and how far.

    A copy of a window holds what the token before its own next one needs, too: the same prompt can be answered again.
    """
    slack = 0 if kind.recurrent else 1
    best = max((one for one in checkpoints if one.tokens - slack <= wanted), key=lambda one: one.tokens, default=None)
    return None if best is None else (best, min(best.tokens, wanted))


def thinned(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """At most CHECKPOINTS of them: those go that stand closest between others, and never the last one."""
    kept = sorted(checkpoints, key=lambda one: one.tokens)
    while len(kept) > CHECKPOINTS:
        places = [0, *(one.tokens for one in kept)]
        del kept[min(range(len(kept) - 1), key=lambda index: places[index + 2] - places[index])]
    return kept
