"""Dictations and translations by id: what is told, what is kept when they break off, and that nothing outlives them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from types import TracebackType

import pytest

from qvac_core.core.answering import TranslationWish
from qvac_core.core.dictation import Dictations
from qvac_core.core.event_hub import EventHub
from qvac_core.core.state import CoreEvent, DictationEnded, DictationHeard, Target, TranslationChanged
from qvac_core.core.translating import Anew, TranslationPart
from qvac_core.core.translations import Translations
from qvac_core.engines.live_speech import SoundBytes
from qvac_core.engines.live_words import Committed, LiveEvent, LiveFinished, Tentative, TurnEnded, Voice
from qvac_core.errors import EngineCrashed, ModelError


class ScriptedSession:
    """Says `says`, then waits for `end`, then the last event; or fails."""

    def __init__(self, says: tuple[LiveEvent, ...], fails: EngineCrashed | None = None) -> None:
        self.says, self.fails = says, fails
        self.written: list[bytes] = []
        self.closed = False
        self._ended = asyncio.Event()

    async def write(self, samples: SoundBytes) -> None:
        self.written.append(bytes(samples))

    async def end(self) -> None:
        self._ended.set()

    async def __aiter__(self) -> AsyncIterator[LiveEvent]:
        for event in self.says:
            yield event
        if self.fails is not None:
            raise self.fails
        await self._ended.wait()
        yield LiveFinished("And so my fellow Americans.", "en", 11_000)

    async def close(self) -> None:
        self.closed = True

    async def __aenter__(self) -> ScriptedSession:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


SAID: tuple[LiveEvent, ...] = (
    Voice(True, 0.9),
    Tentative("and so"),
    Committed("And so", 0, 900),
    Tentative("my fellow"),
    Committed(" my", 900, 1200),
    Tentative("fellow"),
    TurnEnded(800),
)


def heard(session: ScriptedSession, test: Callable[[Dictations, list[CoreEvent]], Awaitable[None]]) -> None:
    async def main() -> None:
        hub, events = EventHub(), list[CoreEvent]()
        hub.subscribe(events.append)

        async def open_session(listener: Target, language: str) -> ScriptedSession:
            assert (listener, language) == (Target("", "Whisper"), "en")
            return session

        dictations = Dictations(open_session, hub)
        try:
            await dictations.start("d", Target("", "Whisper"), "en")
            for _step in range(20):
                await asyncio.sleep(0)
            await test(dictations, events)
        finally:
            await dictations.close()
        assert session.closed

    asyncio.run(main())


def test_settled_words_grow_and_unsettled_ones_stand_behind_them() -> None:
    session = ScriptedSession(SAID)

    async def test(dictations: Dictations, events: list[CoreEvent]) -> None:
        told = [(event.settled, event.unsettled) for event in events if isinstance(event, DictationHeard)]
        assert told == [
            ("", "and so"),
            ("And so", ""),
            ("And so", " my fellow"),
            ("And so my", ""),
            ("And so my", " fellow"),
        ]
        await dictations.write("d", b"1234")
        await dictations.end("d")
        for _step in range(20):
            await asyncio.sleep(0)
        assert session.written == [b"1234"]
        assert events[-1] == DictationEnded("d", "And so my fellow Americans.")
        await dictations.write("d", b"late")
        await dictations.end("d")

    heard(session, test)


def test_discarded_it_says_nothing_more() -> None:
    session = ScriptedSession(SAID)

    async def test(dictations: Dictations, events: list[CoreEvent]) -> None:
        await dictations.discard("d")
        await dictations.discard("d")
        assert not any(isinstance(event, DictationEnded) for event in events)
        assert session.closed

    heard(session, test)


def test_what_was_heard_before_a_failure_is_told_with_it() -> None:
    async def test(dictations: Dictations, events: list[CoreEvent]) -> None:
        end = events[-1]
        assert isinstance(end, DictationEnded)
        assert end.text == "And so my fellow"
        assert end.error is not None

    heard(ScriptedSession(SAID, EngineCrashed("The speech process ended.")), test)


async def test_nobody_who_listens_is_an_error_of_the_call() -> None:
    async def nobody(listener: Target, language: str) -> ScriptedSession:
        raise ModelError("No model.", name="NO_SPEECH_MODEL")

    dictations = Dictations(nobody, EventHub())
    with pytest.raises(ModelError):
        await dictations.start("d", Target(), "")
    await dictations.close()


def translated(
    script: Callable[[], AsyncGenerator[TranslationPart, None]],
    test: Callable[[Translations, list[CoreEvent]], Awaitable[None]],
) -> None:
    async def main() -> None:
        hub, events = EventHub(), list[CoreEvent]()
        hub.subscribe(events.append)

        wish = TranslationWish("t", Target("key", "model"), "Hello", "de")

        def translate(asked: TranslationWish) -> AsyncGenerator[TranslationPart, None]:
            assert asked == wish
            return script()

        translations = Translations(translate, hub)
        try:
            translations.start(wish)
            for _step in range(20):
                await asyncio.sleep(0)
            await test(translations, events)
        finally:
            await translations.close()

    asyncio.run(main())


def test_a_translation_grows_and_ends() -> None:
    async def script() -> AsyncGenerator[TranslationPart, None]:
        yield "Hal"
        yield "lo"

    async def test(translations: Translations, events: list[CoreEvent]) -> None:
        assert events == [
            TranslationChanged("t", "Hal"),
            TranslationChanged("t", "Hallo"),
            TranslationChanged("t", "Hallo", False),
        ]
        await translations.stop("t")

    translated(script, test)


def test_a_translation_that_is_stopped_is_closed_and_keeps_its_text() -> None:
    closed: list[bool] = []

    async def script() -> AsyncGenerator[TranslationPart, None]:
        try:
            yield "Hal"
            await asyncio.sleep(3600)
        finally:
            closed.append(True)

    async def test(translations: Translations, events: list[CoreEvent]) -> None:
        await translations.stop("t")
        assert closed == [True]
        assert events[-1] == TranslationChanged("t", "Hal", False)

    translated(script, test)


def test_a_translation_that_fails_says_why() -> None:
    async def script() -> AsyncGenerator[TranslationPart, None]:
        yield "Hal"
        raise ModelError("There is no model on this machine yet.")

    async def test(translations: Translations, events: list[CoreEvent]) -> None:
        end = events[-1]
        assert isinstance(end, TranslationChanged)
        assert (end.text, end.running) == ("Hal", False)
        assert end.error is not None

    translated(script, test)


def test_another_machine_translates_anew_and_what_was_read_stays_until_there_is_as_much() -> None:
    async def script() -> AsyncGenerator[TranslationPart, None]:
        yield "Guten"
        yield Anew("Studio went offline. This machine translates.")
        yield "Hal"
        yield "lo, Welt"

    async def test(translations: Translations, events: list[CoreEvent]) -> None:
        seam = "Studio went offline. This machine translates."
        assert events == [
            TranslationChanged("t", "Guten"),
            TranslationChanged("t", "Guten", seam=seam),
            TranslationChanged("t", "Guten", seam=seam),
            TranslationChanged("t", "Hallo, Welt", seam=seam),
            TranslationChanged("t", "Hallo, Welt", False, seam=seam),
        ]

    translated(script, test)


def test_a_shorter_one_is_whole_as_well_and_one_that_fails_loses_nothing() -> None:
    async def short() -> AsyncGenerator[TranslationPart, None]:
        yield "Guten Tag"
        yield Anew("why")
        yield "Tag"

    async def failing() -> AsyncGenerator[TranslationPart, None]:
        yield "Guten Tag"
        yield Anew("why")
        yield "Tag"
        raise ModelError("No memory.")

    for script, text in ((short, "Tag"), (failing, "Guten Tag")):

        async def test(translations: Translations, events: list[CoreEvent], text: str = text) -> None:
            end = events[-1]
            assert isinstance(end, TranslationChanged)
            assert (end.text, end.running) == (text, False)

        translated(script, test)
