"""Programs and workers that are killed again and again while somebody uses them.

No answer is lost silently, and whoever lives on holds afterwards what they held before. The installed program, a real
model, real sockets.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import tracemalloc
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from qvac_core.core import Core, CoreConfig
from qvac_core.core.config import RuleOverride
from qvac_core.core.state import AnswerFinished, AnswerSeam, AnswerTokens, CoreEvent, Message, ProvidersChanged, Target
from qvac_core.hyperdht import KeyPair
from tests.e2e.program import Program, qvac_desktop
from tests.holdings import grown, process, resident_bytes, tables

LONG = "Write a very long story about a lighthouse."
SHORT = "What is the capital of France? Answer in one sentence."
LIMIT = 120.0
WARM = 2
"""Misfortunes before the first count."""
FEW_BYTES = 16_000
"""Python's own memory may grow by so much with each misfortune: caches fill up, and pytest keeps what is logged."""
GROWTH = 16_000_000
"""Bytes by which the process may grow in the second half of a long run."""
LONG_RUN = 12
COUNTED = ("tasks", "descriptors", "threads", "children")
BOUNDED = {
    "NatSampler._samples": 32,
    "Neighbourhood._samplers": 16,
    "Neighbourhood._lost": 64,
    "Timers._heap": 32,
    "Timer": 32,
    **dict.fromkeys(("Health._window", "_Tick"), 4),
    **dict.fromkeys(("Recency._nodes", "Table._by_key", "Table._rows", "Table._rows[]", "TableNode"), 400),
    **dict.fromkeys(("Cache._newest", "Cache._oldest", "Forward"), 8),
    **dict.fromkeys(("Announcer._generations[]", "RelayInfo"), 9),
    **dict.fromkeys(("Recovery.in_flight", "SentPacket", "SendQueue._chunks", "Endpoint._dirty"), 8),
    **dict.fromkeys(("HandshakeMemory._by_noise", "HandshakeMemory._by_id", "RememberedHandshake", "Answer"), 8),
    **dict.fromkeys(("Requests._in_flight", "Requests._waiting", "Request", "RateLimit._counts"), 8),
}
"""Bounded memories, and what is on its way. Other networks on this machine may get mixed into the table of a node."""


class Person:
    """A core, the state of its one provider, and the answers under way."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.state = ""
        self.letters: Counter[str] = Counter()
        self.seams: dict[str, int] = {}
        self.finished: dict[str, Message] = {}
        self._changed = asyncio.Event()
        core.subscribe(self._take)

    def _take(self, event: CoreEvent) -> None:
        if isinstance(event, ProvidersChanged) and event.providers:
            self.state = event.providers[0].state
        elif isinstance(event, AnswerTokens):
            self.letters[event.message_id] += len(event.text)
        elif isinstance(event, AnswerSeam):
            self.seams[event.message_id] = event.offset
        elif isinstance(event, AnswerFinished):
            self.finished[event.message.id] = event.message
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def begun(self, conversation: str, text: str) -> str:
        message_id = await self.core.ask(conversation, text)
        await self.until(lambda: self.letters[message_id] > 20 or message_id in self.finished)
        return message_id

    async def end_of(self, message_id: str) -> Message:
        await self.until(lambda: message_id in self.finished)
        self.letters.pop(message_id, None)
        return self.finished.pop(message_id)

    async def goes_on_here(self, message_id: str) -> None:
        """It was cut off, and more of it comes behind a seam; then enough of it."""
        await self.until(lambda: message_id in self.seams)
        offset = self.seams.pop(message_id)
        await self.until(lambda: self.letters[message_id] > offset)
        await self.core.stop_answer(message_id)
        answer = await self.end_of(message_id)
        assert answer.status == "stopped" and len(answer.text) > offset


@dataclass
class Ledger:
    """Counts of this process after each misfortune. It keeps few of them: it must not grow itself."""

    roots: tuple[object, ...]
    warm: Counter[str] = field(default_factory=Counter)
    last: deque[Counter[str]] = field(default_factory=lambda: deque(maxlen=2))
    lines: list[tuple[int, ...]] = field(default_factory=list)

    def take(self) -> None:
        if len(self.lines) == WARM and not tracemalloc.is_tracing():
            tracemalloc.start()
        gc.collect()  # what only waits for its collection is not held
        held = process()
        self.last.append(held + tables(*self.roots))
        if len(self.lines) <= WARM:
            self.warm |= self.last[-1]
        python = tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else 0
        line = (*(held[name] for name in COUNTED), resident_bytes(), python)
        self.lines.append(line)
        print(len(self.lines), *line, flush=True)

    def close(self) -> None:
        tracemalloc.stop()
        # Threads: asyncio's pool makes another one when all are busy, up to its limit.
        bounded = {**BOUNDED, "threads": self.warm["threads"] + 4}
        assert not grown(self.warm, self.last[0] & self.last[-1], bounded)
        if len(self.lines) > LONG_RUN:
            *_, resident, python = self.lines[len(self.lines) // 2]
            *_, resident_now, python_now = self.lines[-1]
            assert resident_now - resident < GROWTH
            assert python_now - python < FEW_BYTES * len(self.lines) // 2


def run(test: Callable[[AsyncExitStack], Awaitable[None]]) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            await test(stack)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left

    asyncio.run(main())


def address_of(bootstrap: str) -> tuple[str, int]:
    host, _, port = bootstrap.rpartition(":")
    return host, int(port)


def nothing_is_lost(answer: Message) -> None:
    """A whole answer, one that went on here behind a seam, or an error that says what happened."""
    if answer.status == "done":
        assert answer.text
        assert answer.stats is not None
    else:
        assert answer.status == "failed"
        assert answer.error is not None and answer.error.title


# Not the same in two runs side by side: they would find each other's provider on the local network.
PROVIDER_SEED = os.urandom(32).hex()
PROVIDER_KEY = KeyPair.from_seed(bytes.fromhex(PROVIDER_SEED)).public_key.hex()


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_a_provider_that_is_killed_again_and_again(
    bootstrap: str, small_model_path: Path, tmp_path: Path, kills: int
) -> None:
    """Killed in an idle moment and asked at once, or (every other time of the long run) in mid-answer."""

    def start() -> Program:
        options = ("--json", "--seed", PROVIDER_SEED, "--allow-all", "--bootstrap", bootstrap)
        return qvac_desktop("provider", *options, "--model", str(small_model_path), data_dir=tmp_path / "owner")

    async def test(stack: AsyncExitStack) -> None:
        core = Core(CoreConfig(tmp_path / "guest", bootstrap=(address_of(bootstrap),)))
        person = Person(core)
        await stack.enter_async_context(core)
        await core.add_model_file(small_model_path)
        await core.add_provider(PROVIDER_KEY)
        talk = (await core.new_conversation(Target(PROVIDER_KEY))).id
        ledger = Ledger((core,))
        pending: list[str] = []
        outcomes: Counter[str] = Counter()
        for number in range(kills + 1):
            with start() as program:
                await asyncio.to_thread(program.until, "ready")
                if number == 0:
                    await core.connect_provider(PROVIDER_KEY)
                for message_id in pending:
                    answer = await person.end_of(message_id)
                    nothing_is_lost(answer)
                    outcomes[answer.status] += 1
                pending.clear()
                await person.until(lambda: person.state == "online")  # by itself
                in_mid_answer = kills > 3 and number % 2 == 1
                talk = (await core.new_conversation(Target(PROVIDER_KEY))).id
                answer = await person.end_of(await core.ask(talk, SHORT))
                assert (answer.status, answer.seams) == ("done", ()), answer
                ledger.take()
                if number == kills:
                    await asyncio.to_thread(program.end)
                elif in_mid_answer:
                    await core.set_setting("chat.fallback", "true")
                    message_id = await person.begun(talk, LONG)
                    program.kill()
                    await person.goes_on_here(message_id)
                    outcomes["seam"] += 1
                else:
                    await core.set_setting("chat.fallback", "false")
                    program.kill()
                    pending.append(await core.ask(talk, SHORT))
        print(outcomes)
        ledger.close()

    run(test)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_guests_that_are_killed_in_mid_answer(
    bootstrap: str, small_model_path: Path, tmp_path: Path, kills: int = 52, at_once: int = 4
) -> None:
    """Their slots (four, all in use), their references and what their connections held are free again.

    In CI: test_a_killed_guest_frees_the_slot (test_delegation), and many of them in simulation/test_soak_guests.
    """

    async def test(stack: AsyncExitStack) -> None:
        rules = RuleOverride(allow_all=True)
        core = Core(CoreConfig(tmp_path / "owner", bootstrap=(address_of(bootstrap),), rules=rules))
        await stack.enter_async_context(core)
        await core.add_model_file(small_model_path)
        await core.start_sharing()
        ledger = Ledger((core,))
        seeds = itertools.count(1)

        def start() -> Program:
            number = next(seeds)
            options = ("--json", "--seed", f"{1 + number % at_once:064x}", "--bootstrap", bootstrap, "--prompt", LONG)
            data_dir = tmp_path / f"guest {number % at_once}"
            return qvac_desktop(
                "chat", core.public_key, *options, "--predict", "8000", "--temp", "0", data_dir=data_dir
            )

        async def come_and_be_killed(count: int) -> None:
            programs = [start() for _ in range(count)]
            for program in programs:
                await asyncio.to_thread(program.until, "token")
            for program in programs:
                program.kill()
                program.__exit__(None, None, None)
            async with asyncio.timeout(LIMIT):
                while (
                    await core.active_requests() or (await core.sharing()).peers or core._network.dht.node.connections
                ):
                    await asyncio.sleep(0.2)
            assert [pooled.leases for pooled in core.machine.pool.loaded()] == [0]
            ledger.take()

        for _ in range(kills // at_once):
            await come_and_be_killed(at_once)
        log = await core.request_log()
        assert len(log) == kills
        assert {entry.outcome for entry in log} == {"disconnected"}
        ledger.close()

    run(test)


@pytest.mark.parametrize("crashes", [2, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_a_worker_that_crashes_in_mid_answer(small_model_path: Path, tmp_path: Path, crashes: int) -> None:
    """Each answer fails with a sentence, the next one is made by a new process; nothing of the old ones stays."""

    async def test(stack: AsyncExitStack) -> None:
        core = Core(CoreConfig(tmp_path / "owner", bootstrap=()))
        person = Person(core)
        await stack.enter_async_context(core)
        await core.add_model_file(small_model_path)
        ledger = Ledger((core,))
        failed: Counter[str] = Counter()
        for _ in range(crashes):
            talk = (await core.new_conversation(Target())).id
            message_id = await person.begun(talk, LONG)
            (pid,) = core._engine.worker_pids()
            worker = psutil.Process(pid)
            worker.kill()
            answer = await person.end_of(message_id)
            assert answer.status == "failed" and answer.text and answer.error is not None
            failed[answer.error.title] += 1
            await asyncio.to_thread(psutil.wait_procs, [worker], LIMIT)
            ledger.take()
        last = await person.end_of(await core.ask(talk, SHORT))
        assert last.status == "done" and last.text
        assert sum(failed.values()) == crashes
        print(failed)
        ledger.close()

    run(test)
