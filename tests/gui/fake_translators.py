"""Translation models of a machine that has none, or those that a test gives it."""

from __future__ import annotations


class FakeTranslators:
    def __init__(self) -> None:
        self.now: tuple[tuple[str, str], ...] = ()

    async def pairs(self) -> tuple[tuple[str, str], ...]:
        return self.now
