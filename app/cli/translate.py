"""`qvac-desktop translate`: a text into another language, by a chat model of this machine or of a provider."""

from __future__ import annotations

import argparse
import uuid

from msgspec import UNSET

from app.cli.given_text import text_of
from app.cli.options import key_of
from app.cli.output import Output
from app.cli.used_model import LOCAL, Purpose, UsedModel, used_model
from qvac_core.core.local_translation import translate_here
from qvac_core.delegation.model_config import LLM_MODEL_TYPE
from qvac_core.delegation.translation_run import TranslationFinal, TranslationRun
from qvac_core.engines.interface import LOCAL_OWNER
from qvac_core.engines.translation import TranslationRequest, wrong_with
from qvac_core.errors import LocalProtocolError

_PURPOSE = Purpose("translate", LLM_MODEL_TYPE, "chat model", "LLAMA_3_2_1B_INST_Q4_0")


async def translate(options: argparse.Namespace, output: Output) -> int:
    """Events `token`, `translation` and `stats`. Raises QvacError, whose sentence is the one line that says why."""
    _sort_out(options)
    text = await text_of(options.text, options.file)
    request = TranslationRequest(
        str(uuid.uuid4()), text, options.to, getattr(options, "from") or "", options.context or "", owner=LOCAL_OWNER
    )
    if wrong := wrong_with(request):
        raise LocalProtocolError(wrong, name="INVALID_OPTION")
    async with used_model(options, output, _PURPOSE) as model, await _start(model, request) as run:
        async for token in run.token_stream:
            output.event("token", text=token)
            output.text(token, end="")
        output.end_line()
        _tell(await run.final, request, model, output)
    return 0


def _sort_out(options: argparse.Namespace) -> None:
    """With a file, what stands alone is the key."""
    if options.file is None:
        if options.text is None:
            raise LocalProtocolError(
                "Give a TEXT to translate, - for standard input, or --file.", name="INVALID_OPTION"
            )
        return
    if options.key is not None:
        raise LocalProtocolError("Give a TEXT or a --file, not both.", name="INVALID_OPTION")
    if options.text is not None:
        options.key, options.text = key_of(options.text), None
        if options.key is None:
            raise LocalProtocolError(
                "Beside --file stands a provider's KEY, 64 hex digits, or nothing.", name="INVALID_OPTION"
            )


async def _start(model: UsedModel, request: TranslationRequest) -> TranslationRun:
    if model.where == LOCAL:
        return translate_here(model.running, request)
    return await model.core.consumer.translate(
        model.model_id,
        request.text,
        to=request.to,
        from_=request.source or None,
        context=request.context or None,
        request_id=request.request_id,
    )


def _tell(final: TranslationFinal, request: TranslationRequest, model: UsedModel, output: Output) -> None:
    cut = final.stop_reason == "length"
    source = {"from": request.source} if request.source else {}
    output.event("translation", text=final.text, to=request.to, cut=cut, **source)
    if final.stats is not None:
        fields = {
            "totalTime": final.stats.total_time,
            "totalTokens": final.stats.total_tokens,
            "tokensPerSecond": final.stats.tokens_per_second,
            "timeToFirstToken": final.stats.time_to_first_token,
            "cacheTokens": final.stats.cache_tokens,
        }
        output.event(
            "stats", where=model.where, **{name: value for name, value in fields.items() if value is not UNSET}
        )
    if cut:
        output.note("The translation was cut: the model went on without end, or its owner allows no longer one.")
