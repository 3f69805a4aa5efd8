"""Chunks sized by time; the worker's frames; defaults and cleaning of requests."""

from __future__ import annotations

import io

import pytest

from qvac_core.engines.interface import (
    ChatMessage,
    CompletionRequest,
    CompletionStats,
    ModelConfig,
    SamplingParams,
    StopReason,
)
from qvac_core.engines.pace import ALONE_STEP, FIRST_CHUNK, SHARED_STEP, SMALLEST_CHUNK, Pace
from qvac_core.engines.request_defaults import encodable, with_defaults
from qvac_core.engines.worker_pipes import FRAME_LIMIT
from qvac_core.engines.worker_protocol import (
    MODELS,
    Alive,
    Command,
    Done,
    Load,
    Report,
    Shutdown,
    Submit,
    Text,
)
from qvac_core.errors import LocalProtocolError

REQUEST = CompletionRequest("id", (ChatMessage("user", "hi 🙂"),), SamplingParams(temp=0.5), ("X",), "owner", "so")


@pytest.mark.parametrize("per_token", [0.00001, 0.001, 0.004])
@pytest.mark.parametrize("decoding", [0, 3])
def test_steps_come_to_take_the_wanted_time(per_token: float, decoding: int) -> None:
    pace, overhead = Pace(), 0.02
    assert pace.chunk(decoding=bool(decoding)) == FIRST_CHUNK
    seconds = 0.0
    for _ in range(30):
        if decoding:
            pace.observe(0, decoding, overhead)
        chunk = pace.chunk(decoding=bool(decoding))
        seconds = per_token * chunk + (overhead if decoding else 0.0)
        pace.observe(chunk, decoding, seconds)
    assert seconds == pytest.approx(SHARED_STEP if decoding else ALONE_STEP, rel=0.1)


def test_a_very_slow_machine_still_moves_and_one_fast_step_changes_little() -> None:
    pace = Pace()
    pace.observe(32, 2, 30.0)
    assert pace.chunk(decoding=True) == SMALLEST_CHUNK
    pace = Pace()
    pace.observe(32, 0, 0.000001)
    assert pace.chunk(decoding=False) == 4 * 32


def test_frames_round_trip() -> None:
    commands: list[Command] = [Load("/m.gguf", ModelConfig(sampling=SamplingParams(top_k=1))), Submit(1, REQUEST)]
    reports: list[Report] = [Text(1, "ü"), Done(1, StopReason.EOS, CompletionStats(1, 2, 3, 4)), Alive()]
    assert MODELS.read_commands(io.BytesIO(MODELS.frame_commands(commands))) == commands
    pipe = io.BytesIO(MODELS.frame_reports(reports) + MODELS.frame_reports([Alive()]))
    assert MODELS.read_reports(pipe) == reports
    assert MODELS.read_reports(pipe) == [Alive()]
    assert MODELS.read_reports(pipe) is None


def test_a_cut_frame_is_the_end_and_a_wild_one_an_error() -> None:
    data = MODELS.frame_commands([Shutdown()])
    for length in range(len(data)):
        assert MODELS.read_commands(io.BytesIO(data[:length])) is None
    with pytest.raises(LocalProtocolError):
        MODELS.read_reports(io.BytesIO((FRAME_LIMIT + 1).to_bytes(4, "little")))


def test_a_system_message_of_the_request_wins() -> None:
    config = ModelConfig(system_prompt="Mine", sampling=SamplingParams(temp=1.0, seed=3), stop=("A",))
    filled = with_defaults(REQUEST, config)
    assert filled.history == (ChatMessage("system", "Mine"), *REQUEST.history)
    assert filled.sampling == SamplingParams(temp=0.5, seed=3)
    assert filled.stop == ("A", "X")
    own = CompletionRequest("id", (ChatMessage("system", "Theirs"), ChatMessage("user", "hi")))
    assert with_defaults(own, config).history == own.history


def test_what_no_pipe_can_carry_is_cleaned() -> None:
    wild = CompletionRequest(
        "id\ud800",
        (ChatMessage("user\udfff", "a\ud83d"),),
        SamplingParams(seed=-1, top_k=2**80, predict=-(2**80)),
        continue_from="\ud800",
        response_schema="\ud800",
    )
    clean = encodable(wild)
    assert clean.history == (ChatMessage("user?", "a?"),)
    assert clean.sampling.seed is None
    MODELS.frame_commands([Submit(1, clean)])
    assert encodable(REQUEST) == REQUEST
