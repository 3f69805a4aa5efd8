"""The queue of an embedding model with a backend that counts: batches, turns, cancels, failures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy
import pytest

from qvac_core.engines.embedding_queue import QUEUE_LIMIT, EmbeddingQueue, Vectors, normalized
from qvac_core.engines.interface import EmbeddingRequest
from qvac_core.errors import DelegationError, ModelError


class Counting:
    """A text is so many tokens as it has characters; its vector is its length."""

    n_ctx, batch_tokens, batch_texts, device = 20, 20, 4, "cpu"

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def tokenize(self, text: str) -> list[int]:
        return [1] * len(text)

    def embed(self, texts: list[list[int]]) -> Vectors:
        assert 0 < len(texts) <= self.batch_texts and sum(map(len, texts)) <= self.batch_tokens
        self.batches.append([len(text) for text in texts])
        return numpy.array([[len(text), 0] for text in texts], numpy.float32)


class Kept:
    def __init__(self) -> None:
        self.made: dict[int, list[float]] = {}
        self.errors: dict[int, DelegationError] = {}

    def embedded(self, job_id: int, vectors: Vectors, tokens: int, ms: float) -> None:
        assert tokens == int(vectors[:, 0].sum())
        self.made[job_id] = vectors[:, 0].tolist()

    def failed(self, job_id: int, error: DelegationError) -> None:
        self.errors[job_id] = error


def queue() -> tuple[EmbeddingQueue, Counting, Kept]:
    backend, kept = Counting(), Kept()
    return EmbeddingQueue(backend, kept, lambda: 0.0), backend, kept


def ask(*texts: str, owner: str = "") -> EmbeddingRequest:
    return EmbeddingRequest("", texts, owner, normalize=-1)


def run(made: EmbeddingQueue) -> None:
    while made.busy:
        made.step()


@pytest.mark.parametrize("lengths", [[1], [20], [20, 20, 1], [1] * 9, [19, 1, 2, 18, 20, 3, 3, 3, 3, 3]])
def test_vectors_come_in_the_order_of_the_texts_whatever_the_batches(lengths: Sequence[int]) -> None:
    made, backend, kept = queue()
    made.submit(1, ask(*("x" * length for length in lengths)))
    run(made)
    assert kept.made == {1: [float(length) for length in lengths]}
    assert [length for batch in backend.batches for length in batch] == list(lengths)


def test_owners_take_turns_and_so_do_the_requests_of_one() -> None:
    made, _, kept = queue()
    for job in range(3):
        made.submit(job, ask(*["x" * 20] * 3, owner="many"))
    made.submit(9, ask("x" * 20, owner="one"))
    made.step()
    made.step()
    assert list(kept.made) == [9]  # after one batch of the other's
    run(made)
    assert list(kept.made) == [9, 0, 1, 2]


def test_a_cancelled_request_says_what_it_has_cost() -> None:
    made, _, kept = queue()
    made.submit(1, ask(*["x" * 10] * 9))
    made.step()
    made.cancel(1)
    assert kept.errors[1].typed_fields == {"texts": 2, "promptTokens": 30}  # the third is tokenized and waits


def test_a_short_request_is_done_before_a_long_one_of_the_same_owner() -> None:
    made, _, kept = queue()
    made.submit(1, ask(*["x" * 20] * 9))
    made.submit(2, ask("x"))
    made.step()
    made.step()
    assert list(kept.made) == [2]


def test_a_text_too_long_fails_its_own_request_alone() -> None:
    made, _, kept = queue()
    made.submit(1, ask("x", "x" * 21))
    made.submit(2, ask("xx"))
    run(made)
    assert kept.errors[1].code == 52421 and "Text 2 of 2 has 21 tokens" in kept.errors[1].message
    assert kept.made == {2: [2.0]}


def test_too_many_waiting_requests_are_refused_and_a_cancelled_one_makes_room() -> None:
    made, _, kept = queue()
    for job in range(QUEUE_LIMIT):
        made.submit(job, ask("x"))
    with pytest.raises(ModelError) as error:
        made.submit(QUEUE_LIMIT, ask("x"))
    assert error.value.code == 52420
    assert made.cancel(5) and not made.cancel(5)
    assert kept.errors[5].name == "INFERENCE_CANCELLED"
    assert kept.errors[5].typed_fields == {"texts": 0, "promptTokens": 0}
    made.submit(QUEUE_LIMIT, ask("x"))
    run(made)
    assert set(kept.made) == set(range(QUEUE_LIMIT + 1)) - {5}


@pytest.mark.parametrize("mode", [-1, 0, 1, 2, 3])
def test_a_vector_of_zeros_stays_one_and_others_get_their_norm(mode: int) -> None:
    vectors = normalized(numpy.array([[0, 0], [3, -4]], numpy.float32), mode)
    assert vectors[0].tolist() == [0, 0]
    wanted = {-1: 5.0, 0: float(numpy.linalg.norm([24570, 32760])), 1: 5 / 7, 2: 1.0}
    assert numpy.linalg.norm(vectors[1]) == pytest.approx(wanted.get(mode, 5 / 91 ** (1 / 3)), rel=1e-4)
