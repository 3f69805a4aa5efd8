"""A context without a model: samplers follow a script, the cache checks every position, the clock is moved by it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from qvac_core.engines.checkpoints import MemoryKind
from qvac_core.engines.interface import CompletionStats, StopReason
from qvac_core.engines.scheduler import Batch, Job, Scheduler
from qvac_core.engines.speculation import LONGEST_DRAFT
from qvac_core.engines.state_cache import StateCache
from qvac_core.errors import ModelError

END = 0
FIRST_BYTE = 1000  # token 1000 + b stands for the byte b


def script(text: str) -> list[int]:
    return [FIRST_BYTE + byte for byte in text.encode()]


@dataclass(eq=False)
class ScriptedSampler:
    """Says its script, then END. Checks that it is asked with exactly its own history in the cache."""

    backend: ScriptedBackend
    prompt: list[int]
    script: list[int]
    said: int = 0
    closed: bool = False

    def sample(self, index: int) -> int:
        assert not self.closed
        slot, length = self.backend.outputs[index]
        assert self.backend.cells[slot][:length] == self.prompt + self.script[: self.said]
        self.said += 1
        return self.script[self.said - 1] if self.said <= len(self.script) else END

    def close(self) -> None:
        assert not self.closed
        self.closed = True


@dataclass(eq=False)
class ScriptedBackend:
    """`seconds_per_token` and `seconds_per_step` move `now`. `statuses`: results of the coming decodes, then 0.

    kind: a sliding window forgets as early as llama.cpp may, and a cut or a step that would be wrong there fails the
    test. most_cells: how far it grows. deaf: states are not taken.
    """

    slots: int = 4
    n_batch: int = 64
    n_cells: int = 1000
    kind: MemoryKind = field(default_factory=MemoryKind)
    most_cells: int = 0
    deaf: bool = False
    device: str = "cpu"
    seconds_per_token: float = 0.001
    seconds_per_step: float = 0.01
    statuses: list[int] = field(default_factory=list)
    now: float = 0.0
    cells: list[list[int]] = field(default_factory=list)
    outputs: dict[int, tuple[int, int]] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)
    saves: int = 0
    firsts: list[int] = field(default_factory=list)  # the first position that the window's layers have

    def __post_init__(self) -> None:
        self.cells = [[] for _ in range(self.slots + 2)]
        self.firsts = [0] * (self.slots + 2)

    @property
    def n_outputs(self) -> int:
        return self.slots + 1 + LONGEST_DRAFT

    @property
    def memory(self) -> ScriptedBackend:
        return self

    def decode(self, batch: Batch) -> int:
        assert 0 < len(batch) <= self.n_batch
        assert sum(batch.outputs) <= self.n_outputs
        self.batches.append(batch)
        self.now += self.seconds_per_step + self.seconds_per_token * len(batch)
        status = self.statuses.pop(0) if self.statuses else 0
        if status:
            return status
        self.outputs = {}
        for index, (token, position, slot, output) in enumerate(
            zip(batch.tokens, batch.positions, batch.slots, batch.outputs, strict=True)
        ):
            assert position == len(self.cells[slot])
            assert self.firsts[slot] <= self.kind.first_needed(position)
            self.cells[slot].append(token)
            self._slide(slot)
            if output:
                self.outputs[index] = slot, len(self.cells[slot])
        assert sum(map(len, self.cells)) <= self.n_cells
        return 0

    def _slide(self, slot: int) -> None:
        if self.kind.window:
            self.firsts[slot] = max(self.firsts[slot], len(self.cells[slot]) - self.kind.window)

    def keep(self, slot: int, tokens: int) -> bool:
        if tokens and self.kind.recurrent and tokens < len(self.cells[slot]):
            return False
        del self.cells[slot][tokens:]
        if not tokens:
            self.firsts[slot] = 0
        return True

    def copy(self, source: int, target: int, tokens: int) -> None:
        assert not self.kind.recurrent
        self.cells[target] = self.cells[source][:tokens]
        self.firsts[target] = self.firsts[source]

    def span(self, slot: int) -> tuple[int, int]:
        last = len(self.cells[slot]) - 1
        if self.kind.recurrent:
            return last, last
        return (self.firsts[slot], last) if last >= 0 else (-1, -1)

    def grow(self, cells: int) -> None:
        self.n_cells = max(self.n_cells, min(cells, self.most_cells))

    def shrink(self, cells: int) -> None:
        assert cells >= sum(map(len, self.cells))
        self.n_cells = min(self.n_cells, cells)

    def size(self, slot: int, *, part: bool = False) -> int:
        return len(self._state(slot, part))

    def save(self, slot: int, *, part: bool = False) -> bytearray:
        self.saves += 1
        return self._state(slot, part)

    def _state(self, slot: int, part: bool) -> bytearray:
        cells = self.cells[slot]
        first = max(self.firsts[slot], len(cells) - self.kind.window) if self.kind.window else 0
        return bytearray(json.dumps([cells, first, part]).encode())

    def load(self, slot: int, state: bytearray, *, part: bool = False) -> bool:
        cells, first, was_part = json.loads(state)
        assert was_part == part
        if self.deaf:
            self.keep(slot, 0)
            return False
        if part:
            assert self.cells[slot][: len(cells)] == cells
        self.cells[slot], self.firsts[slot] = cells, first
        return True

    def piece(self, token: int) -> bytes:
        return bytes([token - FIRST_BYTE]) if token >= FIRST_BYTE else b""

    def is_end(self, token: int) -> bool:
        return token == END


@dataclass(eq=False)
class Recorder:
    """What came out, per job."""

    texts: dict[int, list[str]] = field(default_factory=dict)
    ends: dict[int, tuple[StopReason, CompletionStats]] = field(default_factory=dict)
    failures: dict[int, ModelError] = field(default_factory=dict)

    def text(self, job_id: int, text: str) -> None:
        assert text and job_id not in self.ends and job_id not in self.failures
        self.texts.setdefault(job_id, []).append(text)

    def done(self, job_id: int, reason: StopReason, stats: CompletionStats) -> None:
        assert job_id not in self.ends and job_id not in self.failures
        self.ends[job_id] = (reason, stats)

    def failed(self, job_id: int, error: ModelError) -> None:
        assert job_id not in self.ends and job_id not in self.failures
        self.failures[job_id] = error

    def said(self, job_id: int) -> str:
        return "".join(self.texts.get(job_id, []))

    def reason(self, job_id: int) -> StopReason:
        return self.ends[job_id][0]

    def stats(self, job_id: int) -> CompletionStats:
        return self.ends[job_id][1]


class Bench:
    """A scheduler over a scripted backend."""

    def __init__(
        self,
        *,
        n_ctx: int = 100,
        cache: StateCache | None = None,
        preamble: Sequence[int] = (),
        speculation: bool = False,
        **options: object,
    ) -> None:
        self.backend = ScriptedBackend(**options)  # type: ignore[arg-type]
        self.out = Recorder()
        self.scheduler = Scheduler(
            self.backend,
            self.out,
            slots=self.backend.slots,
            n_ctx=n_ctx,
            clock=lambda: self.backend.now,
            cache=cache,
            preamble=preamble,
            speculation=speculation,
        )
        self.samplers: list[ScriptedSampler] = []

    def submit(
        self,
        job_id: int,
        prompt: Sequence[int],
        says: str | list[int] = "hello",
        *,
        owner: str = "",
        stop: tuple[str, ...] = (),
        predict: int | None = None,
    ) -> None:
        tokens = script(says) if isinstance(says, str) else says
        sampler = ScriptedSampler(self.backend, list(prompt), tokens)
        self.samplers.append(sampler)
        self.scheduler.submit(Job(job_id, list(prompt), sampler, owner=owner, stop=stop, predict=predict))

    def run(self, limit: int = 10_000) -> None:
        for _ in range(limit):
            if not self.scheduler.step():
                return
        raise AssertionError("the scheduler never came to rest")
