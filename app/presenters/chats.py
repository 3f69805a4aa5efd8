"""The conversations of this program, and what is asked and answered in them, whichever windows show them.

One for the process. A window (`ChatPresenter`) holds what it shows: a conversation that two of them show has one list
of messages, one draft, one question on its way. A conversation goes by its key: its id in the core, or while nobody has
written in it the key that its window has for that ("", "+2"…).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.audio.microphone import Input
from app.audio.player import Output
from app.audio.system_input import SystemInput
from app.audio.system_output import SystemOutput
from app.bridge import CoreProxy
from app.given_files import CopiedPictures, TakenFile
from app.presenters.chat_drafts import Drafts
from app.presenters.chat_path import LOCAL, merged
from app.presenters.chat_words import default_model
from app.presenters.dictation import Dictation
from app.presenters.recordings import Recordings
from app.presenters.speech import Speech
from app.presenters.transcripts import Transcripts
from app.presenters.translations import Translations
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.interface import CoreInterface
from qvac_core.core.seams import with_seam
from qvac_core.core.state import (
    TRANSCRIPT,
    AnswerFinished,
    AnswerPlace,
    AnswerSeam,
    AnswerStarted,
    AnswerThinking,
    AnswerTokens,
    AnswerTool,
    ConnectionStage,
    Conversation,
    ConversationsChanged,
    CoreEvent,
    DownloadChanged,
    DownloadState,
    Draft,
    Message,
    Parameters,
    PathChanged,
    Picture,
    ProviderEntry,
    ProvidersChanged,
    SharedModel,
    SharedModelsChanged,
    Target,
    UseState,
)
from qvac_core.core.tool_turns import settled, with_use
from qvac_core.errors import QvacError
from qvac_core.late_dataclass import dataclass

Work = Coroutine[Any, Any, object]

KEEP_DRAFTS_MS = 600
"""A crash costs at most so much of what is being written."""


@dataclass(frozen=True, slots=True)
class Unwritten:
    """What a window has of a conversation that the core does not know yet.

    target: who is to answer; adopt: what it asks for is to be kept with the conversation of that id.
    """

    target: Callable[[], Target]
    adopt: Callable[[str], Awaitable[None]]


class Chats(QObject):
    """Signals fire in the window's thread, after the fields they speak of are set. The first argument is a key."""

    conversations_changed = Signal()
    providers_changed = Signal()
    models_changed = Signal()
    stage_changed = Signal(object)  # ConnectionStage
    place_changed = Signal(str)  # the message that waits for its turn
    download_changed = Signal(object)  # DownloadChanged
    first_start_changed = Signal()
    answering_changed = Signal()
    message_added = Signal(str, object)  # Message
    message_changed = Signal(str, object)  # Message
    message_kept = Signal(str, str, object)  # the id my question had here; Message, as the core has it
    path_changed = Signal(str)
    draft_changed = Signal(str, object)  # who wrote it (QObject); None: what waited was sent
    pictures_changed = Signal(str)
    adopted = Signal(str, str)  # the key it had; its id
    deleted = Signal(str)
    failed = Signal(str, object)  # ErrorInfo

    def __init__(
        self,
        core: CoreProxy,
        parent: QObject | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sound: Input | None = None,
        loudspeaker: Output | None = None,
    ) -> None:
        super().__init__(parent)
        self.core = core
        self.clock = clock
        self._tasks = Tasks()
        self.conversations: tuple[Conversation, ...] = ()
        self.providers: tuple[ProviderEntry, ...] = ()
        self.models: tuple[SharedModel, ...] = ()
        self.stages: dict[str, ConnectionStage] = {}  # the last one of each provider
        self.places: dict[str, AnswerPlace] = {}  # of answers in the lines of their providers
        self.speech = Speech(core, self)
        self.dictation = Dictation(core, sound or SystemInput(), self)
        self.transcripts = Transcripts(core, self)
        self.recordings = Recordings(loudspeaker or SystemOutput(), self)
        self.dictation.changed.connect(self._hush)
        self.translations = Translations(core, self)
        self.drafts = Drafts()
        self.begun: frozenset[str] = frozenset()  # where somebody had written before the drafts were loaded
        self.copied = CopiedPictures()
        self.ahead: dict[str, tuple[Parameters, str]] = {}  # what the core has not told of yet, with the preset's name
        self.download: DownloadChanged | None = None
        self._wanted_model = ""  # the one being downloaded, as the core was asked for it
        self._shown: dict[str, list[Message]] = {}
        self._windows: dict[str, int] = {}  # that show it
        self._unwritten: dict[str, Unwritten] = {}
        self._pictures: dict[str, tuple[TakenFile, ...]] = {}  # beside what is written
        self._given: dict[str, tuple[Path, ...]] = {}  # pictures of questions that the core does not have yet
        self.asking: frozenset[str] = frozenset()  # conversations in which a call of a tool waits for an answer
        self._streaming: dict[str, tuple[str, Message]] = {}  # message id → conversation id, message so far
        self._asking: set[str] = set()  # whose question is on its way to the core
        self._keep_soon = QTimer(self)
        self._keep_soon.setSingleShot(True)
        self._keep_soon.setInterval(KEEP_DRAFTS_MS)
        self._keep_soon.timeout.connect(lambda: self._start("", self.keep_drafts()))
        self._local_ids = 0
        self._turns = 0  # answers that began or ended, and paths that changed
        self._began = False
        self._loaded = False
        core.core_event.connect(self._take)

    # --- Life

    async def load(self) -> None:
        self.providers = await self.core.call(lambda core: core.providers())
        self.models = _for_chat(await self.core.call(lambda core: core.shared_models()))
        self.conversations = await self.core.call(lambda core: core.conversations())
        self.begun = self.drafts.written
        self.drafts.load(await self.core.call(lambda core: core.drafts()))
        await self.speech.load()
        await self.dictation.load()
        await self.translations.load()
        self._loaded = True

    async def close(self) -> None:
        self._keep_soon.stop()
        with contextlib.suppress(QvacError):  # nobody is left to tell
            await self.keep_drafts()
        self.recordings.close()
        await self.dictation.close()
        await self.transcripts.close()
        await self.translations.close()
        self.copied.close()
        await self.speech.close()
        await self._tasks.close()

    async def settle(self) -> None:
        """Wait until every intent has ended (tests, and windows that close)."""
        await self._tasks.settle()
        await self.speech.settle()
        await self.dictation.settle()
        await self.transcripts.settle()
        await self.translations.settle()

    # --- What is so

    @property
    def first_start(self) -> bool:
        """Nothing was chosen yet: no conversation, no provider, and no card of the first screen pressed."""
        return self._loaded and not (self._began or self.conversations or self.providers)

    @property
    def loaded(self) -> bool:
        """Whether it is known what is kept. Before that, models that are not told are not missing."""
        return self._loaded

    def begin(self) -> None:
        """Something was chosen."""
        self._began = True
        self.first_start_changed.emit()

    def answering(self, key: str) -> Message | None:
        """The answer that streams into it."""
        for conversation_id, message in self._streaming.values():
            if conversation_id == key and message.role != TRANSCRIPT:
                return message
        return None

    def busy(self, key: str) -> bool:
        return key in self._asking or self.answering(key) is not None

    def pictures(self, key: str) -> tuple[TakenFile, ...]:
        """What goes along with what is written there."""
        return self._pictures.get(key, ())

    def set_pictures(self, key: str, pictures: tuple[TakenFile, ...]) -> None:
        self._pictures[key] = pictures
        self.pictures_changed.emit(key)

    # --- What windows show

    async def read(self, conversation_id: str) -> list[Message]:
        """Its messages, for `hold`."""
        if conversation_id in self._shown:
            return self._shown[conversation_id]
        messages = await self.path(conversation_id)
        if conversation_id in self._shown:
            return self._shown[conversation_id]
        # What streams is shown as far as its events have come: those that follow are added to that, none twice.
        return [self._streaming[m.id][1] if m.id in self._streaming else _at_rest(m) for m in messages]

    async def path(self, conversation_id: str) -> tuple[Message, ...]:
        """Its messages in the core, none of them older than the events that have come."""
        while True:
            turns = self._turns
            messages = await self.core.call(lambda core: core.messages(conversation_id))
            if turns == self._turns:
                return messages

    def hold(self, key: str, messages: list[Message], unwritten: Unwritten | None = None) -> list[Message]:
        """A window shows it from now on: the list that all such windows have, and that is kept as it is in the core."""
        if unwritten is not None:
            self._unwritten[key] = unwritten
        self._windows[key] = self._windows.get(key, 0) + 1
        return self._shown.setdefault(key, messages)

    def leave(self, key: str) -> None:
        """What `hold` began."""
        self._windows[key] = self._windows.get(key, 1) - 1
        if self._windows[key]:
            return
        del self._windows[key]
        self._unwritten.pop(key, None)
        if any(message.id == self.recordings.played for message in self._shown.pop(key, ())):
            self.recordings.forget()  # nobody could stop it

    def is_shown(self, key: str) -> bool:
        return key in self._shown

    async def existing(self, key: str) -> str:
        """The id of that conversation; the core learns of one that nobody has written in yet. Raises QvacError."""
        unwritten = self._unwritten.get(key)
        if unwritten is None:
            return key
        target = unwritten.target()
        conversation = await self.core.call(lambda core: core.new_conversation(target))
        self._adopt(key, conversation.id)
        await unwritten.adopt(conversation.id)
        return conversation.id

    def _adopt(self, key: str, conversation_id: str) -> None:
        """What was written in first is kept from now on, under this id."""
        self._pictures[conversation_id] = self._pictures.pop(key, ())
        self.drafts.move(key, conversation_id)
        self.keep_drafts_soon()
        if key in self._asking:
            self._asking.remove(key)
            self._asking.add(conversation_id)
        if key in self._shown:
            self._shown[conversation_id] = self._shown.pop(key)
            self._windows[conversation_id] = self._windows.pop(key)
            self._unwritten.pop(key, None)
        self.adopted.emit(key, conversation_id)
        self.conversations_changed.emit()
        self.first_start_changed.emit()

    async def keep_unwritten(self, key: str, target: Target) -> None:
        """Its window goes, or did not come back: what is written there is a conversation from now on.

        Raises QvacError. Nothing happens where nothing is written.
        """
        if not self.drafts.get(key).message and not self.pictures(key):
            return
        if key in self._unwritten:
            await self.existing(key)
        else:
            conversation = await self.core.call(lambda core: core.new_conversation(target))
            self._adopt(key, conversation.id)
        await self.keep_drafts()

    async def delete(self, conversation_id: str) -> None:
        """Raises QvacError. What shows it is told by `deleted`."""
        self.drafts.drop(conversation_id)
        await self.core.call(lambda core: core.delete_conversation(conversation_id))
        self._streaming = {k: v for k, v in self._streaming.items() if v[0] != conversation_id}
        self.deleted.emit(conversation_id)

    # --- Asking

    def send(self, key: str, text: str) -> bool:
        """Ask; False when there is nothing to ask or an answer still runs (the text stays with the person)."""
        if not text.strip() or self.busy(key):
            return False
        self._asking.add(key)
        self._began = True
        pictures, shown = self.pictures(key), tuple(Picture("", "", p.path.name) for p in self.pictures(key))
        question = Message(self._local_id("asked-"), "user", text.strip(), self.clock(), pictures=shown)
        self._given[question.id] = tuple(picture.path for picture in pictures)
        self.set_pictures(key, ())
        self._add(key, question)
        self.answering_changed.emit()
        self._start(key, self._ask(key, question), lambda error: self._not_asked(key, question, error))
        return True

    def retry(self, key: str, message_id: str = "") -> None:
        """Answer again, beside that answer or the last one. A last one that broke off in the middle goes on."""
        messages = self._shown.get(key, [])
        if self.busy(key) or not any(m.role == "user" for m in messages):
            return
        said_no = [m for m in messages if m.id.startswith(LOCAL) and m.role == "assistant"]
        if not message_id and said_no:  # why the core did not take a question, or did not begin
            messages[:] = [message for message in messages if message not in said_no]
            self.path_changed.emit(key)
        self._asking.add(key)
        self.answering_changed.emit()
        question = next(m for m in reversed(messages) if m.role == "user")
        again = self._ask(key, question) if question.id.startswith(LOCAL) else self._retry(key, message_id)
        self._start(key, again, lambda error: self._not_asked(key, question, error))

    def change_path(self, key: str, act: Callable[[CoreInterface, str], Coroutine[Any, Any, object]]) -> None:
        """What begins an answer of a conversation that the core knows."""
        if self.busy(key) or key in self._unwritten:
            return
        self._asking.add(key)
        self.answering_changed.emit()

        def not_begun(error: QvacError) -> None:
            self._asking.discard(key)
            self.answering_changed.emit()
            self._report(key, error)

        self._start(key, self.core.call(lambda core: act(core, key)), not_begun)

    async def _ask(self, key: str, question: Message) -> None:
        try:
            conversation_id = await self.existing(key)
            # Busy until AnswerStarted: the call returns a frame before its events come.
            given = self._given.get(question.id, ())
            await self.core.call(lambda core: core.ask(conversation_id, question.text, given))
            self._given.pop(question.id, None)
        except QvacError:
            self._asking.discard(self._place_of(question, key))
            raise

    async def _retry(self, conversation_id: str, message_id: str) -> None:
        try:
            await self.core.call(lambda core: core.branches.retry(conversation_id, message_id))
        except QvacError:
            self._asking.discard(conversation_id)
            raise

    def _not_asked(self, key: str, question: Message, error: QvacError) -> None:
        """The core did not take it: the question stays, and below it why and Retry."""
        key = self._place_of(question, key)
        answer = Message(
            self._local_id("failed-"), "assistant", "", self.clock(), status="failed", error=describe(error)
        )
        if question in self._shown.get(key, ()):
            self._add(key, answer)
        self.answering_changed.emit()
        if not self.busy(key):
            self._send_waiting(key)

    def _place_of(self, question: Message, key: str) -> str:
        """The key of the conversation that shows it now: it may have got its id meanwhile."""
        return next((now for now, messages in self._shown.items() if question in messages), key)

    # --- Drafts

    def set_draft(self, key: str, draft: Draft, writer: QObject) -> None:
        """Somebody changed what is written there. The others who show it follow."""
        if draft == self.drafts.get(key) and not self.drafts.was_left(key):
            return
        self.drafts.put(key, draft)
        self.keep_drafts_soon()
        self.draft_changed.emit(key, writer)

    def keep_drafts_soon(self) -> None:
        if self._loaded and not self._keep_soon.isActive():
            self._keep_soon.start()

    async def keep_drafts(self) -> None:
        """Raises QvacError."""
        for key, draft in self.drafts.take_unsaved():
            await self.core.call(partial(_keep_draft, key, draft))

    def _send_waiting(self, key: str) -> None:
        """The answer before it has ended: ask what waited, also where no window shows the conversation now."""
        draft = self.drafts.take_waiting(key)
        if draft is None:
            return
        self.keep_drafts_soon()
        if key in self._shown:
            if not self.send(key, draft.message):
                self.drafts.put(key, Draft(draft.text, draft.pasted), left=True)
            self.draft_changed.emit(key, None)
            return

        def not_asked(error: QvacError) -> None:
            self._asking.discard(key)
            self.drafts.put(key, Draft(draft.text, draft.pasted), left=True)
            self.keep_drafts_soon()
            self.draft_changed.emit(key, None)
            self._report(key, error)

        self._asking.add(key)
        given = tuple(picture.path for picture in self._pictures.pop(key, ()))
        self._start(key, self.core.call(lambda core: core.ask(key, draft.message, given)), not_asked)

    # --- A model for this machine

    def download_model(self, source: str, title: str, octets: int) -> None:
        """source: as the core is asked for it; title, octets: what is shown until it reports."""
        self._wanted_model = source
        self.download = DownloadChanged(title, 0, octets, 0.0)
        self.download_changed.emit(self.download)
        self._start(
            "",
            self.core.call(lambda core: core.download_model(source)),
            lambda error: self._not_downloaded(error, title),
        )

    def download_again(self) -> None:
        """After a failure: the same one."""
        failed = self.download
        if failed is None or not self._wanted_model:
            self.download_model("", *default_model()[:2])
        else:
            self.download_model(self._wanted_model, failed.model, failed.total)

    def cancel_download(self) -> None:
        source = self._wanted_model
        self._start("", self.core.call(lambda core: core.cancel_download(source)))

    def _not_downloaded(self, error: QvacError, title: str) -> None:
        if error.name == "DOWNLOAD_CANCELLED":
            self.download = None
            self.download_changed.emit(None)
        elif self.download is None or self.download.error is None:
            self.download = DownloadChanged(title, 0, 0, 0.0, DownloadState.FAILED, describe(error))
            self.download_changed.emit(self.download)

    # --- Events

    def _take(self, event: CoreEvent) -> None:
        if isinstance(event, AnswerStarted | AnswerFinished | PathChanged):
            self._turns += 1
        match event:
            case AnswerTokens():
                self._grow(event.message_id, lambda m: replace(m, text=m.text + event.text))
            case AnswerThinking():
                self._grow(event.message_id, lambda m: replace(m, thinking=m.thinking + event.text))
            case AnswerSeam():
                self._grow(event.message_id, lambda m: with_seam(m, event.offset, event.sentence))
                self.answering_changed.emit()
            case AnswerTool():
                self._grow(event.message_id, lambda m: with_use(m, event.use))
                self._tell_asking()
                self.answering_changed.emit()
            case PathChanged():
                self.take_path(event.conversation_id, event.messages)
            case AnswerStarted():
                self._started(event.conversation_id, event.message)
            case AnswerFinished():
                self.places.pop(event.message.id, None)
                self._finished(event.message)
            case ConversationsChanged():
                self.conversations = event.conversations
                self.conversations_changed.emit()
            case ProvidersChanged():
                self.providers = event.providers
                self.providers_changed.emit()
            case SharedModelsChanged():
                self.models = _for_chat(event.models)
                self.models_changed.emit()
            case ConnectionStage():
                self.stages[event.provider_key] = event
                self.stage_changed.emit(event)
            case AnswerPlace():
                self.places[event.message_id] = event
                self.place_changed.emit(event.message_id)
            case DownloadChanged() if event.model == self._download_here():
                # Others are the Library's. One that was paused there is shown there.
                stopped = event.state in (DownloadState.PAUSED, DownloadState.CANCELLED)
                self.download = None if stopped else event
                self.download_changed.emit(self.download)
            case _:
                pass  # the Share tab's

    def _download_here(self) -> str:
        """The name of the model whose download is shown here."""
        from qvac_core.models import DEFAULT_SMALL_MODEL  # the list of models: not before one is fetched

        return self._wanted_model or DEFAULT_SMALL_MODEL.name

    def take_path(self, conversation_id: str, path: tuple[Message, ...]) -> None:
        """What is shown of it, as the core has it."""
        messages = self._shown.get(conversation_id)
        if messages is None:
            return
        path = tuple(self._streaming[m.id][1] if m.id in self._streaming else _ended(m) for m in path)
        messages[:], kept = merged(messages, path)
        for local_id, message in kept:
            self.message_kept.emit(conversation_id, local_id, message)
        self.path_changed.emit(conversation_id)

    def _started(self, conversation_id: str, message: Message) -> None:
        self._streaming[message.id] = (conversation_id, message)
        if message.role != TRANSCRIPT:
            self._asking.discard(conversation_id)
        if not self._show(conversation_id, message):
            self._add(conversation_id, message)
        self.answering_changed.emit()

    def _grow(self, message_id: str, change: Callable[[Message], Message]) -> None:
        if message_id not in self._streaming:
            return
        conversation_id, message = self._streaming[message_id]
        message = change(message)
        self._streaming[message_id] = (conversation_id, message)
        self._show(conversation_id, message)

    def _tell_asking(self) -> None:
        """A call may wait for an answer in a conversation that no window shows."""
        waiting = {id for id, m in self._streaming.values() if any(use.state is UseState.ASKS for use in m.tools)}
        if waiting != self.asking:
            self.asking = frozenset(waiting)
            self.conversations_changed.emit()

    def _finished(self, message: Message) -> None:
        conversation_id, _ = self._streaming.pop(message.id, (None, None))
        self._tell_asking()
        for key in tuple(self._shown) if conversation_id is None else (conversation_id,):
            self._show(key, message)
        self.answering_changed.emit()
        if conversation_id is not None and message.role != TRANSCRIPT:
            self._send_waiting(conversation_id)

    # --- Inside

    def _add(self, key: str, message: Message) -> None:
        messages = self._shown.get(key)
        if messages is not None:
            messages.append(message)
            self.message_added.emit(key, message)

    def _show(self, key: str, message: Message) -> bool:
        """Put a message in the place of its older self; False when no window shows it."""
        messages = self._shown.get(key, [])
        for index in range(len(messages) - 1, -1, -1):
            if messages[index].id == message.id:
                messages[index] = message
                self.message_changed.emit(key, message)
                return True
        return False

    def _hush(self) -> None:
        """The microphone would hear it."""
        if self.dictation.running:
            self.recordings.pause()

    def _local_id(self, kind: str) -> str:
        self._local_ids += 1
        return f"{kind}{self._local_ids}"

    def _start(self, key: str, work: Work, on_error: Callable[[QvacError], None] | None = None) -> None:
        self._tasks.start(work, on_error or partial(self._report, key))

    def _report(self, key: str, error: QvacError) -> None:
        self.failed.emit(key, describe(error))


async def _keep_draft(key: str, draft: Draft, core: CoreInterface) -> None:
    await core.keep_draft(key, draft)


def _at_rest(message: Message) -> Message:
    """A stored answer that nobody streams any more: the program ended in the middle of it."""
    return _ended(replace(message, status="stopped") if message.status == "streaming" else message)


def _ended(message: Message) -> Message:
    """Without a question of a tool that nobody waits for: the program was killed while it asked."""
    return settled(message) if message.status == "stopped" else message


def _for_chat(models: tuple[SharedModel, ...]) -> tuple[SharedModel, ...]:
    return tuple(model for model in models if model.ability == "chat")
