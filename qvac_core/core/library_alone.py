"""The model library of a data folder without the network: for verbs that fetch, find and remove models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from qvac_core.core.config import CoreConfig
from qvac_core.core.event_hub import EventHub
from qvac_core.core.library import ModelsRoom
from qvac_core.core.library_folder import finish_rename, open_library
from qvac_core.core.machine import Machine
from qvac_core.delegation.admission import Limits
from qvac_core.engines.llama_engine import LlamaEngine
from qvac_core.engines.pool import ModelPool
from qvac_core.store.folders import DataDir, InstanceLock
from qvac_core.store.store import Store
from qvac_core.threads import make_in_thread


@asynccontextmanager
async def library_alone(config: CoreConfig) -> AsyncIterator[tuple[ModelsRoom, EventHub]]:
    """Its models are looked through before. Raises StoreError ALREADY_RUNNING beside a program that has this folder."""
    async with AsyncExitStack() as stack:
        folder = await asyncio.to_thread(DataDir.locate(config.data_dir).create)
        lock = InstanceLock(folder.lock_file)
        await make_in_thread(lock.acquire, lambda _: lock.release())
        stack.callback(lock.release)
        store = await make_in_thread(lambda: Store.open(folder, now=time.time()), Store.close)
        stack.push_async_callback(asyncio.to_thread, store.close)
        if config.models_folder is None:
            await asyncio.to_thread(finish_rename, folder, store.settings)
        library = await asyncio.to_thread(open_library, folder, store.settings, config.models_folder)
        events, engine = EventHub(), LlamaEngine()
        stack.push_async_callback(engine.close)
        room = ModelsRoom(store, events, library, engine.devices, given_folder=config.models_folder is not None)
        stack.push_async_callback(room.close)
        machine = Machine(store, events, library, ModelPool(engine), Limits(), downloads=room.downloads_queue)
        stack.push_async_callback(machine.close)
        await room.open(machine, go_on=False)
        machine.open()
        await machine.scanned()
        yield room, events
