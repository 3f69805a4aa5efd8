"""Pauses without a core: what FakeCore's `pausing` and `free_models` do. Every intent is noted as FakeCore's are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from qvac_core.core.state import Pause, PauseReason, PausesChanged


class FakePausing:
    """Implements PausingInterface. enter: FakeCore's, which notes, delays and fails."""

    def __init__(self, enter: Callable[..., Awaitable[None]], emit: Callable[[PausesChanged], None]) -> None:
        self._enter, self._emit = enter, emit
        self.pauses: tuple[Pause, ...] = ()

    def set(self, *pauses: Pause) -> None:
        self.pauses = pauses
        self._emit(PausesChanged(pauses))

    async def pause(self, until: float | None = None, *, cut: bool = False) -> None:
        await self._enter("pause", until, cut)
        others = (pause for pause in self.pauses if pause.reason is not PauseReason.OWNER)
        self.set(*others, Pause(PauseReason.OWNER, until, cut))

    async def resume(self) -> None:
        await self._enter("resume")
        self.set(*(pause for pause in self.pauses if pause.reason is not PauseReason.OWNER))
