"""POST /v1/embeddings: vectors as base64 of little-endian float32 (what the openai clients ask for) or as numbers."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qvac_core.endpoint.conversation import model_of
from qvac_core.endpoint.exchange import Exchange
from qvac_core.endpoint.faults import bad
from qvac_core.endpoint.fields import Fields, clean
from qvac_core.endpoint.interface import Vectors

TEXTS = 2048  # as at OpenAI


@dataclass(frozen=True, slots=True)
class EmbeddingAsked:
    model: str
    texts: tuple[str, ...]
    base64: bool
    dimensions: int | None


def embedding_asked(body: Mapping[str, Any]) -> EmbeddingAsked:
    """Raises Fault. Lists of numbers are ids of OpenAI's own vocabulary: another model's text would come of them."""
    fields = Fields(body)
    given = body.get("input")
    texts: Sequence[Any] = given if isinstance(given, list) else [given]
    numbers = [text for text in texts if isinstance(text, int | float) and not isinstance(text, bool)]
    if numbers or any(isinstance(text, list) for text in texts):
        raise bad(
            "input is a text or a list of texts here, not token numbers: those are of OpenAI's vocabulary. "
            "In LangChain: OpenAIEmbeddings(check_embedding_ctx_length=False).",
            "input",
            "tokens_not_supported",
        )
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise bad("input is a text or a list of texts, none of them empty.", "input")
    if len(texts) > TEXTS:
        raise bad(f"input has {TEXTS:,} texts at most.", "input")
    form = fields.text("encoding_format", "float")
    if form not in ("float", "base64"):
        raise bad("encoding_format is float or base64.", "encoding_format")
    clean_texts = tuple(clean(text) for text in texts)
    return EmbeddingAsked(model_of(fields), clean_texts, form == "base64", fields.whole("dimensions", 1, 1 << 16))


async def embedding_answer(exchange: Exchange, made: Vectors, asked: EmbeddingAsked, model: str) -> None:
    width = len(made.vectors[0]) if made.vectors else 0
    if asked.dimensions not in (None, width):
        # A cut vector is right for models alone that were trained for it, which their files do not say.
        raise bad(f"This model makes vectors of {width} dimensions, and no others. Leave dimensions out.", "dimensions")
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if asked.base64 else list(vector)}
        for index, vector in enumerate(made.vectors)
    ]
    usage = {"prompt_tokens": made.tokens, "total_tokens": made.tokens}
    await exchange.json({"object": "list", "data": data, "model": model, "usage": usage})


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
