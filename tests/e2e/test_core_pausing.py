"""A pause, and the GPU given back by hand, as a guest with a real model meets them; and a pause over a restart."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from qvac_core.core import Core, CoreConfig
from qvac_core.core.state import Pause, PauseReason, PausesChanged, RequestEnded, SharedModelsChanged
from tests.e2e.test_core import LONG, QUESTION, Watched, admitted, run


def loaded(watched: Watched) -> list[str]:
    return [model.name for model in watched.core.machine.shared_models() if model.state == "loaded"]


def pauses(core: Core) -> list[Pause]:
    return list(core.pausing.pauses)


def test_a_guest_is_told_of_a_pause_and_served_after_it(tmp_path: Path, small_model_path: Path) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        conversation = await admitted(owner, guest, small_model_path)
        first = await guest.answer_of(await guest.core.ask(conversation, QUESTION))
        assert first.status == "done"

        await owner.core.pausing.pause(time.time() + 1800)
        refused = await guest.answer_of(await guest.core.ask(conversation, QUESTION))
        assert refused.status == "failed" and refused.error is not None
        assert refused.error.title == "The machine is not taking requests now."
        assert refused.error.message == "Its owner paused it. Ask again in 30 min, or choose another machine."

        # Who holds a model without using it keeps nobody from the GPU; it comes back with the next question.
        assert loaded(owner)
        await owner.core.free_models()
        await owner.until(SharedModelsChanged, lambda event: all(model.state == "idle" for model in event.models))
        assert loaded(owner) == []

        await owner.core.pausing.resume()
        again = await guest.answer_of(await guest.core.retry(conversation))
        assert again.status == "done" and again.text
        assert loaded(owner)

    run(test, tmp_path)


def test_a_pause_that_cuts_ends_what_runs(tmp_path: Path, small_model_path: Path) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        conversation = await admitted(owner, guest, small_model_path)
        answer = await guest.core.ask(conversation, LONG)
        async with asyncio.timeout(60):
            while not guest.answered():
                await asyncio.sleep(0.01)
        await owner.core.pausing.pause(cut=True)
        ended = await owner.until(RequestEnded, lambda event: event.entry.method == "completionStream")
        assert (ended.entry.outcome, ended.entry.error) == ("stopped", "You paused.")
        message = await guest.answer_of(answer)
        assert message.text  # what came is kept

    run(test, tmp_path)


async def test_a_pause_lasts_over_a_restart_and_ends_with_the_sharing(tmp_path: Path) -> None:

    config = CoreConfig(tmp_path, bootstrap=(("127.0.0.1", 9),), local_network=False)
    until = round(time.time() + 3600)
    async with Core(config) as core:
        await core.pausing.pause(until)
    async with Core(config) as core:
        assert pauses(core) == [Pause(PauseReason.OWNER, until)]
        seen: list[object] = []
        core.subscribe(seen.append)
        await core.stop_sharing()
        assert pauses(core) == []
        assert PausesChanged(()) in seen
    async with Core(config) as core:
        assert pauses(core) == []
