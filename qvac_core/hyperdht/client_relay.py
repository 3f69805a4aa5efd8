"""The client's side of a connection that may go through a relay: both ways at once, and the direct one for good.

From wire reference sections 6.3 and 6.7 (`relayConnection` of hyperdht/lib/connect.js 6.34.0).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from qvac_core.blind_relay.messages import TOKEN_BYTES
from qvac_core.codec import Address
from qvac_core.errors import NetworkError
from qvac_core.hyperdht.connection import Connection
from qvac_core.hyperdht.raw_stream import RawStream
from qvac_core.hyperdht.relay_leg import RelayKeys, RelayLeg, choose_relay, pair_through
from qvac_core.hyperdht.relayed_path import RelayedPath
from qvac_core.rendezvous.messages import NoisePayload, RelayThrough

if TYPE_CHECKING:
    from qvac_core.hyperdht.dht import DHT

logger = logging.getLogger(__name__)

DirectPath = tuple[int, Address]


class ClientRelay:
    """What one connect wants of relays. `wish` goes into its handshake."""

    def __init__(self, dht: DHT, relays: RelayKeys | None) -> None:
        self._dht = dht
        self._path: DirectPath | None = None
        relay = choose_relay(relays, dht.chance)
        self.wish = RelayThrough(relay, dht.chance.randbytes(TOKEN_BYTES)) if relay is not None else None

    def agreed(self, answer: NoisePayload) -> tuple[RelayThrough, bool] | None:
        """The relay and token to use, and whether we are the initiator there: the server's wish goes before ours."""
        if answer.relay_through is not None:
            return answer.relay_through, False
        return (self.wish, True) if self.wish is not None else None

    def is_relay(self, socket: int, address: Address) -> bool:
        return (socket, address) == self._path

    def _note_path(self, raw: RawStream, path: DirectPath) -> None:
        self._path = raw.relay_path = path

    async def reach(
        self,
        raw: RawStream,
        answer: NoisePayload,
        direct: Coroutine[Any, Any, DirectPath],
        *,
        open_direct: Callable[[DirectPath], Connection],
        open_relayed: Callable[[RelayLeg], Connection],
        on_over: Callable[[], None],
    ) -> Connection:
        """Whichever is there first; when that is the relay, `direct` goes on and the connection moves to what it finds.

        `on_over` is called once: nothing uses what `direct` uses any more. Raises NetworkError when both fail.
        """
        agreed = self.agreed(answer)
        assert agreed is not None and answer.udx is not None
        through, is_initiator = agreed
        finding = asyncio.create_task(direct, name="direct path beside a relay")
        pairing = asyncio.create_task(
            pair_through(
                self._dht,
                through.public_key,
                through.token,
                is_initiator=is_initiator,
                stream_id=raw.id,
                on_path=partial(self._note_path, raw),
            ),
            name="pairing at a relay",
        )
        try:
            leg_or_path = await _first(finding, pairing)
        except BaseException:
            await _cancel(finding, pairing)
            _drop_leg(pairing)
            on_over()
            raise
        if not isinstance(leg_or_path, RelayLeg):
            await _cancel(pairing)
            _drop_leg(pairing)
            try:
                return open_direct(leg_or_path)
            finally:
                on_over()
        try:
            connection = open_relayed(leg_or_path)
        except BaseException:
            await _cancel(finding)
            leg_or_path.close()
            on_over()
            raise
        upgrade = _Upgrade(finding, on_over)
        upgrade.path = RelayedPath(self._dht, raw, connection, leg_or_path, answer.udx.id, upgrade.end)
        self._dht.spawn(upgrade.run(), "direct path of a relayed connection")
        return connection


class _Upgrade:
    """Waits for the direct path of a connection that is relayed meanwhile."""

    def __init__(self, finding: asyncio.Task[DirectPath], on_over: Callable[[], None]) -> None:
        self.path: RelayedPath
        self._finding = finding
        self._on_over = on_over
        self._ended = asyncio.Event()

    def end(self) -> None:
        """It is direct, or closed."""
        self._ended.set()

    async def run(self) -> None:
        ended = asyncio.create_task(self._ended.wait(), name="end of a relayed connection")
        try:
            await asyncio.wait([ended, self._finding], return_when=asyncio.FIRST_COMPLETED)
            if self._finding.done() and not self._ended.is_set():
                try:
                    self.path.found(*self._finding.result())
                except NetworkError as error:
                    logger.debug("the connection stays on the relay: %s", error)
                # What was punched is kept until the connection has moved there, or is gone.
                await ended
        finally:
            await _cancel(ended, self._finding)
            self._on_over()


async def _first(finding: asyncio.Task[DirectPath], pairing: asyncio.Task[RelayLeg]) -> DirectPath | RelayLeg:
    """The result of the first that succeeds; the direct path when both are there. The later failure counts."""
    await asyncio.wait([finding, pairing], return_when=asyncio.FIRST_COMPLETED)
    for first, second in ((finding, pairing), (pairing, finding)):
        if first.done():
            try:
                return first.result()
            except NetworkError as error:
                logger.debug("%s: %s", first.get_name(), error)
                return await second
    raise AssertionError("one of the two was done")


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _drop_leg(pairing: asyncio.Task[RelayLeg]) -> None:
    if pairing.done() and not pairing.cancelled() and pairing.exception() is None:
        pairing.result().close()
