"""A machine of one's own as a window shows it: looked at again and again while that is open, and acted on."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from PySide6.QtCore import QObject, QTimer, Signal

from app import words
from app.bridge import CoreProxy
from app.core_words import told
from app.i18n import comma, later, listed, tongue, tr, trn
from app.key_words import group_key
from app.presenters.library_rows import download_amount, download_state
from app.presenters.share_rows import ENDINGS, METHODS, NameOf
from app.presenters.table_rows import Cell, Column, Row
from app.tasks import Tasks
from qvac_core.codec.key_text import short_key
from qvac_core.core.download_state import DownloadChanged, DownloadState
from qvac_core.core.error_text import describe
from qvac_core.core.my_machines_state import DownloadThere, MachineThere, ModelThere, RemoteAct, RequestThere
from qvac_core.core.state import ErrorInfo
from qvac_core.errors import QvacError

# Between two looks, in milliseconds: while something moves there, and else.
SOON, LATER = 1_000, 10_000

MODEL_COLUMNS = (
    Column(later("Model")),
    Column(later("Size"), 84, right=True),
    Column("", 96, spoken=later("Load or unload")),
    Column("", 40, spoken=later("Acts")),
)
MODEL_DROP = (1,)
LOG_COLUMNS = (
    Column(later("Time"), 142),
    Column(later("Who"), 140),
    Column(later("Model"), 160),
    Column(later("Ended")),
)
LOG_DROP = (1,)
FAILED = {
    RemoteAct.PAUSE: later("Sharing was not paused there."),
    RemoteAct.RESUME: later("Sharing was not resumed there."),
    RemoteAct.LOAD: later("The model was not loaded there."),
    RemoteAct.UNLOAD: later("The model was not unloaded there."),
    RemoteAct.DOWNLOAD: later("The download was not started there."),
    RemoteAct.CANCEL: later("The download was not cancelled there."),
    RemoteAct.REMOVE: later("The model was not removed there."),
}
NOT_SEEN = later("The machine could not be looked at.")


class MyMachinePresenter(QObject):
    """`changed`: `state` or `failure` is another one. `failed(ErrorInfo)`: an act was not done.

    state: as it was told last; None until then. failure: why it cannot be seen now.
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(
        self,
        core: CoreProxy,
        tasks: Tasks,
        public_key: str,
        name: str,
        name_of: NameOf,
        label_of: NameOf,
        *,
        clock: Callable[[], float] = time.time,
        parent: QObject | None = None,
    ) -> None:
        """tasks: of whoever owns this. name: the machine's; name_of: of keys, label_of: of models."""
        super().__init__(parent)
        self._core, self._tasks = core, tasks
        self.public_key, self.name = public_key, name
        self._name_of, self.label_of, self.clock = name_of, label_of, clock
        self.state: MachineThere | None = None
        self.failure: ErrorInfo | None = None
        self.log: tuple[RequestThere, ...] = ()
        self.log_wanted = False
        self._asked = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.look)

    # --- What is so

    @property
    def clause(self) -> tuple[str, str]:
        """In one line, and its tone."""
        state = self.state
        if self.failure is not None:
            return tr("{name} cannot be seen now.", name=self.name), "danger"
        if state is None:
            return tr("Asking {name}…", name=self.name), "text2"
        if not state.paused:
            return tr("It serves."), "accent"
        if state.paused_until is None:
            return tr("Sharing is paused there."), "warn"
        return tr("Sharing is paused there until {time}.", time=_when(state.paused_until, self.clock())), "warn"

    @property
    def facts(self) -> str:
        if self.state is None or self.failure is not None:
            return ""
        models = self.state.models
        loaded = sum(model.state == "loaded" for model in models)
        return listed(
            (
                trn("%n model", "%n models", len(models)),
                trn("%n of them loaded", "%n of them loaded", loaded),
            )
        )

    def model(self, name: str) -> ModelThere | None:
        models = self.state.models if self.state is not None else ()
        return next((model for model in models if model.name == name), None)

    def model_rows(self) -> list[Row]:
        return [_model_row(model, self.label_of) for model in (self.state.models if self.state is not None else ())]

    def log_rows(self) -> list[Row]:
        return [_log_row(place, one, self) for place, one in enumerate(self.log)]

    def who(self, public_key: str) -> str:
        if public_key == self._core.public_key:
            return tr("this machine")
        return self._name_of(public_key) or short_key(public_key)

    # --- Intents

    def look(self) -> None:
        self._act(RemoteAct.LOG if self.log_wanted else RemoteAct.LOOK)

    def want_log(self, wanted: bool) -> None:
        self.log_wanted = wanted
        if wanted:
            self.look()

    def pause(self, minutes: float | None) -> None:
        self._act(RemoteAct.PAUSE, minutes=minutes)

    def resume(self) -> None:
        self._act(RemoteAct.RESUME)

    def load(self, name: str) -> None:
        self._act(RemoteAct.LOAD, name)

    def unload(self, name: str) -> None:
        self._act(RemoteAct.UNLOAD, name)

    def download(self, name: str) -> None:
        if name.strip():
            self._act(RemoteAct.DOWNLOAD, name.strip())

    def cancel(self, name: str) -> None:
        self._act(RemoteAct.CANCEL, name)

    def remove(self, name: str) -> None:
        self._act(RemoteAct.REMOVE, name)

    def stop(self) -> None:
        """Nobody looks at it any more."""
        self._timer.stop()
        self._asked = -1

    def _act(self, act: RemoteAct, model: str = "", minutes: float | None = None) -> None:
        if self._asked < 0:
            return
        self._asked += 1
        asked = self._asked

        async def work() -> None:
            state = await self._core.call(lambda core: core.my_machines.act(self.public_key, act, model, minutes))
            if asked == self._asked:  # an older reply says how things stood before
                self._take(state, act)

        def fail(error: QvacError) -> None:
            if self._asked < 0:
                return
            said = describe(error)
            if act in FAILED:
                self.failed.emit(ErrorInfo(said.name, said.code, tr(FAILED[act]), told(said.message or said.title)))
            elif asked == self._asked:
                self.failure = ErrorInfo(said.name, said.code, tr(NOT_SEEN), told(said.message or said.title))
                self.changed.emit()
            self._timer.start(LATER)

        self._tasks.start(work(), fail)

    def _take(self, state: MachineThere, act: RemoteAct) -> None:
        self.state, self.failure = state, None
        if act is RemoteAct.LOG:
            self.log = state.log
        busy = state.busy or act in (RemoteAct.LOAD, RemoteAct.DOWNLOAD)
        self._timer.start(SOON if busy else LATER)
        self.changed.emit()


# --- Rows


def _model_row(model: ModelThere, label_of: NameOf) -> Row:
    name = label_of(model.name)
    state, tone = _model_state(model)
    where = tr("shared") if model.shared else tr("not shared")
    loaded = model.state == "loaded"
    act = tr("Unload") if loaded else tr("Load")
    said = tr("Unload {name}", name=name) if loaded else tr("Load {name}", name=name)
    idle = model.state in ("loaded", "idle")
    return Row(
        model.name,
        (
            Cell(name, detail=where + comma(), state=state, state_tone=tone),
            Cell(words.size(model.size_bytes) if model.size_bytes else "–", "text2"),
            Cell(button=act if idle else "", accessible=said if idle else state),
            Cell(menu=True, accessible=tr("Acts for {name}", name=name)),
        ),
        "\n".join(filter(None, (model.name, told(model.error)))),
    )


def _model_state(model: ModelThere) -> tuple[str, str]:
    if model.error and model.state == "idle":
        return tr("could not be loaded"), "danger"
    match model.state.partition(":")[0]:
        case "loaded":
            return tr("loaded"), "accent"
        case "loading":
            return tr("loading…"), "text2"
        case "away":
            return tr("server away"), "danger"
        case "failed":
            return tr("failed"), "danger"
        case _:
            return tr("on disk"), "text3"


def _log_row(place: int, one: RequestThere, presenter: MyMachinePresenter) -> Row:
    at = datetime.fromtimestamp(one.started_at) if one.started_at else None
    # Of one that failed its log tells no cause.
    causes = {"error": (tr("failed"), "circle-x", "danger"), "stopped": (tr("stopped"), "square", "text2")}
    ended, icon, tone = {**ENDINGS, **causes}.get(one.outcome, (one.outcome, "circle-x", "danger"))
    return Row(
        f"{place} {one.started_at} {one.public_key}",
        (
            Cell(
                f"{tongue().date(at, year=False)} {tongue().time(at)}" if at is not None else "–",
                "text2",
                tooltip=f"{at:%Y-%m-%d %H:%M:%S}" if at is not None else "",
            ),
            Cell(presenter.who(one.public_key), tooltip=group_key(one.public_key)),
            Cell(presenter.label_of(one.model) or one.method, "text2", tooltip=tr(METHODS.get(one.method, ""))),
            Cell(tr(ended), icon=icon, icon_tone=tone),
        ),
    )


def _as_here(one: DownloadThere) -> DownloadChanged:
    """As a download of this machine, whose words it gets."""
    assert one.state is not None
    return DownloadChanged(
        one.model, one.downloaded, one.total, one.rate, one.state, title=one.title, left_seconds=one.left_seconds
    )


def download_words(one: DownloadThere) -> tuple[str, str]:
    """How much has come, and what it does."""
    if one.state is None:
        return "", tr("downloading")
    if one.state is DownloadState.FAILED:
        return "", tr("failed: {reason}", reason=told(one.error)) if one.error else tr("failed")
    return download_amount(_as_here(one)), download_state(_as_here(one))


def _when(at: float, now: float) -> str:
    moment = datetime.fromtimestamp(at)
    same_day = moment.date() == datetime.fromtimestamp(now).date()
    return tongue().time(moment) if same_day else f"{tongue().date(moment, year=False)} {tongue().time(moment)}"
