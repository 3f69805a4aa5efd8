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
