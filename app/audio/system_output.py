"""The system's loudspeaker by miniaudio, as `system_input` is its microphone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

from app.audio.hearing import SAMPLE_RATE
from app.audio.player import NoOutput, NoOutputError
from app.audio.recording import SAMPLE_BYTES

if TYPE_CHECKING:
    import miniaudio

PERIOD_MS = 100
ALSA_DEVICES = Path("/proc/asound/pcm")


class SystemOutput:
    """Implements Output."""

    def open(self, give: Callable[[int], bytes]) -> Callable[[], None]:
        try:
            import miniaudio
        except ImportError as error:
            raise NoOutputError(NoOutput.NO_LIBRARY) from error
        try:
            device = miniaudio.PlaybackDevice(
                output_format=miniaudio.SampleFormat.SIGNED16,
                nchannels=1,
                sample_rate=SAMPLE_RATE,
                buffersize_msec=PERIOD_MS,
                backends=_backends(miniaudio),
                app_name="QVAC Desktop",
            )
        except miniaudio.MiniaudioError as error:
            raise NoOutputError(NoOutput.NO_DEVICE) from error
        gives = _hand_out(give)
        next(gives)
        try:
            device.start(gives)
        except miniaudio.MiniaudioError as error:
            device.close()
            raise NoOutputError(NoOutput.NO_DEVICE) from error
        closed: Callable[[], None] = device.close
        return closed


def _hand_out(give: Callable[[int], bytes]) -> Generator[bytes, int, None]:
    data = b""
    while True:
        frames = yield data
        data = give(frames).ljust(frames * SAMPLE_BYTES, b"\0")


def _backends(audio: miniaudio) -> list[miniaudio.Backend]:
    if sys.platform == "win32":
        return [audio.Backend.WASAPI]
    if sys.platform == "darwin":
        return [audio.Backend.COREAUDIO]
    # ALSA's library fills stderr where there is no sound card.
    return [audio.Backend.PULSEAUDIO, *([audio.Backend.ALSA] if _alsa_plays() else [])]


def _alsa_plays() -> bool:
    try:
        return "playback" in ALSA_DEVICES.read_text()
    except OSError:
        return False
