"""`translate`: the SDK's call, by a chat model or a translation engine that is loaded here or at a provider."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any

from qvac_core.api.functions import _session
from qvac_core.api.started import Started
from qvac_core.core.local_translation import translate_here
from qvac_core.delegation.later import Later
from qvac_core.delegation.load_messages import canonical_type
from qvac_core.delegation.messages import TranslateStats
from qvac_core.delegation.model_config import LLM_MODEL_TYPE, TRANSLATION_MODEL_TYPE
from qvac_core.delegation.translation_run import TranslationFinal, TranslationRun
from qvac_core.engines.interface import LOCAL_OWNER
from qvac_core.engines.translation import TranslationRequest, wrong_with
from qvac_core.engines.translation_model import TranslationModel
from qvac_core.errors import LocalProtocolError, ModelError


class Translation(Started[TranslationRun]):
    """One translation. `async with` it, or read it to its end; leaving early cancels down to the GPU.

    token_stream: text as it comes. text, stats, final: awaitable, once it has ended; InferenceCancelled when cancelled.
    """

    def __init__(self, start: Coroutine[Any, Any, TranslationRun], request_id: str) -> None:
        super().__init__(start, request_id, left="The translation was left before its end.")

    @property
    def stats(self) -> Awaitable[TranslateStats | None]:
        """Times in milliseconds, tokens that were generated."""
        return Later(self._stats)

    async def _stats(self) -> TranslateStats | None:
        return await (await self._run()).stats

    @property
    def translations(self) -> Awaitable[tuple[str, ...]]:
        """One for each text."""
        return Later(self._translations)

    async def _translations(self) -> tuple[str, ...]:
        return await (await self._run()).translations

    @property
    def final(self) -> Awaitable[TranslationFinal]:
        """Text, stats, and stop_reason: "length" where the translation was cut, else ""."""
        return Later(self._final)

    async def _final(self) -> TranslationFinal:
        return await (await self._run()).final


def translate(
    model_id: str,
    text: str | Sequence[str],
    *,
    to: str | None = None,
    from_: str | None = None,
    context: str | None = None,
    stream: bool = True,
    model_type: str | None = None,
    request_id: str | None = None,
) -> Translation:
    """Start a translation by a loaded model. Call it inside a running event loop.

    to, from_: language codes (de, pt-BR) or names; from_ None = whatever the text is written in. A translation engine
    knows its languages: what is given must be these. context: what the text is about, for a chat model. text: a list
    of texts, for a translation engine: `translations` has one for each, and so has the stream. stream False: the text
    comes in one piece, at the end. model_type: "llm" or "nmt", that of the model; None = whatever it is.

    What cannot be asked is LocalProtocolError when it is awaited; else ModelError, DelegationError.
    """
    request_id = request_id or str(uuid.uuid4())
    # What is neither a text nor a list is taken along: it is refused where everything is.
    single: Any = "" if (listed := isinstance(text, Sequence) and not isinstance(text, str)) else text
    texts = tuple(text) if listed else ()
    request = TranslationRequest(
        request_id, single, to or "", from_ or "", context or "", owner=LOCAL_OWNER, texts=texts
    )
    return Translation(_start(model_id, request, stream=stream, model_type=model_type), request_id)


async def _start(model_id: str, request: TranslationRequest, *, stream: bool, model_type: str | None) -> TranslationRun:
    core = await _session.started()
    canonical = None if model_type is None else canonical_type(model_type)
    if canonical not in (None, LLM_MODEL_TYPE, TRANSLATION_MODEL_TYPE):
        raise ModelError(
            f"Models of the type {model_type} do not translate. Translate with a chat model (llm), or with a "
            "translation engine (nmt).",
            name="MODEL_OPERATION_NOT_SUPPORTED",
            code=52416,
        )
    given = (*request.all_texts, request.to, request.source, request.context)
    if not all(isinstance(each, str) for each in given):
        raise LocalProtocolError("The text of a translation, its languages and its context are texts.")
    if wrong := wrong_with(request):
        raise LocalProtocolError(wrong)
    here = core.machine.running_here(model_id)
    by_engine = isinstance(here, TranslationModel) if here is not None else core.consumer.is_translator(model_id)
    if canonical is not None and by_engine is not (canonical == TRANSLATION_MODEL_TYPE):
        kind = "a translation engine: model_type is nmt" if by_engine else "no translation engine: model_type is llm"
        raise ModelError(f"This model is {kind}, or left out.", name="MODEL_OPERATION_NOT_SUPPORTED", code=52416)
    if here is None:
        return await core.consumer.translate(
            model_id,
            request.texts or request.text,
            to=request.to,
            from_=request.source or None,
            context=request.context or None,
            stream=stream,
            request_id=request.request_id,
        )
    run = translate_here(here, request, stream=stream)
    _session.answers_here[run.request_id] = (model_id, run)
    run.task.add_done_callback(lambda _: _session.answers_here.pop(run.request_id, None))
    return run
