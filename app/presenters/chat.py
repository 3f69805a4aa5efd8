"""What one window with a chat shows and does: the open conversation, the search, whom it asks, its dialogs.

What all windows have alike is in `Chats`; a presenter that is given none has one of its own. State flows core → here →
view by signals; intents flow back as owned tasks. docs/architecture.md, "One core, one owner".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.audio.microphone import Input
from app.audio.player import Output
from app.bridge import CoreProxy
from app.given_files import FileKind, TakenFile, as_message, take, too_many_pictures
from app.presenters.chat_archive import Archive
from app.presenters.chat_directory import Directory, Speaker, model_label
from app.presenters.chat_drafts import Drafts
from app.presenters.chat_settings import ChatSettings
from app.presenters.chat_words import default_model
from app.presenters.chats import Chats, Unwritten
from app.presenters.dictation import Dictation
from app.presenters.recordings import Recordings
from app.presenters.speech import Speech
from app.presenters.tools import ChatTools
from app.presenters.transcripts import Transcripts
from app.presenters.translations import Translations
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.interface import CoreInterface
from qvac_core.core.state import (
    AnswerPlace,
    ConnectionStage,
    Conversation,
    DownloadChanged,
    Draft,
    ErrorInfo,
    Hit,
    Message,
    Offer,
    ProviderEntry,
    SharedModel,
    SpeechChoice,
    Target,
)
from qvac_core.engines.pictures import PICTURES
from qvac_core.errors import QvacError

if TYPE_CHECKING:
    from app.presenters.my_machine import MyMachinePresenter
    from app.presenters.receipts import ReceiptsPresenter
    from app.presenters.spot_check import SpotCheckPresenter

Work = Coroutine[Any, Any, object]

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
    place_changed = Signal(str)  # the message that waits for its turn
    download_changed = Signal(object)  # DownloadChanged
    failed = Signal(object)  # ErrorInfo of an intent that has no better place
    first_start_changed = Signal()
    share_requested = Signal()
    draft_changed = Signal()  # not by the person in this window
    text_attached = Signal(str)
    listener_wanted = Signal()  # a recording waits for a model that understands speech
    pictures_changed = Signal()

    def __init__(
        self,
        core: CoreProxy,
        parent: QObject | None = None,
        *,
        chats: Chats | None = None,
        draft_key: str = DRAFT,
        clock: Callable[[], float] = time.time,
        sound: Input | None = None,
        loudspeaker: Output | None = None,
    ) -> None:
        """draft_key: of the conversation in this window that nobody has written in yet; each window has another one."""
        super().__init__(parent)
        self._core = core
        self._tasks = Tasks()
        self._alone = chats is None
        self.chats = chats or Chats(core, self, clock=clock, sound=sound, loudspeaker=loudspeaker)
        self.draft_key = draft_key
        self.found: tuple[Conversation, ...] | None = None  # None: no search
        self.hits: dict[str, Hit] = {}  # where each of those contains what is searched
        self.search_text = ""
        self.open_id = DRAFT
        self._draft_target = NOBODY
        self.speech.changed.connect(self._begin_waiting)
        self.settings = ChatSettings(core, self)
        self.tools = ChatTools(core, self)
        self.archive = Archive(core, self)
        self.archive.brought.connect(self.open)
        self._unheard: list[Path] = []  # recordings that wait for a model
        self.key = draft_key  # of the conversation that messages and composer show
        self._held = True
        self.messages = self._hold_draft()
        self._connect()

    def _connect(self) -> None:
        chats = self.chats
        chats.conversations_changed.connect(self._take_conversations)
        chats.providers_changed.connect(self._take_providers)
        chats.models_changed.connect(self._take_models)
        chats.stage_changed.connect(self.stage_changed)
        chats.place_changed.connect(self.place_changed)
        chats.download_changed.connect(self.download_changed)
        chats.first_start_changed.connect(self.first_start_changed)
        chats.answering_changed.connect(self.answering_changed)
        chats.message_added.connect(self._added)
        chats.message_changed.connect(self._changed)
        chats.message_kept.connect(self._kept)
        chats.path_changed.connect(self._path_changed)
        chats.draft_changed.connect(self._draft_changed)
        chats.pictures_changed.connect(self._pictures_changed)
        chats.adopted.connect(self._adopted)
        chats.deleted.connect(self._deleted)
        chats.failed.connect(self._failed_there)

    # --- Life

    async def load(self, conversation_id: str | None = None) -> None:
        """conversation_id: what to open, DRAFT for a new one; None or one that is gone: the one that was used last."""
        if self._alone:
            await self.chats.load()
        await self.settings.load()
        await self.tools.load()
        self._draft_target = self._likely_target()
        for signal in (self.providers_changed, self.models_changed, self.conversations_changed):
            signal.emit()
        self.first_start_changed.emit()
        known = [c.id for c in sorted(self.conversations, key=lambda c: c.updated_at)]
        if self.draft_key in self.chats.begun:  # somebody writes already
            self.chats.keep_drafts_soon()
            self.target_changed.emit()
        elif known and conversation_id != DRAFT:
            await self._open(conversation_id if conversation_id in known else known[-1])
        else:
            self.new_conversation()

    async def close(self) -> None:
        """The program ends."""
        if self._alone:
            await self.chats.close()
        self.release()
        await self.settings.close()
        await self.tools.close()
        await self.archive.close()
        await self._tasks.close()

    async def end(self) -> None:
        """The window closes and the program goes on: what was begun here ends by itself, what is written is kept."""
        await self.chats.keep_unwritten(self.draft_key, self._draft_target)
        for tasks in (self._tasks, self.settings, self.tools, self.archive):
            await tasks.settle()
        await self.close()

    def release(self) -> None:
        """Nothing is shown here any more."""
        if self._held:
            self._held = False
            self.chats.leave(self.key)

    async def settle(self) -> None:
        """Wait until every intent has ended (tests, and screens that close)."""
        await self._tasks.settle()
        await self.chats.settle()
        await self.settings.settle()
        await self.tools.settle()
        await self.archive.settle()

    # --- What is so

    @property
    def now(self) -> float:
        return self.chats.clock()

    @property
    def public_key(self) -> str:
        return self._core.public_key

    @property
    def conversations(self) -> tuple[Conversation, ...]:
        return self.chats.conversations

    @property
    def providers(self) -> tuple[ProviderEntry, ...]:
        return self.chats.providers

    @property
    def models(self) -> tuple[SharedModel, ...]:
        return self.chats.models

    @property
    def stages(self) -> dict[str, ConnectionStage]:
        return self.chats.stages

    @property
    def places(self) -> dict[str, AnswerPlace]:
        return self.chats.places

    @property
    def download(self) -> DownloadChanged | None:
        return self.chats.download

    @property
    def drafts(self) -> Drafts:
        return self.chats.drafts

    @property
    def speech(self) -> Speech:
        return self.chats.speech

    @property
    def dictation(self) -> Dictation:
        return self.chats.dictation

    @property
    def transcripts(self) -> Transcripts:
        return self.chats.transcripts

    @property
    def recordings(self) -> Recordings:
        return self.chats.recordings

    @property
    def translations(self) -> Translations:
        return self.chats.translations

    @property
    def first_start(self) -> bool:
        return self.chats.first_start

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
        return self.chats.answering(self._open_key)

    @property
    def busy(self) -> bool:
        return self.chats.busy(self._open_key)

    @property
    def _open_key(self) -> str:
        return self.open_id or self.draft_key

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

    def receipts_of(self, message_id: str) -> ReceiptsPresenter:
        """Of an answer: one of each machine that had a part in it."""
        from app.presenters.receipts import ReceiptsPresenter  # seldom needed, and not before the window is seen
        from qvac_core.core.receipts_room import ReceiptQuery, ReceiptSide

        query = ReceiptQuery(ReceiptSide.TAKEN, request_id=message_id)
        return ReceiptsPresenter(self._core, self._tasks, query, self._provider_name, model_label)

    def machine(self, provider: ProviderEntry) -> MyMachinePresenter:
        """Of a machine of one's own."""
        from app.presenters.my_machine import MyMachinePresenter  # seldom needed, and not before the window is seen

        name, key = provider.name, provider.public_key
        return MyMachinePresenter(
            self._core, self._tasks, key, name, self._provider_name, model_label, clock=self.chats.clock
        )

    def spot_check(self, provider: ProviderEntry) -> SpotCheckPresenter:
        """Whether it computes with the model file that it names."""
        from app.presenters.spot_check import SpotCheckPresenter  # seldom needed, and not before the window is seen

        return SpotCheckPresenter(self._core, self._tasks, provider, self.providers, self._provider_name)

    def _provider_name(self, public_key: str) -> str:
        entry = self.provider(public_key)
        return entry.name if entry is not None else ""

    def speaker(self, message: Message) -> Speaker:
        return self.directory.speaker(message, self.target)

    @property
    def draft(self) -> Draft:
        """What the composer shows."""
        return self.drafts.get(self.key)

    @property
    def draft_was_left(self) -> bool:
        """It waited for an answer that ended with the program, and was not sent."""
        return self.drafts.was_left(self.key)

    def last_answer(self) -> Message | None:
        return next((m for m in reversed(self.messages) if m.role == "assistant"), None)

    # --- Conversations

    def new_conversation(self) -> None:
        """An empty conversation; it is kept from its first message on."""
        self._draft_target = self.target if self.open_id else self._draft_target
        if not self.directory.usable(self._draft_target):
            self._draft_target = self._likely_target()
        self.open_id = DRAFT
        self._show(self.draft_key, [])
        self.settings.begin_new()
        self.tools.begin_new()
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
                self.chats.take_path(conversation_id, await self.chats.path(conversation_id))
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
        self._start(self.chats.delete(conversation_id))

    def search(self, text: str) -> None:
        self.search_text = text.strip()
        if not self.search_text:
            self.found, self.hits = None, {}
            self.conversations_changed.emit()
            return
        self._start(self._search(self.search_text))

    async def _open(self, conversation_id: str) -> None:
        self.open_id = conversation_id
        messages = await self.chats.read(conversation_id)
        if self.open_id != conversation_id:
            return
        self._show(conversation_id, messages)
        self.opened.emit()
        self.target_changed.emit()
        self.answering_changed.emit()

    def _show(self, key: str, messages: list[Message]) -> None:
        self.release()
        self.key = key
        self.messages = self._hold_draft() if key == self.draft_key else self.chats.hold(key, messages)
        self._held = True

    def _hold_draft(self) -> list[Message]:
        unwritten = Unwritten(lambda: self._draft_target, self._adopt_choices)
        return self.chats.hold(self.draft_key, [], unwritten)

    def _deleted(self, conversation_id: str) -> None:
        if conversation_id == self.open_id:
            rest = [c for c in self.conversations if c.id != conversation_id]
            if rest:
                self._start(self._open(max(rest, key=lambda c: c.updated_at).id))
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
        return self.chats.pictures(self.key)

    def remove_picture(self, place: int) -> None:
        self._set_pictures(tuple(p for at, p in enumerate(self.pictures) if at != place))

    def _set_pictures(self, pictures: tuple[TakenFile, ...]) -> None:
        self.chats.set_pictures(self.key, pictures)

    def send(self, text: str) -> bool:
        """Ask; False when there is nothing to ask or an answer still runs (the text stays with the person)."""
        return self.chats.send(self.key, text)

    def retry(self, message_id: str = "") -> None:
        """Answer again, beside that answer or the last one. A last one that broke off in the middle goes on."""
        self.chats.retry(self.key, message_id)

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
        if self.open_id:
            self.chats.change_path(self.open_id, act)

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
        self.chats.begin()
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
        self.attach([self.chats.copied.keep(data)])

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
        conversation_id = await self.chats.existing(self._open_key)
        for path in paths:
            try:
                await self.transcripts.start(conversation_id, path, listener, self.dictation.language)
            except QvacError as error:
                self._report(error)

    # --- Drafts

    def set_draft(self, draft: Draft) -> None:
        """The person changed what the composer shows."""
        self.chats.set_draft(self.key, draft, self)

    # --- Targets and providers

    def set_target(self, target: Target) -> None:
        self.chats.begin()
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

    async def read_invite(self, link: str) -> Offer:
        """What a link promises. Raises LocalProtocolError for one of no use."""

        async def read(core: CoreInterface) -> Offer:
            return core.invites.read(link)

        return await self._core.call(read)

    async def accept_invite(self, link: str, name: str) -> ProviderEntry:
        """Take a place and connect. Raises QvacError with its owner's reason."""
        return await self._core.call(lambda core: core.invites.accept(link, name))

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
        self.chats.download_model(source, title, octets)

    def download_again(self) -> None:
        """After a failure: the same one."""
        self.chats.download_again()

    def cancel_download(self) -> None:
        self.chats.cancel_download()

    def chat_here(self) -> None:
        """This machine answers from now on."""
        self.set_target(NOBODY)

    # --- What all windows are told

    def _take_conversations(self) -> None:
        self.conversations_changed.emit()
        self.first_start_changed.emit()
        self.target_changed.emit()
        if self.search_text:
            self._start(self._search(self.search_text))

    def _take_providers(self) -> None:
        self.providers_changed.emit()
        self.target_changed.emit()
        self.first_start_changed.emit()

    def _take_models(self) -> None:
        self.models_changed.emit()
        self.target_changed.emit()

    def _added(self, key: str, message: Message) -> None:
        if key == self.key:
            self.message_added.emit(message)

    def _changed(self, key: str, message: Message) -> None:
        if key == self.key:
            self.message_changed.emit(message)

    def _kept(self, key: str, local_id: str, message: Message) -> None:
        if key == self.key:
            self.message_kept.emit(local_id, message)

    def _path_changed(self, key: str) -> None:
        if key == self.key:
            self.path_changed.emit()

    def _draft_changed(self, key: str, writer: QObject | None) -> None:
        if key == self.key and writer is not self:
            self.draft_changed.emit()

    def _pictures_changed(self, key: str) -> None:
        if key == self.key:
            self.pictures_changed.emit()

    async def _adopt_choices(self, conversation_id: str) -> None:
        await self.settings.adopt(conversation_id)
        await self.tools.adopt(conversation_id)

    def _adopted(self, key: str, conversation_id: str) -> None:
        if key == self.key:
            self.key = conversation_id
        if key == self._open_key:
            self.open_id = conversation_id

    def _failed_there(self, key: str, error: ErrorInfo) -> None:
        """Of a conversation that no window shows, the first window tells it."""
        if key == self.key or (self.draft_key == DRAFT and not self.chats.is_shown(key)):
            self.failed.emit(error)

    # --- Inside

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
