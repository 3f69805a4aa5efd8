"""The bridge: what a core in its own thread says arrives in order, joined, in the window's; closing is bounded."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from PySide6.QtCore import QThread
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from app.bridge import CoreProxy, CoreThread
from app.coalesce import EventBuffer
from app.garbage import collect
from app.tasks import Tasks
from qvac_core.core.state import (
    ActiveRequest,
    AnswerFinished,
    AnswerSeam,
    AnswerThinking,
    AnswerTokens,
    CoreEvent,
    DownloadChanged,
    DownloadState,
    LogEntry,
    Message,
    RequestEnded,
    RequestProgressed,
    SharingChanged,
    SharingPhase,
    SharingState,
)
from qvac_core.errors import IdentityError, QvacError, StoreError
from tests.gui.fake_core import FakeCore


def request(tokens: int) -> ActiveRequest:
    return ActiveRequest("r1", "aa" * 32, "completionStream", "m", 0.0, tokens, 10.0)


def test_tokens_are_joined_and_progress_is_newest_only() -> None:
    buffer = EventBuffer()
    buffer.add(AnswerThinking("c", "m1", "H"))
    buffer.add(AnswerTokens("c", "m1", "Hel"))
    buffer.add(AnswerThinking("c", "m1", "m"))
    buffer.add(RequestProgressed(request(1)))
    buffer.add(AnswerTokens("c", "m2", "other"))
    buffer.add(AnswerTokens("c", "m1", "lo"))
    buffer.add(RequestProgressed(request(2)))
    assert buffer.take() == (
        AnswerThinking("c", "m1", "Hm"),
        AnswerTokens("c", "m1", "Hello"),
        RequestProgressed(request(2)),
        AnswerTokens("c", "m2", "other"),
    )
    assert buffer.take() == ()


def test_nothing_is_merged_across_what_gives_it_its_place() -> None:
    message = Message("m1", "assistant", "ab", 0.0)
    seam = AnswerSeam("c", "m1", 1, "Studio left.")
    ended = RequestEnded(LogEntry("r1", "aa" * 32, "completionStream", "m", 0.0, 1.0, 1, 1, "eos"))
    events: list[CoreEvent] = [
        AnswerTokens("c", "m1", "a"),
        seam,
        AnswerTokens("c", "m1", "b"),
        AnswerFinished("c", message),
        RequestProgressed(request(1)),
        ended,
        RequestProgressed(request(2)),
        DownloadChanged("d", 1, 2, 1.0),
        DownloadChanged("d", 2, 2, 1.0, DownloadState.DONE),
    ]
    buffer = EventBuffer()
    for event in events:
        buffer.add(event)
    assert buffer.take() == tuple(events)


def test_whole_states_are_newest_only() -> None:
    buffer = EventBuffer()
    for phase in (SharingPhase.STARTING, SharingPhase.ANNOUNCED):
        buffer.add(SharingChanged(SharingState(phase)))
    assert buffer.take() == (SharingChanged(SharingState(SharingPhase.ANNOUNCED)),)


def test_calls_run_on_the_cores_thread_and_events_arrive_in_the_windows(qapp: QApplication, qloop: QEventLoop) -> None:
    core = FakeCore()
    proxy = CoreProxy(CoreThread(lambda: core))
    seen: list[object] = []
    places: set[bool] = set()

    def take(event: object) -> None:
        seen.append(event)
        places.add(QThread.currentThread() is qapp.thread())

    proxy.core_event.connect(take)

    async def where(_core: object) -> str:
        return threading.current_thread().name

    async def main() -> None:
        await proxy.start()
        assert await proxy.call(where) == "core"
        assert proxy.public_key == core.key

        async def talk(core_: object) -> None:
            for _token in range(500):
                core.emit(AnswerTokens("c", "m", "x"))
                await asyncio.sleep(0)
            core.emit(AnswerFinished("c", Message("m", "assistant", "x" * 500, 0.0)))

        arrived = asyncio.Event()
        proxy.core_event.connect(lambda event: arrived.set() if isinstance(event, AnswerFinished) else None)
        await proxy.call(talk)
        await asyncio.wait_for(arrived.wait(), 10)
        assert await proxy.close()

    qloop.run_until_complete(main())
    assert core.closed
    assert places == {True}
    tokens = [event.text for event in seen if isinstance(event, AnswerTokens)]
    assert "".join(tokens) == "x" * 500
    assert len(tokens) < 500
    assert isinstance(seen[-1], AnswerFinished)
    assert "core" not in {thread.name for thread in threading.enumerate()}


class Cycle:
    """Garbage that only the collector finds; tells which thread found it."""

    def __init__(self, found: set[str]) -> None:
        self.itself = self
        self.found = found

    def __del__(self) -> None:
        self.found.add(threading.current_thread().name)


def test_the_cores_thread_never_collects_what_belongs_to_the_window(qloop: QEventLoop) -> None:
    core = FakeCore()
    proxy = CoreProxy(CoreThread(lambda: core))
    found: set[str] = set()

    async def allocate(_core: object) -> None:
        for _round in range(50):
            kept = [[number] for number in range(2000)]
            assert len(kept) == 2000

    async def main() -> None:
        await proxy.start()
        for _cycle in range(100):
            Cycle(found)
        await proxy.call(allocate)
        assert found == set()
        collect()
        assert await proxy.close()

    qloop.run_until_complete(main())
    assert gc.isenabled()
    gc.collect()
    assert found == {threading.main_thread().name}


def test_errors_of_the_core_come_back_to_who_asked(qloop: QEventLoop) -> None:
    core = FakeCore()
    proxy = CoreProxy(CoreThread(lambda: core))

    async def main() -> None:
        await proxy.start()
        with pytest.raises(IdentityError):
            await proxy.call(lambda c: c.allow_key("not a key", "X"))
        assert await proxy.close()
        with pytest.raises(asyncio.CancelledError):
            await proxy.call(lambda c: c.sharing())

    qloop.run_until_complete(main())


def test_a_core_that_cannot_start_says_why_and_can_be_closed(qloop: QEventLoop) -> None:
    core = FakeCore(fail={"start": StoreError("Another QVAC Desktop uses this folder.")})
    proxy = CoreProxy(CoreThread(lambda: core))

    async def main() -> None:
        with pytest.raises(StoreError, match="Another"):
            await proxy.start()
        assert await proxy.close()

    qloop.run_until_complete(main())


def test_closing_is_bounded_when_the_core_hangs(qloop: QEventLoop) -> None:
    core = FakeCore()
    core.slow["close"] = asyncio.Event()
    thread = CoreThread(lambda: core)
    proxy = CoreProxy(thread)

    async def main() -> bool:
        await proxy.start()
        return await proxy.close(0.05)

    assert qloop.run_until_complete(main()) is False
    assert "core" not in {alive.name for alive in threading.enumerate()}


def test_a_cancelled_call_is_cancelled_in_the_core(qloop: QEventLoop) -> None:
    core = FakeCore()
    proxy = CoreProxy(CoreThread(lambda: core))
    ended: list[str] = []

    async def long(_core: object) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def main() -> None:
        await proxy.start()
        call = asyncio.ensure_future(proxy.call(long))
        await proxy.call(lambda c: c.sharing())
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await proxy.close()

    qloop.run_until_complete(main())
    assert ended == ["cancelled"]


def test_tasks_hand_on_errors_and_end_with_their_owner() -> None:
    async def main() -> None:
        tasks = Tasks()
        errors: list[QvacError] = []

        async def fail() -> None:
            raise IdentityError("no key")

        tasks.start(fail(), errors.append)
        await tasks.settle()
        assert [str(error) for error in errors] == ["no key"]

        forever = asyncio.get_running_loop().create_future()

        async def wait() -> None:
            await forever

        tasks.start(wait(), errors.append)
        await asyncio.sleep(0)
        await tasks.close()
        assert forever.cancelled()
        # After the end nothing starts any more.
        tasks.start(fail(), errors.append)
        await tasks.settle()
        assert len(errors) == 1

    asyncio.run(main())
