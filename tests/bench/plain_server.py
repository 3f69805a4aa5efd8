"""The yardstick of `bench_cache`: llama.cpp's own server as it comes, with its host cache. One JSON line per answer.

`python -m tests.bench.plain_server MODEL N_CTX SLOTS`, then a line `TOKENS PROMPT-AS-JSON` for each answer.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import xllamacpp


def server(path: str, n_ctx: int, slots: int) -> Any:
    """n_ctx: tokens per chat."""
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel = n_ctx * slots, slots
    params.n_batch = params.n_ubatch = 512
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    params.port = 0
    params.verbosity = -1
    return xllamacpp.Server(params)


def answer(running: Any, prompt: str, count: int) -> dict[str, Any]:
    """first: seconds until there is text. cached: tokens of the prompt that were not read again."""
    started = time.perf_counter()
    first = 0.0
    cached = 0
    text = ""

    def on_chunk(chunk: Mapping[str, Any]) -> bool:
        nonlocal first, cached, text
        for choice in chunk.get("choices") or ():
            text += choice.get("text") or ""
        if text and not first:
            first = time.perf_counter() - started
        cached = int((chunk.get("timings") or {}).get("cache_n", cached))
        return False

    body = {"prompt": prompt, "stream": True, "n_predict": count, "temperature": 0.0, "cache_prompt": True}
    running.handle_completions(body, on_chunk)
    return {"first": first, "cached": cached, "text": text}


def main(path: str, n_ctx: int, slots: int) -> None:
    running = server(path, n_ctx, slots)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        count, _, prompt = line.partition(" ")
        print(json.dumps(answer(running, json.loads(prompt), int(count))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
