"""What the Chat tab shows and does: conversations, the open one with its streaming answer, targets, providers.

State flows core → here → view by signals; intents flow back as owned tasks. ARCHITECTURE.md, "One core, one owner".
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Sequence
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
from app.given_files import CopiedPictures, FileKind, TakenFile, as_message, take, too_many_pictures
from app.presenters.chat_archive import Archive
from app.presenters.chat_directory import Directory, Speaker
from app.presenters.chat_drafts import Drafts
from app.presenters.chat_path import LOCAL, merged
from app.presenters.chat_settings import ChatSettings
from app.presenters.chat_words import default_model
from app.presenters.dictation import Dictation
from app.presenters.recordings import Recordings
from app.presenters.speech import Speech
from app.presenters.transcripts import Transcripts
from app.presenters.translations import Translations
from app.tasks import Tasks
from qvac_core.core.answering import with_seam
from qvac_core.core.error_text import describe
from qvac_core.core.interface import CoreInterface
from qvac_core.core.state import (
    AnswerFinished,
    AnswerSeam,
    AnswerStarted,
    AnswerThinking,
    AnswerTokens,
    ConnectionStage,
    Conversation,
    ConversationsChanged,
    CoreEvent,
    DownloadChanged,
    DownloadState,
    Draft,
    Hit,
    Message,
    PathChanged,
    Picture,
    ProviderEntry,
    ProvidersChanged,
    SharedModel,
    SharedModelsChanged,
    SpeechChoice,
    Target,
)
from qvac_core.core.transcript import ROLE as TRANSCRIPT
from qvac_core.engines.pictures import PICTURES
from qvac_core.errors import QvacError
from qvac_core.models import DEFAULT_SMALL_MODEL

Work = Coroutine[Any, Any, object]

KEEP_DRAFTS_MS = 600
"""A crash costs at most so much of what is being written."""

DRAFT = ""  # the id of a conversation that nobody has written in yet; the core does not know it
NOBODY = Target("", "")


class ChatPresenter(QObject):
    """`load` fetches what is there. All signals fire in the window's thread, after the fields they speak of are set."""

    conversations_changed = Signal()
    opened = Signal()  # another conversation (or none): `messages` is new from the first to the last
    message_added = Signal(object)  # Message
    message_changed = Signal(object)  # Message: text, seam or status of a message that is shown
    message_kept = Signal(str, object)  # the id my question had here; Message, as the core has it
    reveal_wanted = Signal(str)  # the id of a message that was found
    path_changed = Signal()  # `messages` is another path of the open conversation
    answering_changed = Signal()
    target_changed = Signal()
    providers_changed = Signal()
    models_changed = Signal()
    stage_changed = Signal(object)  # ConnectionStage
    download_changed = Signal(object)  # DownloadChanged
    failed = Signal(object)  # ErrorInfo of an intent that has no better place
    first_start_changed = Signal()
    share_requested = Signal()
    draft_changed = Signal()  # not by the person: what waited was sent
    text_attached = Signal(str)
    listener_wanted = Signal()  # a recording waits for a model that understands speech
    pictures_changed = Signal()

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
        self._core = core
        self._clock = clock
        self._tasks = Tasks()
        self.conversations: tuple[Conversation, ...] = ()
        self.found: tuple[Conversation, ...] | None = None  # None: no search
        self.hits: dict[str, Hit] = {}  # where each of those contains what is searched
        self.search_text = ""
        self.messages: list[Message] = []
        self.open_id = DRAFT
        self.providers: tuple[ProviderEntry, ...] = ()
        self.models: tuple[SharedModel, ...] = ()
        self.speech = Speech(core, self)
        self.speech.changed.connect(self._begin_waiting)
        self.dictation = Dictation(core, sound or SystemInput(), self)
        self.transcripts = Transcripts(core, self)
        self.recordings = Recordings(loudspeaker or SystemOutput(), self)
        self.opened.connect(self.recordings.forget)
        self.dictation.changed.connect(self._hush)
        self.translations = Translations(core, self)
        self.settings = ChatSettings(core, self)
        self.archive = Archive(core, self)
        self.archive.brought.connect(self.open)
        self._unheard: list[Path] = []  # recordings that wait for a model
        self._pictures: dict[str, tuple[TakenFile, ...]] = {}  # beside what is written, by conversation
        self._given: dict[str, tuple[Path, ...]] = {}  # pictures of questions that the core does not have yet
        self._copied = CopiedPictures()
        self.download: DownloadChanged | None = None
        self._wanted_model = ""  # the one being downloaded, as the core was asked for it
        self.stages: dict[str, ConnectionStage] = {}  # the last one of each provider
        self._draft_target = NOBODY
        self._streaming: dict[str, tuple[str, Message]] = {}  # message id → conversation id, message so far
        self._asking: set[str] = set()  # conversations whose question is on its way to the core
        self._composing = DRAFT  # the conversation that the composer shows
        self.drafts = Drafts()
        self._keep_soon = QTimer(self)
        self._keep_soon.setSingleShot(True)
        self._keep_soon.setInterval(KEEP_DRAFTS_MS)
        self._keep_soon.timeout.connect(lambda: self._start(self._keep_drafts()))
        self._local_ids = 0
        self._began = False
        self._loaded = False
        core.core_event.connect(self._take)

    # --- Life

    async def load(self) -> None:
        self.providers = await self._core.call(lambda core: core.providers())
        self.models = _for_chat(await self._core.call(lambda core: core.shared_models()))
        self.conversations = await self._core.call(lambda core: core.conversations())
        begun = bool(self.draft.message)  # somebody writes already
        self.drafts.load(await self._core.call(lambda core: core.drafts()))
        await self.speech.load()
        await self.dictation.load()
        await self.translations.load()
        await self.settings.load()
        self._loaded = True
        self._draft_target = self._likely_target()
        for signal in (self.providers_changed, self.models_changed, self.conversations_changed):
            signal.emit()
        self.first_start_changed.emit()
        if begun:
            self._keep_drafts_soon()
            self.target_changed.emit()
        elif self.conversations:
            await self._open(max(self.conversations, key=lambda c: c.updated_at).id)
        else:
            self.new_conversation()

    async def close(self) -> None:
        self._keep_soon.stop()
        with contextlib.suppress(QvacError):  # nobody is left to tell
            await self._keep_drafts()
        self.recordings.close()
        await self.dictation.close()
        await self.transcripts.close()
        await self.translations.close()
        await self.settings.close()
        await self.archive.close()
        self._copied.close()
        await self.speech.close()
        await self._tasks.close()

    async def settle(self) -> None:
        """Wait until every intent has ended (tests, and screens that close)."""
        await self._tasks.settle()
        await self.speech.settle()
        await self.dictation.settle()
        await self.transcripts.settle()
        await self.translations.settle()
        await self.settings.settle()
        await self.archive.settle()

    # --- What is so

    @property
    def now(self) -> float:
        return self._clock()

    @property
    def public_key(self) -> str:
        return self._core.public_key

    @property
    def first_start(self) -> bool:
        """Nothing was chosen yet: no conversation, no provider, and no card of the first screen pressed."""
        return self._loaded and not (self._began or self.conversations or self.providers)

    @property
    def conversation(self) -> Conversation | None:
        return next((c for c in self.conversations if c.id == self.open_id), None)

    @property
    def target(self) -> Target:
        conversation = self.conversation
        return conversation.target if conversation is not None else self._draft_target

    @property
    def answering(self) -> Message | None:
        """The answer that streams into the open conversation."""
        for conversation_id, message in self._streaming.values():
            if conversation_id == self.open_id and message.role != TRANSCRIPT:
                return message
        return None

    @property
    def busy(self) -> bool:
        return self.open_id in self._asking or self.answering is not None

    @property
    def directory(self) -> Directory:
        """Names for what is known now."""
        return Directory(self.providers, self.models)

    def provider(self, public_key: str) -> ProviderEntry | None:
        return self.directory.provider(public_key)

    def target_name(self, target: Target) -> str:
        return self.directory.target_name(target)

    def model_name(self, target: Target) -> str:
        return self.directory.model_name(target)

    def speaker(self, message: Message) -> Speaker:
        return self.directory.speaker(message, self.target)

    @property
    def draft(self) -> Draft:
        """What the composer shows."""
        return self.drafts.get(self._composing)

    @property
    def draft_was_left(self) -> bool:
        """It waited for an answer that ended with the program, and was not sent."""
        return self.drafts.was_left(self._composing)

    def last_question(self) -> str:
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")

    def last_answer(self) -> Message | None:
        return next((m for m in reversed(self.messages) if m.role == "assistant"), None)

    # --- Conversations

    def new_conversation(self) -> None:
        """An empty conversation; it is kept from its first message on."""
        self._draft_target = self.target if self.open_id else self._draft_target
        if not self.directory.usable(self._draft_target):
            self._draft_target = self._likely_target()
        self.open_id = self._composing = DRAFT
        self.messages = []
        self.settings.begin_new()
        self.opened.emit()
        self.target_changed.emit()
        self.answering_changed.emit()

    def open(self, conversation_id: str) -> None:
        if conversation_id != self.open_id:
            self._start(self._open(conversation_id))

    def open_hit(self, conversation_id: str) -> None:
        """A conversation that was found, at the message that was."""
        hit = self.hits.get(conversation_id)
        if hit is None or not hit.message_id:
            self.open(conversation_id)
            return
        message_id = hit.message_id

        async def open_there() -> None:
            if conversation_id != self.open_id:
                await self._open(conversation_id)
            if self.open_id == conversation_id and not any(m.id == message_id for m in self.messages):
                await self._core.call(lambda core: core.branches.show_message(conversation_id, message_id))
                self._take_path(conversation_id, await self._core.call(lambda core: core.messages(conversation_id)))
            if self.open_id == conversation_id:
                self.reveal_wanted.emit(message_id)

        self._start(open_there())

    def rename(self, conversation_id: str, title: str) -> None:
        if title.strip():
            self._start(self._core.call(lambda core: core.rename_conversation(conversation_id, title.strip())))

    def pin(self, conversation_id: str, pinned: bool) -> None:
        self._start(self._core.call(lambda core: core.pin_conversation(conversation_id, pinned)))

    def delete(self, conversation_id: str) -> None:
        """The view has asked already."""
        self._start(self._delete(conversation_id))

    def search(self, text: str) -> None:
        self.search_text = text.strip()
        if not self.search_text:
            self.found, self.hits = None, {}
            self.conversations_changed.emit()
            return
        self._start(self._search(self.search_text))

    async def _open(self, conversation_id: str) -> None:
        self.open_id = conversation_id
        messages = await self._core.call(lambda core: core.messages(conversation_id))
        if self.open_id != conversation_id:
            return
        # What streams is shown as far as its events have come: those that follow are added to that, none twice.
        self.messages = [self._streaming[m.id][1] if m.id in self._streaming else _at_rest(m) for m in messages]
        self._composing = conversation_id
        self.opened.emit()
        self.target_changed.emit()
        self.answering_changed.emit()

    async def _delete(self, conversation_id: str) -> None:
        self.drafts.drop(conversation_id)
        await self._core.call(lambda core: core.delete_conversation(conversation_id))
        self._streaming = {k: v for k, v in self._streaming.items() if v[0] != conversation_id}
        if conversation_id == self.open_id:
            rest = [c for c in self.conversations if c.id != conversation_id]
            if rest:
                await self._open(max(rest, key=lambda c: c.updated_at).id)
            else:
                self.open_id = DRAFT
                self.new_conversation()

    async def _search(self, text: str) -> None:
        hits = await self._core.call(lambda core: core.branches.hits(text))
        if text == self.search_text:
            self.hits = {hit.conversation.id: hit for hit in hits}
            self.found = tuple(hit.conversation for hit in hits)
            self.conversations_changed.emit()

    # --- Asking

    @property
    def pictures(self) -> tuple[TakenFile, ...]:
        """What goes along with the message that the composer shows."""
        return self._pictures.get(self._composing, ())

    def remove_picture(self, place: int) -> None:
        self._set_pictures(tuple(p for at, p in enumerate(self.pictures) if at != place))

    def _set_pictures(self, pictures: tuple[TakenFile, ...]) -> None:
        self._pictures[self._composing] = pictures
        self.pictures_changed.emit()

    def send(self, text: str) -> bool:
        """Ask; False when there is nothing to ask or an answer still runs (the text stays with the person)."""
        if not text.strip() or self.busy:
            return False
        self._asking.add(self.open_id)
        self._began = True
        pictures, shown = self.pictures, tuple(Picture("", "", p.path.name) for p in self.pictures)
        question = Message(self._local_id("asked-"), "user", text.strip(), self._clock(), pictures=shown)
        self._given[question.id] = tuple(picture.path for picture in pictures)
        self._set_pictures(())
        self.messages.append(question)
        self.message_added.emit(question)
        self.answering_changed.emit()
        self._start(self._ask(question), lambda error: self._not_asked(question, error))
        return True

    def retry(self, message_id: str = "") -> None:
        """Answer again, beside that answer or the last one. A last one that broke off in the middle goes on."""
        if self.busy or not any(m.role == "user" for m in self.messages):
            return
        conversation_id = self.open_id
        said_no = [m for m in self.messages if m.id.startswith(LOCAL) and m.role == "assistant"]
        if not message_id and said_no:  # why the core did not take a question, or did not begin
            self.messages = [message for message in self.messages if message not in said_no]
            self.path_changed.emit()
        self._asking.add(conversation_id)
        self.answering_changed.emit()
        question = next(m for m in reversed(self.messages) if m.role == "user")
        if question.id.startswith(LOCAL):
            self._start(self._ask(question), lambda error: self._not_asked(question, error))
        else:
            self._start(self._retry(conversation_id, message_id), lambda error: self._not_asked(question, error))

    def edit(self, message_id: str, text: str) -> None:
        """Ask one of my questions anew, in other words; what was answered so far is kept as another branch."""
        self._change_path(lambda core, conversation_id: core.branches.edit(conversation_id, message_id, text))

    def continue_answer(self) -> None:
        """The last one, which was stopped or cut."""
        self._change_path(lambda core, conversation_id: core.branches.continue_answer(conversation_id))

    def show_branch(self, message_id: str) -> None:
        if not self.busy and self.open_id:
            conversation_id = self.open_id
            self._start(self._core.call(lambda core: core.branches.show_branch(conversation_id, message_id)))

    def _change_path(self, act: Callable[[CoreInterface, str], Coroutine[Any, Any, object]]) -> None:
        """What begins an answer."""
        conversation_id = self.open_id
        if self.busy or not conversation_id:
            return
        self._asking.add(conversation_id)
        self.answering_changed.emit()

        def not_begun(error: QvacError) -> None:
            self._asking.discard(conversation_id)
            self.answering_changed.emit()
            self._report(error)

        self._start(self._core.call(lambda core: act(core, conversation_id)), not_begun)

    def retry_with(self, target: Target) -> None:
        """Answer the last question again, by somebody else."""
        conversation_id = self.open_id
        if not conversation_id:
            self._draft_target = target
            self.target_changed.emit()
            self.retry()
            return

        async def move_and_retry() -> None:
            await self._core.call(lambda core: core.set_target(conversation_id, target))
            self.retry()

        self._start(move_and_retry())

    def stop(self) -> None:
        answer = self.answering
        if answer is not None:
            self._start(self._core.call(lambda core: core.stop_answer(answer.id)))

    def continue_here(self) -> None:
        """The provider says nothing: this machine goes on with the answer."""
        answer = self.answering
        if answer is not None:
            self._start(self._core.call(lambda core: core.continue_answer_here(answer.id)))

    # --- Files

    def attach(self, paths: Sequence[Path]) -> None:
        """What somebody gives to the open conversation: recordings become transcripts, texts go beside the message."""
        self._began = True
        self.first_start_changed.emit()
        self._start(self._attach(tuple(paths)))

    async def _attach(self, paths: tuple[Path, ...]) -> None:
        for path in paths:
            taken = await asyncio.get_running_loop().run_in_executor(None, take, path)
            if not isinstance(taken, TakenFile):
                self.failed.emit(taken)
            elif taken.kind is FileKind.TEXT:
                self.text_attached.emit(as_message(taken))
            elif taken.kind is FileKind.SOUND:
                self._unheard.append(path)
            else:
                self._add_picture(taken)
        self._begin_waiting()
        if self._unheard:
            self.listener_wanted.emit()

    def attach_image(self, data: bytes) -> None:
        """A PNG that was copied out of another program."""
        self.attach([self._copied.keep(data)])

    def _add_picture(self, picture: TakenFile) -> None:
        if len(self.pictures) < PICTURES:
            self._set_pictures((*self.pictures, picture))
        else:
            self.failed.emit(too_many_pictures(PICTURES))

    def forget_unheard(self) -> None:
        """The recordings that wait for a model are not to be transcribed after all."""
        self._unheard.clear()

    def _begin_waiting(self) -> None:
        listener = self.speech.listener(self.target)
        if listener is not None and self._unheard:
            paths, self._unheard = self._unheard, []
            self._start(self._transcribe(paths, listener))

    async def _transcribe(self, paths: list[Path], listener: SpeechChoice) -> None:
        conversation_id = await self._existing()
        for path in paths:
            try:
                await self.transcripts.start(conversation_id, path, listener, self.dictation.language)
            except QvacError as error:
                self._report(error)

    def _hush(self) -> None:
        """The microphone would hear it."""
        if self.dictation.running:
            self.recordings.pause()

    async def _existing(self) -> str:
        """The open conversation; the core learns of one that nobody has written in yet."""
        if self.open_id:
            return self.open_id
        target = self._draft_target
        conversation = await self._core.call(lambda core: core.new_conversation(target))
        self._adopt(conversation.id)
        await self.settings.adopt(conversation.id)
        return conversation.id

    async def _ask(self, question: Message) -> None:
        conversation_id = self.open_id
        try:
            if not conversation_id:
                target = self._draft_target
                conversation = await self._core.call(lambda core: core.new_conversation(target))
                self._asking.discard(conversation_id)
                conversation_id = conversation.id
                self._asking.add(conversation_id)
                self._adopt(conversation_id)
                await self.settings.adopt(conversation_id)
            # Busy until AnswerStarted: the call returns a frame before its events come.
            given = self._given.get(question.id, ())
            await self._core.call(lambda core: core.ask(conversation_id, question.text, given))
            self._given.pop(question.id, None)
        except QvacError:
            self._asking.discard(conversation_id)
            raise

    def _adopt(self, conversation_id: str) -> None:
        """What was written in first is kept from now on, under this id."""
        if self._composing == DRAFT:
            self._pictures[conversation_id] = self._pictures.pop(DRAFT, ())
            self._composing = conversation_id
            self.drafts.move(DRAFT, conversation_id)
            self._keep_drafts_soon()
        if self.open_id == DRAFT:
            self.open_id = conversation_id
            self.conversations_changed.emit()
            self.first_start_changed.emit()

    async def _retry(self, conversation_id: str, message_id: str) -> None:
        try:
            await self._core.call(lambda core: core.branches.retry(conversation_id, message_id))
        except QvacError:
            self._asking.discard(conversation_id)
            raise

    # --- Drafts

    def set_draft(self, draft: Draft) -> None:
        """The person changed what the composer shows."""
        self.drafts.put(self._composing, draft)
        self._keep_drafts_soon()

    def _keep_drafts_soon(self) -> None:
        if self._loaded and not self._keep_soon.isActive():
            self._keep_soon.start()

    async def _keep_drafts(self) -> None:
        for conversation_id, draft in self.drafts.take_unsaved():
            await self._core.call(partial(_keep_draft, conversation_id, draft))

    def _send_waiting(self, conversation_id: str) -> None:
        """The answer before it has ended: ask what waited, also where another conversation is open now."""
        draft = self.drafts.take_waiting(conversation_id)
        if draft is None:
            return
        self._keep_drafts_soon()
        if conversation_id == self.open_id == self._composing:
            if not self.send(draft.message):
                self.drafts.put(conversation_id, Draft(draft.text, draft.pasted), left=True)
            self.draft_changed.emit()
            return

        def not_asked(error: QvacError) -> None:
            self._asking.discard(conversation_id)
            self.drafts.put(conversation_id, Draft(draft.text, draft.pasted), left=True)
            self._keep_drafts_soon()
            self._report(error)

        self._asking.add(conversation_id)
        given = tuple(picture.path for picture in self._pictures.pop(conversation_id, ()))
        self._start(self._core.call(lambda core: core.ask(conversation_id, draft.message, given)), not_asked)

    def _not_asked(self, question: Message, error: QvacError) -> None:
        """The core did not take it: the question stays, and below it why and Retry."""
        answer = Message(
            self._local_id("failed-"), "assistant", "", self._clock(), status="failed", error=describe(error)
        )
        if question in self.messages:
            self.messages.append(answer)
            self.message_added.emit(answer)
        self.answering_changed.emit()
        if not self.busy:
            self._send_waiting(self.open_id)

    # --- Targets and providers

    def set_target(self, target: Target) -> None:
        self._began = True
        self.first_start_changed.emit()
        if not self.open_id:
            self._draft_target = target
            self.target_changed.emit()
            return
        conversation_id = self.open_id
        self._start(self._core.call(lambda core: core.set_target(conversation_id, target)))

    async def add_provider(self, public_key: str, name: str) -> ProviderEntry:
        """Remember a provider and connect to it. Raises QvacError; stages come as `stage_changed`."""
        if self.provider(public_key) is None:
            await self._core.call(lambda core: core.add_provider(public_key, name))
        elif name:
            await self._core.call(lambda core: core.rename_provider(public_key, name))
        return await self._core.call(lambda core: core.connect_provider(public_key))

    def connect_provider(self, public_key: str) -> None:
        """From the picker: what fails is shown there, with the provider."""
        self._start(self._core.call(lambda core: core.connect_provider(public_key)), lambda _error: None)

    def rename_provider(self, public_key: str, name: str) -> None:
        self._start(self._core.call(lambda core: core.rename_provider(public_key, name)))

    def remove_provider(self, public_key: str) -> None:
        self._start(self._core.call(lambda core: core.remove_provider(public_key)))

    def run(self, work: Work, on_error: Callable[[QvacError], None]) -> None:
        """Own a coroutine of a dialog."""
        self._tasks.start(work, on_error)

    # --- A model for this machine

    def download_default(self) -> None:
        self.download_model("", *default_model()[:2])

    def download_model(self, source: str, title: str, octets: int) -> None:
        """source: as the core is asked for it; title, octets: what is shown until it reports."""
        self._wanted_model = source
        self.download = DownloadChanged(title, 0, octets, 0.0)
        self.download_changed.emit(self.download)
        self._start(
            self._core.call(lambda core: core.download_model(source)),
            lambda error: self._not_downloaded(error, title),
        )

    def download_again(self) -> None:
        """After a failure: the same one."""
        failed = self.download
        if failed is None or not self._wanted_model:
            self.download_default()
        else:
            self.download_model(self._wanted_model, failed.model, failed.total)

    def cancel_download(self) -> None:
        source = self._wanted_model
        self._start(self._core.call(lambda core: core.cancel_download(source)))

    def chat_here(self) -> None:
        """This machine answers from now on."""
        self.set_target(NOBODY)

    def _not_downloaded(self, error: QvacError, title: str) -> None:
        if error.name == "DOWNLOAD_CANCELLED":
            self.download = None
            self.download_changed.emit(None)
        elif self.download is None or self.download.error is None:
            self.download = DownloadChanged(title, 0, 0, 0.0, DownloadState.FAILED, describe(error))
            self.download_changed.emit(self.download)

    # --- Events

    def _take(self, event: CoreEvent) -> None:
        match event:
            case AnswerTokens():
                self._grow(event.message_id, lambda m: replace(m, text=m.text + event.text))
            case AnswerThinking():
                self._grow(event.message_id, lambda m: replace(m, thinking=m.thinking + event.text))
            case AnswerSeam():
                self._grow(event.message_id, lambda m: with_seam(m, event.offset, event.sentence))
                self.answering_changed.emit()
            case PathChanged():
                self._take_path(event.conversation_id, event.messages)
            case AnswerStarted():
                self._started(event.conversation_id, event.message)
            case AnswerFinished():
                self._finished(event.message)
            case ConversationsChanged():
                self._take_conversations(event.conversations)
            case ProvidersChanged():
                self.providers = event.providers
                self.providers_changed.emit()
                self.target_changed.emit()
                self.first_start_changed.emit()
            case SharedModelsChanged():
                self.models = _for_chat(event.models)
                self.models_changed.emit()
                self.target_changed.emit()
            case ConnectionStage():
                self.stages[event.provider_key] = event
                self.stage_changed.emit(event)
            case DownloadChanged() if event.model == (self._wanted_model or DEFAULT_SMALL_MODEL.name):
                # Others are the Library's. One that was paused there is shown there.
                stopped = event.state in (DownloadState.PAUSED, DownloadState.CANCELLED)
                self.download = None if stopped else event
                self.download_changed.emit(self.download)
            case _:
                pass  # the Share tab's

    def _take_path(self, conversation_id: str, path: tuple[Message, ...]) -> None:
        if conversation_id != self.open_id:
            return
        path = tuple(self._streaming[m.id][1] if m.id in self._streaming else m for m in path)
        self.messages, kept = merged(self.messages, path)
        for local_id, message in kept:
            self.message_kept.emit(local_id, message)
        self.path_changed.emit()

    def _started(self, conversation_id: str, message: Message) -> None:
        self._streaming[message.id] = (conversation_id, message)
        if message.role != TRANSCRIPT:
            self._asking.discard(conversation_id)
        if conversation_id == self.open_id and not self._show(message):
            self.messages.append(message)
            self.message_added.emit(message)
        self.answering_changed.emit()

    def _grow(self, message_id: str, change: Callable[[Message], Message]) -> None:
        if message_id not in self._streaming:
            return
        conversation_id, message = self._streaming[message_id]
        message = change(message)
        self._streaming[message_id] = (conversation_id, message)
        self._show(message)

    def _finished(self, message: Message) -> None:
        conversation_id, _ = self._streaming.pop(message.id, (None, None))
        self._show(message)
        self.answering_changed.emit()
        if conversation_id is not None and message.role != TRANSCRIPT:
            self._send_waiting(conversation_id)

    def _show(self, message: Message) -> bool:
        """Put a message in the place of its older self; False when it is not in the open conversation."""
        for index in range(len(self.messages) - 1, -1, -1):
            if self.messages[index].id == message.id:
                self.messages[index] = message
                self.message_changed.emit(message)
                return True
        return False

    def _take_conversations(self, conversations: tuple[Conversation, ...]) -> None:
        self.conversations = conversations
        self.conversations_changed.emit()
        self.first_start_changed.emit()
        self.target_changed.emit()
        if self.search_text:
            self._start(self._search(self.search_text))

    # --- Inside

    def _local_id(self, kind: str) -> str:
        self._local_ids += 1
        return f"{kind}{self._local_ids}"

    def _start(self, work: Work, on_error: Callable[[QvacError], None] | None = None) -> None:
        self._tasks.start(work, on_error or self._report)

    def _report(self, error: QvacError) -> None:
        self.failed.emit(describe(error))

    def _likely_target(self) -> Target:
        """The one used last, else a provider, else this machine."""
        for conversation in sorted(self.conversations, key=lambda c: -c.updated_at):
            if self.directory.usable(conversation.target):
                return conversation.target
        if self.models or not self.providers:
            return NOBODY
        provider = self.providers[0]
        return Target(provider.public_key, provider.models[0].source if provider.models else "")


async def _keep_draft(conversation_id: str, draft: Draft, core: CoreInterface) -> None:
    await core.keep_draft(conversation_id, draft)


def _at_rest(message: Message) -> Message:
    """A stored answer that nobody streams any more: the program ended in the middle of it."""
    return replace(message, status="stopped") if message.status == "streaming" else message


def _for_chat(models: tuple[SharedModel, ...]) -> tuple[SharedModel, ...]:
    return tuple(model for model in models if model.ability == "chat")
