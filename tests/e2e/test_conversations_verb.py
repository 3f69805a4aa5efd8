"""`qvac-desktop conversations`: what is kept goes out to files and comes in from them, as a user does it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from qvac_core.core.state import AnswerStats, Message, Parameters, Target
from qvac_core.store.folders import DataDir
from qvac_core.store.store import Store
from tests.e2e.program import one_line, run


def fill(folder: Path) -> str:
    """A conversation with two answers to one question; its id."""
    store = Store.open(DataDir(folder, explicit=True), now=time.time())
    id = store.conversations.create(Target(), 1000.0, title="Tides and moons").id
    stats = AnswerStats("This machine", "local", "local", "Small", 0.1, 20.0, 5, 7)
    store.conversations.append(id, Message("q", "user", "Why are there tides?", 1000.0), 1000.0)
    store.conversations.append(id, Message("a", "assistant", "The moon.", 1001.0, stats=stats), 1001.0)
    store.conversations.append(id, Message("b", "assistant", "The moon and the sun.", 1002.0), 1002.0, after="q")
    store.conversations.set_parameters(id, Parameters("Be brief.", seed=4), "Clerk")
    store.conversations.create(Target(), 900.0, title="Empty")
    store.close()
    return id


def events(*arguments: str, folder: Path, code: int = 0) -> list[dict[str, Any]]:
    result = run("conversations", *arguments, "--json", "--data-dir", str(folder))
    assert result.returncode == code, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_conversations_go_out_and_come_in_whole(tmp_path: Path) -> None:
    here, there, file = tmp_path / "here", tmp_path / "there", tmp_path / "all.json"
    id = fill(here)
    listed = events("list", folder=here)
    assert [each["title"] for each in listed] == ["Tides and moons", "Empty"]
    assert [each["id"] for each in events("list", "--search", "SUN", folder=here)] == [id]
    (out,) = events("export", str(file), folder=here)
    assert (out["event"], out["form"], out["conversations"]) == ("exported", "json", 2)
    refused = run("conversations", "export", str(file), "--data-dir", str(here))
    assert refused.returncode == 1
    assert "--yes" in one_line(refused)
    events("export", str(file), "--yes", folder=here)
    (into,) = events("import", str(file), folder=there)
    assert (into["conversations"], into["known"]) == (2, 0)
    (again,) = events("import", str(file), folder=there)
    assert (again["conversations"], again["known"]) == (0, 2)
    assert events("list", folder=there) == listed
    store = Store.open(DataDir(there, explicit=True), now=time.time())
    kept = store.conversations.get(id)
    assert (kept.parameters, kept.preset) == (Parameters("Be brief.", seed=4), "Clerk")
    shown = store.conversations.messages(id)
    assert [message.text for message in shown] == ["Why are there tides?", "The moon and the sun."]
    assert len(shown[1].branches) == 2
    store.close()
    markdown = tmp_path / "one.md"
    events("export", str(markdown), id[:8], folder=here)
    text = markdown.read_text("utf-8")
    assert text.index("The moon and the sun.") < text.index("Another version") < text.index("The moon.\n")
    assert "> Be brief." in text
    assert "**This machine, Small, local**" in text
    assert "Empty" not in text


def test_a_bad_file_is_named_and_keeps_no_other_out(tmp_path: Path) -> None:
    here, file, bad = tmp_path / "here", tmp_path / "all.json", tmp_path / "cut.json"
    fill(here)
    events("export", str(file), folder=here)
    bad.write_bytes(file.read_bytes()[:-40])
    imported, refused = events("import", str(bad), str(file), folder=tmp_path / "there", code=1)
    assert imported["conversations"] == 2
    assert (refused["event"], refused["file"]) == ("refused", "cut.json")
    unknown = run("conversations", "export", str(tmp_path / "x.md"), "ffff", "--data-dir", str(here))
    assert unknown.returncode == 1
    assert "conversations list" in one_line(unknown)
    assert run("conversations", "import", "--data-dir", str(here)).returncode == 1
