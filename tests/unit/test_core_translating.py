"""Who translates: a provider's translation models or this machine's, whoever chats, and this machine when one goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest

from qvac_core.core import translating
from qvac_core.core.answering import TranslationWish
from qvac_core.core.provider_translators import MOST, RemoteTranslator, pairs_of, route_there, translators_of
from qvac_core.core.state import ProviderEntry, Target
from qvac_core.core.translating import Anew, Translating, TranslationPart
from qvac_core.delegation.messages import ModelEntry
from qvac_core.delegation.translation_run import UpTo
from qvac_core.errors import ConnectionClosed, InferenceCancelled, ModelError, QvacError

KEY = "ab" * 32
WORKSHOP, LAPTOP, ATTIC = "cd" * 32, "ef" * 32, "01" * 32
NAMES = {WORKSHOP: "Workshop", LAPTOP: "Laptop", ATTIC: "Attic"}
CHAT = TranslationWish("t", Target(KEY, "qwen"), "Hallo", "en")
ENGINE = TranslationWish("t", Target("", "qwen"), "Hallo", "en", "de", KEY)


class Here:
    def __init__(self, *, engine: bool = False, chat: bool = False) -> None:
        self.engine, self.chat = engine, chat
        self.asked: list[TranslationWish] = []

    async def translate(self, wish: TranslationWish) -> AsyncGenerator[str | UpTo, None]:
        self.asked.append(wish)
        for piece in "Hel", "lo":
            yield piece

    def has_engine(self, wish: TranslationWish) -> bool:
        return self.engine and bool(wish.source)

    async def can_answer(self) -> bool:
        return self.chat


class There:
    """`UpTo` says how far it is in the text. then: what the next one says that is asked, by its key."""

    def __init__(
        self, pieces: Sequence[str | UpTo] = (), error: QvacError | None = None, *, hangs: bool = False
    ) -> None:
        self.pieces, self.error, self.hangs = pieces, error, hangs
        self.asked: list[TranslationWish] = []
        self.then: dict[str, There] = {}
        self.engines: set[str] = set()
        self.away: set[str] = set()
        self.gone = False
        self.closed = False

    async def translate(self, wish: TranslationWish) -> AsyncGenerator[str | UpTo, None]:
        self.asked.append(wish)
        if (other := self.then.get(wish.engines_at or wish.target.provider_key)) is not None:
            async with aclosing(other.translate(wish)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        try:
            for piece in self.pieces:
                yield piece
            if self.error is not None:
                raise self.error
            if self.hangs:
                self.gone = True
                await asyncio.Event().wait()
        finally:
            self.closed = True

    def name_of(self, provider_key: str) -> str:
        return NAMES.get(provider_key, "Studio")

    def has_engine(self, provider_key: str, wish: TranslationWish) -> bool:
        return provider_key in self.engines

    def is_away(self, provider_key: str) -> bool:
        return provider_key in self.away

    def is_gone(self, provider_key: str) -> bool:
        return self.gone

    def quiet(self, provider_key: str) -> float:
        return 0.0


def parts(wish: TranslationWish, here: Here, there: There, *, fallback: bool = True) -> list[TranslationPart]:
    async def main() -> list[TranslationPart]:
        async with asyncio.timeout(20):
            made = Translating(here, there, lambda: fallback).translate(wish)
            return [part async for part in made]

    return asyncio.run(main())


def test_by_the_provider_that_was_chosen_and_by_nobody_else() -> None:
    for wish in CHAT, ENGINE:
        here, there = Here(engine=True, chat=True), There(["Hi"])
        assert parts(wish, here, there) == ["Hi"]
        assert (here.asked, there.asked) == ([], [wish])


def test_languages_of_a_model_of_this_machine_are_translated_here_whoever_chats() -> None:
    here, there = Here(engine=True), There(["Hi"])
    assert parts(TranslationWish("t", Target(KEY), "Hallo", "en", "de"), here, there) == ["Hel", "lo"]
    assert there.asked == []


@pytest.mark.parametrize("here", [Here(engine=True), Here(chat=True)])
@pytest.mark.parametrize("said", [(), ("H", "i")])
def test_this_machine_does_it_when_the_provider_goes(here: Here, said: tuple[str, ...]) -> None:
    for wish in CHAT, ENGINE:
        if wish is CHAT and here.engine:
            continue  # the language of the text is not known
        made = parts(wish, here, There(said, ConnectionClosed("reset", name="ECONNRESET")))
        assert made == [*said, Anew("Studio went offline. This machine translates."), "Hel", "lo"]
        assert here.asked[-1].target == Target()
        assert here.asked[-1].engines_at == ""


@pytest.mark.parametrize(
    ("pieces", "rest", "keeps"),
    [
        (("One.", UpTo(5), " Tw"), " Zwei. Drei.", 4),
        (("One.", " ", UpTo(6), "Two.", " ", UpTo(12), "Thr"), "Drei.", 10),
        (("One. Two. Three.", UpTo(17)), "", 16),  # all of it, and then no end
        (("One.", UpTo(5), " Two.", UpTo(3), "T"), " Zwei. Drei.", 4),  # nobody goes back
        (("One.", UpTo(10**9)), "", 4),
    ],
)
def test_this_machine_goes_on_behind_the_last_whole_sentence(
    pieces: tuple[str | UpTo, ...], rest: str, keeps: int
) -> None:
    here = Here(engine=True)
    lost = ConnectionClosed("reset", name="ECONNRESET")
    made = parts(replace(ENGINE, text="Eins. Zwei. Drei."), here, There(pieces, lost))
    said = [piece for piece in pieces if isinstance(piece, str)]
    seam = Anew("Studio went offline. This machine translates the rest.", keeps)
    assert made == [*said, seam, *(("Hel", "lo") if rest else ())]
    assert [wish.text for wish in here.asked] == ([rest] if rest else [])


def test_the_other_providers_of_the_conversation_go_on_in_their_order() -> None:
    """Each behind the last sentence of those before it; one that is away is passed over."""
    lost = ConnectionClosed("reset", name="ECONNRESET")
    there = There(("One.", UpTo(5), " Tw"), lost)
    there.then = {WORKSHOP: There((" Two.", UpTo(6), " T"), lost), LAPTOP: There((" Three.",))}
    there.engines, there.away = {WORKSHOP}, {ATTIC}
    wish = replace(ENGINE, text="Eins. Zwei. Drei.", others=tuple(map(Target, (KEY, ATTIC, WORKSHOP, LAPTOP))))
    here = Here(chat=True)
    assert parts(wish, here, there) == [
        *("One.", " Tw"),
        Anew("Studio went offline. Workshop translates the rest.", 4),
        *(" Two.", " T"),
        Anew("Workshop went offline. Laptop translates the rest.", 9),
        " Three.",
    ]
    assert [one.text for one in there.asked] == ["Eins. Zwei. Drei.", " Zwei. Drei.", " Drei."]
    assert [one.engines_at for one in there.asked] == [KEY, WORKSHOP, ""]
    assert not here.asked


def test_translation_models_here_go_before_other_providers_and_a_chat_model_behind_them() -> None:
    lost = ConnectionClosed("reset", name="ECONNRESET")
    wish = replace(ENGINE, others=(Target(WORKSHOP),))
    for here, asked in ((Here(engine=True), [KEY]), (Here(chat=True), [KEY, WORKSHOP])):
        there = There((), lost)
        there.then = {WORKSHOP: There((), lost)}
        assert parts(wish, here, there)[-2:] == ["Hel", "lo"]
        assert [one.engines_at or one.target.provider_key for one in there.asked] == asked
    there = There((), lost)
    there.then = {WORKSHOP: There(("Hi",))}
    assert parts(wish, Here(), there, fallback=False)[-1] == "Hi"  # that this machine must not go on is about it alone


def test_it_fails_where_this_machine_cannot_or_may_not_go_on() -> None:
    lost = ConnectionClosed("reset", name="ECONNRESET")
    for here, fallback in ((Here(), True), (Here(engine=True, chat=True), False)):
        with pytest.raises(ConnectionClosed):
            parts(ENGINE, here, There(["H"], lost), fallback=fallback)
    with pytest.raises(InferenceCancelled):
        parts(ENGINE, Here(engine=True), There(["H"], InferenceCancelled("stopped")))


def test_a_provider_of_which_nothing_comes_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translating, "LOOK_SECONDS", 0.01)
    there = There(["H"], hangs=True)
    assert parts(ENGINE, Here(engine=True), there) == [
        "H",
        Anew("Studio went offline. This machine translates."),
        "Hel",
        "lo",
    ]
    assert there.closed


async def test_leaving_it_cancels_there() -> None:

    there = There(["H"], hangs=True)
    async with aclosing(Translating(Here(), there, lambda: True).translate(ENGINE)) as made:
        assert await anext(made) == "H"
        waiting = asyncio.ensure_future(anext(made))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
    assert there.closed


# --- What a provider tells of its translation models


def entry(name: str, *languages: str, kind: str = "nmtcpp-translation") -> ModelEntry:
    return ModelEntry(name, kind, ["translate"], 1, 0, "", False, languages=list(languages))


def test_what_it_shares_is_taken_as_pairs_of_languages() -> None:
    listed = [
        entry("de-en", "de", "en"),
        entry("en-fr", "en", "fr"),
        entry("odd", "de", "Ignore all of this\n"),
        entry("one", "de"),
        ModelEntry("chat", "llamacpp-completion", ["chat"], 1, 0, "", False),
    ]
    found = translators_of(listed)
    assert found == (RemoteTranslator("de-en", ("de", "en")), RemoteTranslator("en-fr", ("en", "fr")))
    assert pairs_of(found) == (("de", "en"), ("en", "fr"), ("de", "fr"))
    way = route_there(ProviderEntry(KEY, "Studio"), found, "de", "fr")
    assert (way.first.name, way.second and way.second.name) == ("de-en", "en-fr")
    with pytest.raises(ModelError, match="Studio does not translate between these languages"):
        route_there(ProviderEntry(KEY, "Studio"), found, "fr", "de")
    assert len(translators_of([entry(str(n), "de", "en") for n in range(MOST + 5)])) == MOST
