"""An invite between two real cores on a loopback network, and by the command line as a guest's program."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from qvac_core.core.invites_room import InvitesChanged, InviteWish
from qvac_core.core.state import KeyLimits
from qvac_core.errors import LocalProtocolError
from tests.e2e.program import run as run_program
from tests.e2e.test_core import Watched, run


def test_a_link_lets_a_guest_in_and_is_worth_nothing_afterwards(tmp_path: Path) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        await owner.core.set_setting("machine_name", "Studio")
        await owner.core.start_sharing()
        invite = await owner.core.invites.make(InviteWish("Reading group", KeyLimits(tokens_per_day=5000, parallel=1)))
        link = owner.core.invites.link(invite)
        assert guest.core.invites.read(link).machine == "Studio"
        entry = await guest.core.invites.accept(link)
        assert (entry.name, entry.state) == ("Studio", "online")
        assert entry.terms is not None and (entry.terms.tokens_per_day, entry.terms.parallel) == (5000, 1)
        (key,) = (await owner.core.access_rules()).keys
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
