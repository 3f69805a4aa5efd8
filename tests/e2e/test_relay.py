"""`qvac-desktop relay` as its owner runs it, between two peers that only it can join."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

from qvac_core.errors import QvacError
from qvac_core.hyperdht import DHT, Connection, KeyPair
from tests.e2e.program import qvac_desktop
from tests.interop.test_relay import Wall
from tests.limits import WHOLE

RELAY_SEED = "44" * 32
RELAY_KEY = KeyPair.from_seed(bytes.fromhex(RELAY_SEED)).public_key
SIZE = 2_000_000


async def echo(connection: Connection) -> None:
    async for message in connection:
        await connection.write(message)
    await connection.close()


async def talk_through_the_relay(bootstrap: str) -> tuple[bytes, bytes]:
    """The keys of client and server, after they have exchanged their bytes."""
    walls = Wall(), Wall()
    walls[0].others, walls[1].others = [walls[1]], [walls[0]]
    async with asyncio.timeout(WHOLE):
        async with (
            DHT([bootstrap], host="127.0.0.1", quick_firewall=False, network=walls[0]) as server,
            DHT([bootstrap], host="127.0.0.1", quick_firewall=False, network=walls[1]) as client,
        ):
            async with server.create_server(echo, share_local_address=False) as listening:
                await listening.listen()
                connection = await client.connect(server.key_pair.public_key, relay_through=RELAY_KEY)
                data = os.urandom(SIZE)
                await connection.write(data)
                assert await connection.read() == data
                assert connection.path == "relay"
                await connection.close()
            return client.key_pair.public_key, server.key_pair.public_key


def test_the_relay_verb_tells_whom_it_joins_and_how_much_passed(bootstrap: str, tmp_path: Path) -> None:
    with qvac_desktop("relay", "--json", "--seed", RELAY_SEED, "--bootstrap", bootstrap, data_dir=tmp_path) as program:
        assert program.until("ready")["publicKey"] == RELAY_KEY.hex()
        client, server = asyncio.run(talk_through_the_relay(bootstrap))
        assert program.until("pairing")["remotePublicKey"] in (client.hex(), server.hex())
        paired = program.until("paired")
        assert (paired["initiator"], paired["responder"]) == (client.hex(), server.hex())
        unpaired = program.until("unpaired", id=paired["id"])
        assert unpaired["bytes"] > 2 * SIZE
        program.interrupt()
        assert program.finish() == 130
        assert program.stderr == ""


def test_a_relay_for_some_keys_only_refuses_the_rest(bootstrap: str, tmp_path: Path) -> None:
    with qvac_desktop(
        *("relay", "--json", "--seed", RELAY_SEED, "--bootstrap", bootstrap, "--allow", RELAY_KEY.hex()),
        data_dir=tmp_path,
    ) as program:
        program.until("ready")

        async def knock() -> str:
            async with DHT([bootstrap], host="127.0.0.1") as dht:
                try:
                    await dht.connect(RELAY_KEY, timeout=20)
                except QvacError as error:
                    return error.name
            return "connected"

        assert asyncio.run(knock()) == "SERVER_ERROR"
        program.interrupt()
        assert program.finish() == 130


def test_wrong_limits_are_wrong_usage(tmp_path: Path) -> None:
    with qvac_desktop("relay", "--rate", "-3", data_dir=tmp_path) as program:
        assert program.finish() == 2
        assert "megabytes" in program.stderr


def test_a_relay_listens_where_it_is_told_to(bootstrap: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with qvac_desktop("relay", "--json", "--bootstrap", bootstrap, "--port", str(port), data_dir=tmp_path) as program:
        assert program.until("ready")["port"] == port
        program.interrupt()
        assert program.finish() == 130
