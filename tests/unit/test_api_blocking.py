"""The blocking form of the API: the same names, waited for on a loop of its own, and what Ctrl-C does to a wait."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import qvac_core
from qvac_core import api
from qvac_core.api import blocking
from qvac_core.api.background import Background, Call
from qvac_core.core import CoreConfig
from qvac_core.errors import IdentityError, LocalProtocolError

by_signal = pytest.mark.skipif(sys.platform == "win32", reason="os.kill ends the process there")


@pytest.fixture
def background() -> Iterator[Background]:
    background = Background("test")
    yield background
    background.close()
    assert "test" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    blocking.close()


# --- Names ------------------------------------------------------------------------------------------------------------


def test_every_name_of_the_api_is_there_with_its_parameters_and_waits() -> None:
    assert set(api.__all__) <= set(dir(blocking))
    for name in api.__all__:
        ours, theirs = getattr(blocking, name), getattr(api, name)
        if inspect.isfunction(theirs):
            assert inspect.signature(ours) == inspect.signature(theirs), name
            assert not inspect.iscoroutinefunction(ours), name
        else:
            assert ours is (blocking.Blocking if theirs in (api.Answer, api.Translation) else theirs), name


def test_both_packages_offer_the_same() -> None:
    assert sorted(qvac_core.__all__) == sorted(api.__all__)
    assert qvac_core.blocking is blocking
    with pytest.raises(AttributeError):
        blocking.transmogrify  # noqa: B018


def test_a_plain_call_says_what_the_api_says() -> None:
    seed = "07" * 32
    assert blocking.get_consumer_public_key(seed) == api.get_consumer_public_key(seed)
    with pytest.raises(IdentityError):
        blocking.get_consumer_public_key("no seed")


def test_it_works_where_a_loop_runs_already() -> None:
    async def cell() -> str:
        return str(blocking.get_consumer_public_key("07" * 32))

    assert asyncio.run(cell()) == api.get_consumer_public_key("07" * 32)


def test_two_forms_in_one_process_are_told_of_each_other(tmp_path: Path) -> None:
    async def other() -> None:
        with pytest.raises(LocalProtocolError, match="another event loop"):
            await api.unload_model("x")
        with pytest.raises(LocalProtocolError, match="another event loop"):
            await api.close()

    blocking.configure(CoreConfig(tmp_path, bytes(32), bootstrap=(("127.0.0.1", 9),)))
    try:
        blocking.stop_qvac_provider()
        blocking.cancel(request_id="nobody's")
        asyncio.run(other())
        blocking.close()

        async def alone() -> None:
            assert not await api.unload_model("x")
            await api.close()

        asyncio.run(alone())
    finally:
        blocking.configure(CoreConfig(exclusive=False))


# --- Waiting ----------------------------------------------------------------------------------------------------------


def test_what_is_awaited_and_what_is_not(background: Background) -> None:
    async def later() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    assert background.run(later) == "test"
    assert background.run(lambda: threading.current_thread().name) == "test"
    with pytest.raises(ZeroDivisionError):
        background.run(lambda: 1 // 0)


def test_a_callback_runs_in_the_thread_that_waits(background: Background) -> None:
    async def work(report: Callable[[int], None]) -> None:
        for number in range(3):
            report(number)
            await asyncio.sleep(0)

    call, heard = Call(), list[tuple[int, threading.Thread]]()
    report = call.here(lambda number: heard.append((number, threading.current_thread())))
    background.run(lambda: work(report), call)
    assert heard == [(number, threading.current_thread()) for number in range(3)]


class Endless:
    """Work that says how it ended."""

    def __init__(self) -> None:
        self.ended = ""
        self.begun = threading.Event()

    async def __call__(self, begin: Callable[[], None]) -> None:
        try:
            begin()
            self.begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)  # as a cancel that goes to the provider and back
            self.ended = "cancelled"
            raise


def test_a_callback_that_fails_ends_the_call(background: Background) -> None:
    def fail() -> None:
        raise OSError("the disk is full")

    call, work = Call(), Endless()
    with pytest.raises(OSError, match="full"):
        background.run(lambda: work(call.here(fail)), call)
    assert work.ended == "cancelled"


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@by_signal
def test_an_interrupt_ends_the_call_before_it_is_raised(background: Background) -> None:
    work = Endless()
    with pytest.raises(KeyboardInterrupt):
        background.run(lambda: work(interrupt))
    assert work.ended == "cancelled"
    assert background.run(lambda: "still there") == "still there"


def test_who_waits_while_it_is_closed_is_told(background: Background) -> None:
    work = Endless()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(background.run, lambda: work(lambda: None))
        assert work.begun.wait(10)
        background.close()
        with pytest.raises(LocalProtocolError, match="close"):
            waiting.result(10)
    assert work.ended == "cancelled"


def test_many_threads_at_once(background: Background) -> None:
    async def twice(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda number: background.run(lambda: twice(number)), range(200))
        assert list(answers) == [2 * number for number in range(200)]


def test_the_thread_that_answers_does_not_wait_for_itself(background: Background) -> None:
    with pytest.raises(LocalProtocolError, match="cannot wait"):
        background.run(lambda: background.run(lambda: None))


# --- What is handed out -----------------------------------------------------------------------------------------------


class Stream:
    """Shaped as what the API hands out: a stream, a value once it has ended, and a way to leave it."""

    name = "stream"

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.left = threading.Event()
        self.closed = threading.Event()
        self._before = before

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left.set()

    @property
    def token_stream(self) -> AsyncIterator[int]:
        return self._tokens()

    async def _tokens(self) -> AsyncIterator[int]:
        try:
            for number in range(3):
                yield number
            self._before()
            await asyncio.sleep(0 if self._before is not interrupt else 60)
        finally:
            self.closed.set()

    @property
    def text(self) -> asyncio.Task[str]:
        return asyncio.get_running_loop().create_task(self.said("text"))

    async def said(self, word: str) -> str:
        return word


def test_a_stream_is_an_ordinary_iterator_and_values_are_waited_for() -> None:
    with blocking.Blocking(stream := Stream()) as seen:
        assert list(seen.token_stream) == [0, 1, 2]
        assert (seen.text, seen.name, seen.said("x")) == ("text", "stream", "x")
        assert not stream.left.is_set()
    assert stream.left.is_set()


@by_signal
def test_an_interrupt_while_reading_leaves() -> None:
    seen, read = blocking.Blocking(stream := Stream(interrupt)), list[int]()
    with pytest.raises(KeyboardInterrupt):
        read.extend(seen.token_stream)
    assert stream.left.is_set()
    assert stream.closed.is_set()


def test_what_is_let_go_of_is_left() -> None:
    seen: Any = blocking.Blocking(stream := Stream())
    for _ in seen.token_stream:
        break
    assert stream.closed.wait(10), "a loop that was left ends its stream"
    assert not stream.left.is_set()
    del seen
    gc.collect()
    assert stream.left.wait(10)


def test_an_ordinary_iterator_is_taken_for_a_stream() -> None:
    async def total(numbers: AsyncIterator[int]) -> int:
        return sum([number async for number in numbers])

    assert blocking._waiting(total)(iter([1, 2, 3])) == 6
    assert blocking._waiting(total)(number for number in range(5)) == 10
