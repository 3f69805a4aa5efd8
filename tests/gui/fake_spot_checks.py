"""Spot checks, as the window asks a core for them: the fake of `core.spot_checks`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from qvac_core.core.spot_check import Pair, SpotCheck


class FakeSpotChecks:
    """`found`: what the next one finds."""

    def __init__(self, enter: Callable[..., Awaitable[None]]) -> None:
        self._enter = enter
        self.found = SpotCheck("Qwen3 8B", "ee" * 32, "", (Pair("question", "a word", "a word"),))

    async def check(self, public_key: str, model: str = "", other: str = "") -> SpotCheck:
        await self._enter("spot_check", public_key, model, other)
        return self.found
