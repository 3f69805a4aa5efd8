"""`modelConfig` of a loadModel request for a chat model, and the id that a loaded model gets from it.

docs/wire/qvac.md section 4; types and bounds of 0.16.0's dist/schemas/llamacpp-config.js, which drops unknown keys too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from qvac_core.delegation.js_json import canonical
from qvac_core.engines.interface import LibraryModel, SamplingParams
from qvac_core.engines.language_names import is_language, language_name
from qvac_core.errors import LocalProtocolError

LLM_MODEL_TYPE: Final = "llamacpp-completion"
EMBEDDING_MODEL_TYPE: Final = "llamacpp-embedding"
SPEECH_MODEL_TYPE: Final = "whispercpp-transcription"
TRANSLATION_MODEL_TYPE: Final = "nmtcpp-translation"

# The names that are valid on the wire. A request for one whose engine is not here is answered as a load that failed.
CANONICAL_MODEL_TYPES = frozenset(
    {
        LLM_MODEL_TYPE,
        EMBEDDING_MODEL_TYPE,
        SPEECH_MODEL_TYPE,
        TRANSLATION_MODEL_TYPE,
        "parakeet-transcription",
        "bci-whispercpp-transcription",
        "tts-ggml",
        "ggml-ocr",
        "sdcpp-generation",
        "ggml-vla",
        "ggml-classification",
    }
)
# Names of the JavaScript API only (and one old canonical name): refused as invalid input on the wire.
CANONICAL_NAMES: Mapping[str, str] = {
    "llm": LLM_MODEL_TYPE,
    "embeddings": EMBEDDING_MODEL_TYPE,
    "whisper": SPEECH_MODEL_TYPE,
    "parakeet": "parakeet-transcription",
    "bci": "bci-whispercpp-transcription",
    "nmt": TRANSLATION_MODEL_TYPE,
    "tts": "tts-ggml",
    "ocr": "ggml-ocr",
    "diffusion": "sdcpp-generation",
    "vla": "ggml-vla",
    "classification": "ggml-classification",
    "onnx-tts": "tts-ggml",
}
API_ONLY_MODEL_TYPES = frozenset(CANONICAL_NAMES)

MODEL_ID_HEX_DIGITS = 16
REASONING_BUDGET_MAX = 2**31 - 1

Number = float
Temperature = Annotated[float, Meta(ge=0, le=2)]
Probability = Annotated[float, Meta(ge=0, le=1)]
TopK = Annotated[int, Meta(ge=0, le=128)]
Natural = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Predict = Annotated[int, Meta(ge=-2)]
ReasoningBudget = Annotated[int, Meta(ge=-1, le=REASONING_BUDGET_MAX)]


# Those that a provider does not act on: how it loads a model for everybody is its owner's business (admission.Limits).
OWNERS_FIELDS: Final = frozenset(
    {
        *("ctx_size", "gpu_layers", "device", "parallel"),
        *("no_mmap", "verbosity", "n_discarded", "cache-type-k", "cache-type-v", "main-gpu", "split-mode"),
        *("tensor-split", "openclCacheDir"),
    }
)
# Those of features that are not here: they have nothing to act on.
IDLE_FIELDS: Final = frozenset({"toolsMode", "image_tile_mode", "mmproj-use-gpu"})


class LlmConfig(Struct, frozen=True):
    """0.16.0 names. Sizes in tokens; predict: -1 until the end, -2 until the context is full.

    Every field is part of the model's id. What each does at a provider: sampling, predict and stop_sequences hold for
    answers that say nothing else; system_prompt in KV-cache sessions, as in 0.16; reasoning_budget 0 switches thinking
    off; lora is refused, and a projectionModelSrc other than that of the shared model; without tools, those of a
    request are ignored. The rest is taken and
    ignored, because the SDK sends it always: OWNERS_FIELDS, IDLE_FIELDS.
    """

    ctx_size: Number | UnsetType = UNSET
    temp: Temperature | UnsetType = UNSET
    top_p: Probability | UnsetType = UNSET
    top_k: TopK | UnsetType = UNSET
    seed: Number | UnsetType = UNSET
    gpu_layers: Number | UnsetType = UNSET
    lora: str | UnsetType = UNSET
    device: str | UnsetType = UNSET
    predict: Predict | UnsetType = UNSET
    system_prompt: str | UnsetType = UNSET
    no_mmap: bool | UnsetType = UNSET
    verbosity: Literal[0, 1, 2, 3] | UnsetType = UNSET
    presence_penalty: Number | UnsetType = UNSET
    frequency_penalty: Number | UnsetType = UNSET
    repeat_penalty: Number | UnsetType = UNSET
    stop_sequences: list[str] | UnsetType = UNSET
    n_discarded: Number | UnsetType = UNSET
    parallel: Positive | UnsetType = UNSET
    tools: bool | UnsetType = UNSET
    toolsMode: Literal["static", "dynamic"] | UnsetType = UNSET
    cache_type_k: str | UnsetType = field(name="cache-type-k", default=UNSET)
    cache_type_v: str | UnsetType = field(name="cache-type-v", default=UNSET)
    main_gpu: Natural | Literal["integrated", "dedicated"] | UnsetType = field(name="main-gpu", default=UNSET)
    split_mode: Literal["none", "layer", "row"] | UnsetType = field(name="split-mode", default=UNSET)
    tensor_split: str | UnsetType = field(name="tensor-split", default=UNSET)
    openclCacheDir: str | UnsetType = UNSET
    reasoning_budget: ReasoningBudget | UnsetType = UNSET
    projectionModelSrc: str | dict[str, Any] | UnsetType = UNSET
    image_tile_mode: Literal["disabled", "batched", "sequential"] | UnsetType = UNSET
    mmproj_use_gpu: bool | UnsetType = field(name="mmproj-use-gpu", default=UNSET)

    def __post_init__(self) -> None:
        if self.predict == 0:
            raise ValueError("predict is -1, -2 or at least 1")


# LLM_CONFIG_DEFAULTS of 0.16.0: filled in by the sender, and again by the provider for what is missing.
LLM_DEFAULTS: Mapping[str, Any] = {
    "ctx_size": 1024,
    "gpu_layers": 99,
    "device": "gpu",
    "system_prompt": "You are a helpful assistant.",
    "image_tile_mode": "sequential",
}


def source_of(projection: str | dict[str, Any] | UnsetType) -> str:
    """The file that `projectionModelSrc` names: itself, or the `src` of a model descriptor; "" for none."""
    src = projection.get("src", "") if isinstance(projection, dict) else projection
    return src if isinstance(src, str) else ""


class EmbedConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """0.16.0 names. Every field is part of the model's id.

    pooling: mean, cls or last in the place of the file's own; none and rank give no single vector and are refused.
    embdNormalize: of each vector, by llama.cpp's numbers (2 = to length 1, the default; -1 = not at all). attention is
    the file's own, and every other one is refused. The rest is taken and ignored: how a model is loaded for everybody
    is its owner's business, and how many texts are read together is the engine's.
    """

    gpuLayers: int | UnsetType = UNSET
    device: Literal["gpu", "cpu"] | UnsetType = UNSET
    batchSize: Positive | UnsetType = UNSET
    pooling: Literal["none", "mean", "cls", "last", "rank"] | UnsetType = UNSET
    attention: Literal["causal", "non-causal"] | UnsetType = UNSET
    embdNormalize: int | UnsetType = UNSET
    flashAttention: Literal["on", "off", "auto"] | UnsetType = UNSET
    mainGpu: Natural | Literal["integrated", "dedicated"] | UnsetType = UNSET
    splitMode: Literal["none", "layer", "row"] | UnsetType = UNSET
    tensorSplit: str | UnsetType = UNSET
    verbosity: Literal[0, 1, 2, 3] | UnsetType = UNSET
    openclCacheDir: str | UnsetType = UNSET


# EMBED_CONFIG_DEFAULTS of 0.16.0.
EMBED_DEFAULTS: Mapping[str, Any] = {"gpuLayers": 99, "device": "gpu", "batchSize": 1024}


F32LE = "f32le"  # of raw samples; the other one is s16le, and holds where nothing was said


class WhisperConfig(Struct, frozen=True):
    """0.16.0 names, those that act. Every field is part of the model's id. The others are of how whisper.cpp runs,
    which is its owner's business: they are dropped, as unknown ones are.

    language: a code or an English name; missing or "auto" = found in the sound. translate: into English.
    initial_prompt: for requests without a `prompt`. audio_format: of sound that comes as raw samples (16 kHz, mono);
    0.16's default is s16le.
    """

    language: str | UnsetType = UNSET
    translate: bool | UnsetType = UNSET
    initial_prompt: str | UnsetType = UNSET
    audio_format: Literal["f32le", "s16le"] | UnsetType = UNSET


class PivotModel(Struct, frozen=True):
    """0.16 names: the model that goes on in the language in which the first one ends."""

    modelSrc: str | dict[str, Any]
    srcVocabSrc: str | dict[str, Any] | UnsetType = UNSET
    dstVocabSrc: str | dict[str, Any] | UnsetType = UNSET


class NmtConfig(Struct, frozen=True):
    """0.16 names. Every field is part of the model's id.

    engine: Bergamot is the one that is here. from, to: refused where the models translate something else. mode: the
    whole of it. srcVocabSrc, dstVocabSrc: the vocabulary lies beside its model here, and any other one is refused.
    pivotModel: as modelSrc, a model that goes on where this one ends. The SDK's other fields are of a search for the
    best translation that Firefox's engine does not make (beamsize, temperature, …): they are dropped.
    """

    engine: Literal["Bergamot"] | UnsetType = UNSET
    from_: str | UnsetType = field(name="from", default=UNSET)
    to: str | UnsetType = UNSET
    mode: Literal["full"] | UnsetType = UNSET
    srcVocabSrc: str | dict[str, Any] | UnsetType = UNSET
    dstVocabSrc: str | dict[str, Any] | UnsetType = UNSET
    pivotModel: PivotModel | UnsetType = UNSET

    @property
    def pivot_source(self) -> str:
        """ "" = none."""
        return "" if isinstance(self.pivotModel, UnsetType) else source_of(self.pivotModel.modelSrc)


def wrong_with_translators(config: NmtConfig, model: LibraryModel, pivot: LibraryModel | None) -> str:
    """What of the configuration these models do not do, as a sentence; "" = nothing. Opens nothing."""
    vocabularies = [(model, config.srcVocabSrc), (model, config.dstVocabSrc)]
    if pivot is not None and not isinstance(config.pivotModel, UnsetType):
        vocabularies += [(pivot, config.pivotModel.srcVocabSrc), (pivot, config.pivotModel.dstVocabSrc)]
    for its, wanted in vocabularies:
        pair = "".join(its.languages)
        own = {f"vocab.{pair}.spm", f"srcvocab.{pair}.spm", f"trgvocab.{pair}.spm"}
        if (source := source_of(wanted)) and source.replace("\\", "/").rpartition("/")[2] not in own:
            return (
                "The vocabulary of a translation model is the one that lies beside it. "
                "Leave srcVocabSrc and dstVocabSrc out."
            )
    source, target = model.languages
    if pivot is not None:
        if pivot.languages[0] != target:
            return (
                f"{pivot.name} does not go on where {model.name} ends: it translates from "
                f"{language_name(pivot.languages[0])}, and gets {language_name(target)}."
            )
        target = pivot.languages[1]
    if (isinstance(config.from_, str) and not is_language(source, config.from_)) or (
        isinstance(config.to, str) and not is_language(target, config.to)
    ):
        further = "" if pivot is not None else ", unless a pivotModel goes on from there"
        return f"{model.name} translates from {language_name(source)} into {language_name(target)}{further}."
    return ""


NORMALIZE_TO_LENGTH_1: Final = 2

Config = TypeVar("Config", bound=Struct)


def own_config(config: Mapping[str, Any] | None) -> LlmConfig:
    """What a program of this machine asks for. Raises LocalProtocolError, for a name that does not exist too."""
    return own_config_of(LlmConfig, config)


def own_config_of(kind: type[Config], config: Mapping[str, Any] | None) -> Config:
    """The same for a model of another type: `kind` is the class of its configuration."""
    given = dict(config or {})
    known = {item.encode_name for item in msgspec.structs.fields(kind)}
    if unknown := [str(name) for name in given if name not in known]:
        raise LocalProtocolError(
            f"The model configuration has no {', '.join(unknown)}. It has: {', '.join(sorted(known))}."
        )
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise LocalProtocolError(f"The model configuration is not valid: {error}") from error


def with_defaults(config: Config, defaults: Mapping[str, Any] = LLM_DEFAULTS) -> Config:
    missing = {key: value for key, value in defaults.items() if getattr(config, key) is UNSET}
    return msgspec.structs.replace(config, **missing)


def model_id(model_type: str, model_src: str, config: Struct) -> str:
    """16 hex digits, the same for the same request, as a 0.16.0 provider derives it. `config` is with its defaults."""
    fields: dict[str, Any] = msgspec.to_builtins(config)
    projection = fields.get("projectionModelSrc")
    if isinstance(projection, dict) and "src" in projection:
        fields["projectionModelSrc"] = projection["src"]
    text = f"{model_type}:{model_src}:{canonical(fields)}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:MODEL_ID_HEX_DIGITS]


def _number(value: float | UnsetType) -> float | None:
    return None if isinstance(value, UnsetType) else float(value)


def _whole(value: float | UnsetType) -> int | None:
    return None if isinstance(value, UnsetType) else int(value)


def sampling_of(config: LlmConfig) -> SamplingParams:
    """What the model was loaded with; a request's generationParams go over it."""
    return SamplingParams(
        temp=_number(config.temp),
        top_p=_number(config.top_p),
        top_k=_whole(config.top_k),
        seed=_whole(config.seed),
        predict=_whole(config.predict),
        repeat_penalty=_number(config.repeat_penalty),
        frequency_penalty=_number(config.frequency_penalty),
        presence_penalty=_number(config.presence_penalty),
    )
