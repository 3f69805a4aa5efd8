"""What a running model is to everybody else: the `Engine` interface and the values that cross it.

Engines run in worker processes (docs/architecture.md, "One core, one owner"); nothing here names llama.cpp, so that a
speech or an upstream engine is another implementation and not another code path.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:  # a chat model's process has no use for it
    import numpy
    from numpy.typing import NDArray


class StopReason(StrEnum):
    """How an answer ended. Values as in docs/wire/qvac.md section 5, plus our own log words."""

    EOS = "eos"
    LENGTH = "length"
    STOP_SEQUENCE = "stopSequence"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """How to load a model: llama.cpp's names. Already clamped to the owner's limits by whoever calls.

    n_ctx: tokens per chat. slots: chats that advance together. gpu_layers: -1 = all that fit. device: "gpu" or "cpu".
    threads: 0 = leave one core free. system_prompt: put before a history that has no system message ("" = none).
    host_cache_bytes: for chats that lose their slot, kept in the machine's memory; 0 = none, -1 = by what is free.
    projector: the file with the vision part of the model, which then sees pictures; "" = it sees none.
    speculation: foresee what repeats the chat itself, where that is faster.
    pivot: of a translation model, the file of a second one that goes on where it ends; "" = none.
    """

    n_ctx: int = 4096
    slots: int = 4
    gpu_layers: int = -1
    device: str = "gpu"
    threads: int = 0
    system_prompt: str = ""
    sampling: SamplingParams | None = None
    stop: tuple[str, ...] = ()
    pooling: str = ""  # of an embedding model: mean, cls, last; "" = as its file says
    host_cache_bytes: int = -1
    projector: str = ""
    speculation: bool = True
    pivot: str = ""


@dataclass(frozen=True, slots=True)
class KeptChats:
    """Where chats of a model are kept over its end, so that they need not be read again. See `kept_chats`.

    key: 32 bytes of this identity. budget_bytes: of all models together. guests: theirs too, not only the owner's own.
    """

    folder: str
    key: bytes = field(repr=False)
    budget_bytes: int
    guests: bool = False


LOCAL_OWNER = "local"  # who asks on this machine; guests are named by their keys
EVERYBODY = ""  # of whom a running model shall forget: of all owners, and keep no more on disk

UNTIL_THE_END = -1  # `predict` of an answer without a limit


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Sampling of one answer; None = the default of the model's file (`general.sampling.*`), else the engine's.

    predict: most tokens to make; -1 or -2 = until the model ends or the context is full, None = ANSWER_TOKENS.
    """

    temp: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    predict: int | None = None
    repeat_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    min_p: float | None = None  # no consumer can ask for it; model files do


@dataclass(frozen=True, slots=True)
class Tool:
    """What a model may ask its user's program to do. parameters: JSON schema text of an object (bounds: `tools.py`)."""

    name: str
    description: str = ""
    parameters: str = '{"type":"object","properties":{}}'


class ToolMode(StrEnum):
    AUTO = "auto"  # the model decides
    NONE = "none"
    REQUIRED = "required"  # at least one call
    NAMED = "function"  # a call of ToolChoice.name


@dataclass(frozen=True, slots=True)
class ToolChoice:
    mode: ToolMode = ToolMode.AUTO
    name: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for, checked against the tool's schema. arguments: JSON text of an object.

    raw: what the model wrote, marks included; of several calls in one piece of text the first has all of it.
    """

    id: str
    name: str
    arguments: str
    raw: str = ""


class ToolErrorCode(StrEnum):
    """docs/wire/qvac.md section 5."""

    PARSE_ERROR = "PARSE_ERROR"  # no call, or one that was cut
    VALIDATION_ERROR = "VALIDATION_ERROR"  # its arguments do not keep to the schema
    UNKNOWN_TOOL = "UNKNOWN_TOOL"


@dataclass(frozen=True, slots=True)
class ToolError:
    """A call that must not be run, and why. raw: as in ToolCall."""

    code: ToolErrorCode
    message: str
    raw: str = ""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """pictures: files as they are (`pictures.FORMATS`), shown before the text. tool_calls: what the assistant asks for.

    tool_call_id, name: of a tool's result, whose call it is and which tool.
    """

    role: str
    content: str
    pictures: tuple[bytes, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class SessionTurn:
    """What stands in a KV-cache session: messages that were a prompt of their own, and the answer they got.

    answer: None when they opened no turn of the assistant, as the system prompt a session begins with.
    """

    history: tuple[ChatMessage, ...]
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One answer to make. `owner` scopes prefix reuse: two owners never share a cached prefix (timing would leak it).

    continue_from: text that already stands at the start of the assistant's turn (docs/wire/qvac.md section 12).
    thinking: False = the model is to answer without thinking first, where its template can say so.
    session: what the prompt follows, in a KV-cache session. show_stop: the stop sequence is part of the text.
    tools: what the model may call; tool_choice: whether it must. parallel_tool_calls False: one call at most.
    tool_dialect: one of docs/wire/qvac.md section 5, for a model whose template does not tell how it writes calls.
    context_tokens: prompt and answer together, where that is less than the model has room for; 0 = its room.
    """

    request_id: str
    history: tuple[ChatMessage, ...]
    sampling: SamplingParams = field(default_factory=SamplingParams)
    stop: tuple[str, ...] = ()
    owner: str = ""
    continue_from: str = ""
    response_schema: str | None = None  # JSON schema text, bounded by the caller
    thinking: bool = True
    session: tuple[SessionTurn, ...] = ()
    show_stop: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool = True
    tool_dialect: str = ""
    context_tokens: int = 0


@dataclass(frozen=True, slots=True)
class CompletionStats:
    """Field names of completionStats in docs/wire/qvac.md section 5. Times in milliseconds, as on the wire.

    prompt_tokens: the whole prompt; session_tokens: how many of them stood in the KV-cache session already.
    """

    time_to_first_token: float
    tokens_per_second: float
    prompt_tokens: int
    generated_tokens: int
    cache_tokens: int = 0
    avg_concurrent_seq: float = 1.0
    backend_device: str = "cpu"
    session_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """thinking: the text is what the model thinks before it answers. Its marks are in neither."""

    text: str
    thinking: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    stop_reason: StopReason
    stats: CompletionStats


CompletionEvent = Token | ToolCall | ToolError | Finished


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """fraction 0..1 of mapping the weights into memory."""

    fraction: float


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What was loaded. memory_bytes: size of weights and caches, when all its chats are as long as they may be.

    thinking_channels: it thinks in a channel of its own, which SDK 0.16 leaves out unless it is asked for.
    vision: it can be shown pictures.
    """

    name: str
    sha256: str
    n_ctx: int
    n_ctx_train: int
    slots: int
    parameters: int
    size_bytes: int
    memory_bytes: int
    backend_device: str
    chat_template: bool
    thinking_channels: bool = False
    engine: str = ""
    vision: bool = False


@runtime_checkable
class RunningModel(Protocol):
    """One model in a worker of its own, whatever it can do. Safe to call from one asyncio loop."""

    @property
    def info(self) -> ModelInfo: ...

    @property
    def alive(self) -> bool: ...

    def cancel(self, request_id: str) -> bool:
        """Stop this request between two steps. False = no such request."""

    async def unload(self) -> None:
        """End the worker. Requests in flight fail with EngineCrashed unless they were cancelled."""


@runtime_checkable
class LoadedModel(RunningModel, Protocol):
    """A chat model."""

    def complete(self, request: CompletionRequest) -> AsyncIterator[CompletionEvent]:
        """Tokens and calls of tools, then exactly one Finished.

        Closing the iterator or `cancel` frees the slot before the next batch.

        Raises ModelError (52421 CONTEXT_OVERFLOW, …) or EngineCrashed (50205) when the worker ended.
        """


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """texts: none of them empty. normalize: of each vector, by llama.cpp's numbers: 2 = to length 1, -1 = not at all,
    0 = to a greatest value of 32,760, another p = by its p-norm.
    """

    request_id: str
    texts: tuple[str, ...]
    owner: str = ""
    normalize: int = 2


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """vectors: float32, shape (texts, width of the model). tokens: of all texts, special ones too. ms: it took.

    n_ctx: the most tokens that one text may have.
    """

    vectors: NDArray[numpy.float32]
    tokens: int
    ms: float
    n_ctx: int
    backend_device: str = "cpu"


@runtime_checkable
class EmbeddingModel(RunningModel, Protocol):
    """A model that turns a text into one vector."""

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """All texts or none. Raises ModelError (52421 CONTEXT_OVERFLOW: which text is too long), InferenceCancelled,
        EngineCrashed.
        """


class Engine(Protocol):
    async def load(
        self, path: Path, config: ModelConfig, on_progress: Callable[[LoadProgress], None] | None = None
    ) -> LoadedModel:
        """Start a worker and load the model. Raises ModelError: missing, truncated, not a GGUF, not enough memory."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class AtServer:
    """Where a model runs that has no file here: another program of the owner's, reached by OpenAI's API.

    server: what the owner calls it. model: its name there. n_ctx: tokens of a chat, 0 = it does not say. parallel:
    requests that it takes at once. continues: it goes on with an answer that was begun. away: why it does not answer
    now, "" when it does.
    """

    server: str
    model: str
    n_ctx: int = 0
    parallel: int = 1
    vision: bool = False
    continues: bool = False
    away: str = ""


@dataclass(frozen=True, slots=True)
class LibraryModel:
    """A model file this machine has. `sources`: registry:// or https:// addresses it answers to (catalog).

    english_only: a speech model that understands no other language.
    projector: the file of its vision part, where that is here.
    languages: codes, from which and into which a translation model translates; () for any other.
    parts: the further files of one that comes in several, with their bytes. whole_sha256: then, of all the files one
    after the other; "" = not known.
    at: of a model that another server runs, which has no file here. Its `path` and `sha256` are then made up: they tell
    it from every other model, and say nothing of its weights.
    """

    name: str
    path: Path
    size_bytes: int
    sha256: str
    model_type: str
    quantization: str
    parameters: str
    sources: tuple[str, ...]
    licence: str = ""
    english_only: bool = False
    projector: Path | None = None
    languages: tuple[str, ...] = ()
    parts: tuple[tuple[Path, int], ...] = ()
    whole_sha256: str = ""
    at: AtServer | None = None

    @property
    def files(self) -> tuple[tuple[Path, int], ...]:
        """All of them with their bytes, the first one too."""
        return ((self.path, self.size_bytes - sum(size for _, size in self.parts)), *self.parts)

    @property
    def copy_sha256(self) -> str:
        """Of what a copy of it is: all its bytes, one file after the other; "" = nobody has counted them."""
        if self.at is not None:
            return ""
        return self.whole_sha256 or ("" if self.parts else self.sha256)


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """Bytes so far and in all (0 = unknown), and the rate in bytes per second.

    checking: what is there is being read through.
    """

    key: str
    downloaded: int
    total: int
    rate: float
    checking: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """A device that the engine's build can compute on."""

    name: str
    description: str
    kind: str  # "gpu" | "cpu" | "accelerator"
    free_bytes: int
    total_bytes: int


EngineSettings = Mapping[str, str]
