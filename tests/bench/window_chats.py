"""`window_chats.py OPTIONS…`: the window of this checkout over ten thousand conversations, and in one of 200 messages.

Prints one "NAME SECONDS" a line, of the processor time of the window's thread: for a search that is typed, the longest
stretch in which it took no event; for the long conversation, all that it took until nothing was left to do ("opened"),
and until somebody had gone to its beginning ("whole"). The core is the real one, on the data folder of the options,
which `window_chats.py fill FOLDER` makes first.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

CONVERSATIONS, MESSAGES = 10_000, 200
LONG = "long"  # the id of the one with all the messages
WORDS = ("river", "harbour", "lantern", "orchard", "granite", "compass", "meadow", "violet", "copper", "window")
PARAGRAPH = "The {0} lies behind the {1}: **{2}** and `{3}` of it, with a [link](https://example.com) and more words. "
TYPED = "lantern"
OPENED = 3.0  # seconds in which what an opening makes ahead comes to its end
KEY_SECONDS = 0.2  # between two keys: longer than the pause in which nothing is looked for yet


def fill(folder: Path) -> None:
    """Titles of three words, a question and an answer each."""
    from qvac_core.core.state import Conversation, Message
    from qvac_core.store.folders import DataDir
    from qvac_core.store.store import Store

    store = Store.open(DataDir(folder, explicit=True), now=time.time())
    now = time.time() - 86_400.0

    def text(place: int, length: int) -> str:
        chosen = [WORDS[(place + step * (1 + place // 10)) % len(WORDS)] for step in range(4)]
        return PARAGRAPH.format(*chosen) * length

    def chat(id: str, place: int, many: int, length: int) -> tuple[Conversation, list[tuple[Message, str]], list[str]]:
        at = now - place * 60
        messages = [
            Message(f"{id}-{step}", ("user", "assistant")[step % 2], text(place + step, length), at + step)
            for step in range(many)
        ]
        parents = ["", *(message.id for message in messages)]
        title = " ".join(WORDS[(place // 10**step) % 10] for step in range(3))
        conversation = Conversation(id, title, at, at + many)
        return conversation, list(zip(messages, parents, strict=False)), []

    store.conversations.take_in(
        [chat(LONG, 0, MESSAGES, 3), *(chat(f"c{place}", place, 2, 1) for place in range(1, CONVERSATIONS))]
    )
    store.close()


async def _measure(window: Any) -> None:
    from tests.bench.measured_window import longest_stall

    page, side = window.chat_page, window.chat_page.side
    await asyncio.sleep(2)
    assert len(window.chat.conversations) == CONVERSATIONS
    window.chat.new_conversation()
    await asyncio.sleep(2)
    begun = time.thread_time()
    window.chat.open(LONG)
    messages = page.conversation.messages
    while len(messages.rows) + messages.waiting_rows < MESSAGES:
        await asyncio.sleep(0.01)
    messages.grab()
    await asyncio.sleep(OPENED)
    sys.stdout.write(f"opened {time.thread_time() - begun:.4f}\n")
    while messages.waiting_rows:
        messages.reveal(f"{LONG}-0")  # up to the first one: all of them are made
        await asyncio.sleep(0.01)
    assert len(messages.rows) == MESSAGES
    sys.stdout.write(f"whole {time.thread_time() - begun:.4f}\n")
    typed = [await longest_stall(lambda end=end: side.search.setText(TYPED[:end]), KEY_SECONDS) for end in range(1, 8)]  # type: ignore[misc]
    typed.append(await longest_stall(lambda: None, 3.0))
    assert window.chat.found
    sys.stdout.write(f"typing {max(typed):.4f}\n")
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    sys.path.insert(0, str(Path.cwd()))
    if sys.argv[1] == "fill":
        fill(Path(sys.argv[2]))
        return
    from tests.bench.measured_window import open_measured

    sys.exit(open_measured(_measure, sys.argv[1:]))


if __name__ == "__main__":
    main()
