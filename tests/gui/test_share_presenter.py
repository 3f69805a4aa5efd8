"""The Share presenter with a fake core: state follows events, clicks become intents, failures are said in place."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from qasync import QEventLoop

from app.presenters import share_rows
from app.presenters.share import SharePresenter
from app.presenters.table_rows import Cell
from qvac_core.core.state import (
    AccessMode,
    AccessRules,
    ActiveRequest,
    DownloadChanged,
    DownloadState,
    ErrorInfo,
    LogEntry,
    Notice,
    RequestProgressed,
    SharedModel,
    SharingPhase,
    SharingState,
)
from qvac_core.engines.llama_engine import CRASHED
from qvac_core.errors import ModelError, NetworkError, StoreError
from tests.gui import populated
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import NOW, FakeCore
from tests.gui.populated import NOON, READING, STRANGER, STUDIO, populate


@pytest.fixture
def share(proxy: DirectProxy, fake_core: FakeCore) -> SharePresenter:
    populate(fake_core)
    return SharePresenter(proxy, clock=lambda: NOON)


def run(qloop: QEventLoop, share: SharePresenter, proxy: DirectProxy, *acts: object) -> None:
    """Load, do each act in turn and let it end, close."""

    async def main() -> None:
        await proxy.start()
        await share.load()
        for act in acts:
            act()  # type: ignore[operator]
            await share.tasks.settle()
        await share.close()
        await proxy.close()

    qloop.run_until_complete(main())


def test_it_loads_everything_the_core_knows(qloop: QEventLoop, share: SharePresenter, proxy: DirectProxy) -> None:
    run(qloop, share, proxy)
    assert share.on
    assert share.people_on == 2
    assert share.slots == 7
    assert len(share.models) == 4
    assert list(share.running) == ["r1", "r2"]
    assert len(share.log) == 7
    assert share.name_of(STUDIO) == "Studio laptop"
    assert share.name_of(STRANGER) == ""


def test_intents_reach_the_core(
    qloop: QEventLoop, share: SharePresenter, proxy: DirectProxy, fake_core: FakeCore
) -> None:
    run(
        qloop,
        share,
        proxy,
        lambda: share.set_sharing(False),
        lambda: share.set_sharing(True),
        lambda: share.set_model_shared("gemma", True),
        lambda: share.add_model_file(Path("/tmp/x.gguf")),
        lambda: share.set_mode(AccessMode.DENY),
        lambda: share.set_knocks(False),
        lambda: share.allow(STRANGER, "New laptop", hours=1.0, place="knock"),
        lambda: share.rename(STUDIO, "Big laptop"),
        lambda: share.block(READING),
        lambda: share.remove(STUDIO),
        lambda: share.stop("r1"),
        share.history.clear,
    )
    ignored = {"start", "close", "request_log"}
    assert [call for call in fake_core.calls if call[0] not in ignored] == [
        ("stop_sharing",),
        ("start_sharing",),
        ("set_model_shared", "gemma", True),
        ("add_model_file", Path("/tmp/x.gguf")),
        ("set_access_mode", AccessMode.DENY),
        ("set_knocks", False),
        ("allow_key", STRANGER, "New laptop", 1.0),
        ("rename_key", STUDIO, "Big laptop"),
        ("block_key", READING, "Reading room"),
        ("remove_key", STUDIO),
        ("stop_request", "r1"),
        ("clear_log",),
    ]
    assert share.knocks == ()
    assert share.log == []
    assert share.rules.mode is AccessMode.DENY
    assert {key.name for key in share.rules.keys} == {"Reading room", "Workshop PC", "Media lab", "New laptop"}


def test_a_failed_intent_is_said_where_it_happened_and_the_switch_tells_the_truth(
    qloop: QEventLoop, share: SharePresenter, proxy: DirectProxy, fake_core: FakeCore
) -> None:
    said: list[tuple[str, ErrorInfo]] = []
    repaints: list[str] = []
    share.failed.connect(lambda place, error: said.append((place, error)))
    share.sharing_changed.connect(lambda: repaints.append("sharing"))
    fake_core.fail["stop_sharing"] = NetworkError("The network did not answer.", name="REQUEST_TIMEOUT")
    run(qloop, share, proxy, repaints.clear, lambda: share.set_sharing(False))
    assert said == [
        ("status", ErrorInfo("REQUEST_TIMEOUT", 0, "Sharing could not be stopped.", "The network did not answer."))
    ]
    assert repaints == ["sharing"]
    assert share.on


def test_stop_says_stopping_until_the_core_ended_it(
    qloop: QEventLoop, share: SharePresenter, proxy: DirectProxy, fake_core: FakeCore
) -> None:
    gate = fake_core.slow["stop_request"] = asyncio.Event()

    async def main() -> None:
        await proxy.start()
        await share.load()
        share.stop("r1")
        share.stop("r1")
        await asyncio.sleep(0)
        assert share.stopping == {"r1"}
        gate.set()
        await share.tasks.settle()
        assert share.stopping == set()
        assert list(share.running) == ["r2"]
        assert share.log[0].id == "r1"
        assert share.log[0].outcome == "stopped"
        await share.close()
        await proxy.close()

    qloop.run_until_complete(main())
    assert fake_core.called("stop_request") == [("r1",)]


def test_a_stop_that_failed_can_be_asked_again(
    qloop: QEventLoop, share: SharePresenter, proxy: DirectProxy, fake_core: FakeCore
) -> None:
    fake_core.fail["stop_request"] = StoreError("The log could not be written.")
    run(qloop, share, proxy, lambda: share.stop("r1"), lambda: share.stop("r1"))
    assert fake_core.called("stop_request") == [("r1",), ("r1",)]


def test_progress_after_the_end_brings_nothing_back(
    qloop: QEventLoop, share: SharePresenter, proxy: DirectProxy, fake_core: FakeCore
) -> None:
    request = fake_core.requests[0] if fake_core.requests else populated.populate(FakeCore()).requests[0]

    def late() -> None:
        fake_core.end_request("r1", "eos")
        fake_core.emit(RequestProgressed(request))

    run(qloop, share, proxy, late)
    assert list(share.running) == ["r2"]


def test_a_download_shows_and_ends(qloop: QEventLoop, proxy: DirectProxy, fake_core: FakeCore) -> None:
    share = SharePresenter(proxy, clock=lambda: NOW)
    seen: list[DownloadChanged | None] = []
    share.download_changed.connect(lambda: seen.append(share.download))
    run(qloop, share, proxy, share.get_small_model)
    amounts = [None if download is None else download.downloaded for download in seen]
    assert amounts == [0, 49_000_000, None]
    assert [(model.name, model.shared) for model in share.models] == [("SMOLLM2_135M_INST_Q4_1", True)]


def test_one_of_several_downloads_is_shown_until_it_stops(
    qloop: QEventLoop, proxy: DirectProxy, fake_core: FakeCore
) -> None:
    share = SharePresenter(proxy, clock=lambda: NOW)
    failed: list[str] = []
    share.failed.connect(lambda place, _error: failed.append(place))
    error = ErrorInfo("OFFLINE", 0, "The connection ended.", "")

    def shown() -> str:
        return share.download.model if share.download is not None else ""

    def several() -> None:
        fake_core.emit(DownloadChanged("a", 1, 10, 1.0))
        fake_core.emit(DownloadChanged("b", 2, 10, 1.0))
        assert shown() == "a"
        fake_core.emit(DownloadChanged("b", 2, 10, 0.0, DownloadState.FAILED, error))
        assert failed == [] and shown() == "a"
        fake_core.emit(DownloadChanged("a", 1, 10, 0.0, DownloadState.PAUSED))
        assert shown() == ""
        fake_core.emit(DownloadChanged("a", 1, 10, 0.0, DownloadState.FAILED, error))

    run(qloop, share, proxy, several)
    assert failed == ["models"]


def test_a_download_that_fails_is_said_and_can_be_tried_again(
    qloop: QEventLoop, proxy: DirectProxy, fake_core: FakeCore
) -> None:
    share = SharePresenter(proxy, clock=lambda: NOW)
    said: list[str] = []
    share.failed.connect(lambda place, error: said.append(f"{place}: {error.message}"))
    fake_core.fail["download_model"] = ModelError("The file's checksum is wrong.")
    run(qloop, share, proxy, share.get_small_model, share.get_small_model)
    assert said == ["models: The file's checksum is wrong."]
    assert share.download is None
    assert len(share.models) == 1


def test_notices_are_handed_on(
    qloop: QEventLoop, share: SharePresenter, proxy: DirectProxy, fake_core: FakeCore
) -> None:
    heard: list[Notice] = []
    share.noticed.connect(heard.append)
    notice = Notice("Another machine answers for your key.", "Give this one a new identity.")
    run(qloop, share, proxy, lambda: fake_core.emit(notice))
    assert heard == [notice]


# --- The line that is always true


def phases(now: float, *states: SharingState) -> float:
    presenter = SharePresenter(DirectProxy(FakeCore()), clock=lambda: now)
    for state in states:
        presenter._take_sharing(state)
    return presenter.announced_at


def test_announced_counts_from_the_announcement_not_from_the_last_path(qloop: QEventLoop) -> None:
    announced = SharingState(SharingPhase.ANNOUNCED, 10.0)
    reached = SharingState(SharingPhase.REACHABLE, 50.0, path="direct")
    lost = SharingState(SharingPhase.UNREACHABLE, 60.0)
    assert phases(100, announced, reached) == 10.0
    assert phases(100, announced, lost, reached) == 10.0
    assert phases(100, announced, SharingState(SharingPhase.OFF), reached) == 50.0


@pytest.mark.parametrize("phase", list(SharingPhase))
def test_every_phase_has_a_sentence(phase: SharingPhase) -> None:
    icon, clause, facts, tone = share_rows.status(SharingState(phase, NOON - 65), NOON - 65, 2, 1, NOON)
    assert icon
    assert tone in ("accent", "text2", "danger")
    assert clause.endswith(".")
    assert facts.endswith(".")


def test_what_the_line_says() -> None:
    def line(state: SharingState, people: int = 0, models: int = 1) -> str:
        _icon, clause, facts, _tone = share_rows.status(state, NOON - 65, people, models, NOON)
        return f"{clause} {facts}"

    hole = SharingState(SharingPhase.REACHABLE, NOON - 5, path="holepunch", peers=2)
    assert line(hole, 2) == "Reachable by hole punching. Announced 1 min ago, 2 people connected."
    relay = SharingState(SharingPhase.REACHABLE, NOON - 5, path="relay", peers=1)
    assert line(relay, 1).startswith("Reachable by relay only. Announced 1 min ago, 1 person connected.")
    announced = SharingState(SharingPhase.ANNOUNCED, NOON - 65)
    assert line(announced, models=0).endswith("nobody connected. No model is shared yet.")
    twins = replace(hole, detail="Another machine shares under the same key.")
    assert line(twins, 2).endswith("2 people connected. Another machine shares under the same key.")
    offline = SharingState(SharingPhase.UNREACHABLE, NOON, "This machine has no network.")
    assert line(offline) == "Not reachable. This machine has no network."


# --- Rows


def test_rows_of_models_say_how_they_stand() -> None:
    states = [
        SharedModel(name, name, "Q4_0", 1, 2, 4096, 2, shared, state)
        for name, shared, state in (
            ("a", True, "loaded"),
            ("b", True, "idle"),
            ("c", False, "idle"),
            ("d", True, "failed: out of memory"),
        )
    ]
    rows = share_rows.model_rows(states)
    assert [(row.cells[0].switch, row.cells[1].state, row.cells[1].state_tone) for row in rows] == [
        (True, "loaded", "accent"),
        (True, "loads when asked", "text3"),
        (False, "not shared", "text3"),
        (True, "failed: out of memory", "danger"),
    ]
    assert rows[0].cells[0].accessible == "Share a"
    embed = SharedModel("e", "E5 small", "Q8_0", 1, 2, 4096, 2, False, "idle", "embed")
    (row,) = share_rows.model_rows([embed])
    assert row.cells[0].switch is False
    assert row.cells[1].accessible == "E5 small, Q8_0, for embeddings, not shared"
    assert [cell.text for cell in row.cells[3:5]] == ["–", "–"]
    missing = "Part 2 of 2 is missing. Put f-00002-of-00002.gguf into the folder of the other parts."
    (row,) = share_rows.model_rows([SharedModel("f", "f", "", 0, 0, 0, 0, False, f"failed: {missing}", "")])
    assert row.cells[0].switch is None
    assert (row.cells[1].state, row.cells[1].state_tone) == ("Part 2 of 2 is missing.", "danger")
    assert missing in row.tooltip and missing in row.cells[1].accessible
    assert [cell.text for cell in row.cells[2:5]] == ["–", "–", "–"]


def test_rows_of_keys() -> None:
    rules = AccessRules(keys=populated.keys())
    rows = {row.cells[0].text: row.cells for row in share_rows.access_rows(rules, NOON)}
    texts = {name: [cell.text for cell in cells[1:6]] for name, cells in rows.items()}
    assert texts["Studio laptop"] == ["cf6c 88ea … 9642", "41k of 200k", "2", "never", "now"]
    assert texts["Media lab"][3:] == ["in 3 h", "Friday"]
    assert rows["Media lab"][4].tone == "warn"
    assert rows["Reading room"][2].fraction == pytest.approx(0.865)


def test_the_blocked_come_last_or_first_as_the_mode_asks() -> None:
    keys = populated.keys()
    mixed = (replace(keys[0], blocked=True), keys[1])
    for mode, first in ((AccessMode.ALLOW, "Reading room"), (AccessMode.DENY, "Studio laptop")):
        rows = share_rows.access_rows(AccessRules(mode, True, mixed), NOON)
        assert rows[0].cells[0].text == first
    blocked = next(row for row in rows if row.cells[0].text == "Studio laptop")
    assert (blocked.cells[2].text, blocked.cells[2].icon) == ("blocked", "ban")


def test_rows_of_requests_and_log_name_people_or_shorten_keys() -> None:
    request = ActiveRequest("r", STRANGER, "completionStream", "m", NOON - 9, 12, 0.0)
    row = share_rows.running_rows([request], set(), lambda _key: "", NOON)[0]
    assert [cell.text for cell in row.cells[:5]] == ["8aca 4f36 … 92fb", "m", "12 tokens", "reading…", "9 s"]
    assert row.cells[5] == Cell(button="Stop", button_icon="square", accessible="Stop request of 8aca 4f36 … 92fb")
    assert share_rows.running_rows([request], {"r"}, lambda _key: "", NOON)[0].cells[5].text == "Stopping…"
    ends = [row.cells[5].text for row in share_rows.log_rows(populated.log(), lambda _key: "X", NOON)]
    assert ends == ["done", "guest stopped it", "length reached", "done", "memory was full", "done", "guest left"]


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("QVAC Desktop ended before the request did.", "restart"),
        ("The conversation has 15725 tokens and this model was loaded with room for 4096.", "longer than the context"),
        (CRASHED, "model process ended"),
        ("memory was full", "memory was full"),
    ],
)
def test_a_long_cause_has_a_short_form_in_the_log_and_its_sentence_beside_it(sentence: str, shown: str) -> None:
    entry = LogEntry("log", STRANGER, "completionStream", "m", NOON, 0.0, 0, 0, "error", sentence)
    cell = share_rows.log_rows([entry], lambda _key: "X", NOON)[0].cells[5]
    assert (cell.text, cell.tooltip) == (shown, sentence)


def test_an_answer_that_a_limit_stopped_says_which_in_its_cell() -> None:
    sentence = "Its tokens for today were used up."
    entry = LogEntry("log", STRANGER, "completionStream", "m", NOON, 0.0, 0, 0, "stopped", sentence)
    cell = share_rows.log_rows([entry], lambda _key: "X", NOON)[0].cells[5]
    assert (cell.text, cell.tooltip) == ("limit of the day reached", sentence)
