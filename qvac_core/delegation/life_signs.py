"""Whether a provider is still there while somebody waits for it: it is asked when nothing comes from it.

Ours; wire/QVAC.md sections 3 and 12. One of ours answers a `keepalive`, an original a `heartbeat`, both in front of
every queue. A connection finds out by itself that its peer is gone, but only after 5 to 18 s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from qvac_core.delegation.connection import ProviderConnection
from qvac_core.delegation.messages import Heartbeat, HeartbeatReply, Keepalive, KeepaliveReply
from qvac_core.errors import QvacError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
# Nothing came for so long: it is asked. The stream keeps order, so one question at a time tells as much as many.
ASK_AFTER_SECONDS = 1.0
# Nothing came for so long, although it was asked: somebody should be told. A slow way is not meant: a round trip of
# nearly two seconds is still heard in time.
SILENT_SECONDS = 3.0
# For the answer, which counts whenever it comes. The connection ends before that.
REPLY_SECONDS = 60.0


class LifeSigns:
    """`connection` is the one in use now, if there is one. `on_silent` gets the seconds without a sign when they become
    too many, and None when there is one again or the connection is gone."""

    def __init__(
        self, connection: Callable[[], ProviderConnection | None], on_silent: Callable[[float | None], None]
    ) -> None:
        self._connection = connection
        self._on_silent = on_silent
        self._wanted = 1
        self._silent = False
        self._asking: asyncio.Task[None] | None = None

    def want(self) -> None:
        """One more waits for the provider."""
        self._wanted += 1

    def release(self) -> None:
        """One less. A provider that is silent is watched until it is not, or its connection ends."""
        self._wanted -= 1

    async def watch(self) -> None:
        """Until nobody waits any more."""
        loop = asyncio.get_running_loop()
        since = loop.time()  # it was not asked before
        try:
            while self._wanted or self._silent:
                await asyncio.sleep(LOOK_SECONDS)
                connection = self._connection()
                if connection is None:
                    since = loop.time()
                    self._tell(None)
                    continue
                quiet = loop.time() - max(since, connection.heard_at)
                if quiet >= ASK_AFTER_SECONDS and (self._asking is None or self._asking.done()):
                    self._asking = loop.create_task(self.ask(connection))
                self._tell(quiet if quiet >= SILENT_SECONDS else None)
        finally:
            if self._asking is not None:
                self._asking.cancel()
                await asyncio.wait({self._asking})

    def _tell(self, quiet: float | None) -> None:
        if (quiet is not None) != self._silent:
            self._silent = quiet is not None
            self._on_silent(quiet)

    async def ask(self, connection: ProviderConnection) -> None:
        """One question; the connection notes when its answer comes."""
        try:
            if connection.offers("keepalive"):
                await connection.ask(Keepalive(), KeepaliveReply, REPLY_SECONDS)
            else:
                await connection.ask(Heartbeat(), HeartbeatReply, REPLY_SECONDS)
        except QvacError as error:
            logger.debug("a provider gave no sign of life: %s", error)
