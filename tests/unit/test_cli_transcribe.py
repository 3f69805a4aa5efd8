"""`qvac-desktop transcribe`: what its options ask of the model, and the forms of its output."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from app.cli import transcribe as verb
from app.cli.options import parse_options
from app.cli.output import Output
from qvac_core.engines.interface import LoadProgress
from qvac_core.engines.speech import (
    AudioFile,
    Finished,
    Progress,
    Segment,
    SpeechConfig,
    SpeechEnd,
    TranscriptionEvent,
    TranscriptionRequest,
)
from qvac_core.errors import LocalProtocolError, ModelError
from qvac_core.hyperdht import KeyPair
from qvac_core.store.folders import DataDir, InstanceLock
from tests.unit.test_engines_whisper_file import small_file

KEY = KeyPair.from_seed(bytes([1]) * 32).public_key.hex()
NOTICE = "The file ends early: 0:03 of 0:05 are there."


class ScriptedModel:
    def __init__(self, asked: list[TranscriptionRequest]) -> None:
        self._asked = asked

    async def transcribe(self, request: TranscriptionRequest) -> AsyncIterator[TranscriptionEvent]:
        self._asked.append(request)
        yield Segment(0, 0, 1500, "Guten Tag.")
        yield Progress(1500, 3000, 1.0)
        yield Segment(1, 1500, 3000, "Auf Wiedersehen.")
        yield Finished(SpeechEnd.EOS, "de", 3000, (NOTICE,))


class ScriptedEngine:
    asked: list[TranscriptionRequest]
    loaded: list[Path]

    async def load(
        self, path: Path, config: SpeechConfig, on_progress: Callable[[LoadProgress], None] | None = None
    ) -> ScriptedModel:
        self.loaded.append(path)
        return ScriptedModel(self.asked)

    async def close(self) -> None:
        pass


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[ScriptedEngine]:
    ScriptedEngine.asked, ScriptedEngine.loaded = [], []
    monkeypatch.setattr(verb, "WhisperEngine", ScriptedEngine)
    return ScriptedEngine


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "ggml-small.bin"
    path.write_bytes(small_file())
    return path


def told(tmp_path: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    parsed = parse_options(["transcribe", "talk.m4a", *options, "--data-dir", str(tmp_path / "data")])
    assert asyncio.run(verb.transcribe(parsed, Output(as_json=parsed.json))) == 0
    written = capsys.readouterr()
    return written.out, written.err


def test_what_is_asked_of_the_model(
    engine: type[ScriptedEngine], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(tmp_path, "--model", str(model), capsys=capsys)
    given = ("--language", "de", "--prompt", "Ada, Grace", "--translate")
    told(tmp_path, "--model", str(model), *given, capsys=capsys)
    plain, full = engine.asked
    assert plain.audio == full.audio == AudioFile(Path("talk.m4a"))
    assert (plain.language, plain.prompt, plain.translate) == ("", "", False)
    assert (full.language, full.prompt, full.translate) == ("de", "Ada, Grace", True)
    assert engine.loaded == [model, model]


def test_the_forms_of_its_output(
    engine: type[ScriptedEngine], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = {
        form: told(tmp_path, "--model", str(model), "--format", form, capsys=capsys)
        for form in ("text", "srt", "vtt", "json")
    }
    assert outputs["text"][0] == "Guten Tag.\nAuf Wiedersehen.\n"
    assert outputs["srt"][0].startswith("1\n00:00:00,000 --> 00:00:01,500\nGuten Tag.\n\n2\n")
    assert outputs["vtt"][0].startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n")
    document = json.loads(outputs["json"][0])
    assert document["text"] == "Guten Tag. Auf Wiedersehen." and document["language"] == "de"
    assert document["segments"][1] == {"id": 1, "startMs": 1500, "endMs": 3000, "text": "Auf Wiedersehen."}
    assert all(NOTICE in err for _, err in outputs.values())
    lines, _ = told(tmp_path, "--model", str(model), "--json", capsys=capsys)
    events: list[dict[str, Any]] = [json.loads(line) for line in lines.splitlines()]
    assert [event["event"] for event in events] == ["loaded", "segment", "progress", "segment", "done"]
    assert events[2] == {"event": "progress", "doneMs": 1500, "totalMs": 3000, "leftSeconds": 1.0}
    assert events[-1]["text"] == "Guten Tag. Auf Wiedersehen." and events[-1]["notices"] == [NOTICE]


def test_a_format_is_of_no_use_with_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LocalProtocolError, match="--format is of no use with --json"):
        told(tmp_path, "--format", "srt", "--json", capsys=capsys)


def test_which_model_is_taken(
    engine: type[ScriptedEngine], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match="--model WHISPER_TINY fetches it"):
        told(tmp_path, capsys=capsys)
    models = DataDir.locate(tmp_path / "data").create().models_folder
    models.mkdir(parents=True, exist_ok=True)
    (models / "ggml-found.bin").write_bytes(model.read_bytes())
    told(tmp_path, capsys=capsys)
    told(tmp_path, "--model", "ggml-found", capsys=capsys)
    assert engine.loaded == [models / "ggml-found.bin"] * 2
    # Beside a window that runs: what is in its library is taken, what is not is for the window to get.
    lock = InstanceLock(DataDir.locate(tmp_path / "data").lock_file)
    lock.acquire()
    try:
        told(tmp_path, capsys=capsys)
        with pytest.raises(Exception, match="running"):
            told(tmp_path, "--model", "WHISPER_TINY", capsys=capsys)
    finally:
        lock.release()


def test_options_for_a_provider_need_its_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in (("--timeout", "5"), ("--seed", "11" * 32), ("--bootstrap", "127.0.0.1:5"), ("--no-local-network",)):
        with pytest.raises(LocalProtocolError, match=f"{option[0]} is for a provider's KEY"):
            told(tmp_path, *option, capsys=capsys)
