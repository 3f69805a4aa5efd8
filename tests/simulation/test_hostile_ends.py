"""Ends that somebody on the path forges: a stream is never cut short without a word.

UDX's END is not encrypted, and neither are the lengths of frames; found by the fuzz target `udx_pair`.
"""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.errors import ConnectionClosed
from qvac_core.hyperdht import Connection

from .hostile import Siege, besiege


async def pair(siege: Siege) -> tuple[Connection, Connection]:
    """The server's side of a connection, and the client's."""
    accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
    server = await siege.node()
    await server.create_server(accepted.set_result).listen()
    client = await siege.node()
    connection = await client.connect(server.key_pair.public_key)
    return await accepted, connection


async def read_to_the_end(connection: Connection) -> list[bytes]:
    return [message async for message in connection]


def test_an_end_in_the_middle_of_a_message_is_an_error() -> None:
    async def test(siege: Siege) -> None:
        theirs, ours = await pair(siege)
        ours.write_nowait(b"whole")
        ours._raw.write(ours._secret.encrypt(bytes(100))[:50])
        ours._raw.end()
        assert await theirs.read() == b"whole"
        with pytest.raises(ConnectionClosed, match="middle of a message"):
            await read_to_the_end(theirs)
        await theirs.wait_closed()

    besiege(test)


def test_a_forged_message_right_before_the_end_is_an_error() -> None:
    """Both sides have ended, so that the good close comes in the same breath as the forgery."""

    async def test(siege: Siege) -> None:
        theirs, ours = await pair(siege)
        theirs._raw.end()
        await asyncio.sleep(1)
        frame = bytearray(ours._secret.encrypt(bytes(100)))
        frame[50] ^= 1
        ours._raw.write(bytes(frame))
        ours._raw.end()
        with pytest.raises(ConnectionClosed, match="encryption"):
            await read_to_the_end(theirs)
        await theirs.wait_closed()

    besiege(test)


def test_a_good_end_stays_one() -> None:
    async def test(siege: Siege) -> None:
        theirs, ours = await pair(siege)
        ours.write_nowait(b"whole")
        ours._raw.end()
        assert await read_to_the_end(theirs) == [b"whole"]

    besiege(test)
