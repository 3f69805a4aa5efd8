"""One delegated answer as its caller sees it: events as they come, the whole text, the statistics, and ways to stop it.

The surfaces of 0.16.0's CompletionRun (dist/client/api/completion-stream.js), with what that one lacks: an idle timer,
and a way to leave that a JavaScript provider survives (docs/wire/qvac.md sections 3 and 6).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from msgspec import UNSET, UnsetType

from qvac_core.delegation.connection import CANCEL_SECONDS, ProviderConnection, timed_out
from qvac_core.delegation.failures import Code
from qvac_core.delegation.later import Later
from qvac_core.delegation.messages import (
    Cancel,
    CancelReply,
    CompletionDone,
    CompletionLine,
    CompletionStats,
    CompletionStream,
    ContentDelta,
    Event,
    QueueLine,
    RawDelta,
    Stats,
    ThinkingDelta,
    Tool,
    ToolCall,
    ToolCallParts,
    ToolError,
    ToolFailure,
    encode,
)
from qvac_core.delegation.tool_wire import checked
from qvac_core.errors import (
    DelegationError,
    InferenceCancelled,
    ProviderError,
    QvacError,
    RemoteProtocolError,
)
from qvac_core.tasks import beside

logger = logging.getLogger(__name__)

# docs/wire/qvac.md section 12.
KEEPALIVE_SECONDS = 0.3
SUSPECT_AFTER_SECONDS = 2 * KEEPALIVE_SECONDS
# Leaving early: for the last line, after the reply to the cancel.
LAST_LINE_SECONDS = 3.0
# After `done` a JavaScript provider ends its stream at once; nothing is lost by not waiting longer.
END_SECONDS = 1.0
# Text and calls of one answer that are kept, in bytes: many times the longest context there is.
MAX_ANSWER_BYTES = 64 * 1024 * 1024

_EVENT_BYTES = 64  # what an event counts at least: without text there could be as many as a provider likes


@dataclass(frozen=True, slots=True)
class CompletionFinal:
    """The whole answer. stop_reason: eos, length, stopSequence, or "" where it was left out (a natural end).

    tool_calls: what the model asks for, checked against the tools' schemas. tool_errors: calls that must not be run.
    """

    text: str
    thinking: str
    stats: Stats | None
    stop_reason: str
    tool_calls: tuple[ToolCallParts, ...] = ()
    tool_errors: tuple[ToolFailure, ...] = ()


def _size(event: Event) -> int:
    """Characters in it that somebody else chose."""
    if isinstance(event, ContentDelta | ThinkingDelta | RawDelta):
        return len(event.text)
    return len(encode(event)) if isinstance(event, ToolCall | ToolError) else 0


def final_of(events: Sequence[Event], stats: Stats | None, stop_reason: str) -> CompletionFinal:
    return CompletionFinal(
        "".join(event.text for event in events if isinstance(event, ContentDelta)),
        "".join(event.text for event in events if isinstance(event, ThinkingDelta)),
        stats,
        stop_reason,
        tuple(event.call for event in events if isinstance(event, ToolCall)),
        tuple(event.error for event in events if isinstance(event, ToolError)),
    )


class Completion:
    """Events are kept: every iterator sees the answer from its start. `async with` leaves properly when it ends early.

    A cancelled answer ends its iterators normally; `text`, `stats` and `final` then raise InferenceCancelled with what
    came so far in `typed_fields["text"]`.
    """

    def __init__(
        self,
        connection: ProviderConnection,
        message: CompletionStream,
        *,
        idle_seconds: float,
        on_suspect: Callable[[Completion], None] | None = None,
        closing: Callable[[], bool] = lambda: False,
        tools: Sequence[Tool] = (),
    ) -> None:
        """Starts at once. The connection is ready; `message` has a request id. `closing`: the program is ending.

        tools: by whose whole schemas calls are checked.
        """
        assert isinstance(message.request_id, str)
        self.request_id: str = message.request_id
        self.model_id = message.model_id
        self.connection = connection
        self.place: int | None = None
        self.wait_ms = 0.0
        self._when_placed: Callable[[int, float], None] = lambda place, wait_ms: None
        self.suspect = False
        self._idle_seconds = idle_seconds
        self._on_suspect = on_suspect
        self._closing = closing
        self._tools = {tool.name: tool for tool in tools}
        self._events: list[Event] = []
        self._bytes = 0
        self._gone_out = 0
        self._idle: asyncio.Timeout | None = None
        self._error: QvacError | None = None
        self._done: CompletionDone | None = None
        self._finished = asyncio.Event()
        self._changed = asyncio.Event()
        self._in_session = message.kv_cache not in (UNSET, False)
        self._stream = connection.open_stream(message)
        self.task = asyncio.get_running_loop().create_task(self._pump())

    async def __aenter__(self) -> Completion:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave(closing=self._closing())

    # --- What the caller reads --------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        return self._finished.is_set()

    @property
    def events(self) -> AsyncIterator[Event]:
        """Every event, from the first. Raises what ended the answer, unless it ended properly or was cancelled."""
        return self._iterate()

    @property
    def token_stream(self) -> AsyncIterator[str]:
        """The text as it comes."""
        return self._tokens()

    @property
    def text(self) -> Awaitable[str]:
        return Later(self._text)

    @property
    def stats(self) -> Awaitable[Stats | None]:
        return Later(self._stats)

    @property
    def final(self) -> Awaitable[CompletionFinal]:
        return Later(self._final)

    @property
    def text_so_far(self) -> str:
        return "".join(event.text for event in self._events if isinstance(event, ContentDelta))

    async def _iterate(self) -> AsyncIterator[Event]:
        index = 0
        while True:
            while index < len(self._events):
                yield self._events[index]
                index += 1
            if self.finished:
                if self._error is not None:
                    raise self._error
                return
            await self._changed.wait()

    async def _tokens(self) -> AsyncIterator[str]:
        async for event in self._iterate():
            if isinstance(event, ContentDelta):
                yield event.text

    async def _final(self) -> CompletionFinal:
        await self._finished.wait()
        if self._error is not None:
            raise self._error
        assert self._done is not None
        if self._done.stop_reason == "cancelled":
            raise InferenceCancelled("The answer was cancelled.", typed_fields={"text": self.text_so_far})
        stats = next((event.stats for event in self._events if isinstance(event, CompletionStats)), None)
        stop_reason = self._done.stop_reason if isinstance(self._done.stop_reason, str) else ""
        return final_of(self._events, stats, stop_reason)

    async def _text(self) -> str:
        return (await self._final()).text

    async def _stats(self) -> Stats | None:
        return (await self._final()).stats

    @property
    def pieces(self) -> int:
        """Of text, thinking and calls that came: about as many as tokens."""
        return sum(isinstance(event, ContentDelta | ThinkingDelta | ToolCall | ToolError) for event in self._events)

    @property
    def counted(self) -> tuple[int, int] | None:
        """Tokens of the prompt and of the answer, as its last line said; None where none came, or said nothing."""
        stats = next((event.stats for event in self._events if isinstance(event, CompletionStats)), None)
        if stats is None or self._done is None:
            return None
        prompt, generated, cached = stats.prompt_tokens, stats.generated_tokens, stats.cache_tokens
        if isinstance(prompt, UnsetType) or isinstance(generated, UnsetType):
            return None
        if self._in_session and not isinstance(cached, UnsetType):
            prompt = cached - generated  # what was read again from the session is told as cache
        return int(prompt), int(generated)

    # --- Stopping ---------------------------------------------------------------------------------------------

    async def cancel(self, seconds: float = CANCEL_SECONDS, *, leaving: bool = False) -> int:
        """Ask the provider to stop this answer; how many it stopped (0: it had ended). The last line follows.

        leaving: its owner may read that the guest went, and did not only stop it.
        """
        if self.finished:
            return 0
        ours = self.connection.hello is not None
        message = Cancel(operation="request", request_id=self.request_id, leaving=True if leaving and ours else UNSET)
        reply = await self.connection.ask(message, CancelReply, seconds)
        return reply.cancelled if isinstance(reply.cancelled, int) else 0

    async def leave(self, *, closing: bool = False) -> None:
        """End it whatever its state: targeted cancel, the last line if it comes soon, else a plain DESTROY. Bounded.

        closing: the connection ends as well.
        """
        if not self.finished:
            await self._leave_early(closing)
        self.task.cancel()
        await asyncio.wait({self.task})

    def _abandon(self) -> None:
        """Its provider says nothing any more: leave it without waiting."""
        self._stream.destroy()
        self.connection.leave_request(self.request_id)
        self._finish(InferenceCancelled("The answer was left before its end.", typed_fields={"text": self.text_so_far}))

    async def _leave_early(self, closing: bool) -> None:
        if self.connection.gone:
            self._abandon()
            return
        try:
            await self.cancel(leaving=closing)
            async with asyncio.timeout(LAST_LINE_SECONDS):
                await self._finished.wait()
        except TimeoutError:
            logger.debug("no last line came after a cancel")
        except QvacError as error:
            logger.debug("a cancel was not answered: %s", error)
        self._stream.destroy()
        self._finish(InferenceCancelled("The answer was left before its end.", typed_fields={"text": self.text_so_far}))

    # --- Receiving --------------------------------------------------------------------------------------------

    async def _pump(self) -> None:
        try:
            async with beside(self._keep_alive()):
                await self._receive()
        except TimeoutError:
            await self._fail_idle()
        except ProviderError as error:
            if not self._end_for_room(error):
                self._finish(error)
        except QvacError as error:
            self._stream.destroy()
            self._finish(error)
        finally:
            self._stream.destroy()
            self._finish(InferenceCancelled("The answer was left before its end."))

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._idle_seconds) as idle:
            self._idle = idle
            async for reply in self.connection.replies(self._stream):
                idle.reschedule(loop.time() + (END_SECONDS if self.finished else self._idle_seconds))
                if isinstance(reply, CompletionLine):
                    self._take(reply)
                    if self.finished:
                        idle.reschedule(loop.time() + END_SECONDS)
                elif isinstance(reply, QueueLine):
                    if (reply.place, reply.wait_ms) != (self.place, self.wait_ms):
                        self.place, self.wait_ms = reply.place, float(reply.wait_ms)
                        self._when_placed(self.place, self.wait_ms)
                elif self.connection.hello is None:
                    raise RemoteProtocolError("the provider sent a line that does not belong to an answer")
        if not self.finished:
            raise DelegationError(
                "The provider ended the answer without finishing it.",
                name=Code.COMPLETION_FAILED.name,
                code=Code.COMPLETION_FAILED.value,
            )

    def when_placed(self, call: Callable[[int, float], None]) -> None:
        """`call` hears each place in the provider's line, the present one too: 1 is the next, 0 = it is its turn.

        And the milliseconds until then, as the provider says; 0 where it does not.
        """
        self._when_placed = call
        if self.place is not None:
            call(self.place, self.wait_ms)

    def _take(self, line: CompletionLine) -> None:
        if self.finished:
            return
        self.place = None
        self._events += [checked(event, self._tools) for event in line.events]
        self._bytes += sum(_EVENT_BYTES + _size(event) for event in line.events)
        if self._bytes > MAX_ANSWER_BYTES:
            raise RemoteProtocolError("the provider sends an answer without end")
        if line.done is True:
            self._end(line)
        else:
            self._wake()

    def _end(self, line: CompletionLine) -> None:
        done = next((event for event in line.events if isinstance(event, CompletionDone)), None)
        if done is None:
            raise RemoteProtocolError("the provider's last line does not say how the answer ended")
        self._done = done
        if done.stop_reason == "error":
            message = done.error.message if done.error else ""
            error = ProviderError(message, name=Code.COMPLETION_FAILED.name, code=Code.COMPLETION_FAILED.value)
            self._finish(error)
        else:
            self._finish(None)

    def _end_for_room(self, error: ProviderError) -> bool:
        """A JavaScript provider fails an answer that fills its context. What came is an answer, and that is its end."""
        if error.code != Code.CONTEXT_OVERFLOW.value or not self._events:
            return False
        self._done = CompletionDone(self._events[-1].seq + 1, stop_reason="length")
        self._events.append(self._done)
        self._finish(None)
        return True

    async def _fail_idle(self) -> None:
        """Nothing came for too long: stop the work there if it still listens, then fail."""
        if self.finished:
            return
        await self.connection.stop_request(self.request_id)
        self._stream.destroy()
        self._finish(timed_out(self._idle_seconds))

    def _finish(self, error: QvacError | None) -> None:
        if self.finished:
            return
        self._error = error
        self._finished.set()
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _keep_alive(self) -> None:
        """The connection asks for signs of life; one of our own providers that gives none is suspect."""
        while not self.finished:
            await asyncio.sleep(KEEPALIVE_SECONDS)
            self._judge(not self._goes_out() and self.connection.offers("keepalive"))

    def _goes_out(self) -> bool:
        """A long request takes its time on a slow line, and nobody could answer it meanwhile: that is no silence."""
        sent, gone_out = self.connection.sent(self._stream)
        if sent:
            return False
        if gone_out > self._gone_out and self._idle is not None and not self.finished:
            self._gone_out = gone_out
            self._idle.reschedule(asyncio.get_running_loop().time() + self._idle_seconds)
        return True

    def _judge(self, expected: bool) -> None:
        suspect = expected and not self.finished and self.connection.quiet >= SUSPECT_AFTER_SECONDS
        if suspect and not self.suspect and self._on_suspect is not None:
            self._on_suspect(self)
        self.suspect = suspect
