"""Settings that a core is started with and those that act at once: kept in the folder, validated, told by `given`."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from qvac_core.core import Core, CoreConfig
from qvac_core.errors import StoreError
from tests.speech_files import english_model

NOBODY = ("127.0.0.1", 9)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_port_and_entrance_of_the_settings_hold_from_the_next_start(tmp_path: Path) -> None:
    port = free_port()

    async with Core(CoreConfig(tmp_path, bytes(32), bootstrap=(NOBODY,))) as core:
        await core.set_setting("network.bootstrap", "127.0.0.1:9, localhost:10")
        await core.set_setting("network.port", str(port))
        for name, wrong in (("network.port", "70000"), ("network.bootstrap", "nowhere")):
            with pytest.raises(StoreError):
                await core.set_setting(name, wrong)
        assert core._network.dht.address[1] != port
    async with Core(CoreConfig(tmp_path, bytes(32))) as core:
        assert core._network.dht.address == ("127.0.0.1", port)  # a network on loopback keeps to it
        assert core._entrance.bootstrap == (NOBODY, ("localhost", 10))
        given = await core.given()
        assert "port" not in given
        assert "bootstrap" not in given
    async with Core(CoreConfig(tmp_path, bytes(32), bootstrap=(("127.0.0.1", 11),))) as core:
        assert core._entrance.bootstrap == (("127.0.0.1", 11),)  # for this run alone
        assert (await core.given())["bootstrap"] == "127.0.0.1:11"
        assert await core.setting("network.bootstrap") == "127.0.0.1:9, localhost:10"


async def test_a_damaged_file_stops_no_core_and_the_rest_of_it_holds(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        '[network]\nport = "many"\nbootstrap = "127.0.0.1:9"\nrelays = 7\n[engine]\ndevice = "abacus"\nthreads = 2\n'
    )

    async with Core(CoreConfig(tmp_path, bytes(32))) as core:
        assert core._entrance.bootstrap == (NOBODY,)
        assert core._entrance.port == 0
        assert await core.setting("engine.device") == "gpu"
        assert await core.setting("engine.threads") == "2"


async def test_the_engine_is_told_how_to_load(small_model_path: Path, tmp_path: Path) -> None:

    async with Core(CoreConfig(tmp_path, bytes(32), bootstrap=(NOBODY,))) as core:
        await core.add_model_file(small_model_path)
        for name, text in (("engine.device", "cpu"), ("engine.gpu_layers", "7"), ("engine.threads", "1")):
            await core.set_setting(name, text)
        (model,) = core.machine.chat_models()
        limits = core.machine.limits_of(model)
        assert (limits.device, limits.gpu_layers, limits.threads) == ("cpu", 7, 1)
        with await core.machine.acquire(model) as lease:
            info = lease.model.info
            assert info is not None
            assert info.backend_device == "cpu"


async def test_the_preferred_speech_model_is_told(tmp_path: Path) -> None:

    async with Core(CoreConfig(tmp_path, bytes(32), bootstrap=(NOBODY,))) as core:
        await core.add_model_file(english_model())
        (choice,) = await core.speech_models()
        assert not choice.preferred
        await core.set_setting("speech.model", choice.name)
        (choice,) = await core.speech_models()
        assert choice.preferred
