"""What the endpoint asks of whoever answers, and the values that cross that wall."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from qvac_core.engines.interface import ChatMessage, SamplingParams, Tool, ToolChoice

THIS_MACHINE = "This machine"


class Ability(StrEnum):
    CHAT = "chat"
    EMBED = "embed"
    TRANSCRIBE = "transcribe"


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can be asked for. provider_key: 64 hex digits, "" = this machine; machine: what people call it.

    name: for people ("Qwen3 8B"); source: what its machine knows it by. seconds: until its first word, roughly.
    rtt_ms: to it, None = not known. online: its machine answers now. sha256: of the model file, "" where that is not
    told. abilities: "chat", "tools", "embed", ….
    """

    provider_key: str
    machine: str
    name: str
    source: str
    abilities: tuple[str, ...] = ()
    sha256: str = ""
    context_tokens: int = 0
    loaded: bool = False
    seconds: float = 0.0
    rtt_ms: float | None = None
    online: bool = True
    path: str = ""
    quantization: str = ""

    @property
    def local(self) -> bool:
        return not self.provider_key


@dataclass(frozen=True, slots=True)
class ChatAsk:
    """An answer to make. schema: JSON schema text to keep to, None = free text. so_far: the answer's beginning, which
    the same model file wrote elsewhere (`Offer.sha256`)."""

    request_id: str
    history: tuple[ChatMessage, ...]
    sampling: SamplingParams = field(default_factory=SamplingParams)
    stop: tuple[str, ...] = ()
    schema: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    parallel_tool_calls: bool = True
    thinking: bool = True
    so_far: str = ""
    impatient: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """arguments: JSON text of an object, checked against the tool's schema."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class BadCall:
    """A call that the model wrote and that must not be run. raw: as it was written; sentence: why."""

    raw: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """place: in the line at whoever answers, 1 = next."""

    place: int


@dataclass(frozen=True, slots=True)
class Ended:
    """reason: "stop" or "length". Tokens as whoever answered counted them, None where it did not."""

    reason: str
    prompt_tokens: int | None = None
    generated_tokens: int | None = None
    cached_tokens: int = 0


ChatPart = Text | Thought | Called | BadCall | Waiting | Ended


@dataclass(frozen=True, slots=True)
class Vectors:
    vectors: Sequence[Sequence[float]]
    tokens: int


@dataclass(frozen=True, slots=True)
class SpeechAsk:
    """file: of this machine, any format. language: ISO 639-1, "" = found. translate: into English."""

    file: Path
    language: str = ""
    prompt: str = ""
    translate: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """A piece of a transcript, in milliseconds of the sound."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class HeardAll:
    language: str
    audio_ms: int


class Reach(Protocol):
    """Everything that the user can reach. Every method may raise a QvacError with a sentence; leaving one cancels."""

    async def offers(self) -> tuple[Offer, ...]:
        """This machine's models and those of the providers that answer; bounded in time."""

    async def unlisted(self, machine: str, name: str) -> Offer | None:
        """For a machine by name or key that cannot tell its models, or is not connected: a model to be tried there."""

    def chat(self, offer: Offer, ask: ChatAsk) -> AsyncGenerator[ChatPart, None]:
        """Parts as they come, then exactly one Ended."""

    async def embed(self, offer: Offer, texts: Sequence[str]) -> Vectors: ...

    def transcribe(
        self, offer: Offer, ask: SpeechAsk, heirs: Sequence[Offer] = ()
    ) -> AsyncGenerator[Heard | HeardAll, None]:
        """Pieces as they come, then exactly one HeardAll. heirs: who goes on where this one goes away."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a program, without its contents. Times in Unix seconds; ended 0 = it runs.

    program: of its User-Agent, a stranger's text. kind: "chat", "responses", "completions", "embeddings",
    "transcription", "translation", "models", or "" for what was refused before that was looked at. outcome: "" while it
    runs, "done", "moved" (somebody else went on), "left" (by the program), "stopped" (here), "refused", "failed".
    reason: why, in a sentence. origin: the page that asked, where it was one.
    """

    id: str
    started: float
    program: str
    kind: str
    model: str = ""
    machine: str = ""
    prompt_tokens: int = 0
    generated_tokens: int = 0
    ended: float = 0.0
    outcome: str = ""
    reason: str = ""
    origin: str = ""
