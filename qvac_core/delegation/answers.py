"""Answering one completionStream: from its request to its last line, whatever happens in between.

docs/wire/qvac.md sections 5 and 6. Every path ends with a `done` line or an `error` line, because a JavaScript consumer
waits for ever otherwise, and with exactly one outcome in the log.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol, cast

from msgspec import UNSET, UnsetType

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.attached_pictures import has_attachments, no_vision_here, with_pictures
from qvac_core.delegation.blobs import KeyBlobs
from qvac_core.delegation.completion_request import completion_request
from qvac_core.delegation.events import Outcome
from qvac_core.delegation.failures import Reason, by_policy, error_reply
from qvac_core.delegation.held_models import KnownModel
from qvac_core.delegation.kv_sessions import KvSessions, KvTurn
from qvac_core.delegation.live_requests import Ending, LiveRequest, LiveRequests
from qvac_core.delegation.messages import (
    CompletionDone,
    CompletionLine,
    CompletionStats,
    CompletionStream,
    ContentDelta,
    Event,
    RawDelta,
    RawOutput,
    Stats,
    ThinkingDelta,
    encode,
)
from qvac_core.delegation.messages import Message as WireMessage
from qvac_core.delegation.rpc_streams import OutgoingStream, StreamGone
from qvac_core.delegation.tool_wire import wire_event
from qvac_core.delegation.turns import Lane, Turns
from qvac_core.engines.interface import (
    CompletionEvent,
    CompletionRequest,
    Finished,
    LoadedModel,
    StopReason,
    Token,
    ToolCall,
    ToolError,
)
from qvac_core.engines.interface import CompletionStats as EngineStats
from qvac_core.engines.thinking import TagWriter
from qvac_core.errors import ConnectionClosed, EngineCrashed, QvacError

# How long the engine may take to stop between two steps before the answer is ended without it.
STOP_GRACE_SECONDS = 2.0
# To our own consumers, which give up on silence: how often an answer that waits or reads a prompt says that it lives.
STILL_HERE_SECONDS = 10.0

_OUTCOMES = {
    StopReason.EOS: Outcome.EOS,
    StopReason.LENGTH: Outcome.LENGTH,
    StopReason.STOP_SEQUENCE: Outcome.STOP_SEQUENCE,
    StopReason.CANCELLED: Outcome.CANCELLED,
}


class AnswerParts(Protocol):
    """What an answer needs of the connection it goes to."""

    limits: Limits
    turns: Turns
    requests: LiveRequests
    sessions: KvSessions
    blobs: KeyBlobs
    public_key: bytes
    tells_places: bool
    is_ours: bool

    @property
    def parallel(self) -> int: ...

    @property
    def first(self) -> bool: ...

    def slots(self, known: KnownModel) -> int: ...

    def limits_of(self, known: KnownModel) -> Limits: ...

    async def running_model(self, known: KnownModel) -> LoadedModel: ...

    def drop(self) -> None:
        """The peer does not take what it asked for: end its connection."""


@dataclass(slots=True)
class _Result:
    """How the engine ended it; None for what it did not get to say."""

    stop_reason: StopReason | None = None
    stats: EngineStats | None = None


class Answer:
    """One answer on its way to one consumer."""

    def __init__(
        self,
        parts: AnswerParts,
        stream: OutgoingStream,
        live: LiveRequest,
        message: CompletionStream,
        known: KnownModel,
    ) -> None:
        self._parts = parts
        self._stream = stream
        self._live = live
        self._message = message
        self._known = known
        self._seq = 0
        self._called = False
        self._text: list[str] = []
        self._kept: list[Event] = []
        self._raw = TagWriter()
        self._content = TagWriter()
        self._model: LoadedModel | None = None
        self._kv_turn: KvTurn | None = None
        self._place = 0
        self._rests = False  # or is about to: the engine was stopped because the guest is away
        self._heard = asyncio.Event()
        self._said: list[str] = []
        self._thinks = False
        self._still_here: asyncio.TimerHandle | None = None
        self._deadline: asyncio.Timeout | None = None

    async def run(self, forbidden: QvacError | None = None) -> None:
        """Generate, send, log. `forbidden`: why it may not be answered at all, if so."""
        result = _Result()
        try:
            if forbidden is not None:
                raise forbidden
            await self._generate(result)
            self._keep_session(result)
            if self._live.owner_stop is not None:
                self._finish(Outcome.STOPPED, result)
                await self._send_error(self._live.owner_stop.rejection())
            else:
                await self._send_end(result)
        except (StreamGone, ConnectionClosed):
            self._live.stop(Ending.DISCONNECTED)  # what was said before, by DESTROY or cancel, stays
        except QvacError as error:
            self._finish(Outcome.ERROR, result, error=error.message)  # the owner may know more
            await self._send_error(error)
        except asyncio.CancelledError:
            self._live.stop(Ending.DISCONNECTED)
            raise
        finally:
            if self._kv_turn is not None:
                self._parts.sessions.forget(self._kv_turn)
            self._finish(self._outcome(result), result)

    def _keep_session(self, result: _Result) -> None:
        """As in 0.16, an answer that was stopped or reached its limit leaves nothing to go on from."""
        whole = result.stop_reason in (StopReason.EOS, StopReason.STOP_SEQUENCE) and self._live.ending is None
        found_by_text = self._message.kv_cache is True and self._called  # which a call has none of, to be found by
        if self._kv_turn is not None and whole and self._text and not found_by_text:
            self._parts.sessions.keep(self._kv_turn, self._message, "".join(self._text))
            self._kv_turn = None

    def _outcome(self, result: _Result) -> Outcome:
        if self._live.ending in (Ending.DISCONNECTED, Ending.LEFT):
            return Outcome.DISCONNECTED
        if self._live.ending is Ending.STOPPED:
            return Outcome.STOPPED
        if self._live.ending is not None:
            return Outcome.CANCELLED
        return _OUTCOMES[result.stop_reason] if result.stop_reason else Outcome.ERROR

    def _finish(self, outcome: Outcome, result: _Result, error: str = "") -> None:
        stats = result.stats
        if self._parts.requests.get(self._live.id) is not None:
            self._parts.requests.keep_contents(self._live, _asked(self._message), "".join(self._text))
        self._parts.requests.finish(
            self._live,
            outcome,
            prompt_tokens=stats.prompt_tokens if stats else 0,
            generated_tokens=stats.generated_tokens if stats else None,
            error=error or self._live.note,
        )

    # --- Generating -------------------------------------------------------------------------------------------

    async def _generate(self, result: _Result) -> None:
        """Until the engine is done or the request is stopped (then `live.ending` says why)."""
        parts = self._parts
        try:
            async with asyncio.timeout(parts.limits.request_seconds) as deadline:
                self._deadline = deadline
                self._live.on_stop(self._stop)
                self._live.on_away = self._guest_is_away
                self._say_still_here_later()
                request = self._request()
                await self._take_turn(request, result)
                while self._rests and self._live.ending is None and result.stop_reason in (None, StopReason.CANCELLED):
                    await self._heard.wait()
                    self._rests = False
                    before, result.stop_reason, result.stats = result.stats, None, None
                    await self._take_turn(self._rest_of(request, before), result)
                    result.stats = _together(before, result.stats)
        except TimeoutError:
            if self._live.ending is None:
                raise by_policy(
                    Reason.LIMIT, f"An answer may take {parts.limits.request_seconds:.0f} seconds here."
                ) from None
        except QvacError:
            if self._live.ending is None:
                raise  # an engine that fails while it is being stopped has stopped
        finally:
            self._be_silent()
            self._live.on_stop(None)
            self._live.on_away = None
            self._deadline = None
            self._model = None

    async def _take_turn(self, request: CompletionRequest, result: _Result) -> None:
        """Until the engine is done, or was stopped because the guest is away: then somebody else has the turn."""
        parts = self._parts
        async with parts.turns.turn(parts.public_key, parts.parallel, self._on_place, self._lane(), first=parts.first):
            if self._place:
                self._on_place(0)  # its guest hears that it waits for nobody any longer
            parts.requests.placed(self._live, 0)
            model = await parts.running_model(self._known)
            if self._rests:
                return
            if not self._said and not self._thinks:
                self._content = TagWriter(channels=model.info.thinking_channels)
            self._model = model
            try:
                request = self._with_pictures(request)
                events = cast(AsyncGenerator[CompletionEvent, None], model.complete(request))
                async with aclosing(events):
                    async for event in events:
                        await self._take(event, result)
            finally:
                self._model = None
            if result.stop_reason is None and self._live.ending is None:
                raise EngineCrashed("the engine ended an answer without saying how")

    def _guest_is_away(self, away: bool) -> bool:
        """Its answer rests until it is heard. Thinking, and calls of tools, cannot go on from their middle."""
        if not away:
            self._heard.set()
            return False
        if not self._rests:
            if self._thinks or self._message.tools:
                return False
            self._rests = True
            self._heard.clear()
            if self._model is not None:
                self._model.cancel(self._live.id)
        return True

    def _rest_of(self, request: CompletionRequest, before: EngineStats | None) -> CompletionRequest:
        """What is still to be made of an answer that rested."""
        if not self._said:
            return request
        predict = request.sampling.predict
        if predict is not None and predict > 0 and before is not None:
            predict = max(1, predict - before.generated_tokens)
        return replace(
            request,
            continue_from=request.continue_from + "".join(self._said),
            sampling=replace(request.sampling, predict=predict),
        )

    def _lane(self) -> Lane:
        """What waits for a slot of the model waits here, where its place is told and keys take turns."""
        return Lane(self._known.model.sha256, self._parts.slots(self._known))

    def _request(self) -> CompletionRequest:
        parts = self._parts
        request = completion_request(
            self._live.id,
            parts.public_key,
            self._message,
            self._known,
            parts.limits_of(self._known),
            show_stop=not parts.is_ours,
        )
        if has_attachments(self._message):
            # They are looked at before it waits and held only when its turn has come. No session: that is text alone.
            with_pictures(request.history, self._message, parts.blobs.get)
            return request
        self._kv_turn = parts.sessions.begin(parts.public_key, self._known, self._message, request.history)
        if self._kv_turn is None:
            return request
        return replace(request, session=self._kv_turn.session, history=self._kv_turn.history)

    def _with_pictures(self, request: CompletionRequest) -> CompletionRequest:
        if not has_attachments(self._message):
            return request
        assert self._model is not None
        if not self._model.info.vision:
            raise no_vision_here()
        return replace(request, history=with_pictures(request.history, self._message, self._parts.blobs.get))

    def _stop(self) -> None:
        """The request is to end. The engine gets a moment to stop and say how far it came."""
        assert self._deadline is not None
        now = asyncio.get_running_loop().time()
        stopping = self._model is not None and self._model.cancel(self._live.id)
        self._deadline.reschedule(now + STOP_GRACE_SECONDS if stopping else now)

    async def _take(self, event: CompletionEvent, result: _Result) -> None:
        if isinstance(event, Finished):
            result.stop_reason, result.stats = event.stop_reason, event.stats
            return
        self._parts.requests.progress(self._live)
        if self._stream.ended or self._live.ending is Ending.STOPPED:
            return  # the engine is stopping; its last word is still wanted for the log
        try:
            await (self._send_token(event) if isinstance(event, Token) else self._send_call(event))
        except (StreamGone, ConnectionClosed):
            self._live.stop(Ending.DISCONNECTED)

    def _on_place(self, place: int) -> None:
        self._place = place
        self._parts.requests.placed(self._live, place)
        if self._parts.tells_places:
            self._stream.write_soon(_line(self._parts.requests.queue_line(self._live, place)))

    def _say_still_here_later(self) -> None:
        self._still_here = asyncio.get_running_loop().call_later(STILL_HERE_SECONDS, self._say_still_here)

    def _say_still_here(self) -> None:
        self._on_place(self._place)
        self._say_still_here_later()

    def _be_silent(self) -> None:
        if self._still_here is not None:
            self._still_here.cancel()
            self._still_here = None

    # --- Sending ----------------------------------------------------------------------------------------------

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq - 1

    async def _send_token(self, token: Token) -> None:
        self._be_silent()
        self._thinks = token.thinking
        if not token.thinking:
            self._said.append(token.text)
        raw = self._raw.write(token.text, thinking=token.thinking)
        self._text.append(raw)
        events: list[Event] = []
        if self._message.emit_raw_deltas is True:
            events.append(RawDelta(self._next_seq(), raw))
        if self._message.capture_thinking is not True:
            content = self._content.write(token.text, thinking=token.thinking)
            if content:
                events.append(ContentDelta(self._next_seq(), content))
        elif token.text:
            events.append((ThinkingDelta if token.thinking else ContentDelta)(self._next_seq(), token.text))
        await self._send_events(events)

    async def _send_call(self, event: ToolCall | ToolError) -> None:
        self._be_silent()
        self._called = True
        events: list[Event] = []
        if event.raw:
            self._text.append(event.raw)  # a JavaScript consumer sends it back, for the model to see its own call
            if self._message.emit_raw_deltas is True:
                events.append(RawDelta(self._next_seq(), event.raw))
        await self._send_events([*events, wire_event(self._next_seq(), event)])

    async def _send_events(self, events: list[Event]) -> None:
        if not self._message.stream:
            self._kept += events
        elif events:
            await self._write(CompletionLine(events=events))

    async def _send_end(self, result: _Result) -> None:
        """The last line; nothing when nobody is there to read it."""
        if self._live.ending is Ending.DISCONNECTED:
            return
        events = self._kept
        if result.stats is not None:
            in_session = self._message.kv_cache not in (UNSET, False)
            events.append(CompletionStats(self._next_seq(), wire_stats(result.stats, in_session=in_session)))
        raw = RawOutput("".join(self._text))
        reason = StopReason.CANCELLED if self._live.ending is not None else result.stop_reason
        events.append(CompletionDone(self._next_seq(), stop_reason=reason.value if reason else UNSET, raw=raw))
        await self._write(CompletionLine(events=events, done=True))

    async def _send_error(self, error: QvacError) -> None:
        try:
            await self._write(error_reply(error))
        except (StreamGone, ConnectionClosed):
            return  # the outcome is in the log; there is nobody to tell

    async def _write(self, message: WireMessage) -> None:
        try:
            async with asyncio.timeout(self._parts.limits.stall_seconds):
                await self._stream.write(_line(message))
        except TimeoutError:
            seconds = self._parts.limits.stall_seconds
            self._live.stop(Ending.DISCONNECTED, f"The guest took nothing of its answer for {seconds:.0f} seconds.")
            self._parts.drop()
            raise ConnectionClosed("the consumer does not take its answer", name="ETIMEDOUT") from None


def _together(before: EngineStats | None, after: EngineStats | None) -> EngineStats | None:
    """Of an answer that was made in two parts: the second began with the text of the first."""
    if before is None or after is None:
        return after or before
    return replace(
        after,
        time_to_first_token=before.time_to_first_token,
        prompt_tokens=before.prompt_tokens,
        generated_tokens=before.generated_tokens + after.generated_tokens,
    )


def _asked(message: CompletionStream) -> str:
    """What its guest wrote last; what came before was kept with the requests before."""
    return next((part.content for part in reversed(message.history) if part.role == "user"), "")


def _line(message: WireMessage) -> bytes:
    return encode(message) + b"\n"


def _finite(value: float) -> float | UnsetType:
    """NaN and infinity have no JSON: the field is optional, so it is left out."""
    return value if math.isfinite(value) else UNSET


def wire_stats(stats: EngineStats, *, in_session: bool) -> Stats:
    """For the wire. In a session 0.16 counts as prompt what was new, and as cache all that the session holds now."""
    prompt_tokens = stats.prompt_tokens - stats.session_tokens
    return Stats(
        time_to_first_token=_finite(stats.time_to_first_token),
        tokens_per_second=_finite(stats.tokens_per_second),
        cache_tokens=stats.prompt_tokens + stats.generated_tokens if in_session else stats.cache_tokens,
        prompt_tokens=prompt_tokens,
        generated_tokens=stats.generated_tokens,
        avg_concurrent_seq=_finite(stats.avg_concurrent_seq),
        backend_device="cpu" if stats.backend_device == "cpu" else "gpu",
    )
