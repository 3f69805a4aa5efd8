"""The system's default microphone by miniaudio (PyPI miniaudio 1.71): PulseAudio or PipeWire, ALSA, WASAPI, Core Audio.

Chosen over QtMultimedia, whose package is 170 to 330 MB to download against 0.3 to 0.6. Measured on PulseAudio 16.1: it
is as silent as that one about a device unplugged, a server gone and a default changed ("running", no error), so
`microphone` asks it for nothing but blocks of samples.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

from app.audio.hearing import SAMPLE_RATE
from app.audio.microphone import MicrophoneError, Trouble

if TYPE_CHECKING:
    import miniaudio

PERIOD_MS = 50
PERIODS = 200
"""10 s of room: who takes the blocks may be busy that long. The usual three lose what comes meanwhile, silently."""
ALSA_DEVICES = Path("/proc/asound/pcm")
MONITOR = ".monitor"
"""How PulseAudio's and PipeWire's names of a loudspeaker's monitor end."""


class SystemInput:
    """Implements Input. wanted: the name of a microphone, as `names` has it; where it is not there, the system's."""

    def __init__(self, wanted: str = "") -> None:
        self.wanted = wanted

    def names(self) -> tuple[str, ...]:
        """Of the microphones that are there now, for people; () where the sound system tells none."""
        try:
            return tuple(dict.fromkeys(name for name, _id in self._captures()))
        except MicrophoneError:
            return ()

    def _captures(self) -> list[tuple[str, object]]:
        audio = _library()
        try:
            found = audio.Devices(_backends(audio)).get_captures()
        except audio.MiniaudioError as error:
            raise MicrophoneError(Trouble.NO_SERVER, str(error)) from error
        return [(str(device["name"]), device["id"]) for device in found if not _is_monitor(audio, device["id"])]

    def _wanted_id(self) -> object | None:
        """None = the system's default."""
        if not self.wanted:
            return None
        return next((found for name, found in self._captures() if name == self.wanted), None)

    def microphones(self) -> frozenset[str] | None:
        audio = _library()
        backends = _backends(audio)
        if backends[:1] != [audio.Backend.PULSEAUDIO]:
            return None
        try:
            found = audio.Devices([audio.Backend.PULSEAUDIO]).get_captures()
        except audio.MiniaudioError as error:
            if len(backends) > 1:
                return None
            raise MicrophoneError(Trouble.NO_SERVER, str(error)) from error
        names = (_text_id(audio, device["id"]) for device in found)
        return frozenset(name for name in names if not name.endswith(MONITOR))

    def open(self, take: Callable[[bytes], None], ended: Callable[[], None]) -> Callable[[], None]:
        audio = _library()
        try:
            device = audio.CaptureDevice(
                input_format=audio.SampleFormat.FLOAT32,
                nchannels=1,
                sample_rate=SAMPLE_RATE,
                buffersize_msec=PERIOD_MS,
                callback_periods=PERIODS,
                backends=_backends(audio),
                app_name="QVAC Desktop",
                device_id=self._wanted_id(),
            )
        except audio.MiniaudioError as error:
            raise MicrophoneError(_why(audio), str(error)) from error
        hands_on = _hand_on(take)
        next(hands_on)
        device.stop_callback = ended
        try:
            device.start(hands_on)
        except audio.MiniaudioError as error:
            device.stop_callback = None
            device.close()
            raise MicrophoneError(Trouble.REFUSED, str(error)) from error

        def close() -> None:
            device.stop_callback = None
            device.close()

        return close


def _text_id(audio: miniaudio, device_id: object) -> str:
    return bytes(audio.ffi.buffer(device_id)).split(b"\0", 1)[0].decode(errors="replace")


def _is_monitor(audio: miniaudio, device_id: object) -> bool:
    """A loudspeaker's, on PulseAudio; elsewhere an id is no such text."""
    return _text_id(audio, device_id).endswith(MONITOR)


def _hand_on(take: Callable[[bytes], None]) -> Generator[None, bytes, None]:
    while True:
        block = yield
        take(bytes(block))


def _backends(audio: miniaudio) -> list[miniaudio.Backend]:
    if sys.platform == "win32":
        return [audio.Backend.WASAPI]
    if sys.platform == "darwin":
        return [audio.Backend.COREAUDIO]
    # ALSA's library fills stderr where there is no sound card.
    return [audio.Backend.PULSEAUDIO, *([audio.Backend.ALSA] if _alsa_hears() else [])]


def _alsa_hears() -> bool:
    try:
        return "capture" in ALSA_DEVICES.read_text()
    except OSError:
        return False


def _why(audio: miniaudio) -> Trouble:
    """The library's numbers differ from system to system: look whether anything is there at all."""
    try:
        found = audio.Devices(_backends(audio)).get_captures()
    except audio.MiniaudioError:
        return Trouble.NO_SERVER
    return Trouble.REFUSED if found else Trouble.NO_MICROPHONE


def _library() -> miniaudio:
    try:
        import miniaudio
    except ImportError as error:
        raise MicrophoneError(Trouble.NO_LIBRARY, str(error)) from error
    return miniaudio
