"""The Library page's presenter with a fake core: what is asked when, what events change, what a click means."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from qasync import QEventLoop

from app import words
from app.presenters import library_rows as rows
from app.presenters.library import FIND, HERE, NEAR, LibraryPresenter, Shown, kept_context
from qvac_core.core.library_state import DownloadState, Kind, MachineMemory, MoveState, Query, Verdict
from qvac_core.core.state import ErrorInfo
from qvac_core.errors import ModelError
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import FakeCore
from tests.gui.fake_library import GB, WORKSHOP
from tests.gui.library_scenes import GEMMA, QWEN_8B, WHISPER, library_core
from tests.gui.populated import NOON

Test = Callable[[LibraryPresenter], Awaitable[None]]
Run = Callable[[Test], None]
OFFLINE = ModelError("Hugging Face cannot be reached. Check the connection and try again.", name="OFFLINE")


@pytest.fixture
def full(fake_core: FakeCore) -> FakeCore:
    return library_core(fake_core)


@pytest.fixture
def opened(qloop: QEventLoop, proxy: DirectProxy, full: FakeCore) -> Run:
    """Run a test with a presenter whose page is open."""

    async def body(test: Test) -> None:
        presenter = LibraryPresenter(proxy, clock=lambda: NOON)
        await proxy.start()
        await presenter.load()
        presenter.opened()
        await presenter.tasks.settle()
        try:
            await test(presenter)
        finally:
            await presenter.close()
            await proxy.close()

    return lambda test: qloop.run_until_complete(body(test))


def _acts(presenter: LibraryPresenter) -> dict[str, str]:
    """What stands at the end of each row."""
    found = {}
    for row in rows.find_rows(presenter):
        last = row.cells[-1]
        found[row.cells[0].text] = last.text or last.button
    return found


def test_nothing_but_what_is_here_is_asked_before_somebody_looks(
    qloop: QEventLoop, proxy: DirectProxy, full: FakeCore
) -> None:
    async def body() -> None:
        presenter = LibraryPresenter(proxy)
        await proxy.start()
        await presenter.load()
        assert list(presenter.downloads) == [QWEN_8B, GEMMA, WHISPER] and len(presenter.models) == 8
        assert not full.called("library.search") and not full.called("library.look_around")
        presenter.opened()
        await presenter.tasks.settle()
        assert full.called("library.search") and full.called("library.look_around")
        assert not full.called("library.search_hub") and not full.called("library.look_up")
        await presenter.close()
        await proxy.close()

    qloop.run_until_complete(body())


def test_rows_say_what_a_model_is_what_it_needs_and_what_can_be_done(opened: Run) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        presenter.search("qwen3")
        await presenter.tasks.settle()
        presenter.choose("QWEN3_14B")
        shown = {row.cells[0].text: row for row in rows.find_rows(presenter)}
        first = shown["Qwen3 14B"]
        assert (first.cells[0].detail, first.cells[0].badge) == ("Q4_K_M, chat, thinks, tools", "beside you")
        assert [cell.text for cell in first.cells[1:]] == ["9.0 GB", "Apache 2.0", "fits, needs 10.4 GB", ""]
        assert shown["Qwen3 235B A22B"].cells[3].text == "needs 143 GB, this has 24"
        assert _acts(presenter) == {
            "Qwen3 0.6B": "Get",
            "Qwen3 1.7B": "Get",
            "Qwen3 4B": "here",
            "Qwen3 8B": "42%",
            "Qwen3 14B": "",  # its act stands in the detail
            "Qwen3 30B A3B": "Get",
            "Qwen3 32B": "Get",
            "Qwen3 235B A22B": "Get anyway…",
            "Qwen3 VL 8B": "Get",
            "Qwen3 Embedding 0.6B": "Get",
        }
        assert rows.find_foot(presenter) == "10 of 127 in the catalog."

    opened(test)


def test_another_context_is_another_fit_and_what_still_fits_is_said_with_its_number(opened: Run) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        presenter.search("qwen3 32b")
        presenter.choose_context(32_768)
        await presenter.tasks.settle()
        (row,) = rows.find_rows(presenter)
        assert row.cells[3].text == "only with 16k context: 22.2 GB"
        assert row.cells[3].icon == "triangle-alert" and row.cells[3].tone == "warn"
        assert "With 32k context it needs 24.4 GB" in row.cells[3].tooltip

    opened(test)


def test_another_size_of_a_row_is_what_it_shows_and_gets(opened: Run, full: FakeCore) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        presenter.search("qwen3 14b")
        await presenter.tasks.settle()
        presenter.choose("QWEN3_14B")
        presenter.choose_version("QWEN3_14B_Q8_0")
        (row,) = rows.find_rows(presenter)
        assert row.cells[1].text == "15.7 GB"
        presenter.get_fastest("QWEN3_14B")
        await presenter.tasks.settle()
        assert full.called("library.download") == [("QWEN3_14B_Q8_0", WORKSHOP.id, False)]
        assert _acts(presenter) == {"Qwen3 14B": "waits"}  # two others are on their way

    opened(test)


def test_the_newest_search_wins(opened: Run, full: FakeCore) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        gate = full.slow["library.search"] = asyncio.Event()
        presenter.search("gemma")
        await asyncio.sleep(0)
        presenter.search("whisper")
        await asyncio.sleep(0)
        gate.set()
        await presenter.tasks.settle()
        assert [entry.title for entry in presenter.entries] == ["Whisper large v3"]

    opened(test)


def test_kinds_and_what_fits_narrow_it_down(opened: Run, full: FakeCore) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        presenter.choose_kind(Kind.EMBED)
        await presenter.tasks.settle()
        assert [entry.title for entry in presenter.entries] == ["Qwen3 Embedding 0.6B"]
        presenter.choose_kind(None)
        presenter.choose_only_fits(True)
        await presenter.tasks.settle()
        assert all(entry.offered.fit.verdict is Verdict.FITS for entry in presenter.entries)
        asked = Query("", None, True, presenter.query.context_tokens)
        assert (asked,) in full.called("library.search")

    opened(test)


def test_a_neighbour_s_row_shows_its_models_alone(opened: Run) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        assert [(n.name, n.models) for n in presenter.neighbours] == [("Workshop PC", 1)]
        presenter.search("gemma")
        await presenter.tasks.settle()
        presenter.show_neighbour(WORKSHOP.id)
        await presenter.tasks.settle()
        assert [entry.title for entry in presenter.entries] == ["Qwen3 14B"]
        assert rows.find_foot(presenter) == "1 model can be copied from Workshop PC."
        presenter.back_to_catalog()
        await presenter.tasks.settle()
        assert len(presenter.entries) == 127

    opened(test)


def test_hugging_face_is_asked_only_by_hand_and_not_again_for_another_context(opened: Run, full: FakeCore) -> None:
    hub = tuple(replace(entry, id=f"hub/{entry.id}") for entry in full.library.catalog[:3])
    full.library.hub = hub

    async def test(presenter: LibraryPresenter) -> None:
        presenter.search_hub()
        await presenter.tasks.settle()
        assert [entry.id for entry in presenter.entries] == [entry.id for entry in hub]
        assert rows.find_foot(presenter) == "3 models at Hugging Face."
        presenter.choose(hub[0].id)
        await presenter.tasks.settle()
        assert full.called("library.look_up") == [(hub[0].id, 8192)]
        assert presenter.chosen is not None and presenter.chosen.exact
        before = presenter.chosen.offered.fit.needed_bytes
        presenter.choose_context(32_768)
        await presenter.tasks.settle()
        assert presenter.chosen.offered.fit.needed_bytes > before
        assert len(full.called("library.search_hub")) == 1 and len(full.called("library.look_up")) == 1
        presenter.search("qwen3")  # typing goes back to the catalog
        await presenter.tasks.settle()
        assert presenter.shown is Shown.CATALOG and len(presenter.entries) == 10

    opened(test)


def test_hugging_face_out_of_reach_says_so_and_loses_nothing(opened: Run, full: FakeCore) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        failed: list[tuple[str, ErrorInfo]] = []
        presenter.failed.connect(lambda place, error: failed.append((place, error)))
        presenter.search("qwen3")
        await presenter.tasks.settle()
        full.fail["library.search_hub"] = OFFLINE
        presenter.search_hub()
        await presenter.tasks.settle()
        assert [(place, error.message) for place, error in failed] == [(FIND, OFFLINE.message)]
        assert not presenter.searching and len(presenter.entries) == 10
        # As it was seen last, with its date.
        full.library.hub, full.library.hub_as_of = full.library.catalog[:1], NOON - 86_400
        presenter.search_hub()
        await presenter.tasks.settle()
        assert rows.find_foot(presenter) == "1 model at Hugging Face. As last seen yesterday."

    opened(test)


def test_an_address_is_looked_up_and_chosen(opened: Run, full: FakeCore) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        page = full.library.catalog[4].page
        presenter.look_up(f" {page}\n")
        await presenter.tasks.settle()
        assert presenter.shown is Shown.ADDRESS
        assert presenter.chosen is not None and presenter.chosen.title == "Qwen3 14B"
        failed: list[str] = []
        presenter.failed.connect(lambda _place, error: failed.append(error.message))
        presenter.look_up("https://huggingface.co/nobody/nothing")
        await presenter.tasks.settle()
        assert failed == ["Hugging Face has no such model (any more)."]
        assert presenter.chosen is not None and not presenter.searching

    opened(test)


# --- Downloads


def test_a_download_runs_is_checked_and_keeps_its_place_until_a_while_after(opened: Run, full: FakeCore) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        presenter.done_ms = 0
        progress = presenter.progress
        assert progress is not None and 0.6 < progress < 0.7
        full.library.advance(QWEN_8B, int(2.5 * GB))
        row = presenter.downloads[QWEN_8B]
        assert (rows.download_amount(row), rows.download_state(row)) == (
            "2.5 of 5.0 GB",
            "38 MB/s, about 1 min 5 s left",
        )
        full.library.check(QWEN_8B)
        assert rows.download_state(presenter.downloads[QWEN_8B]) == "Checking that every byte is right, 9 s"
        full.library.finish(QWEN_8B)
        assert list(presenter.downloads) == [QWEN_8B, GEMMA, WHISPER]
        while QWEN_8B in presenter.downloads:
            await asyncio.sleep(0.005)
        await presenter.tasks.settle()
        assert full.called("library.dismiss") == [(QWEN_8B,)]
        assert presenter.model(QWEN_8B) is not None
        presenter.search("qwen3 8b")
        await presenter.tasks.settle()
        assert _acts(presenter)["Qwen3 8B"] == "here"

    opened(test)


def test_pause_resume_and_cancel_go_to_the_core(opened: Run, full: FakeCore) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        presenter.pause(QWEN_8B)
        await presenter.tasks.settle()
        assert presenter.downloads[QWEN_8B].state is DownloadState.PAUSED
        assert rows.download_state(presenter.downloads[QWEN_8B]) == "Paused. Goes on from here, also after a restart"
        assert presenter.rate == 0.0
        presenter.resume_all()
        await presenter.tasks.settle()
        assert presenter.downloads[QWEN_8B].state is DownloadState.RUNNING
        assert presenter.downloads[GEMMA].state is DownloadState.QUEUED  # two at once
        presenter.pause_all()
        await presenter.tasks.settle()
        assert not presenter.any_moves and presenter.any_paused and presenter.progress is None
        presenter.cancel(GEMMA)
        await presenter.tasks.settle()
        assert GEMMA not in presenter.downloads

    opened(test)


def test_downloads_that_were_done_before_this_start_are_not_shown_again(
    qloop: QEventLoop, proxy: DirectProxy, full: FakeCore
) -> None:
    full.library.rows = (replace(full.library.rows[0], state=DownloadState.DONE), full.library.rows[1])

    async def body() -> None:
        presenter = LibraryPresenter(proxy)
        await proxy.start()
        await presenter.load()
        assert list(presenter.downloads) == [GEMMA]
        assert full.called("library.dismiss") == [(QWEN_8B,)]
        await presenter.close()
        await proxy.close()

    qloop.run_until_complete(body())


# --- Here, near, the folder


def test_what_is_here_says_when_it_was_used_and_who_would_miss_it(opened: Run, full: FakeCore) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        said = {model.title: rows.here_detail(model, NOON) for model in presenter.models}
        assert said["GPT-OSS 20B"] == "MXFP4, shared, used 5 min ago"
        assert said["Qwen3 4B"] == "Q4_K_M, answers here when others are away"
        assert said["Gemma 3 27B"] == "Q4_K_M, not used for 3 months"
        assert said["Whisper base"] == "never used"
        assert said["Llama 3.2 1B"] == "Q4_K_M, from LM Studio, never used"
        assert rows.here_hint(presenter.models) == "8 models, 42.6 GB"

    opened(test)


def test_models_are_removed_one_by_one_and_a_failure_names_its_model(opened: Run, full: FakeCore) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        failed: list[tuple[str, str]] = []
        presenter.failed.connect(lambda place, error: failed.append((place, error.title)))
        full.fail["library.remove"] = ModelError("Another program holds the file open.")
        presenter.remove(["Gemma 3 27B", "Phi 4 mini"])
        await presenter.tasks.settle()
        assert failed == [(HERE, "Gemma 3 27B was not removed.")]
        assert presenter.model("Phi 4 mini") is None and presenter.model("Gemma 3 27B") is not None

    opened(test)


def test_models_of_other_programs_are_used_where_they_lie(opened: Run, full: FakeCore) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        shown = rows.near_rows(presenter.usable_near, presenter.neighbours, set(), lambda _key: False)
        assert [(row.cells[0].text, row.cells[0].detail, row.cells[1].button) for row in shown] == [
            ("LM Studio", "3 models, 18.4 GB, used where they lie", "Use 3"),
            ("Ollama", "2 models, 9.6 GB, used where they lie", "Use 2"),
            ("Workshop PC", "beside you, 1 model may be copied", "Show 1"),
        ]
        presenter.use_found(["ollama"])
        assert presenter.busy_programs == set()
        await asyncio.sleep(0)
        await presenter.tasks.settle()
        assert [program.name for program in presenter.usable_near] == ["LM Studio"]
        failed: list[str] = []
        presenter.failed.connect(lambda place, _error: failed.append(place))
        full.fail["library.use_found"] = ModelError("phi.gguf is not whole.")
        presenter.use_found(["lm-studio"])
        await presenter.tasks.settle()
        assert failed == [NEAR] and presenter.busy_programs == set()

    opened(test)


def test_the_folder_moves_and_a_move_that_failed_says_why(opened: Run, full: FakeCore) -> None:
    async def test(presenter: LibraryPresenter) -> None:
        presenter.change_folder(Path("E:/Models"))
        await presenter.tasks.settle()
        assert presenter.folder is not None and presenter.folder.move is not None
        failed: list[str] = []
        presenter.failed.connect(lambda _place, error: failed.append(error.title))
        why = ErrorInfo("NO_ROOM", 0, "E:/Models has not enough room.", "Nothing was moved.")
        full.library.move_on(GB, state=MoveState.FAILED, error=why)
        assert failed == ["E:/Models has not enough room."]

    opened(test)


def test_a_library_that_cannot_be_read_is_said_and_the_window_opens(
    qloop: QEventLoop, proxy: DirectProxy, full: FakeCore
) -> None:
    full.fail["library.search"] = ModelError("The catalog is damaged.")

    async def body() -> None:
        presenter = LibraryPresenter(proxy)
        failed: list[str] = []
        presenter.failed.connect(lambda _place, error: failed.append(error.message))
        await proxy.start()
        await presenter.load()
        presenter.opened()
        await presenter.tasks.settle()
        assert failed == ["The catalog is damaged."]
        assert presenter.loaded and presenter.folder is not None
        await presenter.close()
        await proxy.close()

    qloop.run_until_complete(body())


# --- Words


def test_words() -> None:
    assert [kept_context(n) for n in (0, 100, 600, 3000, 8192, 10**6)] == [0, 0, 512, 2048, 8192, 131_072]
    assert [rows.about_duration(n) for n in (1, 33, 91, 236, 4000)] == [
        "5 s",
        "35 s",
        "1 min 30 s",
        "4 min",
        "1 h 7 min",
    ]
    assert rows.machine_words(MachineMemory(16 * GB, 8 * GB)) == "This machine, 16 GB of memory"
    assert rows.machine_words(MachineMemory(0, 0)) == "This machine"
    told = {"Apache-2.0": "Apache 2.0", "apache-2.0": "Apache 2.0", "mit": "MIT", "cc-by-4.0": "CC BY 4.0", "": ""}
    assert {licence: words.licence(licence) for licence in told} == told
    assert rows.column_size(0) == "–"
    assert [rows.column_size(int(n)) for n in (44e6, 98e6, 600e6, 9e9, 142e9)] == [
        "44 MB",
        "98 MB",
        "0.6 GB",
        "9.0 GB",
        "142 GB",
    ]
