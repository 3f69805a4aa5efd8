"""The conversations of this person: asking, streaming, stopping, going on elsewhere, and keeping all of it.

An answer belongs to this object and not to a screen: a closed tab ends nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from qvac_core.core.answer_keeper import AnswerKeeper
from qvac_core.core.answering import (
    WAIT_SECONDS,
    WENT_AWAY,
    LocalResponder,
    Question,
    RemoteResponder,
    chat_history,
)
from qvac_core.core.asking import AnswerRun, Asking, ended, so_far_of
from qvac_core.core.error_text import describe, mistaken, why_left
from qvac_core.core.event_hub import EventHub
from qvac_core.core.seams import can_go_on, start_of
from qvac_core.core.state import (
    TRANSCRIPT,
    AnswerFinished,
    AnswerStarted,
    Conversation,
    ConversationsChanged,
    CoreEvent,
    Draft,
    Hit,
    Message,
    PathChanged,
    Picture,
    ProvidersChanged,
    Target,
)
from qvac_core.core.tool_rounds import NO_TOOLS, ToolRounds
from qvac_core.core.tool_turns import turns_of
from qvac_core.delegation.picture_upload import read_pictures
from qvac_core.engines.interface import ChatMessage
from qvac_core.engines.pictures import PictureRoom, inspect
from qvac_core.errors import QvacError, StoreError
from qvac_core.store.conversations import new_id
from qvac_core.store.message_search import MessageSearch
from qvac_core.store.store import Store
from qvac_core.tasks import TaskOwner

TITLE_LETTERS = 48
# A streaming answer reaches the disk this often (seconds): a power cut costs at most this much of it.
KEEP_EVERY = 1.0
GOES_ON = "The answer goes on by itself when it is back, as long as QVAC Desktop runs."
ASKED_AGAIN = "Your question is asked again by itself when it is back, as long as QVAC Desktop runs."


@dataclass(slots=True)
class _Streaming:
    run: AnswerRun
    task: asyncio.Task[None] | None = None
    kept_at: float = 0.0

    @property
    def message(self) -> Message:
        return self.run.message

    @property
    def conversation(self) -> Conversation:
        return self.run.conversation


@dataclass(frozen=True, slots=True)
class _Waiting:
    """until: in seconds of time.monotonic."""

    message_id: str
    keys: frozenset[str]
    until: float


class Chats:
    """Conversations by id; an answer is a message that grows, told by events. `close` keeps what came as stopped.

    remote, local: who answers. tools: what answers may call. StoreError where a conversation or message is not there,
    or is still being answered (name BUSY); what goes wrong with an answer stands in its message and is not raised.
    """

    def __init__(
        self,
        store: Store,
        events: EventHub,
        remote: RemoteResponder,
        local: LocalResponder,
        tools: ToolRounds = NO_TOOLS,
    ) -> None:
        self._store = store
        self._run = store.database.run
        self._search = MessageSearch(store.database)
        self._events = events
        self._remote = remote
        self.asking = Asking(remote, local, lambda: store.settings.settings.chat, tools)
        self._tasks = TaskOwner()
        self._streaming: dict[str, _Streaming] = {}
        self._keeping_pictures = asyncio.Lock()  # between a picture and the message that names it nobody clears up
        self._waiting: dict[str, _Waiting] = {}  # by conversation: its last answer broke off, and nobody was left
        self._unsubscribe = events.subscribe(self._on_event)
        self._begun: set[str] = set()  # conversations whose next answer is not streaming yet
        self._keeper = AnswerKeeper(
            lambda message: self._run(store.conversations.update, message), lambda notice: events.emit(notice)
        )

    async def close(self) -> None:
        """Stop every answer; what was streamed so far is kept as stopped."""
        self._unsubscribe()
        await self._tasks.close()
        await self.asking.close()
        await self._keeper.close()

    # --- Conversations --------------------------------------------------------------------------------------------

    async def conversations(self) -> tuple[Conversation, ...]:
        return await self._run(self._store.conversations.list)

    async def messages(self, conversation_id: str) -> tuple[Message, ...]:
        """Stored messages; one that streams now is given as far as it has come."""
        stored = await self._run(self._store.conversations.messages, conversation_id)
        return tuple(
            self._streaming[m.id].message if m.id in self._streaming else self._keeper.newest(m) for m in stored
        )

    async def new(self, target: Target) -> Conversation:
        conversation = await self._run(self._store.conversations.create, target, time.time())
        await self.changed()
        return conversation

    async def rename(self, conversation_id: str, title: str) -> None:
        await self._run(self._store.conversations.rename, conversation_id, title.strip())
        await self.changed()

    async def pin(self, conversation_id: str, pinned: bool) -> None:
        await self._run(self._store.conversations.pin, conversation_id, pinned)
        await self.changed()

    async def delete(self, conversation_id: str) -> None:
        for streaming in list(self._streaming.values()):
            if streaming.conversation.id == conversation_id:
                await self.stop(streaming.message.id)
        await self._run(self._store.conversations.delete, conversation_id)
        async with self._keeping_pictures:
            await self._run(self._forget_pictures)
        await self.changed()

    def _forget_pictures(self) -> None:
        self._store.pictures.forget_all_but(self._store.conversations.pictures())

    def picture_file(self, sha256: str) -> Path:
        """Where the picture of a message lies."""
        return self._store.pictures.path(sha256)

    async def set_target(self, conversation_id: str, target: Target) -> None:
        await self._run(self._store.conversations.set_target, conversation_id, target)
        await self.changed()

    async def drafts(self) -> dict[str, Draft]:
        return await self._run(self._store.conversations.drafts)

    async def keep_draft(self, conversation_id: str, draft: Draft) -> None:
        await self._run(self._store.conversations.keep_draft, conversation_id, draft)

    # --- Answers --------------------------------------------------------------------------------------------------

    async def ask(self, conversation_id: str, text: str, pictures: Sequence[Path] = ()) -> str:
        """Append the user's message, start the answer, return the answer's message id at once.

        pictures: files of this machine, which are kept. Raises LocalProtocolError for one that cannot be read,
        ModelError for what is no picture.
        """
        with self._beginning(conversation_id):
            conversation = await self._run(self._store.conversations.get, conversation_id)
            files = await read_pictures(pictures)
            async with self._keeping_pictures:
                shown = await self._keep_pictures(pictures, files)
                question = Message(new_id(), "user", text, time.time(), pictures=shown)
                await self._run(self._store.conversations.append, conversation_id, question, time.time())
            if not conversation.title:
                await self._run(self._store.conversations.rename, conversation_id, _title(text or _names(shown)))
            await self.changed()
            return await self._start_answer(conversation)

    async def edit(self, conversation_id: str, message_id: str, text: str) -> str:
        """Ask a question of this conversation anew, in other words: one more branch in its place, with its pictures.

        What stood behind it is kept. Returns the answer's id at once. Raises StoreError.
        """
        with self._beginning(conversation_id):
            conversation = await self._run(self._store.conversations.get, conversation_id)
            old = await self._run(self._store.conversations.message, conversation_id, message_id)
            if old.role != "user":
                raise StoreError("Only your own messages can be edited.")
            before = await self._run(self._store.conversations.parent, conversation_id, message_id)
            question = Message(new_id(), "user", text, time.time(), pictures=old.pictures)
            append = self._store.conversations.append
            await self._run(append, conversation_id, question, time.time(), after=before)
            await self.changed()
            return await self._start_answer(conversation)

    async def show_branch(self, conversation_id: str, message_id: str) -> None:
        """Another of the messages that stand in one place, with what was last shown behind it. Raises StoreError."""
        with self._beginning(conversation_id):  # what streams stays in view
            await self._run(self._store.conversations.show, conversation_id, message_id)
        self._events.emit(PathChanged(conversation_id, await self.messages(conversation_id)))

    async def show_message(self, conversation_id: str, message_id: str) -> None:
        """The branch on which a message is. Raises StoreError."""
        with self._beginning(conversation_id):
            await self._run(self._store.conversations.show_to, conversation_id, message_id)
        self._events.emit(PathChanged(conversation_id, await self.messages(conversation_id)))

    async def hits(self, text: str) -> tuple[Hit, ...]:
        """Where a text is found, one of each conversation."""
        return await self._run(self._search.hits, text)

    async def _keep_pictures(self, files: Sequence[Path], read: Sequence[bytes]) -> tuple[Picture, ...]:
        kept: list[Picture] = []
        for file, data in zip(files, read, strict=True):
            sha256 = await self._run(self._store.pictures.keep, data)
            kept.append(Picture(sha256, inspect(data).media_type, file.name))
        return tuple(kept)

    async def retry(self, conversation_id: str, message_id: str = "") -> str:
        """Answer a question again, beside its answer so far; the last one when no answer is named by its id.

        An answer without a word goes. One that broke off in the middle, the last of all, goes on. Raises StoreError.
        """
        with self._beginning(conversation_id):
            conversation = await self._run(self._store.conversations.get, conversation_id)
            path = await self.messages(conversation_id)
            turns = [m for m in path if m.role != TRANSCRIPT]
            if turns and not message_id and _broke_off(turns[-1]):
                return await self._go_on(conversation, turns[-1], turns[:-1])
            until = next((at for at, m in enumerate(path) if m.id == message_id), len(path) - 1)
            asked = next((at for at in range(until, -1, -1) if path[at].role == "user"), None)
            if asked is None:
                raise StoreError("There is no message to answer in this conversation.")
            return await self._answer_again(conversation, path, asked)

    async def _answer_again(self, conversation: Conversation, path: Sequence[Message], asked: int) -> str:
        """The question at that place of the path."""
        end = next((at for at in range(asked + 1, len(path)) if path[at].role == "user"), len(path))
        answered = next((at for at in range(asked + 1, end) if path[at].role == "assistant"), None)
        if answered is None:
            return await self._start_answer(conversation, after=path[end - 1].id if end < len(path) else None)
        before = path[answered - 1].id
        heard = path[answered + 1 :] if end == len(path) else ()
        if heard:
            # Recordings that were transcribed since stay in view: they stand before the answers from now on.
            hang = self._store.conversations.hang
            await self._run(hang, conversation.id, heard[0].id, before)
            await self._run(hang, conversation.id, path[answered].id, heard[-1].id)
            before = heard[-1].id
        old = path[answered]
        drop = () if old.text or old.thinking or old.tools else (old.id,)
        return await self._start_answer(conversation, after=before, drop=drop)

    async def continue_answer(self, conversation_id: str) -> str:
        """The last answer, which was stopped or cut, goes on from its last word where who answers can do that.

        Else it is answered anew below a seam. Returns its id. Raises StoreError where there is nothing to go on with.
        """
        with self._beginning(conversation_id):
            conversation = await self._run(self._store.conversations.get, conversation_id)
            turns = [m for m in await self.messages(conversation_id) if m.role != TRANSCRIPT]
            if not turns or not can_go_on(turns[-1]):
                raise StoreError("The last answer of this conversation is whole.")
            return await self._go_on(conversation, turns[-1], turns[:-1])

    async def continue_here(self, message_id: str) -> None:
        """Do not wait for the provider any more: this machine goes on. Raises ModelError when it has no model."""
        streaming = self._streaming.get(message_id)
        if streaming is not None:
            await self.asking.continue_here(streaming.run)

    async def stop(self, message_id: str) -> None:
        """Cancel an answer and wait until it has ended; one that has ended already is fine."""
        streaming = self._streaming.get(message_id)
        if streaming is None or streaming.task is None:
            return
        streaming.run.stopped = True
        await self._tasks.end(streaming.task)

    @contextlib.contextmanager
    def _beginning(self, conversation_id: str) -> Iterator[None]:
        """While the disk is written for a new answer: another one would be asked beside it. Raises StoreError BUSY."""
        answered = (streaming.conversation.id for streaming in self._streaming.values())
        if conversation_id in (*answered, *self._begun):
            raise StoreError("This conversation is still being answered. Stop that answer first.", name="BUSY")
        self._begun.add(conversation_id)
        try:
            yield
        finally:
            self._begun.discard(conversation_id)

    async def _start_answer(
        self, conversation: Conversation, *, after: str | None = None, drop: Sequence[str] = ()
    ) -> str:
        """Behind the path that is shown, or behind that message; `drop` goes. See Conversations.append."""
        answer = Message(new_id(), "assistant", "", time.time(), status="streaming")
        append = self._store.conversations.append
        await self._run(append, conversation.id, answer, time.time(), after=after, drop=drop)
        path = await self.messages(conversation.id)
        self._events.emit(PathChanged(conversation.id, path))
        answer = next(message for message in path if message.id == answer.id)
        earlier = path[: path.index(answer)]
        history = _history(earlier, await self._shown(earlier))
        streaming = self._stream_into(conversation, answer)
        self._run_answer(
            streaming, Question(answer.id, conversation.target, history, parameters=conversation.parameters)
        )
        return answer.id

    async def _go_on(self, conversation: Conversation, half: Message, earlier: Sequence[Message]) -> str:
        """Nothing of an answer that broke off is thrown away: it is continued, or answered anew below a seam."""
        answer = replace(half, status="streaming", error=None, stats=None)
        streaming = self._stream_into(conversation, answer)
        target = conversation.target
        name = self._remote.name_of(target.provider_key) if target.provider_key else ""
        left = why_left(half.error, name) if half.error is not None else ""
        if half.error is None:
            streaming.run.wished = name or "This machine"
        elif name:
            streaming.run.asked = f"{left} {name}".lstrip()
            self.asking.seam(streaming.run, f"{streaming.run.asked} is asked to go on.")
        else:
            await self.asking.go_on_here(streaming.run, left)
            answer = streaming.message
        history = _history(earlier, await self._shown(earlier))
        so_far, parameters = so_far_of(answer), conversation.parameters
        self._run_answer(
            streaming, Question(answer.id, target, history, so_far, answer.model_sha256, parameters=parameters)
        )
        return answer.id

    async def _shown(self, messages: Sequence[Message]) -> dict[str, tuple[bytes, ...]]:
        """The pictures by message: the newest, as a conversation may have more than a model is shown at a time."""
        room = PictureRoom()
        shown: dict[str, tuple[bytes, ...]] = {}
        for message in reversed([message for message in messages if message.pictures]):
            read = [await self._run(self._store.pictures.read, picture.sha256) for picture in message.pictures]
            shown[message.id] = room.newest(read)
        return shown

    def _stream_into(self, conversation: Conversation, answer: Message) -> _Streaming:
        run = AnswerRun(conversation, answer, self._events.emit)
        streaming = _Streaming(run, kept_at=time.monotonic())
        run.keep = lambda message, at_once: self._keep(streaming, at_once=at_once)
        self._streaming[answer.id] = streaming
        self._events.emit(AnswerStarted(conversation.id, answer))
        return streaming

    def _run_answer(self, streaming: _Streaming, question: Question) -> None:
        streaming.task = self._tasks.start(self._answer(streaming, question), f"answer {question.answer_id}")

    async def _answer(self, streaming: _Streaming, question: Question) -> None:
        run = streaming.run
        try:
            await self.asking.answer(run, question)
            run.message = replace(run.message, status="done")
        except asyncio.CancelledError:
            run.message = replace(run.message, status="stopped")
            raise
        except QvacError as error:
            run.message = replace(run.message, status="failed", error=describe(error))
            self._wait_for_somebody(streaming, error)
        except Exception as error:
            # A mistake of ours: without an end the conversation would be answered for ever.
            run.message = replace(run.message, status="failed", error=mistaken(error))
            raise
        finally:
            self._finish(streaming)

    def _wait_for_somebody(self, streaming: _Streaming, error: QvacError) -> None:
        """It broke off because a provider went away: it goes on when one of the conversation is back."""
        conversation = streaming.conversation
        self._waiting.pop(conversation.id, None)
        keys = {target.provider_key for target in (conversation.target, *conversation.others)} - {""}
        if error.name not in WENT_AWAY or not (keys := {key for key in keys if self._remote.look_for(key)}):
            return
        message = streaming.message
        self._waiting[conversation.id] = _Waiting(message.id, frozenset(keys), time.monotonic() + WAIT_SECONDS)
        if message.error is not None:
            says = GOES_ON if message.text else ASKED_AGAIN
            streaming.run.message = replace(message, error=replace(message.error, message=says))

    def _on_event(self, event: CoreEvent) -> None:
        if not isinstance(event, ProvidersChanged) or not self._waiting:
            return
        online = {entry.public_key for entry in event.providers if entry.state == "online"}
        for conversation_id, waiting in list(self._waiting.items()):
            if waiting.until < time.monotonic():
                del self._waiting[conversation_id]
            elif waiting.keys & online:
                del self._waiting[conversation_id]
                self._tasks.start(self._somebody_is_back(conversation_id, waiting), "an answer that waited")

    async def _somebody_is_back(self, conversation_id: str, waiting: _Waiting) -> None:
        turns = [m for m in await self.messages(conversation_id) if m.role != TRANSCRIPT]
        if turns and turns[-1].id == waiting.message_id and turns[-1].status == "failed":
            with contextlib.suppress(StoreError):  # the person was quicker
                await self.retry(conversation_id)

    def _keep(self, streaming: _Streaming, *, at_once: bool) -> None:
        if at_once or time.monotonic() - streaming.kept_at >= KEEP_EVERY:
            streaming.kept_at = time.monotonic()
            self._keeper.keep(streaming.message)

    def _finish(self, streaming: _Streaming) -> None:
        self._streaming.pop(streaming.message.id, None)
        streaming.run.message = ended(streaming.run)
        self._keeper.keep(streaming.message)
        self._events.emit(AnswerFinished(streaming.conversation.id, streaming.message))

    async def changed(self) -> None:
        """Tell what there is now."""
        self._events.emit(ConversationsChanged(await self.conversations()))


def _broke_off(message: Message) -> bool:
    """In the middle: some of it is there. One that a person stopped was not wanted any more."""
    return message.role == "assistant" and message.status == "failed" and bool(message.text or message.tools)


_NONE: Mapping[str, tuple[bytes, ...]] = MappingProxyType({})


def _history(messages: Sequence[Message], shown: Mapping[str, tuple[bytes, ...]] = _NONE) -> tuple[ChatMessage, ...]:
    """Without transcripts: one is as long as it is, and goes along where a person puts it beside a question.

    shown: pictures by message.
    """
    turns: list[ChatMessage] = []
    for message in messages:
        if message.role == "user":
            turns.append(ChatMessage(message.role, message.text, shown.get(message.id, ())))
        elif message.role != TRANSCRIPT:
            rounds, rest = turns_of(message.text, message.tools, start_of(message.seams))
            turns += [*rounds, ChatMessage(message.role, rest)]
    return chat_history(turns)


def _names(pictures: Sequence[Picture]) -> str:
    return ", ".join(picture.name for picture in pictures)


def _title(text: str) -> str:
    """The first line of the first message, cut at a word."""
    line = text.strip().splitlines()[0] if text.strip() else "New conversation"
    if len(line) <= TITLE_LETTERS:
        return line
    return line[:TITLE_LETTERS].rsplit(" ", 1)[0].rstrip(",;:") + " …"
