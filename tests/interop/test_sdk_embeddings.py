"""The real SDK 0.16 as a provider of embeddings. Its own consumer never asks one for them; ours does.

The kit leaves the SDK's embedding engine out (130 MB), so this is what CI cannot afford.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy
import pytest

from qvac_core.core import Core, CoreConfig
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.model_config import EMBEDDING_MODEL_TYPE
from qvac_core.errors import ProviderError
from qvac_core.hyperdht import create_testnet
from tests.interop.sdk_peer import SdkPeer

ORIGINAL = json.loads((Path(__file__).parent.parent / "vectors" / "minilm.json").read_text())
ENGINE = "@qvac/embed-llamacpp@0.28.0"


@pytest.fixture
def embedding_home(sdk_peer_home: Path, tmp_path: Path) -> Path:
    """The kit with the SDK's embedding engine in the place of an empty package."""
    home = tmp_path / "kit"
    shutil.copytree(sdk_peer_home, home, symlinks=True)
    subprocess.run(
        ["npm", "pack", "--silent", "--pack-destination", str(tmp_path), ENGINE], cwd=home, check=True, timeout=300
    )
    (archive,) = tmp_path.glob("qvac-embed-llamacpp-*.tgz")
    engine = home / "node_modules" / "@qvac" / "embed-llamacpp"
    engine.unlink() if engine.is_symlink() else shutil.rmtree(engine)
    engine.mkdir()
    subprocess.run(["tar", "xzf", str(archive), "-C", str(engine), "--strip-components", "1"], check=True, timeout=60)
    worker = home / "worker.mjs"
    text = worker.read_text().replace("registerPlugins([llmPlugin])", "registerPlugins([llmPlugin, embeddingsPlugin])")
    assert "embeddingsPlugin" in text
    worker.write_text(
        text.replace(
            "import './loopback.mjs'",
            "import './loopback.mjs'\nimport { embeddingsPlugin } from '@qvac/sdk/llamacpp-embedding/plugin'",
        )
    )
    return home


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_javascript_provider_makes_our_embeddings(
    embedding_home: Path, embedding_model_path: Path, tmp_path: Path
) -> None:
    async with await create_testnet(4) as net:
        bootstrap = tuple(net.bootstrap)
        async with (
            SdkPeer(embedding_home, tmp_path / "provider", bootstrap, "provider.mjs") as peer,
            Core(CoreConfig(tmp_path / "guest", bytes(32), bootstrap=bootstrap)) as guest,
        ):
            key = (await peer.until("ready"))["publicKey"]
            loaded = await guest.consumer.load_model(
                str(embedding_model_path),
                delegate=Delegate(bytes.fromhex(key), timeout=60),
                model_type=EMBEDDING_MODEL_TYPE,
                model_config={"device": "cpu", "gpuLayers": 0},
            )
            plain = [entry for entry in ORIGINAL if "[SEP]" not in entry["text"]]  # the SDK takes it for a token
            texts = [entry["text"] for entry in plain]
            vectors = numpy.array((await guest.consumer.embed(loaded.model_id, texts)).embedding)
            original = numpy.array([entry["vector"] for entry in plain])
            cosines = (vectors * original).sum(1) / numpy.linalg.norm(vectors, axis=1)
            assert cosines.min() > 0.999
            single = (await guest.consumer.embed(loaded.model_id, texts[0])).embedding
            assert float(numpy.dot(single, vectors[0])) > 0.999
            with pytest.raises(ProviderError, match="context overflow"):
                await guest.consumer.embed(loaded.model_id, "word " * 600)
            assert await guest.consumer.unload_model(loaded.model_id)
