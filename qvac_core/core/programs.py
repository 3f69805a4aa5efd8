"""For programs: the OpenAI-compatible endpoint of this machine with its switch, address, token, and who called.

The endpoint itself is the room `endpoint`; it is imported when it is switched on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from qvac_core.core.programs_state import (
    ProgramCalled,
    ProgramModel,
    ProgramsChanged,
    ProgramsState,
    Tried,
)
from qvac_core.core.serving import LOOPBACK, NotServed, Served, Wanted
from qvac_core.endpoint.calls import CallBook
from qvac_core.endpoint.guard import Guard, checked_origins
from qvac_core.endpoint.interface import Ability, Call, Reach
from qvac_core.endpoint.naming import named
from qvac_core.errors import LocalProtocolError, QvacError, StoreError
from qvac_core.store.program_token import ProgramToken
from qvac_core.store.settings import ProgramsSettings, Settings
from qvac_core.store.store import Store
from qvac_core.tasks import TaskOwner

if TYPE_CHECKING:
    from qvac_core.core.state import CoreEvent
    from qvac_core.endpoint.listener import Listener

TRY_SECONDS = 180.0  # a large model may have to be loaded


class Programs:
    """Implements ProgramsInterface.

    bring: a model of this machine by name or path, fetched if need be; meet: remember a provider by key and name.
    """

    def __init__(
        self,
        store: Store,
        token: ProgramToken,
        reach: Reach,
        emit: Callable[[CoreEvent], None],
        *,
        bring: Callable[[str], Awaitable[object]],
        meet: Callable[[str, str], Awaitable[object]],
    ) -> None:
        self._store, self._token, self._reach, self._emit = store, token, reach, emit
        self._bring, self._meet = bring, meet
        self._served = 0  # who wants it on for as long as they are there
        self._on_for_them = False  # nobody else wants it
        self._book = CallBook(self._called)
        self._secret = ""
        self._listener: Listener | None = None
        self._error, self._free = "", 0
        self._changing = asyncio.Lock()
        self._tasks = TaskOwner()
        self._guard: Guard | None = None
        self._host = LOOPBACK
        self._given_port = 0  # for as long as it is on; 0 = of the settings
        self._given_origins: tuple[str, ...] = ()

    async def close(self) -> None:
        async with self._changing:
            await self._off()
        await self._tasks.close()

    # --- State

    @property
    def _settings(self) -> ProgramsSettings:
        return self._store.settings.settings.programs

    @property
    def state(self) -> ProgramsState:
        on = self._listener is not None
        port = self._listener.port if self._listener is not None else self._wanted_port
        host = f"[{self._host}]" if ":" in self._host else self._host
        return ProgramsState(
            on=on,
            address=f"http://{host}:{port}/v1",
            port=port,
            origins=self._origins,
            error=self._error,
            free_port=self._free,
            token_end=self._secret[-4:],
            at_start=self._settings.at_start,
        )

    @property
    def _wanted_port(self) -> int:
        return self._given_port or self._settings.port

    @property
    def _origins(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._settings.origins, *self._given_origins)))

    def _changed(self) -> None:
        self._guard = None
        self._emit(ProgramsChanged(self.state))

    def _called(self, call: Call) -> None:
        self._emit(ProgramCalled(call))

    async def _keep(self, settings: ProgramsSettings) -> None:
        def change(all_: Settings) -> Settings:
            return replace(all_, programs=settings)

        await self._store.database.run(self._store.settings.change, change)

    # --- The switch

    async def switch(self, on: bool, *, port: int = 0) -> None:
        async with self._changing:
            self._on_for_them = False
            if port:
                self._given_port = 0
                await self._keep(replace(self._settings, port=port))
            if on and self._listener is None:
                await self._on()
            elif not on:
                self._error, self._free = "", 0
                await self._off()
        self._changed()

    async def serve(self, wanted: Wanted) -> Served:
        for name in wanted.models:
            await self._bring(name)
        for name, key in wanted.providers:
            await self._meet(key, name)
        if wanted.new_token:
            await self.new_token()
        async with self._changing:
            already = self._listener is not None
            if not already:
                self._host, self._given_port = wanted.host, wanted.port
                await self._on()
                if self._listener is None:
                    self._host, self._given_port = LOOPBACK, 0
                    error, free = self._error, self._free
                    self._error, self._free = "", 0  # said to who asked, and no matter of the page
                    raise NotServed(error, free)
            elif (wanted.host, wanted.port or self.state.port) != (self._host, self.state.port):
                raise StoreError(
                    f"Programs reach this at {self.state.address} already. To have it at another address, switch it "
                    "off first, under For programs.",
                    name="SERVED_ELSEWHERE",
                )
            self._served += 1
            self._on_for_them = self._on_for_them or not already
            self._given_origins = tuple(dict.fromkeys((*self._given_origins, *wanted.origins)))
        self._changed()
        try:
            models = await self.models()
        except BaseException:
            await self.serve_no_more()
            raise
        return Served(self.state, tuple(model.id for model in models), already)

    async def serve_no_more(self) -> None:
        async with self._changing:
            self._served = max(0, self._served - 1)
            if self._served:
                return
            self._given_origins = ()
            if self._on_for_them:
                self._on_for_them = False
                await self._off()
        self._changed()

    async def _on(self) -> None:
        self._error, self._free = "", 0
        try:
            await self._load_token()
            # Starlette and uvicorn are slow to import: the window is on the screen by then, and not for a core alone.
            from qvac_core.endpoint.application import Application
            from qvac_core.endpoint.listener import Listener, PortTaken

            listener = Listener(
                Application(self._reach, self._current_guard, self._book), self._host, self._wanted_port
            )
            await listener.open()
        except QvacError as error:
            self._error = error.message
            self._free = error.free if error.name == "PORT_TAKEN" and isinstance(error, PortTaken) else 0
            return
        self._listener = listener
        self._tasks.start(self._look_around(), "models for programs")

    async def _look_around(self) -> None:
        """Providers that were not met yet in this run are connected before the first program asks."""
        await self._reach.offers()

    async def _off(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()
        self._host, self._given_port = LOOPBACK, 0

    def _current_guard(self) -> Guard:
        if self._guard is None:
            self._guard = Guard(self._secret, self._origins)
        return self._guard

    # --- Token and origins

    async def _load_token(self) -> str:
        if not self._secret:
            self._secret = await asyncio.to_thread(self._token.load)
        return self._secret

    async def token(self) -> str:
        known = bool(self._secret)
        secret = await self._load_token()
        if not known:
            self._changed()
        return secret

    async def new_token(self) -> str:
        self._secret = await asyncio.to_thread(self._token.renew)
        self._changed()
        return self._secret

    async def set_origins(self, origins: Sequence[str]) -> None:
        await self._keep(replace(self._settings, origins=checked_origins(origins)))
        self._changed()

    # --- Models and calls

    async def models(self) -> tuple[ProgramModel, ...]:
        return tuple(ProgramModel(model.id, model.offer) for model in named(await self._reach.offers()))

    async def calls(self) -> tuple[Call, ...]:
        return self._book.calls

    async def stop_call(self, id: str) -> None:
        self._book.stop(id, "The person at this machine stopped this request.")

    async def clear_calls(self) -> None:
        self._book.clear()

    async def try_model(self, id: str) -> Tried:
        import httpx

        if self._listener is None:
            raise LocalProtocolError("The endpoint is off. Switch it on first.")
        offer = next((model.offer for model in await self.models() if model.id == id), None)
        if offer is None or Ability.CHAT.value not in offer.abilities:
            raise LocalProtocolError("This model cannot be asked in words. Choose a chat model.")
        started, first, pieces = time.monotonic(), 0.0, 0
        body = {"model": id, "stream": True, "max_tokens": 48, "reasoning_effort": "none"}
        question = {"role": "user", "content": "Say hello in one sentence."}
        headers = {"authorization": f"Bearer {self._secret}", "user-agent": "QVAC-Desktop"}
        failure = ""
        try:
            async with (
                httpx.AsyncClient(timeout=TRY_SECONDS, trust_env=False) as client,
                client.stream(
                    "POST",
                    f"{self.state.address}/chat/completions",
                    json={**body, "messages": [question]},
                    headers=headers,
                ) as reply,
            ):
                if reply.status_code != httpx.codes.OK:
                    failure = (await reply.aread()).decode("utf-8", "replace")
                else:
                    async for line in reply.aiter_lines():
                        if line.startswith('data: {"error"'):
                            failure = line.removeprefix("data: ")
                        elif '"content":"' in line and '"content":""' not in line:
                            pieces += 1
                            first = first or time.monotonic()
        except httpx.HTTPError as error:
            raise LocalProtocolError(f"The endpoint did not answer: {type(error).__name__}.") from error
        if failure:
            raise LocalProtocolError(_sentence(failure))
        if not first:
            raise LocalProtocolError(f"{offer.machine} answered without a word.")
        seconds = time.monotonic() - first
        return Tried(offer.machine, first - started, (pieces - 1) / seconds if pieces > 1 and seconds > 0 else 0.0)


def _sentence(body: str) -> str:
    import json

    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "The endpoint answered in a way that was not expected."
