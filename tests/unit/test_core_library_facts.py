"""What is remembered of models: how fast this machine is, and what a damaged file costs (nothing).

qvac_core/core/library_facts.py and library_fit.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from qvac_core.core.library_facts import MOST, Header, RememberedFacts, RememberedModels, has_experts, header_of
from qvac_core.core.library_fit import in_billions, judge, need_by_header, need_by_size
from qvac_core.core.library_state import Kind, MachineMemory, Place, Verdict
from qvac_core.engines.gguf import GgufInfo, read_beginning, read_gguf
from tests import gguf_files

GB = 1_000_000_000


def test_the_pace_of_answers_foretells_that_of_other_sizes(tmp_path: Path) -> None:
    models = RememberedModels(tmp_path / "known.json")
    assert models.speed_of(5 * GB, "8B") is None
    assert models.learn_speed(1 * GB, 100.0, "1.7B")
    assert models.speed_of(5 * GB, "8B") == 20.0
    assert not models.learn_speed(18 * GB, 90.0, "30B-A3B") and models.speed_of(18 * GB, "30B-A3B") is None
    models.learn_speed(1 * GB, 200.0, "1.7B")
    assert models.speed_of(1 * GB, "1.7B") == pytest.approx(130.0)
    models.rates["ab"] = 5.0
    models.save()
    again = RememberedModels(tmp_path / "known.json")
    assert again.speed_of(1 * GB, "1.7B") == models.speed_of(1 * GB, "1.7B") and again.rates == {"ab": 5.0}


def test_experts_are_known_by_the_name() -> None:
    assert has_experts("30B-A3B") and has_experts("2x7B") and not has_experts("8B") and not has_experts("A model")


@pytest.mark.parametrize("content", [b"", b"{", b'{"facts": 5}', b"\xff\xfe"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "known.json").write_bytes(content)
    models = RememberedModels(tmp_path / "known.json")
    models.put_facts("a", RememberedFacts(1.0, licence="MIT"))
    models.save()
    facts = RememberedModels(tmp_path / "known.json").facts("a")
    assert facts is not None and facts.licence == "MIT"


def test_only_so_many_are_remembered(tmp_path: Path) -> None:
    models = RememberedModels(tmp_path / "known.json")
    for number in range(MOST + 10):
        models.put_facts(str(number), RememberedFacts(float(number)))
    assert models.facts("9") is None and models.facts("10") is not None


def test_a_header_is_kept_without_its_texts(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf_files.llama_file())
    whole = read_gguf(tmp_path / "m.gguf")
    kept = header_of(whole)
    assert not any(isinstance(value, str) for value in kept.metadata.values())
    need, again = need_by_header(whole, GB), need_by_header(kept.gguf(), GB)
    assert need.cache(64) == again.cache(64) > 0 and need.trained == again.trained == gguf_files.CONTEXT


def test_the_beginning_of_a_file_says_as_much_as_it_holds() -> None:
    data = gguf_files.llama_file()
    whole = read_beginning(data)
    assert whole is not None and whole.architecture == "llama"
    for length in range(len(data) if len(data) < 3000 else 3000):
        found = read_beginning(data[:length])
        assert found is None or isinstance(found, GgufInfo)
    assert read_beginning(b"<html>") is None and read_beginning(b"") is None


def test_parameters_in_words() -> None:
    said = {"1.7B": 1.7, "135M": 0.135, "30B-A3B": 30.0, "": 0.0, "large": 0.0}
    assert {text: in_billions(text) for text in said} == said


def test_a_model_of_an_unknown_context_still_gets_a_number() -> None:
    machine = MachineMemory(16 * GB, 16 * GB)
    fit = judge(need_by_size(Kind.CHAT, 4 * GB, "8B"), machine, 8192)
    assert (fit.verdict, fit.place, fit.exact) == (Verdict.FITS, Place.MEMORY, False)
    speech = judge(need_by_size(Kind.TRANSCRIBE, 75_000_000, ""), machine, 4096)
    assert 250_000_000 < speech.needed_bytes < 600_000_000
    assert judge(need_by_size(Kind.CHAT, 400 * GB, "700B"), machine, 8192).verdict is Verdict.TOO_LARGE


def test_headers_of_an_architecture_without_a_plain_cache() -> None:
    header = Header("mamba", {"mamba.ssm.state_size": 16, "mamba.context_length": 1 << 20})
    assert need_by_header(header.gguf(), GB).cache(100_000) == 0
