"""Chats that lost their slot, kept in the machine's own memory: what the model's memory held of each, and its tokens.

Reading a prompt again costs seconds; putting 1,024 tokens back took 3.9 ms. A chat is found by the longest
common prefix of its tokens, among those of its owner only: how fast a prompt is read would tell another what was asked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qvac_core.engines.checkpoints import Checkpoint, State
from qvac_core.engines.memory import free_bytes
from qvac_core.engines.slots import common_prefix

GIB = 1024**3
LARGEST_SHARE = 0.25  # of the memory that is free once the model is loaded
LARGEST_BUDGET = 8 * GIB  # as llama.cpp's server takes
LEFT_FREE = GIB  # for everything else that runs here: what is saved never takes the last of it
WORTH_SAVING = 16  # tokens: fewer are read again as fast


@dataclass(frozen=True, slots=True, eq=False)
class SavedChat:
    """state: of all `tokens`. checkpoints: at some of their beginnings, where the memory cannot be cut."""

    owner: str
    tokens: list[int]
    state: State
    checkpoints: tuple[Checkpoint, ...] = ()

    @property
    def size(self) -> int:
        return len(self.state) + sum(len(checkpoint.state) for checkpoint in self.checkpoints)


@dataclass(frozen=True, slots=True)
class Found:
    """A saved chat of which the first `shared` tokens are those of a prompt."""

    chat: SavedChat
    shared: int


def budget_of(asked: int) -> int:
    """Bytes for saved chats. asked: as the owner says; negative = a share of what is free now."""
    if asked >= 0:
        return asked
    return min(LARGEST_BUDGET, int(LARGEST_SHARE * free_bytes()))


class StateCache:
    """Least recently used goes first, of the owner that holds most: nobody's chats push out all of another's."""

    def __init__(self, budget: int, free: Callable[[], int] = free_bytes) -> None:
        """budget: bytes. free: of the machine's memory now, in bytes."""
        self._budget = budget
        self._free = free
        self._chats: OrderedDict[int, SavedChat] = OrderedDict()
        self._used = 0
        self._held = 0

    @property
    def used(self) -> int:
        """Bytes, what is held included: never more than the budget."""
        return self._used + self._held

    @property
    def budget(self) -> int:
        """Bytes."""
        return self._budget

    def __len__(self) -> int:
        return len(self._chats)

    def last_used_first(self) -> list[SavedChat]:
        return list(reversed(self._chats.values()))

    def admits(self, size: int) -> bool:
        """Makes room for so many bytes. False: they do not fit, and nothing was given up for them."""
        limit = min(self._budget, self.used + max(0, self._free() - LEFT_FREE))
        if size + self._held > limit:
            return False
        while self.used + size > limit:
            self._drop(self._least_missed())
        return True

    def hold(self, size: int) -> bool:
        """So many bytes of the budget, for copies that belong to a chat in a slot. False: it has no room for them."""
        if size and not self.admits(size):
            return False
        self._held += size
        return True

    def release(self, size: int) -> None:
        self._held -= size

    def put(self, chat: SavedChat) -> None:
        """Keep it, if it fits. It takes the place of what it contains: beginnings of itself."""
        for known in list(self._of(chat.owner)):
            if len(known.tokens) <= len(chat.tokens) and chat.tokens[: len(known.tokens)] == known.tokens:
                self._drop(known)
        if self.admits(chat.size):
            self._chats[id(chat)] = chat
            self._used += chat.size

    def find(self, owner: str, prompt: Sequence[int]) -> Found | None:
        """The chat of this owner that has most tokens in common with the prompt's beginning."""
        found = [Found(chat, common_prefix(chat.tokens, prompt)) for chat in self._of(owner)]
        return max((one for one in found if one.shared), key=lambda one: one.shared, default=None)

    def touch(self, chat: SavedChat) -> None:
        """It was used."""
        if id(chat) in self._chats:
            self._chats.move_to_end(id(chat))

    def drop(self, chat: SavedChat) -> None:
        """It is somewhere else now, or of no use."""
        if id(chat) in self._chats:
            self._drop(chat)

    def _of(self, owner: str) -> list[SavedChat]:
        return [chat for chat in self._chats.values() if chat.owner == owner]

    def _least_missed(self) -> SavedChat:
        held: dict[str, int] = {}
        for chat in self._chats.values():
            held[chat.owner] = held.get(chat.owner, 0) + chat.size
        largest = max(held, key=lambda owner: held[owner])
        return next(chat for chat in self._chats.values() if chat.owner == largest)

    def _drop(self, chat: SavedChat) -> None:
        del self._chats[id(chat)]
        self._used -= chat.size
