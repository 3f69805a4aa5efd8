"""One translation as its caller sees it, here or at a provider: text as it comes, statistics, and ways to stop it.

The surfaces of the SDK's translate() (`token_stream`, `text`, `stats`), where the text is there in both modes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType

import msgspec
from msgspec import UnsetType

from qvac_core.delegation.connection import ProviderConnection, timed_out
from qvac_core.delegation.failures import Code
from qvac_core.delegation.later import Later
from qvac_core.delegation.messages import QueueLine, Translate, TranslateLine, TranslateStats
from qvac_core.errors import DelegationError, InferenceCancelled, ProviderError, QvacError, RemoteProtocolError

logger = logging.getLogger(__name__)

# Leaving early: for the end, after the reply to the cancel.
END_SECONDS = 3.0
# Of one translation that is kept, in bytes: many times the longest text that may be asked for.
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class UpTo:
    """What came before it is the translation of so many characters of the text: somebody else can go on from there."""

    characters: int


@dataclass(frozen=True, slots=True)
class TranslationFinal:
    """The whole translation. stop_reason: "length" where it was cut, else "".

    translations: one for each text, as in the SDK; of several, `text` is all of them with line breaks between.
    """

    text: str
    stats: TranslateStats | None
    stop_reason: str
    translations: tuple[str, ...] = ()


class TranslationRun:
    """Starts at once. Every iterator sees it from its start. `async with` ends it when it is left early.

    lines: its text, and at the end its last line. stop: asks whoever works on it to stop; how many it stopped.
    connection: the one that it comes over, None on this machine.
    """

    def __init__(
        self,
        request_id: str,
        lines: AsyncGenerator[TranslateLine, None],
        stop: Callable[[], Awaitable[int]],
        connection: ProviderConnection | None = None,
        *,
        several: bool = False,
    ) -> None:
        """several: of a list of texts, each line is the translation of one."""
        self.request_id = request_id
        self.connection = connection
        self._lines = lines
        self._several = several
        self._stop = stop
        self._tokens: list[str] = []
        self._marks: dict[int, int] = {}  # behind so many tokens: characters of the text
        self._bytes = 0
        self._stopping = 0  # cancels that are not answered yet
        self._stopped = False
        self._last_line: TranslateLine | None = None
        self._changed = asyncio.Event()
        self._final: asyncio.Future[TranslationFinal] = asyncio.get_running_loop().create_future()
        self._final.add_done_callback(lambda future: future.cancelled() or future.exception())
        self.task = asyncio.get_running_loop().create_task(self._pump())
        self.task.add_done_callback(lambda _: self._left())  # also where it was cancelled before its first step

    async def __aenter__(self) -> TranslationRun:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    @property
    def finished(self) -> bool:
        return self._final.done()

    @property
    def text_so_far(self) -> str:
        return ("\n" if self._several else "").join(self._tokens)

    @property
    def token_stream(self) -> AsyncIterator[str]:
        """The text as it comes. Raises what ended it, unless that was its end or a cancel."""
        return self._iterate()

    async def marked(self) -> AsyncGenerator[str | UpTo, None]:
        """The text as it comes, with how far it is where its provider says so. Raises as `token_stream`."""
        index = 0
        async for token in self._iterate():
            index += 1
            yield token
            if index in self._marks:
                yield UpTo(self._marks[index])

    @property
    def final(self) -> Awaitable[TranslationFinal]:
        return Later(self._whole)

    @property
    def text(self) -> Awaitable[str]:
        return Later(self._text)

    @property
    def translations(self) -> Awaitable[tuple[str, ...]]:
        """One for each text."""
        return Later(self._translations)

    @property
    def stats(self) -> Awaitable[TranslateStats | None]:
        return Later(self._stats)

    async def cancel(self) -> int:
        """Stop it; how many were stopped (0: it had ended). What waits for its end gets InferenceCancelled."""
        if self.finished:
            return 0
        self._stopping += 1
        try:
            stopped = await self._stop()
            self._stopped = self._stopped or stopped > 0
        finally:
            self._stopping -= 1
            self._end()
        return stopped

    async def leave(self, *, closing: bool = False) -> None:
        """End it whatever its state, in a way that a JavaScript provider survives. Bounded."""
        if not self.finished and self.connection is not None and self.connection.gone:
            self.connection.leave_request(self.request_id)  # it hears of it when it is there again
        elif not self.finished:
            try:
                await self.cancel()
                await asyncio.wait({self._final}, timeout=END_SECONDS)
            except QvacError as error:
                logger.debug("a cancel was not answered: %s", error)
        self.task.cancel()
        await asyncio.wait({self.task})

    async def _iterate(self) -> AsyncIterator[str]:
        index = 0
        while True:
            while index < len(self._tokens):
                yield self._tokens[index]
                index += 1
            if self.finished:
                error = self._final.exception()
                if error is not None and not isinstance(error, InferenceCancelled):
                    raise error
                return
            await self._changed.wait()

    async def _whole(self) -> TranslationFinal:
        return await asyncio.shield(self._final)

    async def _text(self) -> str:
        return (await self._whole()).text

    async def _translations(self) -> tuple[str, ...]:
        return (await self._whole()).translations

    async def _stats(self) -> TranslateStats | None:
        return (await self._whole()).stats

    async def _pump(self) -> None:
        try:
            async with aclosing(self._lines) as lines:
                async for line in lines:
                    self._take(line)
        except QvacError as error:
            stopped = self._stopped or error.code == Code.INFERENCE_CANCELLED.value
            self._fail(self._cancelled() if stopped else error)

    def _take(self, line: TranslateLine) -> None:
        if self.finished:
            return
        if isinstance(line.error, str):
            raise ProviderError(line.error, name=Code.TRANSLATION_FAILED.name, code=Code.TRANSLATION_FAILED.value)
        if line.token or (self._several and line.done is not True):
            self._tokens.append(line.token)
            self._bytes += len(line.token)
            if not isinstance(line.source_done, UnsetType) and not self._several:
                self._marks[len(self._tokens)] = int(line.source_done)
        if self._bytes > MAX_BYTES:
            raise RemoteProtocolError("the provider sends a translation without end")
        if line.done is True:
            self._last_line = line
            self._end()
        self._wake()

    def _end(self) -> None:
        """A JavaScript provider ends what was cancelled as if it were through: the reply to the cancel tells it."""
        line = self._last_line
        if line is None or self._stopping or self.finished:
            return
        if self._stopped:
            self._fail(self._cancelled())
            return
        stats = line.stats if isinstance(line.stats, TranslateStats) else None
        reason = line.stop_reason if isinstance(line.stop_reason, str) else ""
        text = self.text_so_far
        translations = tuple(self._tokens) if self._several else (text,)
        self._final.set_result(TranslationFinal(text, stats, reason, translations))
        self._wake()

    def _left(self) -> None:
        if self._last_line is None or not self._stopping:
            self._fail(InferenceCancelled("The translation was left before its end."))

    def _cancelled(self) -> InferenceCancelled:
        return InferenceCancelled("The translation was cancelled.", typed_fields={"text": self.text_so_far})

    def _fail(self, error: QvacError) -> None:
        if not self._final.done():
            self._final.set_exception(error)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class _WithoutRole:
    """0.16 opens no turn for its translation: a ChatML model opens it itself, and its role stands before the text."""

    ROLE = "assistant\n"

    def __init__(self, source: str) -> None:
        self._held: str | None = None if source.lstrip().startswith("assistant") else ""

    def write(self, text: str, *, last: bool) -> str:
        if self._held is None:
            return text
        text = self._held + text
        if self.ROLE.startswith(text) and text != self.ROLE and not last:
            self._held = text
            return ""
        self._held = None
        return text.removeprefix(self.ROLE)


async def lines_from(
    connection: ProviderConnection, message: Translate, idle_seconds: float
) -> AsyncGenerator[TranslateLine, None]:
    """From a provider, to the last one. Raises ProviderError, what a lost connection raises, and for a silence."""
    loop = asyncio.get_running_loop()
    stream = connection.open_stream(message)
    plain = _WithoutRole(message.text if isinstance(message.text, str) else "")
    try:
        async with asyncio.timeout(idle_seconds) as idle:
            async for reply in connection.replies(stream):
                idle.reschedule(loop.time() + idle_seconds)
                if isinstance(reply, TranslateLine):
                    if connection.hello is None:
                        told = plain.write(reply.token, last=reply.done is True)
                        reply = msgspec.structs.replace(reply, token=told)
                    yield reply
                    if reply.done is True:
                        return
                elif not isinstance(reply, QueueLine) and connection.hello is None:
                    raise RemoteProtocolError("the provider sent a line that does not belong to a translation")
    except TimeoutError:
        await connection.stop_request(str(message.request_id))
        raise timed_out(idle_seconds) from None
    finally:
        stream.destroy()
    raise DelegationError(
        "The provider ended the translation without finishing it.",
        name=Code.TRANSLATION_FAILED.name,
        code=Code.TRANSLATION_FAILED.value,
    )
