"""What makes the answers of one loaded model in its worker: our scheduler, or llama.cpp's server. One contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qvac_core.engines.available import EngineKind
from qvac_core.engines.chat_template import ChatTemplate
from qvac_core.engines.interface import CompletionStats, KeptChats, ModelConfig, ModelInfo, SamplingParams, StopReason
from qvac_core.engines.vocabulary import Vocabulary
from qvac_core.errors import ModelError


@dataclass(frozen=True, slots=True)
class MediaPrompt:
    """A prompt with pictures: text with a marker (`AnswerMaker.media_marker`) where each of them stands, in order."""

    text: str
    pictures: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """One answer to make. prompt: tokens. predict: most tokens, None = until it ends.

    media: what is read in the place of `prompt`, which then only tells what the prompts of a chat have in common.
    grammar: of `response_grammar`, "" = free; so_far: text of the answer with which the prompt ends.
    session_tokens: how many of the prompt stood in a KV-cache session. show_stop: a stop sequence is part of the text.
    """

    id: int
    prompt: list[int]
    sampling: SamplingParams
    grammar: str = ""
    so_far: str = ""
    owner: str = ""
    stop: tuple[str, ...] = ()
    predict: int | None = None
    session_tokens: int = 0
    show_stop: bool = False
    media: MediaPrompt | None = None


class Output(Protocol):
    """Where the answers go."""

    def text(self, job_id: int, text: str) -> None: ...

    def done(self, job_id: int, reason: StopReason, stats: CompletionStats) -> None: ...

    def failed(self, job_id: int, error: ModelError) -> None: ...


@dataclass(frozen=True, slots=True)
class Arrived:
    """From another thread, for `AnswerMaker.take`: a chunk of an answer, or its end (None).

    error: what was raised there; refusal: the same, where it is a sentence for who asked.
    """

    job_id: int
    chunk: Mapping[str, object] | None
    error: str = ""
    refusal: ModelError | None = None


class AnswerMaker(Protocol):
    """Used from one thread. Made with the model loaded."""

    @property
    def template(self) -> ChatTemplate: ...

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def sampling(self) -> SamplingParams:
        """What the model's file asks for."""

    @property
    def n_ctx(self) -> int:
        """Tokens of one chat."""

    @property
    def info(self) -> ModelInfo: ...

    @property
    def media_marker(self) -> str:
        """What stands for a picture in the text of a prompt; "" for a model that sees none."""

    @property
    def steps(self) -> bool:
        """Whether `step` has something to do now."""

    @property
    def busy(self) -> bool:
        """Whether an answer is being made or waits."""

    def submit(self, order: Order) -> None:
        """Raises ModelError: CONTEXT_OVERFLOW (52421), 52420 when too many wait, 52406 for a grammar of no use."""

    def cancel(self, job_id: int) -> bool:
        """End an answer now; its Done(CANCELLED) is out when this returns. False: no such answer."""

    def step(self) -> None: ...

    def rest(self) -> None:
        """Nothing was asked for a while: give back memory that is not needed, and write down what is to be kept."""

    def forget(self, owner: str) -> None:
        """Keep nothing of what this owner has said so far, here or on disk. Answers in the making go on."""

    def end(self) -> None:
        """No more is asked: the process ends."""

    def take(self, arrived: Arrived) -> None: ...


def open_maker(
    kind: EngineKind,
    path: Path,
    config: ModelConfig,
    output: Output,
    *,
    on_progress: Callable[[float], None],
    deliver: Callable[[Arrived], None],
    kept: KeptChats | None = None,
) -> AnswerMaker:
    """Load the model with this engine. Raises ModelError with a sentence that helps.

    kept: where its chats outlive it. llama.cpp's server could only write them as they are, so it writes none.
    deliver: called on other threads; brings what it gets to `take`, on the thread that this is used from.
    """
    if kind is EngineKind.SERVER:
        from qvac_core.engines.server import ServerMaker

        return ServerMaker(path, config, output, on_progress=on_progress, deliver=deliver)
    from qvac_core.engines.llama import SchedulerMaker

    return SchedulerMaker(path, config, output, on_progress=on_progress, kept=kept)
