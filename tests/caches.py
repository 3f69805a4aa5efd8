"""What tests fetch once per clone lies in `.cache`. Processes that test side by side fetch it one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

CACHE = Path(__file__).resolve().parents[1] / ".cache"


@contextmanager
def fetching(folder: Path) -> Iterator[None]:
    """Nobody else fills this folder meanwhile; who waited looks whether it is full now."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        yield
