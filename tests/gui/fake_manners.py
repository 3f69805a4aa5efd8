"""The rules as a test sets them, and gauges that stand still: the fakes of `core.manners` and `core.gauges`."""

from __future__ import annotations

from dataclasses import dataclass, field

from qvac_core.core.gauges import Gauges, GpuGauge
from qvac_core.core.manners_state import MannersRule
from qvac_core.core.pausing import PauseReason

GB = 1_000_000_000


@dataclass
class FakeManners:
    now: tuple[MannersRule, ...] = tuple(
        MannersRule(reason)
        for reason in (PauseReason.HOURS, PauseReason.ACTIVE, PauseReason.OTHER_PROGRAM, PauseReason.BATTERY)
    )

    async def rules(self) -> tuple[MannersRule, ...]:
        return self.now


@dataclass
class FakeGauges:
    now: Gauges = field(default_factory=lambda: Gauges(9 * GB, 16 * GB))
    readings: int = 0

    async def read(self) -> Gauges:
        self.readings += 1
        return self.now


def rtx(load: float = 0.71, used: float = 20.1) -> GpuGauge:
    """The GPU of the design's pictures."""
    return GpuGauge("GeForce RTX 4090", load, int(used * GB), 24 * GB, int(1.6 * GB), 288.0, 450.0, 67.0)
