"""What end-to-end tests share: a loopback network of our own nodes, and a model that is left thinking."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qvac_core.engines.available import VARIABLE, EngineKind
from qvac_core.engines.gguf import read_gguf
from tests.e2e.program import loopback_network
from tests.gguf_files import projector_file, seeing_llama_file

STRICT_AND_THINKING = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{{ '<|im_start|>assistant\n<think>\n' }}"
)


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    """HOST:PORT of a testnet that lives as long as the session."""
    with loopback_network() as net:
        yield str(net.until("ready")["bootstrap"][0])


@pytest.fixture(scope="session")
def thinking_model_path(small_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model with this template in the place of its own, in as many bytes."""
    own = read_gguf(small_model_path).chat_template.encode()
    other = STRICT_AND_THINKING.encode()
    other += b"{#" + b" " * (len(own) - len(other) - 4) + b"#}"
    path = tmp_path_factory.mktemp("thinking") / "thinking.gguf"
    path.write_bytes(small_model_path.read_bytes().replace(own, other, 1))
    assert read_gguf(path).chat_template == other.decode()
    return path


@pytest.fixture(scope="session")
def seeing_model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model that is shown pictures: what it says is nonsense, and another one for another picture."""
    folder = tmp_path_factory.mktemp("seeing")
    (folder / "seeing.gguf").write_bytes(seeing_llama_file())
    (folder / "mmproj-seeing.gguf").write_bytes(projector_file())
    return folder / "seeing.gguf"


@pytest.fixture(params=list(EngineKind))
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> EngineKind:
    """Each engine in turn: what every one of them must do is tested on every one of them."""
    monkeypatch.setenv(VARIABLE, request.param)
    return EngineKind(request.param)
