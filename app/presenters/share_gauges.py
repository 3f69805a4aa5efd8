"""The gauges of the Share tab: what the machine spends now, asked for while somebody looks."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from app import words
from app.bridge import CoreProxy
from app.i18n import number, tr
from app.tasks import Tasks
from qvac_core.core.gauges import Gauges, GpuGauge

GPU, MEMORY, POWER, HEAT = "gpu", "memory", "power", "heat"
HOT = 100.0  # degrees Celsius: where the bar of the heat ends


@dataclass(frozen=True, slots=True)
class Gauge:
    """fraction: 0 to 1. text: the value with its unit."""

    fraction: float
    text: str


class GaugesPresenter(QObject):
    changed = Signal()

    def __init__(self, core: CoreProxy, tasks: Tasks, parent: QObject | None = None) -> None:
        """tasks: of whoever owns this; ended with it."""
        super().__init__(parent)
        self._core = core
        self._tasks = tasks
        self._asking = False
        self.now: Gauges | None = None

    @property
    def gpu(self) -> GpuGauge | None:
        """The largest one: models are loaded there first."""
        return max(self.now.gpus, key=lambda gpu: gpu.total_bytes, default=None) if self.now is not None else None

    def refresh(self) -> None:
        if not self._asking:
            self._asking = True
            self._tasks.start(self._read(), lambda _error: None)

    async def _read(self) -> None:
        try:
            self.now = await self._core.call(lambda core: core.gauges.read())
            self.changed.emit()
        finally:
            self._asking = False

    def shown(self) -> dict[str, Gauge]:
        """By name; what is not known is not there. Without a GPU that tells: memory alone."""
        if self.now is None:
            return {}
        gpu = self.gpu
        if gpu is None:
            return {MEMORY: _memory(self.now.used_bytes, self.now.total_bytes)}
        shown = {MEMORY: _memory(gpu.used_bytes, gpu.total_bytes)}
        if gpu.load is not None:
            shown = {GPU: Gauge(gpu.load, words.percent(gpu.load)), **shown}
        if gpu.watts is not None:
            most = gpu.most_watts or gpu.watts or 1.0
            shown[POWER] = Gauge(gpu.watts / most, tr("{count} W", count=number(gpu.watts)))
        if gpu.celsius is not None:
            shown[HEAT] = Gauge(gpu.celsius / HOT, tr("{count} °C", count=number(gpu.celsius)))
        return shown


def _memory(used: int, total: int) -> Gauge:
    of = tr("{used} / {total} GB", used=number(used / 1e9, 1), total=number(total / 1e9))
    return Gauge(used / total if total else 0.0, of)
