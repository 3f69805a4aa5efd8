"""The client's care for a connection that runs through a relay: a direct path, and another relay when this one goes.

Ours; the original punches once, and its connection ends with its relay. Two of ours shake hands once more, naming the
stream that is open: what they find is for that stream, which goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from qvac_core.codec import Address
from qvac_core.errors import NetworkError
from qvac_core.hyperdht.client.relay import cancel
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.hyperdht.node.relay_choice import RelayKeys
from qvac_core.hyperdht.relay.leg import ConnectTo
from qvac_core.hyperdht.stream.path_driver import PathDriver

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 600.0
"""Seconds between two tries for a direct path. A network that changes is what helps, and that is seldom."""
JITTER = 0.2
RESUME_LIMIT = 8.0
"""Seconds in which another relay is looked for."""
RELAY_LIMIT = 3.0
"""Seconds for each: those that live take a fraction of one."""
PAUSE = 0.5
"""Seconds before all are tried once more: the one that went away may have been restarted."""
TRY_LIMIT = 60.0
"""Seconds for one try: a punch with random ports takes 35, and may wait for its turn."""


class ShakeHandsAgain(Protocol):
    def __call__(
        self, path: PathDriver, relay: bytes | None, *, needs_relay: bool, is_last: bool, limit: float
    ) -> asyncio.Task[None]:
        """A task that shakes hands again for this connection. Raises NetworkError."""


@dataclass(frozen=True, slots=True)
class Relaying:
    """`relay` is named in the handshake, and the last that can be; `all` are those for later, with `meet_again`.

    `connect` leads to a relay.
    """

    relay: bytes | None
    is_last: bool
    all: RelayKeys | None
    meet_again: ShakeHandsAgain
    connect: ConnectTo


class PathKeeper:
    """`finding` is the search that was under way when the relay was there first; `on_over` ends what it holds."""

    def __init__(
        self,
        node: LocalNode,
        path: PathDriver,
        relays: RelayKeys | None,
        finding: asyncio.Task[tuple[int, Address]],
        meet_again: ShakeHandsAgain,
        on_over: Callable[[], None],
    ) -> None:
        self._node = node
        self._path = path
        self._relays = relays
        self._finding = finding
        self._meet_again = meet_again
        self._on_over = on_over

    async def run(self) -> None:
        """Ends when the connection is direct, or closed."""
        path = self._path
        try:
            await self._first_try()
            pause = FIRST_PAUSE
            while not path.settled and path.set.resumable:
                if path.lost:
                    await self._replace_relay()
                elif await self._rest(pause):
                    pause = min(2 * pause, LONGEST_PAUSE)
                    path.try_again()
                    await self._try_direct()
            while not path.settled:
                await path.wait_while_relayed()
        finally:
            self._end_first_try()

    def _end_first_try(self) -> None:
        on_over, self._on_over = self._on_over, _nothing
        on_over()

    async def _first_try(self) -> None:
        """What was punched is kept until the connection has moved there."""
        path = self._path
        changed = asyncio.create_task(path.wait_while_relayed(), name="end of a relayed connection")
        try:
            await asyncio.wait([changed, self._finding], return_when=asyncio.FIRST_COMPLETED)
            if self._finding.done() and not path.settled:
                try:
                    path.found(self._finding.result())
                    await path.wait_while_moving()
                except NetworkError as error:
                    logger.debug("the connection stays on the relay: %s", error)
        finally:
            await cancel(changed, self._finding)
        self._end_first_try()

    async def _rest(self, seconds: float) -> bool:
        """False: something is to be done at once."""
        try:
            async with asyncio.timeout(seconds * self._node.chance.uniform(1 - JITTER, 1 + JITTER)):
                await self._path.wait_while_relayed()
        except TimeoutError:
            return True
        return False

    async def _try_direct(self) -> None:
        path = self._path
        trying = self._meet_again(path, None, needs_relay=False, is_last=True, limit=TRY_LIMIT)
        changed = asyncio.create_task(path.wait_while_relayed(), name="end of a relayed connection")
        try:
            await asyncio.wait([trying, changed], return_when=asyncio.FIRST_COMPLETED)
            if trying.done():
                trying.result()
        except NetworkError as error:
            logger.debug("still no direct path: %s", error)
        finally:
            await cancel(trying, changed)

    async def _replace_relay(self) -> None:
        """Other relays, then this one and the server's, again and again; the direct path is tried at the same time."""
        path, node = self._path, self._node
        gone = path.relay
        assert gone is not None
        node.relay_choice.failed(gone, node.now())
        until = node.now() + RESUME_LIMIT
        order: list[bytes | None] = []
        while path.lost and (left := until - node.now()) > 0:
            order = order or [*node.relay_choice.order(self._relays, node.chance, node.now(), last=[gone]), None]
            limit = min(left, RELAY_LIMIT)
            trying = self._meet_again(path, order.pop(0), needs_relay=True, is_last=False, limit=limit)
            try:
                await trying
            except NetworkError as error:
                logger.debug("no way around the relay that went away yet: %s", error)
                if error.name == "CONNECTION_UNKNOWN":
                    break
            finally:
                await cancel(trying)
            if path.lost and not order:
                await asyncio.sleep(PAUSE)
        if path.lost:
            path.give_up()


def _nothing() -> None:
    """It has ended."""
