"""`qvac-desktop invite`: make an invite, see what became of all, take one back; and open one that somebody sent."""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import datetime
from pathlib import Path

from app.cli.config import core_config
from app.cli.guests import NO_LIMIT, limit_fields, limits_in_words
from app.cli.output import Output
from qvac_core.codec.key_links import link_of, qr_text
from qvac_core.codec.key_text import short_key
from qvac_core.core import Core
from qvac_core.core.core import load_key_pair
from qvac_core.core.invites import new_invite, read_offer
from qvac_core.core.invites_room import InviteRecord, InviteWish, Offer
from qvac_core.errors import LocalProtocolError, StoreError
from qvac_core.store.database import Database
from qvac_core.store.disk import write_atomically
from qvac_core.store.folders import DataDir
from qvac_core.store.invites import Invites
from qvac_core.store.records import KeyLimits
from qvac_core.store.settings_file import SettingsFile

DAY = 86_400
SHORT_ID = 8
PICTURE_SCALE = 8  # pixels of a module


async def invite(options: argparse.Namespace, output: Output) -> int:
    """Events `invite` (make, list), `taken_back`, `removed`, `offer`, `accepted`. Raises QvacError."""
    if options.action in ("show", "accept"):
        return await _open(options, output)
    config = core_config(options)
    folder = DataDir.locate(config.data_dir).create()
    # Not the whole store: opening it ends what a provider that runs is logging now.
    database = Database.open(folder.database_file, now=time.time())
    try:
        kept = Invites(database)
        if options.action == "make":
            return await _make(options, kept, folder, output)
        if options.action == "list":
            return _list(kept, output)
        id = _one(options.what, kept)
        if options.action == "take-back":
            kept.take_back(id, time.time())
            output.event("taken_back", id=id)
            output.text("Nobody more comes with this invite. Whoever came stays: `guests block KEY` ends that.")
        else:
            kept.remove(id)
            output.event("removed", id=id)
            output.text("The invite is forgotten.")
        return 0
    finally:
        database.close()


async def _make(options: argparse.Namespace, kept: Invites, folder: DataDir, output: Output) -> int:
    given = {
        name: None if (value := getattr(options, name)) in (None, NO_LIMIT) else int(value)
        for name in ("tokens_per_day", "parallel", "context_tokens", "answer_tokens")
    }
    models = tuple(options.only_model) if options.only_model and options.only_model != [NO_LIMIT] else None
    hours = "" if options.hours in (None, NO_LIMIT) else options.hours
    now = time.time()
    if options.until is not None and options.until <= now:
        raise LocalProtocolError("This invite would have run out already. Choose a later time.", name="INVALID_OPTION")
    wish = InviteWish(
        options.name or "Guest",
        KeyLimits(**given, models=models, hours=hours),
        options.until,
        None if options.access_days is None else options.access_days * DAY,
        options.places,
    )
    key_pair = await asyncio.to_thread(load_key_pair, core_config(options))
    record = new_invite(wish, key_pair, now)
    if options.picture is not None:
        _write_picture(options.picture, qr_text(key_pair.public_key, record.grant))
    kept.put(record)
    machine = SettingsFile(folder.settings_file, now=now).settings.machine_name
    link = link_of(key_pair.public_key, machine, record.grant)
    output.event("invite", link=link, **_fields(record))
    output.text(link)
    output.note("Send this link. It works while this machine shares, also beside `provider --allow`.")
    return 0


def _write_picture(path: Path, text: str) -> None:
    import io

    import segno

    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg"):
        raise LocalProtocolError("The picture's name ends in .png or .svg.", name="INVALID_OPTION")
    if path.exists():
        raise StoreError(f"{path} is there already. Name another file.", name="FILE_EXISTS")
    picture = io.BytesIO()
    segno.make(text, error="l", micro=False).save(picture, kind=kind, scale=PICTURE_SCALE)
    write_atomically(path, picture.getvalue(), action="write the picture")


def _list(kept: Invites, output: Output) -> int:
    records, now = kept.records(), time.time()
    for record in records:
        output.event("invite", **_fields(record))
        output.text(f"{record.id[:SHORT_ID]}  {record.name}  {limits_in_words(record.limits)}  {_state(record, now)}")
    if not records:
        output.note("There are no invites. `invite make --name NAME` makes one.")
    return 0


def _state(record: InviteRecord, now: float) -> str:
    came = f"{len(record.claims)} of {record.places} came"
    if record.taken_back_at is not None:
        return f"taken back, {came}"
    if record.opens_until is not None and record.opens_until <= now:
        return f"ran out, {came}"
    if len(record.claims) >= record.places:
        return f"all places taken{', somebody was turned away' if record.turned_away_at else ''}"
    until = f", until {datetime.fromtimestamp(record.opens_until):%Y-%m-%d %H:%M}" if record.opens_until else ""
    return f"open, {came}{until}"


def _fields(record: InviteRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "name": record.name,
        "opensUntil": record.opens_until,
        "places": record.places,
        "accessSeconds": record.access_seconds,
        "takenBackAt": record.taken_back_at,
        "turnedAwayAt": record.turned_away_at,
        "claims": [{"publicKey": key, "at": at} for key, at in record.claims],
        **limit_fields(record.limits),
    }


def _one(id: str | None, kept: Invites) -> str:
    found = [name for name in kept.names() if name.startswith((id or "").lower())] if id else []
    if len(found) != 1:
        why = "Name the invite by its id" if not id else f"{id} is {'no invite' if not found else 'several of them'}"
        raise StoreError(f"{why}. `invite list` shows their ids.", name="NO_SUCH_INVITE")
    return found[0]


# --- The guest's side


async def _open(options: argparse.Namespace, output: Output) -> int:
    if not options.what:
        raise LocalProtocolError(f"`invite {options.action}` needs the LINK.", name="INVALID_OPTION")
    offer = read_offer(options.what, time.time())
    if options.action == "show":
        _tell(offer, output)
        return 0
    async with Core(core_config(options)) as core:
        entry = await core.invites.accept(options.what, options.name or "")
        models = [model.source for model in entry.models]
        output.event("accepted", publicKey=entry.public_key, name=entry.name, models=models)
        output.text(f"{entry.name} lets you in. Ask it: qvac-desktop chat {entry.public_key}")
    return 0


def _tell(offer: Offer, output: Output) -> None:
    output.event(
        "offer",
        publicKey=offer.public_key,
        machine=offer.machine,
        opensUntil=offer.opens_until,
        accessSeconds=offer.access_seconds,
        runOut=offer.run_out,
        modelsInAll=offer.models,
        **limit_fields(offer.limits),
    )
    output.text(f"An invite of {offer.machine or short_key(offer.public_key)}: {limits_in_words(offer.limits)}.")
    if offer.opens_until is not None:
        when = f"{datetime.fromtimestamp(offer.opens_until):%Y-%m-%d %H:%M}"
        output.text(f"It {'ran out' if offer.run_out else 'can be used until'} {when}.")
