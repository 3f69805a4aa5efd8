"""Recordings of this person as transcripts in a conversation: made, stopped, kept; what is done is never lost.

A transcript belongs to this object and not to a screen, as an answer does (`chats`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from qvac_core.core import transcript
from qvac_core.core.answer_keeper import AnswerKeeper
from qvac_core.core.answering import WAIT_SECONDS, WENT_AWAY
from qvac_core.core.error_text import describe, mistaken
from qvac_core.core.event_hub import EventHub
from qvac_core.core.heard_elsewhere import TakenOver
from qvac_core.core.state import (
    TRANSCRIPT,
    AnswerFinished,
    AnswerStarted,
    AnswerStats,
    AnswerTokens,
    ConversationsChanged,
    CoreEvent,
    Message,
    ProvidersChanged,
    Target,
    TranscriptProgress,
)
from qvac_core.engines.speech import Finished, Progress, Segment, SpeechEnd, TranscriptionEvent
from qvac_core.errors import ModelError, QvacError, StoreError
from qvac_core.store.conversations import new_id
from qvac_core.store.store import Store
from qvac_core.tasks import TaskOwner

KEEP_EVERY = 1.0
"""Seconds between two writes of a growing transcript: a power cut costs at most so much of it."""
TITLE = "Transcript: {}"
GOES_ON = "The transcript goes on by itself when it is back, as long as QVAC Desktop runs."


class Transcribe(Protocol):
    def __call__(
        self, path: Path, listener: Target, language: str, *, others: Sequence[Target], start_ms: int, segments: int
    ) -> AsyncGenerator[TranscriptionEvent | TakenOver, None]:
        """Closing the iterator cancels. others: who else of its conversation may go on. start_ms, segments: what is
        there of it already. Raises QvacError."""


Who = Callable[[Target], Awaitable[AnswerStats]]
"""Who listens, and by which path."""


@dataclass(slots=True)
class _Running:
    conversation_id: str
    message: Message
    others: Sequence[Target] = ()
    task: asyncio.Task[None] | None = None
    kept_at: float = 0.0
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A transcript whose listener went away. until: a monotonic time."""

    conversation_id: str
    provider_key: str
    until: float


class Transcripts:
    """Transcripts by the id of their message; each part that is heard is kept before the next one begins.

    transcribe: how a file is heard from a time on. who: whom the line below a transcript names. What goes wrong stands
    in the message and is not raised; StoreError where the conversation is not there.
    """

    def __init__(self, store: Store, events: EventHub, transcribe: Transcribe, who: Who) -> None:
        self._store = store
        self._run = store.database.run
        self._events = events
        self._transcribe = transcribe
        self._who = who
        self._tasks = TaskOwner()
        self._running: dict[str, _Running] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._keeper = AnswerKeeper(
            lambda message: self._run(store.conversations.update, message), lambda notice: events.emit(notice)
        )
        events.subscribe(self._on_event)

    async def close(self) -> None:
        """Stop every transcript; what is done is kept as stopped."""
        await self._tasks.close()
        await self._keeper.close()

    async def start(self, conversation_id: str, path: Path, listener: Target, language: str) -> str:
        """Begin; returns the message's id at once. ModelError for what is no file; the rest fails the message."""
        size, place = await asyncio.to_thread(lambda: (_size(path), str(path.absolute())))
        conversation = await self._run(self._store.conversations.get, conversation_id)
        text = transcript.begin(path.name, size, place, language)
        stats = await self._who(listener)
        message = Message(new_id(), TRANSCRIPT, text, time.time(), "streaming", stats=stats)
        await self._run(self._store.conversations.append, conversation_id, message, time.time())
        if not conversation.title:
            await self._run(self._store.conversations.rename, conversation_id, TITLE.format(path.stem))
        self._events.emit(ConversationsChanged(await self._run(self._store.conversations.list)))
        self._begin(_Running(conversation_id, message, conversation.others), path, listener, language)
        return message.id

    async def go_on(self, conversation_id: str, message_id: str) -> None:
        """With a transcript that was stopped or broke off, behind what is there of it, by whom it was made last.

        Raises StoreError for one that is not there, ModelError where its recording is not.
        """
        if message_id in self._running:
            return
        conversation = await self._run(self._store.conversations.get, conversation_id)
        messages = await self._run(self._store.conversations.messages, conversation_id)
        kept = next((self.newest(each) for each in messages if each.id == message_id), None)
        if kept is None or kept.role != TRANSCRIPT:
            raise StoreError("This transcript does not exist any more.", name="NO_TRANSCRIPT")
        begun = transcript.read(kept.text)
        if begun.whole:
            return
        path = Path(begun.path)
        if not begun.path or await asyncio.to_thread(_size, path) != begun.size_bytes:
            raise ModelError(
                f"The recording {begun.file} is not where it was, or is another one now. Transcribe it anew.",
                name="FILE_UNREADABLE",
            )
        by = kept.stats
        listener = Target(by.provider_key, by.model) if by is not None else Target()
        message = replace(kept, status="streaming", error=None)
        if message_id not in self._running:  # both windows asked
            self._begin(_Running(conversation_id, message, conversation.others), path, listener, begun.asked)

    def _begin(self, running: _Running, path: Path, listener: Target, language: str) -> None:
        running.kept_at = time.monotonic()
        self._waiting.pop(running.message.id, None)
        self._running[running.message.id] = running
        self._events.emit(AnswerStarted(running.conversation_id, running.message))
        listening = self._listen(running, path, listener, language)
        running.task = self._tasks.start(listening, f"transcript {running.message.id}")

    async def stop(self, message_id: str) -> None:
        """What is done stays. One that has ended already is fine."""
        running = self._running.get(message_id)
        if running is not None and running.task is not None:
            running.stopped = True
            await self._tasks.end(running.task)

    async def stop_all_of(self, conversation_id: str) -> None:
        for running in list(self._running.values()):
            if running.conversation_id == conversation_id:
                await self.stop(running.message.id)

    def newest(self, message: Message) -> Message:
        """A message as read from the disk, or what it has become since."""
        running = self._running.get(message.id)
        return running.message if running is not None else self._keeper.newest(message)

    async def _listen(self, running: _Running, path: Path, listener: Target, language: str) -> None:
        begun = transcript.read(running.message.text)
        told = max((line.end_ms for line in begun.lines), default=0)
        try:
            events = self._transcribe(
                path, listener, language, others=running.others, start_ms=told, segments=len(begun.lines)
            )
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, TakenOver):
                        await self._hand_over(running, event)
                    else:
                        self._take(running, event)
            if running.message.status == "streaming":
                running.message = replace(running.message, status="done")
        except asyncio.CancelledError:
            running.message = replace(running.message, status="stopped")
            raise
        except QvacError as error:
            running.message = replace(running.message, status="failed", error=describe(error))
            self._wait(running, error)
        except Exception as error:
            # A mistake of ours: without an end it would be transcribed for ever.
            running.message = replace(running.message, status="failed", error=mistaken(error))
            raise
        finally:
            self._running.pop(running.message.id, None)
            self._keeper.keep(running.message)
            self._events.emit(AnswerFinished(running.conversation_id, running.message))

    def _wait(self, running: _Running, error: QvacError) -> None:
        """Nobody else can go on: it does when the one that went away is back."""
        message = running.message
        key = message.stats.provider_key if message.stats is not None else ""
        if error.name in WENT_AWAY and key and message.error is not None:
            self._waiting[message.id] = _Waiting(running.conversation_id, key, time.monotonic() + WAIT_SECONDS)
            running.message = replace(message, error=replace(message.error, message=GOES_ON))

    def _on_event(self, event: CoreEvent) -> None:
        if not isinstance(event, ProvidersChanged) or not self._waiting:
            return
        online = {entry.public_key for entry in event.providers if entry.state == "online"}
        for message_id, waiting in list(self._waiting.items()):
            if waiting.until < time.monotonic() or waiting.provider_key in online:
                del self._waiting[message_id]
                if waiting.until >= time.monotonic():
                    self._tasks.start(self._is_back(waiting.conversation_id, message_id), "a transcript that waited")

    async def _is_back(self, conversation_id: str, message_id: str) -> None:
        with contextlib.suppress(QvacError):  # it was deleted, or its recording moved: what is there stays as it is
            await self.go_on(conversation_id, message_id)

    async def _hand_over(self, running: _Running, event: TakenOver) -> None:
        left, by = await self._who(event.of), await self._who(event.by)
        running.message = replace(running.message, stats=by)
        names = (each.who if each.provider_key else "" for each in (left, by))
        self._add(running, transcript.handed_over(event.at_ms, *names))
        self._events.emit(AnswerStarted(running.conversation_id, running.message))

    def _take(self, running: _Running, event: TranscriptionEvent) -> None:
        match event:
            case Segment():
                self._add(running, transcript.piece(event.start_ms, event.end_ms, event.text))
            case Progress():
                self._events.emit(
                    TranscriptProgress(running.message.id, event.done_ms, event.total_ms or 0, event.left_seconds)
                )
            case Finished(stop_reason=SpeechEnd.CANCELLED):
                running.message = replace(running.message, status="stopped")
            case Finished():
                self._add(running, transcript.end(event.language, event.audio_ms, event.notices))

    def _add(self, running: _Running, text: str) -> None:
        running.message = replace(running.message, text=running.message.text + text)
        self._events.emit(AnswerTokens(running.conversation_id, running.message.id, text))
        if time.monotonic() - running.kept_at >= KEEP_EVERY:
            running.kept_at = time.monotonic()
            self._keeper.keep(running.message)


def _size(path: Path) -> int:
    try:
        if path.is_file():
            return path.stat().st_size
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error.strerror}.", name="FILE_UNREADABLE") from error
    raise ModelError(f"There is no file {path.name} any more.", name="FILE_UNREADABLE")
