"""A model that an OpenAI-compatible server runs: `LoadedModel` and `EmbeddingModel`, each answer one request to it."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qvac_core.engines.answer_text import checked_stop
from qvac_core.engines.interface import (
    CompletionEvent,
    CompletionRequest,
    CompletionStats,
    EmbeddingRequest,
    Embeddings,
    Finished,
    ModelInfo,
    StopReason,
    Token,
    ToolCall,
    ToolError,
)
from qvac_core.engines.openai_answer import ChatAnswer
from qvac_core.engines.openai_client import UNREADABLE, Broken, OpenAiClient
from qvac_core.engines.openai_models import ServerKind
from qvac_core.engines.openai_request import MESSAGE_TOKENS, chat_body, estimated_tokens, longest
from qvac_core.engines.pictures import check_pictures, no_vision, pictures_of
from qvac_core.engines.request_defaults import encodable, one_history
from qvac_core.engines.response_schema import parse_schema
from qvac_core.engines.scheduler import overflow
from qvac_core.engines.tool_history import with_calls
from qvac_core.engines.tools import CLOSE, OPEN, CheckedTool, candidates, usable
from qvac_core.engines.turns_at_server import TurnsAtServer
from qvac_core.engines.underway import Underway, check_free, id_taken
from qvac_core.errors import DelegationError, InferenceCancelled, ModelError, QvacError
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import numpy
else:
    numpy = Lazy("numpy")

log = logging.getLogger("qvac.engines")

COUNT_SECONDS = 2.0  # for a server that counts tokens when it is asked
EVENTS_KEPT = 64  # of an answer nobody reads; later tokens join the last one
EMBED_TEXTS = 64  # in one request
UNKNOWN_CONTEXT = 1 << 20  # tokens: bounds nothing where a server does not say how many it takes
AT_SERVER = "server"  # where it computes


@dataclass(frozen=True, slots=True)
class At:
    """A model at its server. limit_field: what the longest answer is called there.

    trouble: called when an answer broke off.
    """

    client: OpenAiClient
    turns: TurnsAtServer
    model: str
    kind: ServerKind = ServerKind.OTHER
    limit_field: str = "max_tokens"
    trouble: Callable[[], None] = lambda: None


class _Answer(Underway[CompletionEvent]):
    """One answer, from what the server says to whoever waits for it."""

    def __init__(self, request: CompletionRequest, reader: ChatAnswer, prompt_tokens: int) -> None:
        super().__init__(0, request.request_id)
        self.owner = request.owner
        self.reader = reader
        self.prompt_tokens = prompt_tokens
        self.asked_at = time.perf_counter()
        self.first_at = self.last_at = 0.0
        self.company = 1

    def tell(self, events: Sequence[Token | ToolCall | ToolError]) -> None:
        if events:
            self.last_at = time.perf_counter()
            self.first_at = self.first_at or self.last_at
        for event in events:
            last = self._events[-1] if len(self._events) >= EVENTS_KEPT else None
            if isinstance(event, Token) and isinstance(last, Token) and last.thinking is event.thinking:
                self._events[-1] = Token(last.text + event.text, event.thinking)
            else:
                self.put(event)

    def finished(self, reason: StopReason) -> Finished:
        usage = self.reader.usage
        generated = self.reader.pieces if usage.generated is None else usage.generated
        first = (self.first_at or time.perf_counter()) - self.asked_at
        spent = self.last_at - self.first_at
        rate = (generated - 1) / spent if generated > 1 and spent > 0 else 1 / first if generated and first > 0 else 0.0
        stats = CompletionStats(
            time_to_first_token=first * 1000,
            tokens_per_second=rate,
            prompt_tokens=self.prompt_tokens if usage.prompt is None else usage.prompt,
            generated_tokens=generated,
            cache_tokens=usage.cached,
            avg_concurrent_seq=float(self.company),
            backend_device=AT_SERVER,
        )
        return Finished(reason, stats)


class _AtServer:
    """What chat and embedding models have in common."""

    def __init__(self, at: At, info: ModelInfo, on_unload: Callable[[], None]) -> None:
        self._at = at
        self._info = info
        self._unloaded = False
        self._on_unload = on_unload

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def alive(self) -> bool:
        return not self._unloaded

    def _require_loaded(self) -> None:
        if self._unloaded:
            raise _not_loaded()


class OpenAiModel(_AtServer):
    """A chat model. Made by `OpenAiEngine.load`."""

    def __init__(self, at: At, info: ModelInfo, on_unload: Callable[[], None] = lambda: None) -> None:
        super().__init__(at, info, on_unload)
        self._answers: dict[_Answer, asyncio.Task[None]] = {}

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        """See `LoadedModel.complete`. Nothing is asked of the server before the first event is awaited.

        Closing it closes the connection: that is what tells the server that nobody waits.
        """
        self._require_loaded()
        check_free(request.request_id, self._answers)
        answer, body = self._prepared(encodable(request))
        task = asyncio.create_task(self._run(answer, body), name="answer of a model server")
        self._answers[answer] = task
        try:
            while True:
                event = await answer.next()
                if isinstance(event, Finished):
                    self._answers.pop(answer, None)  # its id is free, whether or not anybody asks for more
                    yield event
                    return
                yield event
        finally:
            answer.ended = True
            self._answers.pop(answer, None)
            task.cancel()
            await asyncio.wait({task})

    def cancel(self, request_id: str) -> bool:
        for answer, task in self._answers.items():
            if answer.request_id == request_id and not answer.ended:
                answer.end(answer.finished(StopReason.CANCELLED))
                task.cancel()
                return True
        return False

    async def unload(self) -> None:
        """What is under way fails. The server keeps its model, or not, by its own rules."""
        if self._unloaded:
            return
        self._unloaded = True
        tasks = set(self._answers.values())
        for answer, task in self._answers.items():
            answer.end(_not_loaded())
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._on_unload()

    # --- One answer -----------------------------------------------------------------------------------------------

    def _prepared(self, request: CompletionRequest) -> tuple[_Answer, dict[str, Any]]:
        """Raises ModelError for what cannot be asked."""
        history = (*one_history(request.session), *request.history)
        if not history:
            raise overflow(0, 0)
        if pictures := pictures_of(history):
            if not self.info.vision:
                raise no_vision()
            check_pictures(pictures)
        if request.response_schema:
            parse_schema(request.response_schema)
        n_ctx = self.info.n_ctx
        tools = usable(request, n_ctx or UNKNOWN_CONTEXT)
        request = with_calls(replace(request, history=history, session=()), tools, ((OPEN, CLOSE),))
        must_call = bool(candidates(request, tools))
        estimated = estimated_tokens(request, tools)
        if request.context_tokens and estimated >= request.context_tokens:
            raise overflow(estimated, request.context_tokens)
        most = longest(request, n_ctx, estimated)
        body = chat_body(
            request,
            tools,
            model=self._at.model,
            kind=self._at.kind,
            limit_field=self._at.limit_field,
            most=most,
        )
        return _Answer(request, self._reader(request, tools, must_call, most), estimated), body

    def _reader(
        self, request: CompletionRequest, tools: Sequence[CheckedTool], must_call: bool, most: int
    ) -> ChatAnswer:
        return ChatAnswer(
            tools,
            stop=checked_stop(request.stop),
            show_stop=request.show_stop,
            several=request.parallel_tool_calls,
            must_call=must_call,
            schema=request.response_schema,
            continues=bool(request.continue_from),
            most=most,
        )

    async def _run(self, answer: _Answer, body: dict[str, Any]) -> None:
        """Ask for it and read it, to its one end."""
        try:
            async with self._at.turns.turn(answer.owner):
                answer.company = self._at.turns.running
                await self._read(answer, body)
        except QvacError as error:
            answer.end(error)
            if isinstance(error, Broken):
                self._at.trouble()
        except Exception as error:
            log.exception("an answer of a model server could not be read")
            answer.end(ModelError(UNREADABLE, name="COMPLETION_FAILED", code=52406))
            raise error from None

    async def _read(self, answer: _Answer, body: dict[str, Any]) -> None:
        reader = answer.reader
        try:
            async with aclosing(self._at.client.events("chat/completions", body)) as events:
                async for event in events:
                    answer.tell(reader.feed(event))
                    if reader.stopped:
                        break
        except Broken:
            # Said to be over, and then not closed as it should be: nothing is missing but the count of tokens.
            if not reader.ended:
                await self._say_why(reader, body)
                raise
        if not reader.ended and not reader.stopped:
            await self._say_why(reader, body)
        if reader.usage.prompt is None and self._at.kind is ServerKind.LLAMA_CPP_PYTHON:
            answer.prompt_tokens = await self._counted(body) or answer.prompt_tokens
        said, reason = await asyncio.to_thread(reader.end)
        answer.tell(said)
        answer.end(answer.finished(reason))

    async def _say_why(self, reader: ChatAnswer, body: dict[str, Any]) -> None:
        """llama-cpp-python ends a stream without a word where the prompt is too long; asked for none, it says so."""
        if self._at.kind is not ServerKind.LLAMA_CPP_PYTHON or reader.pieces:
            return
        whole = {name: value for name, value in body.items() if not name.startswith("stream")}
        await self._at.client.post("chat/completions", whole | {self._at.limit_field: 1}, self._at.client.patience.ask)

    async def _counted(self, body: dict[str, Any]) -> int:
        """Of the prompt, by the server that never tells it with an answer; 0 where it does not tell now."""
        texts = [message["content"] for message in body["messages"] if isinstance(message["content"], str)]
        root = self._at.client.server.base.removesuffix("/v1")
        try:
            told = await self._at.client.post(
                f"{root}/extras/tokenize/count", {"input": "\n".join(texts)}, COUNT_SECONDS
            )
        except DelegationError:
            return 0
        count = told.get("count") if isinstance(told, dict) else None
        return count + MESSAGE_TOKENS * len(texts) if isinstance(count, int) and count > 0 else 0


class OpenAiEmbeddingModel(_AtServer):
    """`EmbeddingModel`. Made by `OpenAiEngine.load_embedding`."""

    def __init__(self, at: At, info: ModelInfo, on_unload: Callable[[], None] = lambda: None) -> None:
        super().__init__(at, info, on_unload)
        self._asked: dict[str, asyncio.Task[Embeddings]] = {}

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """See `EmbeddingModel.embed`."""
        self._require_loaded()
        if request.request_id in self._asked:
            raise id_taken()
        task = asyncio.create_task(self._embed(request), name="embeddings of a model server")
        self._asked[request.request_id] = task
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            del self._asked[request.request_id]
        if task.cancelled():
            raise _not_loaded() if self._unloaded else InferenceCancelled("The embedding was cancelled.")
        return task.result()

    def cancel(self, request_id: str) -> bool:
        task = self._asked.get(request_id)
        return task is not None and task.cancel()

    async def unload(self) -> None:
        if self._unloaded:
            return
        self._unloaded = True
        tasks = set(self._asked.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._on_unload()

    async def _embed(self, request: EmbeddingRequest) -> Embeddings:
        from qvac_core.engines.embedding_queue import normalized

        began, tokens = time.perf_counter(), 0
        found: list[numpy.ndarray[Any, Any]] = []
        async with self._at.turns.turn(request.owner):
            for start in range(0, len(request.texts), EMBED_TEXTS):
                texts = request.texts[start : start + EMBED_TEXTS]
                answer = await self._at.client.post(
                    "embeddings",
                    {"model": self._at.model, "input": list(texts), "encoding_format": "float"},
                    self._at.client.patience.first,
                )
                vectors, counted = read_vectors(answer, len(texts))
                if found and vectors.shape[1] != found[0].shape[1]:
                    raise _unreadable()
                found.append(vectors)
                tokens += counted or sum(-(-len(text) // 4) for text in texts)
        vectors = normalized(numpy.concatenate(found), request.normalize)
        return Embeddings(vectors, tokens, (time.perf_counter() - began) * 1000, self.info.n_ctx, AT_SERVER)


def read_vectors(answer: Any, count: int) -> tuple[numpy.ndarray[Any, Any], int]:
    """float32 of shape (count, width), in the order of the texts, and the tokens it says. Raises ModelError."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or len(rows) != count or not all(isinstance(row, dict) for row in rows):
        raise _unreadable()
    ordered = sorted(rows, key=lambda row: row["index"] if isinstance(row.get("index"), int) else 0)
    try:
        vectors = numpy.array([_vector(row.get("embedding")) for row in ordered], numpy.float32)
    except (ValueError, TypeError, OverflowError):
        raise _unreadable() from None
    if vectors.ndim != 2 or not vectors.shape[1] or not bool(numpy.isfinite(vectors).all()):
        raise _unreadable()
    usage = answer.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return vectors, tokens if isinstance(tokens, int) and 0 <= tokens < UNKNOWN_CONTEXT * 1024 else 0


def _vector(value: object) -> Any:
    """A list of numbers, or base64 of little-endian floats."""
    if isinstance(value, str):
        return numpy.frombuffer(base64.b64decode(value, validate=True), "<f4")
    return value


def _unreadable() -> ModelError:
    return ModelError(UNREADABLE, name="EMBED_FAILED", code=52401)


def _not_loaded() -> ModelError:
    return ModelError("The model is not loaded any more.", name="MODEL_NOT_LOADED", code=52003)
