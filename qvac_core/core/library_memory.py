"""What this machine has to run models with: its memory, and the GPU that the engine's build can use."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import psutil

from qvac_core.core.library_state import MachineMemory
from qvac_core.engines.interface import Device
from qvac_core.errors import EngineCrashed, ModelError

logger = logging.getLogger(__name__)

# The engine's list costs a process: what is free on a GPU is asked again after so long (seconds).
ASKED_EVERY = 60.0


class MemoryOfMachine:
    def __init__(self, devices: Callable[[], Awaitable[tuple[Device, ...]]]) -> None:
        self._devices = devices
        self._gpus: tuple[Device, ...] = ()
        self._asked = float("-inf")
        self._gate = asyncio.Lock()

    @property
    def now(self) -> MachineMemory:
        """With the GPUs as they were asked last."""
        memory = psutil.virtual_memory()
        return MachineMemory(
            memory_bytes=int(memory.total),
            memory_free=int(memory.available),
            gpu=", ".join(dict.fromkeys(gpu.description or gpu.name for gpu in self._gpus)),
            gpu_bytes=sum(gpu.total_bytes for gpu in self._gpus),
            gpu_free=sum(gpu.free_bytes for gpu in self._gpus),
        )

    async def read(self) -> MachineMemory:
        async with self._gate:
            if time.monotonic() - self._asked >= ASKED_EVERY:
                try:
                    devices = await self._devices()
                except (ModelError, EngineCrashed) as error:  # no engine, or a driver that takes it down: then no GPU
                    logger.info("the engine's devices are not known: %s", error)
                    devices = ()
                self._gpus = tuple(device for device in devices if device.kind == "gpu" and device.total_bytes > 0)
                self._asked = time.monotonic()
        return self.now
