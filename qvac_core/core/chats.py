"""The conversations of this person: asking, streaming, stopping, going on elsewhere, and keeping all of it.

An answer belongs to this object and not to a screen: a closed tab ends nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from qvac_core.core.ahead import Ahead
from qvac_core.core.answer_keeper import AnswerKeeper
from qvac_core.core.answering import (
    WAIT_SECONDS,
    WENT_AWAY,
    AnswerPart,
    Began,
    Edges,
    LocalResponder,
    Question,
    RemoteResponder,
    Responder,
    Thinking,
    chat_history,
    no_model_here,
    told_apart,
    without_pictures,
)
from qvac_core.core.chat_parameters import longest, response_format
from qvac_core.core.error_text import describe, mistaken, why_left
from qvac_core.core.event_hub import EventHub
from qvac_core.core.hedging import FirstWords, Second, left_behind
from qvac_core.core.seams import ANEW, can_go_on, start_of, with_seam
from qvac_core.core.state import (
    AnswerFinished,
    AnswerSeam,
    AnswerStarted,
    AnswerStats,
    AnswerThinking,
    AnswerTokens,
    AnswerTool,
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
    ToolUse,
)
from qvac_core.core.tasks import TaskOwner
from qvac_core.core.tool_rounds import NO_TOOLS, ToolRounds
from qvac_core.core.tool_turns import is_open, settled, turns_of, with_use
from qvac_core.core.transcript import ROLE as TRANSCRIPT
from qvac_core.delegation.failures import Reason
from qvac_core.delegation.life_signs import stopped_answering
from qvac_core.delegation.picture_upload import read_pictures
from qvac_core.engines.interface import ChatMessage
from qvac_core.engines.pictures import PictureRoom, inspect
from qvac_core.errors import DelegationError, QvacError, StoreError
from qvac_core.store.conversations import new_id
from qvac_core.store.message_search import MessageSearch
from qvac_core.store.store import Store

TITLE_LETTERS = 48
# A streaming answer reaches the disk this often (seconds): a power cut costs at most this much of it.
KEEP_EVERY = 1.0
# How long nothing may come of a provider before who goes on begins the answer anew (seconds).
ANEW_SECONDS = 3.0
GOES_ON = "The answer goes on by itself when it is back, as long as QVAC Desktop runs."
ASKED_AGAIN = "Your question is asked again by itself when it is back, as long as QVAC Desktop runs."
# How long before this machine begins to compute what it may have to say (seconds). A provider that is there is heard
# in less, also while it reads a long prompt.
AHEAD_SECONDS = 0.35
LOOK_SECONDS = 0.05


@dataclass(slots=True)
class _Streaming:
    conversation: Conversation
    message: Message
    task: asyncio.Task[None] | None = None
    kept_at: float = 0.0
    patience: asyncio.Timeout | None = None  # with the provider, while it is asked
    handed_over: bool = False  # a person did not want to wait for it any more
    ahead: Ahead | None = None  # what this machine begins while a provider is silent
    asked_again: bool = False  # the one that lost it, and is there
    is_silent: bool = False  # who is asked now; somebody else goes on
    asked_at: float = 0.0  # of whoever answers now
    first_at: float = 0.0  # their first piece; 0: none yet
    pieces: int = 0  # theirs; a token each, as they send them
    said: int = 0  # pieces of those before them, whose words they continue
    asked: str = ""  # why it broke off and who is asked to go on, until they have begun
    wished: str = ""  # who goes on because a person wants more of it, until they have begun
    target: Target = field(default_factory=Target)  # who is asked now
    stopped: bool = False  # by a person
    blind: bool = False  # whoever answers now is not shown the pictures
    second: Second | None = None  # asked too, as the first word is late
    won: Ahead | None = None  # what that one says, who began first
    beside: tuple[str, float] = ("", 0.0)  # who worked for nothing, and for how long (seconds)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """until: in seconds of time.monotonic."""

    message_id: str
    keys: frozenset[str]
    until: float


class Chats:
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
        self._local = local
        self._tools = tools
        self._tasks = TaskOwner()
        self._streaming: dict[str, _Streaming] = {}
        self._first_words = FirstWords()
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

    async def search(self, text: str) -> tuple[Conversation, ...]:
        return await self._run(self._store.conversations.search, text)

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
        if streaming is None or streaming.patience is None:
            return
        if not await self._local.can_answer():
            raise no_model_here()
        name = self._remote.name_of(streaming.target.provider_key)
        if streaming.patience is not None and not streaming.handed_over:
            streaming.handed_over = True
            streaming.asked = streaming.wished = ""
            await self._go_on_here(streaming, f"Nothing came from {name} any more.")
            # Leaving a provider that answers late takes some seconds, so the seam comes first.
            if streaming.patience is not None:
                streaming.patience.reschedule(asyncio.get_running_loop().time())

    async def stop(self, message_id: str) -> None:
        """Cancel an answer and wait until it has ended; one that has ended already is fine."""
        streaming = self._streaming.get(message_id)
        if streaming is None or streaming.task is None:
            return
        streaming.stopped = True
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
            streaming.wished = name or "This machine"
        elif name:
            streaming.asked = f"{left} {name}".lstrip()
            self._seam(streaming, f"{streaming.asked} is asked to go on.")
        else:
            await self._go_on_here(streaming, left)
            answer = streaming.message
        history = _history(earlier, await self._shown(earlier))
        so_far, parameters = _so_far(answer), conversation.parameters
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
        streaming = _Streaming(conversation, answer, kept_at=time.monotonic())
        self._streaming[answer.id] = streaming
        self._events.emit(AnswerStarted(conversation.id, answer))
        return streaming

    def _run_answer(self, streaming: _Streaming, question: Question) -> None:
        streaming.task = self._tasks.start(self._answer(streaming, question), f"answer {question.answer_id}")

    async def _answer(self, streaming: _Streaming, question: Question) -> None:
        try:
            try:
                await self._answer_somewhere(streaming, question)
            finally:
                if (won := self._taken(streaming)) is not None:  # stopped before it was heard
                    await self._close(won)
                await self._forget_ahead(streaming)
            streaming.message = replace(streaming.message, status="done")
        except asyncio.CancelledError:
            streaming.message = replace(streaming.message, status="stopped")
            raise
        except QvacError as error:
            streaming.message = replace(streaming.message, status="failed", error=describe(error))
            self._wait_for_somebody(streaming, error)
        except Exception as error:
            # A mistake of ours: without an end the conversation would be answered for ever.
            streaming.message = replace(streaming.message, status="failed", error=mistaken(error))
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
            streaming.message = replace(message, error=replace(message.error, message=says))

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

    async def _answer_somewhere(self, streaming: _Streaming, question: Question) -> None:
        """Where the conversation points; if that provider is or goes away, at the next one, from the same point.

        At last on this machine.
        """
        response_format(question.parameters)  # what is no schema is none anywhere
        if not question.target.provider_key:
            await self._stream(self._local, streaming, question)
            return
        waiting = [other for other in streaming.conversation.others if other.provider_key]
        if self._remote.is_away(question.target.provider_key) and (there := self._next_there(waiting)) is not None:
            streaming.asked = f"{self._remote.name_of(question.target.provider_key)} is away."
            question = self._hand_on(streaming, question, there)
        while (target := await self._answer_there(streaming, question, waiting)) is not None:
            if target.provider_key:
                question = self._hand_on(streaming, question, target)
                question = question if streaming.won is None else streaming.won.question
                continue
            await self._answer_here(streaming, question)
            return

    async def _answer_here(self, streaming: _Streaming, question: Question) -> None:
        """What a provider began."""
        if (won := self._taken(streaming)) is not None:
            await self._stream(self._local, streaming, won.question, won)
            return
        here, ahead = self._rest_of(streaming, question, Target()), streaming.ahead
        if ahead is not None and ahead.question == here:
            await self._stream(self._local, streaming, here, ahead)
        else:
            await self._stream(self._local, streaming, here)

    @staticmethod
    def _taken(streaming: _Streaming) -> Ahead | None:
        """What the second one has begun; who asks for it closes it."""
        won, streaming.won = streaming.won, None
        return won

    def _next_there(self, waiting: Sequence[Target]) -> Target | None:
        """The next one that is not known to be away."""
        return next((target for target in waiting if not self._remote.is_away(target.provider_key)), None)

    async def _who_goes_on(self, message: Message, waiting: Sequence[Target]) -> tuple[Target | None, bool]:
        """In the conversation's order, this machine last; but who can continue goes before who answers anew.

        And whether what was said is continued. None: nobody.
        """
        here = self._store.settings.settings.chat.fallback and await self._local.can_answer()
        if _so_far(message):
            present = [target for target in waiting if not self._remote.is_away(target.provider_key)]
            same = next((target for target in present if self._remote.has_model(target, message.model_sha256)), None)
            if same is not None:
                return same, True
            if here and self._local.continues(message.model_sha256):
                return Target(), True
        there = self._next_there(waiting)
        return (Target() if there is None and here else there), not _so_far(message)

    def _hand_on(self, streaming: _Streaming, question: Question, target: Target) -> Question:
        """To another provider; `streaming.asked` says why."""
        streaming.asked = f"{streaming.asked} {self._remote.name_of(target.provider_key)}"
        self._seam(streaming, f"{streaming.asked} is asked {'to go on' if streaming.message.text else 'now'}.")
        return self._rest_of(streaming, question, target)

    def _rest_of(self, streaming: _Streaming, question: Question, target: Target) -> Question:
        """What somebody else is asked: to go on with what was said, and to make it no longer than it was to be."""
        message, parameters = streaming.message, streaming.conversation.parameters
        so_far = _so_far(message)
        most = longest(parameters, self._store.settings.settings.chat.answer_tokens)
        if so_far and most > 0:
            parameters = replace(parameters, max_tokens=max(1, most - streaming.said - streaming.pieces))
        return replace(question, target=target, so_far=so_far, model_sha256=message.model_sha256, parameters=parameters)

    async def _answer_there(self, streaming: _Streaming, question: Question, waiting: list[Target]) -> Target | None:
        """At a provider; None when the answer has ended, else who goes on: one of `waiting`, or this machine.

        Raises the provider's error when nobody can.
        """
        key = question.target.provider_key
        waiting[:] = [target for target in waiting if target.provider_key != key]
        streaming.target, streaming.is_silent = question.target, False
        begun = self._taken(streaming)
        name = self._remote.name_of(key)
        asked = AnswerStats(name, "delegated", "", question.target.model, 0.0, 0.0, 0, 0, key)
        streaming.message = replace(streaming.message, stats=asked)
        try:
            async with asyncio.timeout(None) as streaming.patience:
                watching = asyncio.create_task(self._notice_silence(streaming, question, waiting))
                try:
                    await self._stream(self._remote, streaming, question, begun)
                finally:
                    watching.cancel()
                    await asyncio.wait({watching})
                    self._forget_second(streaming)
                    if streaming.first_at and begun is None:
                        self._first_words.came(key, streaming.first_at - streaming.asked_at)
            return None
        except TimeoutError:
            if streaming.handed_over:
                return Target()
            target: Target | None
            if streaming.won is not None:
                left, target = f"{name} had not begun yet.", streaming.won.question.target
            elif streaming.is_silent:
                left = f"Nothing came from {name} any more."
                target, _ = await self._who_goes_on(streaming.message, waiting)
            else:
                raise
            if target is None:
                raise stopped_answering() from None
        except QvacError as error:
            if streaming.handed_over:
                return Target()
            left = why_left(describe(error), name)
            target, _ = await self._who_goes_on(streaming.message, waiting)
            if target is None and _is_there(error) and not streaming.asked_again:
                streaming.asked_again, target = True, question.target
            if target is None:
                raise
        finally:
            streaming.patience = None
        if target.provider_key:
            streaming.asked = left
        else:
            streaming.asked = streaming.wished = ""
            await self._go_on_here(streaming, left)
        return target

    async def _notice_silence(self, streaming: _Streaming, question: Question, waiting: Sequence[Target]) -> None:
        """End the provider's part when nothing comes of it and somebody else can go on.

        At once where the answer is continued at its next token; with more patience where it would begin anew. This
        machine begins to compute a little earlier, so that its next token is there when it is wanted.
        """
        key, loop = streaming.target.provider_key, asyncio.get_running_loop()
        asked_at = since = loop.time()  # the last time, as far as it is known here
        hedges = self._store.settings.settings.chat.hedge
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if any(map(is_open, streaming.message.tools)):
                await self._forget_ahead(streaming)  # a person or a tool is waited for, and nobody far away
                asked_at = loop.time()
                continue
            quiet = min(self._remote.quiet(key), loop.time() - asked_at)
            if quiet < AHEAD_SECONDS:
                await self._forget_ahead(streaming)
            elif streaming.ahead is None:
                await self._compute_ahead(streaming, question, waiting)
            if hedges and await self._is_overtaken(streaming, question, waiting, loop.time() - since, quiet):
                if streaming.patience is not None:
                    streaming.patience.reschedule(loop.time())
                return
            if not self._remote.is_gone(key) and quiet < ANEW_SECONDS:
                continue
            target, continues = await self._who_goes_on(streaming.message, waiting)
            if target is not None and (continues or quiet >= ANEW_SECONDS):
                streaming.is_silent = True
                if streaming.patience is not None:
                    streaming.patience.reschedule(asyncio.get_running_loop().time())
                return

    async def _is_overtaken(
        self, streaming: _Streaming, question: Question, waiting: Sequence[Target], waited: float, quiet: float
    ) -> bool:
        """Whether somebody else has the next word, where a person allows that two are asked.

        waited: seconds since the first one was asked; quiet: seconds in which nothing at all came from it.
        """
        if streaming.ahead is not None and streaming.ahead.ready and quiet >= AHEAD_SECONDS:
            streaming.is_silent = True
            return True
        second = streaming.second
        if streaming.first_at:
            self._forget_second(streaming)
        elif second is None and waited >= self._first_words.patience(question.target.provider_key):
            await self._ask_second(streaming, question, waiting)
        elif second is not None and second.ahead.ready:
            streaming.won, streaming.second = second.ahead, None
            streaming.beside = (self._remote.name_of(question.target.provider_key), waited)
            return True
        return False

    async def _ask_second(self, streaming: _Streaming, question: Question, waiting: Sequence[Target]) -> None:
        target, _ = await self._who_goes_on(streaming.message, waiting)
        shows = any(message.pictures for message in question.history)
        if target is None or shows or streaming.message.tools or streaming.conversation.tools.servers:
            return
        if target == Target() and streaming.ahead is not None:
            return  # this machine is at it
        responder: Responder = self._remote if target.provider_key else self._local
        rest = self._rest_of(streaming, question, target)
        name = self._remote.name_of(target.provider_key) if target.provider_key else "This machine"
        ahead = Ahead(rest, responder.answer(rest))
        streaming.second = Second(target, name, ahead, asyncio.get_running_loop().time())

    def _forget_second(self, streaming: _Streaming) -> None:
        """Somebody else was quicker: it is stopped, and nobody waits for that."""
        second, streaming.second = streaming.second, None
        if second is not None:
            streaming.beside = (second.name, asyncio.get_running_loop().time() - second.asked_at)
            self._tasks.start(second.ahead.close(), "a second answer that is not wanted")

    async def _compute_ahead(self, streaming: _Streaming, question: Question, waiting: Sequence[Target]) -> None:
        if streaming.second is not None and streaming.second.target == Target():
            return  # it is at it
        target, continues = await self._who_goes_on(streaming.message, waiting)
        shows = any(message.pictures for message in question.history)
        if streaming.message.tools or streaming.conversation.tools.servers:
            return  # what is computed ahead calls no tools
        if target == Target() and continues and not shows:
            here = self._rest_of(streaming, question, Target())
            streaming.ahead = Ahead(here, self._local.answer(here))

    async def _forget_ahead(self, streaming: _Streaming) -> None:
        ahead, streaming.ahead = streaming.ahead, None
        if ahead is not None:
            await self._close(ahead)

    @staticmethod
    async def _close(ahead: Ahead) -> None:
        await asyncio.shield(asyncio.create_task(ahead.close()))  # who closes it may be cancelled meanwhile

    async def _go_on_here(self, streaming: _Streaming, left: str) -> None:
        """The seam between what somebody else said, who left, and this machine."""
        here = await self._here(streaming.message)
        if here.endswith(ANEW) and _so_far(streaming.message) and not streaming.message.text.endswith("\n\n"):
            self._add(streaming, "\n\n")
        self._seam(streaming, f"{left} {here}".lstrip())

    async def _here(self, answer: Message) -> str:
        """What this machine does with an answer that somebody else began."""
        if answer.text and not (_so_far(answer) and self._local.continues(answer.model_sha256)):
            return f"This machine {ANEW}"
        return f"This machine continues with {await self._local.describe(answer.model_sha256)}."

    async def _stream(
        self,
        responder: Responder,
        streaming: _Streaming,
        question: Question,
        begun: Ahead | None = None,
    ) -> None:
        """begun: the answer, where it was begun already."""
        streaming.blind = not responder.sees(question.target) and any(each.pictures for each in question.history)
        if streaming.blind:
            question = without_pictures(question)
        edges = Edges(streaming.message.thinking)
        streaming.said += streaming.pieces
        streaming.asked_at, streaming.first_at, streaming.pieces = time.monotonic(), 0.0, 0
        message = streaming.message
        answer: AsyncGenerator[AnswerPart | ToolUse, None]
        if begun is not None:
            answer = begun.parts()
        else:
            answer = self._tools.answer(
                responder, question, streaming.conversation.id, message.tools, start_of(message.seams)
            )
            if responder is self._remote and self._store.settings.settings.chat.hedge:
                answer = left_behind(answer, self._tasks.start)
        async with contextlib.AsyncExitStack() as ending:
            if begun is not None:
                ending.push_async_callback(self._close, begun)
            parts = await ending.enter_async_context(contextlib.aclosing(answer))
            async for part in parts:
                if isinstance(part, str | Thinking):
                    streaming.pieces += 1
                    streaming.first_at = streaming.first_at or time.monotonic()
                if isinstance(part, Began):
                    self._begin(streaming, part)
                elif isinstance(part, str):
                    self._add(streaming, edges.answer(part))
                elif isinstance(part, Thinking):
                    self._add_thinking(streaming, edges.thinking(part.text))
                elif isinstance(part, ToolUse):
                    self._take_use(streaming, part)
                elif isinstance(part, AnswerStats):
                    streaming.message = replace(streaming.message, stats=part)

    def _begin(self, streaming: _Streaming, began: Began) -> None:
        if not began.continues:
            streaming.said = 0
        streaming.message = replace(streaming.message, model_sha256=began.model_sha256)
        who = streaming.asked or ("" if began.continues else streaming.wished)
        streaming.asked = streaming.wished = ""
        if not who:
            return
        if not streaming.message.text:
            self._seam(streaming, f"{who} answers.")
            return
        if not began.continues and not streaming.message.text.endswith("\n\n"):
            self._add(streaming, "\n\n")
        self._seam(streaming, f"{who} {'continues.' if began.continues else ANEW}")

    def _add(self, streaming: _Streaming, text: str) -> None:
        if not text:
            return
        streaming.message = replace(streaming.message, text=streaming.message.text + text)
        self._events.emit(AnswerTokens(streaming.conversation.id, streaming.message.id, text))
        self._keep(streaming)

    def _add_thinking(self, streaming: _Streaming, text: str) -> None:
        if not text:
            return
        streaming.message = replace(streaming.message, thinking=streaming.message.thinking + text)
        self._events.emit(AnswerThinking(streaming.conversation.id, streaming.message.id, text))
        self._keep(streaming)

    def _take_use(self, streaming: _Streaming, use: ToolUse) -> None:
        """A call of a tool, or what became of one."""
        streaming.message = with_use(streaming.message, use)
        self._events.emit(AnswerTool(streaming.conversation.id, streaming.message.id, use))
        self._keeper.keep(streaming.message)  # at once: what ran has run, whatever happens next

    def _keep(self, streaming: _Streaming) -> None:
        if time.monotonic() - streaming.kept_at >= KEEP_EVERY:
            streaming.kept_at = time.monotonic()
            self._keeper.keep(streaming.message)

    def _seam(self, streaming: _Streaming, sentence: str) -> None:
        offset = len(streaming.message.text)
        streaming.message = with_seam(streaming.message, offset, sentence)
        self._events.emit(AnswerSeam(streaming.conversation.id, streaming.message.id, offset, sentence))

    def _finish(self, streaming: _Streaming) -> None:
        self._streaming.pop(streaming.message.id, None)
        streaming.message = settled(told_apart(_with_ending(_with_numbers(streaming), streaming)))
        self._keeper.keep(streaming.message)
        self._events.emit(AnswerFinished(streaming.conversation.id, streaming.message))

    async def changed(self) -> None:
        """Tell what there is now."""
        self._events.emit(ConversationsChanged(await self.conversations()))


def _with_ending(message: Message, streaming: _Streaming) -> Message:
    """What only this machine knows of it."""
    stats = message.stats
    if stats is None:
        return message
    ending = "stopped" if streaming.stopped and message.status == "stopped" else stats.ending
    beside, seconds = streaming.beside
    stats = replace(stats, ending=ending, blind=streaming.blind, beside=beside, beside_seconds=seconds)
    return replace(message, stats=stats)


def _with_numbers(streaming: _Streaming) -> Message:
    """What is known of an answer that ended before its statistics came: its pieces were counted here."""
    message, stats = streaming.message, streaming.message.stats
    if stats is None or message.status == "done" or not streaming.pieces or stats.generated_tokens:
        return message
    seconds = time.monotonic() - streaming.first_at
    known = replace(
        stats,
        time_to_first_token=streaming.first_at - streaming.asked_at,
        tokens_per_second=streaming.pieces / seconds if seconds > 0 else 0.0,
        generated_tokens=streaming.pieces,
    )
    return replace(message, stats=known)


def _broke_off(message: Message) -> bool:
    """In the middle: some of it is there. One that a person stopped was not wanted any more."""
    return message.role == "assistant" and message.status == "failed" and bool(message.text or message.tools)


def _is_there(error: QvacError) -> bool:
    """Its provider lost the answer, and can be asked at once to go on with it."""
    reason = error.typed_fields.get("reason") if isinstance(error, DelegationError) else None
    return error.name == "WORKER_CRASHED" or reason == Reason.GUEST_AWAY.value


def _so_far(answer: Message) -> str:
    return answer.text[start_of(answer.seams) :]


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
