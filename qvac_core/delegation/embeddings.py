"""Answering one `embed`: bounds checked, texts to vectors, in the shape of docs/wire/qvac.md section 9."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import UNSET

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.failures import Code, Reason, Rejection, by_policy
from qvac_core.delegation.held_models import KnownEmbeddingModel
from qvac_core.delegation.messages import Embed, EmbedReply, EmbedStats
from qvac_core.delegation.model_config import NORMALIZE_TO_LENGTH_1
from qvac_core.delegation.work import Work
from qvac_core.engines.interface import EmbeddingModel, EmbeddingRequest, Embeddings
from qvac_core.errors import InferenceCancelled, ModelError

_OF_THE_TEXTS = (Code.CONTEXT_OVERFLOW.value, Code.EMBED_FAILED.value)
_DIGITS = 9  # significant ones: enough to give every float32 back


async def embed(
    work: Work,
    message: Embed,
    known: KnownEmbeddingModel,
    owner: str,
    running_model: Callable[[], Awaitable[EmbeddingModel]],
    limits: Limits,
) -> EmbedReply:
    """Inside the request's turn. Raises Rejection for too many texts, ModelError, EngineCrashed."""
    texts = tuple(message.text) if isinstance(message.text, list) else (message.text,)
    if len(texts) > limits.embed_texts:
        raise by_policy(
            Reason.LIMIT, f"At most {limits.embed_texts} texts are embedded at once here; these are {len(texts)}."
        )
    normalize = known.config.embdNormalize
    request = EmbeddingRequest(
        request_id=work.id,
        texts=texts,
        owner=owner,
        normalize=NORMALIZE_TO_LENGTH_1 if normalize is UNSET else int(normalize),
    )
    model = await running_model()
    work.cancellable(model.cancel)
    try:
        made = await model.embed(request)
    except InferenceCancelled as error:
        work.measure.prompt_tokens = int(error.typed_fields.get("promptTokens", 0))
        work.measure.amount = int(error.typed_fields.get("texts", 0))
        raise
    except ModelError as error:
        if error.code in _OF_THE_TEXTS:  # what the guest sent, in words that say what to do about it
            raise Rejection(Code(error.code), error.message, error.typed_fields) from error
        raise
    work.measure.prompt_tokens = made.tokens
    work.measure.amount = len(texts)
    return embed_reply(made, single=not isinstance(message.text, list))


def embed_reply(made: Embeddings, *, single: bool) -> EmbedReply:
    """single: one text was given, and not a list of them."""
    vectors: list[float | list[float]] = [
        [float(f"{value:.{_DIGITS}g}") for value in row] for row in made.vectors.tolist()
    ]
    seconds = made.ms / 1000
    return EmbedReply(
        success=True,
        embedding=vectors if not single or not isinstance(vectors[0], list) else list(vectors[0]),
        stats=EmbedStats(
            total_time=made.ms,
            tokens_per_second=made.tokens / seconds if seconds > 0 else UNSET,
            total_tokens=made.tokens,
            backend_device="cpu" if made.backend_device == "cpu" else "gpu",
            context_size=made.n_ctx,
        ),
    )
