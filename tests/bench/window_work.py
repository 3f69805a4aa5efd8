"""`window_work.py OPTIONS…`: how long the window of this checkout stands still over what a person does, in itself.

Prints one "NAME SECONDS" a line: the longest stretch of processor time of the window's thread in which it took no
event. The core is the real one; nothing of it is waited for.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETTLED = 2.0  # seconds until nothing of the start is left
AFTER = 3.0  # seconds in which what an act began comes to its end
PASTED = 1_000_000  # letters
LINE = "Words of a text that somebody pastes, with a line end now and then.\n"


async def _measure(window: Any) -> None:
    from PySide6.QtCore import QMimeData

    from tests.bench.measured_window import longest_stall

    page, composer = window.settings.page, window.chat_page.conversation.composer
    text = QMimeData()
    text.setText((LINE * (PASTED // len(LINE) + 1))[:PASTED])
    pasted: list[str] = []
    composer.text.pasted.connect(pasted.append)
    acts: tuple[tuple[str, Callable[[], None]], ...] = (
        ("settings", window.open_settings),
        ("first-search", lambda: page.search.setText("port")),
        ("many-hits", lambda: page.search.setText("e")),
        ("back", window.close_page),
        ("second-opening", lambda: (window.open_settings(), page.search.setText("gpu"))[0]),
        ("library", lambda: window.open_page(window.library_page)),
        ("chat", window.close_page),
        ("paste", lambda: composer.text.insertFromMimeData(text)),
    )
    await asyncio.sleep(SETTLED)
    for name, act in acts:
        sys.stdout.write(f"{name} {await longest_stall(act, AFTER):.4f}\n")
    assert [len(one) for one in pasted] == [PASTED]
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    sys.path.insert(0, str(Path.cwd()))
    from tests.bench.measured_window import open_measured

    sys.exit(open_measured(_measure, sys.argv[1:]))


if __name__ == "__main__":
    main()
