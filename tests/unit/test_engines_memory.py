"""What a model needs, from its header."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest

from qvac_core.engines.gguf import GgufInfo, Value
from qvac_core.engines.memory import cache_bytes, check_memory, has_plain_cache
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
