"""Which models this machine has, which it could get, and whether its memory is enough for each. Needs no network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import psutil

from qvac_core.core.config import CoreConfig
from qvac_core.core.library_folder import open_library
from qvac_core.core.served_models import models_of
from qvac_core.engines.language_names import translation_title
from qvac_core.engines.memory import SPARE
from qvac_core.errors import StoreError
from qvac_core.models import ModelDescriptor, all_models
from qvac_core.store.database import Database
from qvac_core.store.folders import DataDir, InstanceLock
from qvac_core.store.model_servers import ModelServers
from qvac_core.store.records import ModelServer
from qvac_core.store.settings_file import SettingsFile
from qvac_core.threads import make_in_thread

_KINDS = {
    "llamacpp-completion": "chat",
    "llamacpp-embedding": "embed",
    "whispercpp-transcription": "transcribe",
    "nmtcpp-translation": "translate",
}
VISION_PART = "vision part"  # of another model
VOICE_DETECTOR = "voice detector"  # beside a model that transcribes


class Fit(Enum):
    """Whether the machine's own memory holds a model; that of a GPU is known only to an engine that runs."""

    NOW = "yes"
    CROWDED = "when other programs are closed"
    NEVER = "no"


@dataclass(frozen=True, slots=True)
class Overview:
    """One model. place: the file's path where it is here, else the address that it is fetched from.

    server: what the owner calls the server that runs it; `place` is then that one's address.
    """

    name: str
    kind: str
    size_bytes: int
    quantization: str
    parameters: str
    here: bool
    fits: Fit
    place: str
    languages: tuple[str, ...] = ()
    server: str = ""

    def matches(self, text: str) -> bool:
        """Whether every word of `text` is in what is told of it."""
        told = f"{self.name} {self.kind} {self.quantization} {self.parameters} {self.place}".lower()
        told += f" {translation_title(self.languages)}".lower()
        return all(word in told for word in text.lower().split())


def fits(size_bytes: int) -> Fit:
    """Of a model's files; its context comes on top."""
    memory, needed = psutil.virtual_memory(), size_bytes + SPARE
    return Fit.NOW if needed <= memory.available else Fit.CROWDED if needed <= memory.total else Fit.NEVER


async def overview(config: CoreConfig) -> Sequence[Overview]:
    """What is here first. Raises StoreError where the data folder cannot be used."""
    folder = await asyncio.to_thread(DataDir.locate(config.data_dir).create)
    settings = await asyncio.to_thread(lambda: SettingsFile(folder.settings_file, now=time.time()))
    library = await asyncio.to_thread(open_library, folder, settings, config.models_folder)
    lock = InstanceLock(folder.lock_file)
    try:
        await make_in_thread(lock.acquire, lambda _: lock.release())
    except StoreError as error:
        if error.name != "ALREADY_RUNNING":  # then it looks at new files itself, and two must not write one index
            raise
    else:
        try:
            await library.scan()
        finally:
            lock.release()
    models = library.models()
    here = [
        Overview(
            name=model.name,
            kind=_KINDS.get(model.model_type, model.model_type),
            size_bytes=model.size_bytes,
            quantization=model.quantization,
            parameters=model.parameters,
            here=True,
            fits=fits(model.size_bytes),
            place=str(model.path),
            languages=model.languages,
        )
        for model in models
    ]
    known = {model.sha256 for model in models}
    here += [
        Overview(
            name=model.name,
            kind=_KINDS.get(model.model_type, model.model_type),
            size_bytes=0,
            quantization="",
            parameters="",
            here=True,
            fits=Fit.NOW,
            place=server.url,
            server=server.name,
        )
        for server in await asyncio.to_thread(_servers, folder)
        for model in models_of(server)
    ]
    return [*here, *(model for model, sha256 in _to_be_had() if sha256 not in known)]


def _servers(folder: DataDir) -> tuple[ModelServer, ...]:
    """As they were seen last: nothing is asked."""
    database = Database.open(folder.database_file, now=time.time())
    try:
        return ModelServers(database).list()
    finally:
        database.close()


def _kind(model: ModelDescriptor) -> str:
    if model.is_projector:
        return VISION_PART
    if model.name.startswith("VAD_"):  # which the registry lists as if it could transcribe
        return VOICE_DETECTOR
    return _KINDS.get(model.model_type, model.model_type)


def _to_be_had() -> list[tuple[Overview, str]]:
    return [
        (
            Overview(
                name=model.name,
                kind=_kind(model),
                size_bytes=model.size_bytes,
                quantization=model.quantization or "",
                parameters=model.params or "",
                here=False,
                fits=fits(model.size_bytes),
                place=model.src,
                languages=model.languages,
            ),
            model.sha256,
        )
        for model in all_models()
    ]
