"""What dictation says: its states, and why a microphone is not heard. Knows no Qt."""

from __future__ import annotations

import sys
from enum import Enum

from app.audio.microphone import Trouble
from qvac_core.core.state import ErrorInfo


class Phase(Enum):
    """What somebody who talks has to know."""

    IDLE = "idle"
    STARTING = "starting"  # the microphone wakes up: what is said now is lost
    LISTENING = "listening"
    MUTED = "muted"
    INTERRUPTED = "interrupted"  # it is opened again
    FINISHING = "finishing"  # they let go; the last words are written


WORDS = {
    Phase.STARTING: ("Wait for the microphone…", "text3"),
    Phase.MUTED: ("Nothing is heard: the microphone is muted", "warn"),
    Phase.INTERRUPTED: ("The microphone went silent. Trying again…", "warn"),
    Phase.FINISHING: ("Writing the last words…", "text3"),
}
HOLDING = "Let go to insert"
LOCKED = "Stop inserts"


def words(phase: Phase, *, locked: bool) -> tuple[str, str]:
    """The sentence and its tone."""
    return WORDS.get(phase, (LOCKED if locked else HOLDING, "text3"))


_PACKAGE = "Install it with: pip install miniaudio (a C compiler is needed here). A recording can be dropped here."
_TROUBLES = {
    Trouble.NO_LIBRARY: ("The package that hears the microphone is not installed.", _PACKAGE),
    Trouble.NO_SERVER: (
        "No sound system answers on this machine.",
        "Start it (PipeWire or PulseAudio on Linux), or drop a recording here.",
    ),
    Trouble.NO_MICROPHONE: (
        "This machine has no microphone.",
        "Plug one in, then hold the button again. A recording can be dropped here.",
    ),
    Trouble.REFUSED: (
        "The system does not let QVAC Desktop use the microphone.",
        "Allow it there, or close the program that uses it, then hold the button again.",
    ),
    Trouble.UNPLUGGED: ("The microphone was unplugged.", "What was heard until then is kept."),
    Trouble.LOST: ("The microphone fell silent.", "What was heard until then is kept. Hold the button to go on."),
}
SYSTEM_SETTINGS = {
    "win32": "ms-settings:privacy-microphone",
    "darwin": "x-apple.systempreferences:com.apple.preference.security?Privacy_Microphone",
}
"""Where the system's page about microphones opens."""


def trouble_words(trouble: Trouble) -> ErrorInfo:
    return ErrorInfo(f"MICROPHONE_{trouble.name}", 0, *_TROUBLES[trouble])


def settings_page(trouble: Trouble, platform: str = sys.platform) -> str:
    """The address of the system's settings that help; "" where there is none."""
    return SYSTEM_SETTINGS.get(platform, "") if trouble is Trouble.REFUSED else ""
