"""A machine of one's own sleeps, is called by another one of ours, and answers: three real cores on loopback."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from app.cli.remote import keep_how_it_is_woken
from qvac_core.core import Core, CoreConfig, contacts
from qvac_core.core.state import ProvidersChanged, Target
from qvac_core.core.wake_on_lan import Lan, magic_packet
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.messages import Manage
from qvac_core.errors import ProviderError
from qvac_core.hyperdht import create_testnet
from tests.e2e.test_core import LIMIT, QUESTION, Watched

MAC = "d8:bb:c1:12:34:56"


async def own(owner: Watched, guest: Watched, name: str) -> str:
    """The guest's key is its owner's own there; returns the owner's."""
    await owner.core.start_sharing()
    await owner.core.allow_key(guest.core.public_key, "Laptop")
    await owner.core.limits.set_mine(guest.core.public_key, True)
    await guest.core.add_provider(owner.core.public_key, name)
    await guest.core.connect_provider(owner.core.public_key)
    return owner.core.public_key


async def gone(guest: Watched, key: str) -> None:
    """Until the connection to that provider has ended."""
    async with asyncio.timeout(LIMIT):
        while guest.core.consumer.connection(bytes.fromhex(key)) is not None:
            await asyncio.sleep(0.01)


async def test_who_asks_a_machine_that_sleeps_is_answered_once_it_was_woken(
    small_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts, "WAKE_PAUSE", 0.1)

    async def play(studio: Watched, rack: Watched, guest: Watched, card: socket.socket) -> None:
        there = [Lan("127.0.0.1", "127.255.255.255", MAC, card.getsockname()[1])]
        studio.core.waker.networks = rack.core.waker.networks = lambda: there
        guest.core.waker.networks = lambda: ()  # it is somewhere else
        model = await studio.core.add_model_file(small_model_path)
        key = await own(studio, guest, "Studio")
        helper = await own(rack, guest, "Rack")
        assert guest.core.sleepers.knows(key)
        guest.core.sleepers.forget(key)
        await keep_how_it_is_woken(guest.core, bytes.fromhex(key))  # as `remote KEY status` does
        assert guest.core.sleepers.knows(key)

        # Off by default, and for keys of its owner's own alone.
        to_rack, call = Delegate(bytes.fromhex(helper)), Manage("wake", macs=[MAC])
        with pytest.raises(ProviderError, match="wakes no others"):
            await guest.core.consumer.manage(to_rack, call)
        await rack.core.set_setting("network.wakes_others", "true")
        await rack.core.limits.set_mine(guest.core.public_key, False)
        with pytest.raises(ProviderError, match="own machines"):
            await guest.core.consumer.manage(to_rack, call)
        await rack.core.limits.set_mine(guest.core.public_key, True)
        await guest.core.connect_provider(helper)

        await guest.core.set_setting("chat.fallback", "false")
        await studio.core.stop_sharing()
        await gone(guest, key)
        conversation = await guest.core.new_conversation(Target(key, model.name))
        answer_id = await guest.core.ask(conversation.id, QUESTION)
        packet = await asyncio.get_running_loop().sock_recv(card, 2048)
        assert packet == magic_packet(MAC)
        states = [one.state for event in guest.events if isinstance(event, ProvidersChanged) for one in event.providers]
        assert "waking" in states
        await studio.core.start_sharing()  # what the packet does
        answer = await guest.answer_of(answer_id)
        assert answer.status == "done" and answer.text and answer.stats is not None
        assert answer.stats.who == "Studio"

        # And where it does not come there is a cause.
        monkeypatch.setattr(contacts, "WAKE_SECONDS", 0.0)
        await studio.core.stop_sharing()
        await gone(guest, key)
        answer = await guest.answer_of(await guest.core.ask(conversation.id, QUESTION))
        assert answer.status == "failed" and answer.error is not None
        assert answer.error.title == "The machine did not wake up."

    async with await create_testnet(4) as net:
        bootstrap = tuple(net.bootstrap)
        studio = Watched(Core(CoreConfig(tmp_path / "studio", bootstrap=bootstrap, can_be_woken=True)))
        rack = Watched(Core(CoreConfig(tmp_path / "rack", bootstrap=bootstrap)))
        guest = Watched(Core(CoreConfig(tmp_path / "guest", bootstrap=bootstrap)))
        async with studio.core, rack.core, guest.core:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as card:
                card.bind(("", 0))
                card.setblocking(False)
                await play(studio, rack, guest, card)
