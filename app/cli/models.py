"""`qvac-desktop models`: what this machine has and what it could get; with a key, what that provider offers mine."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from app.cli.config import core_config
from app.cli.copy_model import copy_model
from app.cli.output import Output
from app.cli.refusal import is_refusal, with_own_key
from app.words import size
from qvac_core.codec.key_text import short_key
from qvac_core.core import Core, load_key_pair
from qvac_core.core.model_overview import Overview, overview
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.messages import ModelEntry
from qvac_core.engines.language_names import translation_title
from qvac_core.errors import DelegationError, LocalProtocolError, QvacError

RUN_BY_THEMSELVES = ("chat", "embed", "transcribe", "translate")
FOR_A_KEY = ("copy", "seed", "bootstrap", "port", "no_local_network", "relay_through", "timeout")


async def models(options: argparse.Namespace, output: Output) -> int:
    """An event `model` each. Raises QvacError where a provider cannot be asked."""
    if isinstance(options.key, str):
        from app.cli.models_acts import act

        return await act(options, output)
    if options.key is not None:
        return await _of_a_provider(options, output)
    for name in FOR_A_KEY:
        if getattr(options, name, None) is not None:
            raise LocalProtocolError(f"--{name.replace('_', '-')} is for models of a KEY.", name="INVALID_OPTION")
    await _of_this_machine(options, output)
    return 0


async def _of_this_machine(options: argparse.Namespace, output: Output) -> None:
    found = [model for model in await overview(core_config(options)) if model.matches(options.search or "")]
    for model in found:
        output.event(
            "model",
            name=model.name,
            kind=model.kind,
            here=model.here,
            sizeBytes=model.size_bytes,
            quantization=model.quantization,
            parameters=model.parameters,
            fits=model.fits.name.lower(),
            **_place(model),
        )
    # Parts of other models come with these: whoever wants one by itself searches for it.
    told = found if options.search else [model for model in found if model.here or model.kind in RUN_BY_THEMSELVES]
    for title, here in (("On this machine", True), ("To be had (fetched when first used)", False)):
        rows = [_row(model) for model in told if model.here is here]
        if rows:
            output.text(f"{title}:")
            table(("name", "kind", "size", "quantization", "fits"), rows, output)
        elif here:
            output.note("No model on this machine yet." if not options.search else "None of them on this machine.")
    if not found:
        output.note(f"No model matches {options.search}.")


def _place(model: Overview) -> dict[str, str]:
    if model.server:
        return {"server": model.place}
    return {"path": model.place} if model.here else {"source": model.place}


def _row(model: Overview) -> tuple[str, ...]:
    if model.server:
        return model.name, model.kind, f"at {model.server}", "–", "–"
    return model.name, model.kind, size(model.size_bytes), model.quantization or "–", model.fits.value


async def _of_a_provider(options: argparse.Namespace, output: Output) -> int:
    config = core_config(options)
    if (await asyncio.to_thread(load_key_pair, config)).public_key == options.key:
        if options.copy is not None:
            raise LocalProtocolError("This is your own key: its models are on this machine.", name="INVALID_OPTION")
        output.note("This is your own key: these are the models of this machine.")
        await _of_this_machine(options, output)
        return 0
    core = Core(config)
    try:
        await core.start()
        try:
            if options.copy is not None:
                await copy_model(core, options, output)
                return 0
            listed = await core.consumer.list_models(Delegate(options.key, timeout=options.timeout))
            copies = {offer.sha256 for offer in await core.copies.ask(options.key.hex(), options.timeout)}
        except QvacError as error:
            raise (with_own_key(core.public_key, error) if is_refusal(error) else error) from None
    finally:
        await core.close()
    if listed is None:
        raise DelegationError(
            f"The provider {short_key(options.key.hex())} cannot tell its models (it is not QVAC Desktop). "
            "Ask its owner for a name, and load it by that.",
            name="MODELS_NOT_TOLD",
        )
    _tell([entry for entry in listed if _matches(entry, options.search or "")], copies, options, output)
    return 0


def _matches(entry: ModelEntry, text: str) -> bool:
    told = f"{entry.name} {entry.model_type} {' '.join(entry.abilities)}".lower()
    told += f" {translation_title(_languages(entry))}".lower()
    return all(word in told for word in text.lower().split())


def _languages(entry: ModelEntry) -> list[str]:
    return entry.languages if isinstance(entry.languages, list) else []


def _tell(listed: Sequence[ModelEntry], copies: set[str], options: argparse.Namespace, output: Output) -> None:
    for entry in listed:
        output.event(
            "model",
            name=entry.name,
            modelType=entry.model_type,
            abilities=entry.abilities,
            sizeBytes=entry.size_bytes,
            contextTokens=entry.context_tokens,
            sha256=entry.sha256,
            loaded=entry.loaded,
            waitMs=entry.wait_ms,
            copyable=entry.sha256 in copies,
            **({"languages": _languages(entry)} if _languages(entry) else {}),
        )
    if not listed:
        output.note(f"No model of it matches {options.search}." if options.search else "It offers your key no model.")
        return
    rows = [
        (
            entry.name,
            ", ".join(entry.abilities),
            size(entry.size_bytes) if entry.size_bytes else "–",  # it is at a server
            f"{entry.context_tokens} tokens" if entry.context_tokens and "chat" in entry.abilities else "–",
            "loaded" if entry.loaded else "on its disk",
            "yes" if entry.sha256 in copies else "no",
        )
        for entry in listed
    ]
    table(("name", "can", "size", "context", "now", "may be copied"), rows, output)


def table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]], output: Output) -> None:
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    for row in (titles, *rows):
        output.text("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
