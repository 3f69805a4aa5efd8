"""Processes that are frozen or killed in mid-answer, with a real model: the text is that of an unbroken run."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from qvac_core.core import Core, CoreConfig, RuleOverride
from qvac_core.core.answering import TranslationWish
from qvac_core.core.state import AnswerFinished, AnswerTokens, CoreEvent, Message, Parameters, Target
from qvac_core.core.translating import Anew
from tests.e2e.program import LIMIT, Program
from tests.e2e.test_endings import KEY, Site, worker_of
from tests.marian_files import GERMAN, write_model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process is frozen there")
TOKENS = 200
COUNTING = "Count from 1 to 100, with commas: 1, 2, 3, 4, 5, 6, 7, 8, 9,"
"""Whoever goes on reads the text so far in pieces of another size, by which the numbers of the model are rounded in
another way; where to cut, the clock says. In a story some words are chosen by a hundredth of a point, here by a whole
one, and a number that were lost or said twice would be seen.
"""


@pytest.fixture
def site(bootstrap: str, small_model_path: Path, tmp_path: Path) -> Iterator[Site]:
    yield Site(bootstrap, small_model_path, tmp_path)


def text_of(guest: Program) -> str:
    return "".join(event["text"] for event in guest.of("token"))


def until_idle(worker: psutil.Process) -> None:
    """Until it computes nothing any more."""
    end = time.monotonic() + LIMIT
    before = -1.0
    while (now := sum(worker.cpu_times()[:2])) != before:
        assert time.monotonic() < end
        before = now
        time.sleep(0.3)


def until_said(guest: Program, tokens: int) -> None:
    for _ in range(tokens):
        guest.until("token")


def test_a_frozen_guest_frees_its_slot_and_gets_the_rest_and_a_frozen_provider_is_waited_for(site: Site) -> None:
    options = ("--prompt", COUNTING, "--temp", "0", "--predict", str(TOKENS))
    with site.provider() as provider:
        provider.until("ready")
        with site.chat(*options) as whole:
            assert whole.finish() == 0
        with site.chat(*options) as guest:
            until_said(guest, 20)
            guest.process.send_signal(signal.SIGSTOP)
            until_idle(worker_of(provider))
            guest.process.send_signal(signal.SIGCONT)
            assert guest.finish() == 0
            assert text_of(guest) == text_of(whole)
        with site.chat(*options) as guest:
            until_said(guest, 20)
            provider.process.send_signal(signal.SIGSTOP)
            time.sleep(2)  # is what is tested: longer than a provider that is there may be silent
            provider.process.send_signal(signal.SIGCONT)
            assert guest.finish() == 0
            assert text_of(guest) == text_of(whole)
        provider.interrupt()
        provider.finish()
    assert [done["outcome"] for done in provider.of("done")] == ["length"] * 3
    assert {done["generatedTokens"] for done in provider.of("done")} == {TOKENS}


def test_a_killed_provider_is_continued_here_with_the_same_words(site: Site) -> None:
    async def main(provider: Program) -> None:
        host, port = site.bootstrap.split(":")
        async with Core(CoreConfig(site.folder / "guest", bootstrap=((host, int(port)),))) as core:
            await core.add_model_file(site.model)
            events: list[CoreEvent] = []
            core.subscribe(events.append)

            async def asked(target: Target) -> str:
                conversation = await core.new_conversation(target)
                await core.chat_settings.set_parameters(
                    conversation.id, Parameters(temperature=0.0, max_tokens=TOKENS, seed=1)
                )
                events.clear()
                return await core.ask(conversation.id, COUNTING)

            async def finished() -> Message:
                async with asyncio.timeout(LIMIT):
                    while True:
                        for event in events:
                            if isinstance(event, AnswerFinished):
                                return event.message
                        await asyncio.sleep(0.01)

            await asked(Target())
            whole = await finished()
            await core.add_provider(KEY, "Studio")
            await asked(Target(KEY))
            async with asyncio.timeout(LIMIT):
                while sum(isinstance(event, AnswerTokens) for event in events) < 20:
                    await asyncio.sleep(0.01)
            provider.process.kill()
            answer = await finished()
            assert (answer.status, len(answer.seams)) == ("done", 1)
            assert answer.text == whole.text

    with site.provider() as provider:
        provider.until("ready")
        asyncio.run(main(provider))


def test_a_translation_goes_on_at_another_provider_and_then_here_behind_the_last_sentence(
    bootstrap: str, tmp_path: Path
) -> None:
    """The first one is killed, the second one stops sharing."""
    model = write_model(tmp_path / "model", "de", "en", {german: word for word, german in GERMAN.items()})[0]
    site = Site(bootstrap, model, tmp_path)
    text, whole = (
        "das Haus ist klein. das Haus ist grün!\n\n" * 500,
        "the house is small. the house is green!\n\n" * 500,
    )
    host, port = bootstrap.split(":")
    network = ((host, int(port)),)

    async def main(provider: Program) -> None:
        open_to_all = CoreConfig(tmp_path / "workshop", bootstrap=network, rules=RuleOverride(allow_all=True))
        async with Core(open_to_all) as workshop, Core(CoreConfig(tmp_path / "guest", bootstrap=network)) as core:
            await workshop.add_model_file(model)
            await workshop.start_sharing()
            await core.add_provider(workshop.public_key, "Workshop")
            for key in (KEY, workshop.public_key):
                await core.connect_provider(key)
            others = (Target(KEY), Target(workshop.public_key))
            wish = TranslationWish("whole", Target(KEY), text, "en", "de", KEY, others)
            seams, said, shares = list[tuple[Anew, int]](), "", True
            async for part in core.translating.translate(wish):
                if isinstance(part, Anew):
                    seams.append((part, len(said)))
                    said = said[: part.keeps]
                    continue
                said += part
                if len(said) > 400 and provider.process.poll() is None:
                    provider.process.kill()
                if len(seams) == 1 and len(said) > seams[0][0].keeps + 400 and shares:
                    shares = False
                    await core.add_model_file(model)
                    await workshop.stop_sharing()
            assert [seam.sentence.rpartition(". ")[2] for seam, _ in seams] == [
                "Workshop translates the rest.",
                "This machine translates the rest.",
            ]
            for seam, came in seams:
                assert 0 < seam.keeps <= came < len(whole)
                assert came - seam.keeps < 60  # of one sentence
            assert said == whole

    with site.provider() as provider:
        provider.until("ready")
        asyncio.run(main(provider))
