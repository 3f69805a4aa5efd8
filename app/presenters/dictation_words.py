"""What dictation says: its states, and why a microphone is not heard. Knows no Qt."""

from __future__ import annotations

import sys
from enum import Enum

from app.audio.microphone import Trouble
from app.i18n import later, tr
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
    Phase.STARTING: (later("Wait for the microphone…"), "text3"),
    Phase.MUTED: (later("Nothing is heard: the microphone is muted"), "warn"),
    Phase.INTERRUPTED: (later("The microphone went silent. Trying again…"), "warn"),
    Phase.FINISHING: (later("Writing the last words…"), "text3"),
}
HOLDING = later("Let go to insert")
LOCKED = later("Stop inserts")


def words(phase: Phase, *, locked: bool) -> tuple[str, str]:
    """The sentence and its tone."""
    sentence, tone = WORDS.get(phase, (LOCKED if locked else HOLDING, "text3"))
    return tr(sentence), tone


_PACKAGE = later(
    "Install it with: pip install miniaudio (a C compiler is needed here). A recording can be dropped here."
)
_TROUBLES = {
    Trouble.NO_LIBRARY: (later("The package that hears the microphone is not installed."), _PACKAGE),
    Trouble.NO_SERVER: (
        later("No sound system answers on this machine."),
        later("Start it (PipeWire or PulseAudio on Linux), or drop a recording here."),
    ),
    Trouble.NO_MICROPHONE: (
        later("This machine has no microphone."),
        later("Plug one in, then hold the button again. A recording can be dropped here."),
    ),
    Trouble.REFUSED: (
        later("The system does not let QVAC Desktop use the microphone."),
        later("Allow it there, or close the program that uses it, then hold the button again."),
    ),
    Trouble.UNPLUGGED: (later("The microphone was unplugged."), later("What was heard until then is kept.")),
    Trouble.LOST: (
        later("The microphone fell silent."),
        later("What was heard until then is kept. Hold the button to go on."),
    ),
}
SYSTEM_SETTINGS = {
    "win32": "ms-settings:privacy-microphone",
    "darwin": "x-apple.systempreferences:com.apple.preference.security?Privacy_Microphone",
}
"""Where the system's page about microphones opens."""


def trouble_words(trouble: Trouble) -> ErrorInfo:
    title, message = _TROUBLES[trouble]
    return ErrorInfo(f"MICROPHONE_{trouble.name}", 0, tr(title), tr(message))


def settings_page(trouble: Trouble, platform: str = sys.platform) -> str:
    """The address of the system's settings that help; "" where there is none."""
    return SYSTEM_SETTINGS.get(platform, "") if trouble is Trouble.REFUSED else ""
