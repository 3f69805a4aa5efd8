"""Models that installed programs are tried with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.speech_files import english_model


@pytest.fixture(scope="session")
def tiny() -> Path:
    """Whisper tiny, as whisper.cpp reads it."""
    return english_model()
