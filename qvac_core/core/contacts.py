"""The providers this person knows: their names, whether they can be reached, their models, and answers from them."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from msgspec import UNSET

from qvac_core.codec import Address
from qvac_core.codec.key_text import short_key
from qvac_core.core.answering import AnswerPart, Began, Question, Thinking, TranslationWish
from qvac_core.core.chat_parameters import generation_params, longest, response_format, with_instructions
from qvac_core.core.choosing import Standing, standing_as_told
from qvac_core.core.error_text import describe
from qvac_core.core.event_hub import EventHub
from qvac_core.core.guest_terms import guest_terms
from qvac_core.core.provider_translators import RemoteTranslator, pairs_of, route_there, translators_of
from qvac_core.core.reconnecting import Reconnecting
from qvac_core.core.state import (
    AnswerPlace,
    AnswerStats,
    ConnectionStage,
    ErrorInfo,
    Parameters,
    ProviderEntry,
    ProvidersChanged,
    RemoteModel,
    SpeechChoice,
    Stage,
    Target,
)
from qvac_core.core.translators import route
from qvac_core.core.waiting_times import believed
from qvac_core.core.waking import Sleepers
from qvac_core.delegation.completion import Completion, CompletionFinal
from qvac_core.delegation.connection import ProviderConnection
from qvac_core.delegation.consumer import Consumer, Delegate
from qvac_core.delegation.failures import Code, Reason, is_key_refused
from qvac_core.delegation.life_signs import LifeSigns
from qvac_core.delegation.messages import (
    ContentDelta,
    ContinueFrom,
    ModelEntry,
    ModelProgress,
    ThinkingDelta,
    ToolCall,
    ToolError,
)
from qvac_core.delegation.model_config import TRANSLATION_MODEL_TYPE
from qvac_core.delegation.picture_upload import wire_history
from qvac_core.delegation.tool_wire import engine_event, wire_tools
from qvac_core.delegation.translation_run import TranslationRun, UpTo
from qvac_core.errors import DelegationError, IdentityError, ModelError, NetworkError, ProviderError, QvacError
from qvac_core.hyperdht import ConnectStage
from qvac_core.models import all_models, by_name, model_title
from qvac_core.store.records import KnownProvider
from qvac_core.store.store import Store
from qvac_core.tasks import TaskOwner

# What we ask for; a provider of ours answers with its owner's own limits, the original takes it as it is.
CONTEXT_TOKENS = 4096
CHAT_TYPE = "llamacpp-completion"
SUSPICIONS = {ConnectStage.SILENT: "PEER_CONNECTION_FAILED", ConnectStage.ALONE: "NETWORK_OFFLINE"}
# A provider lets five knocks a minute through from one address, behind which several may sit: three of each are enough.
KNOCK_PAUSE = 10.0
# What a provider may say about when to ask again, at most (seconds).
MOST_DENIED = 86400.0
# A provider that is tried again within this many seconds is shown as connecting, not as offline.
SOON = 8.0
# A machine that was called out of its sleep is waited for so long, called again so often, and asked whether it is there
# with a pause between (seconds): from suspend to the network takes a few, from hibernation a minute.
WAKE_SECONDS, CALL_AGAIN, WAKE_PAUSE = 120.0, 20.0, 1.0
# How one of ours stands is asked before a question to several, waited for so long, and believed for a while (seconds).
LOOK_SECONDS, LISTED_SECONDS = 0.3, 0.5


RunT = TypeVar("RunT", Completion, TranslationRun)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a provider is to load. tools: a model that was loaded without them hears of none.

    source, to: by translation models, from that language into this one; `model` is of no meaning then.
    """

    key: str
    model: str = ""
    tools: bool = False
    source: str = ""
    to: str = ""


@dataclass(frozen=True, slots=True)
class _LoadedAt:
    """A model that a provider loaded for us, on the connection that holds it."""

    connection: ProviderConnection
    model_id: str
    sha256: str


class Contacts:
    """Implements Responder for providers."""

    def __init__(
        self, store: Store, events: EventHub, consumer: Consumer, own_key: bytes, sleepers: Sleepers | None = None
    ) -> None:
        """sleepers: those of them that can be woken."""
        self._sleepers = sleepers
        self._waking: set[str] = set()  # providers that were called out of their sleep
        self._store = store
        self._events = events
        self._consumer = consumer
        self._own_key = own_key.hex()
        self._entries = {known.public_key: _entry(known) for known in store.providers.records()}
        self._listeners: dict[str, tuple[ModelEntry, ...]] = {}  # models that understand speech, by provider
        self._stages: dict[str, _Stages] = {}
        self._relays = {known.public_key: known.relays for known in store.providers.records()}
        self._translators: dict[str, tuple[RemoteTranslator, ...]] = {}  # translation models, by provider
        self._listed_at: dict[str, float] = {}  # loop time, of those that tell how they stand
        self._refused_until: dict[str, float] = {}  # loop time; it said when it may be asked again
        self._loaded: dict[_Wanted, _LoadedAt] = {}
        self._watched: dict[str, ProviderConnection] = {}
        self._lost_at: dict[str, float] = {}  # loop time at which a connection ended that is not back
        self._life: dict[str, LifeSigns] = {}
        self._tasks = TaskOwner()
        self._writes = TaskOwner()  # what is to be kept is, whatever ends meanwhile
        self._reconnecting = Reconnecting(self._connect_again, _is_final, least_pause=_least_pause)
        self._closed = False

    async def close(self) -> None:
        """Answers belong to the chats, and connections to the consumer."""
        self._closed = True
        await self._reconnecting.close()
        await self._tasks.close()
        await self._writes.finish()

    # --- The list -------------------------------------------------------------------------------------------------

    def entries(self) -> tuple[ProviderEntry, ...]:
        return tuple(self._entries.values())

    async def add(self, public_key: str, name: str) -> ProviderEntry:
        """Remember a provider. Raises IdentityError for one's own key."""
        if public_key == self._own_key:
            raise IdentityError("This is your own key. To use this machine's models, choose This machine.")
        known = await self._store.database.run(self._store.providers.add, public_key, name.strip(), time.time())
        self._put(replace(self._entries.get(public_key, _entry(known)), name=known.name or short_key(public_key)))
        return self._entries[public_key]

    async def rename(self, public_key: str, name: str) -> None:
        await self._store.database.run(self._store.providers.rename, public_key, name.strip())
        if public_key in self._entries:
            self._put(replace(self._entries[public_key], name=name.strip() or short_key(public_key)))

    async def remove(self, public_key: str) -> None:
        self._reconnecting.stop(public_key)
        await self._store.database.run(self._store.providers.remove, public_key)
        self._entries.pop(public_key, None)
        self._relays.pop(public_key, None)
        if self._sleepers is not None:
            self._sleepers.forget(public_key)
        await self._consumer.disconnect(bytes.fromhex(public_key))
        self._changed()

    def _put(self, entry: ProviderEntry) -> None:
        self._entries[entry.public_key] = entry
        self._changed()

    def _changed(self) -> None:
        self._events.emit(ProvidersChanged(self.entries()))

    # --- Reaching one ---------------------------------------------------------------------------------------------

    async def connect(self, public_key: str) -> ProviderEntry:
        """Connect and ask for the models. Raises DelegationError; the entry then says why as well."""
        if public_key not in self._entries:
            await self.add(public_key, "")
        stages = self._stages[public_key] = _Stages(self._events, public_key)
        entry = self._entries[public_key]
        if entry.state != "waiting":  # that goes on to be so while it is asked once more
            state = "waking" if public_key in self._waking else "connecting"
            self._put(replace(entry, state=state, error=None, retry_at=None))
        delegate = Delegate(bytes.fromhex(public_key))
        try:
            await self._consumer.heartbeat(delegate)  # connects
            rtt = await self._consumer.heartbeat(delegate)
            stages.enter(Stage.LOADING)
            models = await self._models(delegate)
        except QvacError as error:
            self._failed(public_key, stages, error)
            raise
        self._watch(public_key)
        stages.enter(Stage.READY)
        self._reconnecting.stop(public_key)
        if public_key in self._entries:  # it may have been removed meanwhile
            entry = self._entries[public_key]
            online = replace(entry, state="online", rtt_ms=rtt * 1000, models=models, last_connected=time.time())
            online = replace(online, translates=pairs_of(self._translators.get(public_key, ())))
            self._put(self._with_path(online))
        return self._entries.get(public_key, ProviderEntry(public_key, short_key(public_key), "online"))

    async def _reach(self, public_key: str) -> ProviderEntry:
        """Connect for an answer: a machine of one's own that sleeps is woken for it."""
        try:
            return await self.connect(public_key)
        except QvacError as error:
            sleepers = self._sleepers
            if sleepers is None or is_key_refused(error) or not sleepers.knows(public_key) or self._closed:
                raise
        return await self._wake(public_key, sleepers)

    async def _wake(self, public_key: str, sleepers: Sleepers) -> ProviderEntry:
        """Raises DelegationError where nobody could call it, or it does not come."""
        loop = asyncio.get_running_loop()
        started, called_at = loop.time(), -math.inf
        self._waking.add(public_key)
        if (entry := self._entries.get(public_key)) is not None:
            self._put(replace(entry, state="waking", error=None, retry_at=None))
        try:
            while True:
                if loop.time() - called_at >= CALL_AGAIN:
                    try:
                        await sleepers.call(public_key)
                    except QvacError as error:
                        raise DelegationError(
                            f"Nobody could wake provider {public_key}: {error.message}", name="WAKE_NOT_SENT"
                        ) from error
                    called_at = loop.time()
                try:
                    return await self.connect(public_key)
                except QvacError as error:
                    if is_key_refused(error):
                        raise
                    if loop.time() - started >= WAKE_SECONDS:
                        raise DelegationError(
                            f"Provider {public_key} was called and did not wake up.", name="WAKE_NO_ANSWER"
                        ) from error
                await asyncio.sleep(WAKE_PAUSE)
        finally:
            self._waking.discard(public_key)

    def remembered(self, public_key: bytes) -> tuple[Address, ...]:
        """The nodes that led to this provider the last time, also in an earlier run."""
        return self._relays.get(public_key.hex(), ())

    def on_connected(self, public_key: bytes, relays: tuple[Address, ...]) -> None:
        """The network reached this key, for whatever purpose: keep what helps the next time."""
        key = public_key.hex()
        if key in self._entries and not self._closed:
            self._relays[key] = relays or self._relays.get(key, ())
            keep = self._store.database.run(self._store.providers.connected, key, time.time(), relays)
            self._writes.start(keep, "keep the relays")

    def on_stage(self, public_key: bytes, stage: ConnectStage) -> None:
        """How far a connection to this provider has come, from the network."""
        if (stages := self._stages.get(public_key.hex())) is None:
            return
        if stage in SUSPICIONS:
            stages.suspect(describe(NetworkError("The peer does not answer yet.", name=SUSPICIONS[stage])))
        else:
            stages.enter(Stage(stage.value))

    async def _models(self, delegate: Delegate) -> tuple[RemoteModel, ...]:
        """What it shares; an original provider does not tell, and loads what the SDK's model list names."""
        listed = await self._consumer.list_models(delegate)
        if listed is None:
            return tuple(
                RemoteModel(f"{model_title(model.file)} {model.quantization}", model.src, model.size_bytes)
                for model in all_models()
                if model.model_type == CHAT_TYPE and not model.is_projector
            )
        key = delegate.provider_public_key.hex()
        self._listed_at[key] = asyncio.get_running_loop().time()
        self._listeners[key] = tuple(entry for entry in listed if "transcribe" in entry.abilities)
        self._translators[key] = translators_of(listed)
        return tuple(remote_model(entry) for entry in listed if "chat" in entry.abilities)

    def speech_models(self) -> tuple[SpeechChoice, ...]:
        """Of the providers that are connected."""
        return tuple(
            SpeechChoice(entry.name, key, loaded=entry.loaded)
            for key, entries in self._listeners.items()
            for entry in entries
            if key in self._entries and self._entries[key].state == "online"
        )

    def _failed(self, public_key: str, stages: _Stages, error: QvacError) -> None:
        described = describe(error)
        stages.fail(described)
        if public_key in self._entries:
            refused = _is_refusal(error)
            if refused and not _is_final(error):
                self._reconnecting.lost(public_key, error)  # it connects by itself once the owner allows the key
            pause = self._reconnecting.pause(public_key, error)
            again = time.time() + pause if pause > 0 and not _is_final(error) else None
            state = "connecting" if 0 < pause <= SOON else "offline"
            if public_key in self._waking:
                state, again = "waking", None
            if refused:
                state = "waiting" if _was_heard(error) else "refused"
            entry = replace(self._entries[public_key], state=state, rtt_ms=None, error=described, retry_at=again)
            self._put(replace(entry, path="", relay=""))

    def _watch(self, public_key: str) -> None:
        """When the connection ends the entry says so at once, and the provider is brought back."""
        connection = self._consumer.connection(bytes.fromhex(public_key))
        self._lost_at.pop(public_key, None)
        if connection is None or self._watched.get(public_key) is connection:
            return  # one that lasts comes by here with every connect and every load
        self._watched[public_key] = connection

        def ended(_: asyncio.Task[None]) -> None:
            if self._watched.get(public_key) is connection:
                del self._watched[public_key]
            entry = self._entries.get(public_key)
            if entry is None or self._closed or self._consumer.connection(connection.public_key) is not None:
                return
            self._lost_at[public_key] = asyncio.get_running_loop().time()
            self._put(replace(entry, state="connecting", rtt_ms=None, path="", relay="", retry_at=None))
            said = connection.rejection
            if said is not None:
                self._failed(public_key, _Stages(self._events, public_key), said)
            else:
                self._reconnecting.lost(public_key)

        connection.task.add_done_callback(ended)
        connection.stream.when_path_changes(lambda _: self._moved(public_key, connection))

    def _moved(self, public_key: str, connection: ProviderConnection) -> None:
        entry = self._entries.get(public_key)
        if entry is not None and not self._closed and self._consumer.connection(connection.public_key) is connection:
            self._put(self._with_path(entry))

    def _with_path(self, entry: ProviderEntry) -> ProviderEntry:
        connection = self._consumer.connection(bytes.fromhex(entry.public_key))
        if connection is None:
            return entry
        keeps = connection.hello is not None and connection.hello.logs_content
        terms = guest_terms(connection.terms, time.time())
        if self._sleepers is not None and terms is not None:
            self._sleepers.told(entry.public_key, terms.wake if terms.mine else ())
        return replace(entry, path=connection.path, relay=connection.relay, keeps_contents=keeps, terms=terms)

    def sees(self, target: Target) -> bool:
        """Of a provider that has not told yet what it offers, it is hoped: it will say what it cannot."""
        entry = self._entries.get(target.provider_key)
        if entry is None or not entry.models:
            return True
        return _choose(entry, target.model).vision

    def is_away(self, provider_key: str) -> bool:
        entry = self._entries.get(provider_key)
        if entry is None or self.is_gone(provider_key):
            return True
        return entry.state in ("offline", "refused") and entry.error is not None

    def is_gone(self, provider_key: str) -> bool:
        connection = self._consumer.connection(bytes.fromhex(provider_key))
        return connection is not None and connection.gone

    def quiet(self, provider_key: str) -> float:
        connection = self._consumer.connection(bytes.fromhex(provider_key))
        if connection is not None:
            return max(0.0, connection.quiet - 2 * connection.stream.rtt)
        lost_at = self._lost_at.get(provider_key)
        return 0.0 if lost_at is None else asyncio.get_running_loop().time() - lost_at

    def look_for(self, provider_key: str) -> bool:
        entry = self._entries.get(provider_key)
        if entry is None or entry.last_connected is None or self._closed:
            return False
        if self._consumer.connection(bytes.fromhex(provider_key)) is None:
            self._reconnecting.lost(provider_key)
        return True

    async def look(self, targets: Sequence[Target]) -> None:
        loop = asyncio.get_running_loop()
        keys = dict.fromkeys(target.provider_key for target in targets)
        asking = {
            self._tasks.start(self._look_at(key), "how a provider stands")
            for key in keys
            if self._tells(key) and loop.time() - self._listed_at.get(key, -math.inf) > LISTED_SECONDS
        }
        if asking:
            await asyncio.wait(asking, timeout=LOOK_SECONDS)

    def _tells(self, key: str) -> bool:
        """One of ours that is connected."""
        connection = self._consumer.connection(bytes.fromhex(key))
        return connection is not None and connection.hello is not None and not connection.gone

    async def _look_at(self, key: str) -> None:
        with contextlib.suppress(QvacError):  # how it stands shows when it is asked for an answer
            models = await self._models(Delegate(bytes.fromhex(key)))
            entry = self._entries.get(key)
            if entry is not None and entry.state == "online" and entry.models != models:
                self._put(replace(entry, models=models))

    def standing(self, target: Target) -> Standing:
        key = target.provider_key
        entry = self._entries.get(key)
        if entry is None:
            return Standing(target, short_key(key), away=True, connected=False)
        now = time.time()
        terms = entry.terms
        closed = terms is not None and (
            (terms.opens_at or 0.0) > now
            or (terms.ends_at is not None and terms.ends_at <= now)
            or (terms.tokens_per_day is not None and terms.tokens_used >= terms.tokens_per_day > 0)
        )
        offer = _choose(entry, target.model) if entry.models else RemoteModel(target.model, target.model)
        refused = self._refused_until.get(key, 0.0) - asyncio.get_running_loop().time()
        told = standing_as_told(target, entry, offer)
        return replace(
            told, away=self.is_away(key), connected=told.connected and not closed, wait=max(told.wait, refused)
        )

    def has_engine(self, provider_key: str, wish: TranslationWish) -> bool:
        """Whether its translation models know both languages, as it said last."""
        return route(self._translators.get(provider_key, ()), wish.source, wish.to) is not None

    def has_model(self, target: Target, model_sha256: str) -> bool:
        entry = self._entries.get(target.provider_key)
        if entry is None or not entry.models or not model_sha256:
            return False
        return _choose(entry, target.model).sha256 == model_sha256

    def name_of(self, provider_key: str) -> str:
        entry = self._entries.get(provider_key)
        return entry.name if entry is not None else short_key(provider_key)

    async def _connect_again(self, public_key: str) -> None:
        if public_key in self._entries:
            await self.connect(public_key)

    def network_changed(self) -> None:
        """The machine woke up or its network is another one: what is lost is tried now.

        What seems open is none of ours: the node finds out whether its peers follow, and ends what does not.
        """
        if not self._closed:
            self._reconnecting.hurry()

    # --- Responder ------------------------------------------------------------------------------------------------

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        """Began, thinking and text as they come, the statistics. Closing it early cancels at the provider."""
        with self._watching_life(question.target.provider_key):
            async with contextlib.aclosing(self._answer(question)) as parts:
                try:
                    async for part in parts:
                        yield part
                    return
                except ProviderError as error:
                    # The model there is not the one of its list any more: what was begun cannot go on in it.
                    if not question.so_far or error.code != Code.MODEL_OPERATION_NOT_SUPPORTED.value:
                        raise
            async with contextlib.aclosing(self._answer(replace(question, so_far=""))) as parts:
                async for part in parts:
                    yield part

    @contextlib.contextmanager
    def _watching_life(self, key: str) -> Iterator[None]:
        """While an answer is waited for: is the provider still there?"""
        life = self._life.get(key)
        if life is None:
            public_key = bytes.fromhex(key)
            life = LifeSigns(lambda: self._consumer.connection(public_key), lambda quiet: self._quiet(key, quiet))
            self._life[key] = life
            watching = self._tasks.start(life.watch(), "signs of life")
            watching.add_done_callback(lambda _: self._life.pop(key, None))
        else:
            life.want()
        try:
            yield
        finally:
            life.release()

    def _quiet(self, key: str, seconds: float | None) -> None:
        entry = self._entries.get(key)
        if entry is None or self._closed:
            return
        if seconds is not None and entry.state == "online":
            self._put(replace(entry, state="silent", silent_since=time.time() - seconds))
        elif seconds is None and entry.state == "silent":
            self._put(replace(entry, state="online"))

    async def _answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        started = time.monotonic()
        first_token: float | None = None
        key = question.target.provider_key
        completion, began = await self._start(question)
        completion.when_placed(
            lambda place, wait_ms: self._events.emit(AnswerPlace(question.answer_id, place, believed(wait_ms)))
        )
        async with completion:
            yield began
            entry = self._entries.get(key)
            models = entry.models if entry is not None else ()
            offer = next((model for model in models if model.source == question.target.model), None)
            by = AnswerStats(
                who=self.name_of(key),
                where="delegated",
                path=completion.connection.path,
                model=offer.name if offer else question.target.model,
                time_to_first_token=0.0,
                tokens_per_second=0.0,
                prompt_tokens=0,
                generated_tokens=0,
                provider_key=key,
            )
            yield by
            async for event in completion.events:
                if isinstance(event, ToolCall | ToolError):
                    yield engine_event(event)
                    continue
                if not isinstance(event, ContentDelta | ThinkingDelta):
                    continue
                if first_token is None:
                    first_token = time.monotonic() - started
                yield event.text if isinstance(event, ContentDelta) else Thinking(event.text)
            final = await completion.final
            stats = final.stats
        yield replace(
            by,
            path=completion.connection.path,
            time_to_first_token=first_token or time.monotonic() - started,
            tokens_per_second=_number(stats.tokens_per_second if stats else UNSET),
            prompt_tokens=int(_number(stats.prompt_tokens if stats else UNSET)),
            generated_tokens=int(_number(stats.generated_tokens if stats else UNSET)),
            ending=self._ending(final, offer, question.parameters) if final.stop_reason == "length" else "",
        )

    async def translate(self, wish: TranslationWish) -> AsyncGenerator[str | UpTo, None]:
        """The text as it comes, by translation models of `engines_at`, or by whoever chats at the target.

        Closing it early cancels at the provider.
        """
        by_engine = bool(wish.source and wish.engines_at)
        key = wish.engines_at if by_engine else wish.target.provider_key
        wanted = _Wanted(key, source=wish.source, to=wish.to) if by_engine else _Wanted(key, wish.target.model)

        async def start(loaded: _LoadedAt) -> TranslationRun:
            return await self._consumer.translate(
                loaded.model_id,
                wish.text,
                to=wish.to,
                from_=wish.source or None,
                delegate=Delegate(bytes.fromhex(key)),
                request_id=wish.id,
            )

        with self._watching_life(key):
            run, _ = await self._start_at(wanted, start)
            async with run:
                async for text in run.marked():
                    yield text
                await run.final

    def _ending(self, final: CompletionFinal, offer: RemoteModel | None, wanted: Parameters) -> str:
        """Of an answer that was cut: at its greatest length (the guest's or the owner's), or by lack of room."""
        if final.stats is None:
            return "context"  # how the original ends one
        most = longest(wanted, self._store.settings.settings.chat.answer_tokens)
        context_tokens = offer.context_tokens if offer else 0
        made = _number(final.stats.generated_tokens)
        full = 0 < context_tokens <= made + _number(final.stats.prompt_tokens) + 1
        return "context" if full and not 0 < most <= made else "length"

    async def _start(self, question: Question) -> tuple[Completion, Began]:
        key = question.target.provider_key
        history, pictures = wire_history(with_instructions(question.history, question.parameters))
        form = response_format(question.parameters)
        most = self._store.settings.settings.chat.answer_tokens
        continues = False

        async def start(loaded: _LoadedAt) -> Completion:
            nonlocal continues
            # A grammar begins where the answer begins.
            continues = form is None and await _can_continue(loaded, question)
            return await self._consumer.completion(
                loaded.model_id,
                history,
                pictures=pictures,
                delegate=Delegate(bytes.fromhex(key)),
                request_id=question.answer_id,
                generation_params=generation_params(question.parameters, most),
                response_format=form,
                capture_thinking=True,
                continue_from=ContinueFrom(question.so_far, loaded.sha256) if continues else None,
                **wire_tools(question.tools, question.tool_choice),
            )

        completion, loaded = await self._start_at(_Wanted(key, question.target.model, bool(question.tools)), start)
        return completion, Began(loaded.sha256, continues)

    async def _start_at(self, wanted: _Wanted, start: Callable[[_LoadedAt], Awaitable[RunT]]) -> tuple[RunT, _LoadedAt]:
        """Start it; a provider that forgot the model (it restarted) is asked to load it once more."""
        key = wanted.key
        stages = self._stages[key] = _Stages(self._events, key)
        for last_try in (False, True):
            try:
                loaded = await self._load(wanted, stages)
                run = await start(loaded)
            except QvacError as error:
                self._not_started(key, stages, error)
                raise
            if loaded.connection is run.connection or last_try:
                return run, loaded
            # The connection was replaced under us: what was loaded belonged to the old one.
            self._loaded.pop(wanted, None)
            await run.leave()
        raise AssertionError("unreachable")

    def _not_started(self, key: str, stages: _Stages, error: QvacError) -> None:
        """A provider that refused an answer and is still connected is not away: it is asked what it shares now."""
        if _is_refusal(error) or self._consumer.connection(bytes.fromhex(key)) is None:
            self._failed(key, stages, error)
            return
        stages.fail(describe(error))
        if (pause := _denied_for(error)) is not None:
            self._refused_until[key] = asyncio.get_running_loop().time() + min(pause, MOST_DENIED)
        if not self._closed:
            self._tasks.start(self._connect_again(key), "what a provider shares now")

    async def _load(self, wanted: _Wanted, stages: _Stages) -> _LoadedAt:
        key = wanted.key
        kept = self._loaded.get(wanted)
        if kept is not None and not kept.connection.closed:
            return kept
        entry = self._entries.get(key)
        told = entry is not None and (entry.translates if wanted.source else entry.models)
        if entry is None or entry.state != "online" or not told:
            entry = await self._reach(key)

        def progress(report: ModelProgress) -> None:
            stages.progress(report.downloaded / report.total if report.total else None)

        load = partial(self._consumer.load_model, delegate=Delegate(bytes.fromhex(key)), on_progress=progress)
        if wanted.source:
            way = route_there(entry, self._translators.get(key, ()), wanted.source, wanted.to)
            stages.enter(Stage.LOADING)
            pivot = {"pivotModel": {"modelSrc": way.second.name}} if way.second is not None else None
            loaded = await load(way.first.name, model_type=TRANSLATION_MODEL_TYPE, model_config=pivot)
            sha256 = ""
        else:
            chosen = _choose(entry, wanted.model)
            stages.enter(Stage.LOADING)
            config = {"ctx_size": CONTEXT_TOKENS, **({"tools": True} if wanted.tools else {})}
            loaded = await load(chosen.source, model_name=chosen.name, model_config=config)
            sha256 = chosen.sha256
        connection = self._consumer.connection(bytes.fromhex(key))
        if connection is None:
            raise DelegationError("The connection ended while the model was loading.", name="ECONNRESET")
        self._watch(key)
        stages.enter(Stage.READY)
        result = _LoadedAt(connection, loaded.model_id, sha256)
        self._loaded[wanted] = result
        with contextlib.suppress(KeyError):
            self._put(self._with_path(replace(self._entries[key], state="online", error=None)))
        return result


class _Stages:
    """Reports the stages of reaching a provider, each with the time it took."""

    def __init__(self, events: EventHub, provider_key: str) -> None:
        self._events = events
        self._key = provider_key
        self._stage = Stage.FINDING
        self._since = time.monotonic()

    def enter(self, stage: Stage) -> None:
        self._stage, self._since = stage, time.monotonic()
        self._events.emit(ConnectionStage(self._key, stage, 0.0))

    def progress(self, fraction: float | None) -> None:
        self._events.emit(ConnectionStage(self._key, self._stage, time.monotonic() - self._since, fraction))

    def suspect(self, error: ErrorInfo) -> None:
        """It goes on, but this is why it will probably fail."""
        seconds = time.monotonic() - self._since
        self._events.emit(ConnectionStage(self._key, self._stage, seconds, error=error))

    def fail(self, error: ErrorInfo) -> None:
        seconds = time.monotonic() - self._since
        self._events.emit(ConnectionStage(self._key, Stage.FAILED, seconds, error=error))


async def _can_continue(loaded: _LoadedAt, question: Question) -> bool:
    """Only in the same model file, and only at a provider that knows how; another one would start the turn again."""
    if not question.so_far or not loaded.sha256 or loaded.sha256 != question.model_sha256:
        return False
    await loaded.connection.greeted()
    return loaded.connection.offers("continue")


def _is_refusal(error: QvacError) -> bool:
    return is_key_refused(error)


def _was_heard(error: QvacError) -> bool:
    """A knock: the owner is told of it and has not decided yet."""
    reason = error.typed_fields.get("reason") if isinstance(error, DelegationError) else None
    by_policy = error.code == Code.REQUEST_REJECTED_BY_POLICY.value
    return by_policy and reason == Reason.NOT_ADMITTED.value and _denied_for(error) is None


def _denied_for(error: QvacError) -> float | None:
    """The seconds for which the owner wants to hear no more of this key; None when nothing was said about that."""
    wanted = error.typed_fields.get("retryAfterMs") if isinstance(error, DelegationError) else None
    return float(wanted) / 1000 if isinstance(wanted, int | float) and wanted >= 0 else None


def _is_final(error: QvacError) -> bool:
    """A blocked key hears nothing more."""
    return isinstance(error, DelegationError) and error.typed_fields.get("reason") == "blocked"


def _least_pause(error: QvacError) -> float:
    if not _is_refusal(error):
        return 0.0
    denied = _denied_for(error)
    return KNOCK_PAUSE if denied is None else max(KNOCK_PAUSE, min(denied, MOST_DENIED))


def _choose(entry: ProviderEntry, model: str) -> RemoteModel:
    """The model that was asked for, else one that runs already, else the first. Raises ModelError."""
    if model:
        named = next((offer for offer in entry.models if model in (offer.name, offer.source)), None)
        return named or RemoteModel(model, model)
    if not entry.models:
        raise ModelError(
            f"{entry.name} shares no model at the moment. Ask its owner to share one.",
            name=Code.MODEL_NOT_FOUND.name,
            code=Code.MODEL_NOT_FOUND.value,
        )
    return next((offer for offer in entry.models if offer.loaded), entry.models[0])


def remote_model(entry: ModelEntry) -> RemoteModel:
    """A line of a provider's list, with a name that people read."""
    return RemoteModel(
        _title(entry.name),
        entry.name,
        entry.size_bytes,
        entry.context_tokens,
        entry.loaded,
        entry.sha256,
        vision="vision" in entry.abilities,
        wait_ms=_number(entry.wait_ms),
    )


def _title(name: str) -> str:
    """An SDK name in capitals becomes the name of its file; a provider's own name stays."""
    known = by_name(name)
    return model_title(known.file if known is not None else name)


def _entry(known: KnownProvider) -> ProviderEntry:
    return ProviderEntry(
        public_key=known.public_key,
        name=known.name or short_key(known.public_key),
        added_at=known.added_at,
        last_connected=known.last_connected,
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
