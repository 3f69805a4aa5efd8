"""The examples of docs/library.md run as they stand there, and every name of its table is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from qvac_core import hyperdht, hyperswarm
from tests.limits import WHOLE

PAGE = (Path(__file__).parents[2] / "docs/library.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PRINTED = [
    ["[b'HELLO']"],
    ["b'hello from a client'", "b'hello from a server'"],
    ["knows of 1", "left: []"],
]
OWNERS = {
    "dht": hyperdht.DHT,
    "server": hyperdht.Server,
    "connection": hyperdht.Connection,
    "raw": hyperdht.ByteStream,
    "swarm": hyperswarm.Swarm,
    "member": hyperswarm.Membership,
}


@pytest.mark.parametrize(
    ("example", "printed"), list(zip(EXAMPLES, PRINTED, strict=True)), ids=["server", "topic", "lookup"]
)
def test_an_example_runs(example: str, printed: list[str], tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(example, "utf-8")
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=WHOLE, check=False)
    assert ran.returncode == 0 and ran.stderr == "", ran.stderr
    assert [line for line in printed if line not in ran.stdout] == []


def test_every_name_of_the_table_is_there() -> None:
    right = "\n".join(line.split("|")[2] for line in PAGE.splitlines() if line.startswith("| `"))
    named = re.findall(r"\b(" + "|".join(OWNERS) + r")\.(\w+)", right)
    assert len(named) > 30
    made = {"public_key", "remote_public_key", "handshake_hash", "is_initiator", "peers"}
    assert [(owner, name) for owner, name in named if name not in made and not hasattr(OWNERS[owner], name)] == []
