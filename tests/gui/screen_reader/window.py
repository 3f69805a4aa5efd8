"""The real window in a process of its own, over a core without network, disk or models.

`python -m tests.gui.screen_reader.window SCENE`; what happens from outside is asked for on stdin, one word a line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable

from app.application import run
from qvac_core.core.state import ErrorInfo, Notice
from tests.gui import chat_scenes
from tests.gui.fake_core import FakeCore, Script
from tests.gui.library_scenes import library_core
from tests.gui.populated import populate

SENTENCE = "The lighthouse keeper wrote the height of the tide and the colour of the sky into the same grey book. "
LONG = SENTENCE * 16  # 304 words
SHORT = "Yes, it will. It never holds more than one page."
FAILURE = ErrorInfo("ECONNRESET", 0, "Studio desktop went offline.", "The answer so far is kept.")


class DirectedCore(FakeCore):
    """Takes words from stdin on its own loop and prints every intent, so that a test in another process can follow."""

    async def start(self) -> None:
        await super().start()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._directed)

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        await super().close()

    async def _enter(self, name: str, *arguments: object) -> None:
        print(json.dumps({"event": name, "arguments": [str(argument) for argument in arguments]}), flush=True)
        await super()._enter(name, *arguments)

    def _directed(self) -> None:
        word = sys.stdin.readline().strip()
        if word:
            DIRECTIONS[word](self)


def _fail_next(core: FakeCore) -> None:
    core.script = Script(pieces=("The first half of it.",), error=FAILURE)


DIRECTIONS: dict[str, Callable[[FakeCore], None]] = {
    "release": FakeCore.release,
    "knock": lambda core: core.knock("5e" * 32),
    "notice": lambda core: core.emit(Notice("The clock was changed.", "Times in the log may look odd.")),
    "fail": _fail_next,
}


def share() -> FakeCore:
    return populate(DirectedCore())


def chat() -> FakeCore:
    core = DirectedCore()
    made = chat_scenes.chat()
    core.clock = made.clock
    core.provider_list, core.models = made.provider_list, made.models
    core.conversation_list, core.message_lists = made.conversation_list, made.message_lists
    words = [f"{word} " for word in LONG.split()]
    core.script = Script(pieces=tuple(words), pace=0.03)
    core.settings["tab"] = "chat"
    return core


def first() -> FakeCore:
    return DirectedCore()


def library() -> FakeCore:
    core = library_core(chat())
    core.settings["tab"] = "chat"
    return core


SCENES: dict[str, Callable[[], FakeCore]] = {"share": share, "chat": chat, "first": first, "library": library}


if __name__ == "__main__":
    sys.exit(run(SCENES[sys.argv[1]]))
