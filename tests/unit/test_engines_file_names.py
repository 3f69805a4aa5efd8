"""Names of files that are no UTF-8: told with what helps, and nothing beside them is lost."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from qvac_core.engines.library import Library
from qvac_core.errors import ModelError, StoreError
from qvac_core.store.folders import DataDir
from tests import gguf_files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
ODD = b"caf\xe9-Q4_0.gguf"


def folder_of(tmp_path: Path) -> Path:
    (tmp_path / "good-Q4_0.gguf").write_bytes(gguf_files.llama_file())
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + ODD)).write_bytes(gguf_files.llama_file() + bytes(64))
    return tmp_path


def test_one_in_the_models_folder_keeps_no_other_out(tmp_path: Path) -> None:
    library = Library(folder_of(tmp_path))
    models = asyncio.run(library.scan())
    assert [model.path.name for model in models] == ["good-Q4_0.gguf"]
    ((name, reason),) = library.left_out.items()
    assert name == "caf?-Q4_0"
    assert "not written in UTF-8" in reason and "Rename" in reason
    asyncio.run(library.remove_left_out(name))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good-Q4_0.gguf", "library.json"]


def test_one_that_is_named_is_told(tmp_path: Path) -> None:
    odd = next(path for path in folder_of(tmp_path).iterdir() if path.name.startswith("caf"))
    with pytest.raises(ModelError, match="not written in UTF-8"):
        asyncio.run(Library(tmp_path / "other").add_file(odd))


def test_so_is_a_data_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not written in UTF-8"):
        DataDir.locate(Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xff"))).create()
    assert not list(tmp_path.iterdir())
