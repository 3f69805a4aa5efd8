"""What peers send and a provider has to keep: bounded over all connections, with a share that nobody can use up."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from qvac_core.delegation.frames import encode_request
from qvac_core.delegation.held_bytes import HeldBytes
from qvac_core.delegation.rpc import Rpc
from qvac_core.delegation.rpc_streams import IncomingRequest
from qvac_core.errors import RemoteProtocolError
from tests.unit.memory_stream import MemoryStream, run, settle, stream_pair

RUNNER = run

LIMIT, SHARE = 8_000, 1_000


def test_the_greedy_give_way_and_the_modest_stay() -> None:
    held = HeldBytes(LIMIT, SHARE)
    greedy, late, modest = object(), object(), object()
    held.hold(greedy, LIMIT)
    with pytest.raises(RemoteProtocolError, match="try again later"):
        held.hold(late, SHARE + 1)
    held.release(late)
    held.hold(modest, SHARE)
    held.hold(greedy, LIMIT - 1)  # less than before is never too much
    assert held.in_all == LIMIT - 1 + SHARE
    for holder in (greedy, modest, modest):
        held.release(holder)
    assert held.in_all == 0


async def test_frames_that_are_never_finished_and_requests_that_wait_are_counted() -> None:

    held = HeldBytes(LIMIT, SHARE)
    go = asyncio.Event()

    async def slow(request: IncomingRequest) -> None:
        await go.wait()
        await request.reply(b"done")

    async with asyncio.TaskGroup() as group:
        guests: list[MemoryStream] = []
        servers: list[Rpc] = []
        for _ in range(3):
            asking, answering = stream_pair()
            servers.append(Rpc(answering, slow, held=held))
            group.create_task(servers[-1].run())
            guests.append(asking)
        waiting, unfinished, modest = guests
        await waiting.write(encode_request(1, 1, bytes(6_000)))
        await unfinished.write(encode_request(1, 1, bytes(6_000))[:1_500])
        await modest.write(encode_request(1, 1, bytes(900)))
        await settle()
        assert not any(server.closed for server in servers)
        await unfinished.write(bytes(2_000))
        await settle()
        assert [server.closed for server in servers] == [False, True, False]
        go.set()
        await settle()
        assert held.in_all == 0
        for server in servers:
            server.destroy()


def test_what_is_held_follows_what_is_there() -> None:
    held = HeldBytes(LIMIT, SHARE)
    steps = [0, 500, 700, 100, 0, 900]
    for before, size in pairwise(steps):
        held.hold("guest", size)
        assert held.in_all == size, before
