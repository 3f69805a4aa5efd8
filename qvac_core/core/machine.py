"""The models of this machine: the library with its share switches, downloads, and answers computed here."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import UNSET, UnsetType

from qvac_core.core.answering import AnswerPart, Began, Question, Thinking, TranslationWish, no_model_here
from qvac_core.core.chat_parameters import longest, sampling, schema_text, with_instructions
from qvac_core.core.event_hub import EventHub
from qvac_core.core.library_downloads import Downloads
from qvac_core.core.local_config import loading_here
from qvac_core.core.local_translation import translate_here
from qvac_core.core.model_options import OptionsOfModel, check_options
from qvac_core.core.model_servers import ModelsAtServers, NoServers
from qvac_core.core.state import AnswerStats, SharedModel, SharedModelsChanged, Target
from qvac_core.core.translators import Route, route
from qvac_core.delegation.admission import Limits
from qvac_core.delegation.held_models import KnownModel
from qvac_core.delegation.messages import ModelProgress
from qvac_core.delegation.model_config import (
    LLM_MODEL_TYPE,
    NORMALIZE_TO_LENGTH_1,
    EmbedConfig,
    LlmConfig,
    NmtConfig,
    WhisperConfig,
    model_id,
    source_of,
    wrong_with_translators,
)
from qvac_core.delegation.parts import OfferedModel
from qvac_core.delegation.translation_run import UpTo
from qvac_core.engines.abilities import chat_of, embedding_of, not_supported, speech_of
from qvac_core.engines.available import shows_pictures
from qvac_core.engines.interface import (
    LOCAL_OWNER,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    Finished,
    LibraryModel,
    LoadedModel,
    LoadProgress,
    ModelConfig,
    RunningModel,
    StopReason,
    Token,
    ToolCall,
    ToolChoice,
    ToolError,
)
from qvac_core.engines.language_names import translation_title
from qvac_core.engines.library import Library
from qvac_core.engines.memory_cap import check_cap, needed_bytes
from qvac_core.engines.model_kind import (
    CHAT_TYPE,
    EMBEDDING_TYPE,
    RUNNABLE_TYPES,
    SPEECH_TYPE,
    TRANSLATION_TYPE,
    require_chat_type,
    require_runnable_type,
)
from qvac_core.engines.pool import Lease, ModelPool, PooledModel
from qvac_core.engines.projectors import names_projector
from qvac_core.engines.speech import Audio, SpeechModel, TranscriptionEvent, TranscriptionRequest
from qvac_core.engines.translation import TranslationRequest
from qvac_core.errors import LocalProtocolError, ModelError
from qvac_core.models import DEFAULT_SMALL_MODEL, by_file, by_name, by_sha256, by_source, is_source, model_title
from qvac_core.store.settings import ModelOptions, Settings, SharingSettings
from qvac_core.store.store import Store
from qvac_core.tasks import TaskOwner

THIS_MACHINE = "This machine"


def _cannot_be_copied(model: LibraryModel) -> ModelError:
    if model.at is not None:
        return ModelError(f"{model.name} is at a server and has no file here that could be copied.")
    return ModelError(
        f"{model.name} was added by an older version, which did not count all its files. "
        "Remove it from the library and add it again: then it can be copied."
    )


def load_config(limits: Limits) -> ModelConfig:
    """How this machine loads a chat model, for guests and for its owner: both share one copy."""
    return ModelConfig(
        n_ctx=limits.n_ctx,
        slots=limits.slots,
        gpu_layers=limits.gpu_layers,
        device=limits.device,
        threads=limits.threads,
        host_cache_bytes=limits.host_cache_bytes,
    )


class Machine:
    """Implements delegation's SharedModels for the provider and LocalResponder for the chats."""

    def __init__(
        self,
        store: Store,
        events: EventHub,
        library: Library,
        pool: ModelPool,
        limits: Limits,
        only: Sequence[str] | None = None,
        copies: Sequence[str] | None = None,
        given: ModelOptions | None = None,
        *,
        downloads: Downloads,
        servers: ModelsAtServers | None = None,
    ) -> None:
        """only: names or paths shared in this run, in place of the switches kept in the settings; copies: those of
        them that guests may copy. given: what holds in
        this run for all models, in place of the settings. downloads: by which models come that are not here. servers:
        of other programs, whose models are offered as well."""
        self._given = given or ModelOptions()
        self._store = store
        self._events = events
        self._library = library
        self._servers = servers or NoServers()
        self.pool = pool
        self._limits = limits
        self._only = only
        self._copies = copies
        self._copies_now: frozenset[str] | None = None
        self._shared_now: frozenset[str] | None = None
        self._downloads = downloads
        self._leases: dict[str, Lease] = {}
        self._configs: dict[str, LlmConfig | EmbedConfig | WhisperConfig | NmtConfig] = {}  # of the leases
        self._tasks = TaskOwner()
        self._scanning: asyncio.Task[None] | None = None
        self.sees_all: Callable[[bytes], bool] = lambda key: False
        self.wait_for: Callable[[str], float] = lambda model: 0.0  # seconds until a new answer would have its turn
        """Whether a key is one of the owner's own machines, for which nothing has to be shared."""

    def open(self) -> None:
        """Look in the background for model files that were put into the folder by hand."""
        self._scanning = self._tasks.start(self._scan(), "scan of the models folder")

    async def scanned(self) -> None:
        """Wait for that."""
        if self._scanning is not None:
            await asyncio.wait({self._scanning})

    async def _scan(self) -> None:
        await self._library.scan()
        self.announce()

    async def start(self) -> None:
        """Take the models of this run into the library. Raises ModelError for one that is not there or no model."""
        await self._servers.first_look()
        if self._only is not None:
            models = [await self.require(name, "") for name in self._only]
            self._shared_now = frozenset(model.name for model in models)
        if self._copies is not None:
            self._copies_now = frozenset(self._to_be_copied(name) for name in self._copies)

    def _to_be_copied(self, name_or_path: str) -> str:
        model = self.named(name_or_path)
        if model is None or model.name not in self.shared_names():
            raise ModelError(
                f"{name_or_path} is not shared, so that nobody can copy it. Share it as well (--model).",
                name="MODEL_NOT_FOUND",
                code=52002,
            )
        if not model.copy_sha256:
            raise _cannot_be_copied(model)
        return model.name

    async def close(self) -> None:
        await self._tasks.close()
        await self.pool.close()

    # --- What holds for a model ------------------------------------------------------------------------------------

    def options_of(self, name: str) -> ModelOptions:
        """What holds for this model now: of this run, of its own, of all; answer_tokens and memory_mb 0 = no limit."""
        sharing = self._store.settings.settings.sharing
        given, own = self._given, sharing.per_model.get(name, ModelOptions())
        return ModelOptions(
            context_tokens=given.context_tokens or own.context_tokens or sharing.context_tokens or self._limits.n_ctx,
            slots=given.slots or own.slots or sharing.slots or self._limits.slots,
            memory_mb=given.memory_mb or own.memory_mb,
            idle_minutes=given.idle_minutes or own.idle_minutes or sharing.idle_minutes,
            answer_tokens=given.answer_tokens or own.answer_tokens or sharing.answer_tokens,
        )

    async def options(self, name: str) -> OptionsOfModel:
        model = self.named(name)
        if model is None:
            raise _no_such_model(name)
        sharing, pooled = self._store.settings.settings.sharing, self._pooled(model)
        info = pooled.info if pooled is not None else None
        return OptionsOfModel(
            own=sharing.per_model.get(model.name, ModelOptions()),
            others=self.options_of(""),
            loaded=(info.n_ctx, info.slots) if info is not None else None,
            in_use=pooled is not None and pooled.leases > 0,
        )

    async def set_options(self, name: str, options: ModelOptions) -> OptionsOfModel:
        check_options(options)
        model = self.named(name)
        if model is None:
            raise _no_such_model(name)

        def change(settings: Settings) -> Settings:
            per_model = {other: said for other, said in settings.sharing.per_model.items() if other != model.name}
            if options != ModelOptions():
                per_model[model.name] = options
            return replace(settings, sharing=replace(settings.sharing, per_model=MappingProxyType(per_model)))

        await self._store.database.run(self._store.settings.change, change)
        await self.options_changed(model.sha256)
        return await self.options(name)

    async def options_changed(self, sha256: str = "") -> None:
        """Of one model, or of all: those that nobody uses load anew with them."""
        self.pool.idle_changed()
        await self.pool.unload_idle(sha256)
        self.announce()

    def limits_of(self, model: LibraryModel) -> Limits:
        """The bounds for guests and for its owner, as they are now."""
        options = self.options_of(model.name)
        most = options.answer_tokens or self._limits.max_tokens
        engine = self._store.settings.settings.engine
        slots, n_ctx = options.slots, options.context_tokens
        if model.at is not None:
            own = self._store.settings.settings.sharing.per_model.get(model.name, ModelOptions())
            chosen = self._given.context_tokens or own.context_tokens  # what holds for all is about memory of ours
            slots = model.at.parallel
            n_ctx = min(chosen or model.at.n_ctx, model.at.n_ctx) if model.at.n_ctx else n_ctx
        return replace(
            self._limits,
            n_ctx=n_ctx,
            slots=slots,
            max_tokens=most,
            device=engine.device.value,
            gpu_layers=engine.gpu_layers,
            threads=engine.threads,
        )

    def idle_seconds(self, model: LibraryModel) -> float:
        return self.options_of(model.name).idle_minutes * 60.0

    async def admit(self, model: LibraryModel, config: ModelConfig, held: int) -> None:
        """May it be loaded beside what others hold? Raises ModelError."""
        if model.at is not None:
            return  # it takes no memory of ours
        cap, cap_of_all = self.options_of(model.name).memory_mb, self._store.settings.settings.sharing.memory_mb
        if cap or cap_of_all:
            needed = await asyncio.to_thread(needed_bytes, model, config)
            check_cap(display_name(model), needed, held, cap_mb=cap, cap_of_all_mb=cap_of_all)

    # --- Library and switches -------------------------------------------------------------------------------------

    def _models(self) -> tuple[LibraryModel, ...]:
        """Here, then at servers."""
        return (*self._library.models(), *self._servers.models())

    def named(self, name_or_source: str) -> LibraryModel | None:
        """Of the library, or of a server. None: there is none of that name."""
        return self._library.find(name_or_source) or self._servers.find(name_or_source)

    def chat_models(self) -> list[LibraryModel]:
        return [model for model in self._models() if model.model_type == CHAT_TYPE]

    def runnable_models(self) -> list[LibraryModel]:
        """Chat models first: a guest that takes the first one that is offered can chat with it."""
        return sorted(
            (model for model in self._models() if model.model_type in RUNNABLE_TYPES),
            key=lambda model: model.model_type != CHAT_TYPE,
        )

    async def require(self, name_or_path: str, model_type: str = CHAT_TYPE) -> LibraryModel:
        """A model the owner names: of the library, a file of theirs, or one to download.

        model_type: what it has to be; "" = anything that runs here. Raises ModelError.
        """
        model = await self._require(name_or_path, model_type)
        _check_type(model.model_type, model_type)
        return model

    async def _require(self, name_or_path: str, model_type: str) -> LibraryModel:
        if (found := self.named(name_or_path)) is not None:
            return found
        path = await asyncio.to_thread(_owners_file, name_or_path)
        if path is not None:
            return await self._library.add_file(path)
        known = by_source(name_or_path) if is_source(name_or_path) else by_name(name_or_path) or by_file(name_or_path)
        if known is None and not is_source(name_or_path):
            raise _no_such_model(name_or_path)
        if known is not None:
            _check_type(known.model_type, model_type)  # before it is fetched
        return await self._downloads.obtain(name_or_path)

    async def share_only(self, names: Sequence[str]) -> None:
        """Share these in this run, in place of the switches. Raises ModelError."""
        self._only = tuple(names)
        await self.start()
        self.announce()

    def shared_names(self) -> frozenset[str]:
        switched_on = self._shared_now
        if switched_on is None:
            switched_on = frozenset(self._store.settings.settings.sharing.models)
        return switched_on | self._servers.given_names()

    def shared_models(self) -> tuple[SharedModel, ...]:
        """With their switches: chat models first, then those of other abilities; then files of no use."""
        shared = self.shared_names()
        return (
            *(self._as_shared(model, model.name in shared) for model in self.runnable_models()),
            *(_left_out(name, reason) for name, reason in self._library.left_out.items()),
        )

    def _as_shared(self, model: LibraryModel, shared: bool) -> SharedModel:
        pooled = self._pooled(model)
        info = pooled.info if pooled is not None else None
        return SharedModel(
            name=model.name,
            display_name=display_name(model),
            quantization=model.quantization,
            size_bytes=model.size_bytes,
            memory_bytes=info.memory_bytes if info is not None else model.size_bytes,
            n_ctx=info.n_ctx if info is not None else self.limits_of(model).n_ctx,
            slots=info.slots if info is not None else self.limits_of(model).slots,
            shared=shared,
            state=_state(model, pooled),
            ability=_ABILITIES[model.model_type][0],
            vision="vision" in _abilities(model),
            copyable=model.name in self.copyable_names(),
            server=model.at.server if model.at is not None else "",
        )

    def _pooled(self, model: LibraryModel) -> PooledModel | None:
        return next((pooled for pooled in self.pool.loaded() if pooled.model.sha256 == model.sha256), None)

    async def set_shared(self, name: str, shared: bool) -> None:
        if self._shared_now is not None:
            self._shared_now = _switched(self._shared_now, name, shared)
        else:
            await self._change_sharing(
                lambda now: replace(now, models=tuple(sorted(_switched(now.models, name, shared))))
            )
        self.announce()

    def copyable_names(self) -> frozenset[str]:
        """Models whose files guests may copy, if they are shared with them."""
        if self._copies_now is not None:
            return self._copies_now
        return frozenset(self._store.settings.settings.sharing.copies)

    async def set_copyable(self, name: str, copyable: bool) -> None:
        model = self.named(name)
        if model is None:
            raise _no_such_model(name)
        if copyable and not model.copy_sha256:
            raise _cannot_be_copied(model)
        switched = model.name
        if self._copies_now is not None:
            self._copies_now = _switched(self._copies_now, switched, copyable)
        else:
            await self._change_sharing(
                lambda now: replace(now, copies=tuple(sorted(_switched(now.copies, switched, copyable))))
            )
        self.announce()

    async def _change_sharing(self, change: Callable[[SharingSettings], SharingSettings]) -> None:
        """`change` makes it of what holds by then: of two changes at the same time both last."""
        await self._store.database.run(
            self._store.settings.change, lambda now: replace(now, sharing=change(now.sharing))
        )

    async def add_file(self, path: Path) -> SharedModel:
        """A file the owner chose; one that runs here is shared from now on, which is what they came for."""
        model = await self._library.add_file(path)
        runs = model.model_type in RUNNABLE_TYPES
        if runs:
            await self.set_shared(model.name, True)
        else:
            self.announce()
        return self._as_shared(model, runs)

    def announce(self) -> None:
        self._events.emit(SharedModelsChanged(self.shared_models()))

    # --- Downloads ------------------------------------------------------------------------------------------------

    async def download(self, name_or_source: str, *, share: bool = False) -> None:
        model = await self._downloads.obtain(name_or_source, share=share)
        if share and model.name not in self.shared_names():
            await self.set_shared(model.name, True)
        else:
            self.announce()

    async def cancel_download(self, name_or_source: str) -> None:
        """What came of it is kept."""
        if self._downloads.row(name_or_source) is not None:
            await self._downloads.pause(name_or_source)

    # --- For the library ------------------------------------------------------------------------------------------

    def of_sha256(self, sha256: str) -> LibraryModel | None:
        return next((model for model in self._models() if model.sha256 == sha256), None)

    def is_loaded(self, model: LibraryModel) -> bool:
        return self._pooled(model) is not None

    def stands_in(self, model: LibraryModel) -> bool:
        """Whether it answers here when nobody chose a model."""
        return model == self._choose("")

    def leases_of(self, model: LibraryModel) -> int:
        """Who uses it now: answers, programs that loaded it."""
        return sum(pooled.leases for pooled in self.pool.loaded() if pooled.model.path == model.path)

    async def forget(self, model: LibraryModel) -> None:
        """It is about to be removed: it is unloaded, shared no longer, and stands in for nobody."""
        for loaded_id, lease in list(self._leases.items()):
            if lease.library_model.path == model.path:
                self.unload_local(loaded_id)
        await self.pool.unload(model)
        if model.name in self.shared_names():
            await self.set_shared(model.name, False)
        if model.name in self.copyable_names():
            await self.set_copyable(model.name, False)  # before another one of this name comes
        if self._store.settings.settings.chat.local_model == model.name:
            await self._store.database.run(
                self._store.settings.change, lambda now: replace(now, chat=replace(now.chat, local_model=""))
            )

    # --- For the provider: delegation's SharedModels --------------------------------------------------------------

    def find(self, source_or_name: str, public_key: bytes) -> LibraryModel | None:
        model = self.named(source_or_name)
        if model not in self.runnable_models():
            return None
        return model if model.name in self.shared_names() or self.sees_all(public_key) else None

    def list(self, public_key: bytes) -> Sequence[OfferedModel]:
        shared, everything = self.shared_names(), self.sees_all(public_key)
        return [
            OfferedModel(
                model,
                self._context_of(model),
                loaded=self._pooled(model) is not None,
                wait_ms=1000 * self.wait_for(model.name),
                abilities=_abilities(model),
            )
            for model in self.runnable_models()
            if (everything or model.name in shared) and _is_there(model)
        ]

    def copies(self, public_key: bytes) -> Sequence[LibraryModel]:
        """For the provider: delegation's CopiedModels."""
        names = self.copyable_names()
        if not names:
            return ()
        return [
            offered.model
            for offered in self.list(public_key)
            if offered.model.name in names and offered.model.copy_sha256
        ]

    def _context_of(self, model: LibraryModel) -> int:
        """What a guest can count on: of the copy that runs, else of the one that would be loaded."""
        pooled = self._pooled(model)
        return pooled.info.n_ctx if pooled is not None and pooled.info else self.limits_of(model).n_ctx

    # --- For the chats: LocalResponder ----------------------------------------------------------------------------

    async def can_answer(self) -> bool:
        return self._choose("") is not None

    def sees(self, target: Target) -> bool:
        model = self._choose(target.model if not target.provider_key else "")
        return model is not None and "vision" in _abilities(model)

    def continues(self, model_sha256: str) -> bool:
        model = self._choose("", model_sha256)
        return model is not None and model_sha256 in ("", model.sha256)

    async def describe(self, model_sha256: str = "") -> str:
        model = self._choose("", model_sha256)
        return display_name(model) if model is not None else ""

    def _choose(self, name: str, model_sha256: str = "") -> LibraryModel | None:
        """model_sha256: of what began an answer that is to go on; the same file goes first where none is named."""
        if not name and model_sha256:
            same = next((model for model in self.chat_models() if model.sha256 == model_sha256), None)
            if same is not None:
                return same
        wanted = name or self._store.settings.settings.chat.local_model
        found = self.named(wanted) if wanted else None
        if found is not None and (name or found.model_type == CHAT_TYPE):
            return found
        return next((model for model in self.chat_models() if _is_there(model)), None) if not name else None

    async def acquire(
        self,
        model: LibraryModel,
        on_progress: Callable[[LoadProgress], None] | None = None,
        config: ModelConfig | None = None,
    ) -> Lease:
        return await self.pool.acquire(model, config or load_config(self.limits_of(model)), on_progress)

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        """Thinking and text as they come, then the statistics.

        Raises ModelError when there is no model or it cannot run.
        """
        model = self._choose(question.target.model, question.model_sha256 if question.so_far else "")
        if model is None:
            raise no_model_here()
        require_chat_type(model.model_type)
        if question.model_sha256 not in ("", model.sha256) or not _continues(model):
            question = replace(question, so_far="")  # another model's words: it would carry on in a voice not its own
        lease = await self.acquire(model)
        most, wanted = self._store.settings.settings.chat.answer_tokens, question.parameters
        try:
            self.announce()
            schema = schema_text(wanted)
            request = CompletionRequest(
                request_id=question.answer_id,
                history=with_instructions(question.history, wanted),
                sampling=sampling(wanted, most),
                owner=LOCAL_OWNER,
                continue_from="" if schema else question.so_far,  # a grammar begins where the answer begins
                response_schema=schema,
                thinking=wanted.think,
                tools=question.tools,
                tool_choice=question.tool_choice if question.tools else ToolChoice(),
            )
            yield Began(model.sha256, continues=bool(question.so_far) and not schema)
            by = AnswerStats(THIS_MACHINE, "local", "local", display_name(model), 0.0, 0.0, 0, 0)
            yield by
            async for event in chat_of(lease.model).complete(request):
                if isinstance(event, Token):
                    yield Thinking(event.text) if event.thinking else event.text
                elif isinstance(event, ToolCall | ToolError):
                    yield event
                elif isinstance(event, Finished):
                    yield replace(
                        by,
                        time_to_first_token=event.stats.time_to_first_token / 1000,
                        tokens_per_second=event.stats.tokens_per_second,
                        prompt_tokens=event.stats.prompt_tokens,
                        generated_tokens=event.stats.generated_tokens,
                        ending=_ending(event, longest(wanted, most)),
                    )
        finally:
            lease.release()

    async def translate(self, wish: TranslationWish) -> AsyncGenerator[str | UpTo, None]:
        """By translation models where they are named, or know both languages; else by the chat model.

        The text as it comes. Closing it stops the engine. Raises ModelError, LocalProtocolError.
        """
        by = self.translation_route(wish)
        model = by.first if by is not None else self._choose(wish.target.model)
        if model is None:
            raise no_model_here()
        if by is None:
            require_chat_type(model.model_type)
        request = TranslationRequest(wish.id, wish.text, wish.to, wish.source, owner=LOCAL_OWNER)
        config = load_config(self.limits_of(model))
        second = by.second if by is not None else None
        lease = await self.acquire(model, config=replace(config, pivot=str(second.path)) if second else config)
        try:
            self.announce()
            async with translate_here(lease.model, request) as run:
                async for text in run.marked():
                    yield text
                await run.final
        finally:
            lease.release()

    def name_of(self, name_or_path: str) -> str:
        """What a model of this machine is called; what was written, for one that is not here."""
        found = self.named(name_or_path)
        return found.name if found is not None else name_or_path

    def translators(self) -> Sequence[LibraryModel]:
        """The models that translate and do nothing else."""
        return [model for model in self.runnable_models() if model.model_type == TRANSLATION_TYPE]

    def has_engine(self, wish: TranslationWish) -> bool:
        return self.translation_route(wish) is not None

    def translation_route(self, wish: TranslationWish) -> Route[LibraryModel] | None:
        """None: a chat model is to do it."""
        named = self.named(wish.target.model) if wish.target.model else None
        if named is not None and named.model_type == TRANSLATION_TYPE:
            return Route(named)
        return route(self.translators(), wish.source, wish.to) if wish.source else None

    # --- For programs: models loaded here by id -------------------------------------------------------------------

    async def load_local(
        self,
        model_src: str,
        model_config: Mapping[str, Any] | None = None,
        on_progress: Callable[[ModelProgress], None] | None = None,
        model_type: str = LLM_MODEL_TYPE,
    ) -> str:
        """Load a model on this machine (delegation's LocalLoader); returns its id, another one for another config.

        model_config: as the SDK's, see `local_config`. Raises ModelError, LocalProtocolError.
        """
        # Checked before anything is fetched; then by what holds for this model.
        loading_here(model_type, model_config, load_config(self._limits))
        model = await self.require(model_src or DEFAULT_SMALL_MODEL.name, model_type)
        wanted, config = loading_here(model_type, model_config, load_config(self.limits_of(model)))
        if isinstance(wanted, LlmConfig) and wanted.projectionModelSrc:
            projector = await self._require_projector(model, source_of(wanted.projectionModelSrc))
            config = replace(config, projector=str(projector))
        if isinstance(wanted, NmtConfig):
            config = replace(config, pivot=await self._require_pivot(model, wanted))
        its = model_id(model_type, model.sha256, wanted) if model_config else model.sha256[:16]
        loaded_id = f"local-{its}"

        def report(progress: LoadProgress) -> None:
            if on_progress is not None:
                done = round(progress.fraction * model.size_bytes)
                on_progress(ModelProgress(done, model.size_bytes, round(progress.fraction * 100, 2), model.name))

        if loaded_id not in self._leases:
            lease = await self.acquire(model, report, config)
            if loaded_id in self._leases:
                lease.release()
            else:
                self._leases[loaded_id], self._configs[loaded_id] = lease, wanted
        return loaded_id

    async def _require_pivot(self, model: LibraryModel, wanted: NmtConfig) -> str:
        """The file of the model that goes on where this one ends, "" for none. Raises ModelError."""
        pivot = await self.require(wanted.pivot_source, TRANSLATION_TYPE) if wanted.pivot_source else None
        if wrong := wrong_with_translators(wanted, model, pivot):
            raise LocalProtocolError(wrong)
        return str(pivot.path) if pivot is not None else ""

    async def _require_projector(self, model: LibraryModel, source: str) -> Path:
        """The vision part that a program of this machine names: this model's own, a file, or one of the SDK's names."""
        if names_projector(source, model):
            assert model.projector is not None
            return model.projector
        try:
            path = await asyncio.to_thread(_owners_file, source)
        except ModelError as error:
            raise LocalProtocolError(f"projectionModelSrc: {error.message}") from None
        if path is not None:
            return path
        known = by_source(source) if is_source(source) else by_name(source)
        if known is None or not known.is_projector:
            raise LocalProtocolError(
                "projectionModelSrc is the vision part of the model: an mmproj file, or one of the SDK's names of them."
            )
        return await self._library.fetch_projector(model, known, lambda progress: None)

    def running_here(self, loaded_id: str) -> RunningModel | None:
        """Of whatever kind; None when nothing of this id is loaded on this machine."""
        lease = self._leases.get(loaded_id)
        return lease.model if lease is not None else None

    def loaded_here(self, loaded_id: str) -> LoadedModel | None:
        """A chat model. Raises ModelError when this id is that of another kind."""
        model = self.running_here(loaded_id)
        return chat_of(model) if model is not None else None

    def model_here(self, loaded_id: str) -> LibraryModel | None:
        """The file of one that is loaded here."""
        lease = self._leases.get(loaded_id)
        return None if lease is None else lease.library_model

    def config_here(self, loaded_id: str) -> LlmConfig:
        """What the program that loaded this chat model wanted."""
        config = self._configs.get(loaded_id)
        return config if isinstance(config, LlmConfig) else LlmConfig()

    async def embed_here(self, loaded_id: str, texts: Sequence[str], request_id: str) -> Embeddings:
        """By an embedding model that is loaded here. Raises ModelError, InferenceCancelled, EngineCrashed."""
        model = self.running_here(loaded_id)
        assert model is not None
        config = self._configs.get(loaded_id)
        wanted = config.embdNormalize if isinstance(config, EmbedConfig) else UNSET
        normalize = NORMALIZE_TO_LENGTH_1 if isinstance(wanted, UnsetType) else wanted
        request = EmbeddingRequest(request_id, tuple(texts), LOCAL_OWNER, normalize)
        return await embedding_of(model).embed(request)

    def transcribe_here(
        self, loaded_id: str, audio: Audio, prompt: str, request_id: str
    ) -> AsyncIterator[TranscriptionEvent]:
        """By a speech model that is loaded here, in the way it was loaded for. As `SpeechModel.transcribe`."""
        model, config = self.speech_here(loaded_id)
        request = TranscriptionRequest(
            request_id,
            audio,
            language="" if isinstance(config.language, UnsetType) else config.language,
            prompt=prompt or ("" if isinstance(config.initial_prompt, UnsetType) else config.initial_prompt),
            translate=config.translate is True,
            owner=LOCAL_OWNER,
        )
        return model.transcribe(request)

    def speech_here(self, loaded_id: str) -> tuple[SpeechModel, WhisperConfig]:
        """A speech model that is loaded here, and what the program that loaded it wanted. Raises ModelError."""
        model = self.running_here(loaded_id)
        assert model is not None
        config = self._configs.get(loaded_id)
        return speech_of(model), config if isinstance(config, WhisperConfig) else WhisperConfig()

    def known_here(self, loaded_id: str) -> KnownModel | None:
        """The chat model that is loaded here by this id, and what the program that loaded it wanted."""
        model = self.model_here(loaded_id)
        return None if model is None else KnownModel(loaded_id, model, "", self.config_here(loaded_id))

    def unload_local(self, loaded_id: str) -> bool:
        self._configs.pop(loaded_id, None)
        lease = self._leases.pop(loaded_id, None)
        if lease is not None:
            lease.release()
        return lease is not None


# What a model of each type can be asked for, in the words of docs/wire/qvac.md section 12; the first is what it is made
# for.
_ABILITIES: Mapping[str, tuple[str, ...]] = {
    CHAT_TYPE: ("chat", "tools", "translate"),
    EMBEDDING_TYPE: ("embed",),
    SPEECH_TYPE: ("transcribe",),
    TRANSLATION_TYPE: ("translate",),
}


def _check_type(model_type: str, wanted: str) -> None:
    """Raises ModelError for a model of another type than wanted; "" = any that runs here."""
    if wanted == CHAT_TYPE:
        require_chat_type(model_type)
    require_runnable_type(model_type)
    if wanted == EMBEDDING_TYPE != model_type:
        raise not_supported("This model makes no embeddings. Choose an embedding model.")
    if wanted == SPEECH_TYPE != model_type:
        raise not_supported("This model transcribes no speech. Choose a Whisper model.")
    if wanted == TRANSLATION_TYPE != model_type:
        raise not_supported(
            "This model is no translation engine. Choose one of the SDK's, as BERGAMOT_DE_EN, or its model file."
        )


def _state(model: LibraryModel, pooled: PooledModel | None) -> str:
    """As of `SharedModel.state`."""
    if model.at is not None and model.at.away:
        return f"away: {model.at.away}"
    return "idle" if pooled is None else "loading" if pooled.info is None else "loaded"


def _is_there(model: LibraryModel) -> bool:
    """Whether it could answer now."""
    return model.at is None or not model.at.away


def _continues(model: LibraryModel) -> bool:
    """Whether it goes on with an answer that was begun."""
    return model.at is None or model.at.continues


def _abilities(model: LibraryModel) -> tuple[str, ...]:
    sees = model.at.vision if model.at is not None else model.projector is not None and shows_pictures()
    return (*_ABILITIES[model.model_type], "vision") if sees else _ABILITIES[model.model_type]


def _ending(finished: Finished, most: int) -> str:
    """Of an answer that was cut: at its greatest length, or by lack of room."""
    if finished.stop_reason is not StopReason.LENGTH:
        return ""
    return "length" if 0 < most <= finished.stats.generated_tokens else "context"


def _owners_file(text: str) -> Path | None:
    """The absolute path of a file that the owner means; None for what is a name or an address.

    Raises ModelError for what lies there and is no file: reading a folder fails later, a pipe for ever.
    """
    if is_source(text):
        return None
    try:
        path = Path(text).expanduser().absolute()
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.suffix in (".gguf", ".bin") and by_file(text) is None:
            raise _no_such_file(f"There is no file {path}.") from None
        return None
    except RuntimeError:  # "~name" of nobody
        raise _no_such_file(f"There is no file {text}.") from None
    except OSError as error:
        raise _no_such_file(f"{text[:128]} cannot be read: {error.strerror}.") from None
    if stat.S_ISREG(mode):
        return path
    if stat.S_ISDIR(mode):
        raise _no_such_file(f"{text} is a folder. Name a model file.")
    raise _no_such_file(f"{text} is no file. Name a model file.")


def _no_such_file(sentence: str) -> ModelError:
    return ModelError(sentence, name="MODEL_FILE_NOT_FOUND", code=52201)


def _no_such_model(name: str) -> ModelError:
    return ModelError(
        f"There is no model {name} on this machine, and none of that name in the SDK's list. "
        "Check its spelling, or name a model file.",
        name="MODEL_NOT_FOUND_HERE",
        code=52002,
    )


def _left_out(name: str, reason: str) -> SharedModel:
    return SharedModel(name, name, "", 0, 0, 0, 0, False, f"failed: {reason}", ability="")


def display_name(model: LibraryModel) -> str:
    """A name for people; a model of the catalog has its own file's name, whatever ours is called."""
    if model.languages:
        return translation_title(model.languages)
    known = by_sha256(model.sha256)
    if known is None and model.path.suffix not in (".gguf", ".bin"):  # other programs call files by their checksum
        return model.name
    return model_title(known.file if known is not None else model.path.name)


def _switched(names: Iterable[str], name: str, on: bool) -> frozenset[str]:
    return frozenset(names) | {name} if on else frozenset(names) - {name}
