"""`qvac-desktop serve`: an OpenAI-compatible endpoint over this machine's models and every provider's."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from app.cli.config import core_config
from app.cli.output import Output
from app.cli.serve_beside import not_served, serve_by_the_window, tell_call, tell_ready
from qvac_core.core import Core
from qvac_core.core.serving import NotServed, Wanted, call_fields
from qvac_core.core.state import CoreEvent, DownloadChanged, Notice, ProgramCalled
from qvac_core.endpoint.guard import checked_origins
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
    wanted = await asyncio.to_thread(_wanted, options)
    core = Core(core_config(options))
    core.subscribe(lambda event: _report(event, output))
    try:
        try:
            await core.start()
        except StoreError as error:
            if error.name != "ALREADY_RUNNING":
                raise
            folder = DataDir.locate(getattr(options, "data_dir", None))
            return await serve_by_the_window(folder, wanted, output, error)
        await core.machine.scanned()
        try:
            served = await core.programs.serve(wanted)
        except NotServed as error:
            raise not_served(error.message, error.free, wanted.port) from error
        tell_ready(served.state.address, served.state.token_end, served.models, output)
        output.text("Ctrl-C ends it.")
        await asyncio.Event().wait()
    finally:
        await core.close()
    return 0


def _wanted(options: argparse.Namespace) -> Wanted:
    """Files by their whole paths: whoever serves may stand in another folder."""
    return Wanted(
        tuple(str(Path(name).absolute()) if Path(name).is_file() else name for name in options.model),
        tuple((name, key.hex()) for name, key in options.provider),
        checked_origins(options.allow_origin),
        options.host,
        options.http_port or 0,
        options.new_token,
    )


def _report(event: CoreEvent, output: Output) -> None:
    match event:
        case ProgramCalled(call=call) if call.ended:
            tell_call(call_fields(call), output)
        case DownloadChanged():
            output.event("progress", model=event.model, downloaded=event.downloaded, total=event.total)
        case Notice():
            output.note(f"{event.title} {event.message}".strip())
        case _:
            pass
