"""Tools in `qvac-desktop chat`: those of a file are offered, calls are asked about, and told to the model."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.chat_tools import Progress, TerminalTools, chosen
from app.cli.output import Output
from qvac_core.core.tool_turns import DENIED
from qvac_core.delegation.completion import CompletionFinal
from qvac_core.delegation.messages import HistoryMessage, ToolCallParts, ToolFailure
from qvac_core.errors import LocalProtocolError, ModelError
from qvac_core.hyperdht import KeyPair
from qvac_core.store.records import ToolServer
from tests.e2e.program import Program, qvac_desktop, run

PROVIDER_SEED, GUEST_SEED = "83" * 32, "84" * 32
KEY = KeyPair.from_seed(bytes.fromhex(PROVIDER_SEED)).public_key.hex()
GUEST_KEY = KeyPair.from_seed(bytes.fromhex(GUEST_SEED)).public_key.hex()
SCRIPT = str(Path(__file__).with_name("tool_server.py"))
DESK = ToolServer("Desk", sys.executable, (SCRIPT,))
OFF = ("environment", "much", "slow", "fails", "ends", "grows")


def file_of(folder: Path) -> Path:
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {"Desk": {"command": sys.executable, "args": [SCRIPT]}}}))
    return path


@pytest.fixture(scope="module")
def provider(bootstrap: str, small_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with qvac_desktop(
        *("provider", "--json", "--seed", PROVIDER_SEED, "--allow", GUEST_KEY, "--bootstrap", bootstrap),
        *("--model", str(small_model_path)),
        data_dir=tmp_path_factory.mktemp("provider"),
    ) as program:
        program.until("ready")
        yield program


def test_the_model_of_a_provider_is_offered_the_tools_of_a_file(
    provider: Program, bootstrap: str, tmp_path: Path
) -> None:
    asked = ("chat", KEY, "--seed", GUEST_SEED, "--bootstrap", bootstrap, "--data-dir", str(tmp_path), "--temp", "0")
    options = (*asked, "--json", "--predict", "8", "--prompt", "Hello.")
    plain = run(*options)
    offered = run(*options, "--tools", str(file_of(tmp_path)))
    assert offered.returncode == 0, offered.stderr
    assert "Tools: add, " in offered.stderr
    tokens = [
        next(event["promptTokens"] for event in map(json.loads, each.stdout.splitlines()) if event["event"] == "stats")
        for each in (plain, offered)
    ]
    assert tokens[1] > tokens[0] + 100, "they stand in the prompt"


def called(name: str, arguments: dict[str, object]) -> CompletionFinal:
    return CompletionFinal("Let me see.", "", None, "", (ToolCallParts("abcdefghi", name, arguments),))


def talk(*typed: str | None, allowed: tuple[str, ...] = ()) -> list[list[HistoryMessage]]:
    """What the model is told after each of its calls of `add`; a person types these."""
    answers = iter(typed)

    async def ask(_question: str) -> str | None:
        return next(answers)

    async def main() -> list[list[HistoryMessage]]:
        tools = TerminalTools(Output(as_json=False), allowed, ask)
        try:
            await tools.open([ToolServer("Desk", DESK.command, DESK.args, off=OFF)])
            assert [tool.name for tool in tools.tools] == ["add"]
            return [await tools.answers_to(called("add", {"a": 2, "b": 3})) for _ in range(max(1, len(typed)))]
        finally:
            await tools.close()

    return asyncio.run(main())


def test_each_call_is_asked_about(capsys: pytest.CaptureFixture[str]) -> None:
    once, denied = talk("y", "n")
    assert [message.role for message in once] == ["assistant", "tool"]
    assert once[1].content == "5" and once[1].tool_call_id == "abcdefghi"
    assert denied[1].content == DENIED
    said = capsys.readouterr().err
    assert "Desk wants to use add:\na: 2\nb: 3" in said and "Desk add: done, 5" in said


def test_what_nobody_can_be_asked_about_does_not_run_unless_it_is_allowed() -> None:
    ((_, told),) = talk(None)
    assert told.content == DENIED
    ((_, told),) = talk(allowed=("add",))
    assert told.content == "5"


async def test_a_call_that_is_none_is_told_twice_at_most() -> None:

    async def nobody(_question: str) -> str | None:
        return None

    tools = TerminalTools(Output(as_json=False), (), nobody)
    wrong = CompletionFinal("", "", None, "", (), (ToolFailure("PARSE_ERROR", "It is cut.", "<tool_call>{"),))
    assistant, user = await tools.answers_to(wrong)
    assert assistant.content == "<tool_call>{" and "It is cut." in user.content
    progress = Progress()
    assert progress.next(wrong)
    with pytest.raises(ModelError, match="--tools"):
        progress.next(wrong)
    assert await tools.answers_to(CompletionFinal("Done.", "", None, "")) == []


def test_servers_are_those_that_are_kept_and_those_of_files(tmp_path: Path) -> None:
    path = file_of(tmp_path)
    kept = ToolServer("Kept", "x")
    assert [server.name for server in chosen(["Kept", str(path)], [kept])] == ["Kept", "Desk"]
    with pytest.raises(LocalProtocolError, match="Servers that are set up: Kept"):
        chosen(["none.json"], [kept])
