"""The devices that this build of the engine can compute on, and how many CPU threads it should take.

xllamacpp tells them; for llama-cpp-python, which does not wrap it, ggml's backend list by ctypes. ggml says of the CPU
that all of its memory is free: that is asked of the system. Worker process only.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from qvac_core.engines.available import EngineKind
from qvac_core.engines.interface import Device, ModelConfig
from qvac_core.errors import ModelError

THREAD_LIMIT = 16  # more memory-bound threads than this only wait for each other
_Loaded = TypeVar("_Loaded")
_KINDS = {0: "cpu", 1: "gpu", 2: "gpu", 3: "accelerator"}  # ggml_backend_dev_type: CPU, GPU, IGPU, ACCEL


def cpu_threads() -> int:
    """Leave a core free: on a busy machine one thread too many cost 95 % of the speed."""
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else (os.cpu_count() or 1)
    physical = psutil.cpu_count(logical=False) or usable
    return max(1, min(usable, physical, THREAD_LIMIT + 1) - 1)


def load_on(
    config: ModelConfig,
    *,
    has_gpu: bool,
    load: Callable[[int], _Loaded],
    check_memory: Callable[[], None],
    fit: Callable[[], int] | None = None,
) -> tuple[_Loaded, str]:
    """What `load` gives for a number of layers on the GPU, and where it computes now: "gpu", or else "cpu".

    check_memory: raises ModelError where the machine's own memory is too small; then `load` is not asked. fit: layers
    that the GPU takes, where nobody named a number; raises ModelError where neither it nor the machine takes the model.
    """
    layers = config.gpu_layers if config.device == "gpu" and has_gpu else 0
    if layers < 0 and fit is not None:
        layers = fit()
    if layers:
        try:
            return load(layers), "gpu"
        except ModelError as error:
            # Most likely its memory is too small. The CPU can still answer; backend_device says so.
            print(f"the GPU did not take the model: {error.message}", file=sys.stderr)  # noqa: T201 (to the log)
    check_memory()
    return load(0), "cpu"


def list_devices(engine: EngineKind) -> tuple[Device, ...]:
    """Every device with its free and total memory in bytes; the CPU alone where the list cannot be read."""
    found = _of_server() if engine is EngineKind.SERVER else _of_libraries()
    return tuple(_cpu(device) if device.kind == "cpu" else device for device in found) or (_cpu(),)


def _of_server() -> tuple[Device, ...]:
    import xllamacpp

    return tuple(
        Device(
            name=str(device["name"]),
            description=str(device["description"]),
            kind=_KINDS.get(int(device["type"]), "accelerator"),
            free_bytes=int(device["memory_free"]),
            total_bytes=int(device["memory_total"]),
        )
        for device in xllamacpp.get_device_info()
    )


def _of_libraries() -> tuple[Device, ...]:
    try:
        ggml, base = _library("ggml"), _library("ggml-base")
        count = ggml.ggml_backend_dev_count
        get = ggml.ggml_backend_dev_get
    except (OSError, AttributeError):
        return ()
    count.restype = ctypes.c_size_t
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    return tuple(_device(base, get(index)) for index in range(count()))


def _device(base: ctypes.CDLL, handle: int) -> Device:
    for function in (base.ggml_backend_dev_name, base.ggml_backend_dev_description):
        function.restype, function.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    base.ggml_backend_dev_type.restype = ctypes.c_int
    base.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
    base.ggml_backend_dev_memory.restype = None
    base.ggml_backend_dev_memory.argtypes = [ctypes.c_void_p] + [ctypes.POINTER(ctypes.c_size_t)] * 2
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    base.ggml_backend_dev_memory(handle, ctypes.byref(free), ctypes.byref(total))
    return Device(
        name=(base.ggml_backend_dev_name(handle) or b"").decode("utf-8", "replace"),
        description=(base.ggml_backend_dev_description(handle) or b"").decode("utf-8", "replace"),
        kind=_KINDS.get(base.ggml_backend_dev_type(handle), "accelerator"),
        free_bytes=free.value,
        total_bytes=total.value,
    )


def _cpu(known: Device | None = None) -> Device:
    memory = psutil.virtual_memory()
    name, description = ("CPU", "") if known is None else (known.name, known.description)
    return Device(name=name, description=description, kind="cpu", free_bytes=memory.available, total_bytes=memory.total)


def _library(name: str) -> ctypes.CDLL:
    import llama_cpp

    pattern = {"win32": f"{name}.dll", "darwin": f"lib{name}.dylib"}.get(sys.platform, f"lib{name}.so")
    return ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib" / pattern))
