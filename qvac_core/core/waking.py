"""Waking machines of one's own: who sends the call, what is remembered of those that can be woken, and for how long.

A machine that may be woken tells the addresses of its network cards to machines of the same owner, on the connection
that proved who they are; they keep them. One that sleeps is then called by whoever asks for it: on this machine's own
networks, and through every other machine of one's own, which sends the call into its networks where its owner's switch
lets it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from qvac_core.core.wake_on_lan import MOST_ADDRESSES, Lan, is_card, own_addresses, own_networks, send_wake_up
from qvac_core.delegation.failures import Code, Rejection
from qvac_core.errors import QvacError, StoreError
from qvac_core.store.disk import write_atomically
from qvac_core.tasks import TaskOwner
from qvac_core.threads import make_in_thread

logger = logging.getLogger(__name__)

AT_MOST: Final = 6  # calls for others
WITHIN: Final = 60.0  # seconds
MOST_REMEMBERED: Final = 64  # machines
LONGEST_FILE: Final = 65_536  # bytes

Told = Callable[[], tuple[str, ...]]


class Waker:
    """Sends calls. networks: of this machine."""

    def __init__(
        self,
        may_be_woken: Callable[[], bool],
        may_wake: Callable[[], bool],
        *,
        networks: Callable[[], Sequence[Lan]] = own_networks,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """may_be_woken, may_wake: whether this machine tells its addresses, and calls for others."""
        self._may_be_woken, self._may_wake = may_be_woken, may_wake
        self.networks, self._clock = networks, clock
        self._calls: list[float] = []
        self._addresses: tuple[str, ...] = ()

    def addresses(self) -> tuple[str, ...]:
        """What is told to machines of the owner's own; none unless the owner's switch says so."""
        if not self._may_be_woken():
            return ()
        if not self._addresses:  # looked up anew until there is one: the program may be older than the network
            try:
                self._addresses = own_addresses(self.networks())
            except OSError as error:
                logger.warning("this machine's network cards cannot be read: %s", error)
        return self._addresses

    async def call_for_another(self, macs: Sequence[str]) -> None:
        """Asked from afar by a machine of the owner's own. Raises Rejection."""
        if not self._may_wake():
            raise Rejection(
                Code.MODEL_OPERATION_NOT_SUPPORTED,
                "This machine wakes no others. Its switch for that is under Settings, Network.",
            )
        now = self._clock()
        self._calls = [at for at in self._calls if now - at < WITHIN]
        if len(self._calls) >= AT_MOST:
            raise Rejection(Code.MODEL_OPERATION_NOT_SUPPORTED, "This machine was asked for too many wake-up calls.")
        if not macs:
            raise Rejection(Code.MODEL_OPERATION_NOT_SUPPORTED, "Nobody was named to be woken.")
        self._calls.append(now)
        await self.call(macs)

    async def call(self, macs: Sequence[str]) -> None:
        """Raises NetworkError where it could be sent nowhere, LocalProtocolError for what is no address."""
        await asyncio.to_thread(send_wake_up, tuple(macs), self.networks)


class Sleepers:
    """What is remembered of machines that can be woken, over a restart; and calling one of them.

    helpers: machines of one's own that may be asked, by key; ask: have one of them call.
    """

    def __init__(
        self,
        file: Path,
        waker: Waker,
        helpers: Callable[[], Mapping[str, str]],
        ask: Callable[[str, Sequence[str]], Awaitable[None]],
    ) -> None:
        self._file, self._waker, self._helpers, self._ask = file, waker, helpers, ask
        self._known: dict[str, tuple[str, ...]] = {}
        self._writes = TaskOwner()

    async def open(self) -> None:
        self._known = await make_in_thread(self._read, lambda _: None)

    async def close(self) -> None:
        await self._writes.finish()

    def knows(self, public_key: str) -> bool:
        return bool(self._known.get(public_key))

    def told(self, public_key: str, macs: Sequence[str]) -> None:
        """By the machine itself, on its own connection: none = it is not to be woken any more."""
        kept = tuple(filter(is_card, macs))[:MOST_ADDRESSES]
        if kept == self._known.get(public_key, ()):
            return
        self._known.pop(public_key, None)
        if kept:
            self._known[public_key] = kept
            while len(self._known) > MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
        self._writes.start(self._write(), "remember how a machine is woken")

    def forget(self, public_key: str) -> None:
        self.told(public_key, ())

    async def call(self, public_key: str) -> tuple[str, ...]:
        """Who called: "" for this machine, the names of others. Raises what the last one raised where nobody could."""
        macs = self._known.get(public_key, ())
        helpers = {key: name for key, name in self._helpers().items() if key != public_key}

        async def here() -> None:
            await self._waker.call(macs)

        names = ("", *helpers.values())  # two may have one name
        ended = await asyncio.gather(here(), *(self._ask(key, macs) for key in helpers), return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException) and not isinstance(error, QvacError):
                raise error
        called = tuple(name for name, error in zip(names, ended, strict=True) if error is None)
        if not called:
            raise next(error for error in ended if isinstance(error, QvacError))
        return called

    def _read(self) -> dict[str, tuple[str, ...]]:
        try:
            with self._file.open("rb") as file:
                known = json.loads(file.read(LONGEST_FILE))
            return {
                key: tuple(mac for mac in macs if isinstance(mac, str) and is_card(mac))[:MOST_ADDRESSES]
                for key, macs in known.items()
                if isinstance(macs, list)
            }
        except (OSError, ValueError, AttributeError, RecursionError):
            return {}  # none yet, or nobody's file: it is told anew with the next connection

    async def _write(self) -> None:
        content = json.dumps({key: list(macs) for key, macs in self._known.items()}).encode()
        try:
            await asyncio.to_thread(write_atomically, self._file, content, action="remember how machines are woken")
        except StoreError as error:
            logger.warning("%s", error)
