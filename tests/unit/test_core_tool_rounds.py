"""Answers with tools at responders that are scripted: what is asked, run, told to the model and kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qvac_core.core.answering import AnswerPart, Began, Question, Thinking
from qvac_core.core.chats import Chats
from qvac_core.core.choosing import Standing
from qvac_core.core.event_hub import EventHub
from qvac_core.core.state import (
    AnswerFinished,
    AnswerStats,
    AnswerTool,
    CoreEvent,
    Message,
    Target,
    ToolServer,
    ToolUse,
    UseState,
)
from qvac_core.core.tool_rounds import ROUNDS_MOST, Kit, ToolRounds, failed
from qvac_core.core.tool_turns import DENIED, STOPPED, turns_of
from qvac_core.engines.interface import ToolCall, ToolError, ToolErrorCode, ToolMode
from qvac_core.errors import ConnectionClosed, ModelError, QvacError
from qvac_core.store.folders import DataDir
from qvac_core.store.store import Store
from qvac_core.tools.health import ServerTool
from qvac_core.tools.names import OfferedTool, offered
from qvac_core.tools.results import ToolResult

STATS = AnswerStats("Studio", "delegated", "direct", "m", 0.1, 50.0, 10, 3)
REMOTE = Target("ab" * 32, "m")
FILES = ToolServer("Files", "files")
COUNT = ServerTool("count_rows", "", "Counts.", {"type": "object", "properties": {"file": {"type": "string"}}})
CALL = ToolCall("abcdefghi", "count_rows", '{"file":"a.csv"}', "<tool_call>…")
WRONG = ToolError(ToolErrorCode.PARSE_ERROR, "It is cut.", "<tool_call>{")
WAITS = object()


class Scripted:
    """Each answer says the next of its rounds; an exception is raised there, WAITS waits to be stopped."""

    def __init__(self, *rounds: tuple[object, ...]) -> None:
        self.rounds = list(rounds)
        self.questions: list[Question] = []

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        self.questions.append(question)
        parts = self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
        yield Began("", False)
        for part in parts:
            if isinstance(part, QvacError):
                raise part
            if part is WAITS:
                await asyncio.Event().wait()
            yield part  # type: ignore[misc]

    def sees(self, target: Target) -> bool:
        return True

    async def can_answer(self) -> bool:
        return True

    def is_away(self, provider_key: str) -> bool:
        return False

    async def look(self, targets: Sequence[Target]) -> None:
        pass

    def standing(self, target: Target) -> Standing:
        return Standing(target, "Studio")

    def name_of(self, provider_key: str) -> str:
        return "Studio"

    async def describe(self, model_sha256: str = "") -> str:
        return "Small model"

    def continues(self, model_sha256: str) -> bool:
        return True

    def quiet(self, provider_key: str) -> float:
        return 0.0

    def look_for(self, provider_key: str) -> bool:
        return True

    def is_gone(self, provider_key: str) -> bool:
        return False

    def has_model(self, target: Target, model_sha256: str) -> bool:
        return True


class Box:
    """Allows as `says`; "ask" waits for `decide`."""

    def __init__(self, says: str = "once") -> None:
        self.says = says
        self.ran: list[tuple[str, Mapping[str, Any]]] = []
        self.asked: list[ToolUse] = []
        self.result: ToolResult | None = ToolResult("17 rows", size=7)
        self.left = False
        self.decided: asyncio.Future[str] | None = None
        self.failing: tuple[tuple[str, str], ...] = ()
        self.servers = [(FILES, (COUNT,))]

    async def kit(self, conversation_id: str) -> Kit:
        return Kit(offered(self.servers)[0], self.failing)

    def asks_first(self, conversation_id: str, tool: OfferedTool) -> bool:
        return self.says != "always"

    async def may(self, conversation_id: str, answer_id: str, use: ToolUse, tool: OfferedTool) -> str:
        self.asked.append(use)
        if self.says != "ask":
            return self.says
        self.decided = asyncio.get_running_loop().create_future()
        return await self.decided

    async def run(self, tool: OfferedTool, arguments: Mapping[str, Any]) -> ToolResult:
        self.ran.append((tool.own.name, arguments))
        if self.result is None:
            try:
                await asyncio.Event().wait()
            finally:
                self.left = True
        assert self.result is not None
        return self.result


class Scene:
    def __init__(self, store: Store, remote: Scripted, local: Scripted, box: Box) -> None:
        self.store, self.remote, self.local, self.box = store, remote, local, box
        self.events: list[CoreEvent] = []
        hub = EventHub()
        hub.subscribe(self.events.append)
        self.chats = Chats(store, hub, remote, local, ToolRounds(box))

    async def ask(self, target: Target = REMOTE) -> Message:
        conversation = await self.chats.new(target)
        await self.chats.ask(conversation.id, "How many rows?")
        return await self.finished()

    async def finished(self) -> Message:
        async with asyncio.timeout(20):
            while True:
                for event in self.events:
                    if isinstance(event, AnswerFinished):
                        return event.message
                await asyncio.sleep(0)

    async def until(self, wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not wanted():
                await asyncio.sleep(0)


def play(
    folder: Path, remote: Scripted, act: Callable[[Scene], Awaitable[None]], box: Box | None = None, **local: Scripted
) -> None:
    async def main() -> None:
        store = Store.open(DataDir(folder, explicit=True), now=1000.0)
        scene = Scene(store, remote, local.get("local", Scripted(("here",))), box or Box())
        try:
            await act(scene)
        finally:
            await scene.chats.close()
            store.close()

    asyncio.run(main())


def test_a_call_is_allowed_run_told_and_answered(tmp_path: Path) -> None:
    remote = Scripted(("Let me look.", CALL, STATS), ("\n\nThere are ", "17.", replace(STATS, prompt_tokens=40)))

    async def act(scene: Scene) -> None:
        message = await scene.ask()
        (use,) = message.tools
        assert (use.server, use.tool, use.arguments) == ("Files", "count_rows", '{"file":"a.csv"}')
        assert (use.state, use.result, use.allowed, use.offset) == (UseState.DONE, "17 rows", "once", 12)
        assert message.text == "Let me look.\n\nThere are 17." and message.status == "done"
        assert scene.box.ran == [("count_rows", {"file": "a.csv"})]
        first, second = remote.questions
        assert [tool.name for tool in first.tools] == ["count_rows"] == [tool.name for tool in second.tools]
        asked, result = second.history[-2:]
        assert (asked.role, asked.content, asked.tool_calls[0].name) == ("assistant", "Let me look.", "count_rows")
        assert (result.role, result.content, result.tool_call_id) == ("tool", "17 rows", "abcdefghi")
        states = [event.use.state for event in scene.events if isinstance(event, AnswerTool)]
        assert states == [UseState.ASKS, UseState.RUNNING, UseState.DONE]
        assert message.stats is not None
        assert (message.stats.generated_tokens, message.stats.prompt_tokens) == (6, 40)
        stored = (await scene.chats.messages(message_conversation(scene)))[-1]
        assert stored.tools == message.tools
        # The next question is read behind all of it.
        await scene.chats.ask(message_conversation(scene), "Sure?")
        await scene.until(lambda: len(remote.questions) == 3)
        roles = [turn.role for turn in remote.questions[-1].history]
        assert roles == ["user", "assistant", "tool", "assistant", "user"]
        assert remote.questions[-1].history[3].content == "There are 17."

    play(tmp_path, remote, act)


def message_conversation(scene: Scene) -> str:
    return next(event.conversation_id for event in scene.events if isinstance(event, AnswerTool))


def test_what_is_denied_does_not_run_and_is_told(tmp_path: Path) -> None:
    remote = Scripted((CALL,), ("Then not.",))

    async def act(scene: Scene) -> None:
        message = await scene.ask()
        assert [use.state for use in message.tools] == [UseState.DENIED] and not scene.box.ran
        assert remote.questions[1].history[-1].content == DENIED and message.text == "Then not."

    play(tmp_path, remote, act, Box(""))


def test_a_tool_that_fails_is_told_and_the_answer_goes_on(tmp_path: Path) -> None:
    box = Box("always")
    box.result = failed("Files has ended.")

    async def act(scene: Scene) -> None:
        message = await scene.ask()
        (use,) = message.tools
        assert use.state is UseState.FAILED and use.result == "Files has ended." and message.text == "A pity."
        assert next(event.use.state for event in scene.events if isinstance(event, AnswerTool)) is UseState.RUNNING

    play(tmp_path, Scripted((CALL,), ("A pity.",)), act, box)


@pytest.mark.parametrize("says", ["ask", "once"])
def test_stop_works_while_it_is_asked_and_while_it_runs(tmp_path: Path, says: str) -> None:
    box = Box(says)
    box.result = None

    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        answer = await scene.chats.ask(conversation.id, "How many?")
        await scene.until(lambda: box.decided is not None or bool(box.ran))
        await scene.chats.stop(answer)
        message = await scene.finished()
        assert message.status == "stopped" and [use.state for use in message.tools] == [UseState.STOPPED]
        assert message.tools[0].result == STOPPED and box.left == (says == "once")
        assert (await scene.chats.messages(conversation.id))[-1].tools == message.tools

    play(tmp_path, Scripted((CALL,)), act, box)


def test_calls_that_are_none_end_with_a_sentence(tmp_path: Path) -> None:
    remote = Scripted((WRONG,))

    async def act(scene: Scene) -> None:
        message = await scene.ask(Target())
        assert message.status == "failed" and message.error is not None
        assert message.error.name == "NO_VALID_TOOL_CALL" and "tool" in message.error.title
        assert [use.state for use in message.tools] == [UseState.INVALID] * 2
        told = scene.local.questions[1].history[-1]
        assert told.role == "user" and "It is cut." in told.content

    play(tmp_path, remote, act, local=Scripted((WRONG,)))


def test_the_same_call_for_ever_ends_and_so_do_endless_rounds(tmp_path: Path) -> None:
    async def same(scene: Scene) -> None:
        message = await scene.ask(Target())
        assert message.error is not None and message.error.name == "SAME_TOOL_CALL" and len(message.tools) == 3

    play(tmp_path / "same", Scripted(("",)), same, local=Scripted((CALL,)))

    async def endless(scene: Scene) -> None:
        message = await scene.ask(Target())
        assert message.status == "done" and len(message.tools) == ROUNDS_MOST
        assert scene.local.questions[-1].tool_choice.mode is ToolMode.NONE

    rounds = [(replace(CALL, arguments=f'{{"file":"{n}"}}'),) for n in range(ROUNDS_MOST)]
    play(tmp_path / "endless", Scripted(("",)), endless, local=Scripted(*rounds, ("Enough.",)))


def test_an_unknown_tool_is_never_run(tmp_path: Path) -> None:
    remote = Scripted((replace(CALL, name="rm"),), ("Sorry.",))

    async def act(scene: Scene) -> None:
        message = await scene.ask()
        assert message.tools[0].state is UseState.INVALID and not scene.box.ran and not scene.box.asked

    play(tmp_path, remote, act)


def test_whoever_goes_on_does_so_behind_the_results(tmp_path: Path) -> None:
    remote = Scripted(("I look. ", CALL), ("There", ConnectionClosed("gone")))
    local = Scripted((" are 17.",))

    async def act(scene: Scene) -> None:
        message = await scene.ask()
        assert scene.box.ran == [("count_rows", {"file": "a.csv"})], "once, wherever it is answered"
        (question,) = local.questions
        assert question.so_far == "There" and question.history[-1].content == "17 rows"
        assert message.status == "done" and [use.state for use in message.tools] == [UseState.DONE]

    play(tmp_path, remote, act, local=local)


def test_a_server_that_is_not_there_is_shown_and_the_answer_comes(tmp_path: Path) -> None:
    box = Box()
    box.failing = (("Maps", "The program npx was not found."),)

    async def act(scene: Scene) -> None:
        message = await scene.ask()
        assert [(use.server, use.tool, use.state) for use in message.tools] == [("Maps", "", UseState.FAILED)]
        assert message.text == "Without it." and not any(turn.tool_calls for turn in scene.remote.questions[0].history)
        assert turns_of(message.text, message.tools) == ((), "Without it.")

    play(tmp_path, Scripted(("Without it.",)), act, box)


def test_thinking_of_several_rounds_stands_apart(tmp_path: Path) -> None:
    remote = Scripted((Thinking("First."), CALL), (Thinking("Then."), "Done."))

    async def act(scene: Scene) -> None:
        message = await scene.ask()
        assert message.thinking == "First.\n\nThen." and message.text == "Done."

    play(tmp_path, remote, act)


def test_two_servers_with_one_name_of_a_tool() -> None:
    other = ToolServer("My files 2", "x")
    tools, left = offered([(FILES, (COUNT,)), (other, (COUNT, replace(COUNT, name="naïve/tool")))])
    assert [tool.tool.name for tool in tools] == ["Files__count_rows", "My_files_2__count_rows", "na_ve_tool"]
    assert not left
    ((bad,), why) = offered([(FILES, (COUNT, replace(COUNT, name="b", schema={"type": "string"})))])
    assert bad.own.name == "count_rows" and [each.tool for each in why] == ["b"] and "object" in why[0].reason
    assert not offered([(replace(FILES, off=("count_rows",)), (COUNT,))])[0]


def test_a_result_that_does_not_fit_is_told_shorter(tmp_path: Path) -> None:
    full = ModelError("The conversation is longer.", name="CONTEXT_OVERFLOW", code=52421)
    box = Box()
    box.result = ToolResult("x" * 20_000, size=20_000)

    async def act(scene: Scene) -> None:
        message = await scene.ask(Target())
        assert message.status == "done" and message.text == "Long.", message.error
        (use,) = message.tools
        assert len(use.result) < 3_200 and "left out" in use.result and use.size == 20_000 and len(box.ran) == 1
        assert scene.local.questions[2].history[-1].content == use.result

    play(tmp_path, Scripted(("",)), act, box, local=Scripted((CALL,), (full,), ("Long.",)))

    async def too_small(scene: Scene) -> None:
        message = await scene.ask(Target())
        assert message.error is not None and message.error.name == "CONTEXT_OVERFLOW" and len(box.ran) == 2

    play(tmp_path / "small", Scripted(("",)), too_small, box, local=Scripted((CALL,), (full,)))
