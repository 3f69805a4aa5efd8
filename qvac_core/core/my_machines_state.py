"""A machine of one's own as it is seen from afar. Light to import: a window starts with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from qvac_core.core.download_state import DownloadState


class RemoteAct(StrEnum):
    """What can be done there; the words are those of the wire."""

    LOOK = "status"
    LOG = "log"  # look, and at the newest requests too
    PAUSE = "pause"
    RESUME = "resume"
    LOAD = "load"
    UNLOAD = "unload"
    DOWNLOAD = "download"
    CANCEL = "cancel"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class ModelThere:
    """state: as of `SharedModel.state`. error: why it could not be loaded the last time, "" = it could."""

    name: str
    state: str
    shared: bool
    size_bytes: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class DownloadThere:
    """As `DownloadChanged`; sizes in bytes, rate in bytes per second. state: None where the program there is one that
    does not tell."""

    model: str
    title: str
    state: DownloadState | None = None
    downloaded: int = 0
    total: int = 0
    rate: float = 0.0
    left_seconds: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class RequestThere:
    """started_at: Unix seconds, 0 where it is none that a calendar has."""

    public_key: str
    method: str
    model: str
    started_at: float
    outcome: str


@dataclass(frozen=True, slots=True)
class MachineThere:
    """paused_until: Unix seconds; None = until it is ended, or nobody knows. log: newest first, of `RemoteAct.LOG`."""

    paused: bool = False
    paused_until: float | None = None
    models: tuple[ModelThere, ...] = ()
    downloads: tuple[DownloadThere, ...] = ()
    log: tuple[RequestThere, ...] = ()

    @property
    def busy(self) -> bool:
        """Whether something changes there by itself now."""
        coming = any(one.state not in (DownloadState.PAUSED, DownloadState.FAILED) for one in self.downloads)
        return coming or any(model.state == "loading" for model in self.models)


class MyMachinesInterface(Protocol):
    """`core.my_machines`."""

    async def act(self, public_key: str, act: RemoteAct, model: str = "", minutes: float | None = None) -> MachineThere:
        """Do it there, and say how things stand then. model: of load, unload, download, cancel, remove. minutes: of a
        pause, None = until it is ended. Loading and downloading go on after the return.

        Raises ProviderError with its refusal, DelegationError where it cannot be reached.
        """
