"""`start_qvac_provider`, `load_model`, `completion`, …: the SDK's calls, on one core that starts with the first.

Names, defaults and meanings are those of `@qvac/sdk` 0.16 (its delegation page); times are in seconds. A program that
needs several cores, or settings of its own, uses `qvac_core.core.Core` instead.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Literal, cast, overload
from weakref import WeakSet

import msgspec
from msgspec import UNSET, UnsetType

from qvac_core.api.loaded_model import LoadedModelInfo, info_of
from qvac_core.api.registry import ModelRegistryEntry
from qvac_core.api.started import Started
from qvac_core.codec.key_text import parse_public_key, parse_seed
from qvac_core.core import Core, CoreConfig, RuleOverride, load_key_pair
from qvac_core.core.local_completion import LocalCompletion
from qvac_core.delegation import consumer as delegated
from qvac_core.delegation.attached_pictures import has_attachments
from qvac_core.delegation.completion import Completion, CompletionFinal
from qvac_core.delegation.completion_request import given_sampling, schema_of, thinks
from qvac_core.delegation.embeddings import embed_reply
from qvac_core.delegation.held_models import KnownModel
from qvac_core.delegation.kv_sessions import KvSessions
from qvac_core.delegation.later import Later
from qvac_core.delegation.load_messages import canonical_type
from qvac_core.delegation.messages import (
    CompletionStream,
    GenerationParams,
    ModelProgress,
    ResponseFormat,
    Stats,
    ToolDialect,
)
from qvac_core.delegation.model_config import LLM_MODEL_TYPE, TRANSLATION_MODEL_TYPE
from qvac_core.delegation.picture_upload import read_history
from qvac_core.delegation.tool_wire import (
    check_json,
    engine_choice,
    engine_tools,
    given_choice,
    given_message,
    given_tools,
)
from qvac_core.delegation.translation_run import TranslationRun
from qvac_core.engines.interface import LOCAL_OWNER, ChatMessage, CompletionRequest, LoadedModel, SamplingParams
from qvac_core.engines.live_speech import LiveSession
from qvac_core.engines.marian_file import languages_of
from qvac_core.errors import LocalProtocolError, ModelError
from qvac_core.models import ModelDescriptor, by_file, by_name, by_source

Progress = Callable[[ModelProgress], None]
History = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Delegate:
    """Whose GPU. provider_public_key: 64 hex digits or 32 bytes. Seconds; None = 60 for the first connect, 10 later.

    fallback_to_local, force_new_connection: act in `load_model`, as in the SDK.
    """

    provider_public_key: str | bytes
    timeout: float | None = None
    fallback_to_local: bool = False
    force_new_connection: bool = False
    health_check_timeout: float = 1.5

    def resolved(self) -> delegated.Delegate:
        """Raises IdentityError for what is no key."""
        key = self.provider_public_key
        return delegated.Delegate(
            key if isinstance(key, bytes) else parse_public_key(key),
            self.timeout,
            self.fallback_to_local,
            self.force_new_connection,
            self.health_check_timeout,
        )


@dataclass(frozen=True, slots=True)
class Firewall:
    """mode "allow": only these keys; "deny": everybody but these. An empty allow list admits nobody."""

    mode: Literal["allow", "deny"]
    public_keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Provided:
    """The key to pass on, 64 hex digits."""

    public_key: str


class _Session:
    """The one core of this process, for one event loop."""

    def __init__(self) -> None:
        self.config = CoreConfig(exclusive=False)
        self.core: Core | None = None
        self.kv_sessions = KvSessions()  # of answers of this machine
        self.answers_here: dict[
            str, tuple[str, LocalCompletion | TranslationRun]
        ] = {}  # by request id, with their model's
        self.loaded_at: dict[str, datetime] = {}  # of the models of this machine, by id
        self.work_here: dict[str, str] = {}  # requests of other kinds: their models' ids, by request id
        self.lives: WeakSet[LiveSession] = WeakSet()  # live transcripts that somebody has in hand
        self._lock: asyncio.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def started(self, config: CoreConfig | None = None) -> Core:
        """config: of a core that starts with this call, in place of the configured one.

        Raises LocalProtocolError where it lives on another loop: it would never answer this one.
        """
        self._check_loop()
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            if self.core is None:
                core = Core(config or self.config)
                await core.start()
                self.core, self._loop = core, asyncio.get_running_loop()
            return self.core

    async def close(self) -> None:
        if self._loop is not None and self._loop.is_closed():
            self.core = None  # its loop ended without this call: nobody can close it properly any more
        self._check_loop()
        core, self.core, self._lock, self._loop = self.core, None, None, None
        self.loaded_at.clear()
        lives = list(self.lives)
        self.lives.clear()
        for live in lives:  # whoever waits for more of one would wait for ever
            await live.close()
        if core is not None:
            await core.close()

    def _check_loop(self) -> None:
        if self.core is not None and self._loop is not asyncio.get_running_loop():
            raise LocalProtocolError(
                "The core of this process runs on another event loop. Call close() there first, or use "
                "qvac_core.blocking for everything, from any thread."
            )


_session = _Session()


def configure(config: CoreConfig) -> None:
    """Where the core of this process keeps its data, its seed, its bootstrap nodes. Before the first call only."""
    if _session.core is not None:
        raise LocalProtocolError("configure() comes before the first call; close() first.")
    _session.config = config


def get_consumer_public_key(seed: str | None = None) -> str:
    """The key that a consumer with this seed (64 hex digits) shows; None = this process's identity.

    Raises IdentityError for what is no seed.
    """
    config = _session.config if seed is None else CoreConfig(seed=parse_seed(seed))
    return load_key_pair(config).public_key.hex()


async def start_qvac_provider(
    firewall: Firewall | None = None,
    *,
    models: Sequence[str | ModelDescriptor] | None = None,
    answer_tokens: int | None = None,
) -> Provided:
    """Share models under this process's key. models: names, files or descriptors. None = what `configure` said.

    answer_tokens: longest answer that a guest may ask for; only where this is the process's first call.

    Where nobody said who, nobody is admitted (ours is safe by default); nor said what, the library's switches hold.
    Raises QvacError.
    """
    configured = _session.config
    rules = (configured.rules or RuleOverride()) if firewall is None else _rules(firewall)
    names = None if models is None else tuple(_source(model) for model in models)
    if answer_tokens is not None and answer_tokens < 1:
        raise LocalProtocolError("answer_tokens is at least 1.")
    if _session.core is None:
        most = configured.answer_tokens if answer_tokens is None else answer_tokens
        shared = configured.models if names is None else names
        core = await _session.started(replace(configured, rules=rules, models=shared, answer_tokens=most))
    else:
        if answer_tokens is not None:
            raise LocalProtocolError("answer_tokens comes with the first call; close() first.")
        core = await _session.started()
        await core.use_rules(rules)
        if names is not None:
            await core.machine.share_only(names)
    await core.start_sharing()
    return Provided(core.public_key)


async def stop_qvac_provider() -> None:
    """Withdraw the key and end what is served, properly."""
    if _session.core is not None:
        await (await _session.started()).stop_sharing()


async def load_model(
    model_src: str | ModelDescriptor | ModelRegistryEntry,
    *,
    model_type: str | None = None,
    delegate: Delegate | None = None,
    model_config: Mapping[str, Any] | None = None,
    on_progress: Progress | None = None,
) -> str:
    """Load a model at the provider, or on this machine without `delegate`; returns its id.

    model_type: "llm", "embeddings", "whisper", "nmt", or a canonical name; None = the one of a model that the SDK's
    list has or whose name says that it translates (model.deen.intgemm.alphas.bin), else "llm".
    model_config: the SDK's names. A provider keeps to its owner's context, device and slots; on this machine they are
    those of whoever loads a model first. on_progress gets downloaded and total bytes and the percentage. Raises
    ModelError, DelegationError, IdentityError, and LocalProtocolError for a name or value that does not exist.
    """
    core = await _session.started()
    source = _source(model_src)
    if delegate is None:
        return _noted(await core.machine.load_local(source, model_config, on_progress, _type(model_src, model_type)))
    loaded = await core.consumer.load_model(
        source,
        delegate=delegate.resolved(),
        model_type=_type(model_src, model_type),
        model_name=_name(model_src),
        model_config=model_config,
        on_progress=on_progress,
    )
    return loaded.model_id if loaded.where == "delegated" else _noted(loaded.model_id)


def _noted(model_id: str) -> str:
    _session.loaded_at.setdefault(model_id, datetime.now(UTC))
    return model_id


async def get_loaded_model_info(model_id: str) -> LoadedModelInfo:
    """What is known here of a model that `load_model` loaded. Raises DelegationError MODEL_NOT_FOUND."""
    from qvac_core import api

    core = await _session.started()
    running, model = core.machine.running_here(model_id), core.machine.model_here(model_id)
    if running is None or model is None:
        key = core.consumer.provider_of(model_id)
        return LoadedModelInfo(model_id, is_delegated=True, provider_public_key=key.hex())
    loaded_at = _session.loaded_at.setdefault(model_id, datetime.now(UTC))
    return info_of(model_id, model, running.info, loaded_at, api.__all__)


async def heartbeat(delegate: Delegate) -> float:
    """Ask whether a provider is there; seconds it took."""
    return await (await _session.started()).consumer.heartbeat(delegate.resolved())


class Answer(Started[Completion | LocalCompletion]):
    """One answer. `async with` it, or read it to its end; leaving early cancels down to the GPU.

    token_stream: text as it comes. text, stats, final: awaitable, once it has ended; InferenceCancelled when cancelled.
    """

    def __init__(self, start: Coroutine[Any, Any, Completion | LocalCompletion], request_id: str) -> None:
        super().__init__(start, request_id, left="The answer was left before its end.")

    @property
    def events(self) -> AsyncIterator[object]:
        """The provider's events (contentDelta, completionStats, …); of this machine those with text."""
        return self._events()

    async def _events(self) -> AsyncIterator[object]:
        run = await self._run()
        stream: AsyncIterator[object] = run.events
        async for event in stream:
            yield event

    @property
    def stats(self) -> Awaitable[Stats | None]:
        return Later(self._stats)

    async def _stats(self) -> Stats | None:
        return await (await self._run()).stats

    @property
    def final(self) -> Awaitable[CompletionFinal]:
        return Later(self._final)

    async def _final(self) -> CompletionFinal:
        return await (await self._run()).final


def completion(
    model_id: str,
    history: History,
    *,
    generation_params: Mapping[str, Any] | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    tool_choice: str | Mapping[str, Any] | None = None,
    parallel_tool_calls: bool = True,
    tool_dialect: ToolDialect | None = None,
    response_format: Mapping[str, Any] | None = None,
    kv_cache: bool | str | None = None,
    capture_thinking: bool = False,
    request_id: str | None = None,
) -> Answer:
    """Start an answer of a loaded model. history: [{"role", "content"}, …]. Call it inside a running event loop.

    content: a text, or OpenAI's list of {"type": "text", "text": …} parts, which are joined.

    Pictures for a model that sees: "attachments": [{"path": FILE}, …] in a message of the user. Files of this machine;
    to a provider their bytes are sent. A provider that is not QVAC Desktop cannot take any.
    generation_params: temp, top_p, top_k, predict, seed, repeat_penalty, frequency_penalty, presence_penalty, and
    reasoning_budget (0 = without thinking). Any other name is LocalProtocolError when the answer is awaited.
    capture_thinking: what the model thinks comes apart from its text (`final.thinking`, thinkingDelta).

    tools: [{"type": "function", "name", "description", "parameters": JSON schema}, …], or in OpenAI's form, for a model
    that was loaded with `model_config={"tools": True}`. `final.tool_calls` has what the model asks for, its arguments
    checked; `final.tool_errors` what must not be run. Results go back in the history: the answer as {"role":
    "assistant", "content", "tool_calls": final.tool_calls}, then {"role": "tool", "tool_call_id", "content"} for each.
    tool_choice: "auto", "none", "required", or {"type": "function", "name"}; a JavaScript provider takes the first two.
    tool_dialect: how the model writes calls, where its template does not tell.
    response_format: {"type": "json_object"}, or {"type": "json_schema", "json_schema": {"name", "schema"}}.
    kv_cache: the name of a session in which only what is new is read, or True: the session is found by the history.
    """
    request_id = request_id or str(uuid.uuid4())
    asked = _Asked(
        model_id,
        request_id,
        _copied(history),
        _copied(generation_params or {}),
        () if tools is None else tools,
        tool_choice,
        parallel_tool_calls,
        tool_dialect,
        response_format,
        kv_cache,
        capture_thinking,
    )
    return Answer(_start(asked), request_id)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a program asked for, not looked at yet."""

    model_id: str
    request_id: str
    history: object
    params: object
    tools: Sequence[Mapping[str, Any]]
    tool_choice: str | Mapping[str, Any] | None
    parallel_tool_calls: bool
    tool_dialect: ToolDialect | None
    response_format: Mapping[str, Any] | None
    kv_cache: bool | str | None
    capture_thinking: bool

    def message(self) -> CompletionStream:
        """As it would travel. Raises LocalProtocolError for what is no request."""
        if not isinstance(self.history, list):
            raise LocalProtocolError('The history is a list of messages: [{"role": "user", "content": "…"}].')
        try:
            return CompletionStream(
                model_id=self.model_id,
                history=[given_message(turn) for turn in self.history],
                stream=True,
                generation_params=msgspec.convert(self.params, GenerationParams),
                tools=given_tools(self.tools) or UNSET,
                tool_choice=given_choice(self.tool_choice),
                parallel_tool_calls=UNSET if self.parallel_tool_calls else False,
                tool_dialect=UNSET if self.tool_dialect is None else self.tool_dialect,
                response_format=_format(self.response_format),
                capture_thinking=True if self.capture_thinking else UNSET,
                kv_cache=UNSET if self.kv_cache in (None, False) else self.kv_cache,
                request_id=self.request_id,
            )
        except (msgspec.ValidationError, KeyError, ValueError) as error:
            raise LocalProtocolError(f"The request is not valid: {error}") from error


def _format(given: Mapping[str, Any] | None) -> ResponseFormat | UnsetType:
    if given is None:
        return UNSET
    check_json(given, "The response format")
    format: ResponseFormat = msgspec.convert(given, ResponseFormat)
    return format


def _copied(given: object) -> object:
    """What a program may change meanwhile. Whatever is no list of messages, or no parameters, stays as it is."""
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        return given
    return [dict(each) if isinstance(each, Mapping) else each for each in given]


async def _start(asked: _Asked) -> Completion | LocalCompletion:
    core = await _session.started()
    message = asked.message()
    known, here = core.machine.known_here(asked.model_id), core.machine.loaded_here(asked.model_id)
    ignored = core.consumer.ignores_tools(asked.model_id) if known is None else known.config.tools is not True
    if message.tools and ignored:
        raise LocalProtocolError(
            'This model was loaded without tools: load it with model_config={"tools": True} to use them.'
        )
    if here is None or known is None:
        return await core.consumer.ask(message)
    history = await read_history(message.history)
    run = _answer_here(here, known, message, history, capture_thinking=asked.capture_thinking)
    _session.answers_here[asked.request_id] = (asked.model_id, run)
    run.task.add_done_callback(lambda _: _session.answers_here.pop(asked.request_id, None))
    return run


def _answer_here(
    model: LoadedModel,
    known: KnownModel,
    message: CompletionStream,
    history: tuple[ChatMessage, ...],
    *,
    capture_thinking: bool,
) -> LocalCompletion:
    params = message.generation_params
    given = GenerationParams() if isinstance(params, UnsetType) else params
    request = CompletionRequest(
        request_id=str(message.request_id),
        history=history,
        sampling=SamplingParams(**given_sampling(given)),
        owner=LOCAL_OWNER,
        thinking=thinks(given, known.config),
        response_schema=schema_of(message.response_format),
        tools=engine_tools(message.tools),
        tool_choice=engine_choice(message.tool_choice),
        parallel_tool_calls=message.parallel_tool_calls is not False,
        tool_dialect=message.tool_dialect if isinstance(message.tool_dialect, str) else "",
    )
    # A session is text alone.
    seen = has_attachments(message)
    turn = None if seen else _session.kv_sessions.begin(LOCAL_OWNER.encode(), known, message, request.history)
    if turn is None:
        return LocalCompletion(model, request, capture_thinking=capture_thinking)

    def keep(text: str, called: bool) -> None:
        if not (called and message.kv_cache is True):  # a call has no text by which it could be found
            _session.kv_sessions.keep(turn, message, text)

    _session.kv_sessions.forget(turn)  # an answer that is not whole leaves nothing to go on from
    request = replace(request, session=turn.session, history=turn.history)
    return LocalCompletion(model, request, capture_thinking=capture_thinking, keep=keep)


@overload
async def embed(  # type: ignore[overload-overlap]  # a str is an Iterable[str], too
    model_id: str, text: str, *, request_id: str | None = None
) -> list[float]: ...


@overload
async def embed(model_id: str, text: Iterable[str], *, request_id: str | None = None) -> list[list[float]]: ...


async def embed(
    model_id: str, text: str | Iterable[str], *, request_id: str | None = None
) -> list[float] | list[list[float]]:
    """The vector of a text, or one for each of a list, by a loaded embedding model. To length 1, unless the model was
    loaded with another embdNormalize.

    Raises ModelError (a text too long, an empty one), InferenceCancelled, DelegationError.
    """
    core = await _session.started()
    text = _texts(text)
    request_id = request_id or str(uuid.uuid4())
    if core.machine.running_here(model_id) is None:
        reply = await core.consumer.embed(model_id, text, request_id=request_id)
    else:
        texts = (text,) if isinstance(text, str) else tuple(text)
        _session.work_here[request_id] = model_id
        try:
            reply = embed_reply(
                await core.machine.embed_here(model_id, texts, request_id), single=isinstance(text, str)
            )
        finally:
            _session.work_here.pop(request_id, None)
    return cast("list[float] | list[list[float]]", reply.embedding)


def _texts(given: object) -> str | list[str]:
    """Raises LocalProtocolError."""
    if isinstance(given, bytes | Mapping) or not isinstance(given, Iterable):
        raise LocalProtocolError("What is embedded is a text, or a list of texts.")
    texts = [given] if isinstance(given, str) else list(given)
    if not all(isinstance(text, str) for text in texts):
        raise LocalProtocolError("What is embedded is a text, or a list of texts.")
    if not texts:
        raise LocalProtocolError("There are no texts to embed: the list is empty.")
    if not all(texts):
        raise LocalProtocolError("An empty text has no embedding. Leave it out.")
    clean = [text.encode("utf-8", "replace").decode() for text in texts]  # halves of letters have no UTF-8
    return clean[0] if isinstance(given, str) else clean


async def cancel(*, request_id: str | None = None, model_id: str | None = None) -> int:
    """Stop one request, or all of ours on a model, there or here; how many were stopped. Raises QvacError."""
    core = await _session.started()
    if request_id is not None and request_id in _session.answers_here:
        return await _session.answers_here[request_id][1].cancel()
    if request_id is not None and request_id in _session.work_here:
        running = core.machine.running_here(_session.work_here[request_id])
        return int(running is not None and running.cancel(request_id))
    if request_id is None and model_id is not None and (running := core.machine.running_here(model_id)) is not None:
        runs = [run for its, run in _session.answers_here.values() if its == model_id]
        work = [id for id, its in _session.work_here.items() if its == model_id]
        return sum([await run.cancel() for run in runs]) + sum(running.cancel(id) for id in work)
    return await core.consumer.cancel(request_id=request_id, model_id=model_id)


async def unload_model(model_id: str) -> bool:
    """Give a model back. False when it was not loaded, or its provider did not confirm."""
    core = await _session.started()
    _session.loaded_at.pop(model_id, None)
    return core.machine.unload_local(model_id) or await core.consumer.unload_model(model_id)


async def close() -> None:
    """End everything this process started; the next call starts anew."""
    await _session.close()


def _source(model: str | ModelDescriptor | ModelRegistryEntry) -> str:
    if isinstance(model, ModelDescriptor | ModelRegistryEntry):
        return model.src
    if not model:
        raise ModelError("A model is named by its source, its file or its SDK name; this name is empty.")
    return model


def _name(model: str | ModelDescriptor | ModelRegistryEntry) -> str | None:
    """The SDK's constant, where the model is one of its list."""
    match model:
        case ModelDescriptor():
            return model.name
        case ModelRegistryEntry():
            return model.constant
    return None


def _type(model: str | ModelDescriptor | ModelRegistryEntry, given: str | None) -> str:
    """Canonical. Raises LocalProtocolError for a name that does not exist."""
    if given is not None:
        return canonical_type(given)
    source = _source(model)
    known = model if isinstance(model, ModelDescriptor) else by_source(source) or by_name(source) or by_file(source)
    if known is not None:
        return known.model_type
    return TRANSLATION_MODEL_TYPE if languages_of(PurePath(source).name) is not None else LLM_MODEL_TYPE


def _rules(firewall: Firewall) -> RuleOverride:
    keys = tuple(parse_public_key(key).hex() for key in firewall.public_keys)
    match firewall.mode:
        case "allow":
            return RuleOverride(allow=keys)
        case "deny":
            return RuleOverride(deny=keys, allow_all=True)
    # Not guessed: a typing mistake must not let everybody in.
    raise LocalProtocolError(f"The mode of a firewall is allow or deny, not {firewall.mode}.")
