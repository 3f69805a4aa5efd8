"""Staying connected, with whole cores on loopback: second starts, providers that come back, refusals. No model runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from qvac_core.codec import Address
from qvac_core.core import Core, CoreConfig
from qvac_core.core.config import RuleOverride
from qvac_core.hyperdht import Testnet, create_testnet

OPEN = RuleOverride(allow_all=True)


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
