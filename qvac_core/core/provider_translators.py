"""The translation models that a provider told of, and which of them get a text from one language into another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from qvac_core.core.state import ProviderEntry
from qvac_core.core.translators import Route, route, routes
from qvac_core.delegation.messages import ModelEntry
from qvac_core.delegation.model_config import TRANSLATION_MODEL_TYPE
from qvac_core.errors import ModelError

# Of one provider: each can be followed by each, and all of it is shown. Mozilla has about a hundred.
MOST = 200
_CODE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True)
class RemoteTranslator:
    name: str
    languages: tuple[str, ...]


def translators_of(listed: Sequence[ModelEntry]) -> tuple[RemoteTranslator, ...]:
    """What is not written as codes of two languages is left out: it would be shown."""
    found = (
        RemoteTranslator(entry.name, tuple(entry.languages))
        for entry in listed
        if entry.model_type == TRANSLATION_MODEL_TYPE and isinstance(entry.languages, list)
    )
    able = [each for each in found if len(each.languages) == 2 and all(map(_CODE.fullmatch, each.languages))]
    return tuple(able[:MOST])


def pairs_of(translators: Sequence[RemoteTranslator]) -> tuple[tuple[str, str], ...]:
    return tuple((each.source, each.target) for each in routes(translators))


def route_there(
    entry: ProviderEntry, translators: Sequence[RemoteTranslator], source: str, target: str
) -> Route[RemoteTranslator]:
    """Raises ModelError where its models do not do it any more."""
    way = route(translators, source, target)
    if way is None:
        raise ModelError(
            f"{entry.name} does not translate between these languages any more. "
            "Choose other languages, or translate with a chat model."
        )
    return way
