"""`qvac-desktop provider`: share models under this machine's key until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import time

from app import tray_words
from app.cli.config import core_config
from app.cli.knocks import HOW_TO_LET_IN, Door, asks_here
from app.cli.output import Output
from app.words import size
from qvac_core.codec.key_text import short_key
from qvac_core.core import Core
from qvac_core.core.model_servers_state import ServerState
from qvac_core.core.state import (
    AccessMode,
    AccessRules,
    CoreEvent,
    DownloadChanged,
    KnocksChanged,
    LogEntry,
    ModelServerEntry,
    ModelServersChanged,
    Notice,
    Pause,
    PausesChanged,
    PeerConnection,
    RequestEnded,
    RequestStarted,
    SharingChanged,
    SharingPhase,
)
from qvac_core.errors import StoreError
from qvac_core.store.folders import DataDir, InstanceLock

FOLDER_PAUSE = 1.0  # seconds between two looks whether the data folder is free
_FINDABLE = (SharingPhase.ANNOUNCED, SharingPhase.REACHABLE, SharingPhase.LOCAL)


async def provide(options: argparse.Namespace, output: Output) -> int:
    """Runs until cancelled. Events: ready, connection, request, done (and progress while a model is fetched)."""
    if options.wait:
        await _folder_free(DataDir.locate(options.data_dir), output)
    core = Core(core_config(options))
    core.subscribe(lambda event: _report(event, output))
    door = Door(core, output, asks=asks_here(output))
    core.subscribe(door.take)
    try:
        await core.start()
        await core.start_sharing()
        if (await core.sharing()).phase is SharingPhase.UNREACHABLE:
            output.note(f"The key {core.public_key} cannot be found by others yet. `qvac-desktop diagnose` says why.")
        await _announced(core)
        models = [model.name for model in await core.shared_models() if model.shared]
        output.event("ready", publicKey=core.public_key, models=models)
        output.text(f"Sharing under the key\n\n  {core.public_key}\n")
        output.text("Models: " + (", ".join(models) or "none (give --model NAME_OR_PATH)"))
        output.text(_who(await core.access_rules(), asked_here=options.knock and asks_here(output)))
        await door.keep()
    finally:
        await core.close()
    return 0


async def _folder_free(folder: DataDir, output: Output) -> None:
    """Returns when no other QVAC Desktop has the data folder. Raises StoreError where it cannot be used at all."""
    lock = InstanceLock(folder.create().lock_file)
    told = False
    while True:
        try:
            lock.acquire()
        except StoreError as error:
            if error.name != "ALREADY_RUNNING":
                raise
            if not told:
                output.event("waiting", folder=str(folder.root))
                output.note("Another QVAC Desktop uses the data folder. This one begins when that has ended.")
                told = True
            await asyncio.sleep(FOLDER_PAUSE)
        else:
            lock.release()
            return


async def _announced(core: Core) -> None:
    """Wait until the key can be found; why it cannot has been said by then."""
    reached = asyncio.Event()

    def look(event: CoreEvent) -> None:
        if isinstance(event, SharingChanged) and event.state.phase in _FINDABLE:
            reached.set()

    unsubscribe = core.subscribe(look)
    if (await core.sharing()).phase not in _FINDABLE:
        await reached.wait()
    unsubscribe()


def _who(rules: AccessRules, *, asked_here: bool = False) -> str:
    blocked = sum(key.blocked for key in rules.keys)
    allowed = len(rules.keys) - blocked
    if rules.mode is AccessMode.DENY:
        exception = f", except {blocked} blocked" if blocked else ""
        return f"Open to everybody who knows the key{exception}. Ctrl-C ends it."
    if not allowed and asked_here:
        return "Nobody may use it yet: who tries to is asked about here. Ctrl-C ends it."
    if not allowed:
        return (
            "Nobody may use it yet: `qvac-desktop guests allow KEY` lets somebody in, also while this runs (they find "
            "theirs with `qvac-desktop public-key`). Ctrl-C ends it."
        )
    return f"{allowed} {'key' if allowed == 1 else 'keys'} may use it. Ctrl-C ends it."


def _comes_or_goes(event: PeerConnection) -> str:
    public_key, state = event.remote_public_key, event.state
    way = f"through the relay {short_key(event.relay)}" if event.relay else "directly"
    match state:
        case "open":
            return f"{short_key(public_key)} is connected{f', {way}' if event.relay else ''}."
        case "moved":
            return f"{short_key(public_key)} is connected {way} now."
        case "closed":
            return f"{short_key(public_key)} has left."
        case "refused":
            return f"Refused, because it is not allowed: {public_key}. {HOW_TO_LET_IN}"
        case "blocked":
            return f"{short_key(public_key)} is blocked and got no answer."
        case _:
            return f"{short_key(public_key)}: {state}"


_OUTCOMES = {
    "eos": "finished",
    "length": "ended at its greatest length",
    "stopSequence": "finished",
    "cancelled": "was stopped by the guest",
    "stopped": "was stopped here",
    "disconnected": "ended, because the guest went away",
    "error": "failed",
}


_KINDS = {
    "completionStream": "An answer",
    "copyModel": "A copy",
    "embed": "Embeddings",
    "transcribe": "A transcription",
    "translate": "A translation",
}


def _ended(entry: LogEntry) -> str:
    outcome = _OUTCOMES.get(entry.outcome, entry.outcome)
    reason = f" ({entry.error})" if entry.error else ""
    if entry.method == "loadModel":
        return f"{short_key(entry.remote_public_key)}: Loading {entry.model} {outcome}{reason}"
    what = _KINDS.get(entry.method, entry.method)
    figures = ", ".join((*_measures(entry), f"{entry.ms / 1000:.1f} s"))
    return f"{short_key(entry.remote_public_key)}: {what} of {entry.model} {outcome}{reason}: {figures}."


def _measures(entry: LogEntry) -> list[str]:
    """What it was beside its time: seconds of sound, texts, tokens."""
    told = []
    if entry.unit == "seconds" and entry.amount:
        told.append(f"{entry.amount:.0f} s of audio")
    elif entry.unit == "bytes":
        told.append(size(entry.amount))
    elif entry.unit == "texts" and entry.amount:
        told.append("1 text" if entry.amount == 1 else f"{entry.amount:.0f} texts")
    if entry.prompt_tokens or entry.generated_tokens or not entry.unit:
        told.append(f"{entry.prompt_tokens} tokens in, {entry.generated_tokens} out")
    return told


def _tell_pauses(pauses: tuple[Pause, ...], output: Output) -> None:
    """Why guests are sent away though all is well; nothing while they are served."""
    if pauses:
        why = tray_words.paused(pauses, time.time())
        output.note(f"{why}. Guests are told when to ask again.")


def _tell_server(server: ModelServerEntry, output: Output) -> None:
    if server.state is ServerState.ASKED:
        return
    names = [model.name for model in server.models]
    output.event("server", name=server.name, state=server.state, problem=server.problem or None, models=names)
    if server.state is ServerState.AWAY:
        output.note(f"{server.name}: {server.problem}")


def _report(event: CoreEvent, output: Output) -> None:
    match event:
        case PeerConnection():
            output.event(
                "connection",
                remotePublicKey=event.remote_public_key,
                state=event.state,
                path=event.path or None,
                relay=event.relay or None,
            )
            if event.state != "knock":  # told with the key in full, below
                output.text(_comes_or_goes(event))
        case RequestStarted(request=request):
            output.event(
                "request",
                id=request.id,
                remotePublicKey=request.remote_public_key,
                method=request.method,
                model=request.model,
            )
        case RequestEnded(entry=entry):
            output.event(
                "done",
                id=entry.id,
                remotePublicKey=entry.remote_public_key,
                method=entry.method,
                outcome=entry.outcome,
                error=entry.error or None,
                promptTokens=entry.prompt_tokens,
                generatedTokens=entry.generated_tokens,
                amount=entry.amount if entry.unit else None,
                unit=entry.unit or None,
                ms=round(entry.ms, 1),
            )
            output.text(_ended(entry))
        case KnocksChanged(knocks=knocks) if knocks:
            output.event("knock", remotePublicKey=knocks[0].public_key)
        case SharingChanged(state=state):
            output.event("sharing", phase=state.phase, detail=state.detail)
            if state.detail:
                output.note(state.detail)
        case ModelServersChanged(servers=servers):
            for server in servers:
                _tell_server(server, output)
        case DownloadChanged():
            output.event("progress", model=event.model, downloaded=event.downloaded, total=event.total)
        case PausesChanged(pauses=pauses):
            _tell_pauses(pauses, output)
        case Notice():
            output.note(f"{event.title} {event.message}".strip())
        case _:
            pass
