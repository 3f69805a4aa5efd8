"""Tools in a conversation of the real core: the small model is made to call one, here and at a provider."""

from __future__ import annotations

import sys
from pathlib import Path

from qvac_core.core.state import AnswerFinished, AnswerTool, Message, Parameters, Target, ToolServer, UseState
from qvac_core.core.tools_state import Decision
from qvac_core.engines.interface import ToolChoice, ToolMode
from tests.e2e.test_core import Watched, admitted, run

SERVER = ToolServer("Desk", sys.executable, (str(Path(__file__).with_name("tool_server.py")),))
SHORT = Parameters(temperature=0.0, max_tokens=48)
OFF = ("environment", "much", "slow", "fails", "ends", "grows")


async def prepared(guest: Watched, conversation_id: str) -> None:
    await guest.core.tools.keep(ToolServer(SERVER.name, SERVER.command, SERVER.args, off=OFF))
    await guest.core.tools.use(conversation_id, ["Desk"])
    await guest.core.chat_settings.set_parameters(conversation_id, SHORT)
    guest.core.tools.rounds.first = ToolChoice(ToolMode.NAMED, "add")


async def allowed(guest: Watched, conversation_id: str, decision: Decision) -> Message:
    guest.events.clear()
    answer = await guest.core.ask(conversation_id, "Add two and three.")
    asks = await guest.until(AnswerTool, lambda event: event.use.state is UseState.ASKS)
    await guest.core.tools.decide(answer, asks.use.id, decision)
    return (await guest.until(AnswerFinished, lambda event: event.message.id == answer)).message


def test_a_tool_runs_here_and_the_model_is_anywhere(small_model_path: Path, tmp_path: Path) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        far = await admitted(owner, guest, small_model_path)
        await prepared(guest, far)
        message = await allowed(guest, far, Decision.CONVERSATION)
        (use, *_) = message.tools
        assert message.status == "done", message.error
        assert (use.server, use.tool, use.allowed) == ("Desk", "add", "conversation")
        assert use.state in (UseState.DONE, UseState.FAILED) and use.result
        assert message.stats is not None and message.stats.where == "delegated"
        (conversation,) = await guest.core.conversations()
        assert conversation.tools.servers == ("Desk",) and conversation.tools.allowed == ("Desk/add",)
        assert (await guest.core.messages(far))[-1].tools == message.tools
        # It is not asked again in this conversation.
        guest.events.clear()
        again = await guest.answer_of(await guest.core.retry(far))
        assert again.tools[0].allowed == "conversation" and len(again.branches) == 2

        await guest.core.add_model_file(small_model_path)
        here = (await guest.core.new_conversation(Target())).id
        await guest.core.tools.use(here, ["Desk"])
        await guest.core.chat_settings.set_parameters(here, SHORT)
        message = await allowed(guest, here, Decision.DENY)
        assert message.tools[0].state is UseState.DENIED and message.status == "done", message.error
        assert message.stats is not None and message.stats.where == "local"

    run(test, tmp_path)
