"""Every fuzz target over its corpus and a few mutations of it: the part of fuzzing that CI can afford.

`python -m tests.fuzz` does the rest.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.corpus import FOLDER, inputs, minimise, mutations, stored
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

MUTATIONS = 400
CORPUS_LIMIT = 1 << 20


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_corpus_holds(target: Target) -> None:
    given = inputs(target)
    assert given
    for data in given:
        target.run(data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_mutations_of_the_corpus_hold(target: Target) -> None:
    for data in mutations(inputs(target), int(MUTATIONS * target.weight), target.name, target.max_length):
        try:
            target.run(data)
        except Exception as error:
            raise AssertionError(f"{target.name}: {error!r} for {data.hex()}") from error


def test_the_corpus_stays_small_and_belongs_to_targets() -> None:
    assert {folder.name for folder in FOLDER.iterdir()} <= set(TARGETS)
    assert sum(len(data) for target in TARGETS.values() for data in stored(target)) <= CORPUS_LIMIT


def test_a_minimised_corpus_keeps_only_what_reaches_more() -> None:
    target = TARGETS["codec"]
    known = next(iter(target.seeds()))
    longer = bytes([1, 4]) + bytes(9)
    assert minimise(target, [known, bytes([1, 4]) + bytes(8), longer]) == [bytes([1, 4]) + bytes(8)]


def test_a_finding_is_reported(tmp_path: Path) -> None:
    """The harness itself: a target that fails must fail the run."""

    def run(data: bytes) -> None:
        assert len(data) < 3

    target = Target("x", run, ("qvac_core.codec.reader",), lambda: [b"ab"])
    with pytest.raises(AssertionError):
        for data in mutations(inputs(target), 50, "x", 100):
            target.run(data)
