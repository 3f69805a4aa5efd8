"""What a translation model is to everybody else: one direction, or two that meet in a language between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from qvac_core.engines.interface import ModelInfo, RunningModel


@dataclass(frozen=True, slots=True)
class TranslationModelInfo(ModelInfo):
    """source, target: language codes. between: the language that it goes through; "" = none."""

    source: str = ""
    target: str = ""
    between: str = ""


@dataclass(frozen=True, slots=True)
class TextsRequest:
    """texts: each is translated for itself. owner: whose turn it is; owners take turns, sentence by sentence."""

    request_id: str
    texts: tuple[str, ...]
    owner: str = ""


@dataclass(frozen=True, slots=True)
class TextPart:
    """The next piece of the translation of the text with this number. last: of that text. cut: it lost its end.

    characters: of the text that have been translated, of all texts together.
    """

    number: int
    text: str
    last: bool
    cut: bool
    characters: int


@runtime_checkable
class TranslationModel(RunningModel, Protocol):
    @property
    def info(self) -> TranslationModelInfo: ...

    def translate(self, request: TextsRequest) -> AsyncIterator[TextPart]:
        """Texts in their order, each to its last part. Closing it, or `cancel`, stops it after a sentence.

        Raises ModelError, InferenceCancelled, EngineCrashed.
        """
