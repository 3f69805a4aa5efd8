"""A model's process that nobody asks anything gives back memory, once, and goes on waiting."""

from __future__ import annotations

import io
import queue
from dataclasses import dataclass

import pytest

from qvac_core.engines import worker
from qvac_core.engines.answer_maker import Arrived
from qvac_core.engines.interface import ModelInfo
from qvac_core.engines.worker import Inbox, ModelWorker, Outbox
from qvac_core.engines.worker_protocol import Cancel, Shutdown


@dataclass
class Idle:
    """Makes nothing. busy: somebody waits for another thread's work."""

    busy: bool = False
    steps: bool = False
    cancelled: int = 0

    @property
    def info(self) -> ModelInfo:
        return ModelInfo("idle", "", 1, 1, 1, 1, 1, 1, "cpu", False)

    def step(self) -> None:
        raise AssertionError("nothing to step")

    def take(self, arrived: Arrived) -> None:
        self.busy = False

    def cancel(self, job_id: int) -> bool:
        self.cancelled += 1
        return False


class Resting(ModelWorker):
    """Says what happened, in the order it happened."""

    def __init__(self, runs: Idle, inbox: Inbox) -> None:
        super().__init__(runs, Outbox(io.BytesIO()), inbox)
        self.inbox = inbox
        self.rests: list[bool] = []
        self.runs = runs

    def rest(self) -> None:
        self.rests.append(self.runs.busy)
        self.inbox.put(Cancel(1) if len(self.rests) == 1 else Shutdown())


def test_it_rests_once_after_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "REST_AFTER", 0.01)
    idle = Idle()
    resting = Resting(idle, queue.SimpleQueue())
    resting.run()  # rests, is asked something, rests again, is told to end
    assert resting.rests == [False, False]
    assert idle.cancelled == 1


def test_it_does_not_rest_while_another_thread_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "REST_AFTER", 0.01)
    inbox: Inbox = queue.SimpleQueue()
    idle = Idle(busy=True)
    get, waits = inbox.get, 0

    class Watched:
        def get(self, timeout: float | None = None) -> object:
            nonlocal waits
            waits += 1
            if waits == 3:
                inbox.put(Arrived(1, None))
            return get(timeout=timeout)

        def put(self, item: object) -> None:
            inbox.put(item)  # type: ignore[arg-type]

        def empty(self) -> bool:
            return inbox.empty()

    resting = Resting(idle, Watched())  # type: ignore[arg-type]
    resting.run()
    assert resting.rests == [False, False]
    assert waits >= 3
