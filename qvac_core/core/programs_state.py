"""The endpoint for programs as a screen sees it, and what it may ask of it. Read before the window is seen: light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from qvac_core.core.serving import Served, Wanted
    from qvac_core.endpoint.interface import Call, Offer


@dataclass(frozen=True, slots=True)
class ProgramsState:
    """address: the base URL while it is on, and as it would be while it is off. error: why it could not be switched on;
    free_port: another one to be had then, 0 = no matter of the port. token_end: its last four letters."""

    on: bool = False
    address: str = ""
    port: int = 0
    origins: tuple[str, ...] = ()
    error: str = ""
    free_port: int = 0
    token_end: str = ""
    at_start: bool = False


@dataclass(frozen=True, slots=True)
class ProgramsChanged:
    state: ProgramsState


@dataclass(frozen=True, slots=True)
class ProgramCalled:
    """A call of a program began, changed or ended."""

    call: Call


@dataclass(frozen=True, slots=True)
class ProgramModel:
    """id: the name that programs use."""

    id: str
    offer: Offer


@dataclass(frozen=True, slots=True)
class Tried:
    """A call over the endpoint itself. seconds: to the first word."""

    machine: str
    seconds: float
    tokens_per_second: float


class ProgramsInterface(Protocol):
    """`core.programs`. Used on the core's loop."""

    @property
    def state(self) -> ProgramsState: ...

    async def switch(self, on: bool, *, port: int = 0) -> None:
        """port: kept as the setting, 0 = the one of the settings. What keeps it off stands in the state's `error`."""

    async def serve(self, wanted: Wanted) -> Served:
        """On until `serve_no_more`, which is called once for each; longer where the user switched it on, and shorter
        where the user switches it off. Raises StoreError where it cannot be on as wanted, ModelError."""

    async def serve_no_more(self) -> None: ...

    async def token(self) -> str:
        """Raises StoreError when its keyring does not answer."""

    async def new_token(self) -> str:
        """The old one is of no use from now on."""

    async def models(self) -> tuple[ProgramModel, ...]: ...
    async def calls(self) -> tuple[Call, ...]:
        """Those that run, then the recent ones, the newest first."""

    async def stop_call(self, id: str) -> None: ...
    async def clear_calls(self) -> None: ...

    async def set_origins(self, origins: Sequence[str]) -> None:
        """Web pages that may call. Raises LocalProtocolError for what is no origin."""

    async def try_model(self, id: str) -> Tried:
        """Ask this chat model for a few words, as a program would. Raises QvacError."""
