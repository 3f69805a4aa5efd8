"""The client's side of a connection that may go through a relay: both ways at once, and the direct one for good.

From docs/wire/hyperdht.md sections 6.3 and 6.7 (`relayConnection` of hyperdht/lib/connect.js 6.34.0).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from qvac_core.blind_relay import PAIRING_LIMIT
from qvac_core.blind_relay.messages import TOKEN_BYTES
from qvac_core.codec import Address
from qvac_core.errors import NetworkError
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.hyperdht.relay.leg import ConnectTo, RelayLeg, pair_through, wait_until_direct
from qvac_core.hyperdht.stream.path_driver import PathDriver
from qvac_core.rendezvous.messages import NoisePayload, RelayThrough

logger = logging.getLogger(__name__)

NEXT_RELAY_AFTER = 6.0
"""Seconds for a relay while there are others; alone it gets the original's 15."""
_DIRECT_GRACE = 1.0
"""Seconds that a direct path has after its relay failed, before all is begun anew with the next relay."""

DirectPath = tuple[int, Address]


class ClientRelay:
    """What one meeting wants of a relay. `wish` goes into its handshake. `is_last`: no other relay is left to be tried.

    `used` is the relay that was agreed on, `failed` whether it turned out to be of no use.
    """

    def __init__(self, node: LocalNode, connect: ConnectTo, relay: bytes | None, *, is_last: bool = True) -> None:
        self._node = node
        self._connect = connect
        self._is_last = is_last
        self._path: DirectPath | None = None
        self._pairing: asyncio.Task[RelayLeg] | None = None
        self._aborted: asyncio.Future[DirectPath] = node.endpoint.loop.create_future()
        self.of_use = False
        """A relay carries the connection, or may still do so."""
        self.used: bytes | None = None
        self.named_by_server = False
        self.wish = RelayThrough(relay, node.chance.randbytes(TOKEN_BYTES)) if relay is not None else None

    def abort(self, error: NetworkError) -> None:
        """Make `reach` fail, whatever is under way."""
        if not self._aborted.done():
            self._aborted.set_exception(error)
            self._aborted.exception()

    @property
    def failed(self) -> bool:
        return self.used is not None and not self.of_use

    def agreed(self, answer: NoisePayload) -> tuple[RelayThrough, bool] | None:
        """The relay and token to use, and whether we are the initiator there: the server's wish goes before ours."""
        if answer.relay_through is not None:
            return answer.relay_through, False
        return (self.wish, True) if self.wish is not None else None

    def is_relay(self, socket: int, address: Address) -> bool:
        return (socket, address) == self._path

    def _note_path(self, paths: PathDriver, path: DirectPath) -> None:
        self._path = path
        paths.expect_relay(path)

    def _pair(
        self, answer: NoisePayload, stream_id: int, on_path: Callable[[DirectPath], None]
    ) -> asyncio.Task[RelayLeg]:
        agreed = self.agreed(answer)
        assert agreed is not None
        through, is_initiator = agreed
        self.used, self.of_use, self.named_by_server = through.public_key, True, not is_initiator
        pairing = pair_through(
            self._node,
            self._connect,
            through.public_key,
            through.token,
            is_initiator=is_initiator,
            stream_id=stream_id,
            on_path=on_path,
            limit=PAIRING_LIMIT if self._is_last else NEXT_RELAY_AFTER,
        )
        task = asyncio.create_task(pairing, name="pairing at a relay")
        task.add_done_callback(self._on_paired)
        return task

    def _on_paired(self, pairing: asyncio.Task[RelayLeg]) -> None:
        self.of_use = not pairing.cancelled() and pairing.exception() is None

    async def reach(
        self, paths: PathDriver, answer: NoisePayload, direct: Coroutine[Any, Any, DirectPath]
    ) -> tuple[DirectPath | RelayLeg, asyncio.Task[DirectPath]]:
        """Whichever is there first, and the search for a direct path, which goes on when that is the relay.

        When it is the direct path `leave` is called once the stream is on it. Raises NetworkError when both fail.
        """
        finding = asyncio.create_task(direct, name="direct path beside a relay")
        pairing = self._pair(answer, paths.raw.id, partial(self._note_path, paths))
        try:
            leg_or_path = await self._first(finding, pairing)
        except BaseException:
            await cancel(finding, pairing)
            _drop_leg(pairing)
            raise
        self._pairing = pairing
        return leg_or_path, finding

    async def leave(self, paths: PathDriver | None) -> None:
        """The relay is not needed: the stream is on a direct path, or (None) there is none."""
        pairing = self._pairing
        if pairing is None:
            return
        try:
            if paths is not None and self._path is not None:
                await wait_until_direct(paths)
        finally:
            await cancel(pairing)
            _drop_leg(pairing)

    async def reach_again(
        self, path: PathDriver, answer: NoisePayload, direct: Coroutine[Any, Any, DirectPath]
    ) -> None:
        """The same for a connection that is open; `path` gets what is found, and the direct path for good.

        Raises NetworkError when nothing was found.
        """
        finding = asyncio.create_task(direct, name="another direct path")
        pairing = self._pair(answer, path.raw.id, path.expect_relay) if self.agreed(answer) is not None else None
        failure: NetworkError | None = None
        left: set[asyncio.Task[Any]] = {finding} if pairing is None else {finding, pairing}
        try:
            while left and not path.settled:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                try:
                    if pairing is not None and pairing in done:
                        path.take(pairing.result())
                    if finding in done:
                        path.found(finding.result())
                        await path.wait_while_moving()
                except NetworkError as error:
                    failure = error
                    if path.lost and left == {finding}:
                        _, left = await asyncio.wait(left, timeout=_DIRECT_GRACE)
                        if not left and finding.exception() is None:
                            path.found(finding.result())
                            await path.wait_while_moving()
                        break
        finally:
            await cancel(finding, *([] if pairing is None else [pairing]))
        if path.lost:
            raise failure or NetworkError("No other path was found.", name="RELAY_ABORTED")

    async def _first(self, finding: asyncio.Task[DirectPath], pairing: asyncio.Task[RelayLeg]) -> DirectPath | RelayLeg:
        """The result of the first that succeeds; the direct path when both are there. The later failure counts."""
        ways: list[asyncio.Future[Any]] = [finding, pairing, self._aborted]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        if self._aborted.done():
            return self._aborted.result()
        if not finding.done() and pairing.exception() is not None and not self._is_last:
            await asyncio.wait([finding], timeout=_DIRECT_GRACE)
            return finding.result() if finding.done() else pairing.result()
        for first, second in ((finding, pairing), (pairing, finding)):
            if first.done():
                try:
                    return first.result()
                except NetworkError as error:
                    logger.debug("%s: %s", first.get_name(), error)
                    ways.remove(first)
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                    return self._aborted.result() if self._aborted.done() else second.result()
        raise AssertionError("one of the two was done")


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _drop_leg(pairing: asyncio.Task[RelayLeg]) -> None:
    if pairing.done() and not pairing.cancelled() and pairing.exception() is None:
        pairing.result().close()
