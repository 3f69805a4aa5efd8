"""Downloads of the model library through a real core, from a hub on loopback: queue, pause, restart, kill, failures."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from qvac_core.core.library_sources import Offer
from qvac_core.core.library_state import DownloadChanged, DownloadState, LibraryChanged, SourceKind
from qvac_core.engines import download
from qvac_core.engines.download import part_path
from qvac_core.errors import ModelError
from tests.e2e.file_server import FileServer, file_server
from tests.e2e.library_core import address, model_file, opened, path_on_hub

ONE, TWO, THREE = (address(f"{name}.gguf") for name in ("one", "two", "three"))
S = DownloadState


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with file_server() as server:
        for number, name in enumerate(("one", "two", "three")):
            server.files[path_on_hub(f"{name}.gguf")] = model_file(number)
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setattr(download, "RETRY_DELAY", 0.01)
        yield server


async def test_a_download_is_queued_runs_and_is_shared(hub: FileServer, tmp_path: Path) -> None:
    async with opened(tmp_path) as library:
        await library.room.download(ONE, share=True)
        done = await library.state(ONE, S.DONE)
        states = [event.state for event in library.events if isinstance(event, DownloadChanged)]
        assert states[:2] == [S.QUEUED, S.RUNNING] and states[-2:] == [S.CHECKING, S.DONE]
        assert (done.title, done.source, done.downloaded, done.total) == (
            "one",
            "Hugging Face",
            len(model_file(0)),
            len(model_file(0)),
        )
        (model,) = await library.room.models()
        assert (model.name, model.shared, model.ours, model.size_bytes) == ("one", True, True, len(model_file(0)))
        assert model.stands_in and model.last_used is None and model.native_context > 0
        await library.until(LibraryChanged, lambda event: event.models == (model,))
        assert [row.state for row in await library.room.downloads()] == [S.DONE]
        await library.room.dismiss(ONE)
        assert await library.room.downloads() == ()
    async with opened(tmp_path) as library:
        assert await library.room.downloads() == ()
        assert [model.name for model in await library.room.models()] == ["one"]


async def test_pause_keeps_what_came_and_resume_goes_on(hub: FileServer, tmp_path: Path) -> None:
    hub.gate.clear()
    async with opened(tmp_path) as library:
        await library.room.download(ONE)
        await library.until(DownloadChanged, lambda event: event.downloaded > 0)
        await library.room.pause(ONE)
        paused = await library.state(ONE, S.PAUSED)
        assert paused.rate == 0 and paused.left_seconds is None and not paused.moves
        kept = part_path(tmp_path / "models", ONE).stat().st_size
        assert 0 < kept < len(model_file(0))
        hub.gate.set()
        hub.requests.clear()
        await library.room.resume(ONE)
        await library.state(ONE, S.DONE)
        assert [asked for path, asked in hub.requests if path.startswith("/store")] == [f"bytes={kept}-"]


async def test_at_most_so_many_at_once_and_the_others_in_their_order(hub: FileServer, tmp_path: Path) -> None:
    hub.gate.clear()
    async with opened(tmp_path) as library:
        for model in (ONE, TWO, THREE):
            await library.room.download(model)
        await library.state(TWO, S.RUNNING)
        assert [row.state for row in await library.room.downloads()] == [S.RUNNING, S.RUNNING, S.QUEUED]
        await library.core.set_setting("library.downloads_at_once", "3")
        await library.state(THREE, S.RUNNING)
        await library.core.set_setting("library.downloads_at_once", "")
        await library.room.pause(THREE)
        await library.room.resume(THREE)
        assert (await library.room.downloads())[2].state is S.QUEUED
        library.events.clear()
        await library.room.pause(ONE)
        await library.state(THREE, S.RUNNING)
        await library.room.pause_all()
        assert [row.state for row in await library.room.downloads()] == [S.PAUSED] * 3
        await library.core.set_setting("library.downloads_at_once", "1")
        hub.gate.set()
        await library.room.resume_all()
        for model in (ONE, TWO, THREE):
            await library.state(model, S.DONE)
        moving = most = 0
        states: dict[str, bool] = {}
        for event in library.events[library.events.index(await library.state(THREE, S.PAUSED)) :]:
            if isinstance(event, DownloadChanged):
                states[event.model] = event.moves
                moving = sum(states.values())
                most = max(most, moving)
        assert most == 1


async def test_a_restart_goes_on_and_what_was_paused_stays_so(hub: FileServer, tmp_path: Path) -> None:
    hub.gate.clear()
    async with opened(tmp_path) as library:
        await library.room.download(ONE, share=True)
        await library.room.download(TWO)
        await library.until(DownloadChanged, lambda event: event.model == ONE and event.downloaded > 0)
        await library.room.pause(TWO)
    hub.gate.set()
    async with opened(tmp_path, go_on=False) as library:  # a verb of the command line: it fetches nothing by itself
        assert [row.state for row in await library.room.downloads()] == [S.PAUSED, S.PAUSED]
        assert (await library.room.downloads())[0].downloaded > 0
    async with opened(tmp_path) as library:
        await library.state(ONE, S.DONE)
        assert [row.state for row in await library.room.downloads()] == [S.DONE, S.PAUSED]
        (model,) = await library.room.models()
        assert model.shared, "as it was asked for before the restart"


KILLED = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from tests.e2e.library_core import opened
    from qvac_core.core.library_state import DownloadChanged

    async def main():
        async with opened(Path(sys.argv[1])) as library:
            await library.room.download(sys.argv[2])
            await library.until(DownloadChanged, lambda event: event.downloaded > 0)
            print("some came", flush=True)
            await asyncio.Event().wait()

    asyncio.run(main())
    """
)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
async def test_a_killed_process_loses_nothing(hub: FileServer, tmp_path: Path) -> None:
    hub.gate.clear()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), ONE], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"some came\n"
        process.kill()
    kept = part_path(tmp_path / "models", ONE).stat().st_size
    assert 0 < kept < len(model_file(0))
    hub.gate.set()
    hub.requests.clear()

    async with opened(tmp_path) as library:
        await library.state(ONE, S.DONE)
        (model,) = await library.room.models()
        assert model.sha256 == hashlib.sha256(model_file(0)).hexdigest()
        assert [asked for path, asked in hub.requests if path.startswith("/store")] == [f"bytes={kept}-"]


async def test_cancel_takes_away_what_came(hub: FileServer, tmp_path: Path) -> None:
    hub.gate.clear()
    async with opened(tmp_path) as library:
        await library.room.download(ONE)
        await library.until(DownloadChanged, lambda event: event.downloaded > 0)
        assert (await library.room.folder()).part_bytes > 0
        await library.room.cancel(ONE)
        assert (await library.state(ONE, S.CANCELLED)).ended
        assert await library.room.downloads() == ()
        assert not list((tmp_path / "models").glob("*.part"))
        with pytest.raises(ModelError, match="no such download"):
            await library.room.resume(ONE)
    async with opened(tmp_path) as library:
        assert await library.room.downloads() == ()


async def test_a_wrong_checksum_says_what_to_do_and_can_be_tried_again(hub: FileServer, tmp_path: Path) -> None:
    hub.linked_sha256 = "0" * 64
    async with opened(tmp_path) as library:
        await library.room.download(ONE)
        failed = await library.state(ONE, S.FAILED)
        assert failed.error is not None and failed.error.name == "CHECKSUM_VALIDATION_FAILED"
        assert "another source" in failed.error.message and failed.downloaded == 0
        assert await library.room.models() == ()
        hub.linked_sha256 = ""
        await library.room.resume(ONE)
        assert (await library.state(ONE, S.DONE)).error is None


async def test_a_changed_file_is_not_put_together_with_what_came(hub: FileServer, tmp_path: Path) -> None:
    hub.linked_etag, hub.etag = False, '"first"'
    hub.gate.clear()
    async with opened(tmp_path) as library:
        await library.room.download(ONE)
        await library.until(DownloadChanged, lambda event: event.downloaded > 0)
        await library.room.pause(ONE)
        hub.files[path_on_hub("one.gguf")], hub.etag = model_file(7), '"second"'
        hub.gate.set()
        await library.room.resume(ONE)
        await library.state(ONE, S.DONE)
        (model,) = await library.room.models()
        assert model.path.read_bytes() == model_file(7)


async def test_a_full_disk_tells_how_much_is_missing(
    hub: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=real.total, used=0, free=1000))
    async with opened(tmp_path) as library:
        await library.room.download(ONE)
        failed = await library.state(ONE, S.FAILED)
        assert failed.error is not None and failed.error.name == "DISK_FULL"
        assert failed.needed_bytes == len(model_file(0))
        monkeypatch.undo()
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        await library.room.resume(ONE)
        await library.state(ONE, S.DONE)


async def test_without_a_network_it_says_so_over_a_restart(
    hub: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    async with opened(tmp_path) as library:
        await library.room.download(ONE)
        failed = await library.state(ONE, S.FAILED)
        assert failed.error is not None and "could not be reached" in failed.error.title
    async with opened(tmp_path) as library:
        (row,) = await library.room.downloads()
        assert row.state is S.FAILED and row.error == failed.error


async def test_it_goes_on_by_itself_when_the_network_is_back(
    hub: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    async with opened(tmp_path) as library:
        await library.room.download(ONE)
        await library.state(ONE, S.FAILED)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        library.core.library.network_changed()
        await library.state(ONE, S.DONE)
        assert library.core.library.downloads_queue.rates.keys() <= {""}


async def test_what_nobody_has_is_refused_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as library:
        with pytest.raises(ModelError, match="no model of this name"):
            await library.room.download("NO_SUCH_MODEL")
        with pytest.raises(ModelError, match="https only"):
            await library.room.download("http://example.com/a.gguf")
        assert await library.room.downloads() == ()


async def test_two_front_doors_ask_for_one_download(hub: FileServer, tmp_path: Path) -> None:
    hub.gate.clear()
    async with opened(tmp_path) as library:
        asked = asyncio.create_task(library.core.download_model(ONE))
        await library.until(DownloadChanged, lambda event: event.downloaded > 0)
        await library.room.download(ONE.replace("resolve", "blob"), share=True)
        assert len(await library.room.downloads()) == 1
        await library.core.cancel_download(ONE)
        with pytest.raises(ModelError) as cancelled:
            await asked
        assert cancelled.value.name == "DOWNLOAD_CANCELLED"
        assert (await library.room.downloads())[0].state is S.PAUSED, "what has come is kept, and seen"
        hub.gate.set()
        await library.core.download_model(ONE)
        assert [model.shared for model in await library.room.models()] == [True]


class Workshop:
    """A machine beside this one. `cut`: bytes after which it stops sending."""

    def __init__(self, data: bytes, name: str = "one.gguf") -> None:
        self.data = data
        self.offer = Offer("ab" * 32, "Workshop PC", hashlib.sha256(data).hexdigest(), len(data), name, 50e6)
        self.cut: int | None = None
        self.asked: list[int] = []

    def offers(self) -> Sequence[Offer]:
        return (self.offer,)

    async def copy(self, provider_key: str, sha256: str, offset: int) -> AsyncGenerator[bytes, None]:
        assert (provider_key, sha256) == (self.offer.provider_key, self.offer.sha256)
        self.asked.append(offset)
        for start in range(offset, self.cut or len(self.data), 100_000):
            yield self.data[start : min(start + 100_000, self.cut or len(self.data))]


async def test_a_copy_from_the_machine_beside_this_one_and_the_rest_from_the_hub(
    hub: FileServer, tmp_path: Path
) -> None:
    workshop = Workshop(model_file(0))
    workshop.cut = 1_000_000
    async with opened(tmp_path) as library:
        library.core.library.neighbours.connect(workshop)
        await library.room.download(ONE, source=workshop.offer.provider_key)
        failed = await library.state(ONE, S.FAILED)
        assert failed.source == "Workshop PC" and failed.error is not None and failed.downloaded == 1_000_000
        hub.requests.clear()
        await library.room.resume(ONE, source="")
        assert (await library.state(ONE, S.DONE)).source == "Hugging Face"
        assert [asked for path, asked in hub.requests if path.startswith("/store")] == ["bytes=1000000-"]


async def test_a_model_without_an_address_is_copied_whole(tmp_path: Path) -> None:
    workshop = Workshop(model_file(3), "my-own-Q4_K_M.gguf")
    async with opened(tmp_path) as library:
        library.core.library.neighbours.connect(workshop)
        from qvac_core.core.library_state import Query

        (entry,) = (await library.room.search(Query("my own"))).entries
        (version,) = entry.versions
        assert [source.kind for source in version.sources] == [SourceKind.NEIGHBOUR]
        assert version.sources[0].seconds == pytest.approx(len(workshop.data) / 50e6)
        await library.room.download(version.id, source=workshop.offer.provider_key)
        await library.state(version.id, S.DONE)
        (model,) = await library.room.models()
        assert model.sha256 == workshop.offer.sha256 and workshop.asked == [0]


@pytest.mark.parametrize("act", ["cancel", "resume"])
async def test_who_acts_while_a_failure_is_looked_at_is_obeyed(hub: FileServer, tmp_path: Path, act: str) -> None:
    content = hub.files.pop(path_on_hub("one.gguf"))

    async with opened(tmp_path) as library:
        models = library.core.library.downloads_queue._library
        looking, seen, real = threading.Event(), threading.Event(), models.left_of

        def look(name_or_source: str) -> int:
            looking.set()
            seen.wait(60)
            return real(name_or_source)

        models.left_of = look  # type: ignore[method-assign]
        await library.room.download(ONE)
        await asyncio.to_thread(looking.wait, 60)
        hub.files[path_on_hub("one.gguf")] = content
        await (library.room.cancel(ONE) if act == "cancel" else library.room.resume(ONE))
        seen.set()
        if act == "resume":
            await library.state(ONE, S.DONE)
        await library.room.download(TWO)
        await library.state(TWO, S.DONE)
        told = [e.state for e in library.events if isinstance(e, DownloadChanged) and e.model == ONE]
        assert S.FAILED not in told
    async with opened(tmp_path) as library:
        assert await library.room.downloads() == ()


def test_nothing_is_left_running(hub: FileServer, tmp_path: Path) -> None:
    before = threading.active_count()

    async def main() -> None:
        hub.gate.clear()
        async with opened(tmp_path) as library:
            await library.room.download(ONE)
            await library.until(DownloadChanged, lambda event: event.downloaded > 0)

    asyncio.run(main())
    hub.gate.set()
    assert threading.active_count() <= before + 1  # the server's own, of the answer that broke off
