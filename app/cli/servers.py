"""`qvac-desktop servers`: OpenAI-compatible servers whose models this machine offers. What runs follows in seconds."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time

from app.cli.config import core_config, server_key
from app.cli.models import table
from app.cli.output import Output
from qvac_core.core.served_models import checked_name, kind_of, models_of, parallel_of
from qvac_core.core.served_models import seen as as_seen
from qvac_core.engines.model_kind import EMBEDDING_TYPE
from qvac_core.engines.openai_address import base_address, place_of
from qvac_core.engines.openai_client import OpenAiClient, Server
from qvac_core.engines.openai_models import list_models
from qvac_core.errors import LocalProtocolError, QvacError
from qvac_core.store.database import Database
from qvac_core.store.folders import DataDir
from qvac_core.store.model_servers import ModelServers
from qvac_core.store.records import ModelServer
from qvac_core.store.server_keys import ServerKeys


async def servers(options: argparse.Namespace, output: Output) -> int:
    """Events `server` (each, as it is now), `removed`. Raises QvacError."""
    if options.action != "list" and not options.what:
        raise LocalProtocolError(f"`servers {options.action}` needs an ADDRESS or a NAME.", name="INVALID_OPTION")
    folder = DataDir.locate(core_config(options).data_dir).create()
    # Not the whole store: opening it ends what a provider that runs is logging now.
    database = await asyncio.to_thread(lambda: Database.open(folder.database_file, now=time.time()))
    if database.notice is not None:
        output.note(database.notice)
    try:
        return await _act(options, ModelServers(database), ServerKeys(folder), output)
    finally:
        database.close()


async def _act(options: argparse.Namespace, kept: ModelServers, keys: ServerKeys, output: Output) -> int:
    given = server_key(options.server_key_file) if options.server_key_file is not None else None
    if options.action == "list":
        records = kept.list()
        await asyncio.gather(*(_show(record, keys.get(record.id), output, kept) for record in records))
        if not records:
            output.note("None yet. `qvac-desktop servers add http://127.0.0.1:11434` offers what an Ollama here has.")
        return 0
    if options.action == "remove":
        record = _named(kept, options.what)
        kept.remove(record.id)
        keys.put(record.id, "")
        output.event("removed", name=record.name)
        output.text(f"{record.name} is not asked any more; its key is forgotten.")
        return 0
    if options.action == "test":
        found = next((one for one in kept.list() if one.name.casefold() == options.what.casefold()), None)
        record = found or _new(options.what, options.name or "")
        key = given if given is not None else keys.get(record.id) if found is not None else ""
        return 0 if await _show(record, key, output) else 1
    record = _new(options.what, options.name or "", options.requests or 0)
    kept.keep(record)
    if given:
        keys.put(record.id, given)
    await _show(record, given or "", output, kept)  # kept also where it does not answer now
    return 0


def _new(address: str, name: str, requests: int = 0) -> ModelServer:
    base = base_address(address)
    return ModelServer(secrets.token_hex(16), checked_name(name or place_of(base)), base, requests)


def _named(kept: ModelServers, name: str) -> ModelServer:
    for server in kept.list():
        if name.casefold() in (server.name.casefold(), server.url.casefold()):
            return server
    raise LocalProtocolError(f"There is no server called {name[:64]}. `qvac-desktop servers list` shows them.")


async def _show(record: ModelServer, key: str, output: Output, keep_in: ModelServers | None = None) -> bool:
    """Ask it, and say what it has. False: it does not answer as it should, and why is said."""
    client = OpenAiClient(Server(record.url, key))
    problem = ""
    try:
        record = as_seen(record, await list_models(client))
        if keep_in is not None:
            keep_in.seen(record)
    except QvacError as error:
        problem = error.message
    finally:
        await client.close()
    models = models_of(record)
    output.event(
        "server",
        name=record.name,
        url=record.url,
        kind=kind_of(record).value or None,
        requests=parallel_of(record),
        hasKey=bool(key),
        state="away" if problem else "there",
        problem=problem or None,
        models=[model.name for model in models],
    )
    program = f", {kind_of(record)}" if kind_of(record) else ""
    at_once = f"{parallel_of(record)} at once" if parallel_of(record) > 1 else "one request at a time"
    output.text(f"{record.name}: {record.url}{program}, {at_once}{', with a key' if key else ''}")
    if problem:
        output.note(f"{record.name}: {problem}")
    rows = [
        (
            model.name,
            "embed" if model.model_type == EMBEDDING_TYPE else "chat",
            "yes" if model.at is not None and model.at.vision else "no",
            f"{model.at.n_ctx} tokens" if model.at is not None and model.at.n_ctx else "not told",
        )
        for model in models
    ]
    if rows:
        table(("name", "can", "sees pictures", "context"), rows, output)
    elif not problem:
        output.note(f"{record.name} answers, and has no model yet.")
    return not problem
