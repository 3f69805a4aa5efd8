"""Each verb beside a program that has the data folder: it works, or says in one line what does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qvac_core.store.folders import DataDir, InstanceLock
from tests.e2e.program import one_line, run

KEY = "ab" * 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """As a window or a provider has it."""
    data = DataDir(tmp_path_factory.mktemp("in-use"), explicit=True)
    data.create()
    with InstanceLock(data.lock_file):
        yield data.root


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        (("provider",), "provider --wait"),
        (("chat", KEY, "--prompt", "Hi"), "qvac-desktop serve"),
        (("translate", "Hallo", KEY, "--from", "de", "--to", "en"), "qvac-desktop serve"),
        (("embed", "Hallo", KEY), "qvac-desktop serve"),
        (("models", KEY), "under Library"),
        (("models", "download", "WHISPER_TINY"), "under Library"),
        (("remote", KEY, "status"), "Manage this machine"),
        (("serve",), "no window"),
    ],
)
def test_a_verb_that_needs_the_folder_says_what_to_do(folder: Path, verb: tuple[str, ...], says: str) -> None:
    result = run(*verb, "--data-dir", str(folder))
    assert result.returncode == 1
    line = one_line(result)
    assert says in line
    assert "--data-dir" in line


@pytest.mark.parametrize(
    "verb",
    [
        ("guests", "list"),
        ("guests", "allow", KEY),
        ("servers", "list"),
        ("invite", "list"),
        ("receipts", "list"),
        ("conversations", "list"),
        ("models",),
        ("public-key",),
        ("serve", "--token"),
    ],
)
def test_a_verb_that_reads_and_keeps_things_works_beside_it(folder: Path, verb: tuple[str, ...]) -> None:
    result = run(*verb, "--data-dir", str(folder))
    assert result.returncode == 0, result.stderr
