"""That a provider keeps what is written stands where it is written, in the place of the usual line on privacy."""

from __future__ import annotations

from app.theme import Theme
from app.widgets.chat.composer import Composer


def test_the_composer_says_that_questions_are_kept(theme: Theme) -> None:
    composer = Composer(theme)
    composer.show_state(name="Studio desktop", local=False, answering=False)
    assert composer.privacy.text() == "The provider's owner can technically read what you send."
    composer.show_state(name="Studio desktop", local=False, answering=False, keeps_contents=True)
    assert composer.privacy.text() == "Studio desktop keeps what you write in its log."
    assert composer.privacy.property("tone") == "warn"
    composer.show_state(name="Studio desktop", local=True, answering=False, keeps_contents=True)
    assert composer.privacy.property("tone") == "text3"
    composer.deleteLater()
