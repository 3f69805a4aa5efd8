"""Wake-on-LAN: the packet, real datagrams, who may ask for one, and what is remembered."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.cli import remote
from app.cli.config import core_config
from app.cli.options import parse_options
from app.cli.output import Output
from qvac_core.core.wake_on_lan import MOST_ADDRESSES, Lan, magic_packet, own_addresses, own_networks, send_wake_up
from qvac_core.core.waking import AT_MOST, WITHIN, Sleepers, Waker
from qvac_core.delegation.failures import Rejection
from qvac_core.errors import LocalProtocolError, NetworkError, QvacError
from tests.limits import EVENT

MAC = "d8:bb:c1:12:34:56"
STUDIO, RACK = "ab" * 32, "cd" * 32


@pytest.fixture
def sleeper() -> Iterator[socket.socket]:
    """Hears what is called into the network of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("", 0))
        heard.settimeout(30)
        yield heard


def network(heard: socket.socket) -> Lan:
    return Lan("127.0.0.1", "127.255.255.255", MAC, heard.getsockname()[1])


def test_the_packet_is_that_of_the_magic() -> None:
    packet = magic_packet(MAC)
    assert len(packet) == 102 and packet[:6] == b"\xff" * 6
    assert packet[6:] == bytes.fromhex("d8bbc1123456") * 16


@pytest.mark.parametrize(
    "mac", ["", "d8:bb:c1:12:34", "D8:BB:C1:12:34:56", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00"]
)
def test_what_is_no_card_is_refused(mac: str) -> None:
    with pytest.raises(LocalProtocolError):
        magic_packet(mac)


def test_a_real_packet_arrives(sleeper: socket.socket) -> None:
    assert send_wake_up([MAC], lambda: [network(sleeper)]) == 1
    assert sleeper.recv(2048) == magic_packet(MAC)


def test_where_it_can_be_sent_nowhere_it_is_said() -> None:
    with pytest.raises(NetworkError) as error:
        send_wake_up([MAC], list)
    assert error.value.name == "WAKE_NOT_SENT"


def test_real_cards_go_before_those_that_a_system_made_up() -> None:
    made_up, real = Lan("10.0.0.1", "10.0.0.255", "02:42:ac:11:00:02"), Lan("10.1.0.1", "10.1.0.255", MAC)
    assert own_addresses([made_up, real, real]) == (MAC,)
    assert own_addresses([made_up]) == (made_up.mac,)
    many = [Lan("10.0.0.1", "10.0.0.255", f"d8:bb:c1:12:34:{place:02x}") for place in range(9)]
    assert len(own_addresses(many)) == MOST_ADDRESSES
    assert all(not one.address.startswith("127.") for one in own_networks())


def test_it_is_off_until_its_owner_says_so_and_bounded_then(sleeper: socket.socket) -> None:
    on, now = False, 0.0
    waker = Waker(lambda: on, lambda: on, networks=lambda: [network(sleeper)], clock=lambda: now)

    async def calls() -> None:
        nonlocal on, now
        assert waker.addresses() == ()
        with pytest.raises(Rejection, match="wakes no others"):
            await waker.call_for_another([MAC])
        on = True
        assert waker.addresses() == (MAC,)
        for _ in range(AT_MOST):
            await waker.call_for_another([MAC])
        with pytest.raises(Rejection, match="too many"):
            await waker.call_for_another([MAC])
        now = WITHIN
        await waker.call_for_another([MAC])

    asyncio.run(calls())
    assert sleeper.recv(2048) == magic_packet(MAC)


def test_everybody_who_can_calls_and_it_is_remembered_over_a_restart(sleeper: socket.socket, tmp_path: Path) -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []
    trouble: QvacError | None = None

    async def ask(key: str, macs: Sequence[str]) -> None:
        asked.append((key, tuple(macs)))
        if trouble is not None:
            raise trouble

    lans = [network(sleeper)]
    waker = Waker(lambda: False, lambda: False, networks=lambda: lans)
    helpers = {STUDIO: "Studio", RACK: "Rack"}

    async def test() -> None:
        nonlocal trouble
        first = Sleepers(tmp_path / "sleepers.json", waker, lambda: helpers, ask)
        await first.open()
        assert not first.knows(STUDIO)
        first.told(STUDIO, [MAC, "nonsense"])
        await first.close()
        second = Sleepers(tmp_path / "sleepers.json", waker, lambda: helpers, ask)
        await second.open()
        assert second.knows(STUDIO) and await second.call(STUDIO) == ("", "Rack")
        assert asked == [(RACK, (MAC,))]  # and never the sleeper itself
        lans.clear()
        trouble = NetworkError("No.", name="X")
        with pytest.raises(QvacError):
            await second.call(STUDIO)
        second.told(STUDIO, ())
        await second.close()
        assert not second.knows(STUDIO)

    asyncio.run(test())
    assert sleeper.recv(2048) == magic_packet(MAC)


def test_a_program_that_began_before_the_network_tells_its_addresses_once_there_is_one() -> None:
    lans: list[Lan] = []
    waker = Waker(lambda: True, lambda: True, networks=lambda: lans)
    assert waker.addresses() == ()
    lans.append(Lan("10.1.0.1", "10.1.0.255", MAC))
    assert waker.addresses() == (MAC,)


def test_a_system_that_tells_nothing_of_its_networks_costs_no_greeting_and_says_why_at_a_call() -> None:
    def refuses() -> Sequence[Lan]:
        raise PermissionError(13, "Permission denied")

    assert Waker(lambda: True, lambda: True, networks=refuses).addresses() == ()
    with pytest.raises(NetworkError, match="Permission denied") as error:
        send_wake_up([MAC], refuses)
    assert error.value.name == "WAKE_NOT_SENT"


def test_helpers_of_one_name_are_all_asked(sleeper: socket.socket, tmp_path: Path) -> None:
    asked: list[str] = []

    async def ask(key: str, macs: Sequence[str]) -> None:
        asked.append(key)

    waker = Waker(lambda: True, lambda: True, networks=lambda: [network(sleeper)])
    helpers = {RACK: "Laptop", "cc" * 32: "Laptop", "dd" * 32: ""}

    async def test() -> None:
        sleepers = Sleepers(tmp_path / "sleepers.json", waker, lambda: helpers, ask)
        sleepers.told(STUDIO, [MAC])
        assert await sleepers.call(STUDIO) == ("", "Laptop", "Laptop", "")
        await sleepers.close()

    asyncio.run(test())
    assert asked == list(helpers)
    assert sleeper.recv(2048) == magic_packet(MAC)


async def test_addresses_that_wake_nobody_are_not_remembered_and_spoil_no_good_one(tmp_path: Path) -> None:
    waker = Waker(lambda: True, lambda: True, networks=list)

    async def ask(key: str, macs: Sequence[str]) -> None:
        pass

    sleepers = Sleepers(tmp_path / "sleepers.json", waker, dict, ask)
    sleepers.told(RACK, ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"])
    assert not sleepers.knows(RACK)
    sleepers.told(STUDIO, ["ff:ff:ff:ff:ff:ff", MAC])
    assert sleepers.knows(STUDIO)
    await sleepers.close()
    assert MAC in (tmp_path / "sleepers.json").read_text()
    assert "ff:ff" not in (tmp_path / "sleepers.json").read_text()


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": [1, null]}', "[" * 60_000, "\udcff"])
async def test_a_file_of_sleepers_that_is_none_is_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "sleepers.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    waker = Waker(lambda: True, lambda: True, networks=list)

    sleepers = Sleepers(tmp_path / "sleepers.json", waker, dict, lambda *_: asyncio.sleep(0))
    await sleepers.open()
    assert not sleepers.knows("a")
    await sleepers.close()


def test_the_options_of_a_provider() -> None:
    config = core_config(parse_options(["provider"]))
    assert not config.can_be_woken and not config.wakes_others
    config = core_config(parse_options(["provider", "--can-be-woken", "--wakes-others"]))
    assert config.can_be_woken and config.wakes_others


def test_helpers_are_looked_for_at_once_and_one_that_is_away_keeps_nobody_waiting() -> None:
    async def test() -> None:
        all_asked, asked = asyncio.Event(), 0

        async def connect(key: str) -> None:
            nonlocal asked
            asked += 1
            if asked == 3:
                all_asked.set()
            await all_asked.wait()
            raise NetworkError("Nobody is there.", name="PEER_NOT_FOUND")

        async def providers() -> list[SimpleNamespace]:
            return [SimpleNamespace(public_key=key) for key in (STUDIO, RACK, "aa" * 32, "bb" * 32)]

        async def call(key: str) -> tuple[str, ...]:
            return ("",)

        sleepers = SimpleNamespace(knows=lambda key: True, call=call)
        core: Any = SimpleNamespace(sleepers=sleepers, providers=providers, connect_provider=connect)
        assert await remote._wake(core, STUDIO, Output(as_json=True)) == 0

    asyncio.run(asyncio.wait_for(test(), EVENT))
