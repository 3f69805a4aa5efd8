"""Sound files as people have them, made by FFmpeg's own encoders from samples."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer

RATE = 16_000
Sound = npt.NDArray[np.float32]

# Ending → container, codec, rate. Opus has no 44.1 kHz.
FORMATS = {
    "m4a": ("ipod", "aac", 44_100),
    "mp3": ("mp3", "libmp3lame", 44_100),
    "ogg": ("ogg", "libopus", 48_000),
    "webm": ("webm", "libopus", 48_000),
    "flac": ("flac", "flac", 16_000),
    "wav": ("wav", "pcm_s16le", 22_050),
    "mp4": ("mp4", "aac", 44_100),
    "mkv": ("matroska", "flac", 48_000),
}


def encode(ending: str, *tracks: Sound, layout: str = "mono", video: bool | None = None, start: float = 0.0) -> bytes:
    """The tracks (channels by samples, or samples) at 16 kHz as a file of that kind.

    start: seconds after the video's start at which the sound begins.
    """
    container, codec, rate = FORMATS[ending]
    with_video = ending == "mp4" if video is None else video
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        picture = out.add_stream("mpeg4", rate=5, width=32, height=32, pix_fmt="yuv420p") if with_video else None
        streams: list[Any] = [out.add_stream(codec, rate=rate, layout=layout) for _ in tracks]
        if picture is not None:
            seconds = np.atleast_2d(tracks[0]).shape[1] / RATE if tracks else 1.0
            for _ in range(int(5 * (start + seconds))):
                image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
                out.mux(picture.encode(image))
            out.mux(picture.encode(None))
        _write_tracks(out, streams, tracks, start)
    return file.getvalue()


def _write_tracks(out: OutputContainer, streams: Sequence[AudioStream], tracks: Sequence[Sound], start: float) -> None:
    for stream, sound in zip(streams, tracks, strict=True):
        resampler = av.AudioResampler(format=stream.format, layout=stream.layout, rate=stream.rate)
        clock = round(start * stream.rate)
        for frame in [*resampler.resample(_frame(sound)), *resampler.resample(None)]:
            frame.pts, frame.time_base = clock, Fraction(1, stream.rate)
            clock += frame.samples
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _frame(sound: Sound) -> AudioFrame:
    planes = np.ascontiguousarray(np.atleast_2d(sound), np.float32)
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(planes)]
    frame = AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
    frame.sample_rate = RATE
    return frame
