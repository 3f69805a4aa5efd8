"""`qvac-desktop serve`: an OpenAI-compatible endpoint over this machine's models and every provider's."""

from __future__ import annotations

import argparse
import asyncio

from app.cli.config import core_config
from app.cli.output import Output
from qvac_core.core import Core
from qvac_core.core.programs_state import ProgramsState
from qvac_core.core.state import CoreEvent, DownloadChanged, Notice, ProgramCalled
from qvac_core.endpoint.guard import checked_origins
from qvac_core.endpoint.interface import Call
from qvac_core.errors import StoreError
from qvac_core.store.folders import DataDir
from qvac_core.store.program_token import ProgramToken


async def serve(options: argparse.Namespace, output: Output) -> int:
    """Runs until cancelled. Events: ready, call (and progress while a model is fetched). With --token: that alone."""
    if options.token:
        folder = await asyncio.to_thread(DataDir.locate(getattr(options, "data_dir", None)).create)
        token = await asyncio.to_thread(ProgramToken(folder).load)
        output.event("token", token=token)
        output.text(token)
        return 0
    origins = checked_origins(options.allow_origin)
    core = Core(core_config(options))
    core.subscribe(lambda event: _report(event, output))
    try:
        await _start(core)
        for name in options.model:
            await core.machine.require(name, "")
        for name, key in options.provider:
            await core.add_provider(key.hex(), name)
        if options.new_token:
            await core.programs.new_token()
        core.programs.host = options.host
        core.programs.given_port, core.programs.given_origins = options.http_port, origins
        await core.machine.scanned()
        await core.programs.switch(True)
        state = core.programs.state
        if not state.on:
            raise StoreError(_other_port(state), name="CANNOT_LISTEN")
        await _tell(core, state, output)
        await asyncio.Event().wait()
    finally:
        await core.close()
    return 0


async def _start(core: Core) -> None:
    try:
        await core.start()
    except StoreError as error:
        if error.name != "ALREADY_RUNNING":
            raise
        raise StoreError(
            f"{error.message.partition('. ')[0]}. Switch the endpoint on there, under For programs, or name another "
            "folder with --data-dir.",
            name=error.name,
        ) from error


def _other_port(state: ProgramsState) -> str:
    if not state.free_port:
        return state.error
    return f"Another program uses port {state.port} on this machine. Choose another one: --http-port {state.free_port}."


async def _tell(core: Core, state: ProgramsState, output: Output) -> None:
    models = [model.id for model in await core.programs.models()]
    output.event("ready", address=state.address, tokenEnd=state.token_end, models=models)
    output.text(f"Programs reach this at\n\n  {state.address}\n")
    output.text(f"Token: …{state.token_end} (`qvac-desktop serve --token` prints it)")
    output.text("Models: " + (", ".join(models) or "none yet"))
    output.text("Ctrl-C ends it.")


def _report(event: CoreEvent, output: Output) -> None:
    match event:
        case ProgramCalled(call=call) if call.ended:
            output.event(
                "call",
                id=call.id,
                program=call.program,
                kind=call.kind,
                model=call.model,
                machine=call.machine,
                outcome=call.outcome,
                reason=call.reason or None,
                origin=call.origin or None,
                promptTokens=call.prompt_tokens,
                generatedTokens=call.generated_tokens,
                ms=round((call.ended - call.started) * 1000, 1),
            )
            output.text(_ended(call))
        case DownloadChanged():
            output.event("progress", model=event.model, downloaded=event.downloaded, total=event.total)
        case Notice():
            output.note(f"{event.title} {event.message}".strip())
        case _:
            pass


_OUTCOMES = {
    "done": "done",
    "moved": "done, by another machine from the middle on",
    "left": "the program went away",
    "stopped": "stopped",
    "refused": "refused",
    "failed": "failed",
}


def _ended(call: Call) -> str:
    who = call.program or "a program"
    why = f" ({call.reason})" if call.reason else ""
    if call.outcome == "refused":
        return f"{who}{f' of {call.origin}' if call.origin else ''}: refused{why}"
    by = f" by {call.machine}" if call.machine else ""
    figures = f"{call.prompt_tokens} tokens in, {call.generated_tokens} out, {call.ended - call.started:.1f} s"
    return f"{who}: {call.kind}{by}: {_OUTCOMES[call.outcome]}{why}: {figures}."
