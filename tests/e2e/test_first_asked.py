"""Three real cores: of two providers of one model, the one without a line is asked first; each tells of its line."""

from __future__ import annotations

import asyncio
from pathlib import Path

from qvac_core.core import Core, CoreConfig
from qvac_core.core.state import AnswerTokens, Target
from qvac_core.hyperdht import create_testnet
from tests.e2e.test_core import LONG, QUESTION, Watched, share


def test_a_line_at_the_first_one_sends_a_question_to_the_other_that_has_the_model(
    small_model_path: Path, tmp_path: Path
) -> None:
    async def main() -> None:
        async with await create_testnet(4) as net:
            bootstrap = tuple(net.bootstrap)
            studio, workshop, guest = (
                Watched(Core(CoreConfig(tmp_path / name, bootstrap=bootstrap)))
                for name in ("studio", "workshop", "guest")
            )
            async with studio.core, workshop.core, guest.core:
                await studio.core.set_setting("sharing.slots", "1")
                for owner, name in ((studio, "Studio"), (workshop, "Workshop")):
                    await share(owner, small_model_path)
                    await owner.core.allow_key(guest.core.public_key, "Laptop")
                    await guest.core.add_provider(owner.core.public_key, name)
                    await guest.core.connect_provider(owner.core.public_key)
                first, other = Target(studio.core.public_key), Target(workshop.core.public_key)
                busy = await guest.core.new_conversation(first)
                running = await guest.core.ask(busy.id, LONG)
                await guest.until(AnswerTokens)

                conversation = await guest.core.new_conversation(first)
                await guest.core.chat_settings.set_others(conversation.id, [other])
                answer = await guest.answer_of(await guest.core.ask(conversation.id, QUESTION))
                assert answer.seams == ((0, "Studio has a line of about 10 s. Workshop answers."),)
                assert answer.stats is not None and answer.stats.provider_key == other.provider_key
                asked = next(one for one in await guest.core.providers() if one.public_key == first.provider_key)
                assert asked.models[0].wait_ms > 0

                await guest.core.stop_answer(running)
                await guest.answer_of(running)
                answer = await guest.answer_of(await guest.core.ask(conversation.id, "And of Spain?"))
                assert answer.seams == () and answer.stats is not None
                assert answer.stats.provider_key == first.provider_key, "it has no line any more"

    asyncio.run(main())
