"""Requests and queries of a node as coroutines.

Ours; dht_rpc.Node works with callbacks, and everything that waits for an answer waits here. Cancelling a coroutine
cancels its request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from qvac_core.codec import Address
from qvac_core.dht_rpc import Outcome, QueryResult, Reply, SocketId
from qvac_core.errors import NetworkError
from qvac_core.hyperdht.node.endpoint import Endpoint
from qvac_core.rendezvous.constants import SEQ_REUSED, SEQ_TOO_LOW

_REFUSALS = {
    SEQ_REUSED: ("SEQ_REUSED", "Another value is stored under this sequence number."),
    SEQ_TOO_LOW: ("SEQ_TOO_LOW", "A newer value is stored already: use a higher sequence number."),
}


class Requests:
    """What waits for answers. NetworkError: REQUEST_TIMEOUT where none came, NODE_DESTROYED at its end."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._loop = endpoint.loop
        self._waiting: set[asyncio.Future[Any]] = set()

    def close(self) -> None:
        """Fail everything that still waits, after the endpoint was closed."""
        for future in list(self._waiting):
            if not future.done():
                future.set_exception(_destroyed())

    def _future(self) -> asyncio.Future[Any]:
        if self._endpoint.closed:
            raise _destroyed()
        future = self._loop.create_future()
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        return future

    async def request(
        self,
        command: int,
        to: Address,
        *,
        target: bytes | None = None,
        value: bytes | None = None,
        token: bytes | None = None,
        retries: int = 3,
        socket: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  of each attempt, on the wire
    ) -> Reply:
        """The answer, which may carry an error number. Raises NetworkError (REQUEST_TIMEOUT, …)."""
        done: asyncio.Future[Outcome] = self._future()
        request = self._endpoint.node.request(
            command,
            to,
            now=self._loop.time(),
            on_done=lambda outcome: _settle(done, outcome),
            target=target,
            value=value,
            token=token,
            retries=retries,
            socket=socket,
            timeout=timeout,
        )
        self._endpoint.flush_node()
        return await self._outcome(done, request.cancel)

    async def ping(self, to: Address, *, retries: int = 3, timeout: float | None = None) -> Reply:  # noqa: ASYNC109
        done: asyncio.Future[Outcome] = self._future()
        request = self._endpoint.node.ping(
            to, now=self._loop.time(), on_done=lambda outcome: _settle(done, outcome), retries=retries, timeout=timeout
        )
        self._endpoint.flush_node()
        return await self._outcome(done, request.cancel)

    async def ping_server_socket(self, to: Address) -> Reply | None:
        """A ping that is to be answered to our server socket, which nobody opened the way to; None: nothing came."""
        done: asyncio.Future[Outcome] = self._future()
        self._endpoint.node.exchange.ping_nat(to, on_done=lambda outcome: _settle(done, outcome), retries=1)
        self._endpoint.flush_node()
        outcome = await done
        arrived = isinstance(outcome, Reply) and outcome.socket == SocketId.SERVER
        return outcome if arrived and isinstance(outcome, Reply) else None

    async def _outcome(self, done: asyncio.Future[Outcome], cancel: Callable[[], None]) -> Reply:
        try:
            outcome = await done
        except asyncio.CancelledError:
            cancel()
            self._endpoint.flush_node()
            raise
        if isinstance(outcome, NetworkError):
            raise outcome
        return outcome

    async def query(
        self,
        target: bytes,
        command: int,
        value: bytes | None = None,
        *,
        nodes: Sequence[Address] = (),
        only_nodes: bool = False,
        retries: int = 5,
        on_reply: Callable[[Reply], bool] | None = None,
    ) -> QueryResult | None:
        """Walk towards `target`, beginning at `nodes`, or asking those alone.

        `on_reply` returns True when it has seen enough: the result is None then.
        """
        done: asyncio.Future[QueryResult | None] = self._future()

        def see(reply: Reply) -> None:
            if on_reply is not None and not done.done() and on_reply(reply):
                done.set_result(None)

        query = self._endpoint.node.query(
            target,
            command,
            value,
            now=self._loop.time(),
            on_finished=lambda result: None if done.done() else done.set_result(result),
            on_reply=see,
            nodes=nodes,
            only_nodes=only_nodes,
            retries=retries,
        )
        self._endpoint.flush_node()
        try:
            result = await done
        finally:
            if not query.done:
                query.cancel()
                self._endpoint.flush_node()
        if result is not None and result.error is not None:
            raise _destroyed() if self._endpoint.closed else result.error
        return result

    async def store(
        self, command: int, target: bytes, replies: Sequence[Reply], make_value: Callable[[bytes, bytes], bytes]
    ) -> list[Address]:
        """Send `command` to the nodes of a finished walk; those of them that accepted it.

        `make_value(node_id, token)` gives what is sent to one node. Raises NetworkError when none accepted.
        """

        async def store_at(reply: Reply) -> Outcome:
            assert reply.id is not None and reply.token is not None
            value = make_value(reply.id, reply.token)
            try:
                return await self.request(command, reply.from_, target=target, value=value, token=reply.token)
            except NetworkError as error:
                return error

        usable = [reply for reply in replies if reply.id is not None and reply.token is not None]
        outcomes = await asyncio.gather(*map(store_at, usable))
        stored = [outcome.from_ for outcome in outcomes if isinstance(outcome, Reply) and outcome.error == 0]
        if stored:
            return stored
        for outcome in outcomes:
            if isinstance(outcome, Reply) and outcome.error in _REFUSALS:
                name, sentence = _REFUSALS[outcome.error]
                raise NetworkError(sentence, name=name)
        raise NetworkError("No node of the network stored it: too few nodes responded.", name="TOO_FEW_NODES")


def _destroyed() -> NetworkError:
    return NetworkError("This node is closed.", name="NODE_DESTROYED")


def _settle(done: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not done.done():
        done.set_result(outcome)
