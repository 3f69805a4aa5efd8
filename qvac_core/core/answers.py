"""`core.answers.ask(target, history)`: one answer that no conversation keeps, by the way of those that are kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from types import TracebackType

from qvac_core.core.answering import LocalResponder, Question, RemoteResponder, chat_history
from qvac_core.core.asking import AnswerRun, Asking, ended
from qvac_core.core.event_hub import EventHub
from qvac_core.core.state import AnswerPlace, Conversation, CoreEvent, Message, Parameters, Target
from qvac_core.core.tool_rounds import NO_TOOLS, ToolRounds
from qvac_core.engines.interface import ChatMessage
from qvac_core.store.conversations import new_id
from qvac_core.store.settings import ChatSettings
from qvac_core.tasks import TaskOwner


class AnswerStream:
    """One answer as it comes: `async with` it and read it once; leaving early cancels down to the GPU.

    Yields AnswerTokens, AnswerThinking, AnswerSeam, AnswerTool and AnswerPlace, whoever answers. Reading it raises the
    QvacError of the last one that was asked, when nobody could answer; `message` has what came until then.
    """

    def __init__(self, run: AnswerRun, start: Callable[[AnswerStream], asyncio.Task[None]]) -> None:
        self._run = run
        self._events: asyncio.Queue[CoreEvent | None] = asyncio.Queue()
        run.tell = self._events.put_nowait
        self._task = start(self)
        self._task.add_done_callback(lambda _: self._events.put_nowait(None))

    @property
    def id(self) -> str:
        return self._run.message.id

    @property
    def message(self) -> Message:
        """As far as it has come: its text, thinking, calls of tools and seams; when it stands, the statistics too."""
        return ended(self._run) if self._task.done() else self._run.message

    def take(self, event: CoreEvent) -> None:
        """What is told of it by others than its run."""
        self._events.put_nowait(event)

    async def __aenter__(self) -> AnswerStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._task.done():
            self._run.stopped = True
            await TaskOwner.end(self._task)

    def __aiter__(self) -> AsyncIterator[CoreEvent]:
        return self._iterate()

    async def _iterate(self) -> AsyncGenerator[CoreEvent, None]:
        while (event := await self._events.get()) is not None:
            yield event
        if not self._task.cancelled():
            self._task.result()


class Answers:
    """Every answer that is asked for without a conversation: of the terminal, of programs."""

    def __init__(self, asking: Asking, events: EventHub) -> None:
        self._asking = asking
        self._events = events
        self._streams: dict[str, AnswerStream] = {}
        self._tasks = TaskOwner()
        self._unsubscribe = events.subscribe(self._on_event)

    async def close(self) -> None:
        """Ends every answer."""
        self._unsubscribe()
        await self._tasks.close()

    @asynccontextmanager
    async def by(self, remote: RemoteResponder, local: LocalResponder) -> AsyncIterator[Answers]:
        """Answers of these two, who have loaded what they answer with; until the end of the block."""
        asking = self._asking.by(remote, local)
        answers = Answers(asking, self._events)
        try:
            yield answers
        finally:
            await answers.close()
            await asking.close()

    def settings(self) -> ChatSettings:
        """What a person has set, from which terms are made."""
        return self._asking.settings()

    def ask(
        self,
        target: Target,
        history: Sequence[ChatMessage],
        *,
        others: Sequence[Target] = (),
        parameters: Parameters | None = None,
        terms: ChatSettings | None = None,
        tools: ToolRounds | None = None,
        ahead_here: bool = True,
        again: bool = True,
    ) -> AnswerStream:
        """Starts at once. history: up to the question, which is last; pictures as their files' bytes.

        target: a provider's key with the name of a model, or this machine; others: who goes on when it goes away, in
        this order. terms: fallback, hedging and the longest answer in place of the settings. tools: none where None.
        ahead_here: whether this machine may compute before it is wanted. again: whether a provider that lost the answer
        and is there is asked once more; one whose model file is not known would begin anew.
        """
        conversation = Conversation("", "", 0.0, 0.0, target=target, others=tuple(others))
        conversation = replace(conversation, parameters=parameters or Parameters())
        run = AnswerRun(
            conversation, Message(new_id(), "assistant", "", time.time(), status="streaming"), lambda event: None
        )
        run.terms, run.tools, run.ahead_here = terms, tools or NO_TOOLS, ahead_here
        run.asked_again = not again
        question = Question(run.message.id, target, chat_history(history), parameters=conversation.parameters)

        def start(stream: AnswerStream) -> asyncio.Task[None]:
            self._streams[stream.id] = stream
            task = self._tasks.start(self._answer(run, question), f"answer {stream.id}")
            task.add_done_callback(lambda _: self._streams.pop(stream.id, None))
            return task

        return AnswerStream(run, start)

    async def _answer(self, run: AnswerRun, question: Question) -> None:
        status = "failed"
        try:
            await self._asking.answer(run, question)
            status = "done"
        except asyncio.CancelledError:
            status = "stopped"
            raise
        finally:
            run.message = replace(run.message, status=status)

    def _on_event(self, event: CoreEvent) -> None:
        if isinstance(event, AnswerPlace) and (stream := self._streams.get(event.message_id)) is not None:
            stream.take(event)
