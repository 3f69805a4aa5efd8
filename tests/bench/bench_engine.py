"""`python -m tests.bench.bench_engine MODEL`: our engine (worker, pipe, scheduler) against llama.cpp's bare loop.

Runs alternate on one thread each; the bare loop takes its chats one after another. Absolute figures mean little.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from qvac_core.engines.interface import (
    ChatMessage,
    CompletionRequest,
    Finished,
    LoadedModel,
    ModelConfig,
    SamplingParams,
)
from qvac_core.engines.llama_engine import LlamaEngine
from tests.bench.table import Row, print_table

RUNS = 5
TOKENS = 64
TEXT = "Write a long story about a cat, a lighthouse and the sea, number {}."
CHATML = "<|im_start|>system\nYou tell stories.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
SIZES = (1, 2, 4)


async def ours(model: LoadedModel, chats: int, run: int) -> dict[str, float]:
    """`chats` answers at once; every run and chat is an owner of its own, so that no prefix is reused."""

    async def one(number: int) -> Finished:
        history = (ChatMessage("system", "You tell stories."), ChatMessage("user", TEXT.format(number)))
        # A fixed length needs a model that does not end by itself: the story is longer than TOKENS.
        sampling = SamplingParams(temp=0.0, predict=TOKENS)
        request = CompletionRequest(f"{run}-{chats}-{number}", history, sampling, owner=f"{run}-{chats}-{number}")
        async for event in model.complete(request):
            if isinstance(event, Finished):
                return event
        raise AssertionError("an answer without end")

    started = time.perf_counter()
    ends = await asyncio.gather(*(one(number) for number in range(chats)))
    seconds = time.perf_counter() - started
    made = sum(end.stats.generated_tokens for end in ends)
    return {
        "rate": ends[0].stats.tokens_per_second,
        "first": max(end.stats.time_to_first_token for end in ends) / 1000,
        "together": made / seconds,
    }


async def bare(pipe: tuple[IO[str], IO[str]], chats: int) -> dict[str, float]:
    def run() -> list[dict[str, float]]:
        answers = []
        for number in range(chats):
            pipe[0].write(f"{TOKENS} {json.dumps(CHATML.format(TEXT.format(number)))}\n")
            pipe[0].flush()
            answers.append(json.loads(pipe[1].readline()))
        return answers

    answers = await asyncio.to_thread(run)
    seconds = sum(answer["seconds"] for answer in answers)
    waited = seconds - answers[-1]["seconds"] + answers[-1]["first"]
    return {"rate": answers[0]["rate"], "first": waited, "together": chats * TOKENS / seconds}


async def measure(path: Path) -> list[Row]:
    results: dict[tuple[str, int, str], list[float]] = {}
    engine = LlamaEngine()
    command = [sys.executable, "-m", "tests.bench.plain_llama", str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            model = await engine.load(path, ModelConfig(n_ctx=512, slots=max(SIZES), device="cpu", threads=1))
            for run in range(RUNS):
                for chats in SIZES:
                    for who, figures in (
                        ("ours", await ours(model, chats, run)),
                        ("bare", await bare((process.stdin, process.stdout), chats)),
                    ):
                        for name, value in figures.items():
                            results.setdefault((who, chats, name), []).append(value)
        finally:
            await engine.close()
            process.stdin.close()

    def row(title: str, unit: str, chats: int, name: str, aim: str) -> Row:
        return Row(title, unit, tuple(results["ours", chats, name]), tuple(results["bare", chats, name]), aim)

    return [
        row("tokens/s of one chat", "1/s", 1, "rate", ">= 0.95"),
        row("first token of one chat", "s", 1, "first", "<= 1.2"),
        row("2 chats together", "1/s", 2, "together", ">= 1"),
        row("2 chats, worst first token", "s", 2, "first", "< 1"),
        row("4 chats together", "1/s", 4, "together", ">= 1.1"),
        row("4 chats, worst first token", "s", 4, "first", "< 1"),
    ]


if __name__ == "__main__":
    print_table(asyncio.run(measure(Path(sys.argv[1]))), ours="engine", theirs="bare loop")
