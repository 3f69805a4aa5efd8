"""Models that machines copy from each other: what this one lets guests copy, and what others let it copy.

Offers are asked for when a provider is connected, and again when somebody looks at them and they are old. A download
whose machine went away goes on by itself when that is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from qvac_core.codec.key_text import short_key
from qvac_core.core.event_hub import EventHub
from qvac_core.core.library_sources import Offer
from qvac_core.core.machine import Machine
from qvac_core.core.state import CoreEvent, ProviderEntry, ProvidersChanged
from qvac_core.delegation.consumer import Consumer, Delegate
from qvac_core.delegation.messages import BundleEntry, CopyEntry
from qvac_core.errors import QvacError
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

OLD_SECONDS = 30.0


class CopyRoom(Protocol):
    """The owner's side: which models guests may copy."""

    async def copyable(self) -> frozenset[str]:
        """Library names; only what is shared is really offered."""

    async def set_copyable(self, name: str, copyable: bool) -> None:
        """Acts at once, on copies that run too. ModelError for a name that is not in the library."""


class CopySource(Protocol):
    """The library, as it hears of offers."""

    async def source_is_back(self, provider_key: str) -> None: ...

    def sources_changed(self) -> None: ...


@dataclass
class _Known:
    offers: tuple[Offer, ...] = ()
    asked_at: float = 0.0
    asking: bool = field(default=False)


class Copies:
    """Implements CopyRoom, and library_sources' CopyService."""

    def __init__(
        self,
        consumer: Consumer,
        entries: Callable[[], Sequence[ProviderEntry]],
        events: EventHub,
        machine: Machine,
        library: CopySource,
    ) -> None:
        self._consumer = consumer
        self._entries = entries
        self._machine = machine
        self._library = library
        self._known: dict[str, _Known] = {}
        self._tasks = TaskOwner()
        self._unsubscribe = events.subscribe(self._on_event)

    async def close(self) -> None:
        self._unsubscribe()
        await self._tasks.close()

    # --- What guests may copy here --------------------------------------------------------------------------------

    async def copyable(self) -> frozenset[str]:
        return self._machine.copyable_names()

    async def set_copyable(self, name: str, copyable: bool) -> None:
        await self._machine.set_copyable(name, copyable)

    # --- What others let this machine copy ------------------------------------------------------------------------

    def offers(self) -> Sequence[Offer]:
        now = asyncio.get_running_loop().time()
        for key, known in self._known.items():
            if now - known.asked_at > OLD_SECONDS and not known.asking:
                self._ask_soon(key)
        return [offer for known in self._known.values() for offer in known.offers]

    async def ask(self, provider_key: str, seconds: float | None = None) -> Sequence[Offer]:
        """What this provider offers, known to this machine or not. Raises what cannot be reached or refuses.

        seconds: to connect, and for the answer; None = the defaults.
        """
        delegate = Delegate(bytes.fromhex(provider_key), timeout=seconds)
        known = self._known.setdefault(provider_key, _Known())
        known.asking = True
        try:
            entries = await self._consumer.list_copies(delegate)
        finally:
            known.asking = False
            known.asked_at = asyncio.get_running_loop().time()
        name = next((entry.name for entry in self._entries() if entry.public_key == provider_key), "")
        offers = tuple(_offer(entry, provider_key, name or short_key(provider_key)) for entry in entries)
        if offers != known.offers:
            known.offers = offers
            self._library.sources_changed()
        if offers:
            await self._library.source_is_back(provider_key)
        return offers

    async def copy(self, provider_key: str, sha256: str, offset: int) -> AsyncGenerator[bytes, None]:
        delegate = Delegate(bytes.fromhex(provider_key))
        async with aclosing(self._consumer.copy_model(delegate, sha256, offset)) as chunks:
            async for chunk in chunks:
                yield chunk

    # --- Who is there ---------------------------------------------------------------------------------------------

    def _on_event(self, event: CoreEvent) -> None:
        if not isinstance(event, ProvidersChanged):
            return
        online = {entry.public_key for entry in event.providers if entry.state == "online"}
        known = {entry.public_key for entry in event.providers}
        gone = [key for key in self._known if key in known and key not in online]
        if any(self._known.pop(key).offers for key in gone):
            self._library.sources_changed()
        for key in online - self._known.keys():
            self._known[key] = _Known()
            self._ask_soon(key)

    def _ask_soon(self, provider_key: str) -> None:
        self._known[provider_key].asking = True
        self._tasks.start(self._ask_quietly(provider_key), "ask what may be copied")

    async def _ask_quietly(self, provider_key: str) -> None:
        try:
            await self.ask(provider_key)
        except QvacError as error:
            logger.debug("a provider did not tell what may be copied: %s", error)


def _offer(entry: CopyEntry | BundleEntry, provider_key: str, name: str) -> Offer:
    if isinstance(entry, BundleEntry):
        files, sha256 = tuple((file.file_name, file.size_bytes) for file in entry.files), entry.model_sha256
    else:
        files, sha256 = ((entry.file_name, entry.size_bytes),), entry.sha256
    return Offer(
        provider_key,
        name,
        sha256,
        entry.size_bytes,
        files[0][0],
        model_type=entry.model_type,
        name=entry.name,
        copy_sha256=entry.sha256,
        files=files,
    )
