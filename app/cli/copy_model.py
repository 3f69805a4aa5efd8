"""`qvac-desktop models KEY --copy NAME`: a model's file from a provider that lets this key copy it."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence

from app.cli.output import Output
from app.words import rate, size
from qvac_core.core import Core
from qvac_core.core.library_sources import Offer
from qvac_core.core.library_state import DownloadChanged, DownloadState
from qvac_core.core.state import CoreEvent
from qvac_core.errors import ModelError, QvacError
from qvac_core.models import by_sha256

EVERY = 1.0  # seconds between two lines of progress


async def copy_model(core: Core, options: argparse.Namespace, output: Output) -> None:
    """Waits for its end; what came by an interruption is kept. Raises QvacError."""
    key = options.key.hex()
    offer = _named(await core.copies.ask(key, options.timeout), options.copy)
    here = core.machine.of_sha256(offer.sha256)
    if here is not None:
        output.event("copied", name=here.name, path=str(here.path), sizeBytes=offer.size_bytes, sha256=offer.sha256)
        output.text(f"{here.name} is on this machine already.")
        return
    known = by_sha256(offer.sha256)
    version = known.name if known is not None else f"copy://{offer.sha256}"
    downloads = core.library.downloads_queue
    ended: asyncio.Future[DownloadChanged] = asyncio.get_running_loop().create_future()
    told_at = 0.0

    def take(event: CoreEvent) -> None:
        nonlocal told_at
        # Asking this provider may have set others going that once broke off.
        row = downloads.row(version)
        if not isinstance(event, DownloadChanged) or row is None or event.model != row.model:
            return
        if event.state in (DownloadState.DONE, DownloadState.FAILED) and not ended.done():
            ended.set_result(event)
        elif time.monotonic() - told_at >= EVERY:
            told_at = time.monotonic()
            output.event("progress", model=options.copy, downloaded=event.downloaded, total=event.total)
            output.text(_progress(event))

    unsubscribe = core.subscribe(take)
    try:
        await core.library.download(version, source=key)
        row = await ended
    finally:
        unsubscribe()
    if row.error is not None:
        raise QvacError(f"{row.error.title} {row.error.message}".strip(), name=row.error.name, code=row.error.code)
    model = core.machine.of_sha256(offer.sha256)
    assert model is not None, "it has come"
    output.event("copied", name=model.name, path=str(model.path), sizeBytes=offer.size_bytes, sha256=offer.sha256)
    output.text(f"{model.name} is on this machine now ({size(offer.size_bytes)}, its checksum is right).")


def _named(offers: Sequence[Offer], name: str) -> Offer:
    """By the provider's name for it, that of its file, with or without the ending, its checksum, or the catalog's."""
    wanted = name.strip().lower()
    for offer in offers:
        known = by_sha256(offer.sha256)
        names = (offer.name, offer.file_name, offer.file_name.rpartition(".")[0], offer.sha256)
        if wanted in {one.lower() for one in (*names, known.name if known is not None else "")}:
            return offer
    what = ", ".join(offer.name or offer.file_name for offer in offers)
    raise ModelError(
        f"This provider lets your key copy no model called {name}. "
        + (f"It lets you copy: {what}." if what else "Its owner lets nobody copy one (provider --allow-copy)."),
        name="MODEL_NOT_FOUND",
        code=52002,
    )


def _progress(event: DownloadChanged) -> str:
    if event.state is DownloadState.CHECKING:
        return "Checking that every byte is right"
    return f"{size(event.downloaded)} of {size(event.total)}" + (f", {rate(event.rate)}" if event.rate else "")
