"""Sound of any file as 16 kHz mono float32, in blocks of bounded size. Runs in the speech process alone.

PyAV 18.1.0 (FFmpeg 8). What it does without telling, and what is done about it here:
`decode()` leaves holes out (an audio track that begins later than its video): the frames' times put silence there. One
bad packet ends `container.decode()`: packets are decoded one by one. The resampler refuses a change of rate or layout:
each kind of frame gets its own. Stereo with opposite phases sums to silence: the louder side then. The first track may
be silent: the loudest of the first seconds. A file cut off ends without an error: its length is compared. The duration
is missing or wrong for several formats: it is a hint for progress, never a length.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from qvac_core.engines.speech import SAMPLE_RATE
from qvac_core.errors import ModelError

Block = npt.NDArray[np.float32]

BLOCK = SAMPLE_RATE // 2  # samples: the least that is judged for phases, and about what is handed on at once
HOLE = 0.1  # seconds between the frames' times that are no jitter
SILENCE_BLOCK = 10 * SAMPLE_RATE  # samples of a hole handed on at once
DAMPED = 0.1  # of a side: 20 dB, then the sum of both has cancelled itself out
LISTEN_SECONDS = 10.0  # of each track, to find the one with sound
TRACK_LIMIT = 8  # tracks that are listened to
SEAMLESS = frozenset(("flac", "wav", "mp3"))  # in these, a hole between two frames is damage
WAV_HEAD = 64 * 1024  # bytes in which a WAV file says how long it is
WAV_OPEN = 0x7FFFFFFF  # sizes from here on are no sizes
BAD_LIMIT = 2000  # damaged packets before the first sound: then it is no sound at all
EARLY = 0.9  # of the length that the file states. Lengths guessed from the bit rate are 5 % off
EARLY_SECONDS = 1.0

# Containers that carry sound and nothing else that FFmpeg would open: no playlists, no streams from the network, no
# devices. A playlist that pretends to be a sound would have it read other files of this machine.
FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,gsm,loas,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,"
    "mp3,mpc,mpc8,mpeg,mpegts,mxf,ogg,opus,rm,tta,voc,w64,wav,wv"
)
_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}


def sound_error(message: str) -> ModelError:
    return ModelError(message, name="TRANSCRIPTION_FAILED", code=52403)


@dataclass
class Decoding:
    """One file while it is read. `blocks` may be iterated once.

    start_seconds: what is before is left out, to a frame of the file.
    total_seconds: as the file states it, None where it does not. notices: grows until the end.
    """

    source: Path | bytes
    max_seconds: float = 0.0
    total_seconds: float | None = None
    notices: list[str] = field(default_factory=list)
    start_seconds: float = 0.0
    _samples: int = 0  # handed on

    def blocks(self) -> Iterator[Block]:
        """Raises ModelError with what is wrong with the file; what was handed on before stays good."""
        try:
            with _open(self.source) as file:
                yield from self._read(file)
        except OSError as error:
            if isinstance(error, av.FFmpegError):
                raise sound_error("This file cannot be read as sound: it is damaged.") from None
            raise sound_error(f"The file cannot be read: {error.strerror or 'read error'}.") from None

    def _read(self, file: BinaryIO) -> Iterator[Block]:
        with _container(file) as container:
            track = _loudest(container)
        file.seek(0)
        with _container(file) as container:
            stream = container.streams.audio[track]
            file_end = file.tell()
            file.seek(0)
            declared = _declared_by_wav(file.read(WAV_HEAD))
            file.seek(file_end)
            self.total_seconds = declared or _stated_length(container, stream)
            if self.max_seconds and self.total_seconds and self.total_seconds > self.max_seconds * 1.1:
                raise self.too_long()
            reader = _Track(container, stream, self.start_seconds)
            yield from self._blocks(reader)
        if not self.start_seconds:
            self._judge(reader)

    def _blocks(self, reader: _Track) -> Iterator[Block]:
        for block in reader.blocks():
            self._samples += block.size
            if self.max_seconds and self._samples > self.max_seconds * SAMPLE_RATE:
                raise self.too_long()
            yield block

    def _judge(self, reader: _Track) -> None:
        seconds = self._samples / SAMPLE_RATE
        if not reader.frames:
            raise sound_error("There is no sound in this file that can be read: it is damaged, or protected.")
        stated = self.total_seconds
        if stated is not None and seconds < stated * EARLY and stated - seconds > EARLY_SECONDS:
            self.notices.append(
                f"The file ends early: {_clock(seconds)} of {_clock(stated)} are there. "
                "It was cut off or not copied whole."
            )
        elif reader.bad:
            places = "place is" if reader.bad == 1 else "places are"
            self.notices.append(f"The file is damaged: {reader.bad} {places} left out.")

    def too_long(self) -> ModelError:
        return ModelError(
            f"This audio is longer than the {_clock(self.max_seconds)} that are allowed. Send it in parts.",
            name="REQUEST_REJECTED_BY_POLICY",
            code=52420,
            typed_fields={"reason": "limit"},
        )


class _Track:
    """One audio track, decoded packet by packet and put where its times say."""

    def __init__(self, container: InputContainer, stream: AudioStream, start: float = 0.0) -> None:
        self._container = container
        self._stream = stream
        self._origin = (container.start_time or 0) / av.time_base
        self._start = start
        if start:
            with contextlib.suppress(av.FFmpegError):  # then everything before is decoded and left out
                container.seek(round((start + self._origin) * av.time_base))
        self._seamless = container.format.name in SEAMLESS
        self._mono = _Mono()
        self._at = 0.0  # seconds of the track's time that are handed on or in the resampler
        self._shift = 0.0  # seconds between the frames' times and ours, once their clock was set back
        self.frames = 0
        self.bad = 0

    def blocks(self) -> Iterator[Block]:
        waiting: list[Block] = []
        size = 0
        for piece in self._pieces():
            waiting.append(piece)
            size += piece.size
            if size >= BLOCK:
                yield np.concatenate(waiting)
                waiting, size = [], 0
        if size:
            yield np.concatenate(waiting)

    def _pieces(self) -> Iterator[Block]:
        for frame in self._all_frames():
            if not frame.sample_rate or not frame.samples or self._is_before(frame):
                continue
            yield from self._hole_before(frame)
            self.frames += 1
            self._at += frame.samples / frame.sample_rate
            yield from self._mono.take(frame)
        yield from self._mono.flush()

    def _is_before(self, frame: AudioFrame) -> bool:
        """All of it, where we begin."""
        if self.frames or not self._start or frame.time is None:
            return False
        time = frame.time - self._origin
        self._at = min(time, self._start)
        return time + frame.samples / frame.sample_rate <= self._start

    def _hole_before(self, frame: AudioFrame) -> Iterator[Block]:
        if frame.time is None:
            return
        time = frame.time - self._origin + self._shift
        hole = time - self._at
        if hole < -HOLE and self.frames:
            self._shift -= hole  # the clock starts anew: two files one after the other
        elif hole > HOLE:
            yield from self._mono.flush()
            if self._seamless and self.frames:
                self.bad += 1  # the decoder went over it without a word
            left = round(hole * SAMPLE_RATE)
            self._at = time
            while left > 0:
                yield np.zeros(min(left, SILENCE_BLOCK), np.float32)
                left -= SILENCE_BLOCK

    def _all_frames(self) -> Iterator[AudioFrame]:
        """Past damaged packets. The demuxer itself may give up at a damaged place: it is asked once more there."""
        gave_up = -1
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    yield from self._frames_of(packet)
                return
            except (av.error.InvalidDataError, av.error.EOFError):
                self._count_bad()
                if self.frames == gave_up:
                    return
                gave_up = self.frames

    def _frames_of(self, packet: av.Packet[AudioStream]) -> list[AudioFrame]:
        try:
            return packet.decode()
        except av.error.InvalidDataError:
            self._count_bad()
        except av.error.EOFError:
            pass  # the decoder was flushed already
        return []

    def _count_bad(self) -> None:
        self.bad += 1
        if self.bad > BAD_LIMIT and not self.frames:
            raise sound_error("There is no sound in this file that can be read: it is damaged, or protected.")


class _Mono:
    """Frames of any kind as 16 kHz mono. Two channels stay two until their phases were compared."""

    def __init__(self) -> None:
        self._kind: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None
        self._sides: list[npt.NDArray[np.float32]] = []
        self._held = 0

    def take(self, frame: AudioFrame) -> Iterator[Block]:
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind or self._resampler is None:
            yield from self.flush()
            self._kind = kind
            layout = frame.layout.name if frame.layout.nb_channels <= 2 else "mono"
            self._resampler = AudioResampler(format="fltp", layout=layout, rate=SAMPLE_RATE)
        yield from self._resampled(frame)

    def flush(self) -> Iterator[Block]:
        """What is still inside; the next frame begins anew."""
        if self._resampler is not None:
            yield from self._resampled(None)
        self._resampler = None
        yield from self._mixed()

    def _resampled(self, frame: AudioFrame | None) -> Iterator[Block]:
        assert self._resampler is not None
        for done in self._resampler.resample(frame):
            planes = np.nan_to_num(np.asarray(done.to_ndarray(), np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
            if len(planes) == 1:
                yield np.ascontiguousarray(planes[0])
                continue
            self._sides.append(planes)
            self._held += planes.shape[1]
            if self._held >= BLOCK:
                yield from self._mixed()

    def _mixed(self) -> Iterator[Block]:
        if self._sides:
            yield mixed_down(np.concatenate(self._sides, axis=1))
        self._sides, self._held = [], 0


def mixed_down(sides: npt.NDArray[np.float32]) -> Block:
    """Two channels (2, n) as one: their mean, or the louder one where they cancel each other out."""
    mean = np.ascontiguousarray(sides.mean(axis=0), np.float32)
    levels = np.sqrt(np.mean(np.square(sides, dtype=np.float64), axis=1))
    louder = int(np.argmax(levels))
    if np.sqrt(np.mean(np.square(mean, dtype=np.float64))) < DAMPED * levels[louder]:
        return np.ascontiguousarray(sides[louder], np.float32)
    return mean


def _open(source: Path | bytes) -> BinaryIO:
    """A file object of ours: FFmpeg would take a name for an address, or for a pattern of names."""
    if isinstance(source, Path):
        if source.exists() and not source.is_file() and not source.is_dir():  # reading a pipe might never end
            raise sound_error("The recording is no regular file. Give a file.")
        try:
            return source.open("rb")
        except ValueError:  # a null character
            raise sound_error("The file cannot be read: no file has such a name.") from None
    return io.BytesIO(source)


def _container(file: BinaryIO) -> InputContainer:
    if not file.read(1):
        raise sound_error("The file is empty.")
    file.seek(0)
    options: dict[str, Any] = {"options": _OPTIONS, "metadata_errors": "replace"}
    try:
        container: InputContainer = av.open(file, "r", **options)
    except (av.FFmpegError, ValueError, UnicodeDecodeError):
        raise sound_error(
            "This is no sound or video file that can be read. If it should be one, it was cut off or not copied whole: "
            "get it again."
        ) from None
    if not container.streams.audio:
        container.close()
        raise sound_error("There is no sound in this file.")
    return container


def _loudest(container: InputContainer) -> int:
    """Index of the audio track with the most sound in its first seconds."""
    tracks = container.streams.audio[:TRACK_LIMIT]
    if len(tracks) == 1:
        return 0
    energy = [0.0] * len(tracks)
    heard = [0.0] * len(tracks)
    try:
        for packet in container.demux(tracks):
            place = tracks.index(packet.stream)
            if heard[place] < LISTEN_SECONDS:
                for frame in _decoded(packet):
                    heard[place] += frame.samples / max(frame.sample_rate, 1)
                    energy[place] += _energy(frame)
            if packet.pts is not None and packet.time_base is not None:
                at = float(packet.pts * packet.time_base) - (container.start_time or 0) / av.time_base
                if at > LISTEN_SECONDS and any(energy):
                    break
    except av.FFmpegError:
        pass  # damaged further on: what was heard decides
    return int(np.argmax(energy))


def _decoded(packet: av.Packet[AudioStream]) -> list[AudioFrame]:
    try:
        return packet.decode()
    except av.FFmpegError:
        return []


def _energy(frame: AudioFrame) -> float:
    """Of its samples, as a part of the loudest that its format can hold."""
    samples = frame.to_ndarray()
    kind, width = samples.dtype.kind, 8 * samples.dtype.itemsize
    full = 1.0 if kind == "f" else 2.0 ** (width - 1)
    centre = full if kind == "u" else 0.0
    return float(np.sum(np.square(np.nan_to_num((samples.astype(np.float64) - centre) / full))))


def _stated_length(container: InputContainer, stream: AudioStream) -> float | None:
    if container.duration is not None and container.duration > 0:
        return container.duration / av.time_base
    if stream.duration is not None and stream.time_base is not None and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    return None


def _declared_by_wav(head: bytes) -> float | None:
    """Seconds that a WAV file was meant to have, by its own header: FFmpeg believes the file's size instead.

    None for anything else, and where the header leaves it open, as a program does that writes to a pipe.
    """
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    at, rate = 12, 0
    while at + 8 <= len(head):
        kind, size = struct.unpack_from("<4sI", head, at)
        if kind == b"fmt " and at + 20 <= len(head):
            (rate,) = struct.unpack_from("<I", head, at + 16)  # bytes per second
        if kind == b"data":
            return size / rate if rate and 0 < size < WAV_OPEN else None
        at += 8 + size + size % 2
    return None


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
