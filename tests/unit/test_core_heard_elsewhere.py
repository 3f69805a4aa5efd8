"""A recording whose listeners go away: every word once, in its time, by whoever may be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest

from qvac_core.core.heard_elsewhere import Listeners, TakenOver, heard_to_the_end
from qvac_core.core.state import SpeechChoice, Target
from qvac_core.engines.speech import Finished, Segment, SpeechEnd, TranscriptionEvent
from qvac_core.errors import ConnectionClosed, LocalProtocolError, ModelError, ProviderError, QvacError

WORDS = ("And", "so", "my", "fellow", "Americans", "ask", "not")
STUDIO, ATTIC = "aa" * 32, "bb" * 32
GONE = ConnectionClosed("the peer stopped answering", name="ETIMEDOUT")


class Room:
    """Each word takes a second. breaks: after how many seconds of the recording somebody ends, and how."""

    def __init__(self, breaks: dict[str, tuple[int, QvacError]], *, hears_all: frozenset[str] = frozenset()) -> None:
        self.breaks = breaks
        self.hears_all = hears_all
        self.asked: list[tuple[str, int, bool]] = []

    async def listen(
        self, who: Target, start_ms: int, *, impatient: Callable[[], bool]
    ) -> AsyncGenerator[TranscriptionEvent, None]:
        self.asked.append((who.provider_key, start_ms, impatient()))
        first = 0 if who.provider_key in self.hears_all else start_ms // 1000
        until, error = self.breaks.get(who.provider_key, (len(WORDS), None))
        for number, second in enumerate(range(first, min(until, len(WORDS)))):
            yield Segment(number, second * 1000, second * 1000 + 1000, WORDS[second])
        if error is not None:
            raise error
        yield Finished(SpeechEnd.EOS, "en", len(WORDS) * 1000)


def choices(*where: str) -> Sequence[SpeechChoice]:
    return [SpeechChoice("base", key) for key in where]


def run(room: Room, listeners: Listeners, first: str = STUDIO) -> list[TranscriptionEvent | TakenOver]:
    async def main() -> list[TranscriptionEvent | TakenOver]:
        return [event async for event in heard_to_the_end(Target(first, "base"), room.listen, listeners)]

    return asyncio.run(main())


def said(events: Sequence[object]) -> list[tuple[int, str, int]]:
    return [(each.id, each.text, each.start_ms) for each in events if isinstance(each, Segment)]


ALL = [(number, word, number * 1000) for number, word in enumerate(WORDS)]


def test_the_next_one_goes_on_behind_what_was_heard_and_then_this_machine() -> None:
    room = Room({STUDIO: (3, GONE), ATTIC: (5, GONE)})
    events = run(room, Listeners(lambda: choices("", STUDIO, ATTIC), (STUDIO, ATTIC), here=True))
    assert said(events) == ALL
    assert room.asked == [(STUDIO, 0, True), (ATTIC, 3000, True), ("", 5000, False)]
    assert [event for event in events if isinstance(event, TakenOver)] == [
        TakenOver(Target(STUDIO, "base"), Target(ATTIC, "base"), 3000),
        TakenOver(Target(ATTIC, "base"), Target("", "base"), 5000),
    ]
    (end,) = [event for event in events if isinstance(event, Finished)]
    assert (end.audio_ms, end.stats.segments) == (7000, 7)


def test_a_refusal_is_an_end_like_another() -> None:
    room = Room({STUDIO: (0, ProviderError("used up", name="REQUEST_REJECTED_BY_POLICY", code=52420))})
    assert said(run(room, Listeners(lambda: choices(""), here=True))) == ALL


@pytest.mark.parametrize(
    "error",
    [
        LocalProtocolError("The file cannot be read: No such file or directory."),
        ProviderError("There is no sound in this file.", name="TRANSCRIPTION_FAILED", code=52403),
    ],
)
def test_what_is_wrong_with_the_recording_is_told_at_once(error: QvacError) -> None:
    room = Room({STUDIO: (0, error)})
    with pytest.raises(type(error), match=str(error.message)[:20]):
        run(room, Listeners(lambda: choices(""), here=True))
    assert len(room.asked) == 1


def test_nothing_leaves_this_machine_that_was_to_stay_here() -> None:
    room = Room({"": (2, ModelError("The speech process ended."))})
    with pytest.raises(ModelError):
        run(room, Listeners(lambda: choices("", STUDIO), (STUDIO,), here=True), first="")
    assert room.asked == [("", 0, False)]


def test_without_anybody_the_error_is_that_of_who_went_away() -> None:
    room = Room({STUDIO: (2, GONE)})
    for listeners in (
        Listeners(lambda: choices(STUDIO), (STUDIO,), here=True),
        Listeners(lambda: choices("", ATTIC), (), here=False),
        Listeners(lambda: [SpeechChoice("base.en", "", languages=("en",))], here=True, language="de"),
        Listeners(lambda: [SpeechChoice("base", "", usable=False)], here=True),
    ):
        with pytest.raises(ConnectionClosed):
            run(room, listeners)
    assert set(room.asked) == {(STUDIO, 0, False)}


def test_the_same_model_goes_before_another() -> None:
    there = [SpeechChoice("large", "", loaded=True, preferred=True), SpeechChoice("base", "")]
    assert Listeners(lambda: there, here=True).next(Target(STUDIO, "base")) == Target("", "base")
    assert Listeners(lambda: there, here=True).next(Target(STUDIO, "small")) == Target("", "large")


@pytest.mark.parametrize("far", [60_000, 9_000_000_000])
@pytest.mark.parametrize("then", ["", ATTIC])
def test_who_tells_of_sound_behind_the_end_costs_nobody_the_rest(far: int, then: str) -> None:
    room = Room({})

    async def listen(
        who: Target, start_ms: int, *, impatient: Callable[[], bool]
    ) -> AsyncGenerator[TranscriptionEvent, None]:
        if who.provider_key == STUDIO:
            yield Segment(0, 0, 1000, WORDS[0])
            yield Segment(1, far, far + 1000, "nonsense")
            raise GONE
        async for event in room.listen(who, start_ms, impatient=impatient):
            yield event

    async def main() -> list[TranscriptionEvent | TakenOver]:
        listeners = Listeners(lambda: choices("", STUDIO, ATTIC), (STUDIO, then), here=not then)
        return [event async for event in heard_to_the_end(Target(STUDIO, "base"), listen, listeners)]

    events = asyncio.run(main())
    assert [text for _, text, _ in said(events) if text != "nonsense"] == list(WORDS)
    assert [(who, start) for who, start, _ in room.asked] == [(then, far + 1000), (then, 1000)]
    assert sum(isinstance(event, Finished) for event in events) == 1
