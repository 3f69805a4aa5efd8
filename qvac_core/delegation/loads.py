"""Answering one loadModel: look the source up among the shared models, load or join, report progress, reply.

docs/wire/qvac.md sections 2 to 4. A load that fails is a reply with `success: false`, not an error. Nothing is ever
opened by a name from outside: `SharedModels.find` is the only way to a file.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from msgspec import UNSET, UnsetType

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.events import Outcome
from qvac_core.delegation.failures import Code, Rejection, error_reply
from qvac_core.delegation.held_models import (
    HeldModels,
    Known,
    KnownEmbeddingModel,
    KnownModel,
    KnownModels,
    KnownSpeechModel,
    KnownTranslationModel,
)
from qvac_core.delegation.live_requests import Kind, LiveRequest, LiveRequests, stop_for
from qvac_core.delegation.messages import (
    AnyLoad,
    LoadEmbeddingModel,
    LoadModel,
    LoadModelReply,
    LoadSpeechModel,
    LoadTranslationModel,
    ModelProgress,
    encode,
)
from qvac_core.delegation.model_config import (
    EMBED_DEFAULTS,
    EMBEDDING_MODEL_TYPE,
    LLM_MODEL_TYPE,
    SPEECH_MODEL_TYPE,
    TRANSLATION_MODEL_TYPE,
    EmbedConfig,
    LlmConfig,
    NmtConfig,
    WhisperConfig,
    model_id,
    source_of,
    with_defaults,
    wrong_with_translators,
)
from qvac_core.delegation.models_of_keys import ModelsOfKeys
from qvac_core.delegation.rpc_streams import IncomingRequest, OutgoingStream
from qvac_core.engines.interface import LibraryModel, LoadProgress
from qvac_core.engines.projectors import names_projector
from qvac_core.errors import ConnectionClosed, QvacError
from qvac_core.tasks import beside

# 0.16.0 dist/server/rpc/progress-throttle.js: one write per 150 ms, and at most 100 lines held back.
PROGRESS_SECONDS = 0.15
PROGRESS_MAX_PENDING = 100


class LoadParts(Protocol):
    """What a load needs of the connection it answers."""

    limits: Limits
    models: ModelsOfKeys
    held: HeldModels
    known: KnownModels
    requests: LiveRequests
    public_key: bytes


class ProgressLines:
    """Progress of a load as lines on a stream, throttled. Lines that find no room are dropped, the oldest first."""

    def __init__(self, stream: OutgoingStream, download_key: str, size_bytes: int) -> None:
        self._stream = stream
        self._key = download_key
        self._size = size_bytes
        self._pending: deque[bytes] = deque(maxlen=PROGRESS_MAX_PENDING)
        self._changed = asyncio.Event()

    def report(self, progress: LoadProgress) -> None:
        fraction = min(1.0, max(0.0, progress.fraction))
        line = ModelProgress(
            downloaded=round(fraction * self._size),
            total=self._size,
            percentage=round(fraction * 100, 2),
            download_key=self._key,
        )
        self._pending.append(encode(line) + b"\n")
        self._changed.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._changed.wait()
            await self.flush()
            await asyncio.sleep(PROGRESS_SECONDS)

    async def flush(self) -> None:
        """What a cancelled flush was writing is written by the next one, perhaps twice: better than never."""
        self._changed.clear()
        lines = list(self._pending)
        self._pending.clear()
        try:
            if lines:
                await self._stream.write(b"".join(lines))
        except asyncio.CancelledError:
            self._pending.extendleft(reversed(lines))
            raise


def plugin_not_found(model_type: str) -> LoadModelReply:
    """0.16's words for an engine that a provider does not have."""
    code = Code.PLUGIN_NOT_FOUND
    sentence = f'Plugin not found for model type "{model_type[:64]}". This provider has no engine for it.'
    return _failed(Rejection(code, sentence))


async def load(parts: LoadParts, request: IncomingRequest, message: AnyLoad) -> None:
    """Answer on `request`, as a stream when the message asks for progress."""
    streamed = message.with_progress is True
    stream = request.respond() if streamed else None
    reply = await _load(parts, request, message, stream)
    if stream is not None:
        await stream.write(encode(reply) + b"\n")
    else:
        await request.reply(encode(reply))


async def _load(
    parts: LoadParts, request: IncomingRequest, message: AnyLoad, stream: OutgoingStream | None
) -> LoadModelReply:
    try:
        known = _lookup(parts, message)
        request_id = message.request_id if isinstance(message.request_id, str) else None
        live = parts.requests.open(Kind.LOAD, parts.public_key, parts, request_id, known.model_id, known.model.name)
    except QvacError as error:
        return _failed(error)
    try:
        request.on_gone = lambda gone: stop_for(live, gone)
        if request.gone is not None:
            stop_for(live, request.gone)
        await _hold(parts, live, known, message, stream)
        parts.known.remember(parts.public_key, known)
        return LoadModelReply(success=True, model_id=known.model_id)
    except QvacError as error:
        if not isinstance(error, Rejection | ConnectionClosed):
            parts.requests.finish(live, Outcome.ERROR, error=error.message)
        return _failed(error)
    finally:
        parts.requests.finish(live, Outcome.ERROR)


async def _hold(
    parts: LoadParts, live: LiveRequest, known: Known, message: AnyLoad, stream: OutgoingStream | None
) -> None:
    """Load or join, within the time limit, until stopped."""
    try:
        async with asyncio.timeout(parts.limits.load_seconds) as deadline:
            live.on_stop(lambda: deadline.reschedule(asyncio.get_running_loop().time()))
            if stream is None:
                await parts.held.hold(known)
                return
            progress = ProgressLines(stream, _download_key(message.model_src), known.model.size_bytes)
            async with beside(progress.run(), quiet=(QvacError,)):  # one whose stream is gone
                await parts.held.hold(known, progress.report)
            await progress.flush()
    except TimeoutError:
        if live.owner_stop is not None:
            raise live.owner_stop.rejection() from None
        if live.ending is not None:
            raise Rejection(Code.INFERENCE_CANCELLED, "Loading was cancelled.") from None
        raise Rejection(Code.MODEL_LOAD_FAILED, "Loading the model took too long.") from None


def _lookup(parts: LoadParts, message: AnyLoad) -> Known:
    if message.delegate is not UNSET:
        raise Rejection(Code.MODEL_OPERATION_NOT_SUPPORTED, "This provider does not delegate onward.")
    if message.seed is True:
        raise Rejection(Code.SEEDING_NOT_SUPPORTED, "Seeding is only supported for hyperdrive models")
    if isinstance(message, LoadEmbeddingModel):
        _check_embedding(message.model_config)
    model = parts.models.find(message.model_src, parts.public_key)
    if model is None:
        raise Rejection(Code.MODEL_NOT_FOUND, "This provider does not share a model of that name.")
    source = message.model_src
    if isinstance(message, LoadEmbeddingModel):
        _check_type(model, EMBEDDING_MODEL_TYPE)
        given = EmbedConfig() if isinstance(message.model_config, UnsetType) else message.model_config
        embed_config = with_defaults(given, EMBED_DEFAULTS)
        return KnownEmbeddingModel(model_id(EMBEDDING_MODEL_TYPE, source, embed_config), model, source, embed_config)
    if isinstance(message, LoadSpeechModel):
        _check_type(model, SPEECH_MODEL_TYPE)
        speech = WhisperConfig() if isinstance(message.model_config, UnsetType) else message.model_config
        return KnownSpeechModel(model_id(SPEECH_MODEL_TYPE, source, speech), model, source, speech)
    if isinstance(message, LoadTranslationModel):
        return _translation_model(parts, message, model)
    assert isinstance(message, LoadModel)
    _check_type(model, LLM_MODEL_TYPE)
    _check_chat(message.model_config, model)
    config = with_defaults(message.model_config)
    return KnownModel(model_id(LLM_MODEL_TYPE, source, config), model, source, config)


def _translation_model(parts: LoadParts, message: LoadTranslationModel, model: LibraryModel) -> KnownTranslationModel:
    """The second model is looked up among the shared ones as the first."""
    _check_type(model, TRANSLATION_MODEL_TYPE)
    config = NmtConfig() if isinstance(message.model_config, UnsetType) else message.model_config
    pivot = None
    if not isinstance(config.pivotModel, UnsetType):
        pivot = parts.models.find(config.pivot_source, parts.public_key)
        if pivot is None:
            raise Rejection(Code.MODEL_NOT_FOUND, "This provider does not share the pivotModel.")
        _check_type(pivot, TRANSLATION_MODEL_TYPE)
    if wrong := wrong_with_translators(config, model, pivot):
        raise Rejection(Code.MODEL_OPERATION_NOT_SUPPORTED, wrong)
    source = message.model_src
    return KnownTranslationModel(model_id(TRANSLATION_MODEL_TYPE, source, config), model, source, config, pivot)


_PURPOSES = {
    LLM_MODEL_TYPE: "chats",
    EMBEDDING_MODEL_TYPE: "makes embeddings",
    SPEECH_MODEL_TYPE: "transcribes speech",
    TRANSLATION_MODEL_TYPE: "translates",
}
_WANTED = {
    LLM_MODEL_TYPE: "a chat model",
    EMBEDDING_MODEL_TYPE: "one for embeddings",
    SPEECH_MODEL_TYPE: "a Whisper model",
    TRANSLATION_MODEL_TYPE: "one for translation, as BERGAMOT_DE_EN",
}


def _check_type(model: LibraryModel, model_type: str) -> None:
    """What is shared is no secret from who may use it."""
    if model.model_type != model_type:
        does, wanted = _PURPOSES.get(model.model_type, "is of another kind"), _WANTED.get(model_type, model_type)
        raise Rejection(
            Code.MODEL_OPERATION_NOT_SUPPORTED, f"This provider's model {model.name} {does}. Choose {wanted}."
        )


def _check_chat(config: LlmConfig, model: LibraryModel) -> None:
    """Path-like fields of a stranger: never opened, and whether the file exists is not told."""
    source = source_of(config.projectionModelSrc)
    if config.lora or (config.projectionModelSrc and not names_projector(source, model)):
        raise Rejection(Code.MODEL_NOT_FOUND, "The adapter or projection model is not shared by this provider.")


def _check_embedding(config: EmbedConfig | UnsetType) -> None:
    if isinstance(config, UnsetType):
        return
    if not isinstance(config.attention, UnsetType):
        raise Rejection(
            Code.MODEL_OPERATION_NOT_SUPPORTED, "The attention of a model is what its file says. Leave it out."
        )
    if config.pooling in ("none", "rank"):
        raise Rejection(
            Code.MODEL_OPERATION_NOT_SUPPORTED,
            f"pooling {config.pooling} gives no single vector of a text. Choose mean, cls or last.",
        )


def _download_key(source: str) -> str:
    """0.16's form, made of the peer's own words: registry:SOURCE:PATH, http:URL, else the name."""
    if source.startswith("registry://"):
        return "registry:" + source.removeprefix("registry://").replace("/", ":", 1)
    return f"http:{source}" if source.startswith(("http://", "https://")) else source


def _failed(error: QvacError) -> LoadModelReply:
    reply = error_reply(error)
    return LoadModelReply(success=False, error=reply.message, name=reply.name, code=error.code)
