"""The network as this machine sees it, and the relays to go through: what the Network dialog shows and changes."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.state import NetworkReport
from qvac_core.errors import QvacError

NEARBY = "local_network"


class NetworkPresenter(QObject):
    """`report` is None until the first look has ended; `looking` while one runs. `failed(ErrorInfo)`: of a change.

    `nearby`: whether peers on the own network are found, and find this machine, by their keys alone. `given`: what the
    command line decided for this run, by the names of `CoreInterface.given`.
    """

    looked = Signal()  # a look began or ended
    relays_changed = Signal()
    nearby_changed = Signal()
    failed = Signal(object)

    def __init__(self, core: CoreProxy, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._core = core
        self._tasks = Tasks()
        self.report: NetworkReport | None = None
        self.looking = False
        self.relays: tuple[str, ...] = ()
        self.nearby = True
        self.given: Mapping[str, str] = {}

    @property
    def public_key(self) -> str:
        return self._core.public_key

    async def load(self) -> None:
        self.given = await self._core.call(lambda core: core.given())
        self.relays = await self._core.call(lambda core: core.relays())
        self.relays_changed.emit()
        kept = await self._core.call(lambda core: core.setting(NEARBY))
        self.nearby = self.given.get(NEARBY, kept) != "false"
        self.nearby_changed.emit()

    async def close(self) -> None:
        await self._tasks.close()

    def look(self) -> None:
        """Ask the network how it sees this machine; one look at a time."""
        if not self.looking:
            self.looking = True
            self.looked.emit()
            self._tasks.start(self._look(), self._not_looked)

    def set_nearby(self, on: bool) -> None:
        self._change(self._core.call(lambda core: core.set_setting(NEARBY, "true" if on else "false")))

    def add_relay(self, public_key: str) -> None:
        if public_key not in self.relays:
            self._set((*self.relays, public_key))

    def remove_relay(self, public_key: str) -> None:
        self._set(tuple(key for key in self.relays if key != public_key))

    async def _look(self) -> None:
        self.report = await self._core.call(lambda core: core.network_report())
        self.looking = False
        self.looked.emit()

    def _not_looked(self, error: QvacError) -> None:
        self.report = None
        self.looking = False
        self.looked.emit()
        self.failed.emit(describe(error))

    def _set(self, relays: tuple[str, ...]) -> None:
        self._change(self._core.call(lambda core: core.set_relays(relays)))

    def _change(self, change: Coroutine[Any, Any, object]) -> None:
        """Make it, and show what holds then: after a failure, too."""

        async def make() -> None:
            try:
                await change
            finally:
                await self.load()

        self._tasks.start(make(), lambda error: self.failed.emit(describe(error)))
