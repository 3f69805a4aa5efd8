"""A window that serves programs for a `qvac-desktop serve` of its data folder, for as long as that runs."""

from __future__ import annotations

import asyncio

from app.bridge import CoreProxy
from app.instance import ServeCall
from app.tasks import Tasks
from qvac_core.core.interface import CoreInterface
from qvac_core.core.programs_state import ProgramsState
from qvac_core.core.serving import NotServed, call_fields
from qvac_core.core.state import CoreEvent, DownloadChanged, ProgramCalled, ProgramsChanged
from qvac_core.errors import QvacError


class ServingBeside:
    """On the window's loop. beginning: the core has started when it ends."""

    def __init__(self, core: CoreProxy, beginning: asyncio.Future[None]) -> None:
        self._core, self._beginning, self._tasks = core, beginning, Tasks()

    async def close(self) -> None:
        await self._tasks.close()

    def take(self, call: ServeCall) -> None:
        self._tasks.start(self._serve(call), lambda error: None)

    async def _serve(self, call: ServeCall) -> None:
        look = asyncio.Event()
        call.left.connect(look.set)

        def tell(event: CoreEvent) -> None:
            match event:
                case ProgramCalled(call=done) if done.ended:
                    call.say("call", **call_fields(done))
                case DownloadChanged():
                    call.say("progress", model=event.model, downloaded=event.downloaded, total=event.total)
                case ProgramsChanged():
                    look.set()
                case _:
                    pass

        served = False
        self._core.core_event.connect(tell)
        try:
            try:
                await asyncio.shield(self._beginning)
                answer = await self._core.call(lambda core: core.programs.serve(call.wanted))
            except QvacError as error:
                call.say("error", **_error(error))
                return
            served = True
            state = answer.state
            call.say(
                "ready",
                address=state.address,
                tokenEnd=state.token_end,
                models=list(answer.models),
                already=answer.already,
            )
            look.clear()
            while call.here and (await self._core.call(_state)).on:
                await look.wait()
                look.clear()
            if call.here:
                call.say("off")
        finally:
            self._core.core_event.disconnect(tell)
            call.end()
            if served:
                await self._core.call(lambda core: core.programs.serve_no_more())


async def _state(core: CoreInterface) -> ProgramsState:
    return core.programs.state


def _error(error: QvacError) -> dict[str, object]:
    free = error.free if isinstance(error, NotServed) else 0
    return {"name": error.name, "message": error.message, "free": free}
