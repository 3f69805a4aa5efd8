"""An answer of this machine with the surface of a delegated one, so that a caller need not ask where it runs.

The names are those of `qvac_core.delegation.completion.Completion`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType

from qvac_core.delegation.answers import wire_stats
from qvac_core.delegation.completion import CompletionFinal, final_of
from qvac_core.delegation.messages import ContentDelta, Event, Stats, ThinkingDelta
from qvac_core.delegation.tool_wire import wire_event
from qvac_core.engines.interface import CompletionRequest, Finished, LoadedModel, StopReason, Token
from qvac_core.engines.thinking import TagWriter
from qvac_core.errors import InferenceCancelled, QvacError

_TEXTS = (ContentDelta, ThinkingDelta)


class LocalCompletion:
    """Starts at once. Every iterator sees the answer from its start. Used from the loop that made it.

    capture_thinking: as on the wire; without it the thinking is part of the text, in `<think>` tags.
    keep: of a KV-cache session: gets all that a whole answer wrote, and whether it has calls of tools.
    """

    def __init__(
        self,
        model: LoadedModel,
        request: CompletionRequest,
        *,
        capture_thinking: bool = False,
        keep: Callable[[str, bool], None] | None = None,
    ) -> None:
        self.request_id = request.request_id
        self._model = model
        self._tags = None if capture_thinking else TagWriter(channels=model.info.thinking_channels)
        self._keep = keep
        self._raw: list[str] = []
        self._writer = TagWriter()
        self._events: list[Event] = []
        self._changed = asyncio.Event()
        self._final: asyncio.Future[CompletionFinal] = asyncio.get_running_loop().create_future()
        self._final.add_done_callback(lambda future: future.cancelled() or future.exception())
        self.task = asyncio.get_running_loop().create_task(self._run(request))
        self.task.add_done_callback(self._ended)

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
                elif isinstance(event, Finished):
                    self._finish(event)
                else:
                    self._raw.append(event.raw)
                    self._events.append(wire_event(len(self._events), event))
                    self._wake()
        except QvacError as error:
            self._fail(error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Also of a task that was cancelled before its first step, and of one that failed as nobody expected."""
        error = None if task.cancelled() else task.exception()
        self._fail(error or InferenceCancelled("The answer was left before its end."))

    def _add(self, token: Token) -> None:
        self._raw.append(self._writer.write(token.text, thinking=token.thinking))
        text = self._tags.write(token.text, thinking=token.thinking) if self._tags else token.text
        delta = ThinkingDelta if token.thinking and self._tags is None else ContentDelta
        if text:
            self._events.append(delta(len(self._events), text))
            self._wake()

    def _finish(self, event: Finished) -> None:
        if event.stop_reason is StopReason.CANCELLED:
            text = final_of(self._events, None, "").text
            self._fail(InferenceCancelled("The answer was cancelled.", typed_fields={"text": text}))
            return
        stats = wire_stats(event.stats, in_session=self._keep is not None)
        reason = "" if event.stop_reason is StopReason.EOS else event.stop_reason.value
        whole = event.stop_reason in (StopReason.EOS, StopReason.STOP_SEQUENCE)
        if self._keep is not None and whole and self._raw:
            self._keep("".join(self._raw), any(not isinstance(one, _TEXTS) for one in self._events))
        self._final.set_result(final_of(self._events, stats, reason))
        self._wake()

    def _fail(self, error: BaseException) -> None:
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
    def events(self) -> AsyncIterator[Event]:
        """The text, the thinking where it was asked for, and calls of tools, as they come."""
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[Event]:
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
