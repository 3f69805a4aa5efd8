"""Servers of other programs whose models this machine offers, as the core has them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.core_words import told
from app.i18n import listed, tr, trn
from app.tasks import Tasks
from app.words import context
from qvac_core.core.error_text import describe
from qvac_core.core.model_servers_state import ModelAtServer, ModelServerEntry, ModelServersChanged, ServerState
from qvac_core.core.state import CoreEvent
from qvac_core.errors import QvacError

Work = Coroutine[Any, Any, object]


class ModelServersPresenter(QObject):
    changed = Signal()
    failed = Signal(object)  # ErrorInfo of an intent

    def __init__(self, core: CoreProxy, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._core = core
        self._tasks = Tasks()
        self.entries: tuple[ModelServerEntry, ...] = ()
        core.core_event.connect(self._take)

    def open(self) -> None:
        """Ask for them; `changed` follows."""

        async def load() -> None:
            self.entries = await self._core.call(lambda core: core.model_servers.servers())
            self.changed.emit()

        self._start(load())

    async def close(self) -> None:
        await self._tasks.close()

    async def settle(self) -> None:
        await self._tasks.settle()

    async def keep(self, url: str, name: str, key: str | None, requests: int, id: str) -> None:
        """Raises QvacError with what to change."""
        await self._core.call(lambda core: core.model_servers.keep(url, name, key=key, requests=requests, id=id))

    async def test(self, url: str, key: str | None, id: str) -> ModelServerEntry:
        """Raises QvacError with what is wrong."""
        return await self._core.call(lambda core: core.model_servers.test(url, key, id))

    def look(self, id: str) -> None:
        """What fails stands with the server."""
        self._start(self._core.call(lambda core: core.model_servers.look(id)))

    def remove(self, id: str) -> None:
        self._start(self._core.call(lambda core: core.model_servers.remove(id)))

    def share(self, name: str, on: bool) -> None:
        self._start(self._core.call(lambda core: core.set_model_shared(name, on)), self._not_shared)

    def run(self, work: Work, on_error: Callable[[QvacError], None]) -> None:
        """Own a coroutine of a dialog."""
        self._tasks.start(work, on_error)

    def _not_shared(self, error: QvacError) -> None:
        self.failed.emit(describe(error))
        self.changed.emit()  # the switch goes back

    def _start(self, work: Work, on_error: Callable[[QvacError], None] | None = None) -> None:
        self._tasks.start(work, on_error or (lambda error: self.failed.emit(describe(error))))

    def _take(self, event: CoreEvent) -> None:
        if isinstance(event, ModelServersChanged):
            self.entries = event.servers
            self.changed.emit()


def server_words(entry: ModelServerEntry) -> str:
    """What stands below its name."""
    if entry.state is ServerState.AWAY:
        return told(entry.problem)
    if entry.state is ServerState.ASKED:
        return tr("Being asked for its models…")
    return listed((entry.kind, found_words(entry)))


def found_words(entry: ModelServerEntry) -> str:
    models = trn("%n model", "%n models", len(entry.models))
    return listed((models, trn("%n request at once", "%n requests at once", entry.parallel)))


def model_words(model: ModelAtServer) -> str:
    parts = (
        tr("for embeddings") if model.ability == "embed" else "",
        tr("sees pictures") if model.vision else "",
        tr("context {tokens}", tokens=context(model.n_ctx)) if model.n_ctx and model.ability == "chat" else "",
    )
    return listed(parts)
