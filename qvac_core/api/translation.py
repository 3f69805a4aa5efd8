"""`translate`: the SDK's call, by a chat model that is loaded here or at a provider."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Coroutine
from typing import Any

from qvac_core.api.functions import _session
from qvac_core.api.started import Started
from qvac_core.core.local_translation import translate_here
from qvac_core.delegation.later import Later
from qvac_core.delegation.load_messages import canonical_type
from qvac_core.delegation.messages import TranslateStats
from qvac_core.delegation.model_config import LLM_MODEL_TYPE
from qvac_core.delegation.translation_run import TranslationFinal, TranslationRun
from qvac_core.engines.interface import LOCAL_OWNER
from qvac_core.engines.translation import TranslationRequest, wrong_with
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
    def final(self) -> Awaitable[TranslationFinal]:
        """Text, stats, and stop_reason: "length" where the translation was cut, else ""."""
        return Later(self._final)

    async def _final(self) -> TranslationFinal:
        return await (await self._run()).final


def translate(
    model_id: str,
    text: str,
    *,
    to: str,
    from_: str | None = None,
    context: str | None = None,
    stream: bool = True,
    model_type: str = "llm",
    request_id: str | None = None,
) -> Translation:
    """Start a translation by a loaded chat model. Call it inside a running event loop.

    to, from_: language codes (de, pt-BR) or names; from_ None = whatever the text is written in. context: what it is
    about. stream False: the text comes in one piece, at the end. model_type: "llm"; there is no other engine here.

    What cannot be asked is LocalProtocolError when it is awaited; else ModelError, DelegationError.
    """
    request_id = request_id or str(uuid.uuid4())
    request = TranslationRequest(request_id, text, to, from_ or "", context or "", owner=LOCAL_OWNER)
    return Translation(_start(model_id, request, stream=stream, model_type=model_type), request_id)


async def _start(model_id: str, request: TranslationRequest, *, stream: bool, model_type: str) -> TranslationRun:
    core = await _session.started()
    if canonical_type(model_type) != LLM_MODEL_TYPE:
        raise ModelError(
            f"There is no translation engine for {model_type} here. Translate with a chat model: model_type is llm.",
            name="MODEL_OPERATION_NOT_SUPPORTED",
            code=52416,
        )
    if not all(isinstance(each, str) for each in (request.text, request.to, request.source, request.context)):
        raise LocalProtocolError("The text of a translation, its languages and its context are texts.")
    if wrong := wrong_with(request):
        raise LocalProtocolError(wrong)
    here = core.machine.running_here(model_id)
    if here is None:
        return await core.consumer.translate(
            model_id,
            request.text,
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
