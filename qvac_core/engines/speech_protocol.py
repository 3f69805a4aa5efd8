"""What the app and a speech model's process say to each other. Bytes of a file travel in parts, in their order."""

from __future__ import annotations

import msgspec

from qvac_core.engines.speech import Segment, SpeechConfig, SpeechModelInfo, SpeechStats
from qvac_core.engines.speech_windows import Place
from qvac_core.engines.worker_pipes import Dialogue
from qvac_core.engines.worker_protocol import Alive, Cancel, Failed, Opened, Shutdown, Working

PART_BYTES = 1024 * 1024  # of a file, in one message


class Open(msgspec.Struct, tag=True, frozen=True):
    """The model. Answered by Opened, or by Failed with id 0."""

    path: str
    config: SpeechConfig


class Transcribe(msgspec.Struct, tag=True, frozen=True):
    """path: of this machine's owner, in the system's bytes; none = AudioParts follow, of a file or of samples (`raw`).

    place: where to go on; the process that began has ended.
    """

    id: int
    path: bytes
    raw: bool
    language: str
    prompt: str
    translate: bool
    words: bool
    owner: str
    max_seconds: float
    place: Place


class AudioPart(msgspec.Struct, tag=True, frozen=True):
    id: int
    data: bytes
    last: bool


class Heard(msgspec.Struct, tag=True, frozen=True):
    """total_ms: of the sound, as the file states it; 0 = it does not."""

    id: int
    segment: Segment
    total_ms: int


class Advanced(msgspec.Struct, tag=True, frozen=True):
    """A window was heard to its end. total_ms: as in Heard."""

    id: int
    place: Place
    total_ms: int


class Ended(msgspec.Struct, tag=True, frozen=True):
    id: int
    language: str
    notices: tuple[str, ...]
    stats: SpeechStats


SpeechCommand = Open | Transcribe | AudioPart | Cancel | Shutdown
SpeechReport = Opened[SpeechModelInfo] | Working | Heard | Advanced | Ended | Failed | Alive

SPEECH: Dialogue[SpeechCommand, SpeechReport] = Dialogue(
    "--speech-worker", "qvac_core.engines.speech_worker", list[SpeechCommand], list[SpeechReport]
)
