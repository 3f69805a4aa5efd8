"""Servers of other programs whose models this machine offers as its own: kept, looked at, and asked.

Ollama, LM Studio, llama.cpp's server, vLLM, …: whatever speaks OpenAI's API at an address that the owner wrote.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from qvac_core.core.event_hub import EventHub
from qvac_core.core.model_servers_state import (
    GivenServer,
    ModelAtServer,
    ModelServerEntry,
    ModelServersChanged,
    ServerState,
)
from qvac_core.core.served_models import checked_name, find, kind_of, models_of, parallel_of, seen
from qvac_core.engines.interface import LibraryModel
from qvac_core.engines.model_kind import EMBEDDING_TYPE
from qvac_core.engines.openai_address import base_address, place_of
from qvac_core.engines.openai_client import OpenAiClient, Server
from qvac_core.engines.openai_engine import OpenAiEngine, Place
from qvac_core.engines.openai_models import PARALLEL_LIMIT, ServedModel, list_models
from qvac_core.errors import LocalProtocolError, QvacError, StoreError
from qvac_core.store.records import ModelServer
from qvac_core.store.server_keys import ServerKeys, checked_key
from qvac_core.store.settings import Settings
from qvac_core.store.store import Store
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0  # between two looks at a server that was there
LOOK_AGAIN_SECONDS = 10.0  # at one that was away
TICK_SECONDS = 3.0  # between two looks at what a terminal changed


class ModelServersInterface(Protocol):
    """ModelServersChanged tells of every change."""

    async def servers(self) -> tuple[ModelServerEntry, ...]: ...

    async def keep(
        self, url: str, name: str = "", *, key: str | None = None, requests: int = 0, id: str = ""
    ) -> ModelServerEntry:
        """New, or in the place of the one of this id. name: "" = by its address. key: None = the one it has, "" = none.

        It is kept whether it answers or not, and looked at before this returns.
        Raises LocalProtocolError, StoreError.
        """

    async def remove(self, id: str) -> None:
        """With its key; its models are shared no longer. Answers that it makes now fail."""

    async def test(self, url: str, key: str | None = None, id: str = "") -> ModelServerEntry:
        """What answers there, without keeping anything. Raises LocalProtocolError, ModelError, EngineCrashed."""

    async def look(self, id: str) -> ModelServerEntry:
        """Ask it for its models now. Raises LocalProtocolError for one that is not kept."""


@dataclass(eq=False, slots=True)
class _Watched:
    record: ModelServer
    key: str = ""
    has_key: bool = False
    kept: bool = True
    state: ServerState = ServerState.ASKED
    problem: str = ""
    looked_at: float = float("-inf")

    @property
    def away(self) -> str:
        return self.problem if self.state is ServerState.AWAY else ""


class ModelServersRoom:
    """Implements ModelServersInterface; `models` and `find` are for the machine. Used on the core's loop."""

    def __init__(
        self,
        store: Store,
        events: EventHub,
        given: Sequence[GivenServer] = (),
        keys: ServerKeys | None = None,
        *,
        shared_names: Callable[[], Iterable[str]] = lambda: (),
    ) -> None:
        self._store, self._events, self._given = store, events, given
        self._run = store.database.run
        self._keys = keys or ServerKeys(store.folder)
        self._shared_names = shared_names
        self._watched: dict[str, _Watched] = {}
        self._clients: dict[str, OpenAiClient] = {}
        self._tasks = TaskOwner()
        self._looking: dict[str, asyncio.Lock] = {}
        self._looked = asyncio.Event()
        self._told: tuple[ModelServerEntry, ...] = ()
        self.engine = OpenAiEngine(self._whereabouts, on_trouble=self._on_trouble)
        self.on_changed: Callable[[], None] = lambda: None
        """Its models are others now, or come and go."""
        self.unload: Callable[[LibraryModel], Awaitable[None]] = _nothing
        """A model that is to be had no longer in the way in which it was loaded."""

    # --- Life -----------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """What is kept is known when this returns; whether it answers is found out in the background.

        Raises LocalProtocolError for a server of this run that is none.
        """
        for one in self._given:
            base = base_address(one.url)
            record = ModelServer(secrets.token_hex(16), checked_name(one.name or place_of(base)), base)
            key = checked_key(one.key)
            self._watched[record.id] = _Watched(record, key, bool(key), kept=False)
        await self._read()
        self._tasks.start(self._watch(), "watch of model servers")

    async def close(self) -> None:
        await self._tasks.close()
        await self.engine.close()
        for client in self._clients.values():
            await client.close()

    async def first_look(self) -> None:
        """Wait until each server was asked once."""
        await self._looked.wait()

    async def _watch(self) -> None:
        while True:
            due = [one for one in self._watched.values() if self._is_due(one)]
            await asyncio.gather(*(self._look(one.record.id) for one in due))
            self._looked.set()
            await asyncio.sleep(TICK_SECONDS)
            try:
                await self._read()
            except StoreError as error:
                logger.debug("the list of model servers could not be read: %s", error)

    def _is_due(self, one: _Watched) -> bool:
        wait = LOOK_AGAIN_SECONDS if one.state is ServerState.AWAY else LOOK_SECONDS
        return one.state is ServerState.ASKED or time.monotonic() - one.looked_at >= wait

    async def _read(self) -> None:
        """Take over what is kept: another program of ours (a terminal) may have changed it."""
        kept = {record.id: record for record in await self._run(self._store.model_servers.list)}
        changed = False
        for id, record in kept.items():
            known = self._watched.get(id)
            same = known is not None and (known.record.url, known.record.name, known.record.requests) == (
                *(record.url, record.name, record.requests),
            )
            if known is not None and same and known.has_key == await asyncio.to_thread(self._keys.has, id):
                continue
            await self._take_over(record)
            changed = True
        for id in [id for id, one in self._watched.items() if one.kept and id not in kept]:
            await self._drop(id)
            changed = True
        if changed:
            self._changed()

    async def _take_over(self, record: ModelServer) -> None:
        problem, key = "", ""
        try:
            key = await asyncio.to_thread(self._keys.get, record.id)
        except StoreError as error:
            problem = error.message
        has_key = await asyncio.to_thread(self._keys.has, record.id)
        state = ServerState.AWAY if problem else ServerState.ASKED
        await self._drop(record.id)
        self._watched[record.id] = _Watched(record, key, has_key, state=state, problem=problem)

    async def _drop(self, id: str) -> None:
        one = self._watched.pop(id, None)
        for model in models_of(one.record) if one is not None else ():
            await self.unload(model)
        client = self._clients.pop(id, None)
        if client is not None:
            await client.close()

    # --- For the machine ------------------------------------------------------------------------------------------

    def models(self) -> tuple[LibraryModel, ...]:
        return tuple(model for one in self._watched.values() for model in models_of(one.record, one.away))

    def find(self, name: str) -> LibraryModel | None:
        return find(self.models(), name) if self._watched else None

    def given_names(self) -> frozenset[str]:
        """Models of the servers of this run."""
        given = (one for one in self._watched.values() if not one.kept)
        return frozenset(model.name for one in given for model in models_of(one.record))

    def _whereabouts(self, path: Path) -> Place | None:
        for one in self._watched.values():
            for model, kept in zip(models_of(one.record), one.record.models, strict=True):
                if model.path == path:
                    return Place(
                        one.record.id,
                        Server(one.record.url, one.key),
                        ServedModel(kept.name, kept.embeds, kept.n_ctx, kept.vision),
                        kind_of(one.record),
                        parallel_of(one.record),
                    )
        return None

    def _on_trouble(self, server_id: str) -> None:
        """An answer of it broke off, or did not begin: is it still there?"""
        if server_id in self._watched:
            self._tasks.start(self._look(server_id), "look at a model server")

    # --- For people -----------------------------------------------------------------------------------------------

    async def servers(self) -> tuple[ModelServerEntry, ...]:
        return self._entries()

    async def keep(
        self, url: str, name: str = "", *, key: str | None = None, requests: int = 0, id: str = ""
    ) -> ModelServerEntry:
        base = base_address(url)
        name = checked_name(name or place_of(base))
        if not 0 <= requests <= PARALLEL_LIMIT:
            raise LocalProtocolError(f"A server takes from 1 to {PARALLEL_LIMIT} requests at once; 0 = as it is known.")
        key = None if key is None else checked_key(key)
        old = self._require(id) if id else None
        record = old.record if old is not None else ModelServer(_new_id(), name, base)
        record = replace(record, name=name, url=base, requests=requests)
        if old is not None and old.record.url != base:
            record = replace(record, models=(), kind="", parallel=1)
            if key is None and old.has_key:
                raise LocalProtocolError("The key belongs to the old address. Give the key for this one, or none.")
        await self._run(self._store.model_servers.keep, record)
        if key is not None:
            await asyncio.to_thread(self._keys.put, record.id, key)
        if old is not None and old.record.name != name:
            await self._rename(old.record, record)
        await self._take_over(record)
        return await self.look(record.id)

    async def remove(self, id: str) -> None:
        one = self._require(id)
        await self._run(self._store.model_servers.remove, id)
        await asyncio.to_thread(self._keys.put, id, "")
        names = {model.name: "" for model in models_of(one.record)}
        await self._run(self._store.settings.change, lambda now: _renamed(now, names))
        await self._drop(id)
        self._changed()

    async def test(self, url: str, key: str | None = None, id: str = "") -> ModelServerEntry:
        base = base_address(url)
        if key is None and id:
            old = self._require(id)
            if old.record.url != base and old.has_key:
                raise LocalProtocolError("The key belongs to the old address. Give the key for this one, or none.")
            key = old.key
        client = OpenAiClient(Server(base, checked_key(key or "")))
        try:
            served = await list_models(client)
        finally:
            await client.close()
        record = seen(ModelServer(id or _new_id(), place_of(base), base), served)
        return self._entry(_Watched(record, state=ServerState.THERE))

    async def look(self, id: str) -> ModelServerEntry:
        self._require(id)
        await self._look(id)
        return self._entry(self._require(id))

    def _require(self, id: str) -> _Watched:
        one = self._watched.get(id)
        if one is None:
            raise LocalProtocolError("There is no such server any more.", name="UNKNOWN_SERVER")
        return one

    async def _look(self, id: str) -> None:
        async with self._looking.setdefault(id, asyncio.Lock()):
            one = self._watched.get(id)
            if one is None:
                return
            try:
                served, problem = await list_models(self._client(one)), ""
            except QvacError as error:
                served, problem = None, error.message
            if self._watched.get(id) is not one:
                return  # changed meanwhile: it is looked at anew
            one.looked_at = time.monotonic()
            one.state = ServerState.AWAY if problem else ServerState.THERE
            one.problem = problem
            if served is not None and (record := seen(one.record, served)) != one.record:
                one.record = record
                self.engine.parallel_changed(id, parallel_of(record))
                if one.kept:
                    try:
                        await self._run(self._store.model_servers.seen, record)
                    except StoreError as error:  # known in this run all the same; the next look keeps it
                        logger.warning("what a model server has could not be kept: %s", error)
            self._changed()

    def _client(self, one: _Watched) -> OpenAiClient:
        id = one.record.id
        if id not in self._clients:
            self._clients[id] = OpenAiClient(Server(one.record.url, one.key))
        return self._clients[id]

    async def _rename(self, old: ModelServer, new: ModelServer) -> None:
        names = {before.name: after.name for before, after in zip(models_of(old), models_of(new), strict=False)}
        await self._run(self._store.settings.change, lambda now: _renamed(now, names))

    def _entries(self) -> tuple[ModelServerEntry, ...]:
        ordered = sorted(self._watched.values(), key=lambda one: one.record.name.casefold())
        return tuple(self._entry(one) for one in ordered)

    def _entry(self, one: _Watched) -> ModelServerEntry:
        shared = frozenset(self._shared_names())
        return ModelServerEntry(
            id=one.record.id,
            name=one.record.name,
            url=one.record.url,
            has_key=one.has_key,
            kind=one.record.kind,
            requests=one.record.requests,
            parallel=parallel_of(one.record),
            state=one.state,
            problem=one.problem,
            models=tuple(
                ModelAtServer(
                    model.name,
                    kept.name,
                    "embed" if model.model_type == EMBEDDING_TYPE else "chat",
                    kept.vision,
                    kept.n_ctx,
                    model.name in shared,
                )
                for model, kept in zip(models_of(one.record), one.record.models, strict=True)
            ),
            kept=one.kept,
        )

    def _changed(self) -> None:
        self.on_changed()
        self.tell()

    def tell(self) -> None:
        entries = self._entries()
        if entries != self._told:
            self._told = entries
            self._events.emit(ModelServersChanged(entries))


async def _nothing(model: LibraryModel) -> None:
    pass


def _new_id() -> str:
    return secrets.token_hex(16)


def _renamed(settings: Settings, names: Mapping[str, str]) -> Settings:
    """What is set by a model's name, by its new one; "" = it is gone."""
    sharing = settings.sharing
    models = tuple(sorted({new for name in sharing.models if (new := names.get(name, name))}))
    per_model = {new: said for name, said in sharing.per_model.items() if (new := names.get(name, name))}
    local = names.get(settings.chat.local_model, settings.chat.local_model)
    return replace(
        settings,
        sharing=replace(sharing, models=models, per_model=MappingProxyType(per_model)),
        chat=replace(settings.chat, local_model=local),
    )


class NoServers:
    """For a machine without any."""

    def models(self) -> tuple[LibraryModel, ...]:
        return ()

    def find(self, name: str) -> LibraryModel | None:
        return None

    def given_names(self) -> frozenset[str]:
        return frozenset()

    async def first_look(self) -> None:
        pass


class ModelsAtServers(Protocol):
    """What a machine asks of them."""

    def models(self) -> tuple[LibraryModel, ...]: ...
    def find(self, name: str) -> LibraryModel | None: ...
    def given_names(self) -> frozenset[str]: ...
    async def first_look(self) -> None: ...
