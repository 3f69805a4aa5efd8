"""The real SDK 0.16 as a provider of transcripts. Its own consumer never asks one for them; ours does.

The kit leaves the SDK's speech engine out (123 MB, and it needs Vulkan's loader even where it runs on the CPU), so this
is what CI cannot afford.
"""

from __future__ import annotations

import asyncio
import ctypes.util
import shutil
import subprocess
from pathlib import Path

import pytest

from qvac_core.core import Core, CoreConfig
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.model_config import SPEECH_MODEL_TYPE
from qvac_core.engines.speech import AudioFile, Finished, Segment
from qvac_core.hyperdht import create_testnet
from tests.interop.sdk_peer import SdkPeer
from tests.speech_files import english_model, kennedy_wav

ENGINE = "@qvac/transcription-whispercpp@0.12.1"


@pytest.fixture
def speech_home(sdk_peer_home: Path, tmp_path: Path) -> Path:
    """The kit with the SDK's speech engine in the place of an empty package."""
    home = tmp_path / "kit"
    shutil.copytree(sdk_peer_home, home, symlinks=True)
    subprocess.run(
        ["npm", "pack", "--silent", "--pack-destination", str(tmp_path), ENGINE], cwd=home, check=True, timeout=300
    )
    (archive,) = tmp_path.glob("qvac-transcription-whispercpp-*.tgz")
    engine = home / "node_modules" / "@qvac" / "transcription-whispercpp"
    engine.unlink() if engine.is_symlink() else shutil.rmtree(engine)
    engine.mkdir()
    subprocess.run(["tar", "xzf", str(archive), "-C", str(engine), "--strip-components", "1"], check=True, timeout=120)
    worker = home / "worker.mjs"
    text = worker.read_text().replace("registerPlugins([llmPlugin])", "registerPlugins([whisperPlugin])")
    assert "whisperPlugin" in text
    worker.write_text(
        text.replace(
            "import './loopback.mjs'",
            "import './loopback.mjs'\nimport { whisperPlugin } from '@qvac/sdk/whispercpp-transcription/plugin'",
        )
    )
    if ctypes.util.find_library("vulkan") is None:
        if shutil.which("apt-get") is None:
            pytest.skip("the SDK's speech engine needs libvulkan.so.1")
        subprocess.run(["apt-get", "download", "-qq", "libvulkan1"], cwd=tmp_path, check=True, timeout=120)
        (package,) = tmp_path.glob("libvulkan1*.deb")
        subprocess.run(["dpkg", "-x", str(package), str(tmp_path / "vulkan")], check=True, timeout=60)
        (library,) = (tmp_path / "vulkan").rglob("libvulkan.so.1")
        peer = home / "peer.mjs"
        line = f"process.env.LD_LIBRARY_PATH = {str(library.parent)!r}\n  process.env.HOME = home"
        assert "process.env.HOME = home" in peer.read_text()
        peer.write_text(peer.read_text().replace("process.env.HOME = home", line, 1))
    return home


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("audio_format", ["s16le", "f32le"])
async def test_a_javascript_provider_writes_down_our_recording(
    audio_format: str, speech_home: Path, tmp_path: Path
) -> None:
    async with await create_testnet(4) as net:
        bootstrap = tuple(net.bootstrap)
        async with (
            SdkPeer(speech_home, tmp_path / "provider", bootstrap, "provider.mjs") as peer,
            Core(CoreConfig(tmp_path / "guest", bytes(32), bootstrap=bootstrap)) as guest,
        ):
            key = (await peer.until("ready"))["publicKey"]
            loaded = await guest.consumer.load_model(
                str(english_model()),
                delegate=Delegate(bytes.fromhex(key), timeout=60),
                model_type=SPEECH_MODEL_TYPE,
                model_config={"audio_format": audio_format},
            )
            sound = AudioFile(kennedy_wav())
            events = [event async for event in guest.consumer.transcribe(loaded.model_id, sound)]
            segments = [event for event in events if isinstance(event, Segment)]
            text = " ".join(segment.text for segment in segments).lower()
            assert "ask not what your country can do for you" in text
            assert segments[0].start_ms < 2000 and 9000 < segments[-1].end_ms <= 11_000
            assert isinstance(events[-1], Finished) and events[-1].audio_ms == pytest.approx(11_000, abs=50)

            leaving = asyncio.create_task(anext(guest.consumer.transcribe(loaded.model_id, sound)))
            await asyncio.sleep(1)
            leaving.cancel()
            await asyncio.wait({leaving})
            again = [event async for event in guest.consumer.transcribe(loaded.model_id, sound)]
            assert [event.text for event in again if isinstance(event, Segment)] == [s.text for s in segments]
            assert await guest.consumer.unload_model(loaded.model_id)
