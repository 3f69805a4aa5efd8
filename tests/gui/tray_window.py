"""The real window in a process of its own, sharing over a core without network; a test tells it what to do on stdin.

`python -m tests.gui.tray_window ARGUMENTS`: one word a line, one of `WORDS`. What it says are lines of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable

from PySide6.QtCore import QObject, QRect, Qt, Signal
from PySide6.QtWidgets import QApplication, QSystemTrayIcon

from app.application import run
from app.background import Background
from app.views.keep_sharing_dialog import KeepSharingDialog
from app.window import MainWindow
from tests.gui.fake_core import FakeCore
from tests.gui.populated import populate
from tests.gui.screen_reader.window import DirectedCore

STRANGER = "5e" * 32


def say(event: str, **fields: object) -> None:
    # One write: two threads speak.
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def window() -> MainWindow:
    return next(w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow))


def background() -> Background:
    found = window().findChild(QObject, "background")
    assert isinstance(found, Background)
    return found


def look() -> None:
    here, icon = window(), background().tray.icon
    rect = icon.geometry() if icon is not None else QRect()
    say(
        "looks",
        ready=here.take_close is not None,
        visible=here.isVisible(),
        minimized=here.isMinimized(),
        asks=any(isinstance(w, KeepSharingDialog) and w.isVisible() for w in here.findChildren(KeepSharingDialog)),
        tray=QSystemTrayIcon.isSystemTrayAvailable() if icon is not None else False,
        place=[rect.x(), rect.y(), rect.width(), rect.height()],
        active=QApplication.activeWindow() is not None,
    )


WORDS: dict[str, Callable[[], object]] = {
    "look": look,
    "close": lambda: window().close(),
    "menu": lambda: background().tray.menu.popup(window().pos()),
    "quit": lambda: window().leave(),
}


class Hand(QObject):
    """Carries a word from the core's thread to the window's."""

    word = Signal(str)


class TrayCore(DirectedCore):
    hand: Hand

    async def start(self) -> None:
        await super().start()
        say("started")

    async def _enter(self, name: str, *arguments: object) -> None:
        say(name, arguments=[str(argument) for argument in arguments])
        await FakeCore._enter(self, name, *arguments)

    def _directed(self) -> None:
        # Not by lines of Python's: a second word that came with the first would wait in its buffer.
        words = os.read(sys.stdin.fileno(), 4096).decode().split()
        for word in words:
            if word == "knock":
                self.knock(STRANGER)
            else:
                self.hand.word.emit(word)
        if not words:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())


def main() -> int:
    hand = Hand()
    hand.word.connect(lambda word: WORDS[word](), Qt.ConnectionType.QueuedConnection)

    def core() -> FakeCore:
        made = TrayCore()
        made.hand = hand
        return populate(made)

    return run(core, None, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
