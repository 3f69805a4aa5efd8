"""What speech recognition is to everybody else: the `SpeechModel` interface and the values that cross it.

Audio as samples is float32, mono, 16,000 a second, little-endian. Times are whole milliseconds within the audio.
Shapes of the events after docs/wire/qvac.md section 9 (`transcribe`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from qvac_core.engines.interface import ModelInfo, RunningModel

SAMPLE_RATE = 16_000  # a second; what Whisper hears
SAMPLE_BYTES = 4


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A sound or video file of this machine's owner, in any format. Never a path that a peer named."""

    path: Path


@dataclass(frozen=True, slots=True)
class AudioBytes:
    """The bytes of such a file."""

    data: bytes = field(repr=False)

    @property
    def raw(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Samples:
    """Raw samples: float32 as above."""

    data: bytes = field(repr=False)

    @property
    def raw(self) -> bool:
        return True


Audio = AudioFile | AudioBytes | Samples


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """One transcript to make.

    language: a code or an English name ("de", "german"); "" or "auto" = found by the model. prompt: words that may
    occur, or the text that came before. translate: into English. words: one segment for each word. owner: whose it is;
    requests of several owners take turns. max_seconds: of audio; a longer one is refused (0 = no limit). start_ms: what
    is before it somebody else has heard already; times stay those of the whole, and segments are counted from 0.
    """

    request_id: str
    audio: Audio
    language: str = ""
    prompt: str = ""
    translate: bool = False
    words: bool = False
    owner: str = ""
    max_seconds: float = 0.0
    start_ms: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the transcript. `text` without spaces around it."""

    id: int
    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of the audio was heard. total_ms, left_seconds: None = not known (yet)."""

    done_ms: int
    total_ms: int | None = None
    left_seconds: float | None = None


class SpeechEnd(StrEnum):
    """How a transcript ended, in the words of completions."""

    EOS = "eos"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class SpeechStats:
    """audio_ms: sound that was heard, silence between it too. compute_ms: spent on it by the model."""

    audio_ms: int = 0
    compute_ms: int = 0
    segments: int = 0

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing for a second of audio."""
        return self.compute_ms / self.audio_ms if self.audio_ms else 0.0


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event. language: as it was given or found ("" = nothing was said). notices: sentences about the file."""

    stop_reason: SpeechEnd
    language: str
    audio_ms: int
    notices: tuple[str, ...] = ()
    stats: SpeechStats = field(default_factory=SpeechStats)


TranscriptionEvent = Segment | Progress | Finished


@dataclass(frozen=True, slots=True)
class SpeechConfig:
    """How to load a model. threads: 0 = leave one core free. device: "gpu" or "cpu". window_seconds: of audio in memory
    for one request; cut at a pause between two segments."""

    threads: int = 0
    device: str = "gpu"
    window_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class SpeechModelInfo(ModelInfo):
    """What was loaded. languages: codes that may be asked for; one for a model that knows English only."""

    multilingual: bool = False
    languages: tuple[str, ...] = ()


@runtime_checkable
class SpeechModel(RunningModel, Protocol):
    """One model in a process of its own, which answers one request at a time. Safe to call from one asyncio loop."""

    @property
    def info(self) -> SpeechModelInfo: ...

    def transcribe(self, request: TranscriptionRequest) -> AsyncIterator[TranscriptionEvent]:
        """Segments and progress, then exactly one Finished. Closing the iterator cancels.

        Raises ModelError (no sound in the file, an unknown language, longer than allowed, …) or EngineCrashed.
        """

    def cancel(self, request_id: str) -> bool:
        """Its iterator then yields Finished(CANCELLED), at once. False = no such request."""
