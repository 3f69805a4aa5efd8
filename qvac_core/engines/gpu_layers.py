"""How many layers of a model a GPU takes, from the memory that is free there, before anything is loaded.

llama.cpp's own fit (`common/fit.h`) is no part of llama-cpp-python 0.3.36's library, and its server's is used there.
Without one, llama.cpp tries all layers, and a model that is a little too large runs on the CPU as a whole.
Written with care and not run on a GPU: tests give it numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qvac_core.engines.gguf import GgufInfo
from qvac_core.engines.interface import Device
from qvac_core.engines.memory import SPARE, cache_bytes, free_bytes, has_plain_cache
from qvac_core.errors import ModelError

GPU_SPARE = 512 * 1024 * 1024  # bytes of each GPU: compute buffers, and what its driver and the screen take meanwhile
EVERY_LAYER = -1  # llama.cpp's: all of them, and what is of no layer


@dataclass(frozen=True, slots=True)
class Demand:
    """What a model needs, in bytes. A layer's part of it is the same for all, and what is of no layer counts as one."""

    layers: int
    weights: int
    cache: int

    @property
    def per_layer(self) -> float:
        return (self.weights + self.cache) / (self.layers + 1)


def demand(gguf: GgufInfo, size_bytes: int, tokens: int, slots: int) -> Demand:
    """size_bytes: of all files of the model. tokens: of all its chats together, of which there are `slots`."""
    blocks = gguf.metadata.get(f"{gguf.architecture}.block_count", 0)
    cache = cache_bytes(gguf, tokens, slots) if has_plain_cache(gguf) else 0
    return Demand(blocks if isinstance(blocks, int) else 0, size_bytes, cache)


def layers_that_fit(needed: Demand, devices: Sequence[Device]) -> int:
    """EVERY_LAYER, a number of layers, or 0 for none. The rest of them must fit into the machine's memory.

    Raises ModelError with typed field `reason`: "memory" where they do not. A GPU that does not tell what is free is
    given all: llama.cpp answers then.
    """
    gpus = [device for device in devices if device.kind == "gpu"]
    if not needed.layers or any(gpu.free_bytes <= 0 for gpu in gpus):
        return EVERY_LAYER
    # Each GPU takes whole layers.
    fitting = sum(int(max(0, gpu.free_bytes - GPU_SPARE) // max(1.0, needed.per_layer)) for gpu in gpus)
    if fitting > needed.layers:
        return EVERY_LAYER
    rest = int(needed.per_layer * (needed.layers + 1 - fitting)) + SPARE
    free = free_bytes()
    if rest > free:
        whole, on_gpus = needed.weights + needed.cache + SPARE, sum(gpu.free_bytes for gpu in gpus)
        raise ModelError(
            f"Not enough memory: this model needs about {whole / 1e9:.1f} GB; {on_gpus / 1e9:.1f} GB are free on the "
            f"GPU and {free / 1e9:.1f} GB in this machine. Close other programs, or choose a smaller model, a smaller "
            "context or fewer parallel chats.",
            typed_fields={"reason": "memory", "neededBytes": whole, "freeBytes": free, "freeGpuBytes": on_gpus},
        )
    return fitting
