"""What a model needs, from its header."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest

from qvac_core.engines.gguf import GgufInfo, Value
from qvac_core.engines.memory import cache_bytes, can_be_quantized, check_memory, has_plain_cache
from qvac_core.errors import ModelError

SMOLLM2: dict[str, Value] = {
    "llama.block_count": 30,
    "llama.embedding_length": 576,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
}


def info(metadata: dict[str, Value]) -> GgufInfo:
    return GgufInfo("llama", "", "", "", "", 8192, "", metadata)


def test_the_measured_size_of_a_token() -> None:
    assert cache_bytes(info(SMOLLM2), 1) == 23_040


def test_heads_that_differ_by_layer_and_own_widths() -> None:
    odd = {**SMOLLM2, "llama.attention.head_count_kv": (1, 0, 2), "llama.attention.key_length": 10}
    assert cache_bytes(info(odd), 5) == 3 * (10 + 64) * 2 * 5


GEMMA3: dict[str, Value] = {
    "gemma3.block_count": 12,
    "gemma3.embedding_length": 32,
    "gemma3.attention.head_count": 4,
    "gemma3.attention.head_count_kv": 4,
    "gemma3.attention.key_length": 64,
    "gemma3.attention.value_length": 64,
    "gemma3.attention.sliding_window": 1024,
}


def gemma(metadata: dict[str, Value]) -> GgufInfo:
    return GgufInfo("gemma3", "", "", "", "", 8192, "", metadata)


def test_layers_that_slide_keep_their_windows() -> None:
    everywhere, windows = 32768, 4 * 1024 + 512
    assert cache_bytes(gemma(GEMMA3), 32768, 4) == 1024 * (2 * everywhere + 10 * windows)
    assert cache_bytes(gemma(GEMMA3), 100, 4) == 1024 * 12 * 100
    told: dict[str, Value] = {**GEMMA3, "gemma3.attention.sliding_window_pattern": (True, False) * 6}
    assert cache_bytes(gemma(told), 32768, 4) == 1024 * 6 * (everywhere + windows)
    period: dict[str, Value] = {**GEMMA3, "gemma3.attention.sliding_window_pattern": 3}
    assert cache_bytes(gemma(period), 32768, 4) == 1024 * (4 * everywhere + 8 * windows)
    narrow: dict[str, Value] = {
        **GEMMA3,
        "gemma3.attention.key_length_swa": 32,
        "gemma3.attention.value_length_swa": 32,
    }
    assert cache_bytes(gemma(narrow), 32768, 4) == 1024 * 2 * everywhere + 512 * 10 * windows


def test_a_quantized_cache_is_half_the_size_where_its_rows_are_whole_blocks() -> None:
    assert cache_bytes(info(SMOLLM2), 32, quantized=True) == 32 * 23_040 * 34 // 64
    assert can_be_quantized(info(SMOLLM2)) and can_be_quantized(gemma(GEMMA3))
    assert not can_be_quantized(info({**SMOLLM2, "llama.attention.key_length": 80}))
    assert not can_be_quantized(info({**SMOLLM2, "llama.ssm.state_size": 128}))
    assert not can_be_quantized(info({}))


def test_a_header_without_numbers_does_no_harm() -> None:
    assert cache_bytes(info({}), 1000) == 0


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=400 << 20))
    check_memory(1000, info(SMOLLM2), 5000)
    with pytest.raises(ModelError, match="Not enough memory") as raised:
        check_memory(1000, info(SMOLLM2), 50_000)
    assert raised.value.typed_fields["reason"] == "memory"
    # A recurrent model's cache is not what the formula says: only its weights count.
    recurrent: dict[str, Value] = {**SMOLLM2, "llama.ssm.state_size": 128}
    assert not has_plain_cache(info(recurrent))
    check_memory(1000, info(recurrent), 50_000)
