"""A recording for a provider of the SDK's own, which takes raw samples with a request and knows no other way to bytes.

It is decoded here and sent in parts of bounded size, each cut where it is quietest: a message of the secret stream
holds 16 MiB, and such a provider is not stopped within a part. whisper.cpp hears half a minute at a time anyway, so
that a part's end costs no more than that of one of its windows.
(docs/wire/qvac.md section 9, `transcribe`: a file's path there would be one of the provider's own disk.)
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qvac_core.delegation.messages import Base64Audio
from qvac_core.engines.speech import SAMPLE_RATE, Audio, AudioBytes, AudioFile, Samples
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from qvac_core.engines.audio_decoding import Decoding
else:
    np = Lazy("numpy")

PART_SECONDS = 60.0  # 1.9 MB of s16le; a third more as base64
QUIET_SECONDS = 20.0  # before a part's most, in which its end is looked for
WINDOW = SAMPLE_RATE // 5  # samples that must be quiet together
_FULL = 32767.0


@dataclass(frozen=True, slots=True)
class SoundPart:
    """start_ms: where it begins in the recording. total_ms: of the recording, None where the file does not say."""

    start_ms: int
    length_ms: int
    total_ms: int | None
    audio: Base64Audio


async def sound_parts(audio: Audio, *, float32: bool, start_ms: int = 0) -> AsyncGenerator[SoundPart, None]:
    """The recording's sound from start_ms on. float32: what the model takes, else s16le. A file is read in a thread.

    Raises ModelError for a file that cannot be read as sound, behind the parts that could.
    """
    parts = _parts(audio, float32, start_ms)
    if isinstance(audio, Samples):
        for part in parts:
            yield part
        return
    reading: asyncio.Future[SoundPart | None] | None = None
    try:
        while True:
            reading = asyncio.ensure_future(asyncio.to_thread(next, parts, None))
            read = await asyncio.shield(reading)
            if read is None:
                return
            yield read
    finally:
        if reading is not None:
            if not reading.done():
                await asyncio.wait({reading})  # a file cannot be closed while a thread reads it
            reading.exception()
        await asyncio.to_thread(parts.close)


def _parts(audio: Audio, float32: bool, start_ms: int) -> Generator[SoundPart, None, None]:
    most = round(PART_SECONDS * SAMPLE_RATE)
    decoding: Decoding | None = None
    stated: float | None = None
    blocks: Iterator[npt.NDArray[np.float32]]
    if isinstance(audio, AudioFile | AudioBytes):
        from qvac_core.engines.audio_decoding import Decoding  # PyAV: for this alone

        source = audio.path if isinstance(audio, AudioFile) else audio.data
        decoding = Decoding(source, start_seconds=start_ms / 1000)
        blocks = decoding.blocks()
    else:
        samples = np.frombuffer(audio.data, "<f4", len(audio.data) // 4)
        stated = len(samples) / SAMPLE_RATE
        # In pieces: what is left of hours would be copied for each part.
        blocks = (samples[begin : begin + most] for begin in range(start_ms * SAMPLE_RATE // 1000, len(samples), most))
    waiting: list[npt.NDArray[np.float32]] = []
    held = 0
    at = start_ms * SAMPLE_RATE // 1000

    def part(sound: npt.NDArray[np.float32]) -> SoundPart:
        total = decoding.total_seconds if decoding is not None else stated
        total_ms = None if total is None else round(total * 1000)
        chunk = Base64Audio(base64.b64encode(sound.astype("<f4").tobytes() if float32 else _s16le(sound)).decode())
        return SoundPart(at * 1000 // SAMPLE_RATE, len(sound) * 1000 // SAMPLE_RATE, total_ms, chunk)

    for block in blocks:
        waiting.append(block)
        held += len(block)
        while held > most:
            sound = np.concatenate(waiting)
            end = quiet_end(sound, most)
            yield part(sound[:end])
            at += end
            waiting, held = [sound[end:]], len(sound) - end
    if held:
        yield part(np.concatenate(waiting))


def _s16le(sound: npt.NDArray[np.float32]) -> bytes:
    """What is no number is silence."""
    scaled = np.clip(np.rint(np.nan_to_num(sound, nan=0.0, posinf=2.0, neginf=-2.0) * _FULL), -_FULL - 1, _FULL)
    raw: bytes = scaled.astype("<i2").tobytes()
    return raw


def quiet_end(sound: npt.NDArray[np.float32], most: int) -> int:
    """Where to cut, in samples, at most `most`: the middle of the quietest fifth of a second shortly before it."""
    earliest = max(most - round(QUIET_SECONDS * SAMPLE_RATE), most // 2)
    count = (most - earliest) // WINDOW
    if count < 1:
        return most
    windows = sound[most - count * WINDOW : most].reshape(count, WINDOW)
    energy = np.square(windows, dtype=np.float64).sum(axis=1)
    quietest = count - 1 - int(np.argmin(energy[::-1]))  # the last of equals: few and long parts
    return most - count * WINDOW + quietest * WINDOW + WINDOW // 2
