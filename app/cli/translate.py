"""`qvac-desktop translate`: a text into another language, by a model of this machine or of a provider.

A translation engine does it where it is named, or where --from says the language and one for both is there: it is
many times faster than a chat model, and of one language into another the better one. Else it is a chat model.
"""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

from msgspec import UNSET

from app.cli.given_text import text_of
from app.cli.options import key_of
from app.cli.output import Output
from app.cli.used_model import LOCAL, Candidate, Pick, Picked, Purpose, UsedModel, used_model
from qvac_core.core.local_translation import translate_here
from qvac_core.core.translators import Route, route, routes
from qvac_core.delegation.model_config import LLM_MODEL_TYPE, TRANSLATION_MODEL_TYPE
from qvac_core.delegation.translation_run import TranslationFinal, TranslationRun
from qvac_core.engines.interface import LOCAL_OWNER
from qvac_core.engines.language_names import is_known, is_language, near_languages
from qvac_core.engines.marian_file import languages_of
from qvac_core.engines.translation import TranslationRequest, wrong_with
from qvac_core.errors import LocalProtocolError
from qvac_core.models import all_models, by_name

LONGEST_CODE = 3  # letters of ISO 639
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
    async with (
        used_model(options, output, _purpose(request), _pick(request, output)) as model,
        await _start(model, request) as run,
    ):
        async for token in run.token_stream:
            output.event("token", text=token)
            output.text(token, end="")
        output.end_line()
        _tell(await run.final, request, model, output)
    return 0


def _purpose(request: TranslationRequest) -> Purpose:
    """With the model to be had for these languages, where there is no model at all."""
    known = [model for model in all_models() if model.languages] if request.source else []
    way = route(known, request.source, request.to)
    if way is None or way.second is not None:
        return _PURPOSE
    return replace(_PURPOSE, kind="chat model, and none for these languages,", example=way.first.name)


def _pick(request: TranslationRequest, output: Output) -> Pick:
    def pick(there: Sequence[Candidate], named: str) -> Picked | None:
        engines = [model for model in there if model.model_type == TRANSLATION_MODEL_TYPE]
        known = by_name(named)
        if known is not None and known.languages and not any(model.name == named for model in engines):
            engines.append(Candidate(named, TRANSLATION_MODEL_TYPE, (), languages=known.languages))
        if not named:
            way = route(engines, request.source, request.to) if request.source else None
        else:
            first = next((model for model in engines if model.name == named), None)
            # The one that was named; and where it ends elsewhere, another one that goes on from there.
            ways = [] if first is None else [each for each in routes(engines) if each.first is first]
            fitting = [each for each in ways if is_language(each.target, request.to)]
            way = fitting[0] if fitting else Route(first) if first is not None else None
            if way is None and languages_of(PurePath(named).name) is not None:
                return Picked(named, TRANSLATION_MODEL_TYPE)
        if way is None:
            _look_at(request, engines, output)
            return None
        config = {"pivotModel": {"modelSrc": way.second.name}} if way.second is not None else None
        return Picked(way.first.name, TRANSLATION_MODEL_TYPE, config)

    return pick


def _look_at(request: TranslationRequest, engines: Sequence[Candidate], output: Output) -> None:
    """A chat model takes any word for a language: what is none stops here, and what may be one is told.

    Raises LocalProtocolError.
    """
    codes = {code for engine in engines for code in engine.languages}
    for option, written in (("--to", request.to), ("--from", request.source)):
        if not written or is_known(written) or any(is_language(code, written) for code in codes):
            continue
        example = "Give its English name, as German, or its code, as de."
        if near := near_languages(written):
            names = near[0] if len(near) == 1 else f"{', '.join(near[:-1])} or {near[-1]}"
            raise LocalProtocolError(
                f"{option}: no language is called {written!r}. Did you mean {names}? {example}", name="INVALID_OPTION"
            )
        if len(written.strip()) <= LONGEST_CODE:
            raise LocalProtocolError(f"{option}: {written!r} is no language's code. {example}", name="INVALID_OPTION")
        output.note(f"{option}: {written!r} is in no list of languages: a chat model is asked for it by this name.")


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
