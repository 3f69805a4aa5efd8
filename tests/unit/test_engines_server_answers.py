"""Answers of llama.cpp's server: slots and owners, the queue, stops and ends; what the server says is scripted."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from qvac_core.engines.answer_maker import Arrived
from qvac_core.engines.guided_sampling import TextGuide
from qvac_core.engines.interface import CompletionStats, SamplingParams, StopReason
from qvac_core.engines.response_grammar import grammar_for
from qvac_core.engines.sampling import decide
from qvac_core.engines.server_answers import Chunk, ServerAnswers, ServerJob
from qvac_core.engines.slots import WAITING_LIMIT
from qvac_core.errors import ModelError


def says(text: str, reason: str | None = None) -> Chunk:
    return {"choices": [{"text": text, "finish_reason": reason}]}


END = says("", "stop")


class Server:
    """Each call waits until it is let on, then gives its chunks."""

    device = "cpu"

    def __init__(self) -> None:
        self.bodies: list[Mapping[str, Any]] = []
        self.chunks: list[Chunk] = [says("Fine"), says("."), END]
        self.go = threading.Semaphore(0)
        self.left = 0

    def generate(self, body: Mapping[str, Any], on_chunk: Callable[[Chunk], bool]) -> None:
        self.bodies.append(body)
        assert self.go.acquire(timeout=30)
        for chunk in self.chunks:
            if on_chunk(chunk):
                self.left += 1
                return


class Out:
    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.ends: dict[int, tuple[StopReason, CompletionStats]] = {}
        self.errors: dict[int, ModelError] = {}

    def text(self, job_id: int, text: str) -> None:
        self.texts[job_id] = self.texts.get(job_id, "") + text

    def done(self, job_id: int, reason: StopReason, stats: CompletionStats) -> None:
        assert job_id not in self.ends
        self.ends[job_id] = reason, stats

    def failed(self, job_id: int, error: ModelError) -> None:
        assert job_id not in self.ends
        self.errors[job_id] = error


class Scene:
    def __init__(self, slots: int = 1) -> None:
        self.server, self.out = Server(), Out()
        self.inbox: queue.Queue[tuple[Arrived, threading.Event]] = queue.Queue()
        self.answers = ServerAnswers(self.server, self.out, self.deliver, slots=slots, n_ctx=100, clock=lambda: 1.0)

    def deliver(self, arrived: Arrived) -> None:
        """Until it is taken: the server is never ahead here."""
        taken = threading.Event()
        self.inbox.put((arrived, taken))
        assert taken.wait(30)

    def ask(self, id: int, prompt: list[int], owner: str = "a", **fields: Any) -> None:
        sampling = decide(SamplingParams(temp=0.0))
        self.answers.submit(ServerJob(id=id, prompt=prompt, sampling=sampling, owner=owner, **fields))

    def finish(self, count: int = 1) -> None:
        """Let as many calls on, and take all they bring."""
        for _ in range(count):
            self.server.go.release()
        while count:
            arrived, taken = self.inbox.get(timeout=30)
            count -= arrived.chunk is None
            self.answers.take(arrived)
            taken.set()


def busy(scene: Scene) -> bool:
    return scene.answers.busy


def test_an_answer_comes_whole_and_once() -> None:
    scene = Scene()
    scene.ask(1, [5, 6, 7])
    assert busy(scene)
    scene.finish()
    assert scene.out.texts == {1: "Fine."}
    reason, stats = scene.out.ends[1]
    assert reason is StopReason.EOS
    assert stats.prompt_tokens == 3
    assert not busy(scene)
    (body,) = scene.server.bodies
    assert (body["prompt"], body["id_slot"], body["stream"]) == ([5, 6, 7], 0, True)


def test_a_slot_is_reused_for_its_own_owner_only() -> None:
    scene = Scene()
    for id, owner in enumerate(["a", "a", "b", "a"]):
        scene.ask(id, [1, 2, 3, id], owner)
        scene.finish()
    assert [body["cache_prompt"] for body in scene.server.bodies] == [False, True, False, False]


def test_two_chats_of_two_owners_keep_their_slots() -> None:
    scene = Scene(slots=2)
    for id, owner in enumerate(["a", "b", "a", "b"]):
        scene.ask(id, [1, 2, 3, id], owner)
        scene.finish()
    assert [body["id_slot"] for body in scene.server.bodies] == [0, 1, 0, 1]
    assert [body["cache_prompt"] for body in scene.server.bodies] == [False, False, True, True]


def test_who_has_fewer_running_goes_first() -> None:
    scene = Scene(slots=2)
    scene.ask(1, [1], "greedy")
    scene.ask(2, [2], "greedy")
    scene.ask(3, [3], "greedy")
    scene.ask(4, [4], "modest")
    scene.finish()
    assert [body["prompt"] for body in scene.server.bodies] == [[1], [2], [4]]
    scene.finish(3)
    assert set(scene.out.ends) == {1, 2, 3, 4}


def test_a_stop_sequence_is_not_shown_and_ends_the_servers_work() -> None:
    scene = Scene()
    scene.server.chunks = [says("one, tw"), says("o, three"), says(" more"), END]
    scene.ask(1, [1], stop=("two",))
    scene.finish()
    assert scene.out.texts == {1: "one, "}
    assert scene.out.ends[1][0] is StopReason.STOP_SEQUENCE
    assert scene.server.left == 1


def test_cancelled_while_running_and_while_waiting() -> None:
    scene = Scene()
    scene.ask(1, [1])
    scene.ask(2, [2])
    assert scene.answers.cancel(2)
    assert scene.answers.cancel(1)
    assert not scene.answers.cancel(1)
    assert {id: end[0] for id, end in scene.out.ends.items()} == {1: StopReason.CANCELLED, 2: StopReason.CANCELLED}
    scene.ask(3, [3])
    assert len(scene.server.bodies) == 1, "the slot is free when the server has left it"
    scene.finish()
    scene.finish()
    assert scene.server.left == 1
    assert scene.out.ends[3][0] is StopReason.EOS
    assert scene.out.texts == {3: "Fine."}


def test_what_the_server_refuses_has_our_sentence() -> None:
    scene = Scene()
    overflow = {"type": "exceed_context_size_error", "n_prompt_tokens": 300, "n_ctx": 100, "message": "x", "code": 400}
    for id, (error, words) in enumerate(
        [
            (overflow, "300 tokens"),
            ({"type": "invalid_request_error", "message": "failed to parse grammar"}, "schema is too complex"),
            ({"type": "server_error", "message": "secret path"}, "could not compute"),
        ]
    ):
        scene.server.chunks = [{"error": error}]
        scene.ask(id, [1])
        scene.finish()
        assert words in scene.out.errors[id].message
        assert "secret" not in scene.out.errors[id].message


def test_an_end_without_a_reason_is_a_failure() -> None:
    scene = Scene()
    scene.server.chunks = [says("half")]
    scene.ask(1, [1])
    scene.finish()
    assert scene.out.errors[1].code == 52406


def test_limits() -> None:
    scene = Scene()
    with pytest.raises(ModelError) as raised:
        scene.ask(0, [1] * 100)
    assert raised.value.code == 52421
    scene.ask(1, [1])
    for id in range(2, 2 + WAITING_LIMIT):
        scene.ask(id, [1])
    with pytest.raises(ModelError) as raised:
        scene.ask(1000, [1])
    assert raised.value.code == 52420
    scene.finish(1 + WAITING_LIMIT)
    assert len(scene.out.ends) == 1 + WAITING_LIMIT


def test_control_tokens_that_mean_something_arrive_as_marks() -> None:
    scene = Scene()
    scene.server.chunks = [says("[THINK]"), says("hm"), says("[/THINK]"), says("So."), END]
    scene.ask(1, [1], marks={"[THINK]": "\U0010ff01", "[/THINK]": "\U0010ff03"})
    scene.finish()
    assert scene.out.texts == {1: "\U0010ff01hm\U0010ff03So."}
    assert scene.server.bodies[0]["preserved_tokens"] == ["[THINK]", "[/THINK]"]


def test_an_answer_that_leaves_its_schema_fails_and_the_servers_work_ends() -> None:
    """llama.cpp goes on without a grammar that turns out to be too much for it."""
    scene = Scene()
    scene.server.chunks = [says('{"a": '), says("5}"), says(" and a story"), says(" without end"), END]
    grammar = grammar_for('{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}')
    scene.ask(1, [1], guide=TextGuide(grammar))
    scene.finish()
    assert scene.out.texts == {1: '{"a": 5}'}
    assert "too complex" in scene.out.errors[1].message
    assert scene.server.left == 1
    assert not busy(scene)


def test_whatever_the_server_raises_frees_the_slot() -> None:
    scene = Scene()

    def raising(body: Mapping[str, Any], on_chunk: Callable[[Chunk], bool]) -> None:
        scene.server.go.acquire(timeout=30)
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")

    scene.server.generate = raising  # type: ignore[method-assign]
    scene.ask(1, [1])
    scene.finish()
    assert scene.out.errors[1].code == 52406
    assert not busy(scene)
