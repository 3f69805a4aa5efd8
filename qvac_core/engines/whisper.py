"""whisper.cpp through pywhispercpp 1.5.1's binding, on the one thread that owns it. In the speech process alone.

The binding itself and not its class `Model`, whose options stay for later calls and which makes a model of any file.
What the library does without an error, and what is done about it here: without samples it gives the transcript of the
call before (not called then); a strided or integer array is read as if it were contiguous floats (`checked`); silence
becomes [BLANK_AUDIO] of ten seconds (left out); times lie outside the audio (cut to it); less than 100 ms give nothing
(silence is put behind); an unknown language means "find it" (looked up first); `detect_language` finds it and
transcribes nothing (the language "auto" does both); a call that was aborted may return 0 with an empty list (told by
our own flag).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import _pywhispercpp as binding
import numpy as np
import numpy.typing as npt

from qvac_core.engines.speech import SAMPLE_RATE, Segment
from qvac_core.engines.speech_task import Heard, Sound, Task
from qvac_core.engines.whisper_file import read_whisper
from qvac_core.errors import ModelError

LEAST = SAMPLE_RATE  # samples that the model is given; whisper.cpp refuses less than 100 ms without a word
SILENT = 0.0005  # of full scale, -66 dB: what never gets louder is no speech, and the model would invent some
PROMPT_LIMIT = 2000  # characters; the model takes in the last 224 tokens
MARKERS = frozenset(("[BLANK_AUDIO]", "[ Silence ]", "[silence]", "(silence)", "[SILENCE]"))
ENGLISH = "en"


class Whisper:
    """One model. Raises ModelError when it cannot be loaded."""

    def __init__(self, path: Path, *, threads: int, gpu: bool) -> None:
        self.file = read_whisper(path)
        options = binding.whisper_context_default_params()
        options.use_gpu = gpu
        self._threads = threads
        self._context = binding.whisper_init_from_file_with_params(str(path), options)
        # Where it could not be loaded this is a null pointer in an object that looks like any other. Asking it ends the
        # process, which the app tells as "could not be loaded": the file was looked at above, so memory is short.
        self.multilingual = bool(binding.whisper_is_multilingual(self._context))
        self.languages = _languages() if self.multilingual else (ENGLISH,)

    def language(self, wanted: str) -> str:
        """The code of a language that is asked for by code or name; "" = to be found. Raises ModelError."""
        name = wanted.strip().lower()
        if name in ("", "auto"):
            return "" if self.multilingual else ENGLISH
        number = binding.whisper_lang_id(name)
        if number < 0:
            raise ModelError(
                f'There is no language "{wanted[:40]}". Write its code (en, de, fr, …) or leave it to the model.',
                name="TRANSCRIPTION_FAILED",
                code=52403,
            )
        code = str(binding.whisper_lang_str(number))
        if code not in self.languages:
            raise ModelError(
                "This model understands English only. Choose a model without .en in its name for other languages.",
                name="TRANSCRIPTION_FAILED",
                code=52403,
            )
        return code

    def hear(
        self, sound: Sound, task: Task, on_segment: Callable[[Segment], None], is_cancelled: Callable[[], bool]
    ) -> Heard:
        """The transcript of a piece of sound; segments are told as they come. Blocks for as long as it takes."""
        sound = checked(sound)
        if sound.size == 0 or float(np.max(np.abs(sound))) < SILENT:
            return Heard((), task.language)
        length_ms = sound.size * 1000 // SAMPLE_RATE
        padded = sound if sound.size >= LEAST else np.concatenate([sound, np.zeros(LEAST - sound.size, np.float32)])
        options = self._options(task)
        reader = _Reader(self._context, length_ms)
        aborted = left = False

        def abort() -> bool:
            nonlocal aborted
            aborted = aborted or is_cancelled()
            return aborted

        def segments_came(_context: object, count: int, _data: object = None) -> None:
            if not aborted:
                for segment in reader.read(count):
                    on_segment(segment)

        def encode(_context: object, _data: object = None) -> bool:
            """Each pass takes in thirty seconds, however few are left: not for sound that the next piece brings."""
            nonlocal left
            left = 0 < task.enough_ms <= reader.end_ms
            return not left

        binding.assign_abort_callback(options, abort)
        binding.assign_encoder_begin_callback(options, encode)
        binding.assign_new_segment_callback(options, segments_came)
        code = binding.whisper_full(self._context, options, padded, padded.size)
        if aborted:
            return Heard((), task.language, aborted=True)
        if code != 0:
            raise ModelError(
                "The model could not transcribe this piece of sound.", name="TRANSCRIPTION_FAILED", code=52403
            )
        found = task.language or str(binding.whisper_lang_str(binding.whisper_full_lang_id(self._context)))
        return Heard(tuple(reader.segments), found, left=left)

    def _options(self, task: Task) -> object:
        """Fresh ones for every call: what is set on them stays."""
        greedy = binding.whisper_sampling_strategy.WHISPER_SAMPLING_GREEDY
        options = binding.whisper_full_default_params(greedy)
        options.n_threads = self._threads
        options.print_progress = options.print_realtime = options.print_timestamps = False
        options.no_context = True
        options.language = task.language or "auto"
        options.translate = task.translate
        if task.prompt:
            options.initial_prompt = task.prompt[-PROMPT_LIMIT:]
        if task.words:
            options.token_timestamps = options.split_on_word = True
            options.max_len = 1
        return options


class _Reader:
    """The segments of one call, within its sound and one after the other."""

    def __init__(self, context: object, length_ms: int) -> None:
        self._context = context
        self._length_ms = length_ms
        self.end_ms = 0
        self.segments: list[Segment] = []

    def read(self, count: int) -> list[Segment]:
        total = binding.whisper_full_n_segments(self._context)
        fresh = []
        for place in range(total - count, total):
            text = binding.whisper_full_get_segment_text(self._context, place).decode("utf-8", "replace").strip()
            if not text or text in MARKERS:
                continue
            start = 10 * binding.whisper_full_get_segment_t0(self._context, place)
            end = 10 * binding.whisper_full_get_segment_t1(self._context, place)
            fresh.append(self._within(Segment(len(self.segments), start, end, text)))
            self.segments.append(fresh[-1])
        return fresh

    def _within(self, segment: Segment) -> Segment:
        start = min(max(segment.start_ms, self.end_ms), self._length_ms)
        self.end_ms = min(max(segment.end_ms, start), self._length_ms)
        return replace(segment, start_ms=start, end_ms=self.end_ms)


def checked(sound: npt.NDArray[np.generic]) -> Sound:
    """The sound as the library reads it. Raises ModelError for what is not one channel of float32."""
    if sound.dtype != np.float32 or sound.ndim != 1:
        raise ModelError("Samples must be one channel of float32.", name="TRANSCRIPTION_FAILED", code=52403)
    return np.ascontiguousarray(np.nan_to_num(sound), np.float32)


def _languages() -> tuple[str, ...]:
    return tuple(str(binding.whisper_lang_str(number)) for number in range(binding.whisper_lang_max_id() + 1))
