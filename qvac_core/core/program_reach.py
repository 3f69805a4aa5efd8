"""Everything that this person can reach, for programs: this machine's models and those of every provider.

Implements `endpoint.interface.Reach` over the machine, the contacts and the consumer.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace

from msgspec import UNSET, UnsetType

from qvac_core.core.answering import Edges
from qvac_core.core.choosing import seconds_to_answer, standing_as_told
from qvac_core.core.contacts import CONTEXT_TOKENS, Contacts, remote_model
from qvac_core.core.heard_elsewhere import Listeners, heard_to_the_end
from qvac_core.core.machine import THIS_MACHINE, Machine
from qvac_core.core.speech import Speech
from qvac_core.core.state import ProviderEntry, SpeechChoice, Target
from qvac_core.delegation.completion import Completion
from qvac_core.delegation.completion_request import schema_of
from qvac_core.delegation.connection import ProviderConnection
from qvac_core.delegation.consumer import Consumer, Delegate
from qvac_core.delegation.failures import Code
from qvac_core.delegation.life_signs import unless_lost
from qvac_core.delegation.messages import (
    ContentDelta,
    ContinueFrom,
    GenerationParams,
    HistoryCall,
    HistoryMessage,
    JsonObjectFormat,
    JsonSchemaFormat,
    ModelEntry,
    NamedSchema,
    NamedTool,
    ResponseFormat,
    ThinkingDelta,
    ToolChoice,
    ToolError,
)
from qvac_core.delegation.messages import Tool as WireTool
from qvac_core.delegation.messages import ToolCall as WireCall
from qvac_core.delegation.model_config import EMBEDDING_MODEL_TYPE
from qvac_core.delegation.picture_upload import wire_history
from qvac_core.endpoint.exchange import paced
from qvac_core.endpoint.interface import (
    BadCall,
    Called,
    ChatAsk,
    ChatPart,
    Ended,
    Heard,
    HeardAll,
    Offer,
    SpeechAsk,
    Text,
    Thought,
    Vectors,
    Waiting,
)
from qvac_core.engines.abilities import chat_of, embedding_of
from qvac_core.engines.interface import (
    LOCAL_OWNER,
    UNTIL_THE_END,
    CompletionRequest,
    EmbeddingRequest,
    Finished,
    LibraryModel,
    SamplingParams,
    StopReason,
    Token,
    ToolCall,
    ToolMode,
)
from qvac_core.engines.library import Library
from qvac_core.engines.speech import AudioFile, Segment, TranscriptionEvent
from qvac_core.engines.speech import Finished as HeardOut
from qvac_core.errors import DelegationError, LocalProtocolError, ModelError, QvacError
from qvac_core.tasks import TaskOwner

LIST_FRESH = 5.0  # seconds for which a provider's list of models is taken as it was
LIST_SECONDS = 3.0  # for all providers to tell, before those that did are told of
EMBED_AT_ONCE = 256  # texts in one message to a provider
LOOK_SECONDS = 0.2  # between two looks at the place in a provider's line, and at whether it is there


@dataclass(slots=True)
class _Listed:
    connection: ProviderConnection
    at: float
    models: tuple[ModelEntry, ...] | None


class ProgramReach:
    """longest: tokens of an answer where a program says nothing; 0 = no limit."""

    def __init__(
        self,
        machine: Machine,
        library: Library,
        contacts: Contacts,
        consumer: Consumer,
        speech: Speech,
        longest: Callable[[], int],
    ) -> None:
        self._machine, self._library = machine, library
        self._contacts, self._consumer, self._speech = contacts, consumer, speech
        self._longest = longest
        self._lists: dict[str, _Listed] = {}
        self._loaded: dict[tuple[str, str, str], tuple[ProviderConnection, str]] = {}
        self._tasks = TaskOwner()
        self._asked: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        await self._tasks.close()

    # --- What there is ----------------------------------------------------------------------------------------------

    async def offers(self) -> tuple[Offer, ...]:
        entries = self._contacts.entries()
        asking = [self._ask_for_list(entry) for entry in entries]
        if waiting := {task for task in asking if task is not None}:
            await asyncio.wait(waiting, timeout=LIST_SECONDS)
        there = [offer for entry in self._contacts.entries() for offer in self._offers_of(entry)]
        return (*self._offers_here(), *there)

    def _ask_for_list(self, entry: ProviderEntry) -> asyncio.Task[None] | None:
        """One that is away is looked for by whoever keeps the contacts; one that was never tried is tried now."""
        key = entry.public_key
        if key in self._asked:
            return self._asked[key]
        listed = self._lists.get(key)
        connection = self._consumer.connection(bytes.fromhex(key))
        fresh = listed is not None and listed.connection is connection and time.monotonic() - listed.at < LIST_FRESH
        if fresh or (connection is None and entry.state != "unknown"):
            return None
        task = self._tasks.start(self._list(key), "models of a provider, for programs")
        self._asked[key] = task
        task.add_done_callback(lambda _: self._asked.pop(key, None))
        return task

    async def _list(self, key: str) -> None:
        with suppress(QvacError):  # the contacts tell why it cannot be reached
            await self._list_of(key)

    async def _list_of(self, key: str) -> _Listed:
        delegate = Delegate(bytes.fromhex(key))
        if self._consumer.connection(delegate.provider_public_key) is None:
            await self._contacts.connect(key)
        models = await self._consumer.list_models(delegate)
        connection = self._consumer.connection(delegate.provider_public_key)
        if connection is None:
            raise DelegationError("The connection ended while the models were asked for.", name="ECONNRESET")
        listed = _Listed(connection, time.monotonic(), None if models is None else tuple(models))
        self._lists[key] = listed
        return listed

    def _offers_here(self) -> tuple[Offer, ...]:
        offers = []
        for model in self._machine.shared_models():
            found = self._machine.named(model.name) if model.ability else None
            if found is None:
                continue
            abilities = (model.ability, "tools") if model.ability == "chat" else (model.ability,)
            offers.append(
                Offer(
                    provider_key="",
                    machine=THIS_MACHINE,
                    name=model.display_name,
                    source=model.name,
                    abilities=(*abilities, "vision") if model.vision else abilities,
                    sha256=found.sha256,
                    context_tokens=model.n_ctx if model.ability == "chat" else 0,
                    loaded=model.state == "loaded",
                    path="local",
                    quantization=model.quantization,
                )
            )
        return tuple(offers)

    def _offers_of(self, entry: ProviderEntry) -> tuple[Offer, ...]:
        listed = self._lists.get(entry.public_key)
        return tuple(self._offer(entry, model) for model in (listed.models if listed is not None else None) or ())

    def _offer(self, entry: ProviderEntry, model: ModelEntry) -> Offer:
        told = remote_model(model)
        return Offer(
            provider_key=entry.public_key,
            machine=entry.name,
            name=told.name,
            source=model.name,
            abilities=tuple(model.abilities),
            sha256=model.sha256,
            context_tokens=model.context_tokens,
            loaded=model.loaded,
            seconds=seconds_to_answer(standing_as_told(Target(entry.public_key, model.name), entry, told)),
            rtt_ms=entry.rtt_ms,
            online=entry.state == "online",
            path=entry.path,
        )

    async def unlisted(self, machine: str, name: str) -> Offer | None:
        who = machine.casefold()
        entry = next((e for e in self._contacts.entries() if who in (e.name.casefold(), e.public_key)), None)
        if entry is None:
            return None
        listed = await self._list_of(entry.public_key)
        entry = next(e for e in self._contacts.entries() if e.public_key == entry.public_key)
        if listed.models is None:  # it cannot tell: it is tried with the name as it is
            return replace(self._offer(entry, _untold(name)), sha256="")
        wanted = name.casefold()
        offers = (self._offer(entry, model) for model in listed.models)
        return next((offer for offer in offers if wanted in (offer.name.casefold(), offer.source.casefold())), None)

    def _model_here(self, offer: Offer) -> LibraryModel:
        model = self._machine.named(offer.source)
        if model is None:
            raise ModelError(f"{offer.name} is not on this machine any more.", name="MODEL_NOT_FOUND_HERE")
        return model

    # --- Chat -------------------------------------------------------------------------------------------------------

    async def chat(self, offer: Offer, ask: ChatAsk) -> AsyncGenerator[ChatPart, None]:
        predict = ask.sampling.predict or self._longest() or UNTIL_THE_END
        ask = replace(ask, sampling=replace(ask.sampling, predict=predict))
        parts = self._chat_here(offer, ask) if offer.local else self._chat_there(offer, ask)
        edges = Edges()
        async with aclosing(parts):
            async for part in parts:
                if isinstance(part, Text):
                    part = Text(edges.answer(part.text))
                elif isinstance(part, Thought):
                    part = Thought(edges.thinking(part.text))
                if not isinstance(part, Text | Thought) or part.text:
                    yield part

    async def _chat_here(self, offer: Offer, ask: ChatAsk) -> AsyncGenerator[ChatPart, None]:
        lease = await self._machine.acquire(self._model_here(offer))
        try:
            self._machine.announce()
            request = CompletionRequest(
                request_id=ask.request_id,
                history=ask.history,
                sampling=ask.sampling,
                stop=ask.stop,
                owner=LOCAL_OWNER,
                continue_from=ask.so_far,
                response_schema=ask.schema,
                thinking=ask.thinking,
                tools=ask.tools,
                tool_choice=ask.tool_choice,
                parallel_tool_calls=ask.parallel_tool_calls,
            )
            events = chat_of(lease.model).complete(request)
            async with aclosing(events):  # type: ignore[type-var]
                async for event in events:
                    if isinstance(event, Token):
                        yield Thought(event.text) if event.thinking else Text(event.text)
                    elif isinstance(event, ToolCall):
                        yield Called(event.id or _call_id(), event.name, event.arguments)
                    elif isinstance(event, Finished):
                        stats = event.stats
                        reason = "length" if event.stop_reason is StopReason.LENGTH else "stop"
                        yield Ended(reason, stats.prompt_tokens, stats.generated_tokens, stats.cache_tokens)
                    else:
                        yield BadCall(event.raw, event.message)
        finally:
            lease.release()

    async def _chat_there(self, offer: Offer, ask: ChatAsk) -> AsyncGenerator[ChatPart, None]:
        completion = await self._started(offer, ask)
        place = 0

        def is_lost() -> bool:
            return ask.impatient and completion.connection.gone

        coming = unless_lost(completion.events, is_lost)
        async with completion, aclosing(paced(coming, LOOK_SECONDS)) as events:
            async for event in events:
                if event is None:
                    if completion.place and completion.place != place:
                        place = completion.place
                        yield Waiting(place)
                elif isinstance(event, ContentDelta):
                    yield Text(event.text)
                elif isinstance(event, ThinkingDelta):
                    yield Thought(event.text)
                elif isinstance(event, WireCall):
                    arguments = json.dumps(event.call.arguments, ensure_ascii=False)
                    yield Called(event.call.id or _call_id(), event.call.name, arguments)
                elif isinstance(event, ToolError):
                    raw = event.error.raw
                    yield BadCall(raw if isinstance(raw, str) else "", event.error.message)
            final = await completion.final
            stats = final.stats
            yield Ended(
                "length" if final.stop_reason == "length" else "stop",
                _count(stats.prompt_tokens) if stats else None,
                _count(stats.generated_tokens) if stats else None,
                (_count(stats.cache_tokens) or 0) if stats else 0,
            )

    async def _started(self, offer: Offer, ask: ChatAsk) -> Completion:
        """A provider that forgot the model (it restarted) is asked to load it once more."""
        delegate = Delegate(bytes.fromhex(offer.provider_key))
        kind = "tools" if ask.tools else "chat"
        config = {"ctx_size": CONTEXT_TOKENS, **({"tools": True} if ask.tools else {})}
        history, pictures = _wire(ask)
        for last_try in (False, True):
            connection, model_id = await self._load(offer, kind, None, config)
            if ask.so_far:
                await connection.greeted()
                if not offer.sha256 or not connection.offers("continue"):
                    code = Code.MODEL_OPERATION_NOT_SUPPORTED
                    raise ModelError("This provider cannot go on with an answer.", name=code.name, code=code.value)
            run = await self._consumer.completion(
                model_id,
                history,
                delegate=delegate,
                pictures=pictures,
                request_id=ask.request_id,
                generation_params=_params(ask.sampling, thinking=ask.thinking),
                tools=_tools(ask),
                tool_choice=_choice(ask),
                parallel_tool_calls=ask.parallel_tool_calls,
                response_format=_format(ask.schema),
                capture_thinking=True,
                continue_from=ContinueFrom(ask.so_far, offer.sha256) if ask.so_far else None,
            )
            if run.connection is connection or last_try:
                return run
            await run.leave()
        raise AssertionError("unreachable")

    async def _load(
        self, offer: Offer, kind: str, model_type: str | None, config: Mapping[str, object] | None
    ) -> tuple[ProviderConnection, str]:
        key = (offer.provider_key, offer.source, kind)
        kept = self._loaded.get(key)
        if kept is not None and not kept[0].closed:
            return kept
        delegate = Delegate(bytes.fromhex(offer.provider_key))
        if self._consumer.connection(delegate.provider_public_key) is None:
            await self._contacts.connect(offer.provider_key)
        given = {} if model_type is None else {"model_type": model_type}
        loaded = await self._consumer.load_model(
            offer.source, delegate=delegate, model_config=config, on_progress=lambda _: None, **given
        )
        connection = self._consumer.connection(delegate.provider_public_key)
        if connection is None:
            raise DelegationError("The connection ended while the model was loading.", name="ECONNRESET")
        self._loaded[key] = (connection, loaded.model_id)
        return self._loaded[key]

    # --- Embeddings and speech --------------------------------------------------------------------------------------

    async def embed(self, offer: Offer, texts: Sequence[str]) -> Vectors:
        if offer.local:
            lease = await self._machine.acquire(self._model_here(offer))
            try:
                self._machine.announce()
                model = embedding_of(lease.model)
                made = await model.embed(EmbeddingRequest(uuid.uuid4().hex, tuple(texts), LOCAL_OWNER))
                return Vectors(made.vectors.tolist(), made.tokens)
            finally:
                lease.release()
        delegate = Delegate(bytes.fromhex(offer.provider_key))
        _, model_id = await self._load(offer, "embed", EMBEDDING_MODEL_TYPE, None)
        vectors: list[list[float]] = []
        tokens = 0
        for start in range(0, len(texts), EMBED_AT_ONCE):
            some = texts[start : start + EMBED_AT_ONCE]
            reply = await self._consumer.embed(model_id, list(some), delegate=delegate)
            rows = [[float(value) for value in row] for row in reply.embedding if isinstance(row, list)]
            if len(rows) != len(some):
                raise DelegationError("The provider sent another number of vectors than of texts.")
            vectors += rows
            tokens += _count(reply.stats.total_tokens) or 0 if not isinstance(reply.stats, UnsetType) else 0
        return Vectors(vectors, tokens)

    async def transcribe(
        self, offer: Offer, ask: SpeechAsk, heirs: Sequence[Offer] = ()
    ) -> AsyncGenerator[Heard | HeardAll, None]:
        def listen(
            who: Target, start_ms: int, *, impatient: Callable[[], bool]
        ) -> AsyncGenerator[TranscriptionEvent, None]:
            return self._speech.transcribe(
                AudioFile(ask.file),
                who,
                language=ask.language,
                prompt=ask.prompt,
                translate=ask.translate,
                start_ms=start_ms,
                impatient=impatient,
            )

        listeners = Listeners(
            lambda: [SpeechChoice(heir.source, heir.provider_key, loaded=heir.loaded) for heir in heirs],
            [heir.provider_key for heir in heirs if not heir.local],
            here=any(heir.local for heir in heirs),
        )
        events = heard_to_the_end(Target(offer.provider_key, offer.source), listen, listeners)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Segment):
                    yield Heard(event.start_ms, event.end_ms, event.text)
                elif isinstance(event, HeardOut):
                    yield HeardAll(event.language, event.audio_ms)


def _untold(name: str) -> ModelEntry:
    return ModelEntry(name, "", ["chat", "tools", "embed", "transcribe"], 0, 0, "", loaded=False)


def _call_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"


def _count(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and value >= 0 else None


def _wire(ask: ChatAsk) -> tuple[list[HistoryMessage], dict[str, bytes]]:
    """With the calls of tools and their results, which conversations of the window do not have."""
    messages, pictures = wire_history(ask.history)
    sent = []
    for message, given in zip(messages, ask.history, strict=True):
        calls = [HistoryCall(call.id, call.name, json.loads(call.arguments)) for call in given.tool_calls]
        sent.append(
            HistoryMessage(
                message.role,
                message.content,
                message.attachments,
                tool_calls=calls or UNSET,
                tool_call_id=given.tool_call_id or UNSET,
                name=given.name or UNSET,
            )
        )
    return sent, pictures


def _params(sampling: SamplingParams, *, thinking: bool) -> GenerationParams:
    """min_p has no word on the wire."""

    def given(value: float | int | None) -> float | int | UnsetType:
        return UNSET if value is None else value

    return GenerationParams(
        temp=given(sampling.temp),
        top_p=given(sampling.top_p),
        top_k=given(sampling.top_k),
        predict=given(sampling.predict),
        seed=given(sampling.seed),
        frequency_penalty=given(sampling.frequency_penalty),
        presence_penalty=given(sampling.presence_penalty),
        repeat_penalty=given(sampling.repeat_penalty),
        reasoning_budget=UNSET if thinking else 0,
    )


def _tools(ask: ChatAsk) -> list[WireTool] | None:
    if not ask.tools:
        return None
    try:
        return [WireTool("function", tool.name, tool.description, json.loads(tool.parameters)) for tool in ask.tools]
    except ValueError as error:
        raise LocalProtocolError(f"The tools cannot be sent: {error}.") from error


def _choice(ask: ChatAsk) -> ToolChoice | UnsetType:
    if not ask.tools:
        return UNSET
    match ask.tool_choice.mode:
        case ToolMode.NAMED:
            return NamedTool(ask.tool_choice.name)
        case ToolMode.REQUIRED:
            return "required"
        case ToolMode.NONE:
            return "none"
    return UNSET


def _format(schema: str | None) -> ResponseFormat | None:
    if schema is None:
        return None
    if schema == schema_of(JsonObjectFormat()):
        return JsonObjectFormat()
    return JsonSchemaFormat(NamedSchema("answer", json.loads(schema)))
