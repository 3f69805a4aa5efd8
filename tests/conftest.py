"""What all tests share: the small real model, fetched once per clone through the app's own download code."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from qvac_core.engines.library import Library
from qvac_core.models import DEFAULT_SMALL_MODEL
from tests.caches import CACHE, fetching
from tests.minilm import minilm

MODELS = CACHE / "models"


@pytest.fixture(scope="session")
def small_model_path() -> Path:
    """SmolLM2-135M-Instruct: QVAC_TEST_MODEL if set, else `.cache/models`, downloaded when it is not there."""
    given = os.environ.get("QVAC_TEST_MODEL")
    if given:
        return Path(given)
    with fetching(MODELS):
        return asyncio.run(Library(MODELS).ensure(DEFAULT_SMALL_MODEL.name)).path


@pytest.fixture(scope="session")
def embedding_model_path() -> Path:
    """all-MiniLM-L6-v2: from `.cache/models`, made there when it is not there."""
    with fetching(MODELS):
        return minilm(MODELS)


def pytest_configure() -> None:
    """What every process of the tests inherits.

    What a shell starts in its background ignores SIGINT, and whatever the tests start would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def test_…` by the RUNNER that its module names (one whose time jumps), else by `asyncio.run`."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    run = getattr(pyfuncitem.module, "RUNNER", asyncio.run)
    run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}))
    return True


def pytest_collection(session: pytest.Session) -> None:
    worker = getattr(session.config, "workerinput", None)
    if worker is not None:
        from tests.two_ends import import_own_share

        import_own_share(session.config, int(worker["workerid"].removeprefix("gw")), worker["workercount"])


def pytest_collection_finish() -> None:
    """What was collected stays to the end: no garbage collection need look at it again, at 0.2 s each time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:
    """None: what `--dist` says."""
    if config.getoption("dist") != "loadfile":
        return None
    from tests.two_ends import TwoEnds

    return TwoEnds(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        from tests.two_ends import put_in_order

        put_in_order(items)
