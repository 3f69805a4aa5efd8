"""`python -m tests.bench.scheduling MODEL`: our scheduler against llama.cpp's own server (xllamacpp), as ratios.

Both have the same model, slots, context and one thread, and take turns. Ours is measured where its user is, behind the
worker's pipe; the server inside its own process (`bare_server`). Time is the processor time of the process that
computes, so that other programs on the machine change nothing; `--wall` takes the clock on the wall.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from qvac_core.engines.available import EngineKind
from qvac_core.engines.interface import (
    ChatMessage,
    CompletionRequest,
    Finished,
    LoadedModel,
    ModelConfig,
    SamplingParams,
)
from qvac_core.engines.llama_engine import LlamaEngine
from tests.bench.processor_clock import processor_clock
from tests.bench.table import Row, print_table

RUNS = 3
SLOTS, N_CTX = 8, 2048
TOKENS = 32
LONG_RUNS = 1  # a long prompt takes as long as everything else together
LONG_PROMPT = 1500  # tokens, about
ASK = "Number {}: write a long story about a cat, a lighthouse and the sea."
CHATML = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)


@dataclass(frozen=True, slots=True)
class Timeline:
    """One chat: when it was asked and when its tokens came, in seconds since the round began; tokens made."""

    begun: float
    arrivals: tuple[float, ...]
    made: int

    @property
    def first(self) -> float:
        return self.arrivals[0] - self.begun


class BareServer:
    """`bare_server` in a process of its own."""

    def __init__(self, model: Path, *, wall: bool, slots: int = SLOTS, n_ctx: int = N_CTX) -> None:
        self._wall = wall
        command = [sys.executable, "-m", "tests.bench.bare_server", str(model), str(slots), str(n_ctx)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def play(self, asks: Sequence[str], tokens: int, stagger: int = 0) -> list[Timeline]:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        prompts = [CHATML.format(ask) for ask in asks]
        asked = {"prompts": prompts, "tokens": tokens, "stagger": stagger, "wall": self._wall}
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        answers: list[dict[str, Any]] = json.loads(process.stdout.readline())
        return [Timeline(chat["begun"], tuple(chat["arrivals"]), chat["made"]) for chat in answers]

    def __enter__(self) -> BareServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


class Scheduler:
    """Our engine in its worker process, asked as `bare_server` is. Every chat is an owner of its own."""

    def __init__(self, engine: LlamaEngine, model: LoadedModel, *, wall: bool) -> None:
        (pid,) = engine.worker_pids()
        self._model = model
        self._clock = time.perf_counter if wall else processor_clock(pid)
        self._asked = 0

    async def play(self, asks: Sequence[str], tokens: int, stagger: int = 0) -> list[Timeline]:
        started = self._clock()
        turns = [asyncio.Event() for _ in asks]
        ids = [f"{self._asked + number}" for number in range(len(asks))]
        self._asked += len(asks)

        async def one(number: int) -> Timeline:
            if stagger and number:
                await turns[number].wait()
            begun = self._clock() - started
            sampling = SamplingParams(temp=0.0, predict=tokens)
            request = CompletionRequest(ids[number], (ChatMessage("user", asks[number]),), sampling, owner=ids[number])
            arrivals = []
            made = 0
            async for event in self._model.complete(request):
                if isinstance(event, Finished):
                    made = event.stats.generated_tokens
                    break
                arrivals.append(self._clock() - started)
                if number == 0 and len(arrivals) == stagger:
                    turns[1].set()
                if number == 1 and stagger:
                    for id in ids:
                        self._model.cancel(id)
            return Timeline(begun, tuple(arrivals), made)

        return list(await asyncio.gather(*(one(number) for number in range(len(asks)))))


def together(chats: Sequence[Timeline]) -> float:
    """Tokens per second of all chats, from the first question to the last token."""
    return sum(chat.made for chat in chats) / max(chat.arrivals[-1] for chat in chats)


def longest_gap(running: Timeline, other: Timeline) -> float:
    """Seconds between two tokens of a running chat while another one's prompt is read."""
    times = [at for at in running.arrivals if at >= other.begun]
    times = [max(at for at in running.arrivals if at < other.begun), *times]
    return max(later - earlier for earlier, later in itertools.pairwise(times) if earlier < other.arrivals[0])


def asks(run: int, count: int) -> list[str]:
    return [ASK.format(1000 * (run + 1) + number) for number in range(count)]


def long_ask(run: int) -> str:
    words = " ".join(f"word{run} stands beside number {n}," for n in range(LONG_PROMPT // 9))
    return f"{words} and what do you think of it?"


async def measure(path: Path, runs: int = RUNS, *, wall: bool = False) -> list[Row]:
    figures: dict[tuple[str, str], list[float]] = {}

    def note(who: str, name: str, value: float) -> None:
        figures.setdefault((who, name), []).append(value)

    def note_eight(who: str, chats: list[Timeline]) -> None:
        firsts = [chat.first for chat in chats]
        note(who, "together", together(chats))
        note(who, "worst", max(firsts))
        note(who, "mean", sum(firsts) / len(firsts))

    def note_pair(who: str, chats: list[Timeline]) -> None:
        note(who, "gap", longest_gap(*chats) * 1000)
        note(who, "long first", chats[1].first)

    def note_alone(who: str, chats: list[Timeline]) -> None:
        note(who, "alone", together(chats))

    engine = LlamaEngine(engine=EngineKind.SCHEDULER)
    with BareServer(path, wall=wall) as server:
        try:
            config = ModelConfig(n_ctx=N_CTX, slots=SLOTS, device="cpu", threads=1)
            ours = Scheduler(engine, await engine.load(path, config), wall=wall)
            for run in range(-1, runs):  # the first round warms both up
                for texts, tokens, stagger, noted in (
                    (asks(run, SLOTS), TOKENS, 0, note_eight),
                    (["Tell me about the sea. " * (run + 2), long_ask(run)], 400, 4, note_pair),
                    (asks(run + 500, 1), TOKENS, 0, note_alone),
                ):
                    if stagger and not 0 <= run < LONG_RUNS:
                        continue
                    mine = await ours.play(texts, tokens, stagger)
                    theirs = await asyncio.to_thread(server.play, texts, tokens, stagger)
                    if run >= 0:
                        noted("ours", mine)
                        noted("server", theirs)
        finally:
            await engine.close()

    def row(title: str, unit: str, name: str, aim: str) -> Row:
        return Row(title, unit, tuple(figures["ours", name]), tuple(figures["server", name]), aim)

    return [
        row("8 chats together", "tok/s", "together", ">= 1.1"),
        row("8 chats, worst first token", "s", "worst", "<= 1.0"),
        row("8 chats, mean first token", "s", "mean", "<= 0.7"),
        row("longest gap while 1,500 tokens are read", "ms", "gap", "<= 200 ms, or 2 steps"),
        row("first token of those 1,500", "s", "long first", "-"),
        row("one chat", "tok/s", "alone", ">= 1"),
    ]


def main(model: Path, runs: int = RUNS, *, wall: bool = False) -> None:
    print_table(asyncio.run(measure(model, runs, wall=wall)), ours="scheduler", theirs="llama.cpp's server")


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if argument != "--wall"]
    main(Path(given[0]).resolve(), *map(int, given[1:2]), wall="--wall" in sys.argv)
