"""Our entries of the registry beside those that the SDK 0.16 ships: the same model in the same words."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from qvac_core.api import model_registry_list

# The kit is installed by whoever comes first.
pytestmark = pytest.mark.timeout(900)

SCRIPT = """
const { models } = await import(process.argv[1] + "/node_modules/@qvac/sdk/dist/models/registry/models.js")
console.log(JSON.stringify(models))
"""


def test_the_sdks_own_list_says_the_same(sdk_peer_home: Path) -> None:
    command = ["node", "--input-type=module", "-e", SCRIPT, str(sdk_peer_home)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    theirs = {(item["registryPath"], item["registrySource"]): item for item in json.loads(said)}
    common = 0
    for entry in asyncio.run(model_registry_list()):
        its = theirs.get((entry.registry_path, entry.registry_source))
        if its is None:
            continue  # 0.16 does not know it yet, or has it in its own store
        common += 1
        assert (entry.constant, entry.model_id, entry.addon) == (its["name"], its["modelId"], its["addon"])
        assert (entry.expected_size, entry.sha256_checksum) == (its["expectedSize"], its["sha256Checksum"])
        assert (entry.engine, entry.quantization) == (its["engine"], its["quantization"])
        assert entry.params == its["params"]
    assert common > 20
