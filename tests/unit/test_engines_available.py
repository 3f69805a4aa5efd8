"""Which engine runs a model: what is installed, what is wished for, and the sentences where both do not meet."""

from __future__ import annotations

import importlib.util

import pytest

from qvac_core.engines import available
from qvac_core.engines.available import EngineKind, choose, describe, installed
from qvac_core.errors import ModelError


@pytest.fixture(autouse=True)
def no_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(available.VARIABLE, raising=False)


def only(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in modules else None)


def test_the_scheduler_is_preferred_where_both_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "llama_cpp", "xllamacpp")
    assert installed() == (EngineKind.SCHEDULER, EngineKind.SERVER)
    assert choose() is EngineKind.SCHEDULER
    assert choose("xllamacpp") is EngineKind.SERVER
    monkeypatch.setenv(available.VARIABLE, "xllamacpp")
    assert choose() is EngineKind.SERVER
    assert choose("llama-cpp-python") is EngineKind.SCHEDULER


def test_one_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "xllamacpp")
    assert choose() is EngineKind.SERVER
    with pytest.raises(
        ModelError, match=r"llama-cpp-python is not installed. Install it: pip install llama-cpp-python"
    ):
        choose("llama-cpp-python")


def test_what_is_missing_or_unknown_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)
    with pytest.raises(ModelError, match="pip install xllamacpp"):
        choose()
    monkeypatch.setenv(available.VARIABLE, "vllm")
    with pytest.raises(ModelError, match="QVAC_ENGINE names no engine: vllm"):
        choose()


@pytest.mark.parametrize("kind", EngineKind)
def test_it_is_told_with_its_version(kind: EngineKind) -> None:
    name, version = describe(kind).split(" ")
    assert name == kind.value
    assert version[0].isdigit()
