"""The window's pages in a made-up language: every text is translated, and nothing is cut although texts are longer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from qasync import QEventLoop

from app import i18n
from app.i18n import English
from app.theme import Theme
from tests.gui.language_walk import (
    STEPS,
    Pseudo,
    Step,
    clipped,
    closed,
    data_of,
    floating,
    opened,
    shown_texts,
    untranslated,
)
from tests.gui.screenshots_chat import PICTURES, staged
from tests.gui.share_window import POPUP


@pytest.fixture
def pseudo() -> Iterator[None]:
    i18n.speak(Pseudo())
    yield
    i18n.speak(English())


@POPUP
@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_all_is_translated_and_fits(qloop: QEventLoop, theme: Theme, step: Step) -> None:
    async def walk() -> None:
        window, proxy, core = await opened(step, theme)
        try:
            wrong = []
            for shown in floating(window):
                wrong += untranslated(list(shown_texts(shown)), data_of(core))
                wrong += clipped(shown)
            assert not wrong, "\n".join(wrong)
        finally:
            await closed(window, proxy)

    qloop.run_until_complete(walk())


IN_A_CHAT = ("chat-light", "chat-waiting", "chat-refused", "chat-smallest", "provider-refused", "voice-hold", "hedged")


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("name", IN_A_CHAT)
def test_what_comes_up_in_a_chat_is_translated_and_its_buttons_are_whole(
    qloop: QEventLoop, theme: Theme, name: str
) -> None:
    """Answers as they come, refusals with their remedies, dictation. Sentences there may be cut, and are tool tips."""

    async def walk() -> None:
        async with staged(next(picture for picture in PICTURES if picture.name == name), theme) as stage:
            wrong = []
            for shown in (stage.page, *stage.extra):
                wrong += untranslated(list(shown_texts(shown)), data_of(stage.core))
                wrong += [one for one in clipped(shown) if "Button" in one.partition(" ")[0]]
            assert not wrong, "\n".join(wrong)

    qloop.run_until_complete(walk())
