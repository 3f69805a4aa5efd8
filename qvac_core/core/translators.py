"""Which translation models get a text from one language into another: one of them, or two through a language between.

Mozilla's models all have English on one side: German to French takes two, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from qvac_core.engines.language_names import is_language

_BETWEEN = "en"  # of several that two models have in common


class Translator(Protocol):
    @property
    def languages(self) -> tuple[str, ...]: ...


T = TypeVar("T", bound=Translator)


class TranslatorsInterface(Protocol):
    """`core.translators`: what the translation models of this machine can do."""

    async def pairs(self) -> tuple[tuple[str, str], ...]:
        """From which language into which, as codes; through a third one, too. SharedModelsChanged: look again."""


@dataclass(frozen=True, slots=True)
class Route(Generic[T]):
    """second: goes on where the first one ends; None = that is what was wanted."""

    first: T
    second: T | None = None

    @property
    def source(self) -> str:
        return self.first.languages[0]

    @property
    def target(self) -> str:
        return (self.second or self.first).languages[1]

    @property
    def between(self) -> str:
        return self.first.languages[1] if self.second is not None else ""


def routes(models: Iterable[T]) -> list[Route[T]]:
    """Each direction that these models make possible, once: by one model where there is one."""
    able = [model for model in models if len(model.languages) == 2]
    found: dict[tuple[str, str], Route[T]] = {}
    for model in able:
        found.setdefault((model.languages[0], model.languages[1]), Route(model))
    pairs = [(first, second) for first in able for second in able if first.languages[1] == second.languages[0]]
    for first, second in sorted(pairs, key=lambda pair: pair[0].languages[1] != _BETWEEN):
        if first.languages[0] != second.languages[1]:
            found.setdefault((first.languages[0], second.languages[1]), Route(first, second))
    return list(found.values())


def route(models: Sequence[T], source: str, target: str) -> Route[T] | None:
    """source, target: codes or names, as a person gives them. None where these models do not do it."""
    fitting = [each for each in routes(models) if is_language(each.source, source) and is_language(each.target, target)]
    return min(fitting, key=lambda each: each.second is not None, default=None)


class TranslatorsHere:
    """`TranslatorsInterface`, by the models that `models` gives."""

    def __init__(self, models: Callable[[], Sequence[Translator]]) -> None:
        self._models = models

    async def pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple((each.source, each.target) for each in routes(self._models()))
