"""Floods at a running provider that lets strangers knock: who is allowed still gets an answer, and nothing grows."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from pathlib import Path

import psutil

from qvac_core.codec import blake2b
from qvac_core.dht_rpc import Internal, RequestMessage
from qvac_core.rendezvous.constants import Command, Firewall, Mode
from qvac_core.rendezvous.handshake import ClientHandshake
from qvac_core.rendezvous.messages import HandshakeMessage, NoisePayload, UdxInfo
from tests.e2e.program import qvac_desktop
from tests.e2e.raw_guest import RawGuest, key_pair

PROVIDER_SEED, FRIEND_SEED = "71" * 32, "72" * 32
KEY = key_pair(PROVIDER_SEED).public_key
SOCKETS_AT_MOST = 200
MIB = 1 << 20


def true_handshake(number: int) -> bytes:
    handshake = ClientHandshake(
        key_pair=key_pair(f"{number:064x}"), ephemeral=key_pair(f"{number:032x}" * 2), remote_public_key=KEY
    )
    payload = NoisePayload(firewall=Firewall.UNKNOWN, udx=UdxInfo(number + 1), secret_stream=True)
    return HandshakeMessage(Mode.FROM_CLIENT, handshake.message(lambda: payload)).encode()


def flood(ports: list[int], done: threading.Event, counts: list[int]) -> None:
    """Handshakes under ever new keys, requests of all kinds, from ever new ports."""
    chance = random.Random(5)
    handshakes = [true_handshake(n) for n in range(1, 400)]
    while not done.wait(0.005):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            to = "127.0.0.1", chance.choice(ports)
            for n in range(20):
                target = blake2b(KEY) if n % 2 else chance.randbytes(32)
                request = chance.choice(
                    (
                        RequestMessage(
                            n, to, Command.PEER_HANDSHAKE, target=blake2b(KEY), value=chance.choice(handshakes)
                        ),
                        RequestMessage(n, to, Internal.FIND_NODE, True, target=target),
                        RequestMessage(n, to, Command.LOOKUP, target=target),
                        RequestMessage(n, to, Command.ANNOUNCE, target=target, token=bytes(32), value=bytes(99)),
                    )
                )
                sender.sendto(request.encode(), to)
                counts[0] += 1


def test_a_friend_gets_an_answer_while_strangers_flood_the_door(
    bootstrap: str, small_model_path: Path, tmp_path: Path
) -> None:
    rules = ("--allow", key_pair(FRIEND_SEED).public_key.hex(), "--knock")
    with qvac_desktop(
        *("provider", "--json", "--seed", PROVIDER_SEED, "--bootstrap", bootstrap, "--model", str(small_model_path)),
        *rules,
        data_dir=tmp_path / "owner",
    ) as program:
        program.until("ready")
        process = psutil.Process(program.process.pid)
        before = process.memory_info().rss
        ports = sorted({connection.laddr.port for connection in process.net_connections("udp")})
        done, counts = threading.Event(), [0]
        flooder = threading.Thread(target=flood, args=(ports, done, counts))
        flooder.start()
        try:
            options = ("--seed", FRIEND_SEED, "--bootstrap", bootstrap, "--predict", "30", "--temp", "0")
            with qvac_desktop(
                *("chat", KEY.hex(), "--json", *options, "--prompt", "Tell a story."), data_dir=tmp_path / "friend"
            ) as friend:
                assert friend.finish() == 0, friend.stderr
            assert len(process.net_connections("udp")) < SOCKETS_AT_MOST
            assert process.memory_info().rss - before < 200 * MIB
        finally:
            done.set()
            flooder.join()
        assert counts[0] > 500
        assert friend.of("stats")[0]["generatedTokens"] == 30
        asyncio.run(_still_serves(bootstrap))
    assert program.stderr == ""


async def _still_serves(bootstrap: str) -> None:
    async with RawGuest(bootstrap, FRIEND_SEED, KEY.hex()) as guest:
        (beat,) = await guest.ask({"type": "heartbeat"})
        assert beat["type"] == "heartbeat"
