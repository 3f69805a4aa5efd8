"""Keeping to a topic: announced, looked up, or both in one walk; again before nodes forget it, taken back at the end.

From hyperswarm/lib/peer-discovery.js 4.17.2 (its interval and jitter). Ours tries again within seconds when no node
answered, and takes an announce back also where the walk was cut off; the original waits for the next round.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from random import Random, SystemRandom
from types import TracebackType

from qvac_core.codec import Address
from qvac_core.errors import NetworkError
from qvac_core.hyperdht import records
from qvac_core.hyperdht.node.requests import Requests
from qvac_core.hyperdht.records import OnTopic
from qvac_core.noise import KeyPair

logger = logging.getLogger(__name__)

REFRESH_INTERVAL = 600.0
"""Seconds between two walks; nodes remember an announce for 20 minutes."""
REFRESH_JITTER = 120.0
"""Seconds, at most, that are added to that by chance: those who started together do not walk together for ever."""
RETRY_FIRST, RETRY_LAST = 3.0, 60.0
"""Seconds after a walk that failed, doubled each time."""
WITHDRAW_LIMIT = 2.0


class TopicKeeper:
    """`async with`, or `await start()` and `await close()`; `begin` does not wait for the first walk.

    `announces` may be changed, and counts from the next walk on: `refresh` makes that soon.
    """

    def __init__(
        self,
        requests: Callable[[], Awaitable[Requests]],
        topic: bytes,
        key_pair: KeyPair,
        *,
        relay_addresses: Callable[[], Sequence[Address]] | Sequence[Address] = (),
        announces: bool = True,
        on_found: OnTopic = lambda found: None,
        random: Random | None = None,
    ) -> None:
        """`requests` is asked before each walk, and opens the node; `on_found` hears who else is there."""
        self._open = requests
        self._requests: Requests | None = None
        self._key_pair = key_pair
        self._relay_addresses = relay_addresses
        self._on_found = on_found
        self._random = random or SystemRandom()
        self._task: asyncio.Task[None] | None = None
        self._refresh = asyncio.Event()
        self._waiting: list[asyncio.Future[bool]] = []
        self._walking = False
        self._is_announced = False
        self.topic = topic
        self.announces = announces
        self.nodes: tuple[Address, ...] = ()
        """Those nearest to the topic that answered last; of them those that took the announce."""

    async def __aenter__(self) -> TopicKeeper:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Walk once, and go on. Raises NetworkError when no node takes it; then it does not go on."""
        try:
            await self._walk()
        except BaseException:
            await self._withdraw()
            raise
        self._begin(first=False)

    def begin(self) -> None:
        """Go on from the first walk, however that ends."""
        self._begin(first=True)

    def _begin(self, *, first: bool) -> None:
        if self._task is None:
            if first:
                self._refresh.set()
            self._task = asyncio.create_task(self._run(), name="keeping to a topic")

    def refresh(self) -> None:
        """Walk again soon: the network changed, or `announces`, or the relay addresses."""
        self._refresh.set()

    async def flushed(self) -> bool:
        """Returns when no walk is under way or about to begin; whether the last one succeeded. False once closed."""
        if self._task is None or self._task.done():
            return False
        if not self._walking and not self._refresh.is_set():
            return bool(self.nodes)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        return await done

    async def close(self) -> None:
        """Take an announce back, as far as that goes quickly. May be called again."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        self._tell(False)
        await self._withdraw()

    def _tell(self, succeeded: bool) -> None:
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            if not done.done():
                done.set_result(succeeded)

    async def _walk(self) -> None:
        requests = self._requests = await self._open()
        if self.announces:
            self._is_announced = True
            given = self._relay_addresses
            relays = given() if callable(given) else given
            self.nodes = tuple(
                await records.announce(
                    requests, self.topic, self._key_pair, relays, nodes=self.nodes, on_found=self._on_found
                )
            )
        elif self._is_announced:
            self.nodes = tuple(
                await records.lookup_and_unannounce(
                    requests, self.topic, self._key_pair, self._on_found, nodes=self.nodes
                )
            )
            self._is_announced = False
        else:
            self.nodes = tuple(await records.lookup(requests, self.topic, self._on_found, nodes=self.nodes))

    async def _run(self) -> None:
        pause, retry = self._interval(), RETRY_FIRST
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._refresh.wait()
            except TimeoutError:
                pass  # it is time
            self._refresh.clear()
            self._walking = True
            try:
                await self._walk()
            except NetworkError as error:
                logger.debug("no walk to the topic: %s", error)
                pause, retry = retry, min(2 * retry, RETRY_LAST)
                succeeded = False
                if error.name == "NODE_DESTROYED":
                    return
            else:
                pause, retry = self._interval(), RETRY_FIRST
                succeeded = True
            finally:
                self._walking = False
            if not self._refresh.is_set():
                self._tell(succeeded)

    def _interval(self) -> float:
        return REFRESH_INTERVAL + self._random.random() * REFRESH_JITTER

    async def _withdraw(self) -> None:
        if not self._is_announced or self._requests is None:
            return
        self._is_announced = False
        try:
            async with asyncio.timeout(WITHDRAW_LIMIT):
                await records.lookup_and_unannounce(
                    self._requests, self.topic, self._key_pair, nodes=self.nodes, only_nodes=bool(self.nodes)
                )
        except (TimeoutError, NetworkError):
            pass  # it ends by itself
