"""What programs reach at a provider that falls silent: whoever else could go on is not kept waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import pytest

from qvac_core.core.program_reach import ProgramReach
from qvac_core.delegation.messages import ContentDelta
from qvac_core.endpoint.interface import ChatAsk, Text
from qvac_core.errors import ConnectionClosed
from tests.unit.scripted_reach import offer


@dataclass
class Line:
    gone: bool = False


@dataclass
class Silent:
    """A completion that says one word."""

    connection: Line = field(default_factory=Line)
    place: int = 0
    left: bool = False

    @property
    async def events(self) -> AsyncGenerator[ContentDelta, None]:
        yield ContentDelta(seq=0, text="Hel")
        self.connection.gone = True
        await asyncio.Event().wait()

    async def __aenter__(self) -> Silent:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left = True


@pytest.mark.parametrize("impatient", [True, False])
async def test_a_silent_provider_is_left_where_somebody_else_goes_on(
    impatient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, said = Silent(), []

    async def started(*_: Any) -> Silent:
        return silent

    async def main() -> None:
        nobody: Any = None
        reach = ProgramReach(nobody, nobody, nobody, nobody, nobody, lambda: 0)
        monkeypatch.setattr(reach, "_started", started)
        async for part in reach.chat(offer("Far", "Qwen"), ChatAsk("1", (), impatient=impatient)):
            said.append(part)

    if impatient:
        with pytest.raises(ConnectionClosed):
            await main()
    else:  # it is waited for, however long
        waiting = asyncio.create_task(main())
        await asyncio.wait({waiting}, timeout=0.5)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait({waiting})
    assert said == [Text("Hel")] and silent.left
