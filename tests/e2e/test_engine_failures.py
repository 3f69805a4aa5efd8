"""What goes wrong with models and their processes, and what a person reads then."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from qvac_core.engines.abilities import chat_of
from qvac_core.engines.interface import LibraryModel, ModelConfig, Token
from qvac_core.engines.llama_engine import LlamaEngine
from qvac_core.engines.pool import ModelPool
from qvac_core.errors import EngineCrashed, ModelError
from tests.e2e.engine_bench import STORY, loaded, request, take

pytestmark = pytest.mark.usefixtures("engine")

CONFIG = ModelConfig(n_ctx=512, slots=2, device="cpu", threads=1)


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


async def test_kill_9_fails_the_answers_in_flight_and_the_next_works(small_model_path: Path) -> None:
    async with loaded(small_model_path) as model:

        async def interrupted(name: str) -> str:
            async for event in model.complete(request(STORY, name, predict=400)):
                assert isinstance(event, Token)
                started.release()
            return "finished"

        started = asyncio.Semaphore(0)
        tasks = [asyncio.create_task(interrupted(name)) for name in ("a", "b")]
        for _ in range(6):
            await asyncio.wait_for(started.acquire(), 20)
        old = model.worker_pid
        kill(old)
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        for error in results:
            assert isinstance(error, EngineCrashed)
            assert (error.code, error.name) == (50205, "WORKER_CRASHED")
            assert "ended unexpectedly" in error.message
        assert model.alive
        assert (await asyncio.wait_for(take(model, request("Hello", predict=4)), 30)).text
        assert model.worker_pid != old
        assert old is not None and not psutil.pid_exists(old)  # reaped, no zombie


@pytest.mark.parametrize("lost", ["cut", "gone"])
async def test_a_file_that_is_lost_under_its_model_is_named_and_it_works_again_when_it_is_back(
    small_model_path: Path, tmp_path: Path, lost: str
) -> None:
    file, aside = tmp_path / "model.gguf", tmp_path / "aside.gguf"
    shutil.copyfile(small_model_path, file)
    words = {"cut": "not complete any more", "gone": "not there any more"}[lost]
    async with loaded(file) as model:
        stream = model.complete(request(STORY, "a", predict=400))
        await anext(stream)
        shutil.copyfile(file, aside)
        if lost == "cut":
            os.truncate(file, file.stat().st_size // 8)  # the system ends the process that has it mapped
        else:
            file.unlink()
            kill(model.worker_pid)
        with pytest.raises(ModelError, match=words):
            async for _ in stream:
                pass
        for _ in range(4):  # as often as one likes: it never becomes the fault of the context
            with pytest.raises(ModelError, match=r"not there any more|not complete|damaged"):
                await take(model, request("Hello", predict=4))
        assert not model.alive  # a pool would load it anew
        aside.replace(file)
        assert (await asyncio.wait_for(take(model, request("Hello", predict=4)), 60)).text
        assert model.alive


async def test_a_model_that_keeps_crashing_is_given_up_and_the_pool_loads_it_anew(small_model_path: Path) -> None:
    engine = LlamaEngine()
    pool = ModelPool(engine)
    library_model = LibraryModel("small", small_model_path, 0, "aa" * 32, "llamacpp-completion", "q4_1", "135M", ())
    try:
        lease = await pool.acquire(library_model, CONFIG)
        for _ in range(3):
            stream = chat_of(lease.model).complete(request(STORY, predict=400))
            await asyncio.wait_for(anext(stream), 30)
            kill(engine.worker_pids()[0])
            with pytest.raises(EngineCrashed):
                async with asyncio.timeout(30):
                    async for _ in stream:
                        pass
        assert not lease.model.alive
        with pytest.raises(EngineCrashed, match="keeps ending"):
            await take(chat_of(lease.model), request("Hello"))
        fresh = await pool.acquire(library_model, CONFIG)
        assert (await take(chat_of(fresh.model), request("Hello", predict=4))).text
    finally:
        await pool.close()
        await engine.close()


async def test_unload_while_answering(small_model_path: Path) -> None:
    async with loaded(small_model_path) as model:
        task = asyncio.create_task(take(model, request(STORY, predict=400)))
        pid = model.worker_pid
        await asyncio.sleep(0.1)
        await asyncio.wait_for(model.unload(), 15)
        with pytest.raises(EngineCrashed, match="unloaded"):
            await task
        assert pid is not None and not psutil.pid_exists(pid)
        assert not model.alive
        with pytest.raises(ModelError) as raised:
            await take(model, request("Hello"))
        assert raised.value.code == 52003
        await model.unload()  # twice is once


async def test_a_frozen_worker_is_ended_and_replaced(small_model_path: Path) -> None:
    # Its replacement has to start within that time, too, on a machine that is busy.
    async with loaded(small_model_path, stall_timeout=8.0) as model:
        task = asyncio.create_task(take(model, request(STORY, predict=400)))
        await asyncio.sleep(0.2)
        assert model.worker_pid is not None
        os.kill(model.worker_pid, signal.SIGSTOP)
        with pytest.raises(EngineCrashed):
            await asyncio.wait_for(task, 60)
        assert (await asyncio.wait_for(take(model, request("Hello", predict=4)), 60)).text


async def test_a_cancelled_load_leaves_no_process(small_model_path: Path) -> None:
    engine = LlamaEngine()
    before = set(psutil.Process().children())
    task = asyncio.create_task(engine.load(small_model_path, CONFIG))
    while not (children := set(psutil.Process().children()) - before):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(child.is_running() for child in children)
    await engine.close()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_the_worker_ends_with_its_parent(small_model_path: Path) -> None:
    parent_code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from qvac_core.engines.interface import ModelConfig\n"
        "from qvac_core.engines.llama_engine import LlamaEngine\n"
        "async def main():\n"
        "    model = await LlamaEngine().load(Path(sys.argv[1]), ModelConfig(n_ctx=256, slots=1, threads=1))\n"
        "    print(model.worker_pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", parent_code, str(small_model_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    ) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
        psutil.wait_procs([worker], timeout=10)
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def bad_file(tmp_path: Path, small_model_path: Path, kind: str) -> Path:
    path = tmp_path / f"{kind}.gguf"
    data = small_model_path.read_bytes()
    content = {
        "truncated": data[:5_000_000],
        "header only": data[:2000],
        "not a gguf": b"PK\x03\x04" + data[:1000],
        "empty": b"",
        "unknown architecture": data.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0lmama", 1),
    }
    if kind in content:
        path.write_bytes(content[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("truncated", 52200, "not complete"),
        ("header only", 52200, "not complete"),
        ("not a gguf", 52200, "not a GGUF"),
        ("empty", 52200, "empty"),
        ("missing", 52201, "not there"),
        ("unknown architecture", 52200, "architecture 'lmama'"),
    ],
)
async def test_bad_files_have_their_sentence(
    tmp_path: Path, small_model_path: Path, kind: str, code: int, words: str
) -> None:
    engine = LlamaEngine()
    with pytest.raises(ModelError) as raised:
        await engine.load(bad_file(tmp_path, small_model_path, kind), CONFIG)
    assert raised.value.code == code
    assert words in raised.value.message
    assert str(tmp_path) not in raised.value.message
    await engine.close()


async def test_devices_are_listed_by_a_process_of_their_own_and_used(small_model_path: Path) -> None:
    engine = LlamaEngine()
    devices = await engine.devices()
    assert any(device.kind == "cpu" and device.total_bytes > 0 for device in devices)
    (cpu,) = (device for device in devices if device.kind == "cpu")
    assert 0 < cpu.free_bytes < cpu.total_bytes, "what the system says, not what ggml does"
    model = await engine.load(small_model_path, ModelConfig(n_ctx=256, slots=1, device="gpu", threads=1))
    assert model.info.backend_device == ("gpu" if any(device.kind == "gpu" for device in devices) else "cpu")
    await engine.close()
