"""A model download as it is told of. Light to import: a window starts with it.

Sizes in bytes, rates in bytes per second.
"""

from __future__ import annotations

from enum import StrEnum

from qvac_core.late_dataclass import dataclass
from qvac_core.store.records import ErrorInfo


class DownloadState(StrEnum):
    QUEUED = "queued"  # waits until others are done
    RUNNING = "running"
    PAUSED = "paused"  # what came is kept, over a restart too
    CHECKING = "checking"  # all is here; every byte is checked
    DONE = "done"
    FAILED = "failed"  # `error` says why; what came is kept where it can be of use
    CANCELLED = "cancelled"  # taken away, and what came with it


@dataclass(frozen=True, slots=True)
class DownloadChanged:
    """A model download as it is now: told at each change, and listed by `downloads`.

    model: as it was asked for, which names it everywhere. total: 0 = not known yet. rate: 0 while nothing moves.
    left_seconds: None = not known. source: the name of who sends it. needed_bytes: of a full disk, what has to go.
    """

    model: str
    downloaded: int
    total: int
    rate: float
    state: DownloadState = DownloadState.RUNNING
    error: ErrorInfo | None = None
    title: str = ""
    left_seconds: float | None = None
    source: str = ""
    share: bool = False
    needed_bytes: int = 0

    @property
    def done(self) -> bool:
        """Whether the file is complete and checked."""
        return self.state is DownloadState.DONE

    @property
    def moves(self) -> bool:
        """Whether something is being done about it; queued ones wait."""
        return self.state in (DownloadState.RUNNING, DownloadState.CHECKING)

    @property
    def ended(self) -> bool:
        return self.state in (DownloadState.DONE, DownloadState.FAILED, DownloadState.CANCELLED)
