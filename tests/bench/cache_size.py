"""`python -m tests.bench.cache_size MODEL N_CTX SLOTS`: megabytes of a context that is made as our engine makes it.

With all its cells; then with the whole cache for the layers that slide. Two lines.
"""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
from llama_cpp import llama_cpp as llama

from qvac_core.engines.interface import ModelConfig
from qvac_core.engines.llama import LlamaBackend


def main(path: str, n_ctx: int, slots: int) -> None:
    config = ModelConfig(n_ctx=n_ctx, slots=slots, device="cpu", threads=1)
    backend = LlamaBackend(Path(path), config, lambda _fraction: None)
    for full in (False, True):
        params = backend._context_params(n_ctx * slots, slots + 1, gpu=False)
        params.swa_full = params.swa_full or full
        before = psutil.Process().memory_info().rss
        llama.llama_init_from_model(backend._model, params)
        print((psutil.Process().memory_info().rss - before) / 1e6)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
