"""What is told of the manners, and what is asked of `core.manners`. Light to import: a window starts with it."""

from __future__ import annotations

from typing import Protocol

from qvac_core.core.pausing import PauseReason
from qvac_core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class MannersRule:
    """One reason. on: the owner wants it. holds: it is why nobody is served now. unknown: why it cannot be told here.

    until: Unix seconds at which that changes, as far as it is known. seconds: without a key or the mouse. amount: bytes
    of the GPU that others hold. Both None for other rules.
    """

    reason: PauseReason
    on: bool = False
    holds: bool = False
    until: float | None = None
    unknown: str = ""
    seconds: float | None = None
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class MannersChanged:
    """Something that a person would see of them."""

    rules: tuple[MannersRule, ...]


class MannersInterface(Protocol):
    """`core.manners`."""

    async def rules(self) -> tuple[MannersRule, ...]:
        """All of them as they are now, those that are off too."""
