"""`python -m tests.bench.bench_cache MODEL`: what a chat pays whose slot was taken, and what an idle model holds.

Beside llama.cpp's own server, alternating, one thread each. Memory: of the whole process, weights mapped from the file
included. Ours has a worker of its own and every chat an owner of its own; the server knows no owners.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from qvac_core.engines.available import EngineKind
from qvac_core.engines.interface import ChatMessage, CompletionRequest, Finished, ModelConfig, SamplingParams, Token
from qvac_core.engines.llama_engine import LlamaEngine, LlamaModel
from tests import gguf_files
from tests.bench.table import Row, print_table

RUNS = 5
WORDS = 150  # of the first question, six tokens each
SYSTEM = "You tell stories."
CHATML = "<|im_start|>{}\n{}<|im_end|>\n"
IDLE_CONTEXT, IDLE_SLOTS = 4096, 4
SLIDING_CONTEXT, SLIDING_SLOTS = 8192, 4


def config(n_ctx: int, slots: int) -> ModelConfig:
    return ModelConfig(n_ctx=n_ctx, slots=slots, device="cpu", threads=1)


class PlainServer:
    """llama.cpp's server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.pid = process.pid
        assert process.stdin is not None and process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        self._line()

    def _line(self) -> dict[str, Any]:
        line = self._out.readline()
        if not line:
            raise RuntimeError("the server has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, history: tuple[ChatMessage, ...], count: int) -> tuple[float, str]:
        prompt = "".join(CHATML.format(message.role, message.content) for message in history)
        self._in.write(f"{count} {json.dumps(prompt + '<|im_start|>assistant' + chr(10))}\n")
        self._in.flush()
        answer = self._line()
        return float(answer["first"]), str(answer["text"])


@contextmanager
def plain_server(path: Path, n_ctx: int, slots: int) -> Iterator[PlainServer]:
    command = [sys.executable, "-m", "tests.bench.plain_server", str(path), str(n_ctx), str(slots)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield PlainServer(process)
        finally:
            process.kill()


async def ask(model: LlamaModel, owner: str, history: tuple[ChatMessage, ...], count: int) -> tuple[float, str]:
    text = ""
    async for event in model.complete(
        CompletionRequest(owner, history, SamplingParams(temp=0.0, predict=count), owner=owner)
    ):
        if isinstance(event, Token):
            text += event.text
        elif isinstance(event, Finished):
            return event.stats.time_to_first_token / 1000, text
    raise AssertionError("an answer without end")


def question(number: int) -> tuple[ChatMessage, ...]:
    text = f"Story {number}. " + f"There is ship {number} in the storm. " * WORDS
    return ChatMessage("system", SYSTEM), ChatMessage("user", text)


def next_turn(first: tuple[ChatMessage, ...], said: str) -> tuple[ChatMessage, ...]:
    return *first, ChatMessage("assistant", said), ChatMessage("user", "And then?")


OTHER = (ChatMessage("system", "You answer in one word."), ChatMessage("user", "What is the capital of France?"))


async def coming_back(path: Path, runs: int) -> Row:
    """The first token of a chat that comes back to the only slot, which another had in between, by its cold one."""
    engine = LlamaEngine(engine=EngineKind.SCHEDULER)
    ours: list[float] = []
    theirs: list[float] = []
    with plain_server(path, 2048, 1) as server:
        try:
            model = await engine.load(path, config(2048, 1))
            for run in range(runs):
                first = question(run)
                cold, said = await ask(model, f"me {run}", first, 8)
                await ask(model, "other", OTHER, 4)
                back, _ = await ask(model, f"me {run}", next_turn(first, said), 4)
                ours.append(back / cold * 100)
                cold, said = await asyncio.to_thread(server.ask, first, 8)
                await asyncio.to_thread(server.ask, OTHER, 4)
                back, _ = await asyncio.to_thread(server.ask, next_turn(first, said), 4)
                theirs.append(back / cold * 100)
        finally:
            await engine.close()
    return Row("first token after the slot was lost, of a cold one", "%", tuple(ours), tuple(theirs), "<= 5 %, <= 1")


def resident(pid: int | None) -> float:
    assert pid is not None
    return float(psutil.Process(pid).memory_info().rss / 1e6)


async def idle(path: Path, runs: int) -> Row:
    """A model with four places for chats that has answered once."""
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(runs):
        engine = LlamaEngine(engine=EngineKind.SCHEDULER)
        try:
            model = await engine.load(path, config(IDLE_CONTEXT, IDLE_SLOTS))
            await ask(model, "me", OTHER, 4)
            ours.append(resident(model.worker_pid))
        finally:
            await engine.close()
        with plain_server(path, IDLE_CONTEXT, IDLE_SLOTS) as server:
            await asyncio.to_thread(server.ask, OTHER, 4)
            theirs.append(resident(server.pid))
    return Row("idle process, 4 slots of 4k", "MB", tuple(ours), tuple(theirs), "<= 0.6")


def sliding(runs: int) -> Row:
    """The whole cache of a model of which five layers in six slide, as we make it and with swa_full."""
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gemma3.gguf"
        path.write_bytes(gguf_files.gemma3_file(gemma3__attention__sliding_window=1024))
        command = [sys.executable, "-m", "tests.bench.cache_size", str(path)]
        command += [str(SLIDING_CONTEXT), str(SLIDING_SLOTS)]
        for _ in range(runs):
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            windows, full = map(float, output.split())
            ours.append(windows)
            theirs.append(full)
    return Row("cache of Gemma 3's shape, 8k x 4, against swa_full", "MB", tuple(ours), tuple(theirs), "<= 0.35")


async def measure(path: Path, runs: int) -> list[Row]:
    return [sliding(min(runs, 3)), await idle(path, min(runs, 3)), await coming_back(path, runs)]


def main(model: Path) -> None:
    print_table(asyncio.run(measure(model, RUNS)), ours="engine", theirs="yardstick")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
