"""The page For programs: is the endpoint on, what is its address and token, who called, and what a click means."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import CoreProxy
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.programs_state import ProgramModel, ProgramsState, Tried
from qvac_core.core.state import ProgramCalled, ProgramsChanged, ProvidersChanged, SharedModelsChanged
from qvac_core.endpoint.interface import Call
from qvac_core.errors import QvacError

TOKEN_SECONDS = 30.0  # the whole token is on the screen, at most
MODELS_MS = 400  # between a change somewhere and the list of models that is asked for then
KEPT_CALLS = 200
# Where on the page an error happened.
SWITCH, CONNECT = "switch", "connect"

AT_START = "programs.at_start"


class ProgramsPresenter(QObject):
    """`failed(place, ErrorInfo)`, `cleared(place)`. `token` is "" unless it is shown."""

    changed = Signal()
    models_changed = Signal()
    calls_changed = Signal()
    token_changed = Signal()
    tried_changed = Signal()
    copied = Signal(str, str)  # what for, and the text for the clipboard, the token in it
    failed = Signal(str, object)
    cleared = Signal(str)

    def __init__(
        self, core: CoreProxy, *, clock: Callable[[], float] = time.time, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._core = core
        self.clock = clock
        self._tasks = Tasks()
        self.state = ProgramsState()
        self.models: tuple[ProgramModel, ...] = ()
        self.calls: tuple[Call, ...] = ()  # those that run, then the newest first
        self.token = ""
        self.switching = False
        self.trying = False
        self.tried: Tried | None = None
        self._open = False
        self._hide = QTimer(self)
        self._hide.setSingleShot(True)
        self._hide.setInterval(round(TOKEN_SECONDS * 1000))
        self._hide.timeout.connect(self.hide_token)
        self._ask_soon = QTimer(self)
        self._ask_soon.setSingleShot(True)
        self._ask_soon.setInterval(MODELS_MS)
        self._ask_soon.timeout.connect(self._ask_for_models)
        core.core_event.connect(self._take)

    async def load(self) -> None:
        self.state = await self._core.call(_state)
        self.changed.emit()
        if self.state.at_start and not self.state.on:
            self.switch(True)

    async def close(self) -> None:
        self._hide.stop()
        self._ask_soon.stop()
        await self._tasks.close()

    def opened(self, is_open: bool) -> None:
        """The page is looked at, or not any more: providers are asked for their models only while it is."""
        self._open = is_open
        if is_open:
            self._ask_for_models()
            self._start(self._load_calls(), SWITCH)
        else:
            self.hide_token()

    def _take(self, event: object) -> None:
        if isinstance(event, ProgramsChanged):
            self.state = event.state
            self.changed.emit()
        elif isinstance(event, ProgramCalled):
            self._put(event.call)
        elif isinstance(event, ProvidersChanged | SharedModelsChanged) and self._open:
            self._ask_soon.start()

    # --- The switch

    @property
    def chat_models(self) -> tuple[ProgramModel, ...]:
        return tuple(model for model in self.models if "chat" in model.offer.abilities)

    def switch(self, on: bool, port: int = 0) -> None:
        async def act() -> None:
            self.switching = True
            self.cleared.emit(SWITCH)
            self.changed.emit()
            try:
                await self._core.call(lambda core: core.programs.switch(on, port=port))
                self.state = await self._core.call(_state)
            finally:
                self.switching = False
                self.changed.emit()

        self._start(act(), SWITCH)

    def use_port(self, port: int) -> None:
        """Kept, and listened at from now on where it is on."""

        async def act() -> None:
            was_on = self.state.on
            if was_on:
                await self._core.call(lambda core: core.programs.switch(False))
            if was_on:
                await self._core.call(lambda core: core.programs.switch(True, port=port))
            else:
                await self._core.call(lambda core: core.set_setting("programs.port", str(port)))
            self.state = await self._core.call(_state)
            self.changed.emit()

        self._start(act(), SWITCH)

    def set_at_start(self, on: bool) -> None:
        async def act() -> None:
            await self._core.call(lambda core: core.set_setting(AT_START, "true" if on else "false"))
            self.state = await self._core.call(_state)
            self.changed.emit()

        self._start(act(), SWITCH)

    def set_origins(self, origins: Sequence[str]) -> None:
        self.cleared.emit(SWITCH)
        self._start(self._core.call(lambda core: core.programs.set_origins(origins)), SWITCH)

    # --- The token

    def show_token(self) -> None:
        async def act() -> None:
            self.token = await self._core.call(lambda core: core.programs.token())
            self._hide.start()
            self.token_changed.emit()

        self._start(act(), SWITCH)

    def hide_token(self) -> None:
        self._hide.stop()
        if self.token:
            self.token = ""
            self.token_changed.emit()

    def copy_with_token(self, what: str, text: Callable[[str], str]) -> None:
        """text: of the whole token; `copied` follows."""

        async def act() -> None:
            token = await self._core.call(lambda core: core.programs.token())
            self.copied.emit(what, text(token))

        self._start(act(), SWITCH)

    def new_token(self) -> None:
        async def act() -> None:
            self.hide_token()
            await self._core.call(lambda core: core.programs.new_token())
            self.state = await self._core.call(_state)
            self.changed.emit()

        self._start(act(), SWITCH)

    # --- Models and calls

    def _ask_for_models(self) -> None:
        async def act() -> None:
            self.models = await self._core.call(lambda core: core.programs.models())
            self.models_changed.emit()

        self._start(act(), CONNECT)

    async def _load_calls(self) -> None:
        self.calls = await self._core.call(lambda core: core.programs.calls())
        self.calls_changed.emit()

    def _put(self, call: Call) -> None:
        others = [each for each in self.calls if each.id != call.id]
        running = sorted([each for each in (call, *others) if not each.ended], key=lambda each: -each.started)
        ended = sorted([each for each in (call, *others) if each.ended], key=lambda each: -each.ended)
        self.calls = (*running, *ended[:KEPT_CALLS])
        self.calls_changed.emit()

    def stop_call(self, id: str) -> None:
        self._start(self._core.call(lambda core: core.programs.stop_call(id)), CONNECT)

    def clear_calls(self) -> None:
        async def act() -> None:
            await self._core.call(lambda core: core.programs.clear_calls())
            await self._load_calls()

        self._start(act(), CONNECT)

    def try_model(self, id: str) -> None:
        async def act() -> None:
            self.trying, self.tried = True, None
            self.cleared.emit(CONNECT)
            self.tried_changed.emit()
            try:
                self.tried = await self._core.call(lambda core: core.programs.try_model(id))
            finally:
                self.trying = False
                self.tried_changed.emit()

        if not self.trying:
            self._start(act(), CONNECT)

    def _start(self, work: Coroutine[Any, Any, object], place: str) -> None:
        self._tasks.start(work, lambda error: self._failed(place, error))

    def _failed(self, place: str, error: QvacError) -> None:
        self.failed.emit(place, describe(error))


async def _state(core: Any) -> ProgramsState:
    state: ProgramsState = core.programs.state
    return state
