"""The model that a verb asks for one thing: of this machine or, with a key, of a provider."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.cli.config import core_config
from app.cli.output import Output
from app.cli.refusal import is_refusal, with_own_key
from qvac_core.codec.key_text import short_key
from qvac_core.core import Core
from qvac_core.core.state import CoreEvent, DownloadChanged, Notice
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.messages import ModelProgress
from qvac_core.engines.interface import RunningModel
from qvac_core.errors import DelegationError, LocalProtocolError, ModelError, QvacError
from qvac_core.models import by_name

LOCAL = "local"
DELEGATED = "delegated"
FOR_A_KEY = ("seed", "bootstrap", "port", "no_local_network", "relay_through", "timeout")


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a model is used for. ability: the word of wire/QVAC.md section 12; none: what to say where no model can."""

    ability: str
    model_type: str
    kind: str
    example: str


@dataclass(frozen=True, slots=True)
class UsedModel:
    """Loaded, and given back with its core. where: "local" or "delegated"."""

    core: Core
    model_id: str
    where: str

    @property
    def running(self) -> RunningModel:
        """On this machine."""
        running = self.core.machine.running_here(self.model_id)
        if running is None:
            raise ModelError("The local model was unloaded.")
        return running


@asynccontextmanager
async def used_model(options: argparse.Namespace, output: Output, purpose: Purpose) -> AsyncIterator[UsedModel]:
    """options: key, model, timeout and those of the network. Raises QvacError, with a sentence that says why."""
    if options.key is None:
        for name in FOR_A_KEY:
            if getattr(options, name, None) is not None:
                raise LocalProtocolError(f"--{name.replace('_', '-')} is for a provider's KEY.", name="INVALID_OPTION")
    core = Core(core_config(options))
    core.subscribe(lambda event: _report(event, output))
    try:
        await core.start()
        if options.key is not None and options.key.hex() != core.public_key:
            yield await _there(core, options, output, purpose)
        else:
            if options.key is not None:
                output.note("This is your own key: the model of this machine is used.")
            yield await _here(core, options, output, purpose)
    except QvacError as error:
        raise (with_own_key(core.public_key, error) if is_refusal(error) else error) from None
    finally:
        await core.close()


async def _here(core: Core, options: argparse.Namespace, output: Output, purpose: Purpose) -> UsedModel:
    name = options.model
    if not name:
        await core.machine.scanned()
        fit = [model.name for model in core.machine.runnable_models() if model.model_type == purpose.model_type]
        if not fit:
            raise ModelError(
                f"There is no {purpose.kind} on this machine yet. Name one with --model: a GGUF file, or a name of the "
                f"SDK such as {purpose.example}, which is fetched.",
                name="MODEL_NOT_FOUND_HERE",
            )
        name = fit[0]
    model_id = await core.machine.load_local(name, None, lambda report: _progress(output, report), purpose.model_type)
    output.event("loaded", modelId=model_id, where=LOCAL, model=name)
    return UsedModel(core, model_id, LOCAL)


async def _there(core: Core, options: argparse.Namespace, output: Output, purpose: Purpose) -> UsedModel:
    delegate = Delegate(options.key, timeout=options.timeout)
    known = by_name(options.model) if options.model else None
    source = known.src if known is not None else options.model or await _offered(core, delegate, purpose)
    loaded = await core.consumer.load_model(
        source,
        delegate=delegate,
        model_type=purpose.model_type,
        model_name=known.name if known is not None else None,
        on_progress=lambda report: _progress(output, report),
    )
    output.event("loaded", modelId=loaded.model_id, where=DELEGATED, model=source)
    output.note(f"Connected to {short_key(options.key.hex())}, model {source}.")
    return UsedModel(core, loaded.model_id, DELEGATED)


async def _offered(core: Core, delegate: Delegate, purpose: Purpose) -> str:
    listed = await core.consumer.list_models(delegate)
    if listed is None:
        raise DelegationError(
            "This provider does not list its models. Name one with --model: an SDK name such as "
            f"{purpose.example}, or a path on the provider."
        )
    offers = [entry for entry in listed if purpose.ability in entry.abilities]
    if not offers:
        raise DelegationError(f"This provider shares no {purpose.kind} with you at the moment. Ask its owner for one.")
    return next((entry.name for entry in offers if entry.loaded), offers[0].name)


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
