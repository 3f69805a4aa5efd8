"""Pictures of the Chat tab with a busy fake core: `python -m tests.gui.screenshots_chat FOLDER [NAME…]`.

Offscreen unless QT_QPA_PLATFORM says otherwise. To be looked at beside the design's pictures.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPixmap, QTextCursor
from PySide6.QtWidgets import QApplication, QMenu, QTextEdit, QWidget

from app.audio.hearing import State
from app.audio.microphone import Heard, StateChanged, Trouble
from app.given_files import FileKind, TakenFile
from app.i18n import tr
from app.presenters.chat import ChatPresenter
from app.presenters.dictation_words import trouble_words
from app.theme import Theme
from app.views.chat_page import ChatPage
from app.views.my_machine_dialog import MyMachineDialog
from app.views.spot_check_dialog import SpotCheckDialog
from app.widgets.chat.hold_to_talk import HoldToTalk
from app.widgets.chat.tool_card import ToolCard
from app.widgets.chat.transcript_row import TranscriptRow
from app.widgets.chat.voice_row import BARS
from app.widgets.language_popup import LanguagePopup
from qvac_core.core.spot_check import QUESTIONS, Pair, SpotCheck, SpotCheckAsked
from qvac_core.core.state import (
    AnswerSeam,
    AnswerStarted,
    AnswerTokens,
    AnswerTool,
    ConnectionStage,
    DictationHeard,
    DownloadChanged,
    Draft,
    Message,
    Parameters,
    Picture,
    ProvidersChanged,
    SpeechChoice,
    Stage,
    Target,
    ToolUse,
    UseState,
)
from qvac_core.core.tool_turns import DENIED
from qvac_core.errors import NetworkError
from tests.gui import chat_scenes as scenes
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import STATS, FakeCore, Script
from tests.gui.fake_tools import CALENDAR, MAPS
from tests.gui.picture_taking import take_all
from tests.gui.test_microphone import ScriptedInput

# The design's pictures hold a title bar and the tab bar of the window above the page.
WIDE = (1280, 800 - 72)
NARROW = (900, 640 - 72)
SMALLEST = (720, 520 - 42)


@dataclass
class Scene:
    core: FakeCore
    presenter: ChatPresenter
    page: ChatPage
    extra: list[QWidget]


Act = Callable[[Scene], Awaitable[None]]


async def settle() -> None:
    # Not processEvents: that would enter another task from inside this one.
    for _round in range(6):
        await asyncio.sleep(0.005)


async def nothing(_stage: Scene) -> None:
    return


async def stream(stage: Scene) -> None:
    answer = Message("m4", "assistant", "", scenes.NOW, "streaming")
    stage.core.emit(AnswerStarted("merge", answer))
    stage.core.emit(AnswerTokens("merge", "m4", scenes.BEFORE))
    stage.core.emit(AnswerSeam("merge", "m4", len(scenes.BEFORE), scenes.SEAM))
    stage.core.emit(AnswerTokens("merge", "m4", scenes.AFTER))


async def stream_remote(stage: Scene) -> None:
    stage.core.emit(AnswerStarted("merge", Message("m4", "assistant", "", scenes.NOW, "streaming")))
    stage.core.emit(AnswerTokens("merge", "m4", "Yes. Two million rows need roughly 1.2 GB of memory"))


async def waiting_here(stage: Scene) -> None:
    stage.core.emit(AnswerStarted("merge", Message("m4", "assistant", "", scenes.NOW, "streaming")))
    stage.core.emit(AnswerSeam("merge", "m4", 0, scenes.SEAM))


async def waiting(stage: Scene) -> None:
    stage.core.emit(ConnectionStage(scenes.STUDIO, Stage.LOADING, 3.0, 0.64))
    stage.core.emit(AnswerStarted("merge", Message("m4", "assistant", "", scenes.NOW, "streaming")))


def open_conversation(name: str) -> Act:
    async def act(stage: Scene) -> None:
        stage.presenter.open(name)
        await stage.presenter.settle()

    return act


def away(state: str, wait: float | None = None) -> Act:
    async def act(stage: Scene) -> None:
        stage.core._change_provider(
            scenes.STUDIO,
            state=state,
            last_connected=scenes.NOW - 60,
            retry_at=None if wait is None else scenes.NOW + wait,
            error=scenes.REFUSED if state in ("refused", "waiting") else scenes.OFFLINE,
        )

    return act


async def silent(stage: Scene) -> None:
    await stream_remote(stage)
    stage.core._change_provider(scenes.STUDIO, state="silent", silent_since=scenes.NOW - 4)


async def drafts(stage: Scene) -> None:
    stage.page.conversation.composer.set_text("And what about duplicate")
    stage.presenter.drafts.put("labels", Draft("What about the ones in French?"), left=True)
    stage.presenter.open("labels")
    await stage.presenter.settle()


async def no_model(stage: Scene) -> None:
    stage.core._set_models(())
    stage.presenter.new_conversation()
    stage.presenter.set_target(Target())


async def picker(stage: Scene) -> None:
    await stream(stage)
    stage.page.conversation.bar.open_picker()
    stage.extra.append(stage.page.conversation.bar.popup)


async def side(stage: Scene) -> None:
    stage.page._open_side()


async def empty(stage: Scene) -> None:
    stage.presenter.new_conversation()


async def search(stage: Scene) -> None:
    stage.presenter.search("kiln")
    await stage.presenter.settle()


async def found(stage: Scene) -> None:
    stage.presenter.open("backup")
    await settle()
    stage.presenter.search("million")
    await stage.presenter.settle()
    await settle()
    stage.presenter.search("row")
    await stage.presenter.settle()
    await settle()
    stage.presenter.open_hit("merge")


async def download(stage: Scene) -> None:
    stage.core.emit(DownloadChanged("SMOLLM2_135M_INST_Q4_1", 61_000_000, 98_000_000, 9_800_000.0))


async def typed_key(stage: Scene) -> None:
    stage.page.first_start.key.set_key(scenes.STUDIO[:50])


async def connecting(stage: Scene) -> None:
    stage.core.slow["connect_provider"] = asyncio.Event()
    dialog = stage.page.add_provider("5510" + scenes.STUDIO[4:])
    dialog.name.setText("Attic machine")
    dialog.start()
    await settle()
    stage.core.emit(ConnectionStage("5510" + scenes.STUDIO[4:], Stage.HANDSHAKE, 0.1))
    stage.core.emit(ConnectionStage("5510" + scenes.STUDIO[4:], Stage.LOADING, 6.0, 0.64))
    dialog._resize()
    stage.extra.append(dialog)


async def connected(stage: Scene) -> None:
    dialog = stage.page.add_provider("5510" + scenes.STUDIO[4:])
    dialog.name.setText("Attic machine")
    dialog.start()
    await settle()
    stage.extra.append(dialog)


async def refused(stage: Scene) -> None:
    stage.core.fail["connect_provider"] = NetworkError(scenes.REFUSED.title, name="NOT_ADMITTED")
    await connected(stage)


async def not_found(stage: Scene) -> None:
    stage.core.fail["connect_provider"] = NetworkError(scenes.NOT_FOUND.title, name="PEER_NOT_FOUND")
    await connected(stage)


def dictation(
    gesture: Callable[[HoldToTalk], None] = lambda _talk: None, *, state: State = State.LISTENING, written: str = ""
) -> Act:
    """Somebody talks; the microphone is scripted."""

    async def act(stage: Scene) -> None:
        stage.core.speech = (SpeechChoice("Whisper large v3 turbo", scenes.STUDIO, True),)
        await stage.presenter.speech.load()
        dictation = stage.presenter.dictation
        dictation.use_microphone(ScriptedInput())
        composer = stage.page.conversation.composer
        composer.set_text(written)
        composer.talk.press()
        gesture(composer.talk)
        dictation._hear(StateChanged(state))
        for step in range(BARS):
            dictation._hear(Heard(bytes(14_000), abs(math.sin(step * 0.7)) * (0.3 + 0.6 * abs(math.sin(step / 6)))))
            composer.voice.bars._frame()
        await settle()
        dictation._hear(StateChanged(state))
        settled = "Summarise the part about the card index in five lines, and list every date"
        stage.core.emit(DictationHeard(dictation._id, settled, " that he mentions with the"))

    return act


SPOKEN = (
    (
        0,
        11_000,
        "So the reading room opened in the old customs house, and they sat around one stove.",
    ),
    (11_000, 21_000, "There was no catalogue in the first year. You asked, and somebody knew where the book was."),
    (21_000, 33_000, "The first card index came from a shipping company. They had typed bills of lading on the back."),
    (33_000, 41_000, "We kept those. If you turn the cards over you can still read what was in the harbour that week."),
    *((41_000 + 7_000 * n, 48_000 + 7_000 * n, f"And that went on for years, winter {n}.") for n in range(200)),
    (1_531_000, 1_544_000, "That was the winter the boiler failed. We lent people blankets together with the books."),
    (1_544_000, 1_548_000, "And then the second stove came from the"),
)


def transcript(*, lines: int = 0, hold: bool = True, then: Act = nothing) -> Act:
    async def act(stage: Scene) -> None:
        stage.core.speech = (SpeechChoice("Whisper large v3 turbo", "", True),)
        await stage.presenter.speech.load()
        stage.presenter.open("history")
        await settle()
        stage.core.heard = SPOKEN[:lines] or SPOKEN
        stage.core.script.hold = hold
        stage.core.notices = ("The file ends early, at 25:48 of 42:10.",) if not hold else ()
        stage.presenter._unheard.append(Path("oral-history-07.m4a"))
        stage.presenter._begin_waiting()
        for _step in range(40):
            await settle()
        await then(stage)

    return act


async def export_menu(stage: Scene) -> None:
    row = stage.page.conversation.messages.rows[-1]
    assert isinstance(row, TranscriptRow)
    row.export.click()
    await settle()
    stage.extra.extend(w for w in QApplication.topLevelWidgets() if isinstance(w, QMenu) and w.isVisible())


async def ask_about(stage: Scene) -> None:
    row = stage.page.conversation.messages.rows[-1]
    assert isinstance(row, TranscriptRow)
    row.ask.click()


async def translation(stage: Scene) -> None:
    stage.core.script.hold = True
    stage.core.translated = (
        "Die Dateinamen sind Daten, deshalb ist die sortierte Reihenfolge die der Tage, "
        "und die letzte Zeile je Strichcode bleibt stehen.",
    )
    stage.page.conversation.messages.translation_wanted.emit("m2", "x", "de")
    await settle()


async def selection_menu(stage: Scene) -> None:
    await translation(stage)
    row = stage.page.conversation.messages.rows[1]
    text = next(block for block in row.blocks() if isinstance(block, QTextEdit))
    cursor = text.textCursor()
    cursor.setPosition(4)
    cursor.setPosition(14, QTextCursor.MoveMode.KeepAnchor)
    text.setTextCursor(cursor)
    menu = stage.page.conversation.messages.menu_for(text, row, text.mapToGlobal(text.rect().topLeft()))
    menu.popup(text.mapToGlobal(text.rect().bottomLeft()))
    stage.extra.append(menu)


def picture(*, seen: bool) -> Act:
    async def act(stage: Scene) -> None:
        studio, *others = stage.core.provider_list
        models = (replace(studio.models[0], vision=seen), replace(studio.models[1], vision=True))
        stage.core.emit(ProvidersChanged((replace(studio, models=models), *others)))
        presenter = stage.presenter
        presenter._set_pictures((TakenFile(Path("shelf-E4.jpg"), FileKind.PICTURE, size_bytes=1_200_000),))
        if seen:
            stage.page.conversation.messages.add(
                Message("p", "user", "Readable?", scenes.NOW, pictures=(Picture("", "", "shelf-E4.jpg"),))
            )
        stage.page.conversation.composer.set_text("And is the label of this one readable?")

    return act


async def drop_target(stage: Scene) -> None:
    stage.page.conversation.files.target.open()


async def microphone_refused(stage: Scene) -> None:
    stage.presenter.dictation.failed.emit(trouble_words(Trouble.REFUSED), Trouble.REFUSED)


async def no_speech_model(stage: Scene) -> None:
    stage.page.conversation.dictation.offer_model()


def mirrored(act: Act) -> Act:
    async def mirror(stage: Scene) -> None:
        QApplication.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        await act(stage)

    return mirror


async def delete(stage: Scene) -> None:
    stage.page.ask_to_delete("merge")
    assert stage.page.question is not None
    stage.extra.append(stage.page.question)


async def branches(stage: Scene) -> None:
    """A question edited, its answer given twice; the second question is being edited."""
    stage.core.script = Script(("Yes, if `SQLite` does it on disk.",), replace(STATS, ending="length"))
    question = next(m for m in stage.presenter.messages if m.role == "user")
    stage.presenter.edit(question.id, "Our scanner writes one CSV a day. Merge them, one row per barcode.")
    await settle()
    stage.presenter.retry()
    await settle()
    stage.presenter.send("And for two million rows?")
    await settle()


async def editing(stage: Scene) -> None:
    await branches(stage)
    stage.page.conversation.messages.edit_last_question()


async def parameters(stage: Scene) -> None:
    """As in the design's picture: a preset that was changed, and three who answer."""
    stage.core.models = scenes.models()
    clerk = Parameters(
        "You help in a town library. Count before you claim. Give dates as day and month. Say plainly what you left "
        "out and why.",
        temperature=0.4,
        top_p=0.95,
    )
    await stage.core.chat_settings.keep_preset("Careful clerk", clerk)
    stage.presenter.settings.use_preset("Careful clerk")
    await settle()
    stage.presenter.settings.change(max_tokens=2048)
    stage.presenter.settings.add(Target(scenes.WORKSHOP, "qwen3-8b"))
    await settle()
    stage.page.toggle_parameters()
    await settle()
    stage.page.conversation.composer.text.setFocus()


async def bad_schema(stage: Scene) -> None:
    await parameters(stage)
    stage.presenter.settings.change(schema='{"type": "object", "properties": {"a": 1}')
    for _round in range(40):
        await asyncio.sleep(0.05)


async def schema(stage: Scene) -> None:
    await parameters(stage)
    stage.page.parameters.form.button("json").click()
    for _round in range(40):
        await asyncio.sleep(0.05)
    stage.extra.extend(w for w in QApplication.topLevelWidgets() if w.isVisible() and w is not stage.page)


async def link(stage: Scene) -> None:
    stage.page.conversation.open_link("https://example.org/a/very/long/path/that/goes/on?with=words&and=more")
    stage.extra.extend(w for w in QApplication.topLevelWidgets() if w.isVisible() and w is not stage.page)


@dataclass(frozen=True)
class Shot:
    name: str
    act: Act = nothing
    theme: str = "light"
    size: tuple[int, int] = WIDE
    core: Callable[[], FakeCore] = scenes.chat


def own_machine(view: str = "models") -> Act:
    """One model loads there, and one more is fetched."""

    async def act(stage: Scene) -> None:
        stage.page.manage(scenes.STUDIO)
        await settle()
        dialog = next(iter(stage.page.findChildren(MyMachineDialog)))
        dialog.models.pressed.emit("LLAMA_3_2_1B_INST_Q4_0")
        dialog.wanted.setText("https://example.org/models/gemma-3-4b-it-Q4_K_M.gguf")
        dialog.get.click()
        await settle()
        dialog.views.button(view).click()
        await settle()
        stage.extra.append(dialog)

    return act


def spot_check(*, done: bool = True, theirs: str = "a word") -> Act:
    async def act(stage: Scene) -> None:
        asked = (Pair("q", theirs, "a word"), Pair("q", "a word", "a word"), Pair("q", "a word", "a word"))
        stage.core.spot_checks.found = SpotCheck("Qwen3 8B", "ee" * 32, scenes.WORKSHOP, asked)
        gate = stage.core.slow["spot_check"] = asyncio.Event()
        stage.page.compare(scenes.STUDIO)
        dialog = next(iter(stage.page.findChildren(SpotCheckDialog)))
        dialog.go.click()
        await settle()
        stage.core.emit(SpotCheckAsked(scenes.STUDIO, 1, QUESTIONS))
        if done:
            gate.set()
        await settle()
        stage.extra.append(dialog)

    return act


async def languages(stage: Scene) -> None:
    """The list behind *Another language…*, while somebody types."""
    row = stage.page.conversation.messages.rows[1]
    text = next(block for block in row.blocks() if isinstance(block, QTextEdit))
    menu = stage.page.conversation.messages.menu_for(text, row, text.mapToGlobal(text.rect().topLeft()))
    named = [action for under in menu.findChildren(QMenu) for action in under.actions()]
    next(action for action in named if action.text() == tr("Another language…")).trigger()
    popup = next(iter(stage.page.findChildren(LanguagePopup)))
    popup.search.setText("a")
    await settle()
    stage.extra.append(popup)


async def waking(stage: Scene) -> None:
    stage.core.emit(AnswerStarted("merge", Message("m4", "assistant", "", scenes.NOW, "streaming")))
    stage.core._change_provider(scenes.STUDIO, state="waking")


async def waking_idle(stage: Scene) -> None:
    stage.core._change_provider(scenes.STUDIO, state="waking")
    await picker(stage)


async def hedged(stage: Scene) -> None:
    beside = replace(STATS, beside="This machine", beside_seconds=3.4)
    answer = Message("m4", "assistant", "Yes: read it in pieces, and keep the newest row.", scenes.NOW, "", beside)
    stage.core.emit(AnswerStarted("merge", answer))
    await settle()
    stage.page.conversation.messages.scroll_to_end()


async def tools(stage: Scene) -> None:
    """One call that is done and open, others that are folded, one that asks."""
    stage.core.tools.set(CALENDAR, MAPS)
    stage.presenter.tools.use("Calendar", True)
    answer = Message("m4", "assistant", "", scenes.NOW, status="streaming", stats=STATS)
    stage.core.emit(AnswerStarted("merge", answer))
    rows = "\n".join(f"E {row}   {row * 3}   {row} September" for row in range(1, 13))
    for use in (
        ToolUse("a", "Files", "count_rows", "count_rows", '{"file":"returns.csv","due":"20 November"}', 0, 1),
        ToolUse("b", "Calendar", "list_events", "list_events", '{"day":"2026-12-03"}', 0, 1),
        ToolUse("c", "Calendar", "remove_event", "remove_event", '{"id":17}', 0, 1),
        ToolUse("d", "", "", "", "<tool_call>{", 0, 1),
    ):
        stage.core.emit(AnswerTool("merge", "m4", use))
    done = replace(
        ToolUse("a", "Files", "count_rows", "count_rows", '{"file":"returns.csv","due":"20 November"}', 0, 1),
        state=UseState.DONE,
        result=rows,
        seconds=0.2,
        allowed="once",
    )
    stage.core.emit(AnswerTool("merge", "m4", done))
    for id, state, result in (
        ("b", UseState.FAILED, "Calendar has ended."),
        ("c", UseState.DENIED, DENIED),
        ("d", UseState.INVALID, "It is cut."),
    ):
        old = next(use for use in stage.presenter.messages[-1].tools if use.id == id)
        stage.core.emit(AnswerTool("merge", "m4", replace(old, state=state, result=result)))
    stage.core.emit(AnswerTokens("merge", "m4", "That leaves **41 titles**."))
    arguments = '{"title":"Reading group","start":"2026-12-03 18:00","room":2,"note":"Bring\\nbooks"}'
    asks = ToolUse("e", "Calendar", "add_event", "add_event", arguments, 26, 2)
    stage.core.emit(AnswerTool("merge", "m4", asks))
    await settle()
    card = stage.page.findChildren(ToolCard)[0]
    card.header.click()
    await settle()
    stage.page.conversation.messages.scroll_to_end()


def fresh() -> FakeCore:
    return FakeCore(clock=lambda: scenes.NOW)


def failed() -> FakeCore:
    return scenes.chat(failed=True)


PICTURES = (
    Shot("chat-light", stream),
    Shot("chat-dark", stream, "dark"),
    Shot("chat-narrow", stream_remote, size=NARROW),
    Shot("chat-narrow-dark", stream_remote, "dark", NARROW),
    Shot("chat-narrow-side", side, size=NARROW),
    Shot("chat-smallest", open_conversation("zfs"), size=SMALLEST),
    Shot("chat-waiting", waiting),
    Shot("chat-waiting-here", waiting_here),
    Shot("chat-markdown", open_conversation("backup"), size=(1280, 1100)),
    Shot("chat-markdown-dark", open_conversation("backup"), "dark", (1280, 1100)),
    Shot("chat-picker", picker),
    Shot("chat-picker-dark", picker, "dark"),
    Shot("chat-failed", nothing, core=failed),
    Shot("chat-failed-dark", nothing, "dark", core=failed),
    Shot("chat-reconnecting", away("connecting")),
    Shot("chat-silent", silent),
    Shot("chat-silent-dark", silent, "dark", NARROW),
    Shot("chat-away", away("offline", 32)),
    Shot("chat-away-dark", away("refused"), "dark", NARROW),
    Shot("chat-no-model", no_model),
    Shot("chat-no-model-dark", no_model, "dark", NARROW),
    Shot("chat-drafts", drafts),
    Shot("chat-waiting-owner", away("waiting", 20)),
    Shot("chat-refused", open_conversation("zfs")),
    Shot("chat-empty", empty),
    Shot("chat-branches", branches),
    Shot("chat-branches-dark", branches, "dark"),
    Shot("chat-branches-rtl", mirrored(branches), size=NARROW),
    Shot("chat-editing", editing),
    Shot("chat-parameters", parameters),
    Shot("chat-parameters-dark", parameters, "dark"),
    Shot("chat-parameters-narrow", parameters, size=NARROW),
    Shot("chat-parameters-smallest", parameters, size=SMALLEST),
    Shot("chat-parameters-rtl", mirrored(parameters)),
    Shot("chat-parameters-bad-schema", bad_schema),
    Shot("chat-schema", schema),
    Shot("tools", tools),
    Shot("tools-dark", tools, "dark"),
    Shot("tools-narrow", tools, size=NARROW),
    Shot("tools-smallest", tools, size=SMALLEST),
    Shot("tools-rtl", mirrored(tools), size=NARROW),
    Shot("machine", own_machine()),
    Shot("machine-log", own_machine("log")),
    Shot("spot-check", spot_check()),
    Shot("spot-check-running", spot_check(done=False)),
    Shot("spot-check-other", spot_check(theirs="nothing alike")),
    Shot("languages", languages),
    Shot("waking", waking),
    Shot("waking-picker", waking_idle),
    Shot("hedged", hedged),
    Shot("machine-smallest-dark", own_machine(), "dark", SMALLEST),
    Shot("spot-check-smallest-dark", spot_check(), "dark", SMALLEST),
    Shot("waking-smallest-dark", waking, "dark", SMALLEST),
    Shot("hedged-smallest-dark", hedged, "dark", SMALLEST),
    Shot("languages-dark", languages, "dark"),
    Shot("chat-search", search),
    Shot("chat-found", found),
    Shot("chat-found-dark", found, "dark"),
    Shot("chat-download", download),
    Shot("chat-delete", delete),
    Shot("voice-hold", dictation()),
    Shot("voice-hold-dark", dictation(), "dark"),
    Shot("voice-hold-narrow", dictation(), size=NARROW),
    Shot("voice-hold-smallest", dictation(), size=SMALLEST),
    Shot("voice-hold-rtl", mirrored(dictation())),
    Shot("voice-locked", dictation(HoldToTalk.let_go, written="Please:")),
    Shot("voice-muted", dictation(state=State.MUTED)),
    Shot("voice-muted-narrow-dark", dictation(state=State.MUTED), "dark", NARROW),
    Shot("voice-refused", microphone_refused),
    Shot("transcript-running", transcript(then=export_menu)),
    Shot("transcript-running-dark", transcript(), "dark"),
    Shot("transcript-running-narrow", transcript(), size=NARROW),
    Shot("transcript-running-rtl", mirrored(transcript(lines=4))),
    Shot("transcript-done", transcript(lines=4, hold=False, then=ask_about)),
    Shot("transcript-done-narrow-dark", transcript(lines=4, hold=False), "dark", NARROW),
    Shot("pictures", picture(seen=True)),
    Shot("pictures-blind", picture(seen=False)),
    Shot("pictures-blind-narrow-dark", picture(seen=False), "dark", NARROW),
    Shot("pictures-blind-rtl", mirrored(picture(seen=False))),
    Shot("translation", selection_menu),
    Shot("translation-dark", translation, "dark"),
    Shot("translation-narrow", translation, size=NARROW),
    Shot("translation-rtl", mirrored(translation)),
    Shot("transcript-drop", drop_target),
    Shot("transcript-drop-dark", drop_target, "dark", NARROW),
    Shot("voice-no-model", no_speech_model),
    Shot("voice-no-model-narrow-dark", no_speech_model, "dark", NARROW),
    Shot("chat-link", link),
    Shot("first-start", typed_key, core=fresh),
    Shot("first-start-dark", nothing, "dark", core=fresh),
    Shot("first-start-download", download, core=fresh),
    Shot("first-start-narrow", nothing, size=NARROW, core=fresh),
    Shot("first-start-smallest", nothing, size=SMALLEST, core=fresh),
    Shot("provider-connecting", connecting),
    Shot("provider-connected", connected),
    Shot("provider-refused", refused),
    Shot("provider-refused-dark", refused, "dark"),
    Shot("provider-not-found", not_found),
)


def compose(stage: Scene) -> QPixmap:
    """The page with the windows that float above it: a grab shows one window only."""
    picture = stage.page.grab()
    painter = QPainter(picture)
    for window in stage.extra:
        place = window.mapToGlobal(window.rect().topLeft()) - stage.page.mapToGlobal(stage.page.rect().topLeft())
        painter.drawPixmap(place, window.grab())
    painter.end()
    return picture


@asynccontextmanager
async def staged(picture: Shot, theme: Theme) -> AsyncIterator[Scene]:
    """The page as the picture shows it, until the end of the block."""
    theme.choose(picture.theme)
    direction = QApplication.layoutDirection()  # the language's
    core = picture.core()
    proxy = DirectProxy(core)
    presenter = ChatPresenter(proxy, clock=core.clock)
    with theme.undressed():
        page = ChatPage(presenter, theme)
    await proxy.start()
    page.resize(*picture.size)
    page.show()
    await presenter.load()
    await settle()
    stage = Scene(core, presenter, page, [])
    await picture.act(stage)
    await settle()
    yield stage
    for window in stage.extra:
        window.close()
    page.hide()
    QApplication.setLayoutDirection(direction)
    await presenter.close()
    await proxy.close()
    page.deleteLater()
    await settle()


async def take(picture: Shot, theme: Theme, folder: Path) -> None:
    async with staged(picture, theme) as stage:
        compose(stage).save(str(folder / f"{picture.name}.png"))


def main() -> None:
    take_all(PICTURES, take, by_beginning=True, reduced_motion=False)


if __name__ == "__main__":
    main()
