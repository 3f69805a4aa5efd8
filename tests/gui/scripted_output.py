"""A loudspeaker that hears as fast as a test wants, without a sound system."""

from __future__ import annotations

import threading
from collections.abc import Callable

from app.audio.player import NoOutputError

SAMPLES = 1600  # asked for at once


class Speaker:
    """Implements Output. `heard`: the samples; `refuses`: what `open` raises; `takes`: cleared, it stands still."""

    def __init__(self, refuses: NoOutputError | None = None) -> None:
        self.refuses = refuses
        self.heard = bytearray()
        self.opened = self.closed = 0
        self.takes = threading.Event()
        self.takes.set()

    def open(self, give: Callable[[int], bytes]) -> Callable[[], None]:
        if self.refuses is not None:
            raise self.refuses
        self.opened += 1
        ended = threading.Event()

        def run() -> None:
            while not ended.wait(0.001):
                if self.takes.is_set():
                    self.heard += give(SAMPLES)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def close() -> None:
            self.closed += 1
            ended.set()
            thread.join()

        return close
