"""Writes answers to the disk behind their stream: a disk that refuses or waits delays no token and ends no answer.

Another program that holds the database, a full disk, a folder that may not be written: each is tried again until it
works, and told to the person only when it stays so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from qvac_core.core.state import Message, Notice
from qvac_core.errors import StoreError
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.25  # seconds between two tries, doubled up to the last
LAST_PAUSE = 15.0
# Seconds of refusals before they are told: longer than a backup tool holds a file. One try waits up to 5 s by itself.
PATIENCE = 15.0


class AnswerKeeper:
    """The newest version of each message that the disk does not have yet, and the one task that writes them."""

    def __init__(self, write: Callable[[Message], Awaitable[None]], tell: Callable[[Notice], None]) -> None:
        self._write = write
        self._tell = tell
        self._unsaved: dict[str, Message] = {}
        self._tasks = TaskOwner()
        self._writing: asyncio.Task[None] | None = None
        self._refused_since: float | None = None
        self._told = False

    def keep(self, message: Message) -> None:
        """Have this version on the disk soon; an older one that waits is dropped."""
        self._unsaved[message.id] = message
        if self._writing is None or self._writing.done():
            self._writing = self._tasks.start(self._write_all(), "keep answers")

    def newest(self, message: Message) -> Message:
        """A message as read from the disk, or the newer version that is still to be written."""
        return self._unsaved.get(message.id, message)

    async def close(self) -> None:
        """Try all that is left once more; what the disk refuses even now is lost and logged."""
        if self._writing is not None:
            await self._tasks.end(self._writing)
        for message in list(self._unsaved.values()):
            try:
                await self._write(message)
            except StoreError as error:
                logger.error("an answer of %d letters could not be kept: %s", len(message.text), error)
        await self._tasks.close()

    async def _write_all(self) -> None:
        pause = FIRST_PAUSE
        while self._unsaved:
            message = next(iter(self._unsaved.values()))
            try:
                await self._write(message)
            except StoreError as error:
                self._on_refused(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_PAUSE)
                continue
            pause = FIRST_PAUSE
            if self._unsaved.get(message.id) is message:
                del self._unsaved[message.id]
            self._on_written()

    def _on_refused(self, error: StoreError) -> None:
        now = time.monotonic()
        if self._refused_since is None:
            self._refused_since = now
            logger.warning("an answer is not kept yet: %s", error)
        if not self._told and now - self._refused_since >= PATIENCE:
            self._told = True
            self._tell(
                Notice(
                    "Answers cannot be saved at the moment.",
                    f"{error.message} Keep the window open: they are saved as soon as that is possible.",
                )
            )

    def _on_written(self) -> None:
        self._refused_since = None
        if self._told:
            self._told = False
            self._tell(Notice("", "Answers are saved again."))
