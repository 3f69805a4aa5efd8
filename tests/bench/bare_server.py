"""The yardstick of `scheduling`: llama.cpp's own server as xllamacpp brings it, with nothing of ours around it.

`python -m tests.bench.bare_server MODEL SLOTS N_CTX`, then one JSON line {"prompts": [...], "tokens": N, "stagger": N,
"wall": bool} for each round; it answers with one line, the `Timeline` of each chat. Its chats are measured where they
are made, in its own process: our engine's cross a pipe and a worker before they are looked at.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

import xllamacpp

from tests.bench.processor_clock import processor_clock


def serve(path: str, slots: int, n_ctx: int) -> Any:
    """The server with its own defaults, but for what the comparison shares: slots, context, threads, the CPU."""
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = slots * n_ctx
    params.n_parallel = slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_gpu_layers = 0
    params.port = 0
    params.verbosity = 0
    params.warmup = True
    return xllamacpp.Server(params)


def play(server: Any, prompts: list[str], tokens: int, stagger: int, *, wall: bool) -> list[dict[str, Any]]:
    """Ask all of it at once. Or, with `stagger`, the second of two chats when the first has made so many tokens; the
    first ends when the second has begun its answer."""
    clock = time.perf_counter if wall else processor_clock(os.getpid())
    started = clock()
    begun = [0.0] * len(prompts)
    arrivals: list[list[float]] = [[] for _ in prompts]
    turn = [threading.Event() for _ in prompts]
    turn[0].set()

    def one(number: int) -> None:
        def on_chunk(chunk: Any) -> bool:
            for part in chunk if isinstance(chunk, list) else [chunk]:
                choices = part.get("choices") or ()
                if choices and choices[0].get("text"):
                    arrivals[number].append(clock() - started)
                    if number == 0 and len(arrivals[0]) == stagger:
                        turn[1].set()
            return bool(stagger and arrivals[1])

        turn[number].wait(300)
        begun[number] = clock() - started
        server.handle_completions(
            {
                "prompt": prompts[number],
                "stream": True,
                "n_predict": tokens,
                "temperature": 0.0,
                # By itself it reuses what other chats had in common: among guests who must not hear of each other it
                # cannot be left on.
                "cache_prompt": False,
            },
            on_chunk,
        )

    if not stagger:
        for event in turn:
            event.set()
    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [{"begun": begun[n], "arrivals": arrivals[n], "made": len(arrivals[n])} for n in range(len(prompts))]


def main(path: str, slots: int, n_ctx: int) -> None:
    answers = os.fdopen(os.dup(1), "w")  # whatever native code prints goes elsewhere
    os.dup2(2, 1)
    server = serve(path, slots, n_ctx)
    for line in sys.stdin:
        asked = json.loads(line)
        played = play(server, asked["prompts"], asked["tokens"], asked["stagger"], wall=asked["wall"])
        print(json.dumps(played), file=answers, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
