"""The slot scheduler: several answers advance together in one context, step by step.

Theory of operation. A step fills one batch: one token for every
answer that is decoding, then a chunk of the waiting prompts, shortest remaining first, as large as time allows. The
backend decodes it, a token is sampled wherever a sequence stands at its end, and the text goes out. Between two steps
answers are admitted, cancelled and ended; so a cancel costs one step. Nothing here knows llama.cpp, a process or a
thread: `step` is called by whoever owns the backend, with a clock given, and tests run it in virtual time.

Every token costs about the same, whatever it is read for. So where several short prompts come together, answers that
have just begun hold their second token until the others have their first (a wave): else the last of them would wait for
all the tokens that the first ones make meanwhile. While a prompt of this machine is read, guests' answers and prompts
stand still: its owner's first token comes as from an idle machine. Where no prompt waits, tokens that a chat may repeat
are drafted and verified in the same batch (`speculation`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from qvac_core.engines.answer_maker import Output
from qvac_core.engines.answer_stats import stats_of
from qvac_core.engines.answer_text import AnswerText
from qvac_core.engines.interface import LOCAL_OWNER, StopReason
from qvac_core.engines.kept_chats import Shelf
from qvac_core.engines.pace import Pace
from qvac_core.engines.sequences import Memory, Sequences
from qvac_core.engines.slots import WAITING_LIMIT, Slot, next_in_turn, queue_full
from qvac_core.engines.speculation import Speculator, lengths
from qvac_core.engines.state_cache import StateCache
from qvac_core.engines.step_cost import StepCost
from qvac_core.errors import ModelError, RequestRefused

OWNER_HOLD = 5.0  # seconds that guests' answers stand still for a prompt of this machine; beyond it every second step
WAVE = 2.0  # seconds: as much of short prompts is read while answers hold their second token
HOLD = 2.0  # seconds that an answer holds it at most
DRAFT_SLOWDOWN = 1.25  # of a step, where others wait for it; alone a draft takes what pays
DRAFT_STEP = 0.5  # seconds of a step with a draft at most, where nobody else waits: a cancel may
REST_SECONDS = 10.0  # of writing chats to disk, where nobody asks
END_SECONDS = 2.0  # of it before the end: the app waits three for the process
NO_ROOM = 1  # llama_decode: no place in the cache for this batch


class Sampler(Protocol):
    """The sampler chain of one answer."""

    def sample(self, index: int) -> int:
        """The next token, from the output of the batch's entry `index`. ModelError ends this answer alone."""

    def close(self) -> None: ...


class Backend(Protocol):
    """What the scheduler needs of a context. One sequence per slot index."""

    @property
    def memory(self) -> Memory: ...

    @property
    def n_batch(self) -> int:
        """Most tokens in one batch; one more ends the process."""

    @property
    def n_outputs(self) -> int:
        """Most of them with logits: one for each chat, and some for drafts."""

    @property
    def device(self) -> str: ...

    def decode(self, batch: Batch) -> int:
        """0, or llama_decode's status."""

    def piece(self, token: int) -> bytes: ...

    def is_end(self, token: int) -> bool: ...


@dataclass(slots=True)
class Batch:
    """One step's tokens, as parallel lists."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    outputs: list[bool] = field(default_factory=list)

    def add(self, token: int, position: int, slot: int, output: bool) -> None:
        self.tokens.append(token)
        self.positions.append(position)
        self.slots.append(slot)
        self.outputs.append(output)

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(slots=True, eq=False)
class Job:
    """One answer to make. `predict`: most tokens, None = no limit. The scheduler closes the sampler."""

    id: int
    prompt: list[int]
    sampler: Sampler
    owner: str = ""
    stop: tuple[str, ...] = ()
    predict: int | None = None
    session_tokens: int = 0
    show_stop: bool = False
    # The scheduler's own:
    text: AnswerText = field(default_factory=AnswerText)
    slot: Slot | None = None
    pending: int | None = None  # the sampled token that the next step decodes
    speculator: Speculator | None = None
    draft: list[int] = field(default_factory=list)  # tokens in the batch behind the pending one
    submitted_at: float = 0.0
    first_token_at: float = 0.0
    last_token_at: float = 0.0
    generated: int = 0
    cached: int = 0
    steps: int = 0
    company: int = 0  # answers in the batch, summed over the steps


class Scheduler:
    """Owner of the slots. Not thread-safe: one thread submits, cancels and steps."""

    def __init__(
        self,
        backend: Backend,
        output: Output,
        *,
        slots: int,
        n_ctx: int,
        clock: Callable[[], float],
        cache: StateCache | None = None,
        preamble: Sequence[int] = (),
        shelf: Shelf | None = None,
        speculation: bool = True,
        cost_clock: Callable[[], float] | None = None,
    ) -> None:
        """slots: answers that run at once; one more for who asks on this machine while guests' answers run.

        The backend has two sequences more: for that one, and for the preamble (`Sequences`). cache: where chats go
        that lose their slot; None: nowhere. shelf: where they outlive this process. cost_clock: of what the backend
        works, where others' work is on `clock`.
        """
        self._backend = backend
        self._output = output
        self._clock = clock
        self._n_ctx = n_ctx
        self._for_all = slots
        kept = cache if cache is not None else StateCache(0)
        self._sequences = Sequences(backend.memory, slots, kept, preamble, shelf)
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._pace = Pace()
        self._cost = StepCost()
        self._held = 0.0  # seconds that guests stood still and have not had since
        self._cost_clock = cost_clock or clock
        self._speculates = speculation and self._sequences.takes_back

    @property
    def busy(self) -> bool:
        return bool(self._running or self._waiting)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def submit(self, job: Job) -> None:
        """Queue an answer. Raises ModelError: CONTEXT_OVERFLOW (52421), or 52420 when too many are waiting."""
        try:
            require_place(len(job.prompt), self._n_ctx, len(self._waiting))
        except ModelError:
            job.sampler.close()
            raise
        job.text = AnswerText(job.stop, show_stop=job.show_stop)
        job.submitted_at = self._clock()
        self._waiting.append(job)

    def cancel(self, job_id: int) -> bool:
        """End an answer now; its Done(CANCELLED) is out when this returns."""
        for job in [*self._running, *self._waiting]:
            if job.id == job_id:
                self._finish(job, StopReason.CANCELLED)
                return True
        return False

    def step(self) -> bool:
        """Admit, fill, decode, sample. False when there was nothing to do."""
        self._admit()
        if not self._running:
            return False
        mine = self._goes_alone()
        batch, chunks, answering = self._fill(mine)
        if not len(batch):
            return True  # the cache was full and somebody was ended for it
        started, work = self._clock(), self._cost_clock()
        status = self._decode(batch)
        if status != 0:
            self._fail_step([*chunks, *answering], status)
            return True
        seconds = self._clock() - started
        self._held = self._held + seconds if mine else max(0.0, self._held - seconds)
        prompt_tokens = sum(count for _, count in chunks.values())
        self._cost.observe(len(batch), self._cost_clock() - work, prompts=bool(prompt_tokens))
        if prompt_tokens or len(batch) == len(answering):  # no draft in it
            self._pace.observe(prompt_tokens, len(answering), seconds)
        self._advance(batch, chunks, answering)
        return True

    def rest(self) -> None:
        """Nothing was asked for a while."""
        if not self.busy:
            self._sequences.put_away(REST_SECONDS, self._clock)
            self._sequences.rest()

    def end(self) -> None:
        """No more is asked."""
        self._sequences.put_away(END_SECONDS, self._clock)

    def forget(self, owner: str) -> None:
        self._sequences.forget_owner(owner)

    # --- Admission ------------------------------------------------------------------------------------------------

    def _admit(self) -> None:
        while self._waiting:
            job = next_in_turn(self._waiting, self._running)
            if len(self._running) >= self._for_all and not self._goes_before_guests(job):
                return
            seat = self._sequences.seat(job.prompt, job.owner)
            if seat is None:
                return
            self._waiting.remove(job)
            job.slot, job.cached = seat.slot, seat.cached
            seat.slot.owner, seat.slot.busy, seat.slot.used_at = job.owner, True, self._clock()
            self._running.append(job)

    def _goes_before_guests(self, job: Job) -> bool:
        return (
            job.owner == LOCAL_OWNER
            and len(self._running) == self._for_all
            and all(other.owner != LOCAL_OWNER for other in self._running)
        )

    # --- One step -------------------------------------------------------------------------------------------------

    def _goes_alone(self) -> bool:
        """Whether this step is for who asks on this machine: its prompt is read, and guests have stood still little."""
        if self._held >= OWNER_HOLD:
            return False
        mine = [job.pending is None for job in self._running if job.owner == LOCAL_OWNER]
        return any(mine) and len(mine) < len(self._running)

    def _fill(self, mine: bool) -> tuple[Batch, dict[Job, tuple[int, int]], dict[Job, int]]:
        """The batch; its prompt chunks as job -> (index of the last token, count); the answering jobs' indices.

        mine: nothing of guests is in it.
        """
        batch = Batch()
        jobs = [job for job in self._running if job.owner == LOCAL_OWNER] if mine else self._running
        prompts = [job for job in jobs if job.pending is None]
        decoding = self._decoding(jobs, prompts)
        free = self._make_room(len(decoding))
        decoding = [job for job in decoding if job.slot is not None]  # _make_room may have ended some
        if not prompts and self._speculates:
            self._draft(decoding, free)
        answering = _add_answers(batch, decoding)
        chunks: dict[Job, tuple[int, int]] = {}
        if prompts:
            chunk = self._pace.chunk(decoding=bool(answering), prompts=len(prompts))
            budget = min(chunk, self._backend.n_batch - len(batch))
            budget = min(budget, self._make_room(len(batch) + budget) - len(batch))
            # Shortest first, but the oldest never stands still: others could go before it for ever.
            oldest = prompts[0]
            reserved = min(_remaining(oldest), max(1, budget // 4))
            for job in sorted(prompts, key=_order):
                if job is oldest:
                    reserved = 0
                count = min(_remaining(job), budget - reserved)
                if self._sequences.last_alone and count == _remaining(job) > 1:
                    count -= 1
                if count > 0:
                    chunks[job] = (self._add_chunk(batch, job, count), count)
                    budget -= count
            if not len(batch):  # no room for a prompt
                answering = _add_answers(batch, [job for job in self._running if job.pending is not None])
            if not len(batch):
                reading = [job for job in reversed(self._running) if job.pending is None]
                self._finish_for_room(max(reading, key=lambda job: job.owner != LOCAL_OWNER))
        return batch, chunks, answering

    def _decoding(self, jobs: Sequence[Job], prompts: Sequence[Job]) -> list[Job]:
        """The answers that make a token in this step: all, but for those that hold their second one in a wave."""
        answers = [job for job in jobs if job.pending is not None]
        shortest = self._pace.seconds(min(map(_remaining, prompts), default=0))
        if not prompts or shortest is None or shortest > WAVE:
            return answers
        now = self._clock()
        return [job for job in answers if job.generated > 1 or now - job.first_token_at >= HOLD]

    def _draft(self, decoding: Sequence[Job], free: int) -> None:
        """Give each answer as many tokens to verify as pay."""
        cost = self._cost.line()
        chances = [job.speculator.look() if job.speculator is not None else 0.0 for job in decoding]
        if cost is None or not any(chances):
            return
        most = min(free, self._backend.n_batch, self._backend.n_outputs) - len(decoding)
        alone = cost[0] + cost[1] * len(decoding)
        longest = max(DRAFT_STEP, alone) if len(self._running) == 1 else DRAFT_SLOWDOWN * alone
        for job, count in zip(decoding, lengths(chances, cost, most, longest), strict=True):
            count = min(count, self._left(job) - 1)
            if count > 0 and job.speculator is not None:
                job.draft = job.speculator.draft(count)

    def _left(self, job: Job) -> int:
        """Tokens that the answer may still have."""
        assert job.slot is not None
        room = self._n_ctx - len(job.slot.tokens)
        return room if job.predict is None else min(room, job.predict - job.generated)

    def _add_chunk(self, batch: Batch, job: Job, count: int) -> int:
        slot = job.slot
        assert slot is not None
        start = len(slot.tokens)
        end = start + count
        for position in range(start, end):
            batch.add(job.prompt[position], position, slot.index, position == len(job.prompt) - 1)
        return len(batch) - 1

    def _make_room(self, wanted: int) -> int:
        """Free cells in the cache, after idle chats have made way as far as `wanted` needs it.

        Ends the longest answers with LENGTH when even the running ones do not fit.
        """
        answering = sum(job.pending is not None for job in self._running)
        free = self._sequences.room(max(wanted, answering))  # those that hold a token will need their cell, too
        while free < answering:
            longest = max((job for job in self._running if job.pending is not None), key=_first_to_go)
            free += _cells(longest)
            self._finish_for_room(longest)
            answering -= 1
        return free

    def _finish_for_room(self, job: Job) -> None:
        slot = job.slot
        self._finish(job, StopReason.LENGTH)
        if slot is not None:
            self._sequences.forget(slot)

    def _decode(self, batch: Batch) -> int:
        status = self._backend.decode(batch)
        if status == NO_ROOM:
            for slot in self._sequences.slots:
                if not slot.busy:
                    self._sequences.make_way(slot)
            status = self._backend.decode(batch)
        return status

    def _fail_step(self, jobs: list[Job], status: int) -> None:
        """End the jobs of this step, and only them; their sequences are in an unknown state and are forgotten."""
        for job in jobs:
            slot = job.slot
            self._release(job)
            if slot is not None:
                self._sequences.forget(slot)
            error = ModelError(
                f"The model could not compute this answer (status {status}). "
                "Try again, or load it with a smaller context.",
                name="COMPLETION_FAILED",
                code=52406,
            )
            self._output.failed(job.id, error)

    def _advance(self, batch: Batch, chunks: dict[Job, tuple[int, int]], answering: dict[Job, int]) -> None:
        company = len(chunks) + len(answering)
        sampled: list[tuple[Job, int]] = []
        for job, index in answering.items():
            assert job.slot is not None
            job.slot.tokens.append(batch.tokens[index])
            sampled.append((job, index))
        for job, (index, count) in chunks.items():
            assert job.slot is not None
            job.slot.tokens.extend(batch.tokens[index + 1 - count : index + 1])
            self._sequences.prompt_read(job.slot, _remaining(job))
            if batch.outputs[index]:
                sampled.append((job, index))
        for job in [*answering, *chunks]:
            job.steps += 1
            job.company += company
        # In the order of the batch, as llama_sampler_sample wants it.
        for job, index in sorted(sampled, key=lambda entry: entry[1]):
            self._sample(job, index)

    def _sample(self, job: Job, index: int) -> None:
        """The next token of an answer; and of its draft those that the model says, too, up to the first other one.

        Each is sampled when the ones before it are accepted, and none after the first other one: so the sampler goes
        the same way as without a draft.
        """
        slot, draft = job.slot, job.draft
        assert slot is not None
        job.draft = []
        right = 0
        try:
            for offset in range(len(draft) + 1):
                token = job.sampler.sample(index + offset)
                self._take(job, token)
                if job.slot is None or offset == len(draft) or token != draft[offset]:
                    break
                slot.tokens.append(token)
                right += 1
        except ModelError as error:
            self._release(job)
            self._output.failed(job.id, error)
        if draft:
            self._sequences.take_back(slot)
        if job.speculator is not None:
            if draft:
                job.speculator.judge(len(draft), right)
            else:
                job.speculator.rest()

    def _take(self, job: Job, token: int) -> None:
        """One sampled token of an answer: show it, and end the answer where it ends."""
        now = self._clock()
        if self._backend.is_end(token):
            self._finish(job, StopReason.EOS)
            return
        job.generated += 1
        job.last_token_at = now
        if job.generated == 1:
            job.first_token_at = now
        job.pending = token
        if self._speculates:
            if job.speculator is None:
                job.speculator = Speculator(job.prompt)
            job.speculator.add(token)
        text = job.text.push(self._backend.piece(token))
        if text:
            self._output.text(job.id, text)
        assert job.slot is not None
        if job.text.stopped:
            self._finish(job, StopReason.STOP_SEQUENCE)
        elif job.generated == job.predict or len(job.slot.tokens) >= self._n_ctx:
            self._finish(job, StopReason.LENGTH)

    # --- Endings --------------------------------------------------------------------------------------------------

    def _finish(self, job: Job, reason: StopReason) -> None:
        rest = job.text.finish()
        if rest:
            self._output.text(job.id, rest)
        self._release(job)
        self._output.done(
            job.id, reason, stats_of(job, steps=job.steps, device=self._backend.device, now=self._clock())
        )

    def _release(self, job: Job) -> None:
        if job in self._running:
            self._running.remove(job)
        else:
            self._waiting.remove(job)
        if job.slot is not None:
            job.slot.busy = False
            job.slot.used_at = self._clock()
            job.slot = None
        job.sampler.close()


def _add_answers(batch: Batch, jobs: Sequence[Job]) -> dict[Job, int]:
    """Each one's next token, and its draft. Their indices in the batch."""
    indices: dict[Job, int] = {}
    for job in jobs:
        slot = job.slot
        assert slot is not None and job.pending is not None
        indices[job] = len(batch)
        for offset, token in enumerate([job.pending, *job.draft]):
            batch.add(token, len(slot.tokens) + offset, slot.index, True)
    return indices


def _remaining(job: Job) -> int:
    return len(job.prompt) - len(job.slot.tokens) if job.slot is not None else len(job.prompt)


def _order(job: Job) -> tuple[bool, int]:
    """Whose prompt is read first: the owner's, then the shortest."""
    return job.owner != LOCAL_OWNER, _remaining(job)


def _cells(job: Job) -> int:
    return len(job.slot.tokens) if job.slot is not None else 0


def _first_to_go(job: Job) -> tuple[bool, int]:
    """Whose answer ends where there is no room for all: a guest's, the longest."""
    return job.owner != LOCAL_OWNER, _cells(job)


def require_place(prompt_tokens: int, n_ctx: int, waiting: int) -> None:
    """Raises ModelError: CONTEXT_OVERFLOW (52421), 52406 for no prompt at all, or 52420 when too many are waiting."""
    if prompt_tokens >= n_ctx or not prompt_tokens:
        raise overflow(prompt_tokens, n_ctx)
    if waiting >= WAITING_LIMIT:
        raise queue_full()


def overflow(tokens: int, n_ctx: int) -> ModelError:
    """For a prompt of so many tokens: too long, or empty."""
    if not tokens:
        return RequestRefused("There is nothing to answer: the conversation is empty.")
    return ModelError(
        f"The conversation has {tokens} tokens and this model was loaded with room for {n_ctx}. "
        "Start a new conversation, shorten it, or load the model with a larger context.",
        name="CONTEXT_OVERFLOW",
        code=52421,
        typed_fields={"promptTokens": tokens, "contextTokens": n_ctx},
    )
