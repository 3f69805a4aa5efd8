"""Every message that crosses the wire between a consumer and a provider, validated on arrival.

docs/wire/qvac.md sections 2, 5, 7 and 12; strict where 0.16.0's zod schemas are (dist/schemas), dropping unknown keys
where those do. An optional field may be absent but not null, as in zod.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from qvac_core.delegation.model_config import (
    EMBEDDING_MODEL_TYPE,
    LLM_MODEL_TYPE,
    SPEECH_MODEL_TYPE,
    TRANSLATION_MODEL_TYPE,
    EmbedConfig,
    LlmConfig,
    NmtConfig,
    Number,
    ReasoningBudget,
    WhisperConfig,
)
from qvac_core.errors import RemoteProtocolError

Text = Annotated[str, Meta(min_length=1)]
Seq = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]


class Message(Struct, frozen=True, omit_defaults=True, rename="camel", tag_field="type"):
    """Base of all: `type` names the message; Python names in snake_case."""


class Part(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A structure inside a message."""


class Envelope(Struct, frozen=True):
    """What decides how a request is answered, read before anything else is validated."""

    type: str | UnsetType = UNSET
    modelType: Any = UNSET
    withProgress: Any = UNSET


# --- Requests -----------------------------------------------------------------------------------------------------


class Heartbeat(Message, frozen=True, tag="heartbeat"):
    pass


class AnyLoad(Message, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the loads of all types have. `delegate` is stripped by its sender; a peer that leaves it in is refused by
    the provider.
    """

    model_src: str
    model_name: str | UnsetType = UNSET
    with_progress: bool | UnsetType = UNSET
    seed: bool | UnsetType = UNSET
    request_id: Text | UnsetType = UNSET
    delegate: Raw | UnsetType = UNSET
    profiling: Raw | UnsetType = field(name="__profiling", default=UNSET)


class LoadModel(AnyLoad, frozen=True, kw_only=True, tag="loadModel", forbid_unknown_fields=True):
    """For a chat model."""

    model_type: Literal["llamacpp-completion"]
    model_config: LlmConfig


class LoadEmbeddingModel(AnyLoad, frozen=True, kw_only=True, tag="loadModel", forbid_unknown_fields=True):
    model_type: Literal["llamacpp-embedding"]
    model_config: EmbedConfig | UnsetType = UNSET


# Of a model file that may be copied, and how many of them one provider tells of.
COPY_NAME_LETTERS = 512
MOST_COPIES = 2000
MOST_PARTS = 999  # files of one model
FileSize = Annotated[int, Meta(ge=1, le=2**53)]

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Attachment(Part, frozen=True):
    """In 0.16 a path on the provider's machine. The rest is our own: see attached_pictures.py."""

    path: str
    sha256: Sha256 | UnsetType = UNSET
    media_type: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class HistoryCall(Part, frozen=True):
    id: str
    name: str
    arguments: dict[str, Any]


class HistoryMessage(Part, frozen=True):
    """tool_calls, tool_call_id and name are our own: which calls an answer made, and which of them a result is of."""

    role: str
    content: str
    attachments: list[Attachment] | UnsetType = UNSET
    tool_calls: list[HistoryCall] | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class GenerationParams(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Of one answer, over its model's. reasoning_budget: 0 = no thinking, anything else = the model's own way.

    remove_thinking_from_context: taken and ignored by a provider of ours; what is read of earlier thinking is the
    template's decision.
    """

    temp: Number | UnsetType = UNSET
    top_p: Number | UnsetType = UNSET
    top_k: Number | UnsetType = UNSET
    predict: Number | UnsetType = UNSET
    seed: Number | UnsetType = UNSET
    frequency_penalty: Number | UnsetType = UNSET
    presence_penalty: Number | UnsetType = UNSET
    repeat_penalty: Number | UnsetType = UNSET
    reasoning_budget: ReasoningBudget | UnsetType = UNSET
    remove_thinking_from_context: bool | UnsetType = UNSET


class Tool(Part, frozen=True):
    """parameters: JSON schema of an object. 0.16.0 knows flat ones only; ours may send any (tool_wire.py)."""

    type: Literal["function"]
    name: str
    description: str
    parameters: dict[str, Any]

    def __post_init__(self) -> None:
        if self.parameters.get("type") != "object" or not isinstance(self.parameters.get("properties", {}), dict):
            raise ValueError("the parameters of a tool are an object's schema")


class NamedTool(Part, frozen=True, tag="function", tag_field="type"):
    name: str


ToolDialect = Literal["hermes", "pythonic", "json", "harmony", "qwen35", "gemma4"]
ToolWord = Literal["auto", "none", "required"]
ToolChoice = ToolWord | NamedTool


class TextFormat(Struct, frozen=True, tag="text", tag_field="type", forbid_unknown_fields=True):
    pass


class JsonObjectFormat(Struct, frozen=True, tag="json_object", tag_field="type", forbid_unknown_fields=True):
    pass


class NamedSchema(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    name: Text
    schema: dict[str, Any]
    description: str | UnsetType = UNSET
    strict: bool | UnsetType = UNSET


class JsonSchemaFormat(Struct, frozen=True, tag="json_schema", tag_field="type", forbid_unknown_fields=True):
    json_schema: NamedSchema


ResponseFormat = TextFormat | JsonObjectFormat | JsonSchemaFormat


class ContinueFrom(Part, frozen=True):
    """Our own (section 12): the answer so far, to go on from, if the provider's model file is the same."""

    text: str
    model_sha256: str


class CompletionStream(Message, frozen=True, tag="completionStream"):
    model_id: str
    history: list[HistoryMessage]
    stream: bool
    kv_cache: bool | Text | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    tool_dialect: ToolDialect | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET  # this one and the next are our own
    parallel_tool_calls: bool | UnsetType = UNSET
    response_format: ResponseFormat | UnsetType = UNSET
    generation_params: GenerationParams | UnsetType = UNSET
    capture_thinking: bool | UnsetType = UNSET
    emit_raw_deltas: bool | UnsetType = UNSET
    request_id: Text | UnsetType = UNSET
    continue_from: ContinueFrom | UnsetType = UNSET

    def __post_init__(self) -> None:
        structured = isinstance(self.response_format, JsonObjectFormat | JsonSchemaFormat)
        if structured and self.tools:
            raise ValueError("responseFormat cannot be combined with tools")


class Base64Audio(Part, frozen=True, tag="base64", tag_field="type"):
    """Raw samples as the model's audio_format says, or a sound file."""

    value: str


class FileAudio(Part, frozen=True, tag="filePath", tag_field="type"):
    """A path on the provider: refused there, as everything that names the owner's files."""

    value: str


class BlobAudio(Part, frozen=True, tag="blob", tag_field="type"):
    """Our own: a sound file that was brought before (blobs.py)."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Transcribe(Message, frozen=True, tag="transcribe"):
    """docs/wire/qvac.md section 9. metadata: segments with times, and not only text.

    start_ms: our own (feature `startMs`), what was heard by somebody else: the transcript goes on from there.
    """

    model_id: str
    audio_chunk: Base64Audio | FileAudio | BlobAudio
    prompt: str | UnsetType = UNSET
    metadata: bool | UnsetType = UNSET
    request_id: Text | UnsetType = UNSET
    start_ms: Annotated[int, Meta(ge=0)] | UnsetType = UNSET


class TranscribeStream(Message, frozen=True, tag="transcribeStream"):
    """The first line of a body that goes on with raw samples. Times in ms.

    end_of_turn_silence_ms: 0 or missing = turns do not end. tentative: our own, words that are not settled yet, too.
    """

    model_id: str
    prompt: str | UnsetType = UNSET
    metadata: bool | UnsetType = UNSET
    emit_vad_events: bool | UnsetType = UNSET
    end_of_turn_silence_ms: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    vad_run_interval_ms: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    tentative: bool | UnsetType = UNSET
    request_id: Text | UnsetType = UNSET


CancelKind = Literal[
    "completion",
    "batchCompletion",
    "embeddings",
    "transcribe",
    "translate",
    "diffusion",
    "tts",
    "ocr",
    "vla",
    "finetune",
    "loadModel",
    "downloadAsset",
    "rag",
]


class Cancel(Message, frozen=True, tag="cancel"):
    operation: Literal["request", "broad"]
    request_id: Text | UnsetType = UNSET
    model_id: str | UnsetType = UNSET
    kind: CancelKind | UnsetType = UNSET
    clear_cache: bool | UnsetType = UNSET
    leaving: bool | UnsetType = UNSET  # our own: the consumer is about to go

    def __post_init__(self) -> None:
        wanted = self.request_id if self.operation == "request" else self.model_id
        if wanted is UNSET:
            raise ValueError("cancel needs requestId for the operation request, modelId for broad")


class UnloadModel(Message, frozen=True, tag="unloadModel"):
    model_id: str
    clear_storage: bool = msgspec.field(default=False)


class LoadSpeechModel(AnyLoad, frozen=True, kw_only=True, tag="loadModel", forbid_unknown_fields=True):
    model_type: Literal["whispercpp-transcription"]
    model_config: WhisperConfig | UnsetType = UNSET


class LoadTranslationModel(AnyLoad, frozen=True, kw_only=True, tag="loadModel", forbid_unknown_fields=True):
    model_type: Literal["nmtcpp-translation"]
    model_config: NmtConfig | UnsetType = UNSET


class Embed(Message, frozen=True, tag="embed"):
    """docs/wire/qvac.md section 9. A text gives one vector, a list a list of them."""

    model_id: str
    text: Text | Annotated[list[Text], Meta(min_length=1)]
    request_id: Text | UnsetType = UNSET


class Translate(Message, frozen=True, kw_only=True, tag="translate"):
    """docs/wire/qvac.md section 9. to, from: language codes. modelType: as `CANONICAL_NAMES` has it or an alias, as in
    0.16.

    A translation engine knows its languages, and takes a list of texts too: of each its translation is one line.
    """

    model_id: str
    model_type: Literal["llamacpp-completion", "llm", "nmtcpp-translation", "nmt"]
    text: Text | Annotated[list[Text], Meta(min_length=1)]
    stream: bool
    to: str = ""
    from_: str | UnsetType = field(name="from", default=UNSET)
    context: str | UnsetType = UNSET
    request_id: Text | UnsetType = UNSET


class Hello(Message, frozen=True, tag="hello"):
    app: str
    version: int
    features: list[str] = []


class ListModels(Message, frozen=True, tag="listModels"):
    pass


class ClaimGrant(Message, frozen=True, tag="claimGrant"):
    """grant: the letters that an invite's link carries (grants.py)."""

    grant: Annotated[str, Meta(max_length=4096)]


Mac = Annotated[str, Meta(pattern="^[0-9a-f]{2}(:[0-9a-f]{2}){5}$")]
MOST_MACS = 4  # network cards of one machine


class Manage(Message, frozen=True, tag="manage"):
    """Of one of the owner's own machines. model: for load, unload, download, cancel (of a download), remove. minutes:
    of a pause, none = until it is ended. macs: for wake, addresses of the network cards of one that sleeps."""

    action: Literal["status", "pause", "resume", "load", "unload", "download", "cancel", "remove", "log", "wake"]
    model: Annotated[str, Meta(max_length=1024)] | UnsetType = UNSET
    minutes: Number | UnsetType = UNSET
    macs: Annotated[list[Mac], Meta(max_length=MOST_MACS)] = []


class Keepalive(Message, frozen=True, tag="keepalive"):
    pass


# Of receipts (receipts.py): bytes in hex, and how many of them one message may have.
RECEIPT_LETTERS = 2 * 2048
MOST_RECEIPTS = 64
ReceiptId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
Signature = Annotated[str, Meta(pattern="^[0-9a-f]{128}$")]


class Receipts(Message, frozen=True, tag="receipts"):
    """Our own (receipt_exchange.py): those of mine that I have not signed. request_ids: for whose end I would wait."""

    request_ids: Annotated[list[Annotated[str, Meta(max_length=512)]], Meta(max_length=MOST_RECEIPTS)] = []


class GuestWord(Part, frozen=True):
    """About one receipt, by the provider's id of it: a signature, or why there is none."""

    id: ReceiptId
    signature: Signature | UnsetType = UNSET
    refusal: Annotated[str, Meta(max_length=40)] | UnsetType = UNSET


class SignReceipts(Message, frozen=True, tag="signReceipts"):
    words: Annotated[list[GuestWord], Meta(max_length=MOST_RECEIPTS)]


class BlobStatus(Message, frozen=True, tag="blobStatus"):
    """Our own (blobs.py): how much of this blob is there, and would one of this size, in bytes, be taken?"""

    sha256: Sha256
    size_bytes: Annotated[int, Meta(ge=1)]


class PutBlob(Message, frozen=True, tag="putBlob"):
    """Our own (blobs.py): the next bytes of a blob, which follow this JSON and a newline as they are."""

    sha256: Sha256
    size_bytes: Annotated[int, Meta(ge=1)]
    offset: Count


class ListCopies(Message, frozen=True, tag="listCopies"):
    """Our own (copies.py): which models may this key copy?"""


class CopyModel(Message, frozen=True, tag="copyModel"):
    """Our own (copies.py): the bytes of a model's file, from an offset on."""

    sha256: Sha256
    offset: Count = 0


Request = (
    Heartbeat
    | LoadModel
    | LoadEmbeddingModel
    | CompletionStream
    | LoadSpeechModel
    | LoadTranslationModel
    | Embed
    | Translate
    | Transcribe
    | TranscribeStream
    | Cancel
    | UnloadModel
    | Hello
    | ListModels
    | Keepalive
    | ClaimGrant
    | Manage
    | Receipts
    | SignReceipts
    | BlobStatus
    | PutBlob
    | ListCopies
    | CopyModel
)


# --- Replies ------------------------------------------------------------------------------------------------------


class HeartbeatReply(Message, frozen=True, tag="heartbeat"):
    number: Number


class LoadModelReply(Message, frozen=True, tag="loadModel"):
    """`name` and `code` are ours, for our own consumers; 0.16 drops them."""

    success: bool
    model_id: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    code: int | UnsetType = UNSET


class ModelProgress(Message, frozen=True, tag="modelProgress"):
    """Bytes, and percent with two decimals. Shard and file-set details are passed on as they are."""

    downloaded: Number
    total: Number
    percentage: Number
    download_key: str
    shard_info: dict[str, Any] | UnsetType = UNSET
    file_set_info: dict[str, Any] | UnsetType = UNSET


class CancelReply(Message, frozen=True, tag="cancel"):
    success: bool
    cancelled: Count | UnsetType = UNSET
    error: str | UnsetType = UNSET


class UnloadModelReply(Message, frozen=True, tag="unloadModel"):
    success: bool
    error: str | UnsetType = UNSET
    has_active_models: bool | UnsetType = UNSET
    has_active_providers: bool | UnsetType = UNSET


class EmbedStats(Part, frozen=True):
    """totalTime in ms; contextSize: the most tokens of one text."""

    total_time: Number | UnsetType = UNSET
    tokens_per_second: Number | UnsetType = UNSET
    total_tokens: Number | UnsetType = UNSET
    backend_device: Literal["cpu", "gpu"] | UnsetType = UNSET
    context_size: Number | UnsetType = UNSET


class TranscribeSegment(Part, frozen=True, omit_defaults=False):
    """append: it goes on with the one before (never here). Times in ms."""

    text: str
    start_ms: Number
    end_ms: Number
    append: bool = False
    id: int = 0


class TranscribeStats(Part, frozen=True):
    """audio_duration in ms; real_time_factor: seconds of computing for one of sound."""

    audio_duration: Number | UnsetType = UNSET
    real_time_factor: Number | UnsetType = UNSET
    total_segments: Number | UnsetType = UNSET


class SpeechProgress(Part, frozen=True):
    """Our own, in ms; total_ms is missing where the file does not say."""

    done_ms: int
    total_ms: int | UnsetType = UNSET


class TranscribeLine(Message, frozen=True, tag="transcribe"):
    """One line of a transcript; the last one has `done`. progress, language and notices are our own."""

    text: str | UnsetType = UNSET
    segment: TranscribeSegment | UnsetType = UNSET
    done: bool | UnsetType = UNSET
    stats: TranscribeStats | UnsetType = UNSET
    error: str | UnsetType = UNSET
    progress: SpeechProgress | UnsetType = UNSET
    language: str | UnsetType = UNSET
    notices: list[str] | UnsetType = UNSET


class VadState(Part, frozen=True):
    speaking: bool
    probability: Number


class EndOfTurn(Part, frozen=True, omit_defaults=False):
    silence_duration_ms: Number
    source: Literal["whisper"] = "whisper"


class TranscribeStreamLine(Message, frozen=True, tag="transcribeStream"):
    """As TranscribeLine, of live speech. tentative: our own, what stands behind the settled words for now."""

    text: str | UnsetType = UNSET
    segment: TranscribeSegment | UnsetType = UNSET
    vad: VadState | UnsetType = UNSET
    end_of_turn: EndOfTurn | UnsetType = UNSET
    done: bool | UnsetType = UNSET
    stats: TranscribeStats | UnsetType = UNSET
    error: str | UnsetType = UNSET
    tentative: str | UnsetType = UNSET
    language: str | UnsetType = UNSET


class EmbedReply(Message, frozen=True, tag="embed"):
    success: bool
    embedding: list[Number | list[Number]] = []
    stats: EmbedStats | UnsetType = UNSET
    error: str | UnsetType = UNSET


class TranslateStats(Part, frozen=True):
    """Times in ms, tokens that were generated. A translation engine counts none, and tells the time alone."""

    total_time: Number | UnsetType = UNSET
    total_tokens: Number | UnsetType = UNSET
    tokens_per_second: Number | UnsetType = UNSET
    time_to_first_token: Number | UnsetType = UNSET
    cache_tokens: Number | UnsetType = UNSET


class TranslateLine(Message, frozen=True, tag="translate"):
    """The last one has `done`. stopReason is ours, "length" where the translation was cut; 0.16 drops it.

    sourceDone is ours too: with this token, all that was sent is the translation of so many characters of the text.
    """

    token: str
    done: bool | UnsetType = UNSET
    stats: TranslateStats | UnsetType = UNSET
    error: str | UnsetType = UNSET
    stop_reason: str | UnsetType = UNSET
    source_done: Count | UnsetType = UNSET


class ErrorReply(Message, frozen=True, tag="error"):
    """`code` must be a number. A JavaScript provider adds stack and timestamp; ours never does."""

    message: str
    name: str | UnsetType = UNSET
    code: Number | UnsetType = UNSET
    typed_fields: dict[str, Any] | UnsetType = UNSET


class HelloReply(Message, frozen=True, tag="hello"):
    version: int
    features: list[str]
    name: str = ""
    logs_content: bool = False
    terms: Terms | UnsetType = UNSET


class ModelEntry(Part, frozen=True):
    """A model this key may use: never a path or an address of the owner's. Sizes in bytes and tokens, waits in ms."""

    name: str
    model_type: str
    abilities: list[str]
    size_bytes: int
    context_tokens: int
    sha256: str
    loaded: bool
    wait_ms: Number = 0
    languages: list[str] | UnsetType = UNSET  # from and into which one translates that does nothing else


class Terms(Part, frozen=True):
    """What the asking key may, so that its guest knows beforehand. Left out: no limit. Times in ms from now.

    tokens_used: today, by this key. ends_in_ms: until the key is let in no longer. resets_in_ms: until a day's count
    begins anew. closed_for_ms: outside of this key's hours, until they begin. mine: it is the owner's own machine;
    wake: addresses of network cards by which such a one may wake the provider.
    """

    tokens_per_day: Count | UnsetType = UNSET
    tokens_used: Count | UnsetType = UNSET
    resets_in_ms: Number | UnsetType = UNSET
    parallel: Count | UnsetType = UNSET
    context_tokens: Count | UnsetType = UNSET
    answer_tokens: Count | UnsetType = UNSET
    closed_for_ms: Number | UnsetType = UNSET
    ends_in_ms: Number | UnsetType = UNSET
    mine: bool | UnsetType = UNSET
    wake: list[str] | UnsetType = UNSET


class ListModelsReply(Message, frozen=True, tag="listModels"):
    models: list[ModelEntry]
    terms: Terms | UnsetType = UNSET


class ClaimGrantReply(Message, frozen=True, tag="claimGrant"):
    """The key is let in. policy: what it may; a refusal is an error with reason `grant`."""

    success: bool
    policy: Terms | UnsetType = UNSET


class ManagedModel(Part, frozen=True, omit_defaults=False):
    """error: why it could not be loaded the last time; "" = it was not tried, or could."""

    name: str
    state: str
    shared: bool
    size_bytes: int
    error: str = ""


class ManagedDownload(Part, frozen=True, omit_defaults=False):
    """model: as it was asked for. state: of core.download_state. total: bytes, 0 = not known yet; rate: bytes per
    second. left_ms: -1 = not known."""

    model: str
    title: str
    state: str
    downloaded: int
    total: int
    rate: Number = 0
    left_ms: Number = -1
    error: str = ""


class LogLine(Part, frozen=True, omit_defaults=False):
    public_key: str
    method: str
    model: str
    started_at: Number
    outcome: str


class ManageReply(Message, frozen=True, tag="manage"):
    """How things stand then. paused_until: Unix seconds, 0 = not known. downloads: their titles; progress: each of
    them, from the versions on that tell."""

    paused: bool = False
    paused_until: Number = 0
    models: list[ManagedModel] = []
    downloads: list[str] = []
    progress: list[ManagedDownload] = []
    log: list[LogLine] = []


class KeepaliveReply(Message, frozen=True, tag="keepalive"):
    pass


class OfferedReceipt(Part, frozen=True):
    """The encoded receipt and its provider's signature, in hex."""

    body: Annotated[str, Meta(pattern="^([0-9a-f]{2})+$", max_length=RECEIPT_LETTERS)]
    signature: Signature


class ReceiptsReply(Message, frozen=True, tag="receipts"):
    receipts: Annotated[list[OfferedReceipt], Meta(max_length=MOST_RECEIPTS)]


class SignReceiptsReply(Message, frozen=True, tag="signReceipts"):
    """kept: how many of the words were about a receipt of this guest."""

    kept: Count


class BlobStatusReply(Message, frozen=True, tag="blobStatus"):
    received: Count


class PutBlobReply(Message, frozen=True, tag="putBlob"):
    received: Count


class CopyEntry(Part, frozen=True):
    """A model file that this key may copy. file_name: as its owner calls it, never with a folder."""

    name: Annotated[str, Meta(max_length=COPY_NAME_LETTERS)]
    file_name: Annotated[str, Meta(max_length=COPY_NAME_LETTERS)]
    model_type: Annotated[str, Meta(max_length=COPY_NAME_LETTERS)]
    size_bytes: FileSize
    sha256: Sha256


class CopyPart(Part, frozen=True):
    """A file of a model that comes in several."""

    file_name: Annotated[str, Meta(max_length=COPY_NAME_LETTERS)]
    size_bytes: FileSize


class BundleEntry(Part, frozen=True):
    """A model of several files that this key may copy in one stream. sha256, size_bytes: of all its bytes, one file
    after the other, the model itself first. model_sha256: by which that is known."""

    name: Annotated[str, Meta(max_length=COPY_NAME_LETTERS)]
    model_type: Annotated[str, Meta(max_length=COPY_NAME_LETTERS)]
    size_bytes: FileSize
    sha256: Sha256
    model_sha256: Sha256
    files: Annotated[list[CopyPart], Meta(min_length=2, max_length=MOST_PARTS)]


class ListCopiesReply(Message, frozen=True, tag="listCopies"):
    """bundles: apart, so that a guest of an older version does not take one for a model file."""

    copies: Annotated[list[CopyEntry], Meta(max_length=MOST_COPIES)]
    bundles: Annotated[list[BundleEntry], Meta(max_length=MOST_COPIES)] = []


class CopyModelReply(Message, frozen=True, tag="copyModel"):
    """The line before the bytes. size_bytes: of the whole file, whatever the offset."""

    size_bytes: FileSize


class QueueLine(Message, frozen=True, tag="queue"):
    """To our own consumers, before the first line of an answer: its place, again when that changes, and now and then.

    place 0: it is being worked on, its first token is not there yet. wait_ms: until its turn, 0 where nobody can tell.
    """

    place: int
    wait_ms: Number = 0


# --- The events of an answer --------------------------------------------------------------------------------------


class ContentDelta(Message, frozen=True, tag="contentDelta"):
    seq: Seq
    text: str


class RawDelta(Message, frozen=True, tag="rawDelta"):
    seq: Seq
    text: str


class ThinkingDelta(Message, frozen=True, tag="thinkingDelta"):
    seq: Seq
    text: str


class ToolCallParts(Part, frozen=True):
    id: str
    name: str
    arguments: dict[str, Any]
    raw: str | UnsetType = UNSET


class ToolCall(Message, frozen=True, tag="toolCall"):
    seq: Seq
    call: ToolCallParts


class ToolFailure(Part, frozen=True):
    code: Literal["PARSE_ERROR", "VALIDATION_ERROR", "UNKNOWN_TOOL"]
    message: str
    raw: str | UnsetType = UNSET


class ToolError(Message, frozen=True, tag="toolError"):
    seq: Seq
    error: ToolFailure


class Stats(Part, frozen=True):
    """timeToFirstToken in ms, the rest in tokens or tokens per second."""

    time_to_first_token: Number | UnsetType = UNSET
    tokens_per_second: Number | UnsetType = UNSET
    cache_tokens: Number | UnsetType = UNSET
    prompt_tokens: Number | UnsetType = UNSET
    generated_tokens: Number | UnsetType = UNSET
    avg_concurrent_seq: Number | UnsetType = UNSET
    backend_device: Literal["cpu", "gpu"] | UnsetType = UNSET


class CompletionStats(Message, frozen=True, tag="completionStats"):
    seq: Seq
    stats: Stats


class RawOutput(Part, frozen=True):
    full_text: str


class CompletionFailure(Part, frozen=True):
    message: str


class CompletionDone(Message, frozen=True, tag="completionDone", forbid_unknown_fields=True):
    """The end. A missing stopReason is a natural end."""

    seq: Seq
    stop_reason: Literal["eos", "length", "stopSequence", "cancelled", "error"] | UnsetType = UNSET
    raw: RawOutput | UnsetType = UNSET
    error: CompletionFailure | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.stop_reason == "error") != (self.error is not UNSET):
            raise ValueError("completionDone has an error exactly when its stopReason is error")


Event = ContentDelta | RawDelta | ThinkingDelta | ToolCall | ToolError | CompletionStats | CompletionDone


class CompletionLine(Message, frozen=True, tag="completionStream", forbid_unknown_fields=True):
    """One line of an answer; the last one has `done`."""

    events: list[Event]
    done: bool | UnsetType = UNSET
    profiling: Raw | UnsetType = field(name="__profiling", default=UNSET)


Reply = (
    HeartbeatReply
    | LoadModelReply
    | ModelProgress
    | CompletionLine
    | EmbedReply
    | TranslateLine
    | TranscribeLine
    | TranscribeStreamLine
    | CancelReply
    | UnloadModelReply
    | ErrorReply
    | HelloReply
    | ListModelsReply
    | KeepaliveReply
    | ClaimGrantReply
    | ManageReply
    | ReceiptsReply
    | SignReceiptsReply
    | BlobStatusReply
    | PutBlobReply
    | ListCopiesReply
    | CopyModelReply
    | QueueLine
)

# --- Coding -------------------------------------------------------------------------------------------------------

_envelopes = msgspec.json.Decoder(Envelope)
_requests: Mapping[str, msgspec.json.Decoder[Any]] = {
    "heartbeat": msgspec.json.Decoder(Heartbeat),
    "embed": msgspec.json.Decoder(Embed),
    "translate": msgspec.json.Decoder(Translate),
    "transcribe": msgspec.json.Decoder(Transcribe),
    "transcribeStream": msgspec.json.Decoder(TranscribeStream),
    "completionStream": msgspec.json.Decoder(CompletionStream),
    "cancel": msgspec.json.Decoder(Cancel),
    "unloadModel": msgspec.json.Decoder(UnloadModel),
    "hello": msgspec.json.Decoder(Hello),
    "listModels": msgspec.json.Decoder(ListModels),
    "keepalive": msgspec.json.Decoder(Keepalive),
    "claimGrant": msgspec.json.Decoder(ClaimGrant),
    "manage": msgspec.json.Decoder(Manage),
    "receipts": msgspec.json.Decoder(Receipts),
    "signReceipts": msgspec.json.Decoder(SignReceipts),
    "blobStatus": msgspec.json.Decoder(BlobStatus),
    "putBlob": msgspec.json.Decoder(PutBlob),
    "listCopies": msgspec.json.Decoder(ListCopies),
    "copyModel": msgspec.json.Decoder(CopyModel),
}
# By modelType: what a load has to say depends on it.
_loads: Mapping[str, msgspec.json.Decoder[Any]] = {
    LLM_MODEL_TYPE: msgspec.json.Decoder(LoadModel),
    EMBEDDING_MODEL_TYPE: msgspec.json.Decoder(LoadEmbeddingModel),
    SPEECH_MODEL_TYPE: msgspec.json.Decoder(LoadSpeechModel),
    TRANSLATION_MODEL_TYPE: msgspec.json.Decoder(LoadTranslationModel),
}
SERVED_MODEL_TYPES = frozenset(_loads)
_replies: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
_trailers = msgspec.json.Decoder(dict[str, Any])
_encoder = msgspec.json.Encoder()

# A profiled stream may end in such a line; readers skip it (section 8).
_PROFILING_TRAILER = "__profilingTrailer"

T = TypeVar("T")


def encode(message: Message) -> bytes:
    return _encoder.encode(message)


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes, what: str) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise RemoteProtocolError(f"Invalid input in {what}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # Not JSON, not UTF-8, or nested without end.
        raise RemoteProtocolError(f"{what} is not valid JSON") from error


# How the only request with raw bytes behind its JSON begins: msgspec writes `type` first, as the SDK does.
_WITH_PAYLOAD = b'{"type":"putBlob"'


def split_payload(body: bytes) -> tuple[bytes, bytes]:
    """The JSON of a request and the raw bytes behind it; of any other request it is all JSON."""
    if not body.startswith(_WITH_PAYLOAD):
        return body, b""
    head, _, payload = body.partition(b"\n")
    return head, payload


def decode_envelope(body: bytes) -> Envelope:
    """Raises RemoteProtocolError when it is not a JSON object with a `type`."""
    return _decoded(_envelopes, body, "the request")


def decode_request(method: str, body: bytes, model_type: str = LLM_MODEL_TYPE) -> Request:
    """`method` is one of methods.REMOTE_SAFE. model_type: of a load, one of SERVED_MODEL_TYPES.

    Raises RemoteProtocolError with the field that is wrong.
    """
    decoder = _loads[model_type] if method == "loadModel" else _requests[method]
    request: Request = _decoded(decoder, body, method)
    return request


def decode_reply(body: bytes) -> Reply | None:
    """None for a line that readers skip. Raises RemoteProtocolError."""
    if body.find(_PROFILING_TRAILER.encode()) >= 0:
        trailer = _decoded(_trailers, body, "the provider's answer")
        if trailer.get(_PROFILING_TRAILER) is True:
            return None
    return _decoded(_replies, body, "the provider's answer")
