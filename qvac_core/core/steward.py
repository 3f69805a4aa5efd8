"""What the owner's own machines may do with this one from afar: see, pause, load, unload, fetch and remove models.

Whether a key may is the policy's to say (`Act.MANAGE`); here it is done, with the same parts as in the window.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from qvac_core.core.download_state import DownloadChanged
from qvac_core.core.library import ModelsRoom
from qvac_core.core.machine import Machine
from qvac_core.core.pausing import PauseReason, Pausing
from qvac_core.delegation.failures import Code, Rejection
from qvac_core.delegation.messages import LogLine, Manage, ManagedDownload, ManagedModel, ManageReply
from qvac_core.errors import QvacError
from qvac_core.store.records import LogEntry
from qvac_core.tasks import TaskOwner

LOG_LINES = 50


class Steward:
    """Implements delegation's Managed. log: the newest requests. wake: call another machine out of its sleep."""

    def __init__(
        self,
        machine: Machine,
        library: ModelsRoom,
        pausing: Pausing,
        log: Callable[[int, str], Awaitable[tuple[LogEntry, ...]]],
        wake: Callable[[Sequence[str]], Awaitable[None]],
    ) -> None:
        self._machine = machine
        self._library = library
        self._pausing = pausing
        self._log = log
        self._wake = wake
        self._tasks = TaskOwner()
        self._failed: dict[str, str] = {}  # why a model could not be loaded the last time, by name

    async def close(self) -> None:
        await self._tasks.close()

    async def manage(self, message: Manage) -> ManageReply:
        """Do it, and say how things stand then. Raises Rejection in words for whoever asked."""
        name = message.model if isinstance(message.model, str) else ""
        try:
            await self._do(message, name)
        except Rejection:
            raise
        except QvacError as error:
            raise Rejection(Code.MODEL_OPERATION_NOT_SUPPORTED, error.message) from error
        return await self._state(with_log=message.action == "log")

    async def _do(self, message: Manage, name: str) -> None:
        match message.action:
            case "pause":
                minutes = message.minutes
                until = time.time() + minutes * 60 if isinstance(minutes, int | float) and minutes > 0 else None
                await self._pausing.pause(until)
            case "resume":
                await self._pausing.resume()
            case "load":
                model = await self._machine.require(name, "")
                # It stays loaded until it idles; loading takes longer than anybody waits for a reply.
                self._tasks.start(self._load(model.name), "load a model from afar")
            case "unload":
                model = await self._machine.require(name, "")
                await self._machine.pool.unload_idle(model.sha256)
            case "download":
                await self._library.download(name)
            case "cancel":
                await self._library.cancel(name)
            case "remove":
                await self._library.remove(name)
                self._failed.pop(name, None)
            case "wake":
                await self._wake(message.macs)

    async def _load(self, name: str) -> None:
        self._failed.pop(name, None)
        try:
            lease = await self._machine.acquire(await self._machine.require(name, ""))
        except QvacError as error:
            self._failed[name] = error.message
            raise
        lease.release()

    async def _state(self, *, with_log: bool) -> ManageReply:
        pauses = self._pausing.pauses
        owner = next((pause for pause in pauses if pause.reason is PauseReason.OWNER), None)
        downloads = await self._library.downloads()
        entries = await self._log(LOG_LINES, "") if with_log else ()
        return ManageReply(
            paused=bool(pauses),
            paused_until=owner.until if owner is not None and owner.until is not None else 0.0,
            models=[
                ManagedModel(model.name, model.state, model.shared, model.size_bytes, self._failed.get(model.name, ""))
                for model in self._machine.shared_models()
                if model.ability
            ],
            downloads=[each.title or each.model for each in downloads],
            progress=[_progress(each) for each in downloads],
            log=[
                LogLine(entry.remote_public_key, entry.method, entry.model, entry.started_at, entry.outcome)
                for entry in entries
            ],
        )


def _progress(row: DownloadChanged) -> ManagedDownload:
    return ManagedDownload(
        row.model,
        row.title or row.model,
        row.state.value,
        row.downloaded,
        row.total,
        row.rate,
        -1 if row.left_seconds is None else row.left_seconds * 1000,
        row.error.message if row.error is not None else "",
    )
