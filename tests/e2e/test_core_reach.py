"""Staying connected, with whole cores on loopback: second starts, providers that come back, refusals. No model runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from qvac_core.codec import Address
from qvac_core.core import Core, CoreConfig, contacts
from qvac_core.core.config import RuleOverride
from qvac_core.core.network import NetworkNode
from qvac_core.core.sharing import ANOTHER_MACHINE
from qvac_core.core.state import (
    AnswerSeam,
    AnswerTokens,
    ConnectionStage,
    CoreEvent,
    ProvidersChanged,
    SharingPhase,
    SharingState,
    Stage,
    Target,
)
from qvac_core.errors import DelegationError, IdentityError, NetworkError
from qvac_core.hyperdht import KeyPair, Testnet, create_testnet
from qvac_core.hyperdht.server import announcing
from tests.e2e.program import Program, qvac_desktop

OPEN = RuleOverride(allow_all=True)
FOUND = (SharingPhase.ANNOUNCED, SharingPhase.REACHABLE)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await test()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left

    asyncio.run(main())


@asynccontextmanager
async def provider(folder: Path, net: Testnet, rules: RuleOverride = OPEN) -> AsyncIterator[Core]:
    async with Core(CoreConfig(folder, bootstrap=tuple(net.bootstrap), rules=rules)) as core:
        await core.start_sharing()
        yield core


def test_a_second_start_needs_no_bootstrap_node(tmp_path: Path) -> None:
    async def test() -> None:
        async with await create_testnet(5) as net, provider(tmp_path / "owner", net) as owner:
            bootstrap: tuple[Address, ...] = tuple(net.bootstrap)
            async with Core(CoreConfig(tmp_path / "guest", bootstrap=bootstrap)) as guest:
                assert (await guest.connect_provider(owner.public_key)).state == "online"
            await net.nodes[0].close()
            async with asyncio.timeout(20), Core(CoreConfig(tmp_path / "guest", bootstrap=bootstrap)) as guest:
                assert (await guest.connect_provider(owner.public_key)).state == "online"
            stranger = CoreConfig(tmp_path / "stranger", bootstrap=bootstrap)
            async with Core(stranger) as guest:
                await guest._network.dht.ready()
                assert guest._network.dht.to_array() == []  # so the bootstrap node was really needed the first time

    run(test)


def test_relays_alone_lead_to_a_provider_again(tmp_path: Path) -> None:
    """The list of known nodes is lost or stale: what was kept with the provider is asked side by side with the rest."""

    async def test() -> None:
        async with await create_testnet(5) as net, provider(tmp_path / "owner", net) as owner:
            bootstrap: tuple[Address, ...] = tuple(net.bootstrap)
            async with Core(CoreConfig(tmp_path / "guest", bootstrap=bootstrap)) as guest:
                await guest.connect_provider(owner.public_key)
            (kept,) = (tmp_path / "guest").glob("known-nodes-*.json")
            kept.write_text('[{"host": "127.0.0.1", "port": 9}]')
            await net.nodes[0].close()
            async with Core(CoreConfig(tmp_path / "guest", bootstrap=bootstrap)) as guest:
                async with asyncio.timeout(3):
                    entry = await guest.connect_provider(owner.public_key)
                assert entry.state == "online"

    run(test)


class Watched:
    """A guest and the states that its provider went through."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.states: list[str] = []
        self.stages: list[Stage] = []
        self.letters = 0  # of all answers
        self.seams = 0
        self._changed = asyncio.Event()
        core.subscribe(self._take)

    def _take(self, event: CoreEvent) -> None:
        if isinstance(event, ProvidersChanged) and event.providers:
            self.states.append(event.providers[0].state)
        elif isinstance(event, ConnectionStage):
            self.stages.append(event.stage)
        elif isinstance(event, AnswerTokens):
            self.letters += len(event.text)
        elif isinstance(event, AnswerSeam):
            self.seams += 1
        self._changed.set()

    async def until(self, state: str) -> None:
        """Until the provider is shown so after now."""
        self.states.clear()
        async with asyncio.timeout(60):
            while state not in self.states:
                self._changed.clear()
                await self._changed.wait()

    async def seamed(self) -> None:
        async with asyncio.timeout(60):
            while not self.seams:
                self._changed.clear()
                await self._changed.wait()

    async def said(self, letters: int) -> None:
        async with asyncio.timeout(60):
            while self.letters < letters:
                self._changed.clear()
                await self._changed.wait()


def owner_process(folder: Path, bootstrap: str) -> Program:
    return qvac_desktop(
        "provider", "--allow-all", "--seed", "5e" * 32, "--bootstrap", bootstrap, "--json", data_dir=folder
    )


@pytest.mark.parametrize(
    ("restarts", "kills"), [(5, 1), pytest.param(50, 50, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_a_provider_that_restarts_is_back_without_anybody_touching_it(
    bootstrap: str, tmp_path: Path, restarts: int, kills: int
) -> None:
    """A killed one is noticed when its connection times out (about 15 s), one that ends says so at once."""

    async def test() -> None:
        host, port = bootstrap.split(":")
        async with Core(CoreConfig(tmp_path / "guest", bootstrap=((host, int(port)),))) as core:
            guest = Watched(core)
            counts: set[int] = set()
            for number in range(restarts + 1):
                with owner_process(tmp_path / "owner", bootstrap) as process:
                    back = asyncio.create_task(guest.until("online")) if number else None
                    await asyncio.to_thread(process.until, "ready")
                    if back is None:
                        public_key = KeyPair.from_seed(bytes.fromhex("5e" * 32)).public_key.hex()
                        await core.connect_provider(public_key)
                    else:
                        await back
                        assert Stage.READY in guest.stages
                    lost = asyncio.create_task(guest.until("connecting"))
                    guest.stages.clear()
                    await asyncio.to_thread(process.kill if number < kills else process.end)
                    await lost
                dht = core._network.dht
                counts.add(len(dht.node.connections) + len(core.consumer._connections) + len(core.consumer._runs))
            assert counts == {0}
            (entry,) = await core.providers()
            await core.remove_provider(entry.public_key)
            assert not core._contacts._reconnecting.keys

    run(test)


@pytest.mark.parametrize("by_itself", [True, False])
def test_a_killed_provider_is_told_before_its_connection_ends(
    bootstrap: str, tmp_path: Path, small_model_path: Path, by_itself: bool
) -> None:
    """In the middle of an answer. This machine goes on by itself; where it is not to, it does when it is asked."""

    async def test() -> None:
        host, port = bootstrap.split(":")
        model = str(small_model_path)
        arguments = ("--allow-all", "--seed", "5e" * 32, "--model", model, "--bootstrap", bootstrap, "--json")
        async with Core(CoreConfig(tmp_path / "guest", bootstrap=((host, int(port)),))) as core:
            await core.add_model_file(small_model_path)
            await core.set_setting("chat.fallback", "true" if by_itself else "false")
            guest = Watched(core)
            with qvac_desktop("provider", *arguments, data_dir=tmp_path / "owner") as process:
                await asyncio.to_thread(process.until, "ready")
                public_key = KeyPair.from_seed(bytes.fromhex("5e" * 32)).public_key.hex()
                await core.add_provider(public_key, "Studio")
                conversation = await core.new_conversation(Target(public_key))
                message_id = await core.ask(conversation.id, "Write a very long story about a lighthouse.")
                await guest.said(20)
                silent = asyncio.create_task(guest.until("silent"))
                seamed = asyncio.create_task(guest.seamed())
                await asyncio.to_thread(process.kill)
                if by_itself:
                    await seamed
                else:
                    await silent
                    assert "connecting" not in guest.states and "offline" not in guest.states
                    await core.continue_answer_here(message_id)
                assert message_id in core._chats._streaming
                (message,) = (m for m in await core.messages(conversation.id) if m.id == message_id)
                ((offset, sentence),) = message.seams
                assert sentence.startswith("Nothing came from Studio any more. This machine continues with ")
                await guest.said(offset + 20)
                await core.stop_answer(message_id)
                silent.cancel()
                await asyncio.wait({silent, seamed})

    run(test)


def test_a_refused_guest_asks_again_slowly(tmp_path: Path) -> None:
    """The owner may allow the key later, and need not tell anybody then."""

    async def test() -> None:
        async with await create_testnet(4) as net, provider(tmp_path / "owner", net) as owner:
            guest = Watched(Core(CoreConfig(tmp_path / "guest", bootstrap=tuple(net.bootstrap))))
            async with guest.core as core:
                await core.connect_provider(owner.public_key)
                refused = asyncio.create_task(guest.until("refused"))
                await owner.use_rules(RuleOverride(allow=("0b" * 32,)))
                await refused
                assert "connecting" in guest.states  # it tried once by itself
                (entry,) = await core.providers()
                assert entry.state == "refused" and entry.retry_at is not None
                assert core._contacts._reconnecting.keys == {owner.public_key}
                await asyncio.sleep(0)
                assert core._contacts._reconnecting._pauses[owner.public_key] >= 2 * contacts.KNOCK_PAUSE

    run(test)


def test_a_connection_that_lasts_is_watched_once(tmp_path: Path) -> None:
    """However often it is asked for."""

    async def test() -> None:
        async with (
            await create_testnet(4) as net,
            provider(tmp_path / "owner", net) as owner,
            Core(CoreConfig(tmp_path / "guest", bootstrap=tuple(net.bootstrap))) as guest,
        ):
            await guest.connect_provider(owner.public_key)
            connection = guest.consumer.connection(bytes.fromhex(owner.public_key))
            assert connection is not None
            watchers = len(connection.task._callbacks)
            for _ in range(5):
                await guest.connect_provider(owner.public_key)
            assert not connection.closed
            assert len(connection.task._callbacks) == watchers

    run(test)


def test_relays_are_kept_and_reach_the_open_server(tmp_path: Path) -> None:
    relays = [KeyPair.from_seed(bytes([i]) * 32).public_key.hex() for i in (1, 2)]

    async def test() -> None:
        async with await create_testnet(3) as net:
            async with provider(tmp_path / "owner", net) as owner:
                assert await owner.relays() == ()
                await owner.set_relays([relays[0].upper(), relays[1], relays[0]])
                assert await owner.relays() == tuple(relays)
                assert owner._sharing._server is not None
                assert owner._sharing._server.relay_through == tuple(bytes.fromhex(key) for key in relays)
                for wrong in (["no key"], [owner.public_key]):
                    with pytest.raises(IdentityError):
                        await owner.set_relays(wrong)
                assert await owner.relays() == tuple(relays)
                report = await owner.network_report()
                assert report.reachable and report.answered <= report.asked
            settings = next((tmp_path / "owner").glob("**/settings.toml"))
            settings.write_text(settings.read_text().replace(relays[1], "rubbish"))
            async with Core(CoreConfig(tmp_path / "owner", bootstrap=tuple(net.bootstrap))) as again:
                assert await again.relays() == (relays[0],)

    run(test)


def test_a_connect_ends_when_it_is_told_to_and_a_forced_one_asks_the_network(tmp_path: Path) -> None:
    async def test() -> None:
        async with await create_testnet(5) as net, provider(tmp_path / "owner", net) as owner:
            key = bytes.fromhex(owner.public_key)
            config = CoreConfig(tmp_path / "guest", bootstrap=tuple(net.bootstrap))
            node = NetworkNode(config, KeyPair.from_seed(bytes(32)), tmp_path / "nodes.json", local_network=False)
            await node.start()
            try:
                with pytest.raises(NetworkError, match=r"within 0\.001 seconds"):
                    await node.connect(key, seconds=0.001)
                await (await node.connect(key)).close()
                assert node.dht.relays_of(key)
                walks = 0
                query = node.dht.requests.query

                async def count(*arguments: Any, **options: Any) -> Any:
                    nonlocal walks
                    walks += 1
                    return await query(*arguments, **options)

                node.dht.requests.query = count  # type: ignore[method-assign]
                await (await node.connect(key)).close()
                assert walks == 0
                await (await node.connect(key, force_new=True)).close()
                assert walks == 1
            finally:
                await node.close()

    run(test)


def test_two_machines_with_one_key_are_told_and_the_one_that_stays_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "LOOK_EVERY", 1)

    async def until(core: Core, wanted: Callable[[SharingState], bool]) -> None:
        async with asyncio.timeout(40):
            while not wanted(await core.sharing()):
                await asyncio.sleep(0.1)

    async def test() -> None:
        async with await create_testnet(6) as net:
            bootstrap = tuple(net.bootstrap)
            first, second = (
                Core(CoreConfig(tmp_path / name, seed=bytes([7]) * 32, bootstrap=bootstrap, rules=OPEN))
                for name in ("first", "second")
            )
            async with first:
                await first.start_sharing()
                await until(first, lambda state: state.phase in FOUND and not state.detail)
                async with second:
                    await second.start_sharing()
                    for core in (first, second):
                        await until(core, lambda state: state.detail == ANOTHER_MACHINE)
                await until(first, lambda state: state.phase in FOUND)
                async with Core(CoreConfig(tmp_path / "guest", bootstrap=bootstrap)) as guest:
                    assert (await guest.connect_provider(first.public_key)).state == "online"

    run(test)


def test_a_knock_outlives_a_restart_until_the_owner_decides(tmp_path: Path) -> None:
    async def test() -> None:
        async with await create_testnet(5) as net:
            guests = [KeyPair.from_seed(bytes([number]) * 32).public_key.hex() for number in (1, 2, 3)]
            async with provider(tmp_path / "owner", net, RuleOverride(knock=True)) as owner:
                for number in (1, 2, 3):
                    config = CoreConfig(
                        tmp_path / f"guest{number}", seed=bytes([number]) * 32, bootstrap=tuple(net.bootstrap)
                    )
                    async with Core(config) as guest:
                        with pytest.raises(DelegationError):
                            await guest.connect_provider(owner.public_key)
                assert [knock.public_key for knock in await owner.knocks()] == guests[::-1]
                await owner.dismiss_knock(guests[1])
            async with provider(tmp_path / "owner", net, RuleOverride(knock=True)) as owner:
                assert [knock.public_key for knock in await owner.knocks()] == [guests[2], guests[0]]
                await owner.allow_key(guests[0], "One")
            async with Core(CoreConfig(tmp_path / "owner", bootstrap=tuple(net.bootstrap))) as owner:
                assert [knock.public_key for knock in await owner.knocks()] == [guests[2]]

    run(test)


@asynccontextmanager
async def store_held_until_closing(core: Core) -> AsyncIterator[None]:
    """The store is busy, as on a slow disk, from here until the core, which closes at once, waits for it."""
    gate = threading.Event()
    core._store.database._executor.submit(gate.wait, 30)
    try:
        yield
        closing = asyncio.create_task(core.close())
        await asyncio.sleep(0.2)
        assert not closing.done(), "it waits for what is to be written"
    finally:
        gate.set()
    await closing


def test_what_the_owner_and_the_network_said_is_kept_though_the_core_closes_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with await create_testnet(3) as net:
            guests = [KeyPair.from_seed(bytes([number]) * 32).public_key for number in (1, 2)]
            config = CoreConfig(tmp_path, bootstrap=tuple(net.bootstrap))
            async with Core(config) as core:
                await core._store.database.run(core._store.knocks.put, guests[0].hex(), 1.0)
                await core.add_provider(guests[1].hex())
            async with Core(config) as core:
                assert [knock.public_key for knock in await core.knocks()] == [guests[0].hex()]
                async with store_held_until_closing(core):
                    await core.dismiss_knock(guests[0].hex())
                    core._contacts.on_connected(guests[1], (("127.0.0.1", 1234),))
            async with Core(config) as core:
                assert await core.knocks() == ()
                assert core._contacts.remembered(guests[1]) == (("127.0.0.1", 1234),)

    run(test)
