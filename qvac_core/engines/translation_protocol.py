"""What the app and a translation model's process say to each other."""

from __future__ import annotations

import msgspec

from qvac_core.engines.translation_model import TextPart, TranslationModelInfo
from qvac_core.engines.worker_pipes import Dialogue
from qvac_core.engines.worker_protocol import Alive, Cancel, Failed, Opened, Shutdown, Working


class Open(msgspec.Struct, tag=True, frozen=True):
    """The model files, of one direction or of two that follow each other. Answered by Opened, or Failed with id 0."""

    paths: tuple[str, ...]


class TranslateTexts(msgspec.Struct, tag=True, frozen=True):
    """skip: parts that were told already; the process that began has ended."""

    id: int
    owner: str
    texts: tuple[str, ...]
    skip: int


class Told(msgspec.Struct, tag=True, frozen=True):
    id: int
    part: TextPart


class Ended(msgspec.Struct, tag=True, frozen=True):
    id: int


TranslationCommand = Open | TranslateTexts | Cancel | Shutdown
TranslationReport = Opened[TranslationModelInfo] | Working | Told | Ended | Failed | Alive

TRANSLATION: Dialogue[TranslationCommand, TranslationReport] = Dialogue(
    "--translation-worker",
    "qvac_core.engines.translation_worker",
    list[TranslationCommand],
    list[TranslationReport],
)
