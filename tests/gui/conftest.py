"""Fixtures of the GUI tests: a qasync loop that must end empty, a theme, a fake core and a proxy to it."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from app.bridge import CoreProxy, CoreThread
from app.theme import Theme
from qvac_core.core.interface import CoreInterface
from tests.gui.fake_core import FakeCore
from tests.gui.populated import populate
from tests.gui.share_window import Run, Test, opened

T = TypeVar("T")


class DirectProxy(CoreProxy):
    """The proxy's interface with a core on the window's own loop: a test sees every event at once, in order."""

    def __init__(self, core: CoreInterface) -> None:
        super().__init__(CoreThread(lambda: core))
        self._core = core

    async def start(self) -> None:
        self._core.subscribe(self.core_event.emit)
        await self._core.start()

    async def close(self, seconds: float = 10.0) -> bool:
        await asyncio.wait_for(self._core.close(), seconds)
        return True

    async def call(self, ask: Callable[[CoreInterface], Coroutine[Any, Any, T]]) -> T:
        return await ask(self._core)

    @property
    def public_key(self) -> str:
        return self._core.public_key


HERE = Path(__file__).parent


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """What a test of the window leaves in cycles dies here, in Qt's thread, when nothing holds its fixtures any more.

    Later whichever thread allocates would collect it: that of a test's server, say, and pytest-qt, which handles events
    after every test of the process, would crash.
    """
    outcome = yield
    if item.path.is_relative_to(HERE):
        gc.collect()
    return outcome


@pytest.fixture(scope="session", autouse=True)
def _empty_clipboard() -> Iterator[None]:
    """What Python made for it goes while Python is there: the offscreen platform lets it go after the interpreter."""
    yield
    if QApplication.instance() is not None:
        QApplication.clipboard().clear()


@pytest.fixture(scope="session")
def qapp_cls() -> type[QApplication]:
    return QApplication


@pytest.fixture
def qloop(qapp: QApplication) -> Iterator[QEventLoop]:
    """Run coroutines with `qloop.run_until_complete`; what is still pending afterwards fails the test."""
    loop = QEventLoop(qapp)
    asyncio.set_event_loop(loop)
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: failures.append(context))
    yield loop
    pending = [task for task in asyncio.all_tasks(loop) if not task.done()]
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    asyncio.set_event_loop(None)
    assert not pending, f"tasks outlive the test: {pending}"
    assert not failures, f"tasks failed: {failures}"


@pytest.fixture(scope="session")
def _theme(qapp: QApplication) -> Theme:
    qapp.setStyle("Fusion")
    theme = Theme(qapp)
    theme.reduced_motion = True
    return theme


@pytest.fixture
def theme(_theme: Theme) -> Theme:
    """The one theme of the application, light at the start of every test, without motion."""
    _theme.choose("light")
    return _theme


@pytest.fixture
def fake_core() -> FakeCore:
    return FakeCore()


@pytest.fixture
def proxy(qapp: QApplication, fake_core: FakeCore) -> DirectProxy:
    return DirectProxy(fake_core)


@pytest.fixture
def run(qloop: QEventLoop, proxy: DirectProxy, fake_core: FakeCore, theme: Theme) -> Run:
    """Run a coroutine with a loaded window on screen, and end everything afterwards."""

    async def body(test: Test) -> None:
        async with opened(proxy, theme, fake_core.clock) as window:
            await test(window)

    return lambda test: qloop.run_until_complete(body(test))


@pytest.fixture
def busy(fake_core: FakeCore) -> FakeCore:
    """The fake core, as busy as in the design's pictures."""
    return populate(fake_core)
