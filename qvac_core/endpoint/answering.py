"""One answer from the first of several machines that can give it, whole or with its failure told.

Before its first word an answer moves to the next machine in silence. After it, another machine with the same model file
goes on behind the same text (`ChatAsk.so_far`); where none can, the error is the caller's to tell: an answer that is
cut never ends as if it were whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from qvac_core.delegation.failures import Code
from qvac_core.endpoint.calls import LiveCall
from qvac_core.endpoint.interface import BadCall, Called, ChatAsk, ChatPart, Ended, Reach, Text, Thought, Waiting
from qvac_core.endpoint.naming import Named
from qvac_core.errors import InferenceCancelled, LocalProtocolError, QvacError, RequestRefused


@dataclass(frozen=True, slots=True)
class Seam:
    """Somebody else goes on from here, behind the same text."""

    machine: str


@dataclass(frozen=True, slots=True)
class Begun:
    """Who answers now."""

    named: Named


Part = ChatPart | Seam | Begun


async def answer(
    reach: Reach, places: Sequence[Named], ask: ChatAsk, call: LiveCall, answer_tool: str = ""
) -> AsyncGenerator[Part, None]:
    """Begun, the parts, one Ended. answer_tool: a call of this one is text. Raises QvacError."""
    left = list(places)
    text, other = "", False  # of what a program has seen: the text, and whether there was more than text
    failure: QvacError | None = None  # why the first one left
    while True:
        place = left.pop(0)
        call.answered_by(place.offer)
        begun = False
        asked = replace(ask, so_far=text, impatient=any(each.offer.online for each in _heirs(place, left, ask)))
        try:
            async with aclosing(_stopped(reach.chat(place.offer, asked), ask.stop)) as parts:
                async for part in parts:
                    if not begun and not isinstance(part, Waiting):
                        begun = True
                        if text:
                            call.moved()
                            yield Seam(place.offer.machine)
                        yield Begun(place)
                    if isinstance(part, Called) and part.name == answer_tool:
                        part = Text(part.arguments)
                        other = True
                    elif isinstance(part, BadCall):
                        part = Text(part.raw)
                        other = True
                    if isinstance(part, Text):
                        text += part.text
                    other = other or isinstance(part, Called)
                    if isinstance(part, Text | Thought | Called):
                        call.token()
                    elif isinstance(part, Ended):
                        call.used(part.prompt_tokens, part.generated_tokens)
                    yield part
            return
        except QvacError as error:
            if of_the_request(error) and not text:
                raise
            if text or other:
                left = [] if other else _heirs(place, left, ask)
            failure = failure or error
            if not left:
                raise failure from error


def _heirs(place: Named, left: Sequence[Named], ask: ChatAsk) -> list[Named]:
    """Those that could go on behind what this one wrote."""
    if not place.offer.sha256 or ask.schema is not None or ask.tools:
        return []
    return [each for each in left if each.offer.sha256 == place.offer.sha256]


def of_the_request(error: QvacError) -> bool:
    """It would fail the same everywhere."""
    cancelled = isinstance(error, InferenceCancelled)
    return (
        cancelled
        or isinstance(error, RequestRefused | LocalProtocolError)
        or error.code
        in (
            Code.CONTEXT_OVERFLOW.value,
            Code.PLUGIN_REQUEST_VALIDATION_FAILED.value,
        )
    )


async def _stopped(parts: AsyncGenerator[ChatPart, None], stops: Sequence[str]) -> AsyncGenerator[ChatPart, None]:
    """The parts up to the first stop sequence, which is not among them. Not every engine can be told about them."""
    async with aclosing(parts):
        if not stops:
            async for part in parts:
                yield part
            return
        held, made = "", 0
        async for part in parts:
            if not isinstance(part, Text):
                if held and not isinstance(part, Waiting):
                    yield Text(held)
                    held = ""
                yield part
                continue
            made += 1
            held += part.text
            places = [place for stop in stops if (place := held.find(stop)) >= 0]
            if places:
                if min(places):
                    yield Text(held[: min(places)])
                yield Ended("stop", generated_tokens=made)
                return
            keep = max((_overlap(held, stop) for stop in stops), default=0)
            if len(held) > keep:
                yield Text(held[: len(held) - keep])
                held = held[len(held) - keep :]


def _overlap(text: str, stop: str) -> int:
    """How many letters at the end of the text may be the beginning of the stop sequence."""
    most = min(len(text), len(stop) - 1)
    return next((count for count in range(most, 0, -1) if text.endswith(stop[:count])), 0)
