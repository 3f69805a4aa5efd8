"""`python -m tests.bench.speculating MODEL`: answers with drafts from the chat itself against the same without.

Both have the same model, slots, context and one thread, and take turns; the text of both must be the same. Time is the
processor time of the worker, from the first token of an answer to its last.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from qvac_core.engines.available import EngineKind
from qvac_core.engines.interface import (
    ChatMessage,
    CompletionRequest,
    Finished,
    LoadedModel,
    ModelConfig,
    SamplingParams,
    Token,
)
from qvac_core.engines.llama_engine import LlamaEngine
from tests.bench.processor_clock import processor_clock
from tests.bench.table import Row, print_table

RUNS = 5
TOKENS = 160
STORY = (
    "The lighthouse keeper rose before the sun and climbed the narrow stairs. He lit the lamp, wrote the hour into his "
    "book, and looked out over the grey water. Two ships were waiting behind the {} for the wind to turn. He counted "
    "them twice, as he did every {}, and went down to feed the cat. In the kitchen the kettle was singing. His "
    "daughter had left a letter on the table, with a drawing of the harbour and a promise to come home in the spring. "
    "He read it slowly, folded it along its old lines, and put it into the tin where he kept the others."
)
ASKS = {
    "edits a text": "Correct the spelling of this text and change nothing else:\n\n"
    + STORY.format("iland", "mornning"),
    "repeats a text": "Repeat this text word for word:\n\n" + STORY.format("island", "morning"),
    "prose": "Write a long story about a cat, a lighthouse and the sea.",
}
AIMS = {"edits a text": ">= 1.3", "repeats a text": ">= 1.3", "prose": ">= 0.98"}


class Side:
    """One of the two: its worker, and how fast its answers are."""

    def __init__(self, *, speculation: bool) -> None:
        self._speculation = speculation
        self._engine = LlamaEngine(engine=EngineKind.SCHEDULER)
        self._asked = 0

    async def load(self, path: Path) -> None:
        config = ModelConfig(n_ctx=512, slots=1, device="cpu", threads=1, speculation=self._speculation)
        self._model: LoadedModel = await self._engine.load(path, config)
        (pid,) = self._engine.worker_pids()
        self._clock = processor_clock(pid)

    async def answer(self, ask: str) -> tuple[str, float]:
        """Its text, and tokens per second."""
        self._asked += 1
        sampling = SamplingParams(temp=0.0, predict=TOKENS)
        request = CompletionRequest(str(self._asked), (ChatMessage("user", ask),), sampling, owner=str(self._asked))
        text, first = "", 0.0
        async for event in self._model.complete(request):
            if isinstance(event, Token):
                first = first or self._clock()
                text += event.text
            elif isinstance(event, Finished):
                return text, (event.stats.generated_tokens - 1) / (self._clock() - first)
        raise AssertionError("an answer without end")

    async def close(self) -> None:
        await self._engine.close()


async def measure(path: Path, runs: int = RUNS) -> list[Row]:
    sides = {"on": Side(speculation=True), "off": Side(speculation=False)}
    rates: dict[tuple[str, str], list[float]] = {}
    try:
        for side in sides.values():
            await side.load(path)
        for run in range(-1, runs):  # the first round warms both up
            for name, ask in ASKS.items():
                texts = {}
                for who, side in sides.items():
                    texts[who], rate = await side.answer(ask)
                    if run >= 0:
                        rates.setdefault((who, name), []).append(rate)
                if texts["on"] != texts["off"]:
                    print(f"other words with drafts: {texts}", file=sys.stderr)
    finally:
        for side in sides.values():
            await side.close()
    return [Row(name, "tok/s", tuple(rates["on", name]), tuple(rates["off", name]), AIMS[name]) for name in ASKS]


def main(model: Path, runs: int = RUNS) -> None:
    print_table(asyncio.run(measure(model, runs)), ours="with drafts", theirs="without")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *map(int, sys.argv[2:3]))
