"""What all tests share: the small real model, fetched once per clone through the app's own download code."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from qvac_core.engines.library import Library
from qvac_core.models import DEFAULT_SMALL_MODEL

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "models"


@pytest.fixture(scope="session")
def small_model_path() -> Path:
    """SmolLM2-135M-Instruct: QVAC_TEST_MODEL if set, else `.cache/models`, downloaded when it is not there."""
    given = os.environ.get("QVAC_TEST_MODEL")
    if given:
        return Path(given)
    return asyncio.run(Library(CACHE).ensure(DEFAULT_SMALL_MODEL.name)).path
