"""An answer with tools: the model writes calls, the person allows them, they run here, it goes on with what they gave.

The model may be far away; the tools never are. Each round is one answer of a responder. What was allowed, ran and came
back stands in the answer (`ToolUse`), so that whoever goes on, also on another machine, goes on behind it.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from qvac_core.core.answering import AnswerPart, Began, Question, Responder, Thinking
from qvac_core.core.state import AnswerStats, ToolUse, UseState
from qvac_core.core.tool_turns import DENIED, is_open, turns_of
from qvac_core.delegation.failures import Code
from qvac_core.engines.interface import ToolCall, ToolChoice, ToolError, ToolMode
from qvac_core.errors import DelegationError, ModelError
from qvac_core.store.conversations import new_id
from qvac_core.tools.names import OfferedTool
from qvac_core.tools.results import ToolResult, cut

ROUNDS_MOST = 12
"""Of one answer; then it is asked to end without tools."""
WRONG_MOST = 2
"""Rounds in a row in which nothing that was written can be run."""
SAME_MOST = 3
"""Rounds in a row with the very same calls."""
SHORT_MOST = 3_000
"""Characters of a result where the longer ones do not fit: some 1,000 tokens."""
_NOTE_MOST = 200  # what says that something was left out
INTERRUPTED = "This was interrupted before it ended; whether it did its work is not known."


@dataclass(frozen=True, slots=True)
class Kit:
    """What a conversation may call now. failed: servers that are to be there and are not, with why."""

    tools: tuple[OfferedTool, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


class Toolbox(Protocol):
    async def kit(self, conversation_id: str) -> Kit:
        """Starts the servers that the conversation uses."""

    async def may(self, conversation_id: str, answer_id: str, use: ToolUse, tool: OfferedTool) -> str:
        """ "once", "conversation", "always"; "" = denied. Asks the person where nothing was said yet."""

    def asks_first(self, conversation_id: str, tool: OfferedTool) -> bool:
        """Whether the person will be asked."""

    async def run(self, tool: OfferedTool, arguments: Mapping[str, Any]) -> ToolResult:
        """Raises nothing but for a mistake of ours: what went wrong is a result that says so."""


def failed(sentence: str) -> ToolResult:
    return cut(sentence, failed=True)


class ToolRounds:
    """first: whether the first round must call a tool (tests; small models call none by themselves)."""

    def __init__(self, toolbox: Toolbox, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._toolbox = toolbox
        self._clock = clock
        self.first = ToolChoice()

    async def answer(
        self, responder: Responder, question: Question, conversation_id: str, uses: Sequence[ToolUse], start: int
    ) -> AsyncGenerator[AnswerPart | ToolUse, None]:
        """As `Responder.answer`. uses: what stands in the answer already, whose text begins at `start`."""
        kit = Kit() if question.parameters.schema.strip() else await self._toolbox.kit(conversation_id)
        if not kit.tools and not kit.failed and not uses:
            async with contextlib.aclosing(responder.answer(question)) as plain:
                async for said in plain:
                    yield said
            return
        run = _Run(self, kit, question, conversation_id, [use for use in uses if use.offset >= start], start)
        async with contextlib.aclosing(run.rounds(responder)) as parts:
            async for part in parts:
                yield part

    @property
    def toolbox(self) -> Toolbox:
        return self._toolbox

    @property
    def now(self) -> float:
        return self._clock()


class _NoToolbox:
    async def kit(self, conversation_id: str) -> Kit:
        return Kit()

    async def may(self, conversation_id: str, answer_id: str, use: ToolUse, tool: OfferedTool) -> str:
        return ""

    def asks_first(self, conversation_id: str, tool: OfferedTool) -> bool:
        return True

    async def run(self, tool: OfferedTool, arguments: Mapping[str, Any]) -> ToolResult:
        return failed("There are no tools.")


NO_TOOLS = ToolRounds(_NoToolbox())


class _Run:
    """One answer at one responder."""

    def __init__(
        self,
        owner: ToolRounds,
        kit: Kit,
        question: Question,
        conversation_id: str,
        uses: list[ToolUse],
        start: int,
    ) -> None:
        self._owner = owner
        self._kit = {tool.tool.name: tool for tool in kit.tools}
        self._failed = kit.failed
        self._question = question
        self._conversation_id = conversation_id
        self._uses = uses
        self._start = start
        self._text = " " * start + question.so_far  # by the offsets of the whole answer
        self._stats: AnswerStats | None = None
        self._generated = 0
        self._began = False

    async def rounds(self, responder: Responder) -> AsyncGenerator[AnswerPart | ToolUse, None]:
        for failed in self._not_there():
            yield failed
        async with contextlib.aclosing(self._finish_open()) as changes:
            async for use in changes:
                yield use
        number = max((use.round for use in self._uses), default=0)
        while True:
            number += 1
            before = len(self._uses)
            last = number > ROUNDS_MOST
            try:
                async with contextlib.aclosing(self._round(responder, number, last)) as parts:
                    async for part in parts:
                        yield part
            except DelegationError as error:
                shorter = self._shortened() if error.code == Code.CONTEXT_OVERFLOW.value else []
                if not shorter:
                    raise
                for use in shorter:
                    yield use
                number -= 1
                continue
            if len(self._uses) == before or last:
                break
            self._check_progress()
            async with contextlib.aclosing(self._finish_open()) as changes:
                async for use in changes:
                    yield use
        if self._stats is not None:
            yield self._stats

    def _not_there(self) -> list[ToolUse]:
        known = {use.server for use in self._uses if not use.tool}
        new = [
            ToolUse(new_id(), server, "", "", "{}", len(self._text), 0, UseState.FAILED, why)
            for server, why in self._failed
            if server not in known
        ]
        self._uses += new
        return new

    async def _round(self, responder: Responder, number: int, last: bool) -> AsyncGenerator[AnswerPart | ToolUse, None]:
        turns, so_far = turns_of(self._text, self._uses, self._start)
        tools = tuple(tool.tool for tool in self._kit.values())
        choice = self._owner.first if number == 1 and not turns and not so_far else ToolChoice()
        if last:
            choice = ToolChoice(ToolMode.NONE)
        question = replace(
            self._question,
            history=(*self._question.history, *turns),
            so_far=so_far,
            tools=tools,
            tool_choice=choice,
        )
        asked: list[ToolUse] = []
        fresh, thought = bool(turns) and not so_far, False
        async with contextlib.aclosing(responder.answer(question)) as parts:
            async for part in parts:
                if isinstance(part, Began):
                    if not self._began:
                        self._began = True
                        # Behind results it goes on in any case.
                        yield replace(part, continues=part.continues or (bool(turns) and not so_far))
                        if so_far and not part.continues and not self._text.endswith("\n\n"):
                            self._text += "\n\n"  # as the chats set an answer anew apart
                elif isinstance(part, str):
                    text = part.lstrip() if fresh else part
                    if fresh and text and self._text.strip() and not self._text.endswith("\n\n"):
                        text = f"\n\n{text}"  # what was said before the calls ended there
                    fresh = fresh and not text
                    self._text += text
                    if text:
                        yield text
                elif isinstance(part, Thinking):
                    apart = "\n\n" if number > 1 and not thought else ""
                    thought = True
                    yield Thinking(apart + part.text)
                elif isinstance(part, ToolCall | ToolError):
                    asked.append(self._use(part, number, {use.id for use in (*self._uses, *asked)}))
                elif isinstance(part, AnswerStats):
                    yield self._count(part)
        for use in asked:
            self._put(use)
            yield use

    def _shortened(self) -> list[ToolUse]:
        """What tools gave back, with less of it: the whole does not fit into the model's context."""
        changed = []
        for use in self._uses:
            if len(use.result) > SHORT_MOST + _NOTE_MOST:
                result = cut(use.result, failed=use.state is UseState.FAILED, most=SHORT_MOST)
                changed.append(replace(use, result=result.text))
        for use in changed:
            self._put(use)
        return changed

    def _count(self, stats: AnswerStats) -> AnswerStats:
        """All rounds together; the prompt is that of the last one."""
        first = self._stats
        if stats.generated_tokens or stats.prompt_tokens:
            self._generated += stats.generated_tokens
            wait = first.time_to_first_token if first is not None and first.generated_tokens else None
            self._stats = replace(
                stats,
                generated_tokens=self._generated,
                time_to_first_token=stats.time_to_first_token if wait is None else wait,
            )
        elif first is None:
            return stats
        return self._stats or stats

    def _use(self, part: ToolCall | ToolError, number: int, taken: set[str]) -> ToolUse:
        at = len(self._text)
        if isinstance(part, ToolError):
            return ToolUse(new_id(), "", "", "", part.raw, at, number, UseState.INVALID, part.message)
        id = part.id if part.id and part.id not in taken else new_id()[:9]
        tool = self._kit.get(part.name)
        if tool is None:
            wrong = f"There is no tool {json.dumps(part.name[:64])}."
            return ToolUse(id, "", "", "", part.raw or part.arguments, at, number, UseState.INVALID, wrong)
        asks = self._owner.toolbox.asks_first(self._conversation_id, tool)
        state = UseState.ASKS if asks else UseState.RUNNING
        return ToolUse(id, tool.server.name, tool.own.name, part.name, part.arguments, at, number, state)

    def _put(self, use: ToolUse) -> None:
        for place, old in enumerate(self._uses):
            if old.id == use.id:
                self._uses[place] = use
                return
        self._uses.append(use)

    async def _finish_open(self) -> AsyncGenerator[ToolUse, None]:
        """Ask, run and tell, one after the other: a person reads one question at a time."""
        for use in [use for use in self._uses if is_open(use)]:
            async with contextlib.aclosing(self._finish(use)) as changes:
                async for changed in changes:
                    self._put(changed)
                    yield changed

    async def _finish(self, use: ToolUse) -> AsyncGenerator[ToolUse, None]:
        tool = self._kit.get(use.name)
        if tool is None:
            gone = f"The tool {use.tool} is not there any more."
            yield replace(use, state=UseState.FAILED, result=gone)
            return
        if use.state is UseState.RUNNING and use.allowed:  # it ran when whoever answered went away
            yield replace(use, state=UseState.FAILED, result=INTERRUPTED)
            return
        allowed = await self._owner.toolbox.may(self._conversation_id, self._question.answer_id, use, tool)
        if not allowed:
            yield replace(use, state=UseState.DENIED, result=DENIED)
            return
        use = replace(use, state=UseState.RUNNING, allowed=allowed)
        yield use
        began = self._owner.now
        arguments = json.loads(use.arguments or "{}")
        result = await self._owner.toolbox.run(tool, arguments)
        state = UseState.FAILED if result.failed else UseState.DONE
        yield replace(use, state=state, result=result.text, size=result.size, seconds=self._owner.now - began)

    def _check_progress(self) -> None:
        """Raises ModelError for a model that writes nothing but what cannot be run, or the same for ever."""
        by_round: dict[int, list[ToolUse]] = {}
        for use in self._uses:
            if use.round:
                by_round.setdefault(use.round, []).append(use)
        rounds = list(by_round.values())
        wrong = [all(use.state is UseState.INVALID for use in several) for several in rounds[-WRONG_MOST:]]
        if len(wrong) == WRONG_MOST and all(wrong):
            raise ModelError("What the model writes is no call of a tool that can be run.", name="NO_VALID_TOOL_CALL")
        calls = [tuple((use.name, use.arguments) for use in several) for several in rounds[-SAME_MOST:]]
        if len(calls) == SAME_MOST and len(set(calls)) == 1:
            raise ModelError("The model makes the same call again and again.", name="SAME_TOOL_CALL")
