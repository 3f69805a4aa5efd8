"""What the machine tells of its owner and its GPU: a real X server, and a GPU as NVIDIA's library tells of one.

qvac_core/core/machine_use.py, gauges.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from qvac_core.core import machine_use
from qvac_core.core.gauges import GpuReader, _gauge
from qvac_core.core.machine_use import NO_SCREEN, WAYLAND, idle_time, on_battery

GB = 1_000_000_000
IDLE = """
import sys
from qvac_core.core.machine_use import idle_time
idle = idle_time()
before, after = idle.seconds(), idle.seconds()
print(before is not None and after is not None and 0 <= before <= after, idle.unknown == "", flush=True)
sys.stdin.readline()  # the server is gone now
print(idle.seconds(), idle.unknown, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="X11")
def test_idle_time_of_a_real_x_server_and_its_end() -> None:
    assert shutil.which("Xvfb"), "apt-get install xvfb"
    reader, writer = os.pipe()
    screen = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "300x200x24", "-nolisten", "tcp"]
    server = subprocess.Popen(screen, pass_fds=(writer,), stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        display = os.read(reader, 20).decode().strip()
        environment = {k: v for k, v in os.environ.items() if k != "WAYLAND_DISPLAY"} | {"DISPLAY": f":{display}"}
        asker = subprocess.Popen(
            [sys.executable, "-c", IDLE],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert asker.stdin is not None and asker.stdout is not None
        assert asker.stdout.readline() == "True True\n"
    finally:
        server.terminate()
        server.wait()
        os.close(reader)
    # Xlib would end the program here.
    asker.stdin.write("\n")
    asker.stdin.flush()
    assert asker.stdout.readline() == f"None {machine_use.NO_ANSWER}\n"
    asker.stdin.close()
    assert asker.wait(30) == 0
    asker.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="Windows and macOS tell it")
def test_where_nobody_tells_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert (idle_time().unknown, idle_time().seconds()) == (NO_SCREEN, None)
    monkeypatch.setenv("DISPLAY", ":9876")
    assert idle_time().unknown  # nobody serves this display
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert idle_time().unknown == WAYLAND


@pytest.mark.parametrize(
    ("battery", "told"),
    [(None, None), (SimpleNamespace(power_plugged=None), None), (SimpleNamespace(power_plugged=True), False)],
)
def test_battery(monkeypatch: pytest.MonkeyPatch, battery: Any, told: bool | None) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert on_battery() is told


class Nvml:
    """As nvidia-ml-py answers for one GPU on which this process, and another one, hold memory."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception): ...

    def __init__(self, others: int | None = 3 * GB, sensors: bool = True) -> None:
        self.others = others
        self.sensors = sensors

    def nvmlDeviceGetMemoryInfo(self, _handle: object) -> Any:
        return SimpleNamespace(used=20 * GB, total=24 * GB)

    def nvmlDeviceGetName(self, _handle: object) -> bytes:
        return b"NVIDIA GeForce RTX 4090"

    def _sensor(self, value: Any) -> Any:
        if not self.sensors:
            raise self.NVMLError("not supported")
        return value

    def nvmlDeviceGetUtilizationRates(self, _handle: object) -> Any:
        return self._sensor(SimpleNamespace(gpu=71))

    def nvmlDeviceGetPowerUsage(self, _handle: object) -> Any:
        return self._sensor(288_000)

    def nvmlDeviceGetEnforcedPowerLimit(self, _handle: object) -> Any:
        return self._sensor(450_000)

    def nvmlDeviceGetTemperature(self, _handle: object, _sensor: int) -> Any:
        return self._sensor(67)

    def nvmlDeviceGetComputeRunningProcesses(self, _handle: object) -> Any:
        own = SimpleNamespace(pid=os.getpid(), usedGpuMemory=10 * GB)
        return self._sensor([own, SimpleNamespace(pid=1, usedGpuMemory=self.others)])

    def nvmlDeviceGetGraphicsRunningProcesses(self, _handle: object) -> Any:
        return self._sensor([SimpleNamespace(pid=1, usedGpuMemory=self.others)])  # the same one, counted once


def test_a_gpu_is_told_as_far_as_its_driver_tells() -> None:
    full = _gauge(Nvml(), None)
    assert (full.name, full.load, full.used_bytes, full.total_bytes) == (
        *("NVIDIA GeForce RTX 4090", 0.71),
        *(20 * GB, 24 * GB),
    )
    assert (full.watts, full.most_watts, full.celsius, full.others_bytes) == (288.0, 450.0, 67, 3 * GB)
    bare = _gauge(Nvml(sensors=False), None)
    assert (bare.load, bare.watts, bare.celsius, bare.others_bytes) == (None, None, None, None)
    assert bare.total_bytes == 24 * GB
    assert _gauge(Nvml(others=None), None).others_bytes is None  # Windows does not say whose it is


def test_no_driver_is_no_gpu() -> None:
    reader = GpuReader()
    assert isinstance(reader.read(), tuple)
    reader.close()
