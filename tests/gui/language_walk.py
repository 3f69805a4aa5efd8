"""The real window walked in another language: what it shows, what of that is not translated, what does not fit.

`python -m tests.gui.language_walk FOLDER LANGUAGE [STEP…]` takes pictures; LANGUAGE is a code or "pseudo".
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import cast

from PySide6.QtCore import QAbstractItemModel, QAbstractListModel, QAbstractTableModel, QLocale, QModelIndex, Qt
from PySide6.QtGui import QAction, QFontDatabase, QTextDocument
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QTabBar,
    QTableView,
    QToolButton,
    QWidget,
)
from qasync import QEventLoop

from app import i18n, window_language
from app.i18n import FIELD, English
from app.presenters.settings_rows import SECTIONS
from app.theme import Theme
from app.widgets.label import ElidedLabel
from app.window import SHARE, MainWindow
from qvac_core.core.state import ErrorInfo, Nat, NetworkReport, SharingPhase, SharingState
from qvac_core.models import all_models, model_title
from tests.gui import chat_scenes
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import FakeCore
from tests.gui.populated import NOON, populate

OPEN, CLOSE = "⟦", "⟧"
ACCENTS = str.maketrans("aeiouAEIOUcn", "àéîöûÀÉÎÖÛçñ")
LONGER = 0.3
"""How much longer than English a text gets: what German needs, at most, of more than a word."""


class Pseudo(English):
    """Every text that goes through `tr` with accents, longer, and between brackets; its fields untouched."""

    def translate(self, text: str, comment: str, n: int) -> str:
        said = comment if n >= 0 and n != 1 else text
        # Qt reads file filters; and what was translated once stays as it is.
        if "(*." in text or text.startswith(OPEN):
            return text
        pieces = re.split(r"(\{\w+\}|%n)", said)
        accented = "".join(piece if place % 2 else piece.translate(ACCENTS) for place, piece in enumerate(pieces))
        longer = round(len(FIELD.sub("", said)) * LONGER)
        # In pieces, between which a line may end.
        pads = " ~~~~" * (longer // 5) + "~" * (longer % 5)
        return f"{OPEN}{accented}{pads}{CLOSE}"

    def weekday(self, at: datetime, *, short: bool = False) -> str:
        return f"{OPEN}{super().weekday(at, short=short)}{CLOSE}"

    def month(self, at: datetime) -> str:
        return f"{OPEN}{super().month(at)}{CLOSE}"

    def date(self, at: datetime, *, year: bool) -> str:
        return f"{OPEN}{super().date(at, year=year)}{CLOSE}"


@dataclass(frozen=True)
class Step:
    name: str
    act: Callable[[MainWindow], object]
    core: Callable[[], FakeCore]
    size: tuple[int, int] = (1280, 772)


def busy() -> FakeCore:
    return populate(FakeCore())


def trouble() -> FakeCore:
    core = busy()
    detail = "This machine has no network. Sharing goes on by itself when it is back."
    core.sharing_state = SharingState(SharingPhase.UNREACHABLE, NOON - 20, detail)
    core.report = NetworkReport(20, 20, ("203.0.113.7", 0), True, Nat.RANDOM)
    core.relay_keys = ("ab" * 32, "3c5e" * 16)
    return core


def empty() -> FakeCore:
    return FakeCore(clock=lambda: NOON)


def _share(window: MainWindow) -> None:
    window.tabs.setCurrentIndex(SHARE)


def _chat(window: MainWindow) -> None:
    window.tabs.setCurrentIndex(1)


def _fail(window: MainWindow) -> None:
    _share(window)
    window.share.failed.emit("models", ErrorInfo("X", 1, "The machine went offline.", "Try again."))


def _network(window: MainWindow) -> None:
    window.open_network()


def _allow(window: MainWindow) -> None:
    _share(window)
    window.share_page.knocks.cards[0].ask_name()


def _add_key(window: MainWindow) -> None:
    _share(window)
    window.share_page.access.add.click()


def _open_question(window: MainWindow) -> None:
    _share(window)
    window.share_page.access.mode.button("deny").click()


def _qr(window: MainWindow) -> None:
    _share(window)
    window.share_page.key.show_large()


def _provider(window: MainWindow) -> None:
    _chat(window)
    window.chat_page.add_provider()


def _library(window: MainWindow) -> None:
    window.open_page(window.library_page)


def _parameters(window: MainWindow) -> None:
    _chat(window)
    window.chat.open("merge")
    window.chat_page.toggle_parameters()


def _section(name: str) -> Callable[[MainWindow], None]:
    def act(window: MainWindow) -> None:
        window.open_settings()
        window.settings.page.show_section(name)

    return act


def _talk(conversation: str) -> Callable[[MainWindow], None]:
    def act(window: MainWindow) -> None:
        _chat(window)
        window.chat.open(conversation)

    return act


NARROW = (900, 612)
SMALLEST = (720, 520)
STEPS = (
    Step("share", _share, busy),
    Step("share-narrow", _share, busy, NARROW),
    Step("share-smallest", _share, busy, SMALLEST),
    Step("share-off", _share, empty),
    Step("share-trouble", _fail, trouble),
    Step("share-open", _open_question, busy),
    Step("allow", _allow, busy),
    Step("add-key", _add_key, busy),
    Step("qr", _qr, busy),
    Step("network", _network, trouble),
    Step("chat-first", _chat, empty),
    Step("chat-first-smallest", _chat, empty, SMALLEST),
    Step("chat", _talk("merge"), lambda: chat_scenes.chat(failed=True)),
    Step("chat-narrow", _talk("merge"), lambda: chat_scenes.chat(failed=True), NARROW),
    Step("chat-smallest", _talk("backup"), chat_scenes.chat, SMALLEST),
    Step("chat-parameters", _parameters, chat_scenes.chat),
    Step("provider", _provider, busy),
    Step("library", _library, busy),
    Step("library-narrow", _library, busy, NARROW),
    *(Step(f"settings-{section.name}", _section(section.name), busy) for section in SECTIONS),
    Step("settings-narrow", _section("sharing"), busy, NARROW),
    Step("settings-smallest", _section("sharing"), busy, SMALLEST),
)


def _alone() -> None:
    """No window of an earlier test stands in front of what is walked."""
    for left_over in QApplication.topLevelWidgets():
        if left_over.isVisible():
            left_over.hide()


async def opened(step: Step, theme: Theme) -> tuple[MainWindow, DirectProxy, FakeCore]:
    _alone()
    core = step.core()
    proxy = DirectProxy(core)
    with theme.undressed():
        window = MainWindow(proxy, theme)
    window.share.clock = core.clock
    await proxy.start()
    window.resize(*step.size)
    window.show()
    await window.load()
    step.act(window)
    # Layouts settle over a few turns; processEvents would run other coroutines inside this one.
    for _turn in range(6):
        await asyncio.sleep(0.02)
    return window, proxy, core


async def closed(window: MainWindow, proxy: DirectProxy) -> None:
    for floating in QApplication.topLevelWidgets():
        if floating.isVisible() and floating is not window:
            floating.close()
    window.hide()
    await window.unload()
    await proxy.close()
    window.deleteLater()
    await asyncio.sleep(0)


def floating(window: MainWindow) -> list[QWidget]:
    """What stands in front: dialogs and popups, else the window."""
    others = [shown for shown in QApplication.topLevelWidgets() if shown.isVisible() and shown is not window]
    return others or [window]


# --- What is shown


def shown_texts(root: QWidget) -> Iterator[tuple[str, str]]:
    """(what shows it, text), also what is only spoken or appears under the pointer."""
    for widget in (root, *root.findChildren(QWidget)):
        if not widget.isVisible():
            continue
        kind = type(widget).__name__
        for text in _own_texts(widget):
            yield kind, text
        for text in (widget.toolTip(), widget.accessibleName(), widget.accessibleDescription()):
            yield f"{kind} (spoken)", _plain(text)
    for action in root.findChildren(QAction):
        if action.isVisible():
            yield "QAction", action.text()


def _own_texts(widget: QWidget) -> Iterator[str]:
    match widget:
        case QLabel():
            yield _plain(widget.text())
        case QAbstractButton():
            yield widget.text()
        case QLineEdit() | QPlainTextEdit():
            yield widget.placeholderText()
        case QComboBox():
            yield from (widget.itemText(place) for place in range(widget.count()))
        case QTabBar():
            yield from (widget.tabText(place) for place in range(widget.count()))
        case QMenu():
            yield from (action.text() for action in widget.actions())
        case QTableView():
            model = cast(QAbstractTableModel, widget.model())
            across = Qt.Orientation.Horizontal
            yield from (str(model.headerData(place, across) or "") for place in range(model.columnCount()))
            yield from _of_model(model, QModelIndex())
        case QAbstractItemView():
            if (found := widget.model()) is not None:
                yield from _of_model(found, QModelIndex())
        case _:
            return


def _of_model(model: QAbstractItemModel, parent: QModelIndex) -> Iterator[str]:
    for row in range(model.rowCount(parent)):
        columns = 1 if isinstance(model, QAbstractListModel) else model.columnCount(parent)
        for column in range(columns):
            index = model.index(row, column, parent)
            for role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
                value = index.data(role)
                if isinstance(value, str):
                    yield value
            yield from _of_model(model, index)


def _plain(text: str) -> str:
    if not text.lstrip().startswith("<"):
        return text
    document = QTextDocument()
    document.setHtml(text)
    return document.toPlainText()


# --- What is wrong

WORD = re.compile(r"[A-Za-z]{3,}")
# Names of keys, units and formats; numbers of versions and bits; the program's name.
SAME_EVERYWHERE = re.compile(
    r"\b(QVAC Desktop|Ctrl|Alt|Shift|Space|Esc|Del|PgUp|PgDown|F\d+|GGUF|UDP|Apache[- ]2\.0|MIT|Hugging Face|English"
    r"|CUDA|ROCm|Vulkan|Deutsch|Python|python|zfs|Qt|Linux|Windows|macOS|llama|xllamacpp|cpp|completionStream|embed|transcribe|translate)\b"
)


def data_of(core: FakeCore) -> set[str]:
    """Every text that the core holds: names of people and models, keys, what was written."""
    found: set[str] = set()
    _gather(vars(core), found, 0)
    found |= set(QFontDatabase.families())
    for entry in core.tools.entries:
        found |= {entry.server.name, " ".join((entry.server.command, *entry.server.args))}
    for day in range(1, 8):  # Qt knows them
        found |= {QLocale().standaloneDayName(day, width) for width in QLocale.FormatType}
    for model in all_models():
        found |= {model.name, model.file, model_title(model.file), model.licence}
        found.add(model.file.rsplit(".", 2)[0].replace("-", " "))
    return found


def _gather(value: object, found: set[str], depth: int) -> None:
    if isinstance(value, str):
        found.add(value)
    elif depth > 8 or isinstance(value, Enum):
        return
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _gather([getattr(value, field.name) for field in dataclasses.fields(value)], found, depth + 1)
    elif hasattr(value, "__dict__") and type(value).__module__.startswith(("tests.", "qvac_core.")):
        _gather(vars(value), found, depth + 1)
    elif isinstance(value, dict):
        _gather([*value.keys(), *value.values()], found, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _gather(item, found, depth + 1)


def untranslated(texts: Sequence[tuple[str, str]], data: set[str]) -> list[str]:
    """Texts of which a word stands outside of the brackets and is no data."""
    by_length = sorted((text for text in data if len(text) > 2), key=len, reverse=True)
    wrong = []
    for kind, text in texts:
        rest = outside(text)
        if WORD.search(rest):
            for known in by_length:
                rest = rest.replace(known, " ")
        rest = SAME_EVERYWHERE.sub(" ", rest)
        # Keys, parts of keys, addresses and paths.
        rest = re.sub(r"\S*[0-9/._@~-]\S*|\b([0-9a-f]{4} ?)+\b", " ", rest)
        if WORD.search(rest):
            wrong.append(f"{kind}: {text!r}")
    return sorted(set(wrong))


def outside(text: str) -> str:
    """What stands outside of all brackets; an unclosed one was elided."""
    rest, depth = [], 0
    for letter in text:
        depth += letter == OPEN
        if not depth:
            rest.append(letter)
        depth -= letter == CLOSE and depth > 0
    return "".join(rest)


def clipped(root: QWidget) -> list[str]:
    """Labels and buttons that got less room than their text needs."""
    wrong = []
    for widget in (root, *root.findChildren(QWidget)):
        if not widget.isVisible() or not isinstance(widget, QLabel | QAbstractButton) or not widget.text():
            continue
        # The icons in fields, whose text is only spoken, and what gives way on purpose.
        if isinstance(widget, QToolButton | ElidedLabel):
            continue
        if isinstance(widget, QLabel) and widget.wordWrap():
            fits = widget.heightForWidth(widget.width()) <= widget.height() + 1
        else:
            fits = widget.sizeHint().width() <= widget.width() + 1 and widget.sizeHint().height() <= widget.height() + 2
        if not fits:
            need = widget.sizeHint()
            wrong.append(
                f"{type(widget).__name__} {widget.text()[:60]!r}: {widget.width()}x{widget.height()}, "
                f"needs {need.width()}x{need.height()}"
            )
    return sorted(set(wrong))


async def picture(step: Step, theme: Theme, folder: Path) -> None:
    window, proxy, _core = await opened(step, theme)
    for place, shown in enumerate(floating(window)):
        shown.grab().save(str(folder / f"{step.name}{place or ''}.png"))
    await closed(window, proxy)


def main() -> None:
    folder, language, wanted = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = QApplication(["language-walk"])
    app.setStyle("Fusion")
    if language == "pseudo":
        i18n.speak(Pseudo())
    else:
        window_language.install(app, language)
    theme = Theme(app)
    theme.reduced_motion = True
    loop = QEventLoop(app)
    asyncio.set_event_loop(loop)
    for step in STEPS:
        if not wanted or step.name in wanted:
            loop.run_until_complete(picture(step, theme, folder))
    loop.close()


if __name__ == "__main__":
    main()
