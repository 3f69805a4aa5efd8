"""A core without network, models or disk: keeps the state of CoreInterface in memory and does what a test scripts.

Shared by the tests of both tabs. Every intent is noted in `calls`; `fail` makes one raise; `emit` sends any event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from qvac_core.core import transcript
from qvac_core.core.identity_state import OwnIdentity
from qvac_core.core.state import (
    TRANSCRIPT,
    AccessChanged,
    AccessKey,
    AccessMode,
    AccessRules,
    ActiveRequest,
    AnswerFinished,
    AnswerSeam,
    AnswerStarted,
    AnswerStats,
    AnswerTokens,
    ConnectionStage,
    Conversation,
    ConversationsChanged,
    CoreEvent,
    DictationEnded,
    DictationHeard,
    DownloadChanged,
    DownloadState,
    Draft,
    ErrorInfo,
    HistoryCleared,
    KeyLimits,
    Knock,
    KnocksChanged,
    LogEntry,
    Message,
    Nat,
    NetworkReport,
    Picture,
    ProviderEntry,
    ProvidersChanged,
    RemoteModel,
    RequestEnded,
    RequestStarted,
    SettingChanged,
    SharedModel,
    SharedModelsChanged,
    SharingChanged,
    SharingPhase,
    SharingState,
    SpeechChoice,
    Stage,
    Target,
    TranscriptProgress,
    TranslationChanged,
)
from qvac_core.errors import IdentityError, QvacError
from qvac_core.models import DEFAULT_SMALL_MODEL
from tests.gui.fake_chats import FakeBranches, FakeChatFiles, FakeChatSettings
from tests.gui.fake_copies import FakeCopies
from tests.gui.fake_history import FakeHistory
from tests.gui.fake_identity import FakeIdentity
from tests.gui.fake_invites import FakeInvites
from tests.gui.fake_library import FakeLibrary
from tests.gui.fake_limits import FakeLimits
from tests.gui.fake_manners import FakeGauges, FakeManners
from tests.gui.fake_model_options import FakeModelOptions
from tests.gui.fake_model_servers import FakeModelServers
from tests.gui.fake_my_machines import FakeMyMachines
from tests.gui.fake_pausing import FakePausing
from tests.gui.fake_programs import FakePrograms
from tests.gui.fake_receipts import FakeReceipts
from tests.gui.fake_relay_offer import FakeRelayOffer
from tests.gui.fake_spot_checks import FakeSpotChecks
from tests.gui.fake_tools import FakeTools
from tests.gui.fake_translators import FakeTranslators

MY_KEY = "2744ccd10c7533bd736ad890f9dd5cab2adb27b07d500b9493f29cdc420cb2e0"
NOW = 1_795_532_000.0  # 24 November 2026, 13:33 UTC
HOUR = 3600.0
STATS = AnswerStats("Studio desktop", "delegated", "direct", "Qwen3 8B", 0.31, 64.0, 212, 248)

REPORT = NetworkReport(20, 18, ("203.0.113.7", 49737), True, Nat.CONSISTENT)


@dataclass
class Script:
    """What the next answer does: the pieces it streams, where it breaks or is handed on, how it ends.

    `hold`: after the pieces, wait for `stop_answer` or `FakeCore.release`. `seam`: (after which piece, sentence).
    `pace`: seconds between two pieces.
    """

    pieces: tuple[str, ...] = ("Hello", ", ", "world.")
    stats: AnswerStats | None = STATS
    seam: tuple[int, str] | None = None
    error: ErrorInfo | None = None
    hold: bool = False
    pace: float = 0.0


@dataclass
class FakeCore:
    """Implements CoreInterface. All fields may be set before (or while) the window runs."""

    key: str = MY_KEY
    clock: Callable[[], float] = lambda: NOW
    settings: dict[str, str] = field(default_factory=dict)
    sharing_state: SharingState = field(default_factory=SharingState)
    models: tuple[SharedModel, ...] = ()
    rules: AccessRules = field(default_factory=AccessRules)
    open_knocks: tuple[Knock, ...] = ()
    requests: tuple[ActiveRequest, ...] = ()
    log: tuple[LogEntry, ...] = ()
    relay_keys: tuple[str, ...] = ()
    report: NetworkReport = REPORT
    provider_list: tuple[ProviderEntry, ...] = ()
    conversation_list: tuple[Conversation, ...] = ()
    message_lists: dict[str, tuple[Message, ...]] = field(default_factory=dict)
    kept_drafts: dict[str, Draft] = field(default_factory=dict)
    script: Script = field(default_factory=Script)
    speech: tuple[SpeechChoice, ...] = ()
    heard: tuple[tuple[int, int, str], ...] = ((0, 1500, "And so my fellow Americans"),)  # by `start_transcript`
    notices: tuple[str, ...] = ()
    translated: tuple[str, ...] = ("Die Dateinamen ", "sind Tage.")
    spoken: list[bytes] = field(default_factory=list)  # what `dictate` was given
    said: tuple[tuple[str, str], ...] = ()  # (settled, unsettled) after each 50 ms of `spoken`; the last one stays
    calls: list[tuple[object, ...]] = field(default_factory=list)
    fail: dict[str, QvacError] = field(default_factory=dict)  # intent → what it raises, once
    given_options: dict[str, str] = field(default_factory=dict)
    slow: dict[str, asyncio.Event] = field(default_factory=dict)  # intent → what it waits for first
    identity: FakeIdentity = field(default_factory=FakeIdentity)
    history: FakeHistory = field(default_factory=FakeHistory)
    manners: FakeManners = field(default_factory=FakeManners)
    translators: FakeTranslators = field(default_factory=FakeTranslators)
    gauges: FakeGauges = field(default_factory=FakeGauges)
    model_options: FakeModelOptions = field(default_factory=FakeModelOptions)
    started: bool = False
    closed: bool = False

    def __post_init__(self) -> None:
        self.identity.now = OwnIdentity(self.key, self.key)
        self.history.log = lambda: self.log
        self.history.names = lambda: {key.public_key: key.name for key in self.rules.keys}
        self._listeners: list[Callable[[CoreEvent], None]] = []
        self._answers: dict[str, asyncio.Task[None]] = {}
        self._released = asyncio.Event()
        self._count = 0
        self.library = FakeLibrary(self.emit, self._enter)
        self.pausing = FakePausing(self._enter, self.emit)
        self.relay_offer = FakeRelayOffer(self.emit)
        self.limits = FakeLimits(self)
        self.invites = FakeInvites(self)
        self.receipts = FakeReceipts()
        self.my_machines = FakeMyMachines(self._enter)
        self.spot_checks = FakeSpotChecks(self._enter)
        self.programs = FakePrograms(self._enter, self.emit, self.settings)
        self.branches = FakeBranches(self)
        self.chat_settings = FakeChatSettings(self)
        self.chat_files = FakeChatFiles(self)
        self.model_servers = FakeModelServers(self._enter, self.emit)
        self.tools = FakeTools(self._enter, self.emit, self._change_conversation)

    # --- For tests

    def emit(self, event: CoreEvent) -> None:
        for listener in list(self._listeners):
            listener(event)

    def release(self) -> None:
        """Let a held answer finish."""
        self._released.set()

    def called(self, name: str) -> list[tuple[object, ...]]:
        return [call[1:] for call in self.calls if call[0] == name]

    async def answers_ended(self) -> None:
        while self._answers:
            await asyncio.wait(set(self._answers.values()))
            await asyncio.sleep(0)

    def set_sharing(self, state: SharingState) -> None:
        self.sharing_state = state
        self.emit(SharingChanged(state))

    def knock(self, public_key: str, at: float | None = None) -> None:
        self.open_knocks = (Knock(public_key, self.clock() if at is None else at), *self.open_knocks)
        self.emit(KnocksChanged(self.open_knocks))

    def begin_request(self, request: ActiveRequest) -> None:
        self.requests = (*self.requests, request)
        self.emit(RequestStarted(request))

    def end_request(self, request_id: str, outcome: str, error: str = "") -> None:
        request = next(r for r in self.requests if r.id == request_id)
        self.requests = tuple(r for r in self.requests if r.id != request_id)
        entry = LogEntry(
            request.id,
            request.remote_public_key,
            request.method,
            request.model,
            request.started_at,
            (self.clock() - request.started_at) * 1000,
            100,
            request.tokens,
            outcome,
            error,
        )
        self.log = (entry, *self.log)
        self.emit(RequestEnded(entry))

    async def _enter(self, name: str, *arguments: object) -> None:
        self.calls.append((name, *arguments))
        if (gate := self.slow.get(name)) is not None:
            await gate.wait()
        if (error := self.fail.pop(name, None)) is not None:
            raise error

    # --- Life, identity, settings

    def subscribe(self, listener: Callable[[CoreEvent], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def start(self) -> None:
        await self._enter("start")
        self.started = True

    async def close(self) -> None:
        await self._enter("close")
        for task in list(self._answers.values()):
            task.cancel()
        await asyncio.gather(*self._answers.values(), return_exceptions=True)
        self.closed = True

    @property
    def public_key(self) -> str:
        return self.key

    async def setting(self, key: str) -> str:
        return self.settings.get(key, "")

    async def set_setting(self, key: str, value: str) -> None:
        await self._enter("set_setting", key, value)
        self.settings[key] = value
        self.emit(SettingChanged(key))

    async def given(self) -> Mapping[str, str]:
        return self.given_options

    # --- The network

    async def network_report(self) -> NetworkReport:
        await self._enter("network_report")
        return self.report

    async def relays(self) -> tuple[str, ...]:
        return self.relay_keys

    async def set_relays(self, public_keys: Sequence[str]) -> None:
        await self._enter("set_relays", tuple(public_keys))
        self.relay_keys = tuple(_checked(key) for key in public_keys)

    # --- Share my GPU

    async def sharing(self) -> SharingState:
        return self.sharing_state

    async def start_sharing(self) -> None:
        await self._enter("start_sharing")
        self.set_sharing(SharingState(SharingPhase.STARTING, self.clock()))
        self.set_sharing(SharingState(SharingPhase.ANNOUNCED, self.clock()))

    async def stop_sharing(self) -> None:
        await self._enter("stop_sharing")
        self.set_sharing(SharingState(SharingPhase.OFF, self.clock()))
        self.pausing.set()

    async def free_models(self) -> None:
        await self._enter("free_models")
        self._set_models(tuple(replace(m, state="idle") if m.state == "loaded" else m for m in self.models))

    async def shared_models(self) -> tuple[SharedModel, ...]:
        return self.models

    @cached_property
    def copies(self) -> FakeCopies:
        def changed(name: str, copyable: bool) -> None:
            self._set_models(tuple(replace(m, copyable=copyable) if m.name == name else m for m in self.models))

        return FakeCopies(self._enter, changed)

    async def set_model_shared(self, name: str, shared: bool) -> None:
        await self._enter("set_model_shared", name, shared)
        self._set_models(tuple(replace(m, shared=shared) if m.name == name else m for m in self.models))

    async def add_model_file(self, path: Path) -> SharedModel:
        await self._enter("add_model_file", path)
        model = SharedModel(path.name, path.stem, "Q4_1", 98_000_000, 210_000_000, 2048, 4, True, "idle")
        self._set_models((*self.models, model))
        return model

    async def download_model(self, name_or_source: str, *, share: bool = False) -> None:
        await self._enter("download_model", name_or_source)
        name = name_or_source or DEFAULT_SMALL_MODEL.name
        title = "SmolLM2 135M Instruct"
        self.emit(DownloadChanged(name, 49_000_000, 98_000_000, 9_800_000.0, title=title))
        if (gate := self.slow.get("download")) is not None:
            await gate.wait()
        self.emit(DownloadChanged(name, 98_000_000, 98_000_000, 9_800_000.0, DownloadState.DONE, title=title))
        model = SharedModel(name, title, "Q4_1", 98_000_000, 210_000_000, 2048, 4, share, "idle")
        self._set_models((*self.models, model))

    async def cancel_download(self, name_or_source: str) -> None:
        await self._enter("cancel_download", name_or_source)
        if (gate := self.slow.get("download")) is not None:
            gate.set()

    def _set_models(self, models: tuple[SharedModel, ...]) -> None:
        self.models = models
        self.emit(SharedModelsChanged(models))

    async def access_rules(self) -> AccessRules:
        return self.rules

    async def set_access_mode(self, mode: AccessMode) -> None:
        await self._enter("set_access_mode", mode)
        self._set_rules(replace(self.rules, mode=mode))

    async def set_knocks(self, enabled: bool) -> None:
        await self._enter("set_knocks", enabled)
        self._set_rules(replace(self.rules, knocks=enabled))

    async def allow_key(
        self, public_key: str, name: str, *, hours: float | None = None, limits: KeyLimits | None = None
    ) -> None:
        await self._enter("allow_key", public_key, name, hours, *([limits] if limits is not None else []))
        key = _checked(public_key)
        expires = None if hours is None else self.clock() + hours * HOUR
        tokens = limits.tokens_per_day if limits is not None else None
        self._put_key(AccessKey(key, name, False, self.clock(), expires_at=expires, tokens_per_day=tokens))
        self._end_knock(key)

    async def block_key(self, public_key: str, name: str = "") -> None:
        await self._enter("block_key", public_key, name)
        key = _checked(public_key)
        known = next((k for k in self.rules.keys if k.public_key == key), None)
        blocked = AccessKey(key, name, True, self.clock()) if known is None else replace(known, blocked=True)
        self._put_key(replace(blocked, connected=False))
        self._end_knock(key)

    async def remove_key(self, public_key: str) -> None:
        await self._enter("remove_key", public_key)
        self._set_rules(replace(self.rules, keys=tuple(k for k in self.rules.keys if k.public_key != public_key)))

    async def rename_key(self, public_key: str, name: str) -> None:
        await self._enter("rename_key", public_key, name)
        keys = tuple(replace(k, name=name) if k.public_key == public_key else k for k in self.rules.keys)
        self._set_rules(replace(self.rules, keys=keys))

    def _put_key(self, key: AccessKey) -> None:
        others = tuple(k for k in self.rules.keys if k.public_key != key.public_key)
        self._set_rules(replace(self.rules, keys=(*others, key)))

    def _set_rules(self, rules: AccessRules) -> None:
        self.rules = rules
        self.emit(AccessChanged(rules))

    def _end_knock(self, public_key: str) -> None:
        self.open_knocks = tuple(k for k in self.open_knocks if k.public_key != public_key)
        self.emit(KnocksChanged(self.open_knocks))

    async def knocks(self) -> tuple[Knock, ...]:
        return self.open_knocks

    async def dismiss_knock(self, public_key: str) -> None:
        await self._enter("dismiss_knock", public_key)
        self._end_knock(public_key)

    async def active_requests(self) -> tuple[ActiveRequest, ...]:
        return self.requests

    async def stop_request(self, request_id: str) -> None:
        await self._enter("stop_request", request_id)
        self.end_request(request_id, "stopped", "You stopped it.")

    async def request_log(self, limit: int = 200, search: str = "") -> tuple[LogEntry, ...]:
        await self._enter("request_log", limit, search)
        names = {key.public_key: key.name for key in self.rules.keys}
        wanted = search.lower()
        found = [
            entry
            for entry in self.log
            if wanted in f"{entry.model} {names.get(entry.remote_public_key, '')} {entry.outcome}".lower()
        ]
        return tuple(found[:limit])

    async def clear_log(self) -> None:
        await self._enter("clear_log")
        self.log = ()
        self.emit(HistoryCleared())

    # --- Chat

    async def providers(self) -> tuple[ProviderEntry, ...]:
        return self.provider_list

    async def add_provider(self, public_key: str, name: str = "") -> ProviderEntry:
        await self._enter("add_provider", public_key, name)
        key = _checked(public_key)
        if key == self.key:
            raise IdentityError("This is your own key: it means this machine.")
        entry = ProviderEntry(key, name or key[:8], added_at=self.clock())
        self._set_providers((*(p for p in self.provider_list if p.public_key != key), entry))
        return entry

    async def rename_provider(self, public_key: str, name: str) -> None:
        await self._enter("rename_provider", public_key, name)
        self._set_providers(
            tuple(replace(p, name=name) if p.public_key == public_key else p for p in self.provider_list)
        )

    async def remove_provider(self, public_key: str) -> None:
        await self._enter("remove_provider", public_key)
        self._set_providers(tuple(p for p in self.provider_list if p.public_key != public_key))

    async def connect_provider(self, public_key: str) -> ProviderEntry:
        """Runs through all stages; `fail["connect_provider"]` fails while connecting, as the real core reports it."""
        self.emit(ConnectionStage(public_key, Stage.FINDING, 0.0))
        self._change_provider(public_key, state="connecting")
        self.emit(ConnectionStage(public_key, Stage.CONNECTING, 0.4))
        try:
            await self._enter("connect_provider", public_key)
        except QvacError as error:
            info = ErrorInfo(error.name, error.code, error.message, "")
            self.emit(ConnectionStage(public_key, Stage.FAILED, 0.9, error=info))
            self._change_provider(public_key, state="offline", error=info)
            raise
        self.emit(ConnectionStage(public_key, Stage.HANDSHAKE, 0.1))
        self.emit(ConnectionStage(public_key, Stage.READY, 0.6))
        models = (
            RemoteModel("Qwen3 8B", "qwen3-8b-q4_k_m.gguf", 5_000_000_000, 8192, True),
            RemoteModel("GPT-OSS 20B", "gpt-oss-20b.gguf", 12_100_000_000, 8192, False),
        )
        entry = next(p for p in self.provider_list if p.public_key == public_key)
        return self._change_provider(public_key, state="online", rtt_ms=38.0, models=entry.models or models, error=None)

    def _change_provider(self, public_key: str, **changes: object) -> ProviderEntry:
        self._set_providers(
            tuple(
                replace(p, **changes) if p.public_key == public_key else p  # type: ignore[arg-type]
                for p in self.provider_list
            )
        )
        return next(p for p in self.provider_list if p.public_key == public_key)

    def _set_providers(self, providers: tuple[ProviderEntry, ...]) -> None:
        self.provider_list = providers
        self.emit(ProvidersChanged(providers))

    async def conversations(self) -> tuple[Conversation, ...]:
        return self.conversation_list

    async def messages(self, conversation_id: str) -> tuple[Message, ...]:
        return self.message_lists.get(conversation_id, ())

    async def new_conversation(self, target: Target) -> Conversation:
        await self._enter("new_conversation", target)
        now = self.clock()
        conversation = Conversation(self._id("conversation"), "New conversation", now, now, target=target)
        self.message_lists[conversation.id] = ()
        self._set_conversations((conversation, *self.conversation_list))
        return conversation

    async def rename_conversation(self, conversation_id: str, title: str) -> None:
        await self._enter("rename_conversation", conversation_id, title)
        self._change_conversation(conversation_id, title=title)

    async def pin_conversation(self, conversation_id: str, pinned: bool) -> None:
        await self._enter("pin_conversation", conversation_id, pinned)
        self._change_conversation(conversation_id, pinned=pinned)

    async def delete_conversation(self, conversation_id: str) -> None:
        await self._enter("delete_conversation", conversation_id)
        self._set_conversations(tuple(c for c in self.conversation_list if c.id != conversation_id))

    async def set_target(self, conversation_id: str, target: Target) -> None:
        await self._enter("set_target", conversation_id, target)
        self._change_conversation(conversation_id, target=target)

    async def drafts(self) -> dict[str, Draft]:
        return dict(self.kept_drafts)

    async def keep_draft(self, conversation_id: str, draft: Draft) -> None:
        await self._enter("keep_draft", conversation_id, draft)
        self.kept_drafts.pop(conversation_id, None)
        if draft.message:
            self.kept_drafts[conversation_id] = draft

    async def ask(self, conversation_id: str, text: str, pictures: Sequence[Path] = ()) -> str:
        await self._enter("ask", conversation_id, text, *([tuple(pictures)] if pictures else []))
        shown = tuple(Picture("ab" * 32, "image/png", path.name) for path in pictures)
        message = Message(self._id("message"), "user", text, self.clock(), pictures=shown)
        self.branches.set_path(conversation_id, (*self.message_lists.get(conversation_id, ()), message))
        return self._answer(conversation_id)

    def picture_file(self, sha256: str) -> Path:
        return Path(sha256)

    async def retry(self, conversation_id: str) -> str:
        return await self.branches.retry(conversation_id)

    async def continue_answer_here(self, message_id: str) -> None:
        await self._enter("continue_answer_here", message_id)

    async def stop_answer(self, message_id: str) -> None:
        await self._enter("stop_answer", message_id)
        if (task := self._answers.get(message_id)) is not None:
            task.cancel()

    # --- Speech

    async def speech_models(self) -> tuple[SpeechChoice, ...]:
        return self.speech

    async def start_dictation(self, dictation_id: str, listener: Target, language: str = "") -> None:
        await self._enter("start_dictation", listener, language)
        self.spoken.clear()

    async def dictate(self, dictation_id: str, samples: bytes) -> None:
        await self._enter("dictate", dictation_id)
        self.spoken.append(samples)
        self.emit(DictationHeard(dictation_id, *self._understood()))

    async def end_dictation(self, dictation_id: str) -> None:
        await self._enter("end_dictation", dictation_id)
        self.emit(DictationEnded(dictation_id, "".join(self._understood())))

    async def start_translation(
        self,
        translation_id: str,
        text: str,
        to: str,
        target: Target,
        source: str = "",
        engines_at: str = "",
        others: Sequence[Target] = (),
    ) -> None:
        """Streams `translated`, held at the end with `script.hold`; `fail["translation"]` fails it there. script.seam:
        after that piece another machine begins anew."""
        more = (source, engines_at, tuple(others))
        await self._enter("start_translation", text, to, target, *(said for said in more if said))
        task = asyncio.get_running_loop().create_task(self._translate(translation_id))
        self._answers[translation_id] = task
        task.add_done_callback(lambda _task: self._answers.pop(translation_id, None))

    async def stop_translation(self, translation_id: str) -> None:
        await self._enter("stop_translation", translation_id)
        if (task := self._answers.get(translation_id)) is not None:
            task.cancel()

    async def _translate(self, translation_id: str) -> None:
        text, error, seam = "", None, ""
        self._released.clear()
        try:
            for place, piece in enumerate(self.translated):
                if self.script.seam is not None and self.script.seam[0] == place:
                    text, seam = "", self.script.seam[1]
                text += piece
                self.emit(TranslationChanged(translation_id, text, seam=seam))
                await asyncio.sleep(0)
            if self.script.hold:
                await self._released.wait()
            if (failure := self.fail.pop("translation", None)) is not None:
                error = ErrorInfo(failure.name, failure.code, failure.message, "")
        except asyncio.CancelledError:
            pass
        self.emit(TranslationChanged(translation_id, text, False, error, seam))

    async def start_transcript(self, conversation_id: str, path: Path, listener: Target, language: str = "") -> str:
        """Streams `heard`, held at the end with `script.hold`; `fail["transcript"]` fails it after the lines."""
        await self._enter("start_transcript", conversation_id, path, listener, language)
        stats = AnswerStats("This machine", "local", "local", listener.model, 0, 0, 0, 0)
        text = transcript.begin(path.name, path.stat().st_size if path.exists() else 39_600_000, str(path))
        message = Message(self._id("transcript"), TRANSCRIPT, text, self.clock(), "streaming", stats=stats)
        task = asyncio.get_running_loop().create_task(self._transcribe(conversation_id, message))
        self._answers[message.id] = task
        task.add_done_callback(lambda _task: self._answers.pop(message.id, None))
        return message.id

    async def stop_transcript(self, message_id: str) -> None:
        await self._enter("stop_transcript", message_id)
        if (task := self._answers.get(message_id)) is not None:
            task.cancel()

    async def continue_transcript(self, conversation_id: str, message_id: str) -> None:
        await self._enter("continue_transcript", conversation_id, message_id)
        message = next(each for each in await self.messages(conversation_id) if each.id == message_id)
        message = replace(message, status="streaming", error=None)
        self._answers[message.id] = asyncio.get_running_loop().create_task(self._transcribe(conversation_id, message))

    async def _transcribe(self, conversation_id: str, message: Message) -> None:
        self._released.clear()
        self._keep(conversation_id, message)
        self.emit(AnswerStarted(conversation_id, message))
        total = 2_530_000
        try:
            for start, end, words in self.heard:
                text = transcript.piece(start, end, words)
                message = replace(message, text=message.text + text)
                self.emit(AnswerTokens(conversation_id, message.id, text))
                self.emit(TranscriptProgress(message.id, end, total, 47.0))
                await asyncio.sleep(0)
            if self.script.hold:
                await self._released.wait()
            if (error := self.fail.pop("transcript", None)) is not None:
                message = replace(message, status="failed", error=ErrorInfo(error.name, error.code, error.message, ""))
            else:
                text = transcript.end("en", total, self.notices)
                message = replace(message, text=message.text + text, status="done")
                self.emit(AnswerTokens(conversation_id, message.id, text))
        except asyncio.CancelledError:
            message = replace(message, status="stopped")
        self._keep(conversation_id, message)
        self.emit(AnswerFinished(conversation_id, message))

    def _understood(self) -> tuple[str, str]:
        blocks = sum(len(samples) for samples in self.spoken) // 3200
        return self.said[min(blocks, len(self.said)) - 1] if self.said and blocks else ("", "")

    async def discard_dictation(self, dictation_id: str) -> None:
        await self._enter("discard_dictation", dictation_id)

    def _answer(self, conversation_id: str, half: Message | None = None) -> str:
        message = half or Message(self._id("answer"), "assistant", "", self.clock(), status="streaming")
        self._released.clear()
        task = asyncio.get_running_loop().create_task(self._stream(conversation_id, message, self.script))
        self._answers[message.id] = task
        task.add_done_callback(lambda _task: self._answers.pop(message.id, None))
        return message.id

    async def _stream(self, conversation_id: str, message: Message, script: Script) -> None:
        """Events as the real core sends them; each piece gives the loop back once."""
        self._keep(conversation_id, message)
        self.emit(AnswerStarted(conversation_id, message))
        try:
            for index, piece in enumerate(script.pieces):
                if script.seam is not None and script.seam[0] == index:
                    offset = len(message.text)
                    message = replace(message, seams=(*message.seams, (offset, script.seam[1])))
                    self.emit(AnswerSeam(conversation_id, message.id, offset, script.seam[1]))
                message = replace(message, text=message.text + piece)
                self.emit(AnswerTokens(conversation_id, message.id, piece))
                await asyncio.sleep(script.pace)
            if script.hold:
                await self._released.wait()
            status = "failed" if script.error is not None else "done"
            message = replace(message, status=status, stats=script.stats, error=script.error)
        except asyncio.CancelledError:
            stats = replace(script.stats, ending="stopped") if script.stats is not None else None
            message = replace(message, status="stopped", stats=stats)
        self._keep(conversation_id, message)
        self.emit(AnswerFinished(conversation_id, message))

    def _keep(self, conversation_id: str, message: Message) -> None:
        others = tuple(m for m in self.message_lists.get(conversation_id, ()) if m.id != message.id)
        self.message_lists[conversation_id] = (*others, message)

    def _change_conversation(self, conversation_id: str, **changes: object) -> None:
        self._set_conversations(
            tuple(
                replace(c, **changes) if c.id == conversation_id else c  # type: ignore[arg-type]
                for c in self.conversation_list
            )
        )

    def _set_conversations(self, conversations: tuple[Conversation, ...]) -> None:
        self.conversation_list = conversations
        self.emit(ConversationsChanged(conversations))

    def _id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"


def _checked(public_key: str) -> str:
    bare = "".join(public_key.split()).lower()
    if len(bare) != 64 or any(c not in "0123456789abcdef" for c in bare):
        raise IdentityError("This is not a public key: 64 hexadecimal digits are needed.")
    return bare
