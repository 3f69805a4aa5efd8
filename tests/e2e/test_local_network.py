"""Found by key alone on the local network: real multicast on loopback, then whole programs in machines of their own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from qvac_core.codec import Address
from qvac_core.core import Core, CoreConfig
from qvac_core.core.config import RuleOverride
from qvac_core.core.state import SharingPhase
from qvac_core.errors import DelegationError
from qvac_core.hyperdht import KeyPair, MulticastDns
from qvac_core.hyperdht.lan import local_network as room
from qvac_core.hyperdht.lan.local_names import Question, encode_answer, encode_question, service_name
from qvac_core.hyperdht.lan.local_network import MAX_ADDRESSES_OF_HOST, networks_of
from qvac_core.hyperdht.stream.connection import LOCAL_PATH

LOOPBACK = networks_of(["127.0.0.1"])
KEY = bytes(range(32))
NOBODY: Address = ("127.0.0.1", 9)
OPEN = RuleOverride(allow_all=True)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await test()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left

    asyncio.run(main())


async def first(dns: MulticastDns, key: bytes, limit: float = 30.0) -> Address | None:
    async with aclosing(dns.find(key)) as found:
        try:
            async with asyncio.timeout(limit):
                return await anext(found, None)
        except TimeoutError:
            return None


def test_a_key_is_found_over_multicast_until_it_is_not_served_any_more() -> None:
    async def test() -> None:
        owner, guest = MulticastDns(LOOPBACK), MulticastDns(LOOPBACK)
        owner.serve(KEY, 4711)
        other = MulticastDns(LOOPBACK)  # the second program of one machine
        other.serve(KEY[::-1], 4712)
        assert await first(guest, KEY) == ("127.0.0.1", 4711)
        assert await first(guest, KEY[::-1]) == ("127.0.0.1", 4712)
        assert await first(guest, bytes(32), 0.6) is None
        owner.stop_serving(KEY)
        assert await first(guest, KEY, 0.6) is None
        owner.serve(KEY, 4713)
        assert await first(guest, KEY) == ("127.0.0.1", 4713)
        for dns in (owner, guest, other):
            dns.close()
        assert await first(guest, KEY, 0.6) is None

    run(test)


def _listener() -> socket.socket:
    """Hears what is said to the group on loopback."""
    sock = room._listening_socket()
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, room._membership(LOOPBACK()[0]))
    return sock


def _questions_for(sock: socket.socket, key: bytes) -> list[tuple[bytes, Address]]:
    heard: list[tuple[bytes, Address]] = []
    while True:
        try:
            data, source = sock.recvfrom(2048)
        except BlockingIOError:
            return heard
        if service_name(key).partition(".")[0].encode() in data:
            heard.append((data, source))


def test_nothing_is_said_unasked() -> None:
    async def test() -> None:
        with _listener() as ear:
            owner = MulticastDns(LOOPBACK)
            owner.serve(KEY, 4711)
            await asyncio.sleep(0.4)
            owner.close()
            assert _questions_for(ear, KEY) == []
            guest = MulticastDns(LOOPBACK)
            await first(guest, KEY, 0.4)
            heard = _questions_for(ear, KEY)
            assert 1 <= len(heard) <= 2  # the ear is not deaf: the question came, and once more
            assert all(data == heard[0][0] for data, _ in heard)
            guest.close()

    run(test)


def test_a_flood_of_lies_is_bounded() -> None:
    async def test() -> None:
        with _listener() as ear:
            guest = MulticastDns(LOOPBACK)
            found: list[Address] = []

            async def search() -> None:
                async with aclosing(guest.find(KEY)) as addresses:
                    found.extend([address async for address in addresses])

            task = asyncio.create_task(search())
            while not (heard := _questions_for(ear, KEY)):
                await asyncio.sleep(0.01)
            number, asker = int.from_bytes(heard[0][0][:2], "big"), heard[0][1]
            question = Question(number, service_name(KEY))
            for port in range(1, 500):
                ear.sendto(encode_answer(question, ("8.8.8.8", port)), asker)
            async with asyncio.timeout(20):
                await task  # it has heard enough
            # Never the address that an answer names, only the one that it came from.
            assert found == [("127.0.0.1", port) for port in range(1, MAX_ADDRESSES_OF_HOST + 1)]

    run(test)


def test_answers_are_counted_and_only_neighbours_get_any(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(room, "ANSWERS_PER_SECOND", 3)
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: 1000.0)
        owner = MulticastDns(LOOPBACK)
        owner.serve(KEY, 4711)
        question = encode_question(Question(1, service_name(KEY)))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.bind(("127.0.0.1", 0))
            asker.settimeout(5)
            owner._answer(question, ("203.0.113.5", 5353))
            for _ in range(10):
                owner._answer(question, asker.getsockname())
            answers = [asker.recv(2048) for _ in range(3)]
            assert len(set(answers)) == 1
            asker.setblocking(False)
            with pytest.raises(BlockingIOError):
                asker.recv(2048)
        owner.close()

    run(test)


def test_without_multicast_nobody_is_found_and_one_quiet_line_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> socket.socket:
        raise PermissionError(1, "not permitted")

    async def test() -> None:
        caplog.set_level("INFO")
        monkeypatch.setattr(room, "_listening_socket", refuse)
        monkeypatch.setattr(room, "GROUP", ("0.0.0.1", 5353))
        dns = MulticastDns(LOOPBACK)
        dns.serve(KEY, 1)
        dns.serve(KEY[::-1], 1)
        assert await first(dns, KEY, 0.4) is None
        assert await first(dns, KEY, 0.4) is None
        dns.close()
        (line,) = [record for record in caplog.records if record.name == room.__name__]
        assert line.levelname == "INFO"
        assert "multicast is not possible" in line.getMessage()

    run(test)


def config(folder: Path, *, local: bool | None = None, rules: RuleOverride | None = None) -> CoreConfig:
    """A machine whose only bootstrap node does not exist."""
    return CoreConfig(folder, bootstrap=(NOBODY,), local_hosts=("127.0.0.1",), local_network=local, rules=rules)


def test_whole_cores_meet_without_any_network_and_say_where(tmp_path: Path) -> None:
    async def test() -> None:
        async with Core(config(tmp_path / "owner", rules=OPEN)) as owner, Core(config(tmp_path / "guest")) as guest:
            await owner.start_sharing()
            state = await owner.sharing()
            assert state.phase is SharingPhase.LOCAL
            assert "own network" in state.detail
            entry = await guest.connect_provider(owner.public_key)
            assert (entry.state, entry.path) == ("online", LOCAL_PATH)
            connection = guest.consumer.connection(bytes.fromhex(owner.public_key))
            assert connection is not None and connection.path == LOCAL_PATH
            assert (await owner.sharing()).peers == 1

    run(test)


def test_the_setting_switches_it_off(tmp_path: Path) -> None:
    async def test() -> None:
        key = KeyPair.from_seed(bytes(32)).public_key
        with _listener() as ear:
            async with Core(config(tmp_path)) as guest:
                task = asyncio.create_task(guest.connect_provider(key.hex()))
                while not _questions_for(ear, key):
                    await asyncio.sleep(0.01)
                task.cancel()
                await asyncio.wait([task])
                await guest.set_setting("local_network", "false")
            async with Core(config(tmp_path)) as guest:
                with pytest.raises(DelegationError):
                    await guest.connect_provider(key.hex())
                assert _questions_for(ear, key) == []

    run(test)
