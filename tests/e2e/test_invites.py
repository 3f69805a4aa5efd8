"""An invite between two real cores on a loopback network, and by the command line as a guest's program."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from app.cli.refusal import for_owners
from qvac_core.core.config import RuleOverride
from qvac_core.core.invites_room import InvitesChanged, InviteWish
from qvac_core.core.state import KeyLimits, SharedModelsChanged
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.messages import Manage
from qvac_core.errors import LocalProtocolError, ProviderError
from tests.e2e.program import run as run_program
from tests.e2e.test_core import Watched, run


@pytest.mark.parametrize("rules", [None, RuleOverride(allow=("0b" * 32,))], ids=["", "allow"])
def test_a_link_lets_a_guest_in_and_is_worth_nothing_afterwards(tmp_path: Path, rules: RuleOverride | None) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        await owner.core.set_setting("machine_name", "Studio")
        await owner.core.start_sharing()
        if rules is not None:
            await owner.core.use_rules(rules)
        invite = await owner.core.invites.make(InviteWish("Reading group", KeyLimits(tokens_per_day=5000, parallel=1)))
        link = owner.core.invites.link(invite)
        assert guest.core.invites.read(link).machine == "Studio"
        entry = await guest.core.invites.accept(link)
        assert (entry.name, entry.state) == ("Studio", "online")
        assert entry.terms is not None and (entry.terms.tokens_per_day, entry.terms.parallel) == (5000, 1)
        (key,) = (one for one in (await owner.core.access_rules()).keys if one.public_key != "0b" * 32)
        assert (key.public_key, key.name, key.came_with) == (guest.core.public_key, "Reading group", "Reading group")
        assert key.limits == KeyLimits(tokens_per_day=5000, parallel=1)
        assert (await guest.core.invites.accept(link)).state == "online"  # again, and no place is spent
        assert await owner.core.knocks() == ()

        # The same link in another's hands, by their program.
        assert owner.core._config.bootstrap is not None
        host, port = owner.core._config.bootstrap[0]
        late = await _program(tmp_path / "late", "accept", link, "--bootstrap", f"{host}:{port}", "--no-local-network")
        assert late["name"] == "REQUEST_REJECTED_BY_POLICY" and "places of this invite are taken" in late["message"]
        told = await owner.until(InvitesChanged, lambda event: event.invites[0].turned_away_at is not None)
        assert [claim[0] for claim in told.invites[0].claims] == [guest.core.public_key]

        # Limits that are set later hold at once, and the guest reads them.
        await owner.core.limits.set_limits(guest.core.public_key, KeyLimits(tokens_per_day=0))
        entry = await guest.core.connect_provider(owner.core.public_key)
        assert entry.terms is not None and entry.terms.tokens_per_day == 0
        await owner.core.invites.take_back(invite.id)
        with pytest.raises(LocalProtocolError, match="damaged"):
            await guest.core.invites.accept(link.replace(invite.grant, "a" * len(invite.grant)))

    run(test, tmp_path)


async def _program(folder: Path, *arguments: str) -> dict[str, str]:
    result = await asyncio.to_thread(run_program, "invite", *arguments, "--json", "--data-dir", str(folder))
    assert result.returncode == 1, result.stdout
    error: dict[str, str] = json.loads(result.stdout.splitlines()[-1])
    return error


def test_a_machine_of_ones_own_is_managed_from_afar(small_model_path: Path, tmp_path: Path) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        model = await owner.core.add_model_file(small_model_path)
        await owner.core.set_model_shared(model.name, False)
        await owner.core.start_sharing()
        own_key = guest.core.public_key
        await owner.core.allow_key(own_key, "Laptop")
        there = Delegate(bytes.fromhex(owner.core.public_key))
        with pytest.raises(ProviderError, match="own machines") as refused:
            await guest.core.consumer.manage(there, Manage("status"))
        assert f"guests allow {own_key} --mine" in str(for_owners(own_key, refused.value))
        assert await guest.core.consumer.list_models(there) == []
        await owner.core.limits.set_mine(own_key, True)
        assert [entry.name for entry in await guest.core.consumer.list_models(there) or ()] == [model.name]

        paused = await guest.core.consumer.manage(there, Manage("pause", minutes=30))
        assert paused.paused and paused.paused_until > time.time() and owner.core.pausing.pauses
        resumed = await guest.core.consumer.manage(there, Manage("resume"))
        assert not resumed.paused and not owner.core.pausing.pauses
        await guest.core.consumer.manage(there, Manage("load", model=model.name))
        await owner.until(SharedModelsChanged, lambda event: any(one.state == "loaded" for one in event.models))
        unloaded = await guest.core.consumer.manage(there, Manage("unload", model=model.name))
        assert [one.state for one in unloaded.models] == ["idle"]
        with pytest.raises(ProviderError):
            await guest.core.consumer.manage(there, Manage("remove", model="no such model"))
        assert (await guest.core.consumer.manage(there, Manage("log"))).log == []

    run(test, tmp_path)
