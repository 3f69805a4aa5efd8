"""What was written in each conversation and not sent yet, and which of it waits for an answer to end. Knows no Qt."""

from __future__ import annotations

from collections.abc import Mapping

from qvac_core.core.state import Draft

NOTHING = Draft()


class Drafts:
    """By the id of the conversation; "" is the one that nobody has written in yet."""

    def __init__(self) -> None:
        self._drafts: dict[str, Draft] = {}
        self._left: set[str] = set()
        self._unsaved: set[str] = set()

    def load(self, kept: Mapping[str, Draft]) -> None:
        """Of the last run. A question that waited then waits no more: its answer ended with the program."""
        for key, draft in kept.items():
            self._drafts.setdefault(key, Draft(draft.text, draft.pasted))
            if draft.waiting:
                self._left.add(key)

    @property
    def written(self) -> frozenset[str]:
        """Conversations in which something is not sent yet."""
        return frozenset(self._drafts)

    def get(self, key: str) -> Draft:
        return self._drafts.get(key, NOTHING)

    def was_left(self, key: str) -> bool:
        """It waited when the program ended, or could not be asked, and nobody has touched it since."""
        return key in self._left

    def put(self, key: str, draft: Draft, *, left: bool = False) -> None:
        if draft.message:
            self._drafts[key] = draft
        else:
            self._drafts.pop(key, None)
        self._left.discard(key)
        if left:
            self._left.add(key)
        self._unsaved.add(key)

    def take_waiting(self, key: str) -> Draft | None:
        """The question that waits there; it is no draft any more."""
        draft = self.get(key)
        if not draft.waiting:
            return None
        self.put(key, NOTHING)
        return draft

    def move(self, old: str, new: str) -> None:
        """A conversation has its id now."""
        self.put(new, self.get(old))
        self.put(old, NOTHING)

    def drop(self, key: str) -> None:
        """The conversation is gone, and what the core kept of it."""
        self._drafts.pop(key, None)
        self._left.discard(key)
        self._unsaved.discard(key)

    def take_unsaved(self) -> tuple[tuple[str, Draft], ...]:
        unsaved = tuple((key, self.get(key)) for key in sorted(self._unsaved))
        self._unsaved.clear()
        return unsaved
