"""The models of this machine as the library shows them: what they are, whose, how long unused, and taking them away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from qvac_core.core.event_hub import EventHub
from qvac_core.core.library_catalog import KINDS
from qvac_core.core.library_state import Ability, LibraryChanged, ModelHere, Removal
from qvac_core.core.machine import Machine, display_name
from qvac_core.engines.interface import LibraryModel
from qvac_core.engines.library import Library
from qvac_core.engines.model_facts import ModelFacts, facts_of
from qvac_core.engines.model_files import read_model
from qvac_core.engines.model_kind import CHAT_TYPE, SPEECH_TYPE, TRANSLATION_TYPE
from qvac_core.errors import ModelError, StoreError
from qvac_core.models import by_sha256
from qvac_core.store.store import Store
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

# The use of a model is noted this often (seconds): "5 min ago" needs no more, and a busy provider spares its disk.
USE_NOTED_EVERY = 60.0
_NO_GGUF = (SPEECH_TYPE, TRANSLATION_TYPE)  # kinds whose files say nothing more than was noted


class ModelsHere:
    """Used on the core's loop."""

    def __init__(
        self,
        store: Store,
        events: EventHub,
        library: Library,
        program_of: Callable[[Path], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """program_of: the name of the program whose file this is, "" = none that is known."""
        self._store = store
        self._events = events
        self._library = library
        self._program_of = program_of
        self._clock = clock
        self._machine: Machine | None = None
        self._used = store.model_uses.last_used()
        self._facts: dict[str, ModelFacts] = {}  # by sha256
        self._told: tuple[ModelHere, ...] = ()
        self._tasks = TaskOwner()
        self._telling = False

    def open(self, machine: Machine) -> None:
        self._machine = machine

    async def close(self) -> None:
        await self._tasks.close()

    # --- Asking ---------------------------------------------------------------------------------------------------

    async def all(self) -> tuple[ModelHere, ...]:
        """Chat models first; then those of other kinds; then files of no use."""
        models = self._library.models()
        unknown = [model for model in models if model.sha256 not in self._facts and model.model_type not in _NO_GGUF]
        for model in unknown:
            self._facts[model.sha256] = await asyncio.to_thread(_facts, model)
        ordered = sorted(models, key=lambda model: (model.model_type != CHAT_TYPE, model.model_type not in KINDS))
        left_out = [await asyncio.to_thread(self._left_out, *one) for one in self._library.left_out.items()]
        return (*map(self._here, ordered), *left_out)

    def _here(self, model: LibraryModel) -> ModelHere:
        assert self._machine is not None
        facts = self._facts.get(model.sha256)
        known = by_sha256(model.sha256)
        abilities = []
        if facts is not None and model.model_type == CHAT_TYPE:
            abilities += [Ability.THINKS] if facts.thinks else []
            abilities += [Ability.TOOLS] if facts.tools else []
        if model.projector is not None:
            abilities.append(Ability.VISION)
        if model.english_only:
            abilities.append(Ability.ENGLISH_ONLY)
        ours = model.path.parent == self._library.folder
        return ModelHere(
            name=model.name,
            title=display_name(model),
            kind=KINDS.get(model.model_type),
            quantization=model.quantization,
            parameters=model.parameters,
            size_bytes=model.size_bytes,
            path=model.path,
            ours=ours,
            program="" if ours else self._program_of(model.path),
            last_used=self._used.get(model.sha256),
            shared=model.name in self._machine.shared_names(),
            loaded=self._machine.is_loaded(model),
            stands_in=self._machine.stands_in(model),
            licence=model.licence or (known.licence if known is not None else ""),
            abilities=tuple(abilities),
            native_context=facts.native_context if facts is not None else 0,
            sha256=model.sha256,
        )

    def _left_out(self, name: str, reason: str) -> ModelHere:
        files = self._library.files_of(name)
        size = sum(path.stat().st_size for path in files if path.is_file())
        path = files[0] if files else self._library.folder / name
        return ModelHere(name, name, None, "", "", size, path, ours=True, problem=reason)

    async def free_up(self) -> tuple[ModelHere, ...]:
        ours = [model for model in await self.all() if model.ours and model.size_bytes]
        return tuple(sorted(ours, key=lambda model: model.last_used or 0.0))

    # --- Use ------------------------------------------------------------------------------------------------------

    def used(self, model: LibraryModel) -> None:
        """Somebody uses it now."""
        now = self._clock()
        if model.sha256 and now - self._used.get(model.sha256, 0.0) >= USE_NOTED_EVERY:
            self._used[model.sha256] = now
            self._tasks.start(self._note(model.sha256, now), "note that a model is used")

    async def _note(self, sha256: str, now: float) -> None:
        await self._store.database.run(self._store.model_uses.put, sha256, now)

    def changed(self) -> None:
        """Models came, went, were shared, loaded or used: told once for many changes at a time."""
        if not self._telling and self._machine is not None:
            self._telling = True
            self._tasks.start(self._tell(), "tell the models of the library")

    async def _tell(self) -> None:
        self._telling = False
        models = await self.all()
        if models != self._told:
            self._told = models
            self._events.emit(LibraryChanged(models))

    # --- Taking away ----------------------------------------------------------------------------------------------

    async def removal(self, name: str) -> Removal:
        here = await self._require(name)
        files = await asyncio.to_thread(self._library.files_of, here.name)
        frees = await asyncio.to_thread(_freed, files)
        model = self._library.find(here.name) if here.kind is not None else None
        if model is None:
            return Removal(here, frees, files)
        assert self._machine is not None
        titles = [
            conversation.title
            for conversation in await self._store.database.run(self._store.conversations.list)
            if not conversation.target.provider_key
            and conversation.target.model
            and self._library.find(conversation.target.model) == model
        ]
        return Removal(here, frees, files, self._machine.leases_of(model), tuple(titles))

    async def remove(self, name: str) -> None:
        here = await self._require(name)
        assert self._machine is not None
        model = self._library.find(here.name) if here.kind is not None else None
        if model is None:
            await _delete(self._library.remove_left_out(here.name))
        else:
            await self._machine.forget(model)
            await _delete(self._library.remove(str(model.path)))
        self._machine.announce()

    async def _require(self, name: str) -> ModelHere:
        models = await self.all()
        found = next((model for model in models if model.name == name), None)
        if found is None and (other := self._library.find(name)) is not None:
            found = next((model for model in models if model.path == other.path), None)
        if found is None:
            raise ModelError(
                f"There is no model {name} on this machine. Check its spelling.", name="MODEL_NOT_FOUND", code=52002
            )
        return found


async def _delete(deletion: Awaitable[None]) -> None:
    try:
        await deletion
    except OSError as error:
        raise StoreError(
            f"The model cannot be deleted: {error.strerror or error}. Close what uses it, and try again."
        ) from error


def _facts(model: LibraryModel) -> ModelFacts:
    """Nothing where the file cannot be read now: that is told where it is used."""
    try:
        facts = facts_of(read_model(model.path).gguf)
    except ModelError:
        return ModelFacts(0, False, False)
    return replace(facts, licence=model.licence or facts.licence)


def _freed(files: tuple[Path, ...]) -> int:
    """A link takes no room, whatever it leads to; nor does a file that has another name elsewhere give any."""
    freed = 0
    for path in files:
        try:
            status = path.lstat()
        except OSError:
            continue
        if not path.is_symlink() and status.st_nlink == 1:
            freed += status.st_size
    return freed
