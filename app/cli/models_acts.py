"""`qvac-desktop models` with an act: the library of this machine, without a network node.

What another program of ours does with the same data folder is left to that one: it says that it is running.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from app.cli.config import core_config
from app.cli.models import table
from app.cli.output import Output
from app.words import duration, pair_of_sizes, size
from qvac_core.core.event_hub import EventHub
from qvac_core.core.library_alone import library_alone
from qvac_core.core.library_room import LibraryRoom
from qvac_core.core.library_state import (
    CatalogEntry,
    DownloadChanged,
    DownloadState,
    Fit,
    ModelsFolderChanged,
    MoveState,
    Query,
    Verdict,
)
from qvac_core.core.state import CoreEvent, ErrorInfo
from qvac_core.errors import ModelError, StoreError
from qvac_core.models import by_file, by_name, is_source


async def act(options: argparse.Namespace, output: Output) -> int:
    """What `options.key` names, done with `options.names`. Raises QvacError."""
    async with library_alone(core_config(options)) as (room, events):
        match options.key:
            case "download":
                await _download(room, events, options.names, output)
            case "remove":
                await _remove(room, options.names, output)
            case "search":
                await _search(room, " ".join(options.names), output)
            case "found":
                await _found(room, output)
            case "use":
                await _use(room, options.names, output)
            case "folder":
                await _folder(room, events, options.names, output)
    return 0


# --- Downloads ------------------------------------------------------------------------------------------------------


async def _download(room: LibraryRoom, events: EventHub, names: Sequence[str], output: Output) -> None:
    """Each one, in turn or beside each other; those that fail do not keep the others from coming."""
    wanted = [await _version(room, name) for name in names]
    ends: dict[str, asyncio.Future[DownloadChanged]] = {
        version: asyncio.get_running_loop().create_future() for version in wanted
    }

    def tell(event: CoreEvent) -> None:
        if isinstance(event, DownloadChanged) and event.model in ends:
            output.event(
                "progress",
                model=event.model,
                state=event.state.value,
                downloaded=event.downloaded,
                total=event.total,
                rate=round(event.rate),
                leftSeconds=None if event.left_seconds is None else round(event.left_seconds),
            )
            _status(output, _progress(event))
            if event.ended and not ends[event.model].done():
                ends[event.model].set_result(event)

    unsubscribe = events.subscribe(tell)
    try:
        for version in ends:
            await room.download(version)
        ended = await asyncio.gather(*ends.values())
    except asyncio.CancelledError:  # Ctrl-C: what came is kept, and goes on when it is asked for again
        await room.pause_all()
        raise
    finally:
        unsubscribe()
        _status(output, "")
    here = {model.sha256: model for model in await room.models()}
    for event in ended:
        if event.done:
            model = next((one for one in here.values() if one.name == event.model or one.title == event.title), None)
            path = None if model is None else str(model.path)
            output.event("downloaded", model=event.model, path=path, sizeBytes=event.total)
            output.text(f"{event.title}: {path or 'here'}")
    failed = [event for event in ended if event.error is not None]
    for event in failed[:-1]:
        assert event.error is not None
        output.note(f"{event.title}: {_sentence(event.error)}")
    if failed:
        error = failed[-1].error
        assert error is not None
        raise ModelError(f"{failed[-1].title}: {_sentence(error)}", name=error.name, code=error.code)


async def _version(room: LibraryRoom, name: str) -> str:
    """The id of what is meant: a name of the catalog, an address, or a repository, whose best fitting version it is."""
    if by_name(name) is not None or by_file(name) is not None or is_source(name):
        return name
    if "/" in name:
        return (await room.look_up(name)).offered.id
    return name  # which the library refuses, with a sentence


def _progress(event: DownloadChanged) -> str:
    if event.state is DownloadState.CHECKING:
        return f"{event.title}: checking that every byte is right"
    if not event.moves or not event.total:
        return ""
    left = f", {duration(event.left_seconds)} left" if event.left_seconds is not None else ""
    pace = f", {size(event.rate)}/s{left}" if event.rate else ""
    return f"{event.title}: {pair_of_sizes(event.downloaded, event.total)}{pace}"


# --- Models here ----------------------------------------------------------------------------------------------------


async def _remove(room: LibraryRoom, names: Sequence[str], output: Output) -> None:
    for name in names:
        removal = await room.removal(name)
        await room.remove(name)
        output.event("removed", name=removal.model.name, freedBytes=removal.frees_bytes, path=str(removal.model.path))
        if removal.files:
            output.text(f"{removal.model.name} is removed; {size(removal.frees_bytes)} are free.")
        else:
            output.text(f"{removal.model.name} is not used any more. Its file stays: {removal.model.path}")


async def _found(room: LibraryRoom, output: Output) -> None:
    programs = await room.look_around()
    for program in programs:
        output.text(f"{program.name} ({program.folder}):")
        rows = []
        for model in program.models:
            output.event(
                "found",
                program=program.id,
                title=model.title,
                path=str(model.path),
                quantization=model.quantization,
                sizeBytes=model.size_bytes,
                used=model.used,
            )
            state = "used" if model.used else str(model.path)
            rows.append((model.title, size(model.size_bytes), model.quantization or "–", state))
        table(("model", "size", "quantization", "path"), rows, output)
    if not programs:
        output.note("No models of other programs were found (LM Studio, Ollama, Jan, llama.cpp, Hugging Face).")
    elif any(program.unused for program in programs):
        output.note("To use one where it lies: qvac-desktop models use PATH")


async def _use(room: LibraryRoom, paths: Sequence[str], output: Output) -> None:
    absolute = [Path(path).expanduser().absolute() for path in paths]  # noqa: ASYNC240 - no file is touched
    await room.found()  # what their programs call them
    before = {model.path for model in await room.models()}
    await room.use_found(absolute)
    for model in await room.models():
        if model.path in absolute or model.path not in before:
            output.event("used", name=model.name, path=str(model.path), sizeBytes=model.size_bytes)
            output.text(f"{model.name}: used where it lies, {model.path}")


async def _folder(room: LibraryRoom, events: EventHub, paths: Sequence[str], output: Output) -> None:
    if paths:
        await _move(room, events, Path(paths[0]), output)
    folder = await room.folder()
    output.event(
        "folder",
        path=str(folder.path),
        modelsBytes=folder.models_bytes,
        partBytes=folder.part_bytes,
        freeBytes=folder.free_bytes,
        missing=folder.missing,
    )
    if folder.missing:
        output.text(f"{folder.path} is not there. Connect its disk, or name another folder.")
    else:
        output.text(f"{folder.path}: {size(folder.models_bytes)} of models, {size(folder.free_bytes)} free")


async def _move(room: LibraryRoom, events: EventHub, path: Path, output: Output) -> None:
    ended: asyncio.Future[ModelsFolderChanged] = asyncio.get_running_loop().create_future()

    def tell(event: CoreEvent) -> None:
        if not isinstance(event, ModelsFolderChanged) or (move := event.folder.move) is None:
            return
        output.event("progress", file=move.file, moved=move.done_bytes, total=move.total_bytes, state=move.state.value)
        _status(output, f"Moving {move.file}: {pair_of_sizes(move.done_bytes, move.total_bytes)}")
        if move.state is not MoveState.RUNNING and not ended.done():
            ended.set_result(event)

    unsubscribe = events.subscribe(tell)
    try:
        await room.change_folder(path)
        if (await room.folder()).move is not None or ended.done():
            move = (await ended).folder.move
            if move is not None and move.error is not None:
                raise StoreError(_sentence(move.error), name=move.error.name)
    except asyncio.CancelledError:
        await room.cancel_move()
        raise
    finally:
        unsubscribe()
        _status(output, "")


# --- To be had ------------------------------------------------------------------------------------------------------


async def _search(room: LibraryRoom, text: str, output: Output) -> None:
    ours = await room.search(Query(text))
    _tell("In the catalog", ours.entries, output)
    try:
        hub = await room.search_hub(Query(text))
    except ModelError:
        if not ours.entries:
            raise
        output.note("Hugging Face could not be asked. Check the internet connection.")
        return
    if hub.error is not None:
        output.note(f"{_sentence(hub.error)} This is what was found before.")
    _tell("On Hugging Face", hub.entries, output)
    if not ours.entries and not hub.entries:
        output.note(f"No model matches {text}.")


def _tell(title: str, entries: Sequence[CatalogEntry], output: Output) -> None:
    rows = []
    for entry in entries:
        for version in entry.versions:
            output.event(
                "model",
                name=version.id,
                title=entry.title,
                kind=entry.kind.value,
                here=bool(version.here),
                sizeBytes=version.size_bytes,
                quantization=version.quantization,
                parameters=entry.parameters,
                licence=entry.licence,
                abilities=list(entry.abilities),
                contextTokens=entry.native_context,
                fits=version.fit.verdict.value,
                neededBytes=version.fit.needed_bytes,
                memoryBytes=version.fit.memory_bytes,
                largestContext=version.fit.largest_context,
                source=[source.name for source in version.sources],
                page=entry.page,
            )
        shown = entry.offered
        rows.append((shown.id, shown.quantization, size(shown.size_bytes), entry.licence or "–", _fits(shown.fit)))
    if rows:
        output.text(f"{title}:")
        table(("name", "quantization", "size", "licence", "fits"), rows, output)


def _fits(fit: Fit) -> str:
    if fit.verdict is Verdict.FITS:
        return f"yes, needs {size(fit.needed_bytes)}" + ("" if fit.now else " (close other programs)")
    if fit.verdict is Verdict.LESS_CONTEXT:
        return f"with {fit.largest_context} tokens of context"
    return f"no, needs {size(fit.needed_bytes)} of {size(fit.memory_bytes)}"


def _sentence(error: ErrorInfo) -> str:
    return f"{error.title} {error.message}".strip()


def _status(output: Output, text: str) -> None:
    """A line that the next one takes the place of, on a terminal alone."""
    if not output.as_json and sys.stderr is not None and sys.stderr.isatty():
        output.over(text)
