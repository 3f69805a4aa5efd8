"""`qvac-desktop embed`: texts to vectors, by an embedding model of this machine or of a provider."""

from __future__ import annotations

import argparse
import json
import uuid
from collections.abc import AsyncIterator, Sequence

from app.cli.given_text import STDIN
from app.cli.lines import Lines
from app.cli.options import key_of
from app.cli.output import Output
from app.cli.used_model import LOCAL, Purpose, UsedModel, used_model
from qvac_core.delegation.embeddings import embed_reply
from qvac_core.delegation.model_config import EMBEDDING_MODEL_TYPE
from qvac_core.engines.abilities import embedding_of
from qvac_core.engines.interface import LOCAL_OWNER, EmbeddingRequest
from qvac_core.errors import LocalProtocolError

_PURPOSE = Purpose("embed", EMBEDDING_MODEL_TYPE, "embedding model", "GTE_LARGE_FP16")
# Sent at once: what comes in without end goes out as it is made.
BATCH = 64


async def embed(options: argparse.Namespace, output: Output) -> int:
    """An event `embedding` for each text. Raises QvacError, whose sentence is the one line that says why."""
    texts = list(options.text)
    options.key = key_of(texts[-1]) if len(texts) > 1 else None
    if options.key is not None:
        texts.pop()
    if not all(text.strip() for text in texts):
        raise LocalProtocolError("An empty text has no embedding. Leave it out.", name="INVALID_OPTION")
    async with used_model(options, output, _PURPOSE) as model:
        batch: list[str] = []
        async for text in _each(texts):
            batch.append(text)
            if len(batch) == BATCH:
                await _embed(model, batch, output)
                batch = []
        if batch:
            await _embed(model, batch, output)
    return 0


async def _each(texts: Sequence[str]) -> AsyncIterator[str]:
    """The arguments or, for a "-" alone, the lines of standard input that have something in them."""
    if list(texts) != [STDIN]:
        for text in texts:
            yield text
        return
    lines = Lines()
    while (line := await lines.next()) is not None:
        if line.strip():
            yield line


async def _embed(model: UsedModel, texts: list[str], output: Output) -> None:
    request_id = str(uuid.uuid4())
    if model.where == LOCAL:
        made = await embedding_of(model.running).embed(EmbeddingRequest(request_id, tuple(texts), LOCAL_OWNER))
        reply = embed_reply(made, single=False)
    else:
        reply = await model.core.consumer.embed(model.model_id, texts, request_id=request_id)
    for text, vector in zip(texts, reply.embedding, strict=True):
        output.event("embedding", text=text, embedding=vector)
        output.text(json.dumps(vector))
