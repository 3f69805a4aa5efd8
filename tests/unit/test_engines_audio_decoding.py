"""Every kind of file people have, whole and damaged, as the samples that Whisper hears."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from qvac_core.delegation.blob_upload import open_file
from qvac_core.engines.audio_decoding import BLOCK, SILENCE_BLOCK, Block, Decoding
from qvac_core.engines.speech import SAMPLE_RATE
from qvac_core.errors import LocalProtocolError, ModelError
from tests.sound_files import FORMATS, Sound, encode
from tests.speech_files import kennedy_wav, samples_of


@pytest.fixture(scope="module")
def speech() -> Sound:
    return samples_of(kennedy_wav())


def decoded(source: Path | bytes, max_seconds: float = 0.0) -> tuple[Block, Decoding]:
    decoding = Decoding(source, max_seconds)
    return np.concatenate([np.zeros(0, np.float32), *decoding.blocks()]), decoding


def alike(heard: Block, said: Sound, *, offset: float = 0.0, within: float = 0.08) -> bool:
    """Whether the sound stands at `offset` seconds, give or take what a codec delays it (70 ms at most)."""
    spread = round(within * SAMPLE_RATE)
    start = round(offset * SAMPLE_RATE)
    piece = said[SAMPLE_RATE : 4 * SAMPLE_RATE].astype(np.float64)
    place = heard[start + SAMPLE_RATE - spread : start + 4 * SAMPLE_RATE + spread].astype(np.float64)
    match = np.correlate(place, piece, "valid")
    return bool(match.max() > 0.9 * np.sum(piece * piece))


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_is_heard_whole_and_in_its_place(speech: Sound, ending: str, tmp_path: Path) -> None:
    data = encode(ending, speech)
    heard, decoding = decoded(data)
    assert alike(heard, speech)
    assert len(heard) / SAMPLE_RATE == pytest.approx(11.0, abs=0.1)
    assert decoding.notices == []
    path = tmp_path / "sound without an ending"
    path.write_bytes(data)
    again, _ = decoded(path)
    assert np.array_equal(heard, again)  # a path and its bytes are the same file


def test_blocks_are_bounded(speech: Sound) -> None:
    blocks = list(Decoding(encode("flac", speech)).blocks())
    assert len(blocks) > 10
    assert max(block.size for block in blocks) < 3 * BLOCK
    assert all(block.dtype == np.float32 and block.ndim == 1 and block.flags.c_contiguous for block in blocks)


def test_sound_that_begins_later_than_its_video_keeps_its_place(speech: Sound) -> None:
    heard, _ = decoded(encode("mp4", speech, start=3.0))
    assert len(heard) / SAMPLE_RATE == pytest.approx(14.0, abs=0.2)
    assert not np.any(heard[: int(2.9 * SAMPLE_RATE)])
    assert alike(heard, speech, offset=3.0)


def test_a_hole_is_silence_handed_on_in_pieces(speech: Sound) -> None:
    decoding = Decoding(encode("mkv", speech, video=True, start=45.0))
    blocks = list(decoding.blocks())
    assert max(block.size for block in blocks) < SILENCE_BLOCK + 3 * BLOCK
    assert alike(np.concatenate(blocks), speech, offset=45.0)


def test_opposite_phases_and_a_dead_side(speech: Sound) -> None:
    heard, _ = decoded(encode("flac", np.stack([speech, -speech]), layout="stereo"))
    assert alike(heard, speech)
    heard, _ = decoded(encode("flac", np.stack([speech, np.zeros_like(speech)]), layout="stereo"))
    assert alike(2 * heard, speech)


def test_the_voice_in_the_centre_of_six_channels_is_heard(speech: Sound) -> None:
    silence = np.zeros_like(speech)
    surround = np.stack([silence, silence, speech, silence, silence, silence])
    heard, _ = decoded(encode("flac", surround, layout="5.1"))
    loudness = float(np.sqrt(np.mean(np.square(heard))) / np.sqrt(np.mean(np.square(speech))))
    assert loudness > 0.2
    assert alike(heard / loudness, speech)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_loudest_track_is_taken(speech: Sound, order: tuple[int, int]) -> None:
    tracks = [np.zeros_like(speech), speech]
    heard, _ = decoded(encode("mkv", *(tracks[place] for place in order)))
    assert alike(heard, speech)


def test_the_rate_may_change_within_a_file(speech: Sound) -> None:
    """Two MP3 files put one after the other, as a shell does it: another rate, another layout, another clock."""
    other = {**FORMATS, "mp3": ("mp3", "libmp3lame", 22_050)}
    first = encode("mp3", speech)
    try:
        FORMATS.update(other)
        second = encode("mp3", np.stack([speech, speech]), layout="stereo")
    finally:
        FORMATS["mp3"] = ("mp3", "libmp3lame", 44_100)
    heard, _ = decoded(first + second)
    assert len(heard) / SAMPLE_RATE == pytest.approx(22.0, abs=0.3)
    assert alike(heard, speech)
    assert alike(heard, speech, offset=11.0, within=0.3)


def test_two_chained_oggs_are_both_heard(speech: Sound) -> None:
    data = encode("ogg", speech)
    heard, _ = decoded(data + data)
    assert len(heard) / SAMPLE_RATE == pytest.approx(22.0, abs=0.3)
    assert alike(heard, speech, offset=11.0, within=0.3)


@pytest.mark.parametrize("ending", ["mp3", "webm", "wav", "flac"])
def test_what_is_left_of_a_file_cut_off_is_heard_and_said(speech: Sound, ending: str) -> None:
    data = encode(ending, speech)
    heard, decoding = decoded(data[: len(data) * 6 // 10])
    assert 5.0 < len(heard) / SAMPLE_RATE < 8.0
    assert alike(heard, speech)
    (notice,) = decoding.notices
    assert "ends early" in notice


def test_a_damaged_place_costs_only_itself(speech: Sound) -> None:
    data = bytearray(encode("flac", speech))
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    heard, decoding = decoded(bytes(data))
    assert len(heard) / SAMPLE_RATE == pytest.approx(11.0, abs=0.5)
    assert alike(heard, speech)
    assert any("damaged" in notice for notice in decoding.notices)


def test_a_recording_without_its_index_says_what_helps(speech: Sound) -> None:
    data = encode("m4a", speech)
    with pytest.raises(ModelError, match="cut off or not copied whole"):
        decoded(data[: len(data) * 6 // 10])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty"),
        (b"hello, this is a text file\n" * 50, "no sound or video file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "no sound or video file"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n", "no sound or video file"),
    ],
)
def test_what_is_no_sound_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        decoded(data)


def test_a_video_without_sound_and_files_that_cannot_be_opened(tmp_path: Path, speech: Sound) -> None:
    with pytest.raises(ModelError, match="There is no sound in this file"):
        decoded(encode("mp4", video=True))
    with pytest.raises(ModelError, match="cannot be read"):
        decoded(tmp_path / "missing.wav")
    with pytest.raises(ModelError, match="cannot be read"):
        decoded(tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        decoded(tmp_path / "a\0.wav")


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files in a folder")
@pytest.mark.timeout(30)
def test_a_pipe_is_neither_read_nor_sent(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe.wav")
    with pytest.raises(ModelError, match="no regular file"):
        decoded(pipe)
    with pytest.raises(LocalProtocolError, match="no regular file"):
        open_file(pipe)
    with pytest.raises(LocalProtocolError, match="no file has such a name"):
        open_file(tmp_path / "a\0.wav")


def test_hours_in_few_bytes_end_at_the_limit(speech: Sound) -> None:
    """FLAC makes nearly nothing of silence. Refused by what it says, or else where the limit is."""
    silence = np.zeros(60 * SAMPLE_RATE, np.float32)
    data = encode("flac", silence)
    assert len(data) < 60 * SAMPLE_RATE / 10
    with pytest.raises(ModelError, match="longer than the 0:20") as refused:
        next(Decoding(data, 20.0).blocks())
    assert refused.value.code == 52420
    unsaid = encode("webm", silence[: 30 * SAMPLE_RATE])
    decoding = Decoding(unsaid, 28.0)
    seconds = 0.0
    with pytest.raises(ModelError, match="longer"):
        for block in decoding.blocks():
            seconds += block.size / SAMPLE_RATE
    assert seconds <= 28.0
    heard, _ = decoded(data, 61.0)
    assert len(heard) == 60 * SAMPLE_RATE
