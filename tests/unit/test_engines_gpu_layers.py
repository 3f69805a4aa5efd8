"""Layers for a GPU by the memory that is free there. No GPU was there: only numbers."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest

from qvac_core.engines.devices import load_on
from qvac_core.engines.gguf import GgufInfo
from qvac_core.engines.gpu_layers import EVERY_LAYER, GPU_SPARE, Demand, demand, layers_that_fit
from qvac_core.engines.interface import Device, ModelConfig
from qvac_core.errors import ModelError

GB = 1 << 30
EIGHT_GB = Demand(layers=31, weights=6 * GB, cache=2 * GB)  # 32 parts of 256 MB


def gpu(free: float) -> Device:
    return Device("GPU0", "a GPU", "gpu", int(free * GB), 24 * GB)


@pytest.fixture(autouse=True)
def _ram(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=6 * GB))


def test_all_layers_where_there_is_room() -> None:
    assert layers_that_fit(EIGHT_GB, [gpu(8.5)]) == EVERY_LAYER
    assert layers_that_fit(EIGHT_GB, [gpu(4.5), gpu(4.5)]) == EVERY_LAYER


def test_as_many_as_fit_and_the_rest_in_the_machine() -> None:
    assert layers_that_fit(EIGHT_GB, [gpu(4.5)]) == 16
    assert layers_that_fit(EIGHT_GB, [gpu(8.4)]) == 31
    assert layers_that_fit(EIGHT_GB, [gpu(2.6), gpu(2.6)]) == 16  # whole layers of each


def test_none_where_nothing_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=16 * GB))
    assert layers_that_fit(EIGHT_GB, [gpu(GPU_SPARE / GB / 2)]) == 0


def test_what_fits_nowhere_is_refused_with_the_numbers() -> None:
    with pytest.raises(ModelError, match=r"needs about 8\.9 GB; 1\.1 GB are free on the GPU and 6\.4 GB in") as raised:
        layers_that_fit(EIGHT_GB, [gpu(1)])
    assert raised.value.typed_fields["reason"] == "memory"
    assert raised.value.typed_fields["freeGpuBytes"] == GB


def test_a_gpu_that_tells_nothing_and_a_header_without_numbers_are_left_to_llama_cpp() -> None:
    assert layers_that_fit(EIGHT_GB, [gpu(0)]) == EVERY_LAYER
    assert layers_that_fit(Demand(0, GB, 0), [gpu(1)]) == EVERY_LAYER


def test_what_a_model_needs_is_in_its_header() -> None:
    metadata = {
        "llama.block_count": 30,
        "llama.embedding_length": 576,
        "llama.attention.head_count": 9,
        "llama.attention.head_count_kv": 3,
    }
    header = GgufInfo("llama", "", "", "", "", 8192, "", {**metadata})
    assert demand(header, 1000, 10, 1) == Demand(30, 1000, 230_400)


def loaded(config: ModelConfig, fitting: int | ModelError, has_gpu: bool = True) -> tuple[int, str]:
    def fit() -> int:
        if isinstance(fitting, ModelError):
            raise fitting
        return fitting

    return load_on(config, has_gpu=has_gpu, load=lambda layers: layers, check_memory=lambda: None, fit=fit)


def test_a_model_is_loaded_with_the_layers_that_fit() -> None:
    assert loaded(ModelConfig(), 16) == (16, "gpu")
    assert loaded(ModelConfig(), EVERY_LAYER) == (EVERY_LAYER, "gpu")
    assert loaded(ModelConfig(), 0) == (0, "cpu")
    assert loaded(ModelConfig(gpu_layers=5), 16) == (5, "gpu")  # who names a number gets it
    assert loaded(ModelConfig(device="cpu"), 16) == (0, "cpu")
    assert loaded(ModelConfig(), 16, has_gpu=False) == (0, "cpu")


def test_a_model_that_fits_nowhere_is_not_loaded() -> None:
    with pytest.raises(ModelError, match="no room"):
        loaded(ModelConfig(), ModelError("no room"))
