"""An answer that is begun before it is known whether it will be wanted: its first words are there when it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from qvac_core.core.answering import AnswerPart, Question, Thinking
from qvac_core.errors import QvacError


class Ahead:
    """Takes from `parts`, the answer to `question`, until its first words; the rest waits until somebody wants it.

    Close it in any case.
    """

    def __init__(self, question: Question, parts: AsyncGenerator[AnswerPart, None]) -> None:
        self.question = question
        self._source = parts
        self._taken: list[AnswerPart] = []
        self._begun = asyncio.get_running_loop().create_task(self._begin())

    async def _begin(self) -> QvacError | None:
        try:
            async for part in self._source:
                self._taken.append(part)
                if isinstance(part, str | Thinking):
                    break
        except QvacError as error:
            return error
        return None

    @property
    def ready(self) -> bool:
        """Whether its first words are there."""
        return any(isinstance(part, str | Thinking) for part in self._taken)

    async def parts(self) -> AsyncGenerator[AnswerPart, None]:
        """All of them. Raises what the answer raises."""
        await asyncio.wait({self._begun})
        for part in self._taken:
            yield part
        if (error := self._begun.result()) is not None:
            raise error
        async for part in self._source:
            yield part

    async def close(self) -> None:
        """Stop what is still at it."""
        self._begun.cancel()
        await asyncio.wait({self._begun})
        await self._source.aclose()
