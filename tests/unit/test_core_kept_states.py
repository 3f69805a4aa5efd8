"""What models remember of chats goes with the chat and with the owner's choice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qvac_core.core.kept_states import KeptStates
from qvac_core.engines.interface import EVERYBODY, LOCAL_OWNER
from qvac_core.engines.llama_engine import LlamaEngine
from qvac_core.store.settings import KeepStates


class ListeningEngine(LlamaEngine):
    def __init__(self) -> None:
        super().__init__()
        self.forgotten: list[str] = []

    def forget(self, owner: str) -> None:
        self.forgotten.append(owner)


def states(folder: Path, choice: KeepStates) -> tuple[KeptStates, ListeningEngine, Path]:
    folder.mkdir(exist_ok=True)
    file = folder / "abc.own.chat"
    file.write_bytes(b"x")
    engine = ListeningEngine()
    kept = KeptStates(folder, bytes(32), lambda: choice)
    kept.serve(engine)
    return kept, engine, file


@pytest.mark.parametrize("choice", KeepStates)
def test_where_and_for_whom(tmp_path: Path, choice: KeepStates) -> None:
    kept, _engine, _file = states(tmp_path / "kept", choice)
    config = kept.for_load()
    if choice is KeepStates.NOTHING:
        assert config is None
    else:
        assert config is not None
        assert config.guests is (choice is KeepStates.EVERYBODY)
        assert config.key not in (bytes(32), KeptStates(tmp_path, bytes([1]) * 32, lambda: choice)._key)
        assert "key" not in repr(config)


@pytest.mark.parametrize("choice", KeepStates)
def test_a_choice_for_less_removes_what_is_there(tmp_path: Path, choice: KeepStates) -> None:
    kept, engine, file = states(tmp_path / "kept", choice)
    asyncio.run(kept.choice_changed())
    assert file.exists() is (choice is KeepStates.EVERYBODY)
    assert engine.forgotten == ([] if choice is KeepStates.EVERYBODY else [EVERYBODY])


@pytest.mark.parametrize("choice", KeepStates)
def test_a_deleted_chat_is_gone_whatever_is_chosen_now(tmp_path: Path, choice: KeepStates) -> None:
    kept, engine, file = states(tmp_path / "kept", choice)
    asyncio.run(kept.chat_deleted())
    assert not file.exists()
    assert engine.forgotten == [LOCAL_OWNER]


def test_where_nothing_was_ever_kept_a_deletion_costs_nothing(tmp_path: Path) -> None:
    engine = ListeningEngine()
    kept = KeptStates(tmp_path / "kept", bytes(32), lambda: KeepStates.NOTHING)
    kept.serve(engine)
    asyncio.run(kept.chat_deleted())
    assert engine.forgotten == []
