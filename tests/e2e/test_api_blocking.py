"""The blocking form in programs of its own: an answer streamed to its end, Ctrl-C down to the provider, and the end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from qvac_core.hyperdht import KeyPair
from tests.e2e.program import Program, is_to_the_point, qvac_desktop

SEED = "94" * 32
KEY = KeyPair.from_seed(bytes.fromhex(SEED)).public_key.hex()

SCRIPT = """
import sys
from qvac_core import blocking as qvac
from qvac_core.core import CoreConfig

provider, port, model, predict = sys.argv[1:]
qvac.configure(CoreConfig(seed=bytes.fromhex("{seed}"), bootstrap=(("127.0.0.1", int(port)),)))
delegate = qvac.Delegate(provider, timeout=30) if provider else None
percent = []
model_id = qvac.load_model(model, delegate=delegate, on_progress=percent.append)
question = [{{"role": "user", "content": "What is the capital of France? Answer in one sentence."}}]
answer = qvac.completion(model_id, question, generation_params={{"temp": 0, "predict": int(predict)}})
print("loaded", len(percent) > 0, flush=True)
for token in answer.token_stream:
    print(token.replace("\\n", " "), flush=True)
print("ended", answer.stats.generated_tokens, answer.text == answer.final.text, flush=True)
"""


def program(tmp_path: Path, bootstrap: str, provider: str, model: str, predict: int) -> Program:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(seed=SEED))
    arguments = [provider, bootstrap.rpartition(":")[2], model, str(predict)]
    return Program([sys.executable, str(script), *arguments], env={"QVAC_DESKTOP_HOME": str(tmp_path / "guest")})


@pytest.fixture
def provider(bootstrap: str, small_model_path: Path, tmp_path: Path) -> Iterator[tuple[Program, str]]:
    options = ["--model", str(small_model_path), "--allow", KEY, "--bootstrap", bootstrap, "--json"]
    with qvac_desktop("provider", *options, data_dir=tmp_path / "provider") as running:
        yield running, str(running.until("ready")["publicKey"])


def texts(asking: Program) -> list[str]:
    return [str(event["text"]) for event in asking.of("text")]


def assert_closed(asking: Program, tmp_path: Path) -> None:
    """By itself: nobody called close()."""
    assert "was never awaited" not in asking.stderr
    assert "Task was destroyed" not in asking.stderr
    assert (tmp_path / "guest" / "qvac.db").exists()
    assert not (tmp_path / "guest" / "qvac.db-wal").exists(), "the core was cut off"


@pytest.mark.parametrize("where", ["here", "there"])
def test_a_script_streams_an_answer_and_closes_by_itself(
    where: str, provider: tuple[Program, str], bootstrap: str, small_model_path: Path, tmp_path: Path
) -> None:
    key, model = ("", str(small_model_path)) if where == "here" else (provider[1], small_model_path.name)
    with program(tmp_path, bootstrap, key, model, 24) as asking:
        assert asking.finish() == 0, asking.stderr
    first, *tokens, last = texts(asking)
    assert first.startswith("loaded")
    assert len(tokens) > 1 and is_to_the_point("".join(tokens))
    assert last.startswith("ended ") and last.endswith(" True")
    assert asking.stderr == ""
    assert_closed(asking, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_stops_the_providers_engine(
    provider: tuple[Program, str], bootstrap: str, small_model_path: Path, tmp_path: Path
) -> None:
    sharing, key = provider
    with program(tmp_path, bootstrap, key, small_model_path.name, 4000) as asking:
        while not asking.until("text")["text"].startswith("loaded"):
            pass
        asking.until("text")
        asking.interrupt()
        assert asking.finish() == -signal.SIGINT, asking.stderr
    # While it waits for a word the answer is cancelled first; between two, it is left as the program ends.
    assert sharing.until("done")["outcome"] in ("cancelled", "disconnected")
    assert asking.stderr.rstrip().endswith("KeyboardInterrupt")
    assert_closed(asking, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_stops_the_engine_of_this_machine(bootstrap: str, small_model_path: Path, tmp_path: Path) -> None:
    with program(tmp_path, bootstrap, "", str(small_model_path), 4000) as asking:
        while not asking.until("text")["text"].startswith("loaded"):
            pass
        asking.until("text")
        workers = psutil.Process(asking.process.pid).children()
        assert workers
        asking.interrupt()
        assert asking.finish() == -signal.SIGINT, asking.stderr
    assert psutil.wait_procs(workers, 10)[1] == []
    assert_closed(asking, tmp_path)
