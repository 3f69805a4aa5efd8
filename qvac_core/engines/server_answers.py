"""The answers that llama.cpp's server makes: who gets which slot, what is asked of it, and what comes back.

The server's threads only hand their chunks over (`Arrived`); all that is decided here is decided on the worker's one
thread. The order of waiting answers and the choice of a slot are those of our scheduler (`slots.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from qvac_core.engines.answer_maker import Arrived, MediaPrompt, Output
from qvac_core.engines.answer_stats import stats_of
from qvac_core.engines.answer_text import AnswerText
from qvac_core.engines.guided_sampling import TextGuide
from qvac_core.engines.interface import StopReason
from qvac_core.engines.response_grammar import too_complex
from qvac_core.engines.sampling import PENALTY_WINDOW, Sampling
from qvac_core.engines.scheduler import overflow, require_place
from qvac_core.engines.slots import Slot, next_in_turn, place
from qvac_core.errors import ModelError

Chunk = Mapping[str, Any]


class Generator(Protocol):
    """What is needed of the server."""

    @property
    def device(self) -> str: ...

    def generate(self, body: Mapping[str, Any], on_chunk: Callable[[Chunk], bool]) -> None:
        """`prompt` in it: tokens or a MediaPrompt. Raises ModelError for a prompt that cannot be read."""


@dataclass(slots=True, eq=False)
class ServerJob:
    """One answer to make. grammar: as llama.cpp takes it; guide: the same, because llama.cpp goes on without a grammar
    that turns out to be too much for it. marks: control tokens that mean something, by their text.

    The server gives the text of those it is asked to preserve, each whole and in one chunk.
    """

    id: int
    prompt: list[int]
    sampling: Sampling
    grammar: str = ""
    guide: TextGuide | None = None
    owner: str = ""
    stop: tuple[str, ...] = ()
    predict: int | None = None
    marks: Mapping[str, str] = field(default_factory=dict)
    session_tokens: int = 0
    show_stop: bool = False
    media: MediaPrompt | None = None
    # Ours:
    text: AnswerText = field(default_factory=AnswerText)
    slot: Slot | None = None
    ending: StopReason | None = None  # how the server says that it ended
    reported: bool = False  # its end is told; the server may still be at it
    leave: threading.Event = field(default_factory=threading.Event)
    reuse: bool = False
    submitted_at: float = 0.0
    first_token_at: float = 0.0
    last_token_at: float = 0.0
    generated: int = 0
    cached: int = 0
    company: int = 0  # answers that were being made, summed over this one's chunks
    chunks: int = 0
    refusal: ModelError | None = None
    read: int = 0  # tokens of the whole prompt, as the server counts them


class ServerAnswers:
    """Not thread-safe: one thread submits, cancels and takes what arrived. `deliver` runs on the server's threads."""

    def __init__(
        self,
        generator: Generator,
        output: Output,
        deliver: Callable[[Arrived], None],
        *,
        slots: int,
        n_ctx: int,
        clock: Callable[[], float],
    ) -> None:
        self._generator = generator
        self._output = output
        self._deliver = deliver
        self._n_ctx = n_ctx
        self._clock = clock
        self._slots = [Slot(index) for index in range(slots)]
        self._waiting: list[ServerJob] = []
        self._running: dict[int, ServerJob] = {}

    @property
    def busy(self) -> bool:
        """Whether something is expected of the server."""
        return bool(self._running)

    def submit(self, job: ServerJob) -> None:
        """Queue an answer. Raises ModelError: CONTEXT_OVERFLOW (52421), or 52420 when too many are waiting."""
        require_place(len(job.prompt), self._n_ctx, len(self._waiting))
        job.text = AnswerText(job.stop, show_stop=job.show_stop)
        job.submitted_at = self._clock()
        self._waiting.append(job)
        self._admit()

    def cancel(self, job_id: int) -> bool:
        """End an answer now; its Done(CANCELLED) is out when this returns. Its slot is free at the next chunk."""
        for job in [*self._running.values(), *self._waiting]:
            if job.id == job_id and not job.reported:
                self._finish(job, StopReason.CANCELLED)
                return True
        return False

    def take(self, arrived: Arrived) -> None:
        job = self._running.get(arrived.job_id)
        if job is None:
            return
        if arrived.chunk is None:
            job.refusal = job.refusal or arrived.refusal
            self._ended(job, arrived.error)
        elif not job.reported:
            self._chunk(job, arrived.chunk)

    # --- Slots ----------------------------------------------------------------------------------------------------

    def _admit(self) -> None:
        while self._waiting and len(self._running) < len(self._slots):
            job = next_in_turn(self._waiting, self._running.values())
            placement = place(self._slots, job.prompt, job.owner, can_copy=False)
            if placement is None:
                return
            self._waiting.remove(job)
            slot = placement.slot
            # Another owner's tokens are never looked at: how fast a prompt is read would tell what they are.
            job.reuse = slot.owner == job.owner
            slot.owner, slot.busy, slot.used_at, slot.tokens = job.owner, True, self._clock(), job.prompt
            job.slot = slot
            self._running[job.id] = job
            threading.Thread(target=self._generate, args=(job, self._body(job)), name=f"answer-{job.id}").start()

    def _body(self, job: ServerJob) -> dict[str, Any]:
        assert job.slot is not None
        sampling = job.sampling
        return {
            "prompt": job.media or job.prompt,
            "stream": True,
            "return_progress": True,
            "id_slot": job.slot.index,
            "cache_prompt": job.reuse,
            "n_predict": job.predict if job.predict is not None else -1,
            "temperature": 0.0 if sampling.greedy else sampling.temp,
            "samplers": ["penalties", "top_k", "top_p", "min_p", "temperature"],
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "seed": sampling.seed,
            "repeat_last_n": PENALTY_WINDOW,
            "repeat_penalty": sampling.repeat_penalty,
            "frequency_penalty": sampling.frequency_penalty,
            "presence_penalty": sampling.presence_penalty,
            "preserved_tokens": list(job.marks),
            **({"grammar": job.grammar} if job.grammar else {}),
        }

    def _generate(self, job: ServerJob, body: dict[str, Any]) -> None:
        """On a thread of its own."""

        def on_chunk(chunk: Chunk) -> bool:
            self._deliver(Arrived(job.id, chunk))
            return job.leave.is_set()

        error, refusal = "", None
        try:
            self._generator.generate(body, on_chunk)
        except ModelError as raised:
            refusal = raised
        except Exception as raised:  # noqa: BLE001 (RuntimeError is the server's own; whatever it is, the slot is free)
            error = str(raised) or "the engine gave no reason"
        self._deliver(Arrived(job.id, None, error, refusal))

    # --- What comes back ------------------------------------------------------------------------------------------

    def _chunk(self, job: ServerJob, chunk: Chunk) -> None:
        if (error := chunk.get("error")) is not None:
            job.refusal = _refusal(error)
            return
        job.company += len(self._running)
        job.chunks += 1
        if (timings := chunk.get("timings")) is not None:
            job.cached = int(timings["cache_n"])
        choices = chunk.get("choices") or ()
        if not choices:
            return
        text, reason = choices[0].get("text") or "", choices[0].get("finish_reason")
        if reason is None and chunk.get("prompt_progress") is not None:
            return
        now = self._clock()
        if reason is None:
            job.generated += 1
            job.last_token_at = now
            job.first_token_at = job.first_token_at or now
        elif (usage := chunk.get("usage")) is not None:
            job.generated = int(usage["completion_tokens"])
            job.cached = int(usage["prompt_tokens_details"]["cached_tokens"])
            job.read = int(usage["prompt_tokens"]) if job.media is not None else 0
        for control, mark in job.marks.items():
            text = text.replace(control, mark)
        if job.guide is not None and not job.guide.follows(text):
            self._failed(job, too_complex())
            job.leave.set()
            return
        if text and (shown := job.text.push(text.encode())):
            self._output.text(job.id, shown)
        if job.text.stopped:
            self._finish(job, StopReason.STOP_SEQUENCE)
        elif reason is not None:
            # Told when its slot is free, a moment later: the next question of this chat would else go to another one.
            job.ending = StopReason.LENGTH if reason == "length" else StopReason.EOS

    def _ended(self, job: ServerJob, error: str) -> None:
        if not job.reported and job.ending is not None:
            self._finish(job, job.ending)
        elif not job.reported:
            self._failed(
                job,
                job.refusal
                or ModelError(
                    "The model could not compute this answer. Try again, or load it with a smaller context.",
                    name="COMPLETION_FAILED",
                    code=52406,
                    typed_fields={"log": error},
                ),
            )
        del self._running[job.id]
        if job.slot is not None:
            job.slot.busy = False
            job.slot.used_at = self._clock()
        self._admit()

    def _failed(self, job: ServerJob, error: ModelError) -> None:
        job.reported = True
        self._output.failed(job.id, error)

    def _finish(self, job: ServerJob, reason: StopReason) -> None:
        if rest := job.text.finish():
            self._output.text(job.id, rest)
        job.reported = True
        if reason in (StopReason.CANCELLED, StopReason.STOP_SEQUENCE):
            job.leave.set()
        if job in self._waiting:
            self._waiting.remove(job)
        stats = stats_of(job, steps=job.chunks, device=self._generator.device, now=self._clock())
        self._output.done(job.id, reason, replace(stats, prompt_tokens=job.read) if job.read else stats)


def _refusal(error: Mapping[str, Any]) -> ModelError:
    """What the server says before it begins. Its own words go to the log: they speak to who runs the server."""
    if error.get("type") == "exceed_context_size_error":
        return overflow(int(error["n_prompt_tokens"]), int(error["n_ctx"]))
    if "grammar" in str(error.get("message", "")):
        return too_complex()
    sentence = "The model could not compute this answer. Try again, or load it with a smaller context."
    fields = {"log": str(error.get("message", ""))[:500]}
    return ModelError(sentence, name="COMPLETION_FAILED", code=52406, typed_fields=fields)
