"""`qvac-desktop --self-test` of these sources: every part is tried, and what does not work is told and counts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.output import Output
from app.self_test import steps
from qvac_core.engines.available import EngineKind


@pytest.mark.timeout(600)
def test_every_part_is_tried_and_told(tmp_path: Path) -> None:
    """In a home full of odd characters, which is not written to."""
    home = tmp_path / "Öffentlich 'n $HOME ☂"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-P", "-m", "app", "--self-test"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=580, check=False)
    lines = ended.stdout.splitlines()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert lines[1].startswith("No model was given"), "nobody may take noise for an answer"
    parts = {line.split(": ")[0].split(maxsplit=1)[1] for line in lines[2:-1]}
    assert {f"chat, {engine}" for engine in EngineKind} <= parts
    assert {"data", "secrets", "network", "speech", "QR code", "window"} <= parts
    assert {f"sound, {name}" for name in steps.SOUNDS} <= parts
    assert all(line.startswith(("ok ", "skipped ")) for line in lines[2:-1])
    assert lines[-1] == "Everything works."
    assert not list(home.rglob("identity*")), "the person's own data folder is not touched"


def test_what_fails_is_told_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken() -> str:
        raise ImportError("libfoo.so.1: cannot open shared object file")

    async def works() -> str:
        return "fine"

    monkeypatch.setattr(steps, "_engines", lambda: ())
    monkeypatch.setattr(steps, "SOUNDS", ())
    monkeypatch.setattr(steps._Net, "open", lambda self: works())
    monkeypatch.setattr(steps, "_secrets", broken)
    for name in ("_data", "_speech", "_code", "_window"):
        monkeypatch.setattr(steps, name, lambda *_: works())
    assert asyncio.run(steps.self_test(Output(as_json=False))) == 1
    said = capsys.readouterr().out
    assert "FAILED   secrets: ImportError: libfoo.so.1" in said
    assert "ok       window: fine" in said
    assert said.splitlines()[-1] == "1 of 6 parts do not work."


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "app", "--self-test", str(tmp_path / "no.gguf")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "There is no file" in ended.stderr
