"""A network of one's own, begun by `qvac-desktop node`: a key that is announced there is found there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from qvac_core.core import Core, CoreConfig, RuleOverride
from qvac_core.core.state import SharingChanged, SharingPhase
from tests.e2e.program import qvac_desktop, run

FOUND = (SharingPhase.ANNOUNCED, SharingPhase.REACHABLE)


def test_machines_of_it_find_each_other_by_its_nodes(tmp_path: Path) -> None:
    def entry(ready: dict[str, object]) -> tuple[str, int]:
        host, _, port = str(ready["bootstrap"]).rpartition(":")
        assert host == "127.0.0.1"
        return host, int(port)

    async def meet(first: tuple[str, int], second: tuple[str, int]) -> None:
        def config(name: str, at: tuple[str, int]) -> CoreConfig:
            return CoreConfig(tmp_path / name, bootstrap=(at,), local_network=False, rules=RuleOverride(allow_all=True))

        async with Core(config("owner", first)) as owner, Core(config("guest", second)) as guest:
            found = asyncio.Event()
            owner.subscribe(
                lambda event: found.set() if isinstance(event, SharingChanged) and event.state.phase in FOUND else None
            )
            await owner.start_sharing()
            if (await owner.sharing()).phase not in FOUND:
                await found.wait()
            assert (await guest.connect_provider(owner.public_key)).state == "online"

    with qvac_desktop("node", "--host", "127.0.0.1", "--port", "47311", "--json", data_dir=tmp_path / "n") as first:
        begin = entry(first.until("ready"))
        assert begin[1] in range(47311, 47400), "the next free one, where it is taken"
        more = ("--bootstrap", f"127.0.0.1:{begin[1]}")
        with qvac_desktop("node", "--host", "127.0.0.1", *more, "--json", data_dir=tmp_path / "m") as second:
            asyncio.run(asyncio.wait_for(meet(begin, entry(second.until("ready"))), 90))
            second.interrupt()
            assert second.finish() == 130


def test_an_address_that_nobody_reaches_is_refused() -> None:
    for wrong in ("0.0.0.0", "::1", "example.org"):
        result = run("node", "--host", wrong)
        assert result.returncode == 2
        assert "--host" in result.stderr
