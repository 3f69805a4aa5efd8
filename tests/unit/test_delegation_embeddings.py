"""An embedding that was stopped counts what it had cost until then."""

from __future__ import annotations

import pytest

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.embeddings import embed
from qvac_core.delegation.held_models import KnownEmbeddingModel
from qvac_core.delegation.live_requests import Measure
from qvac_core.delegation.messages import Embed
from qvac_core.delegation.model_config import EmbedConfig
from qvac_core.engines.interface import EmbeddingModel
from qvac_core.errors import InferenceCancelled
from tests.unit.scripted_engine import SMOL


class Stopped:
    """Is stopped after two of its texts."""

    alive = True

    def cancel(self, request_id: str) -> bool:
        return True

    async def embed(self, request: object) -> object:
        raise InferenceCancelled("The embedding was cancelled.", typed_fields={"texts": 2, "promptTokens": 31})


class Working:
    id = "mine"

    def __init__(self) -> None:
        self.measure = Measure()

    def cancellable(self, cancel: object) -> None:
        pass


async def test_what_a_stopped_request_cost_is_counted() -> None:
    work, known = Working(), KnownEmbeddingModel("ab" * 8, SMOL, SMOL.name, EmbedConfig())

    async def running_model() -> EmbeddingModel:
        return Stopped()  # type: ignore[return-value]

    with pytest.raises(InferenceCancelled):
        await embed(work, Embed("ab" * 8, ["x"] * 9), known, "", running_model, Limits())  # type: ignore[arg-type]
    assert (work.measure.amount, work.measure.prompt_tokens) == (2, 31)
