"""What the Chat tab says while a provider is away and comes back, in the real window with a fake core."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from app.views import chat_reach
from app.views.chat_reach import ReachBar, reach
from app.widgets.chat.answer_row import AnswerRow
from app.window import CHAT, MainWindow
from qvac_core.core.state import AnswerSeam, ErrorInfo, ProviderEntry, SharedModel, Target
from tests.gui import chat_scenes as scenes
from tests.gui.fake_core import FakeCore, Script
from tests.gui.share_window import Run

NOW = scenes.NOW
GONE = ErrorInfo("ECONNRESET", 0, "The machine went offline.", "")
HERE = SharedModel("here.gguf", "Qwen3 4B", "Q4_K_M", 1, 1, 4096, 1, False, "idle")


def entry(
    state: str, *, error: ErrorInfo | None = None, wait: float | None = None, known: bool = True
) -> ProviderEntry:
    retry = None if wait is None else NOW + wait
    last = NOW - 60 if known else None
    return ProviderEntry(
        "ab" * 32, "Studio", state, last_connected=last, error=error, retry_at=retry, silent_since=NOW - 4
    )


@pytest.mark.parametrize(
    ("provider", "clause", "facts", "away"),
    [
        (entry("connecting"), "Reconnecting to Studio…", "", False),
        (entry("connecting", wait=4), "Reconnecting to Studio…", "Trying again in about 4 s.", False),
        (
            entry("offline", error=GONE, wait=64),
            "Studio cannot be reached.",
            "The machine went offline. Trying again in about 1 min 4 s.",
            True,
        ),
        (entry("offline", error=GONE, wait=-5), "Studio cannot be reached.", "The machine went offline.", True),
        (entry("online"), "Studio shares no model with you.", "Ask its owner to share one.", True),
        (
            replace(entry("online"), translates=(("en", "de"),)),
            "Studio only translates.",
            "Its translation models are in the menu of a message.",
            True,
        ),
        (entry("silent"), "Nothing comes from Studio.", "No sign of it for 4 s.", True),
        (
            entry("waiting", error=scenes.REFUSED, wait=20),
            "Waiting for the owner of Studio.",
            "Your key is shown there. It connects by itself once the key is allowed.",
            True,
        ),
        (entry("refused", error=scenes.REFUSED), "Studio does not let you in", scenes.REFUSED.message, True),
    ],
)
def test_words(provider: ProviderEntry, clause: str, facts: str, away: bool) -> None:
    told = reach(provider, NOW)
    assert told is not None
    assert told.clause.startswith(clause)
    assert (told.facts, told.away) == (facts, away)


@pytest.mark.parametrize("provider", [scenes.providers()[0], entry("unknown"), entry("connecting", known=False)])
def test_nothing_to_say(provider: ProviderEntry) -> None:
    assert reach(provider, NOW) is None


@pytest.fixture
def away(fake_core: FakeCore) -> FakeCore:
    scene = scenes.chat()
    fake_core.provider_list, fake_core.models = scene.provider_list, (HERE,)
    fake_core.conversation_list, fake_core.message_lists = scene.conversation_list, scene.message_lists
    fake_core.clock = scene.clock
    return fake_core


async def turns() -> None:
    for _turn in range(4):
        await asyncio.sleep(0.01)


def bar_of(window: MainWindow) -> ReachBar:
    assert window.tabs.currentIndex() == CHAT
    return window.chat_page.conversation.reach


def test_away_tried_and_back(run: Run, away: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_reach, "BACK_MS", 40)

    async def test(window: MainWindow) -> None:
        bar = bar_of(window)
        assert bar.isHidden()
        away._change_provider(scenes.STUDIO, state="offline", last_connected=NOW, error=GONE)
        await turns()
        assert bar.isVisible() and "cannot be reached" in bar.line.text
        assert bar.again.isVisible() and bar.here.isVisible()
        away.slow["connect_provider"] = asyncio.Event()
        bar.again.click()
        away._change_provider(scenes.STUDIO, state="connecting", error=None)
        await turns()
        assert "Reconnecting" in bar.line.text and not bar.again.isVisible()
        away.slow.pop("connect_provider").set()
        await turns()
        assert away.called("connect_provider") == [(scenes.STUDIO,)]
        assert "is back" in bar.line.text
        while bar.isVisible():
            await asyncio.sleep(0.02)

    run(test)


def test_a_provider_that_says_nothing_need_not_be_waited_for(run: Run, away: FakeCore) -> None:
    """It is told while the answer is awaited, with what helps, and nothing looks as if it were there."""

    async def test(window: MainWindow) -> None:
        bar = bar_of(window)
        presenter = window.chat_page.conversation._presenter
        away.script = Script(pieces=("Half",), hold=True)
        presenter.send("Go")
        await turns()
        row = window.chat_page.conversation.messages.rows[-1]
        assert isinstance(row, AnswerRow)
        assert "answering…" in row.stats.words and bar.isHidden()
        away._change_provider(scenes.STUDIO, state="silent", silent_since=NOW - 3)
        await turns()
        assert bar.isVisible() and bar.line.text.startswith("Nothing comes from Studio desktop. No sign of it for")
        assert "answering…" not in row.stats.words and "nothing comes" in row.stats.words
        assert not window.chat_page.conversation.bar.picker.dot._filled
        shown = [act for act in (bar.again, bar.here, bar.stop, bar.go_on) if act.isVisible()]
        assert shown == [bar.go_on]
        bar.go_on.click()
        await turns()
        assert [len(call) for call in away.called("continue_answer_here")] == [1]
        away.emit(AnswerSeam(presenter.open_id, row.message.id, 4, scenes.SEAM))
        await turns()
        assert bar.isHidden()  # this machine answers now
        away._change_provider(scenes.STUDIO, state="online")
        away.release()
        await turns()

    run(test)


def test_another_target_has_nothing_to_say(run: Run, away: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        bar = bar_of(window)
        away._change_provider(scenes.STUDIO, state="offline", last_connected=NOW, error=GONE)
        await turns()
        bar.here.click()
        await turns()
        assert away.called("set_target")[-1] == ("merge", Target())
        assert bar.isHidden()
        away._change_provider(scenes.STUDIO, state="online", error=None)
        await turns()
        assert bar.isHidden()  # nobody waits for it here

    run(test)


def test_a_failed_answer_keeps_its_own_remedies(run: Run, away: FakeCore) -> None:
    away.script = Script(pieces=("Half",), stats=None, error=scenes.OFFLINE)

    async def test(window: MainWindow) -> None:
        bar = bar_of(window)
        window.chat.send("Go")
        await turns()
        away._change_provider(scenes.STUDIO, state="offline", last_connected=NOW, error=GONE)
        await turns()
        assert bar.isVisible()
        assert not bar.again.isVisible() and not bar.here.isVisible()

    run(test)
