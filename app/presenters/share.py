"""The Share tab's presenter: keeps what the core says about sharing, turns clicks into intents, failures into words.

Every list is asked for once at the start; afterwards the core's events keep it true.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.i18n import tr
from app.presenters.chat_directory import model_label
from app.presenters.identity import IdentityPresenter
from app.presenters.invite_list import InvitesPresenter
from app.presenters.limits_person import PersonPresenter
from app.presenters.model_options import OptionsPresenter
from app.presenters.share_gauges import GaugesPresenter
from app.presenters.share_log import LogPresenter
from app.presenters.share_manners import MannersPresenter
from app.tasks import Tasks
from qvac_core.core.interface import CoreInterface
from qvac_core.core.state import (
    AccessChanged,
    AccessKey,
    AccessMode,
    AccessRules,
    ActiveRequest,
    DownloadChanged,
    DownloadState,
    ErrorInfo,
    HistoryCleared,
    KeyLimits,
    Knock,
    KnocksChanged,
    LogEntry,
    Notice,
    Pause,
    PausesChanged,
    RequestEnded,
    RequestProgressed,
    RequestStarted,
    SharedModel,
    SharedModelsChanged,
    SharingChanged,
    SharingPhase,
    SharingState,
)
from qvac_core.errors import QvacError

NEWEST = 50  # requests that ended last
HOUR_GRANT = 1.0
GOES_ON = (DownloadState.QUEUED, DownloadState.RUNNING, DownloadState.CHECKING)

Intent = Callable[[CoreInterface], Coroutine[Any, Any, object]]


class SharePresenter(QObject):
    """Attributes are the state to render; each has its `…_changed`. `failed(place, ErrorInfo)`: where it happened is
    one of status, models, knock, access, running, log."""

    sharing_changed = Signal()
    models_changed = Signal()
    rules_changed = Signal()
    knocks_changed = Signal()
    running_changed = Signal()
    pauses_changed = Signal()
    log_changed = Signal()
    download_changed = Signal()
    failed = Signal(str, object)
    cleared = Signal(str)
    noticed = Signal(object)

    def __init__(
        self, core: CoreProxy, *, clock: Callable[[], float] = time.time, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._core = core
        self.clock = clock
        self.tasks = Tasks()
        self.sharing = SharingState()
        self.models: tuple[SharedModel, ...] = ()
        self.rules = AccessRules()
        self.knocks: tuple[Knock, ...] = ()
        self.running: dict[str, ActiveRequest] = {}
        self.stopping: set[str] = set()
        self.pauses: tuple[Pause, ...] = ()
        self.log: list[LogEntry] = []
        self.download: DownloadChanged | None = None
        self.announced_at = 0.0
        self.history = LogPresenter(core, self.tasks, clock=lambda: self.clock(), parent=self)
        self.manners = MannersPresenter(core, self.tasks, clock=lambda: self.clock(), parent=self)
        self.gauges = GaugesPresenter(core, self.tasks, self)
        self.options = OptionsPresenter(core, self.tasks, self)
        self.identity = IdentityPresenter(core, self.tasks, self)
        self._parts = (self.history, self.manners, self.options, self.identity)
        self.person = PersonPresenter(core, self, clock=lambda: self.clock(), parent=self)
        self.invites = InvitesPresenter(core, self, clock=lambda: self.clock(), parent=self)
        for part in self._parts:
            part.failed.connect(self.failed)
        core.core_event.connect(self._take)

    @property
    def public_key(self) -> str:
        return self._core.public_key

    @property
    def on(self) -> bool:
        """Whether the switch shows on: everything but off and on its way there."""
        return self.sharing.phase not in (SharingPhase.OFF, SharingPhase.STOPPING)

    @property
    def slots(self) -> int:
        return sum(model.slots for model in self.models if model.shared)

    @property
    def people_on(self) -> int:
        return max(self.sharing.peers, sum(key.connected for key in self.rules.keys))

    def name_of(self, public_key: str) -> str:
        """The owner's name for a key, or "" for a stranger's."""
        key = self.key_of(public_key)
        return key.name if key is not None else ""

    def label_of(self, model: str) -> str:
        """A model of the log or of a request, as people know it."""
        shared = next((shared for shared in self.models if shared.name == model), None)
        return shared.display_name if shared is not None and shared.display_name else model_label(model)

    def key_of(self, public_key: str) -> AccessKey | None:
        return next((key for key in self.rules.keys if key.public_key == public_key), None)

    # --- Life

    async def load(self) -> None:
        self._take_sharing(await self._core.call(lambda core: core.sharing()))
        self.models = await self._core.call(lambda core: core.shared_models())
        self.rules = await self._core.call(lambda core: core.access_rules())
        self.knocks = await self._core.call(lambda core: core.knocks())
        self.running = {r.id: r for r in await self._core.call(lambda core: core.active_requests())}
        self.pauses = await self._core.call(_pauses)
        for signal in (
            self.rules_changed,
            self.sharing_changed,
            self.models_changed,
            self.knocks_changed,
            self.running_changed,
            self.pauses_changed,
        ):
            signal.emit()
        self.log = list(await self._core.call(lambda core: core.request_log(NEWEST)))
        self.log_changed.emit()
        for part in self._parts:
            await part.load()
        await self.invites.load()

    async def close(self) -> None:
        await self.tasks.close()

    # --- Intents

    def set_sharing(self, on: bool) -> None:
        if on:
            self._do("status", tr("Sharing could not start."), lambda core: core.start_sharing(), self.sharing_changed)
        else:
            self._do(
                "status", tr("Sharing could not be stopped."), lambda core: core.stop_sharing(), self.sharing_changed
            )

    def try_again(self) -> None:
        """Announce anew after the network said no."""

        async def restart(core: CoreInterface) -> None:
            await core.stop_sharing()
            await core.start_sharing()

        self._do("status", tr("Sharing could not start."), restart, self.sharing_changed)

    def pause(self, until: float | None, *, cut: bool = False) -> None:
        """until: Unix seconds; None = until it is ended by hand. cut: what runs ends as well."""
        # It holds, and ends, whatever a disk that cannot keep it says: the titles tell what is true then.
        self._do("status", tr("Sharing is paused."), lambda core: core.pausing.pause(until, cut=cut))

    def resume(self) -> None:
        self._do("status", tr("Sharing goes on."), lambda core: core.pausing.resume())

    def free_models(self) -> None:
        self._do("models", tr("The GPU was not freed."), lambda core: core.free_models())

    def set_model_shared(self, name: str, shared: bool) -> None:
        title = tr("This model could not be shared.") if shared else tr("This model is still shared.")
        self._do("models", title, lambda core: core.set_model_shared(name, shared), self.models_changed)

    def set_model_copyable(self, name: str, copyable: bool) -> None:
        title = tr("Guests cannot copy this model.") if copyable else tr("Guests can still copy this model.")
        self._do("models", title, lambda core: core.copies.set_copyable(name, copyable))

    def add_model_file(self, path: Path) -> None:
        self._do("models", tr("{name} was not added.", name=path.name), lambda core: core.add_model_file(path))

    def get_small_model(self) -> None:
        if self.download is None:
            self.download = DownloadChanged("", 0, 0, 0.0)
            self.download_changed.emit()
            self._do("models", tr("The model was not downloaded."), lambda core: core.download_model("", share=True))

    def cancel_download(self) -> None:
        if self.download is not None:
            name = self.download.model
            self._do("models", tr("The download goes on."), lambda core: core.cancel_download(name))

    def set_mode(self, mode: AccessMode) -> None:
        self._do("access", tr("The rule was not changed."), lambda core: core.set_access_mode(mode), self.rules_changed)

    def set_knocks(self, enabled: bool) -> None:
        self._do("access", tr("The rule was not changed."), lambda core: core.set_knocks(enabled), self.rules_changed)

    def allow(
        self,
        public_key: str,
        name: str,
        *,
        hours: float | None = None,
        place: str = "access",
        limits: KeyLimits | None = None,
    ) -> None:
        """limits: from the first moment on; None = those it has."""

        async def allow(core: CoreInterface) -> None:
            if limits is None:
                await core.allow_key(public_key, name, hours=hours)
            else:
                await core.allow_key(public_key, name, hours=hours, limits=limits)

        self._do(place, tr("This key was not allowed."), allow)

    def block(self, public_key: str, place: str = "access", *, name: str = "") -> None:
        known = name or self.name_of(public_key)
        self._do(place, tr("This key was not blocked."), lambda core: core.block_key(public_key, known))

    def remove(self, public_key: str) -> None:
        self._do("access", tr("This key was not removed."), lambda core: core.remove_key(public_key))

    def rename(self, public_key: str, name: str) -> None:
        self._do("access", tr("The name was not changed."), lambda core: core.rename_key(public_key, name))

    def deny(self, public_key: str) -> None:
        self._do("knock", tr("The request is still open."), lambda core: core.dismiss_knock(public_key))

    def stop(self, request_id: str) -> None:
        if request_id in self.running and request_id not in self.stopping:
            self.stopping.add(request_id)
            self.running_changed.emit()
            self._do("running", tr("This request still runs."), lambda core: core.stop_request(request_id))

    def _do(self, place: str, title: str, ask: Intent, restore: object = None) -> None:
        """Run an intent. On failure say so at `place`, and emit `restore`, so that a switch shows the truth again."""
        self.cleared.emit(place)

        def failed(error: QvacError) -> None:
            if place == "models" and self.download is not None:
                self.download = None
                self.download_changed.emit()
            if place == "running":
                self.stopping.clear()
                self.running_changed.emit()
            self._fail(place, title, error)
            if restore is not None:
                restore.emit()  # type: ignore[attr-defined]

        self.tasks.start(self._core.call(ask), failed)

    def _fail(self, place: str, title: str, error: QvacError) -> None:
        self.failed.emit(place, ErrorInfo(error.name, error.code, title, error.message))

    # --- Events of the core

    def _take(self, event: object) -> None:
        match event:
            case SharingChanged():
                self._take_sharing(event.state)
                self.sharing_changed.emit()
            case SharedModelsChanged():
                self.models = event.models
                self.models_changed.emit()
            case AccessChanged():
                self.rules = event.rules
                self.rules_changed.emit()
            case KnocksChanged():
                self.knocks = event.knocks
                self.knocks_changed.emit()
            case RequestStarted() | RequestProgressed():
                # A progress report may overtake the end of its request in the core; the log knows better.
                if not any(entry.id == event.request.id for entry in self.log):
                    self.running[event.request.id] = event.request
                    self.running_changed.emit()
            case RequestEnded():
                self._end_request(event.entry)
            case HistoryCleared():
                self.log.clear()
                self.log_changed.emit()
            case PausesChanged():
                self.pauses = event.pauses
                self.pauses_changed.emit()
            case DownloadChanged():
                self._take_download(event)
            case Notice():
                self.noticed.emit(event)

    def _take_sharing(self, state: SharingState) -> None:
        """`since` is of the phase; people ask how long their key can be found, through every change of path."""
        if state.phase in (SharingPhase.ANNOUNCED, SharingPhase.REACHABLE):
            self.announced_at = self.announced_at or state.since
        elif state.phase not in (SharingPhase.LOCAL, SharingPhase.UNREACHABLE):
            self.announced_at = 0.0
        self.sharing = state

    def _end_request(self, entry: LogEntry) -> None:
        self.running.pop(entry.id, None)
        self.stopping.discard(entry.id)
        self.running_changed.emit()
        self.log = [entry, *self.log][:NEWEST]
        self.log_changed.emit()

    def _take_download(self, event: DownloadChanged) -> None:
        """One of them at a time, also of those that other pages began: the Library has them all."""
        shown = self.download
        mine = shown is None or shown.model in ("", event.model)
        if event.state in GOES_ON:
            self.download = event if mine else shown
        elif mine:
            self.download = None
        self.download_changed.emit()
        if event.error is not None and mine:
            self.failed.emit("models", event.error)


async def _pauses(core: CoreInterface) -> tuple[Pause, ...]:
    return core.pausing.pauses
