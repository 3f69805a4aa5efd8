"""The model that a verb asks for one thing: of this machine or, with a key, of a provider."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.cli.beside import Beside, beside
from app.cli.config import core_config
from app.cli.output import Output
from app.cli.refusal import is_refusal, with_own_key
from qvac_core.codec.key_text import short_key
from qvac_core.core import Core
from qvac_core.core.state import CoreEvent, DownloadChanged, Notice
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.messages import ModelProgress
from qvac_core.engines.interface import RunningModel
from qvac_core.errors import DelegationError, LocalProtocolError, ModelError, QvacError, StoreError
from qvac_core.models import by_name

LOCAL = "local"
DELEGATED = "delegated"
FOR_A_KEY = ("seed", "bootstrap", "port", "no_local_network", "relay_through", "timeout")


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a model is used for. ability: the word of docs/wire/qvac.md section 12; none: what to say where no model
    can."""

    ability: str
    model_type: str
    kind: str
    example: str
    file: str = "GGUF file"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that is there to be chosen, here or at a provider. languages: of one that translates alone."""

    name: str
    model_type: str
    abilities: tuple[str, ...]
    loaded: bool = False
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picked:
    name: str
    model_type: str
    config: Mapping[str, Any] | None = None


# What is used of what is there, given the name that was asked for ("" = none); None: as for any verb.
Pick = Callable[[Sequence[Candidate], str], Picked | None]


@dataclass(frozen=True, slots=True)
class UsedModel:
    """Loaded, and given back with its core. where: "local" or "delegated".

    beside: of this machine, where somebody else has its data folder and there is no core.
    """

    core: Core
    model_id: str
    where: str
    beside: RunningModel | None = None

    @property
    def running(self) -> RunningModel:
        """On this machine."""
        running = self.beside or self.core.machine.running_here(self.model_id)
        if running is None:
            raise ModelError("The local model was unloaded.")
        return running


@asynccontextmanager
async def used_model(
    options: argparse.Namespace, output: Output, purpose: Purpose, pick: Pick = lambda there, named: None
) -> AsyncIterator[UsedModel]:
    """options: key, model, timeout and those of the network. Raises QvacError, with a sentence that says why."""
    if options.key is None:
        for name in FOR_A_KEY:
            if getattr(options, name, None) is not None:
                raise LocalProtocolError(f"--{name.replace('_', '-')} is for a provider's KEY.", name="INVALID_OPTION")
    core = Core(core_config(options))
    core.subscribe(lambda event: _report(event, output))
    try:
        try:
            await core.start()
        except StoreError as error:
            if error.name != "ALREADY_RUNNING" or options.key is not None:
                raise
            async with beside(core_config(options)) as here:
                yield await _beside(core, here, options, output, purpose, pick)
            return
        if options.key is not None and options.key.hex() != core.public_key:
            yield await _there(core, options, output, purpose, pick)
        else:
            if options.key is not None:
                output.note("This is your own key: the model of this machine is used.")
            yield await _here(core, options, output, purpose, pick)
    except QvacError as error:
        raise (with_own_key(core.public_key, error) if is_refusal(error) else error) from None
    finally:
        await core.close()


async def _here(core: Core, options: argparse.Namespace, output: Output, purpose: Purpose, pick: Pick) -> UsedModel:
    await core.machine.scanned()
    there = [
        Candidate(model.name, model.model_type, (), languages=model.languages)
        for model in core.machine.runnable_models()
    ]
    named = core.machine.name_of(options.model) if options.model else ""
    picked = pick(there, named) or Picked(options.model or _first(there, purpose), purpose.model_type)
    name = options.model or picked.name
    report = partial(_progress, output)
    model_id = await core.machine.load_local(name, picked.config, report, picked.model_type)
    output.event("loaded", modelId=model_id, where=LOCAL, model=name)
    return UsedModel(core, model_id, LOCAL)


async def _beside(
    core: Core, here: Beside, options: argparse.Namespace, output: Output, purpose: Purpose, pick: Pick
) -> UsedModel:
    there = [Candidate(model.name, model.model_type, (), languages=model.languages) for model in here.models()]
    named = here.name_of(options.model) if options.model else ""
    picked = pick(there, named) or Picked(options.model or _first(there, purpose), purpose.model_type)
    pivot = dict(picked.config or {}).get("pivotModel", {}).get("modelSrc", "")
    name = options.model or picked.name
    running = await here.load(name, picked.model_type, pivot)
    output.event("loaded", where=LOCAL, model=name)
    return UsedModel(core, "", LOCAL, running)


def _first(there: Sequence[Candidate], purpose: Purpose) -> str:
    fit = [model.name for model in there if model.model_type == purpose.model_type]
    if fit:
        return fit[0]
    raise ModelError(
        f"There is no {purpose.kind} on this machine yet. Name one with --model: a {purpose.file}, or a name of the "
        f"SDK such as {purpose.example}, which is fetched.",
        name="MODEL_NOT_FOUND_HERE",
    )


async def _there(core: Core, options: argparse.Namespace, output: Output, purpose: Purpose, pick: Pick) -> UsedModel:
    delegate = Delegate(options.key, timeout=options.timeout)
    known = by_name(options.model) if options.model else None
    there = await _candidates(core, delegate) if known is None or known.languages else None
    named = known.name if known is not None else options.model or ""
    picked = pick(there or (), named)
    source = known.src if known is not None else options.model or (picked.name if picked is not None else "")
    loaded = await core.consumer.load_model(
        source or _offered(there, purpose),
        delegate=delegate,
        model_type=picked.model_type if picked is not None else purpose.model_type,
        model_name=known.name if known is not None else None,
        model_config=picked.config if picked is not None else None,
        on_progress=partial(_progress, output),
    )
    source = source or _offered(there, purpose)
    output.event("loaded", modelId=loaded.model_id, where=DELEGATED, model=source)
    output.note(f"Connected to {short_key(options.key.hex())}, model {source}.")
    return UsedModel(core, loaded.model_id, DELEGATED)


async def _candidates(core: Core, delegate: Delegate) -> list[Candidate] | None:
    """None: it does not tell."""
    listed = await core.consumer.list_models(delegate)
    if listed is None:
        return None
    return [
        Candidate(
            entry.name,
            entry.model_type,
            tuple(entry.abilities),
            entry.loaded,
            tuple(entry.languages) if isinstance(entry.languages, list) else (),
        )
        for entry in listed
    ]


def _offered(there: Sequence[Candidate] | None, purpose: Purpose) -> str:
    if there is None:
        raise DelegationError(
            "This provider does not list its models. Name one with --model: an SDK name such as "
            f"{purpose.example}, or a path on the provider."
        )
    offers = [model for model in there if purpose.ability in model.abilities and model.model_type == purpose.model_type]
    if not offers:
        raise DelegationError(f"This provider shares no {purpose.kind} with you at the moment. Ask its owner for one.")
    return next((model.name for model in offers if model.loaded), offers[0].name)


def _report(event: CoreEvent, output: Output) -> None:
    if isinstance(event, Notice):
        output.note(f"{event.title} {event.message}".strip())
    elif isinstance(event, DownloadChanged):
        output.event("progress", model=event.model, downloaded=event.downloaded, total=event.total)


def _progress(output: Output, report: ModelProgress) -> None:
    output.event(
        "progress",
        downloaded=report.downloaded,
        total=report.total,
        percentage=report.percentage,
        model=report.download_key,
    )
