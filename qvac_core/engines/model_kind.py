"""What a GGUF file is good for, from its header alone: only some of them answer with a next token.

llama.cpp does not tell: `llama_model_has_decoder` is true for BERT, an encoder-decoder loads like any other model, and
asking either for a token ends the process. Keys as convert_hf_to_gguf.py and the llama.cpp tools write them.
"""

from __future__ import annotations

from enum import Enum

from qvac_core.engines.gguf import GgufInfo
from qvac_core.errors import ModelError

EMBEDDING_TYPE = "llamacpp-embedding"
CHAT_TYPE = "llamacpp-completion"
SPEECH_TYPE = "whispercpp-transcription"
TRANSLATION_TYPE = "nmtcpp-translation"

_POOLING_RANK = 4  # llama.h, enum llama_pooling_type; 1 to 3 make one embedding of a text
_POOLING_EMBEDDING = (1, 2, 3)
# Encoders whose older files lack the pooling and causal keys. "pangu-embedded" is none: it chats, on small devices.
_ENCODERS = frozenset(
    (
        *("bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3"),
        *("eurobert", "gemma-embedding", "llama-embed", "t5encoder"),
    )
)
_TEXT_DIFFUSION = frozenset(("dream", "llada", "llada-moe", "rnd1"))
# What ComfyUI-GGUF and stable-diffusion.cpp name the architectures of models that make pictures and films.
_PICTURES = frozenset(
    (
        *("sd1", "sd2", "sd3", "sdxl", "flux", "flux2", "aura", "chroma", "cosmos", "hidream", "hyvid", "ltxv"),
        *("lumina2", "pig", "qwen_image", "wan", "z_image"),
    )
)
_PICTURE_GROUPS = frozenset(("first_stage_model", "double_blocks", "joint_blocks", "input_blocks", "cond_stage_model"))


class ModelKind(Enum):
    """The value is the sentence for who wants to chat with it; "" for what can."""

    CHAT = ""
    EMBEDDING = "This model makes embeddings; it cannot chat. Choose a chat model."
    SPEECH = "This model writes down what is said; it cannot chat. Choose a chat model."
    TRANSLATION = "This model translates; it cannot chat. Choose a chat model."
    RERANKER = "This model ranks or classifies texts; it cannot chat. Choose a chat model."
    ENCODER_DECODER = "This model rewrites texts as T5 does, which QVAC Desktop cannot run. Choose a chat model."
    TEXT_DIFFUSION = "This model writes by diffusion, which QVAC Desktop cannot run. Choose a chat model."
    PICTURES = "This model makes pictures; it cannot chat. Choose a chat model."
    PROJECTOR = "This file is the vision part (mmproj) of another model; it cannot answer by itself."
    ADAPTER = "This file is an adapter (LoRA) for another model; it cannot answer by itself."
    CONTROL_VECTOR = "This file is a control vector for another model; it cannot answer by itself."
    IMATRIX = "This file is an importance matrix, a by-product of quantizing; it is no model. Choose a chat model."
    VOCABULARY = "This file holds a vocabulary without a model. Choose a chat model."
    OTHER = "This file holds no language model. Choose a chat model."


def kind_of(gguf: GgufInfo) -> ModelKind:
    """The kind of a model, by the header of all its files (`model_files.read_model`)."""
    metadata, architecture = gguf.metadata, gguf.architecture
    general = metadata.get("general.type")
    if general == "imatrix" or "imatrix.datasets" in metadata:
        return ModelKind.IMATRIX
    if general == "adapter" or "adapter.type" in metadata:
        return ModelKind.ADAPTER
    if architecture == "controlvector" or "controlvector.layer_count" in metadata:
        return ModelKind.CONTROL_VECTOR
    if general == "mmproj" or architecture in ("clip", "mmproj"):
        return ModelKind.PROJECTOR
    if architecture in _PICTURES or gguf.groups & _PICTURE_GROUPS:
        return ModelKind.PICTURES
    if metadata.get("tokenizer.ggml.model", "no_vocab") == "no_vocab" or architecture == "wavtokenizer-dec":
        return ModelKind.OTHER
    if not gguf.tensors:
        return ModelKind.VOCABULARY
    return _language_model(gguf)


def _language_model(gguf: GgufInfo) -> ModelKind:
    metadata, architecture = gguf.metadata, gguf.architecture
    if architecture in _TEXT_DIFFUSION or "diffusion.shift_logits" in metadata:
        return ModelKind.TEXT_DIFFUSION
    pooling = metadata.get(f"{architecture}.pooling_type")
    if pooling == _POOLING_RANK or "cls" in gguf.groups:
        return ModelKind.RERANKER
    if pooling in _POOLING_EMBEDDING or architecture in _ENCODERS:
        return ModelKind.EMBEDDING
    if metadata.get(f"{architecture}.attention.causal") is False:
        return ModelKind.EMBEDDING
    if architecture == "t5" or f"{architecture}.decoder_start_token_id" in metadata or "dec" in gguf.groups:
        return ModelKind.ENCODER_DECODER
    return ModelKind.CHAT


def kind_of_architecture(architecture: str) -> ModelKind:
    """As far as the architecture alone tells: of a file that is not here."""
    return ModelKind.EMBEDDING if architecture in _ENCODERS else ModelKind.CHAT


def require_chat(kind: ModelKind) -> None:
    """Raises ModelError with the sentence for what cannot chat."""
    if kind is not ModelKind.CHAT:
        raise cannot_chat(kind)


# Of the types that a library can hold, those that an engine here runs: these are shared, loaded, asked.
RUNNABLE_TYPES = frozenset((CHAT_TYPE, EMBEDDING_TYPE, SPEECH_TYPE, TRANSLATION_TYPE))


def require_runnable_type(model_type: str) -> None:
    """Raises ModelError for a model of the library or of the catalog that no engine here runs."""
    if model_type not in RUNNABLE_TYPES:
        raise ModelError(
            "QVAC Desktop cannot run a model of this kind. "
            "Choose a chat model, one for embeddings or for translation, or a Whisper model.",
            name="MODEL_OPERATION_NOT_SUPPORTED",
            code=52416,
        )


def require_chat_type(model_type: str) -> None:
    """The same for a model of the library, by its type there."""
    if model_type == EMBEDDING_TYPE:
        raise cannot_chat(ModelKind.EMBEDDING)
    if model_type == SPEECH_TYPE:
        raise cannot_chat(ModelKind.SPEECH)
    if model_type == TRANSLATION_TYPE:
        raise cannot_chat(ModelKind.TRANSLATION)
    if model_type != CHAT_TYPE:
        raise cannot_chat(ModelKind.OTHER)


def cannot_chat(kind: ModelKind) -> ModelError:
    return ModelError(kind.value, name="MODEL_OPERATION_NOT_SUPPORTED", code=52416)
