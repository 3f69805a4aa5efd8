"""What the sequences of the model's memory hold: which slot a prompt gets, how much of it need not be read again, and
what is kept of the chat that had the slot before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from qvac_core.engines.checkpoints import SPACING, Checkpoint, MemoryKind, State, best_checkpoint, reach, thinned
from qvac_core.engines.interface import EVERYBODY, LOCAL_OWNER
from qvac_core.engines.kept_chats import Shelf
from qvac_core.engines.slots import WORTH_KEEPING, Placement, Slot, common_prefix, least_missed, place
from qvac_core.engines.state_cache import WORTH_SAVING, Found, SavedChat, StateCache

WRITTEN = 200 * 1024 * 1024  # bytes a second, by a slow disk
# Bytes of a chat that is read from disk while others' answers wait for it: a fifth of a second of an ordinary disk.
READ_BESIDE_OTHERS = 64 * 1024 * 1024


class Memory(Protocol):
    """The model's memory: one sequence per slot index."""

    @property
    def kind(self) -> MemoryKind: ...

    @property
    def n_cells(self) -> int:
        """Tokens that fit, all sequences together."""

    def grow(self, cells: int) -> None:
        """Make `n_cells` at least so many, where it is less than the model was loaded for and the machine has it."""

    def shrink(self, cells: int) -> None:
        """Give back what so many cells do not need."""

    def span(self, slot: int) -> tuple[int, int]:
        """The first position that every layer has, and the last; -1, -1 when there is none."""

    def keep(self, slot: int, tokens: int) -> bool:
        """Forget everything of a sequence from position `tokens` on. False: impossible, it is as it was."""

    def copy(self, source: int, target: int, tokens: int) -> None: ...

    def size(self, slot: int, *, part: bool = False) -> int:
        """Bytes of what `save` would give."""

    def save(self, slot: int, *, part: bool = False) -> State | None:
        """A copy of a sequence; part: of what cannot be cut. None: impossible."""

    def load(self, slot: int, state: State, *, part: bool = False) -> bool:
        """Put a copy in the place of what a sequence holds. False: impossible, and the sequence is empty."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A slot for a prompt, whose first `cached` tokens are in its sequence already."""

    slot: Slot
    cached: int


class Sequences:
    """Owner of the slots. Every path that takes a sequence from a chat goes through here."""

    def __init__(
        self,
        memory: Memory,
        slots: int,
        cache: StateCache,
        preamble: Sequence[int] = (),
        shelf: Shelf | None = None,
    ) -> None:
        """One slot more is for who asks on this machine: guests never have it.

        preamble: with which the prompts of all owners begin (`preamble.py`). Its sequence follows the slots'. shelf:
        where chats outlive the process.
        """
        self._memory = memory
        self._cache = cache
        self._shelf = shelf
        self.slots = [Slot(index) for index in range(slots + 1)]
        self._preamble = list(preamble) if memory.kind.plain else []
        self._kept = Slot(slots + 1)  # holds the preamble, once somebody's prompt has brought it

    def seat(self, prompt: Sequence[int], owner: str) -> Seat | None:
        """The slot that this prompt gets, with all that can be had of its beginning; None when all are busy.

        At least the last prompt token is left to decode.
        """
        reusable = prompt[:-1]
        placement = place(self._slots_of(owner), prompt, owner, can_copy=not self._memory.kind.recurrent)
        if placement is None:
            return None
        here = self._reach(placement.source, placement.keep)
        found = self._best_saved(owner, reusable, here)
        if found is not None and self._reach_saved(found) > here:
            seat = self._bring_back(found, owner)
        else:
            seat = self._stay(placement)
        seat = self._with_preamble(seat, prompt)
        self._mark(seat.slot)  # where a turn begins: it may be taken back
        self._grow(len(prompt) - seat.cached)
        return seat

    def _slots_of(self, owner: str) -> list[Slot]:
        return self.slots if owner == LOCAL_OWNER else self.slots[:-1]

    def room(self, wanted: int) -> int:
        """Free cells: `wanted`, or as many as there are once idle chats are gone, oldest first.

        Shared prefixes are counted once per sequence: too careful, never too bold.
        """
        free = self._grow(wanted)
        for slot in sorted(self.slots, key=lambda slot: slot.used_at):
            if free >= wanted:
                break
            if slot.tokens and not slot.busy:
                free += len(slot.tokens)
                self.make_way(slot)
        if free < wanted and self._kept.tokens:
            free += len(self._kept.tokens)
            self.forget(self._kept)
        return free

    def _grow(self, wanted: int) -> int:
        """Free cells: `wanted`, where the memory can still become as large."""
        used = sum(len(slot.tokens) for slot in [*self.slots, self._kept])
        if used + wanted > self._memory.n_cells:
            self._memory.grow(used + wanted)
        return self._memory.n_cells - used

    def rest(self) -> None:
        """Nobody asks: give back the memory that no chat needs."""
        self._memory.shrink(sum(len(slot.tokens) for slot in [*self.slots, self._kept]))

    def put_away(self, seconds: float, clock: Callable[[], float]) -> None:
        """Write the chats of idle slots and of the host's memory to the shelf, last used first, for about so long."""
        if self._shelf is None:
            return
        until = clock() + seconds
        for slot in sorted(self.slots, key=lambda slot: -slot.used_at):
            size = self._memory.size(slot.index) if slot.tokens else 0
            if slot.busy or size > (until - clock()) * WRITTEN or not self._shelf.wants(slot.owner, slot.tokens):
                continue
            state = self._memory.save(slot.index)
            if state is not None:
                self._shelf.write(SavedChat(slot.owner, list(slot.tokens), state, tuple(slot.checkpoints)))
        for chat in self._cache.last_used_first():
            if chat.size <= (until - clock()) * WRITTEN:
                self._shelf.write(chat)

    def forget_owner(self, owner: str) -> None:
        """Keep nothing of what this owner said: not in idle slots, in the host's memory nor on the shelf.

        EVERYBODY: of all of them, and have no shelf any more.
        """
        for slot in self.slots:
            if owner in (slot.owner, EVERYBODY) and not slot.busy:
                self.forget(slot)
        for chat in self._cache.last_used_first():
            if owner in (chat.owner, EVERYBODY):
                self._cache.drop(chat)
        if self._shelf is not None:
            self._shelf.forget(owner)
        if owner == EVERYBODY:
            self._shelf = None

    def make_way(self, slot: Slot) -> None:
        """Empty the sequence of an idle chat, which is kept on the host."""
        self._save(slot)
        self.forget(slot)

    def forget(self, slot: Slot) -> None:
        """Empty a sequence, and keep nothing of it."""
        self._memory.keep(slot.index, 0)
        slot.tokens = []
        self._set_checkpoints(slot, [])

    @property
    def last_alone(self) -> bool:
        """Whether the last token of a prompt is read by itself, so that the same prompt can be answered again."""
        return self._memory.kind.recurrent

    def prompt_read(self, slot: Slot, left: int) -> None:
        """Some more of a prompt is in the slot, and so many tokens are left."""
        if self._preamble and not self._kept.tokens and self._begins_with_preamble(slot.tokens):
            self._memory.copy(slot.index, self._kept.index, len(self._preamble))
            self._kept.tokens = list(self._preamble)
        marked = max((one.tokens for one in slot.checkpoints), default=0)
        if left == (1 if self.last_alone else 0) or len(slot.tokens) - marked >= SPACING:
            self._mark(slot)

    @property
    def takes_back(self) -> bool:
        """Whether the last tokens of a sequence can be taken back."""
        return self._memory.kind.plain

    def take_back(self, slot: Slot) -> None:
        """What the sequence holds beyond the slot's tokens."""
        self._memory.keep(slot.index, len(slot.tokens))

    def _with_preamble(self, seat: Seat, prompt: Sequence[int]) -> Seat:
        """All of it or nothing: how much of it a prompt has in common would tell what the system prompt says."""
        length = len(self._preamble)
        if seat.cached >= length or len(prompt) <= length or not self._kept.tokens:
            return seat
        if not self._begins_with_preamble(prompt):
            return seat
        self.forget(seat.slot)
        self._memory.copy(self._kept.index, seat.slot.index, length)
        seat.slot.tokens = list(self._preamble)
        return Seat(seat.slot, length)

    def _begins_with_preamble(self, tokens: Sequence[int]) -> bool:
        return list(tokens[: len(self._preamble)]) == self._preamble

    def _mark(self, slot: Slot) -> None:
        """Keep a copy of what cannot be cut of this sequence, as it is now."""
        length = len(slot.tokens)
        if self._memory.kind.plain or length < WORTH_SAVING or any(one.tokens == length for one in slot.checkpoints):
            return
        if not self._cache.admits(self._memory.size(slot.index, part=True)):
            return
        state = self._memory.save(slot.index, part=True)
        if state is not None:
            self._set_checkpoints(slot, thinned([*slot.checkpoints, Checkpoint(length, state)]))

    # --- Where a prompt goes ----------------------------------------------------------------------------------------

    def _stay(self, placement: Placement) -> Seat:
        slot, source, keep = placement.slot, placement.source, placement.keep
        if keep < WORTH_KEEPING * len(slot.tokens):
            self._save(slot)  # another chat takes its slot
        if source is not slot:
            self.forget(slot)
            if self._reach(source, keep) < keep:
                return Seat(slot, 0)
            self._memory.copy(source.index, slot.index, keep)
            slot.tokens = source.tokens[:keep]
            return Seat(slot, keep)
        return Seat(slot, self._cut(slot, keep))

    def _bring_back(self, found: Found, owner: str) -> Seat:
        """Put a saved chat into a slot."""
        slot, chat = least_missed(self._slots_of(owner)), found.chat
        if found.shared >= WORTH_KEEPING * len(chat.tokens):
            self._cache.drop(chat)  # it goes on in the slot
        else:
            self._cache.touch(chat)
        self.make_way(slot)
        if self.room(len(chat.tokens)) < len(chat.tokens) or not self._loaded(slot, chat.state, len(chat.tokens)):
            self._cache.drop(chat)
            self.forget(slot)
            return Seat(slot, 0)
        slot.tokens = list(chat.tokens)
        self._set_checkpoints(slot, list(chat.checkpoints))
        return Seat(slot, self._cut(slot, found.shared))

    def _cut(self, slot: Slot, tokens: int) -> int:
        """Cut a slot down to its first tokens, or to as many of them as its memory lets it keep."""
        if tokens == len(slot.tokens):
            return tokens
        if tokens and self._can_cut(slot, tokens) and self._memory.keep(slot.index, tokens):
            return self._shortened(slot, tokens)
        best = best_checkpoint(self._memory.kind, slot.checkpoints, tokens)
        if best is not None and self._go_back(slot, *best):
            return self._shortened(slot, best[1])
        self.forget(slot)
        return 0

    def _go_back(self, slot: Slot, checkpoint: Checkpoint, tokens: int) -> bool:
        """To where a copy was made of what cannot be cut; the rest is cut to it."""
        return (
            self._memory.load(slot.index, checkpoint.state, part=True)
            and self._memory.keep(slot.index, tokens)
            and self._is_whole(slot, tokens)
        )

    def _loaded(self, slot: Slot, state: State, tokens: int) -> bool:
        return self._memory.load(slot.index, state) and self._is_whole(slot, tokens)

    def _is_whole(self, slot: Slot, tokens: int) -> bool:
        """Whether token number `tokens` can be next: a load that went wrong leaves the sequence empty, or in parts."""
        first, last = self._memory.span(slot.index)
        kind = self._memory.kind
        return last == tokens - 1 and (kind.recurrent or 0 <= first <= kind.first_needed(tokens))

    def _shortened(self, slot: Slot, tokens: int) -> int:
        del slot.tokens[tokens:]
        self._set_checkpoints(slot, [one for one in slot.checkpoints if one.tokens <= tokens])
        return tokens

    # --- How far back -----------------------------------------------------------------------------------------------

    def _can_cut(self, slot: Slot, tokens: int) -> bool:
        kind = self._memory.kind
        return kind.plain or reach(kind, self._memory.span(slot.index)[0], len(slot.tokens), tokens)

    def _reach(self, slot: Slot, tokens: int) -> int:
        """Of so many tokens that a prompt has in common with a slot, as many as it can be cut down to."""
        if tokens and self._can_cut(slot, tokens):
            return tokens
        best = best_checkpoint(self._memory.kind, slot.checkpoints, tokens)
        return best[1] if best is not None else 0

    def _reach_saved(self, found: Found) -> int:
        kind, length = self._memory.kind, len(found.chat.tokens)
        # A copy of a sliding window holds what the next token needs, and no more.
        if kind.plain or reach(kind, kind.first_needed(length), length, found.shared):
            return found.shared
        best = best_checkpoint(kind, found.chat.checkpoints, found.shared)
        return best[1] if best is not None else 0

    def _best_saved(self, owner: str, prompt: Sequence[int], here: int) -> Found | None:
        """In the host's memory, or on the shelf: from there it is read while everybody waits, so not too much of it."""
        found = self._cache.find(owner, prompt)
        if self._shelf is None:
            return found
        known = max(here, found.shared if found is not None else 0)
        most = READ_BESIDE_OTHERS if any(slot.busy for slot in self.slots) else self._cache.budget
        kept = self._shelf.find(owner, prompt, known, most)
        if kept is None or not self._cache.admits(kept.size):
            return found
        chat = self._shelf.read(kept)
        return found if chat is None else Found(chat, common_prefix(chat.tokens, prompt))

    # --- What is kept -----------------------------------------------------------------------------------------------

    def _save(self, slot: Slot) -> None:
        if len(slot.tokens) < WORTH_SAVING or (self._memory.kind.plain and self._elsewhere(slot)):
            return
        if not self._cache.admits(self._memory.size(slot.index)):
            return
        state = self._memory.save(slot.index)
        if state is not None:
            checkpoints = tuple(slot.checkpoints)
            self._set_checkpoints(slot, [])
            self._cache.put(SavedChat(slot.owner, list(slot.tokens), state, checkpoints))

    def _elsewhere(self, slot: Slot) -> bool:
        """Whether another slot of its owner holds all of it."""
        return any(
            other is not slot
            and other.owner == slot.owner
            and common_prefix(other.tokens, slot.tokens) == len(slot.tokens)
            for other in self.slots
        )

    def _set_checkpoints(self, slot: Slot, checkpoints: list[Checkpoint]) -> None:
        """They count towards the budget of the host as long as they are kept. Without room for them there are none."""
        self._cache.release(sum(len(one.state) for one in slot.checkpoints))
        slot.checkpoints = checkpoints if self._cache.hold(sum(len(one.state) for one in checkpoints)) else []
