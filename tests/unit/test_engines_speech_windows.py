"""A transcript in the making, with a model that says where the sound stood: every second holds its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from qvac_core.engines.speech import SAMPLE_RATE, Segment
from qvac_core.engines.speech_task import Heard, Sound, Task
from qvac_core.engines.speech_windows import Place, Windows


def counting(seconds: int, block: float = 0.7) -> Iterator[Sound]:
    """The sound: second n is a constant n + 1."""
    sound = np.repeat(np.arange(1, seconds + 1, dtype=np.float32), SAMPLE_RATE)
    step = round(block * SAMPLE_RATE)
    for start in range(0, sound.size, step):
        yield sound[start : start + step]


class Ears:
    """Hears one segment for each `length` seconds of its piece, named after the second that it begins with."""

    def __init__(self, length: int = 4, language: str = "en") -> None:
        self.length = length
        self.language = language
        self.tasks: list[Task] = []
        self.pieces: list[float] = []

    def __call__(
        self, sound: Sound, task: Task, on_segment: Callable[[Segment], None], is_cancelled: Callable[[], bool]
    ) -> Heard:
        self.tasks.append(task)
        self.pieces.append(sound.size / SAMPLE_RATE)
        told: list[Segment] = []
        size = self.length * SAMPLE_RATE
        left = False
        for start in range(0, sound.size, size):
            if task.enough_ms and told and told[-1].end_ms >= task.enough_ms:
                left = True
                break
            end = min(start + size, sound.size)
            name = f"s{int(sound[start]) - 1}"
            told.append(Segment(len(told), start * 1000 // SAMPLE_RATE, end * 1000 // SAMPLE_RATE, name))
            on_segment(told[-1])
        return Heard(tuple(told), task.language or self.language, left=left)


def transcript(windows: Windows, ears: Ears) -> None:
    while not windows.done:
        assert windows.step(ears, lambda: False)


@pytest.mark.parametrize("seconds", [0, 1, 3, 29, 30, 31, 95])
def test_every_second_is_heard_once_and_in_its_place(seconds: int) -> None:
    told: list[Segment] = []
    ears = Ears()
    windows = Windows(counting(seconds), Task(), 30.0, told.append)
    transcript(windows, ears)
    assert [segment.text for segment in told] == [f"s{second}" for second in range(0, seconds, 4)]
    assert [segment.start_ms for segment in told] == [second * 1000 for second in range(0, seconds, 4)]
    assert [segment.id for segment in told] == list(range(len(told)))
    assert windows.place.milliseconds == seconds * 1000
    assert max(ears.pieces, default=0) <= 30.0


def test_a_segment_as_long_as_the_window_is_taken_as_it_is() -> None:
    told: list[Segment] = []
    windows = Windows(counting(50), Task(), 20.0, told.append)
    transcript(windows, Ears(length=1000))
    assert [segment.start_ms for segment in told] == sorted(segment.start_ms for segment in told)
    assert told[-1].end_ms == 50_000


def test_the_language_found_and_the_prompt_go_with_every_window() -> None:
    ears = Ears(language="de")
    transcript(Windows(counting(60), Task(prompt="names: Ada"), 20.0, lambda _segment: None), ears)
    assert {task.prompt for task in ears.tasks} == {"names: Ada"}
    assert [task.language for task in ears.tasks] == ["", *["de"] * (len(ears.tasks) - 1)]


def test_it_goes_on_in_another_process_from_a_place() -> None:
    first: list[Segment] = []
    windows = Windows(counting(95), Task(), 30.0, first.append)
    windows.step(Ears(), lambda: False)
    place = windows.place
    assert 0 < place.milliseconds < 30_000 and place.segments == len(first)
    rest: list[Segment] = []
    again = Windows(counting(95), Task(), 30.0, rest.append, place)
    transcript(again, Ears())
    assert [segment.text for segment in first + rest] == [f"s{second}" for second in range(0, 95, 4)]
    assert [segment.id for segment in first + rest] == list(range(24))


def test_a_cancel_stops_before_more_is_read() -> None:
    read = 0

    def blocks() -> Iterator[Sound]:
        nonlocal read
        while True:
            read += 1
            yield np.ones(SAMPLE_RATE, np.float32)

    windows = Windows(blocks(), Task(), 30.0, lambda _segment: None)
    assert not windows.step(Ears(), lambda: read > 3)
    assert read <= 5
    assert windows.place == Place()
