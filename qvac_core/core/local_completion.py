"""An answer of this machine with the surface of a delegated one, so that a caller need not ask where it runs.

The names are those of `qvac_core.delegation.completion.Completion`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from types import TracebackType

from qvac_core.delegation.completion import CompletionFinal
from qvac_core.delegation.messages import ContentDelta, Stats, ThinkingDelta
from qvac_core.engines.interface import CompletionRequest, Finished, LoadedModel, StopReason, Token
from qvac_core.engines.thinking import TagWriter
from qvac_core.errors import InferenceCancelled, QvacError


class LocalCompletion:
    """Starts at once. Every iterator sees the answer from its start. Used from the loop that made it.

    capture_thinking: as on the wire; without it the thinking is part of the text, in `<think>` tags.
    """

    def __init__(self, model: LoadedModel, request: CompletionRequest, *, capture_thinking: bool = False) -> None:
        self.request_id = request.request_id
        self._model = model
        self._tags = None if capture_thinking else TagWriter(channels=model.info.thinking_channels)
        self._events: list[ContentDelta | ThinkingDelta] = []
        self._changed = asyncio.Event()
        self._final: asyncio.Future[CompletionFinal] = asyncio.get_running_loop().create_future()
        self._final.add_done_callback(lambda future: future.cancelled() or future.exception())
        self.task = asyncio.get_running_loop().create_task(self._run(request))
        self.task.add_done_callback(lambda _: self._left())

    async def __aenter__(self) -> LocalCompletion:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def _run(self, request: CompletionRequest) -> None:
        try:
            async for event in self._model.complete(request):
                if isinstance(event, Token):
                    self._add(event)
                else:
                    self._finish(event)
        except QvacError as error:
            self._fail(error)

    def _left(self) -> None:
        """Also for a task that was cancelled before its first step."""
        self._fail(InferenceCancelled("The answer was left before its end."))

    def _add(self, token: Token) -> None:
        text = self._tags.write(token.text, thinking=token.thinking) if self._tags else token.text
        delta = ThinkingDelta if token.thinking and self._tags is None else ContentDelta
        if text:
            self._events.append(delta(len(self._events), text))
            self._wake()

    def _finish(self, event: Finished) -> None:
        text = "".join(event.text for event in self._events if isinstance(event, ContentDelta))
        thinking = "".join(event.text for event in self._events if isinstance(event, ThinkingDelta))
        if event.stop_reason is StopReason.CANCELLED:
            self._fail(InferenceCancelled("The answer was cancelled.", typed_fields={"text": text}))
            return
        stats = Stats(
            time_to_first_token=event.stats.time_to_first_token,
            tokens_per_second=event.stats.tokens_per_second,
            cache_tokens=event.stats.cache_tokens,
            prompt_tokens=event.stats.prompt_tokens,
            generated_tokens=event.stats.generated_tokens,
            avg_concurrent_seq=event.stats.avg_concurrent_seq,
            backend_device="gpu" if event.stats.backend_device == "gpu" else "cpu",
        )
        reason = "" if event.stop_reason is StopReason.EOS else event.stop_reason.value
        self._final.set_result(CompletionFinal(text, thinking, stats, reason))
        self._wake()

    def _fail(self, error: QvacError) -> None:
        if not self._final.done():
            self._final.set_exception(error)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def token_stream(self) -> AsyncIterator[str]:
        return self._tokens()

    async def _tokens(self) -> AsyncIterator[str]:
        async for event in self.events:
            if isinstance(event, ContentDelta):
                yield event.text

    @property
    def events(self) -> AsyncIterator[ContentDelta | ThinkingDelta]:
        """The text, and the thinking where it was asked for, as they come."""
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[ContentDelta | ThinkingDelta]:
        index = 0
        while True:
            while index < len(self._events):
                yield self._events[index]
                index += 1
            if self._final.done():
                error = self._final.exception()
                if error is not None and not isinstance(error, InferenceCancelled):
                    raise error
                return
            await self._changed.wait()

    @property
    def final(self) -> Awaitable[CompletionFinal]:
        return asyncio.shield(self._final)

    async def _text(self) -> str:
        return (await asyncio.shield(self._final)).text

    async def _stats(self) -> Stats | None:
        return (await asyncio.shield(self._final)).stats

    @property
    def text(self) -> Awaitable[str]:
        return asyncio.ensure_future(self._text())

    @property
    def stats(self) -> Awaitable[Stats | None]:
        return asyncio.ensure_future(self._stats())

    async def cancel(self) -> int:
        """Stop it between two steps; how many were stopped (0: it had ended)."""
        return int(self._model.cancel(self.request_id)) if not self._final.done() else 0

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})
