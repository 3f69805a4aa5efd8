"""A translation of this machine with the surface of a delegated one, so that a caller need not ask where it runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from qvac_core.delegation.messages import TranslateLine
from qvac_core.delegation.translation_run import TranslationRun
from qvac_core.delegation.translations import Marks, last_line
from qvac_core.engines.interface import LoadedModel, RunningModel
from qvac_core.engines.translation import (
    Translation,
    TranslationRequest,
    translation_by,
    wrong_with,
    wrong_with_chat,
)
from qvac_core.errors import LocalProtocolError


def translate_here(model: RunningModel, request: TranslationRequest, *, stream: bool = True) -> TranslationRun:
    """Starts at once. stream False: the text comes in one piece. Raises LocalProtocolError, ModelError."""
    if wrong := wrong_with(request) or (wrong_with_chat(request) if isinstance(model, LoadedModel) else ""):
        raise LocalProtocolError(wrong)
    translation = translation_by(model, request)

    several = bool(request.texts)

    async def stop() -> int:
        return int(translation.cancel())

    return TranslationRun(
        request.request_id, _lines(translation, stream=stream, several=several), stop, several=several
    )


async def _lines(translation: Translation, *, stream: bool, several: bool) -> AsyncGenerator[TranslateLine, None]:
    """several: of several texts each is a line of its own, as in the SDK."""
    held: list[str] = []
    marks = Marks(translation)
    async with aclosing(translation.texts()) as texts:
        async for text in texts:
            if stream or several:
                yield marks.line(text)
            else:
                held.append(text)
    if held:
        yield TranslateLine(token="".join(held))
    yield last_line(translation)
