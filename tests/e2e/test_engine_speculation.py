"""Drafts from the chat itself, with the real model: the text is that without them, in fewer steps."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from qvac_core.engines.answer_maker import Order
from qvac_core.engines.interface import ChatMessage, ModelConfig, SamplingParams
from qvac_core.engines.llama import SchedulerMaker
from qvac_core.engines.response_grammar import grammar_for
from qvac_core.engines.step_cost import StepCost
from tests.unit.scripted_backend import Recorder

LIMIT = 120.0  # seconds for all answers of one test
TEXT = (
    "The lighthouse keeper rose before the sun and climbed the narrow stairs. He lit the lamp, wrote the hour into his "
    "book, and looked out over the grey water."
)
REPEAT = f"Repeat this text word for word:\n\n{TEXT}"
PROSE = "Write a long story about a cat, a lighthouse and the sea."
CONFIG = ModelConfig(n_ctx=512, slots=2, device="cpu", threads=1)
GREEDY = SamplingParams(temp=0.0)


@dataclass
class Engine:
    """A scheduler on the real model, which counts its steps."""

    maker: SchedulerMaker
    out: Recorder
    asked: int = 0
    steps: list[int] = field(default_factory=list)

    def answers(self, *asks: str, sampling: SamplingParams = GREEDY, schema: str = "", predict: int = 48) -> list[str]:
        jobs = []
        for ask in asks:
            self.asked += 1
            prompt = self.maker.template.render((ChatMessage("user", ask),))
            tokens = self.maker.vocabulary.prompt_tokens(prompt, self.maker.n_ctx, opens=True)
            grammar = grammar_for(schema) if schema else ""
            owner = str(self.asked)
            self.maker.submit(Order(self.asked, tokens, sampling, grammar=grammar, owner=owner, predict=predict))
            jobs.append(self.asked)
        deadline = time.monotonic() + LIMIT
        steps = 0
        while self.maker.busy:
            self.maker.step()
            steps += 1
            assert time.monotonic() < deadline
        self.steps.append(steps)
        return [self.out.said(job) for job in jobs]


@pytest.fixture(scope="module")
def engines(small_model_path: Path) -> Iterator[tuple[Engine, Engine]]:
    """With drafts and without."""

    def engine(speculation: bool) -> Engine:
        out = Recorder()
        config = replace(CONFIG, speculation=speculation)
        return Engine(SchedulerMaker(small_model_path, config, out, on_progress=lambda _: None), out)

    yield engine(True), engine(False)


class Measured(StepCost):
    """What steps cost where it was measured (`step_cost`), whatever else this machine does meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        for tokens, milliseconds in ((1, 17), (2, 25), (4, 36), (8, 72), (16, 127), (32, 250)):
            super().observe(tokens, milliseconds / 1000)

    def observe(self, tokens: int, seconds: float, *, prompts: bool = False) -> None:
        """Nothing new is learned."""


def test_what_the_answer_repeats_comes_many_tokens_at_once(
    engines: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    drafting, plain = engines
    for engine in engines:
        monkeypatch.setattr(engine.maker._scheduler, "_cost", Measured())
        engine.answers(PROSE, predict=12)
    assert drafting.answers(REPEAT) == plain.answers(REPEAT)
    assert drafting.steps[-1] < 0.6 * plain.steps[-1]


def test_prose_is_the_same(engines: tuple[Engine, Engine]) -> None:
    drafting, plain = engines
    assert drafting.answers(PROSE) == plain.answers(PROSE)
    assert drafting.steps[-1] <= plain.steps[-1]


def test_a_seed_gives_the_same_text_at_a_temperature(engines: tuple[Engine, Engine]) -> None:
    """Each position is sampled once, with the same chain: the same random numbers go to the same tokens."""
    drafting, plain = engines
    for seed in (1, 2):
        sampling = SamplingParams(temp=0.7, seed=seed, repeat_penalty=1.05)
        assert drafting.answers(REPEAT, sampling=sampling) == plain.answers(REPEAT, sampling=sampling)


def test_within_a_schema_it_is_the_same(engines: tuple[Engine, Engine]) -> None:
    schema = (
        '{"type": "object", "properties": {"first": {"type": "string", "maxLength": 60}, "second": {"type": "string", '
        '"maxLength": 60}}, "required": ["first", "second"], "additionalProperties": false}'
    )
    drafting, plain = engines
    ask = f"Give the first sentence of this text, twice, as JSON with first and second:\n\n{TEXT}"
    (said,) = drafting.answers(ask, schema=schema, predict=80)
    assert [said] == plain.answers(ask, schema=schema, predict=80)
    assert said.startswith("{")


def test_two_chats_draft_beside_each_other(engines: tuple[Engine, Engine]) -> None:
    drafting, plain = engines
    asks = (REPEAT, REPEAT.replace("lighthouse", "bakery").replace("lamp", "oven"))
    assert [text[:80] for text in drafting.answers(*asks)] == [text[:80] for text in plain.answers(*asks)]


SERVER = """
import json, os, queue, sys
from pathlib import Path
from qvac_core.engines.answer_maker import Order
from qvac_core.engines.interface import ChatMessage, ModelConfig, SamplingParams
from qvac_core.engines.server import ServerMaker
from qvac_core.engines.step_cost import StepCost
from tests.unit.scripted_backend import Recorder

path, ask, speculation = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "on"
out, arrived, accepted = Recorder(), queue.SimpleQueue(), 0
config = ModelConfig(n_ctx=512, slots=2, device="cpu", threads=1, speculation=speculation)
maker = ServerMaker(path, config, out, on_progress=lambda _: None, deliver=arrived.put)
prompt = maker.vocabulary.prompt_tokens(maker.template.render((ChatMessage("user", ask),)), maker.n_ctx, opens=True)
maker.submit(Order(1, prompt, SamplingParams(temp=0.0), owner="me", predict=48))
while 1 not in out.ends:
    item = arrived.get(timeout=60)
    accepted = max(accepted, ((item.chunk or {}).get("timings") or {}).get("draft_n_accepted", 0))
    maker.take(item)
sys.__stdout__.write(json.dumps([out.said(1), accepted]))
sys.__stdout__.flush()
os._exit(0)
"""


def test_the_server_drafts_from_the_chat_itself(small_model_path: Path) -> None:
    """llama.cpp's own server, in a process of its own: the same text, and its own count of what was drafted."""

    def said(speculation: str) -> tuple[str, int]:
        command = [sys.executable, "-c", SERVER, str(small_model_path), REPEAT, speculation]
        root = Path(__file__).parents[2]
        ended = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, timeout=LIMIT, check=True)
        text, accepted = json.loads(ended.stdout)
        return text, accepted

    drafted, accepted = said("on")
    plain, none = said("off")
    assert drafted == plain
    assert accepted >= 16
    assert none == 0
