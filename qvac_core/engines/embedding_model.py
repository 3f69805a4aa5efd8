"""What an embedding model's file says of how it is used: how long a text may be, and how its vector is made."""

from __future__ import annotations

from enum import StrEnum

from qvac_core.engines.abilities import not_supported
from qvac_core.engines.gguf import GgufInfo
from qvac_core.engines.model_kind import ModelKind, kind_of
from qvac_core.errors import ModelError

BATCH_TEXTS = 16  # texts read together; more gain nothing on a CPU
LONGEST_TEXT = 8192  # tokens; all of a text is read at once, and what that takes grows with its square
_OF_FILE = {1: "mean", 2: "cls", 3: "last"}  # llama.h, enum llama_pooling_type


class Pooling(StrEnum):
    """How one vector comes of those of all tokens."""

    MEAN = "mean"
    CLS = "cls"
    LAST = "last"


def require_embedding(gguf: GgufInfo) -> None:
    """Raises ModelError for a model that makes no embeddings."""
    if kind_of(gguf) is not ModelKind.EMBEDDING:
        raise not_supported("This model makes no embeddings. Choose an embedding model.")


def embedding_context(gguf: GgufInfo, asked: int) -> int:
    """Most tokens of one text: what the model was trained on. asked: a bound of the owner's, 0 = none."""
    trained = gguf.context_length or 512
    return max(8, min(trained, LONGEST_TEXT, asked or LONGEST_TEXT))


def pooling_of(gguf: GgufInfo, wanted: str) -> Pooling:
    """wanted: "" = as the file says. Raises ModelError for one that gives no single vector."""
    named = wanted or _OF_FILE.get(_number(gguf.metadata.get(f"{gguf.architecture}.pooling_type")), "")
    if named:
        try:
            return Pooling(named)
        except ValueError:
            raise ModelError(
                f"pooling {named} gives no single vector of a text. Choose {', '.join(Pooling)}.",
                name="EMBED_FAILED",
                code=52401,
            ) from None
    causal = gguf.metadata.get(f"{gguf.architecture}.attention.causal", False)
    return Pooling.LAST if causal else Pooling.MEAN


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
