"""`qvac-desktop remote`: manage a machine of one's own from afar; its owner has marked this key as theirs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from datetime import datetime

from app.cli.config import core_config
from app.cli.output import Output
from app.cli.refusal import for_owners
from qvac_core.codec.key_text import short_key
from qvac_core.core import Core
from qvac_core.core.guest_terms import guest_terms
from qvac_core.core.my_machines import machine_there
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.messages import Manage, ManageReply
from qvac_core.errors import LocalProtocolError, QvacError

NEED_A_MODEL = ("load", "unload", "download", "cancel", "remove")


async def remote(options: argparse.Namespace, output: Output) -> int:
    """Event `machine`, and with `log` one `request` for each. Raises QvacError."""
    if (options.action in NEED_A_MODEL) != (options.model is not None):
        what = "needs a MODEL" if options.action in NEED_A_MODEL else "takes no MODEL"
        raise LocalProtocolError(f"`remote KEY {options.action}` {what}.", name="INVALID_OPTION")
    if options.minutes is not None and options.action != "pause":
        raise LocalProtocolError("--minutes is for `remote KEY pause`.", name="INVALID_OPTION")
    message = Manage(options.action)
    if options.model is not None:
        message = Manage(options.action, model=options.model)
    elif options.minutes is not None:
        message = Manage(options.action, minutes=float(options.minutes))
    async with Core(core_config(options)) as core:
        if options.action == "wake":
            return await _wake(core, options.key.hex(), output)
        try:
            reply = await core.consumer.manage(Delegate(options.key), message)
        except QvacError as error:
            raise for_owners(core.public_key, error) from None
        await keep_how_it_is_woken(core, options.key)
    _tell(reply, output)
    return 0


async def keep_how_it_is_woken(core: Core, key: bytes) -> None:
    """For `remote KEY wake`, when it sleeps."""
    with contextlib.suppress(QvacError):  # it did what was asked; what is remembered of it stays
        await core.consumer.hello(Delegate(key))
    connection = core.consumer.connection(key)
    terms = guest_terms(connection.terms, time.time()) if connection is not None else None
    if terms is not None:
        core.sleepers.told(key.hex(), terms.wake if terms.mine else ())


async def _wake(core: Core, key: str, output: Output) -> int:
    """One that was reached from here before, and said how it is woken. Event `called`."""
    if not core.sleepers.knows(key):
        raise LocalProtocolError(
            "How this machine is woken is not known here. It tells machines of your own while they are connected (as "
            "`remote KEY status` is), once its switch for that is on (Settings, Network and relays, or "
            "`provider --can-be-woken`).",
            name="NOT_KNOWN",
        )

    async def look_for(helper: str) -> None:
        with contextlib.suppress(QvacError):  # one that cannot be reached helps nobody
            await core.connect_provider(helper)

    helpers = (entry.public_key for entry in await core.providers() if entry.public_key != key)
    await asyncio.gather(*map(look_for, helpers))
    called = await core.sleepers.call(key)
    output.event("called", by=[name or "this machine" for name in called])
    output.text(f"The wake-up call was sent by {', '.join(name or 'this machine' for name in called)}.")
    return 0


def _tell(reply: ManageReply, output: Output) -> None:
    output.event(
        "machine",
        paused=reply.paused,
        pausedUntil=reply.paused_until or None,
        models=[
            {"name": model.name, "state": model.state, "shared": model.shared, "sizeBytes": model.size_bytes}
            for model in reply.models
        ],
        downloads=reply.downloads,
        progress=[
            {"model": one.model, "state": one.state, "downloaded": one.downloaded, "total": one.total}
            for one in reply.progress
        ],
    )
    until = f" until {_moment(reply.paused_until)}" if reply.paused_until else ""
    output.text(f"It {'rests' + until if reply.paused else 'serves'}.")
    for model in reply.models:
        trouble = f"  could not be loaded: {model.error}" if model.error else ""
        output.text(f"{model.name}  {model.state}{', shared' if model.shared else ''}{trouble}")
    for download in machine_there(reply).downloads:
        share = f"  {100 * download.downloaded // download.total} %" if download.total else ""
        state = download.state.value if download.state is not None else "downloading"
        output.text(f"{download.title}  {state}{share}{'  ' + download.error if download.error else ''}")
    for line in reply.log:
        output.event(
            "request",
            remotePublicKey=line.public_key,
            method=line.method,
            model=line.model,
            startedAt=line.started_at,
            outcome=line.outcome,
        )
        output.text(
            f"{_moment(line.started_at)}  {short_key(line.public_key)}  {line.model}  {line.method}  {line.outcome}"
        )


def _moment(at: float) -> str:
    """As another program told it: it may be none that a calendar has."""
    try:
        return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return "?"
