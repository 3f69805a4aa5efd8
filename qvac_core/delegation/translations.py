"""Answering one `translate`: bounds checked, text in its pieces to lines, in both forms of docs/wire/qvac.md section
9."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from msgspec import UNSET, UnsetType

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.answer_lines import AnswerLines
from qvac_core.delegation.failures import Code, Reason, Rejection, by_policy
from qvac_core.delegation.messages import Translate, TranslateLine, TranslateStats
from qvac_core.delegation.model_config import LLM_MODEL_TYPE
from qvac_core.delegation.work import Work
from qvac_core.engines.interface import RunningModel, StopReason
from qvac_core.engines.translation import (
    Translation,
    TranslationRequest,
    TranslationStats,
    translation_by,
    wrong_with,
    wrong_with_chat,
)
from qvac_core.errors import ModelError


async def translate(
    work: Work,
    message: Translate,
    owner: str,
    running_model: Callable[[], Awaitable[RunningModel]],
    limits: Limits,
    lines: AnswerLines,
    on_token: Callable[[], None],
) -> TranslateLine:
    """Inside the request's turn: writes all lines but the last one, which it returns.

    on_token: called as often as something was generated. Raises Rejection, ModelError, EngineCrashed.
    """
    request = translation_request(work.id, message, owner, limits.max_tokens)
    lines.on_place(0)
    translation = translation_by(await running_model(), request)
    work.cancellable(lambda _: translation.cancel())
    work.measure.amount = len(request.all_texts)
    held: list[str] = []
    marks = Marks(translation)
    try:
        async with aclosing(translation.texts()) as texts:
            async for text in texts:
                on_token()
                if message.stream or request.texts:
                    await lines.write(marks.line(text))
                else:
                    held.append(text)
    except ModelError as error:
        if error.code == Code.CONTEXT_OVERFLOW.value:
            raise _no_room() from error
        raise
    finally:
        _measure(work, translation)
    if held:
        await lines.write(TranslateLine(token="".join(held)))
    return last_line(translation)


def translation_request(request_id: str, message: Translate, owner: str, most_tokens: int) -> TranslationRequest:
    """Raises Rejection for what is not done here, or not this much of."""
    request = TranslationRequest(
        request_id=request_id,
        text=message.text if isinstance(message.text, str) else "",
        texts=() if isinstance(message.text, str) else tuple(message.text),
        to=message.to,
        source=_or_nothing(message.from_),
        context=_or_nothing(message.context),
        owner=owner,
        most_tokens=most_tokens,
    )
    by_chat = message.model_type in (LLM_MODEL_TYPE, "llm")
    if wrong := wrong_with(request) or (wrong_with_chat(request) if by_chat else ""):
        raise by_policy(Reason.LIMIT, wrong)
    return request


class Marks:
    """Lines of a translation; those at the end of a sentence or piece say how far in its text they are."""

    def __init__(self, translation: Translation) -> None:
        self._translation = translation
        self._told = 0

    def line(self, text: str) -> TranslateLine:
        done = self._translation.source_done
        if done == self._told:
            return TranslateLine(token=text)
        self._told = done
        return TranslateLine(token=text, source_done=done)


def last_line(translation: Translation) -> TranslateLine:
    cut = translation.stop_reason is StopReason.LENGTH
    return TranslateLine(
        token="",
        done=True,
        stats=wire_stats(translation.stats),
        stop_reason=StopReason.LENGTH.value if cut else UNSET,
    )


def wire_stats(stats: TranslationStats) -> TranslateStats:
    if stats.estimated:
        return TranslateStats(total_time=stats.total_time, time_to_first_token=stats.time_to_first_token)
    speed = stats.tokens_per_second
    return TranslateStats(
        total_time=stats.total_time,
        total_tokens=stats.generated_tokens,
        tokens_per_second=speed if math.isfinite(speed) else UNSET,
        time_to_first_token=stats.time_to_first_token,
        cache_tokens=stats.cache_tokens,
    )


def _measure(work: Work, translation: Translation) -> None:
    work.measure.prompt_tokens = translation.stats.prompt_tokens
    work.measure.generated_tokens = translation.stats.generated_tokens


def _or_nothing(text: str | UnsetType) -> str:
    return "" if isinstance(text, UnsetType) else text


def _no_room() -> Rejection:
    return Rejection(
        Code.CONTEXT_OVERFLOW,
        "This provider's context is too small for the instructions of a translation. Ask its owner for a longer one.",
    )
