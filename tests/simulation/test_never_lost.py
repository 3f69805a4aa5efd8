"""Never a lost answer: providers that die, freeze, are cut off or crash, at every moment, with others and without.

Conversations, contacts, consumer and providers are the real ones; engines are scripted, connections are in memory, time
is virtual. Every case is drawn from a seed, and one that fails is played again by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from qvac_core.core.answering import AnswerPart, Began, Question
from qvac_core.core.chat_settings import ChatSettings
from qvac_core.core.chats import Chats
from qvac_core.core.contacts import Contacts
from qvac_core.core.event_hub import EventHub
from qvac_core.core.state import AnswerFinished, AnswerTokens, CoreEvent, Message, Target
from qvac_core.delegation.consumer import Consumer
from qvac_core.engines.interface import CompletionEvent, CompletionRequest
from qvac_core.errors import EngineCrashed, NetworkError
from qvac_core.store.folders import DataDir
from qvac_core.store.store import Store
from tests.unit.delegation_room import CONSUMER_KEY, Room, provider_room
from tests.unit.memory_stream import MemoryStream, run, stream_pair
from tests.unit.scripted_engine import SMOL, ScriptedModel

KEYS = [bytes([number]) * 32 for number in (0x11, 0x22, 0x33)]
WORDS = [f"w{number} " for number in range(40)]
WHOLE = "".join(WORDS)
STEP = 0.05
STREAM_PATIENCE = 13.0
"""Seconds after which a stream that is cut off fails at both ends, as UDX does."""


class CrashingModel(ScriptedModel):
    """Its process ends at the next step, when told; it is there again for the next request."""

    crashing = False

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        async for event in super().complete(request):
            if self.crashing:
                self.crashing = False
                raise EngineCrashed("The model process ended.")
            yield event


@dataclass
class Machine:
    """One provider's, with the wire to the guest."""

    room: Room
    key: bytes
    away: bool = False
    streams: list[MemoryStream] = field(default_factory=list)
    cuts: list[asyncio.Task[None]] = field(default_factory=list)

    async def connect(self, seconds: float) -> MemoryStream:
        if self.away:
            await asyncio.sleep(min(seconds, 2.0))
            raise NetworkError("nobody answers", name="PEER_NOT_FOUND")
        await asyncio.sleep(0.05)
        ours, theirs = stream_pair(CONSUMER_KEY, self.key)
        self.streams.append(ours)
        self.room.streams.append(ours)
        self.room.tasks.create_task(self.room.provider.serve(theirs))
        return ours

    def die(self) -> None:
        """As kill -9: nothing comes any more, not even an end."""
        self.away = True
        self._cut(None)

    def cut_off(self, seconds: float) -> None:
        self.away = True
        self._cut(seconds)

    def reset(self) -> None:
        for stream in self.streams:
            stream.destroy()

    def crash(self) -> None:
        model = self.room.pool.model
        assert isinstance(model, CrashingModel)
        model.crashing = True

    def come_back(self) -> None:
        self.away = False

    def _cut(self, seconds: float | None) -> None:
        for stream in self.streams:
            stream.cut()
        self.cuts.append(asyncio.create_task(self._mend(seconds)))

    async def _mend(self, seconds: float | None) -> None:
        """In time, or the streams fail."""
        await asyncio.sleep(STREAM_PATIENCE if seconds is None else min(seconds, STREAM_PATIENCE))
        for stream in self.streams:
            if seconds is None or seconds > STREAM_PATIENCE:
                for end in (stream, stream.peer):
                    end._inbox.clear()
                    end._break("nothing came", "ETIMEDOUT")
            stream.cut(False)
        if seconds is not None:
            await asyncio.sleep(max(0.0, seconds - STREAM_PATIENCE))
            self.come_back()


class Here:
    """This machine, with the same model or none."""

    def __init__(self, able: bool) -> None:
        self.able = able
        self.running = 0

    async def can_answer(self) -> bool:
        return self.able

    def sees(self, target: Target) -> bool:
        return False

    def continues(self, model_sha256: str) -> bool:
        return model_sha256 in ("", SMOL.sha256)

    async def describe(self, model_sha256: str = "") -> str:
        return "SmolLM2"

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        self.running += 1
        try:
            yield Began(SMOL.sha256, continues=bool(question.so_far))
            assert WHOLE.startswith(question.so_far)
            for word in WORDS[question.so_far.count(" ") :]:
                await asyncio.sleep(STEP)
                yield word
        finally:
            self.running -= 1


@dataclass(frozen=True)
class Case:
    fault: str
    moment: str
    others: int
    here: bool
    returns: bool

    @staticmethod
    def of(seed: int) -> Case:
        chance = Random(seed)
        return Case(
            chance.choice(("die", "cut 1", "cut 10", "cut 60", "reset", "crash")),
            chance.choice(("before", "load", "prefill", "first", "middle", "last")),
            chance.randrange(3),
            chance.random() < 0.5,
            chance.random() < 0.7,
        )


class Scene:
    def __init__(self, store: Store, machines: list[Machine], here: Here) -> None:
        self.machines, self.here = machines, here
        self.hub = EventHub()
        self.events: list[CoreEvent] = []
        self.hub.subscribe(self.events.append)

        async def connect(public_key: bytes, force_new: bool, seconds: float) -> MemoryStream:
            return await machines[KEYS.index(public_key)].connect(seconds)

        self.consumer = Consumer(connect)
        self.contacts = Contacts(store, self.hub, self.consumer, CONSUMER_KEY)
        self.chats = Chats(store, self.hub, self.contacts, here)
        self.settings = ChatSettings(store, self.hub)

    @property
    def said(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, AnswerTokens))

    async def until(self, what: Callable[[], object], seconds: float = 300) -> None:
        async with asyncio.timeout(seconds):
            while not what():
                await asyncio.sleep(0.01)

    def ends(self) -> list[Message]:
        return [event.message for event in self.events if isinstance(event, AnswerFinished)]


async def strike(scene: Scene, case: Case) -> None:
    """The fault, at its moment, to the first machine."""
    first = scene.machines[0]
    model = first.room.pool.model
    match case.moment:
        case "load":
            await scene.until(lambda: first.room.pool.configs)
        case "prefill":
            model.step = 5.0
            await scene.until(lambda: model.running)
        case "first":
            await scene.until(lambda: scene.said)
        case "middle":
            await scene.until(lambda: WORDS[17] in scene.said)
        case "last":
            await scene.until(lambda: WORDS[-2] in scene.said)
    model.step = STEP
    match case.fault.split():
        case ["die"]:
            first.die()
        case ["cut", seconds]:
            first.cut_off(float(seconds))
        case ["reset"]:
            first.reset()
        case ["crash"]:
            first.crash()


async def play(case: Case, scene: Scene) -> None:
    for machine in scene.machines:
        machine.room.pool.model = CrashingModel(WORDS, step=STEP)
        await scene.contacts.connect(machine.key.hex())
    conversation = await scene.chats.new(Target(KEYS[0].hex()))
    await scene.settings.set_others(conversation.id, [Target(key.hex()) for key in KEYS[1 : case.others + 1]])
    striking = asyncio.create_task(strike(scene, case)) if case.moment != "before" else None
    if striking is None:
        await strike(scene, case)
    await scene.chats.ask(conversation.id, "Count")
    if striking is not None:
        await striking
    await scene.until(scene.ends)
    (answer,) = scene.ends()
    if answer.status == "failed":
        assert answer.error is not None and answer.error.title, case
        assert not case.here and not case.others, (case, answer)
        assert WHOLE.startswith(answer.text)
        if not answer.text or not (case.returns or case.fault != "die"):
            return
        scene.machines[0].come_back()
        await scene.until(lambda: len(scene.ends()) == 2)  # by itself
        answer = scene.ends()[1]
    assert (answer.status, answer.text) == ("done", WHOLE), (case, answer)


@pytest.mark.parametrize("seed", [*range(50), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(50, 500))])
def test_an_answer_is_whole_or_ends_with_a_cause_and_waits(seed: int, tmp_path: Path) -> None:
    case = Case.of(seed)

    async def main() -> None:
        store = Store.open(DataDir(tmp_path, explicit=True), now=1000.0)

        async def at_once(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        store.database.run = at_once  # type: ignore[method-assign]
        async with AsyncExitStack() as stack:
            rooms = [await stack.enter_async_context(provider_room()) for _ in KEYS]
            machines = [Machine(room, key) for room, key in zip(rooms, KEYS, strict=True)]
            scene = Scene(store, machines, Here(case.here))
            try:
                await play(case, scene)
            finally:
                await scene.chats.close()
                await scene.contacts.close()
                await scene.consumer.close()
                for machine in machines:
                    for task in machine.cuts:
                        task.cancel()
                    for stream in machine.streams:
                        stream.cut(False)
                        stream.destroy()
            assert scene.here.running == 0 and not scene.consumer._runs
            await scene.until(lambda: not any(len(room.provider.requests) for room in rooms))
        store.close()
        left = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
        await asyncio.wait(left, timeout=1) if left else None
        assert not [task for task in left if not task.done()]

    run(main())
