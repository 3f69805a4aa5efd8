"""What the machine spends just now: its memory, and each GPU's load, memory, power and heat where the driver tells.

NVIDIA's GPUs by NVML (the driver's own library, through nvidia-ml-py); of others nothing is known here. No GPU: memory
alone. Reading takes some milliseconds and may wait for the driver: not for an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import psutil
else:
    psutil = Lazy("psutil")


logger = logging.getLogger(__name__)

_MILLI = 1000


@dataclass(frozen=True, slots=True)
class GpuGauge:
    """load: 0 to 1. Memory in bytes; others_bytes: held by programs that are not ours. watts, celsius: None = not told.

    Whatever the driver does not tell is None.
    """

    name: str
    load: float | None
    used_bytes: int
    total_bytes: int
    others_bytes: int | None = None
    watts: float | None = None
    most_watts: float | None = None
    celsius: float | None = None


@dataclass(frozen=True, slots=True)
class Gauges:
    """Bytes of the machine's own memory, and the GPUs; () = there is none, or none that tells."""

    used_bytes: int
    total_bytes: int
    gpus: tuple[GpuGauge, ...] = ()


class GaugesInterface(Protocol):
    """`core.gauges`."""

    async def read(self) -> Gauges: ...


class GpuReader:
    """NVML, opened at the first reading. Used from any thread, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._library: Any = None
        self._absent = False

    def read(self) -> tuple[GpuGauge, ...]:
        with self._lock:
            library = self._opened()
            if library is None:
                return ()
            try:
                count = library.nvmlDeviceGetCount()
                return tuple(_gauge(library, library.nvmlDeviceGetHandleByIndex(index)) for index in range(count))
            except library.NVMLError as error:  # the driver was updated, or the GPU fell off the bus
                logger.debug("the GPU does not tell: %s", error)
                self._close()
                return ()

    def close(self) -> None:
        with self._lock:
            self._close()

    def _opened(self) -> Any:
        if self._library is None and not self._absent:
            import pynvml

            try:
                pynvml.nvmlInit()
            except pynvml.NVMLError:
                self._absent = True
            else:
                self._library = pynvml
        return self._library

    def _close(self) -> None:
        if self._library is not None:
            with contextlib.suppress(self._library.NVMLError):
                self._library.nvmlShutdown()
            self._library = None


def _gauge(library: Any, handle: Any) -> GpuGauge:
    def told(ask: Any, *arguments: Any) -> Any:
        try:
            return ask(handle, *arguments)
        except library.NVMLError:  # this GPU has no such sensor, or this user may not read it
            return None

    memory = library.nvmlDeviceGetMemoryInfo(handle)
    name = library.nvmlDeviceGetName(handle)
    rates = told(library.nvmlDeviceGetUtilizationRates)
    watts = told(library.nvmlDeviceGetPowerUsage)
    most = told(library.nvmlDeviceGetEnforcedPowerLimit)
    return GpuGauge(
        name=name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name),
        load=None if rates is None else rates.gpu / 100,
        used_bytes=int(memory.used),
        total_bytes=int(memory.total),
        others_bytes=_held_by_others(library, told),
        watts=None if watts is None else watts / _MILLI,
        most_watts=None if most is None else most / _MILLI,
        celsius=told(library.nvmlDeviceGetTemperature, library.NVML_TEMPERATURE_GPU),
    )


def _held_by_others(library: Any, told: Any) -> int | None:
    """Bytes of programs that are not this one or its children; None where the driver does not tell whose they are."""
    lists = [
        told(ask)
        for ask in (library.nvmlDeviceGetComputeRunningProcesses, library.nvmlDeviceGetGraphicsRunningProcesses)
    ]
    if all(processes is None for processes in lists):
        return None
    held: dict[int, int] = {}
    for processes in lists:
        for process in processes or ():
            if process.usedGpuMemory is None:  # Windows' driver model keeps it to itself
                return None
            held[process.pid] = max(held.get(process.pid, 0), int(process.usedGpuMemory))
    own = _own_processes()
    return sum(amount for pid, amount in held.items() if pid not in own)


def _own_processes() -> frozenset[int]:
    try:
        here = psutil.Process()
        return frozenset({here.pid, *(child.pid for child in here.children(recursive=True))})
    except psutil.Error:
        return frozenset()


class MachineGauges:
    """`core.gauges`, read in a thread."""

    def __init__(self) -> None:
        self.gpus = GpuReader()

    def read_now(self) -> Gauges:
        memory = psutil.virtual_memory()
        return Gauges(int(memory.total - memory.available), int(memory.total), self.gpus.read())

    async def read(self) -> Gauges:
        return await asyncio.to_thread(self.read_now)

    def close(self) -> None:
        self.gpus.close()
