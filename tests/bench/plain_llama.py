"""The yardstick of `bench_engine`: llama.cpp's own loop for one chat, with nothing around it. One JSON line per answer.

`python -m tests.bench.plain_llama MODEL`, then a line `TOKENS PROMPT-AS-JSON` for each answer.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from typing import Any

from llama_cpp import llama_cpp as llama

N_CTX = 2048


def answer(context: Any, vocab: Any, prompt: str, count: int) -> dict[str, float]:
    """Decode the prompt in one piece, then token by token, the most likely one."""
    llama.llama_memory_clear(llama.llama_get_memory(context), True)
    data = prompt.encode()
    tokens = (llama.llama_token * (len(data) + 8))()
    length = llama.llama_tokenize(vocab, data, len(data), tokens, len(tokens), False, True)
    sampler = llama.llama_sampler_init_greedy()
    started = time.perf_counter()
    llama.llama_decode(context, llama.llama_batch_get_one(tokens, length))
    token = llama.llama_token(llama.llama_sampler_sample(sampler, context, -1))
    first = time.perf_counter()
    for _ in range(count - 1):
        llama.llama_decode(context, llama.llama_batch_get_one(ctypes.pointer(token), 1))
        token.value = llama.llama_sampler_sample(sampler, context, -1)
    ended = time.perf_counter()
    llama.llama_sampler_free(sampler)
    return {"first": first - started, "rate": (count - 1) / (ended - first), "seconds": ended - started}


def main(path: str) -> None:
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    params = llama.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch, params.n_threads, params.n_threads_batch = N_CTX, 2048, 512, 1, 1
    context = llama.llama_init_from_model(model, params)
    vocab = llama.llama_model_get_vocab(model)
    for line in sys.stdin:
        count, _, prompt = line.partition(" ")
        print(json.dumps(answer(context, vocab, json.loads(prompt), int(count))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
