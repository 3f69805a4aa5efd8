"""The network as this machine sees it, the relays to go through and the one it offers: what the Settings page shows."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.interface import CoreInterface
from qvac_core.core.relay_offer_state import RelayOffer, RelayOfferChanged, RelayPhase
from qvac_core.core.state import CoreEvent, NetworkReport
from qvac_core.errors import QvacError


class NetworkPresenter(QObject):
    """`report` is None until the first look has ended; `looking` while one runs.

    `failed(ErrorInfo)`: of a look. `relay_failed(ErrorInfo)`: of a change. `given`: what the command line decided for
    this run, by the names of `CoreInterface.given`. `offer`: the relay that this machine is for others.
    """

    looked = Signal()  # a look began or ended
    relays_changed = Signal()
    offer_changed = Signal()
    failed = Signal(object)
    relay_failed = Signal(object)

    def __init__(self, core: CoreProxy, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._core = core
        self._tasks = Tasks()
        self.report: NetworkReport | None = None
        self.looking = False
        self.relays: tuple[str, ...] = ()
        self.given: Mapping[str, str] = {}
        self.offer = RelayOffer(RelayPhase.OFF, "")
        core.core_event.connect(self._take)

    @property
    def public_key(self) -> str:
        return self._core.public_key

    @property
    def relays_fixed(self) -> bool:
        return "relays" in self.given

    async def load(self) -> None:
        self.given = await self._core.call(lambda core: core.given())
        self.relays = await self._core.call(lambda core: core.relays())
        self.relays_changed.emit()
        await self._look_at_offer()

    async def close(self) -> None:
        await self._tasks.close()

    def look(self) -> None:
        """Ask the network how it sees this machine; one look at a time."""
        if not self.looking:
            self.looking = True
            self.looked.emit()
            self._tasks.start(self._look(), self._not_looked)

    def look_at_offer(self) -> None:
        """What has been forwarded by now comes without an event."""
        self._tasks.start(self._look_at_offer(), lambda _error: None)

    async def _look_at_offer(self) -> None:
        self._show_offer(await self._core.call(lambda core: _offer(core)))

    def _take(self, event: CoreEvent) -> None:
        if isinstance(event, RelayOfferChanged):
            self._show_offer(event.offer)

    def _show_offer(self, offer: RelayOffer) -> None:
        if offer != self.offer:
            self.offer = offer
            self.offer_changed.emit()

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
        """Keep them, and show what holds then: after a failure, too."""

        async def make() -> None:
            try:
                await self._core.call(lambda core: core.set_relays(relays))
            finally:
                await self.load()

        self._tasks.start(make(), lambda error: self.relay_failed.emit(describe(error)))


async def _offer(core: CoreInterface) -> RelayOffer:
    return core.relay_offer.now()
