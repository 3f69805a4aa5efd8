"""Which models guests may copy, as the window asks a core for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


class FakeCopies:
    """Implements CopyRoom. `enter`: notes the call and raises what a test wants; `changed`: the models tell it."""

    def __init__(self, enter: Callable[..., Awaitable[None]], changed: Callable[[str, bool], None]) -> None:
        self._enter = enter
        self._changed = changed
        self.names: frozenset[str] = frozenset()

    async def copyable(self) -> frozenset[str]:
        return self.names

    async def set_copyable(self, name: str, copyable: bool) -> None:
        await self._enter("set_copyable", name, copyable)
        self.names = self.names | {name} if copyable else self.names - {name}
        self._changed(name, copyable)
