"""Never a lost answer: whatever fails, at every moment of an answer, with others to go on with and without.

Conversations, contacts, consumer and providers are the real ones, and so is the database; engines are scripted,
connections are in memory, time is virtual. The table is every fault at every moment with 0, 1 and 2 others; who is
there besides (this machine's model, the provider again) is drawn from the row's own seed.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import product
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
from qvac_core.errors import EngineCrashed, NetworkError, StoreError
from qvac_core.store.folders import DataDir
from qvac_core.store.store import Store
from tests.simulation.virtual_loop import VirtualLoop
from tests.unit.delegation_room import CONSUMER_KEY, Room, provider_room
from tests.unit.memory_stream import MemoryStream, run, stream_pair
from tests.unit.scripted_engine import SMOL, ScriptedModel

RUNNER = run

KEYS = [bytes([number]) * 32 for number in (0x11, 0x22, 0x33)]
WORDS = [f"w{number} " for number in range(40)]
WHOLE = "".join(WORDS)
STEP = 0.05
STREAM_PATIENCE = 13.0
"""Seconds after which a stream that is cut off fails at both ends, as UDX does."""
DAY = 86400.0


class CrashingModel(ScriptedModel):
    """Its process ends at the next step, when told, and is there again for the next request.

    runs: so does its machine.
    """

    crashing = False

    def __init__(self) -> None:
        super().__init__(WORDS, step=STEP)
        self.runs = asyncio.Event()
        self.runs.set()

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        async for event in super().complete(request):
            await self.runs.wait()
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
        await self._look(seconds)
        await asyncio.sleep(0.05)
        await self._look(seconds)
        ours, theirs = stream_pair(CONSUMER_KEY, self.key)
        self.streams.append(ours)
        self.room.streams.append(ours)
        self.room.tasks.create_task(self.room.provider.serve(theirs))
        return ours

    async def _look(self, seconds: float) -> None:
        if self.away:
            await asyncio.sleep(min(seconds, 2.0))
            raise NetworkError("nobody answers", name="PEER_NOT_FOUND")

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

    @property
    def model(self) -> CrashingModel:
        assert isinstance(self.room.pool.model, CrashingModel)
        return self.room.pool.model

    def crash(self) -> None:
        self.model.crashing = True

    def stand_still(self, seconds: float) -> None:
        """Frozen, or asleep: what it had begun goes on behind it, on connections that may be gone meanwhile."""
        self.cut_off(seconds)
        self.model.runs.clear()
        asyncio.get_running_loop().call_later(seconds, self.model.runs.set)

    def fill_disk(self) -> None:
        """Nothing of its log can be written any more."""

        def full(*_: object, **__: object) -> None:
            raise StoreError("Cannot write the database: database or disk is full.")

        for name in ("start", "advance", "finish", "keep_contents"):
            setattr(self.room.log, name, full)

    def come_back(self) -> None:
        self.away = False
        self.model.runs.set()

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


@dataclass
class Clock:
    """What a wall clock shows more than it should."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return 1_790_000_000.0 + asyncio.get_running_loop().time() + self.ahead


FAULTS = (
    *("killed", "reset", "worker killed"),
    *("frozen 1", "frozen 10", "frozen 60", "asleep 3600"),
    *("cut 1", "cut 10", "cut 60"),
    *("its disk full", "disk full 5", "disk full 90"),
    *("its clock +", "its clock -", "clock +", "clock -"),
    *("stalls 2", "stalls 3600"),  # this machine: it sleeps, or its loop stands still
)
MOMENTS = ("connect", "idle", "load", "prefill", "first", "middle", "last")
OTHERS = (0, 1, 2)


@dataclass(frozen=True)
class Case:
    fault: str
    moment: str
    others: int
    here: bool
    returns: bool

    def __str__(self) -> str:
        return f"{self.fault}, {self.moment}, {self.others} others{', here' * self.here}{', back' * self.returns}"


def drawn(fault: str, moment: str, others: int) -> Case:
    chance = Random(f"{fault} {moment} {others}")
    return Case(fault, moment, others, chance.random() < 0.4, chance.random() < 0.7)


def rows() -> list[Any]:
    """Each fault at each moment with one number of others, so that each number meets each fault and each moment; the
    rest of the table, and both of what is drawn, take longer."""
    often = [
        drawn(fault, moment, (at + number) % 3)
        for number, fault in enumerate(FAULTS)
        for at, moment in enumerate(MOMENTS)
    ]
    often.append(Case("its disk full", "middle", 0, here=False, returns=False))
    whole = [Case(*each) for each in product(FAULTS, MOMENTS, OTHERS, (False, True), (False, True))]
    rare = [case for case in whole if case not in often]
    return [*(pytest.param(each, id=str(each)) for each in often)] + [
        pytest.param(each, id=str(each), marks=pytest.mark.long) for each in rare
    ]


class Scene:
    def __init__(self, store: Store, machines: list[Machine], here: Here, clock: Clock, their_clock: Clock) -> None:
        self.store, self.machines, self.here = store, machines, here
        self.clock, self.their_clock = clock, their_clock
        self.hub = EventHub()
        self.events: list[CoreEvent] = []
        self.hub.subscribe(self.events.append)

        async def connect(public_key: bytes, force_new: bool, seconds: float) -> MemoryStream:
            return await machines[KEYS.index(public_key)].connect(seconds)

        self.consumer = Consumer(connect)
        store.providers.add(KEYS[0].hex(), "", clock())
        store.providers.connected(KEYS[0].hex(), clock(), ())  # the last time
        self.contacts = Contacts(store, self.hub, self.consumer, CONSUMER_KEY)
        self.chats = Chats(store, self.hub, self.contacts, here)
        self.settings = ChatSettings(store, self.hub)

    @property
    def said(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, AnswerTokens))

    async def until(self, what: Callable[[], object], seconds: float = 300) -> None:
        async with asyncio.timeout(seconds):
            while not what():
                await asyncio.sleep(0.02)

    async def kept(self, conversation_id: str) -> AsyncIterator[Message]:
        """As they lie on the disk, once all of it could be written."""
        await self.until(lambda: not self.chats._keeper._unsaved)
        for message in self.store.conversations.messages(conversation_id):
            yield message

    def ends(self) -> list[Message]:
        return [event.message for event in self.events if isinstance(event, AnswerFinished)]

    def fill_disk(self, seconds: float) -> None:
        """As SQLite meets it: nothing that is there is lost, and nothing more fits."""
        database = self.store.database
        database.execute("CREATE TABLE IF NOT EXISTS waste (bytes BLOB)")
        database.rows(f"PRAGMA max_page_count = {database.rows('PRAGMA page_count')[0][0]}")
        for size in (4000, 400, 40):  # what lies free within the file is used up first
            with suppress(StoreError):
                while True:
                    database.execute("INSERT INTO waste VALUES (zeroblob(?))", (size,))
        asyncio.get_running_loop().call_later(seconds, self.empty_disk)

    def empty_disk(self) -> None:
        self.store.database.rows("PRAGMA max_page_count = 1000000")

    async def stall(self, seconds: float) -> None:
        """No time is lost between two lines of this process; connections fail while it is away."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.jump(seconds)
        if seconds > STREAM_PATIENCE:
            for machine in self.machines:
                machine.reset()


async def strike(scene: Scene, case: Case) -> None:
    """The fault, at its moment, to the first machine."""
    first = scene.machines[0]
    match case.moment:
        case "connect":
            await asyncio.sleep(0.03)
        case "load":
            await scene.until(lambda: first.room.pool.configs)
        case "prefill":
            first.model.step = 5.0
            await scene.until(lambda: first.model.running)
        case "first":
            await scene.until(lambda: scene.said)
        case "middle":
            await scene.until(lambda: WORDS[17] in scene.said)
        case "last":
            await scene.until(lambda: WORDS[-2] in scene.said)
    first.model.step = STEP
    match case.fault.split():
        case ["killed"]:
            first.die()
        case ["cut", seconds]:
            first.cut_off(float(seconds))
        case ["frozen" | "asleep", seconds]:
            first.stand_still(float(seconds))
        case ["reset"]:
            first.reset()
        case ["worker", "killed"]:
            first.crash()
        case ["its", "disk", "full"]:
            first.fill_disk()
        case ["disk", "full", seconds]:
            scene.fill_disk(float(seconds))
        case ["its", "clock", sign]:
            scene.their_clock.ahead = float(f"{sign}{DAY}")
        case ["clock", sign]:
            scene.clock.ahead = float(f"{sign}{DAY}")
        case ["stalls", seconds]:
            await scene.stall(float(seconds))
        case _:
            raise AssertionError(case)


async def ask(scene: Scene, conversation: str) -> None:
    """A disk that is full refuses the question, in words, and the person asks again."""
    while True:
        try:
            await scene.chats.ask(conversation, "Count")
            return
        except StoreError as error:
            assert "full" in error.message
            await asyncio.sleep(5)


async def play(case: Case, scene: Scene) -> None:
    reached = scene.machines if case.moment != "connect" else scene.machines[1:]
    for machine in reached:
        await scene.contacts.connect(machine.key.hex())
    conversation = await scene.chats.new(Target(KEYS[0].hex()))
    await scene.settings.set_others(conversation.id, [Target(key.hex()) for key in KEYS[1 : case.others + 1]])
    striking = asyncio.create_task(strike(scene, case)) if case.moment != "idle" else None
    if striking is None:
        await strike(scene, case)
    await ask(scene, conversation.id)
    if striking is not None:
        await striking
    await scene.until(scene.ends, 300)
    (answer,) = scene.ends()
    if answer.status == "failed":
        assert answer.error is not None and answer.error.title, case
        assert not case.here and not case.others, (case, answer)
        assert WHOLE.startswith(answer.text)
        if not case.returns and case.fault == "killed":
            return
        scene.machines[0].come_back()
        await scene.until(lambda: len(scene.ends()) == 2, 200)  # by itself
        answer = scene.ends()[1]
    assert (answer.status, answer.text) == ("done", WHOLE), (case, answer)
    kept = [message async for message in scene.kept(conversation.id)]
    assert [(message.role, message.text) for message in kept] == [("user", "Count"), ("assistant", WHOLE)], case


@pytest.mark.parametrize("case", rows())
async def test_an_answer_is_whole_or_ends_with_a_cause_and_waits(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path
) -> None:

    clock, their_clock = Clock(), Clock()
    monkeypatch.setattr(time, "time", clock)
    shutil.copytree(empty_store, tmp_path, dirs_exist_ok=True)
    store = Store.open(DataDir(tmp_path, explicit=True), now=clock())
    store.database.rows("PRAGMA synchronous = OFF")
    before = files_of(tmp_path)

    async def at_once(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    store.database.run = at_once  # type: ignore[method-assign]
    async with AsyncExitStack() as stack:
        rooms = [await stack.enter_async_context(provider_room(wall_clock=their_clock)) for _ in KEYS]
        machines = [Machine(room, key) for room, key in zip(rooms, KEYS, strict=True)]
        for room in rooms:
            room.pool.model = CrashingModel()
        scene = Scene(store, machines, Here(case.here), clock, their_clock)
        try:
            await play(case, scene)
        finally:
            scene.empty_disk()
            await scene.chats.close()
            await scene.contacts.close()
            await scene.consumer.close()
            for machine in machines:
                machine.come_back()
                for task in machine.cuts:
                    task.cancel()
                for stream in machine.streams:
                    stream.cut(False)
        assert scene.here.running == 0 and not scene.consumer._runs
        streams = [stream for machine in machines for stream in machine.streams]
        assert all(stream.destroyed or stream.closed or stream._error for stream in streams)
        await scene.until(lambda: not any(len(room.provider.requests) for room in rooms))
        await scene.until(lambda: not any(room.pool.model.running for room in rooms))
    store.close()
    assert files_of(tmp_path) <= before, "nothing but what a new folder has"
    left = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    await asyncio.wait(left, timeout=1) if left else None
    assert not [task for task in left if not task.done()]


def files_of(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the newest version: making one takes longer than a whole row."""
    folder = tmp_path_factory.mktemp("store")
    Store.open(DataDir(folder, explicit=True), now=1000.0).close()
    return folder
