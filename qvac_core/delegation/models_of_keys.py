"""The shared models as each key may see them: a model that is not for a key does not exist for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from qvac_core.delegation.admission import AccessPolicy
from qvac_core.delegation.copies import CopiedModels
from qvac_core.delegation.parts import OfferedModel, SharedModels
from qvac_core.delegation.policy import Allowance
from qvac_core.engines.interface import LibraryModel


class ModelsOfKeys:
    """Implements SharedModels and CopiedModels over those of all. now: Unix seconds."""

    def __init__(
        self, models: SharedModels, copied: CopiedModels, policy: AccessPolicy, now: Callable[[], float]
    ) -> None:
        self._models = models
        self._copied = copied
        self._policy = policy
        self._now = now

    def find(self, source_or_name: str, public_key: bytes) -> LibraryModel | None:
        model = self._models.find(source_or_name, public_key)
        return model if model is not None and _is_for(self._own(public_key), model) else None

    def list(self, public_key: bytes) -> Sequence[OfferedModel]:
        own = self._own(public_key)
        return [_within(own, offered) for offered in self._models.list(public_key) if _is_for(own, offered.model)]

    def copies(self, public_key: bytes) -> Sequence[LibraryModel]:
        own = self._own(public_key)
        return [model for model in self._copied.copies(public_key) if _is_for(own, model)]

    def _own(self, public_key: bytes) -> Allowance:
        return self._policy.allowance(public_key, self._now())


def _is_for(own: Allowance, model: LibraryModel) -> bool:
    return own.mine or own.models is None or model.name in own.models


def _within(own: Allowance, offered: OfferedModel) -> OfferedModel:
    if own.mine or own.context_tokens is None or own.context_tokens >= offered.context_tokens:
        return offered
    return replace(offered, context_tokens=own.context_tokens)
