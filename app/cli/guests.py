"""`qvac-desktop guests`: who may use this machine and how much, from a terminal. What runs follows within seconds."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.cli.config import core_config
from app.cli.output import Output
from qvac_core.codec.key_text import short_key
from qvac_core.errors import LocalProtocolError, StoreError
from qvac_core.store.access_list import AccessList, check_limits
from qvac_core.store.database import Database
from qvac_core.store.days import day_of
from qvac_core.store.folders import DataDir
from qvac_core.store.knocks import Knocks
from qvac_core.store.records import AccessRecord, KeyLimits
from qvac_core.store.request_log import RequestLog

NO_LIMIT = "none"
_LIMITS = ("tokens_per_day", "parallel", "context_tokens", "answer_tokens")


async def guests(options: argparse.Namespace, output: Output) -> int:
    """Events `guest` (list, and of what was changed), `knock` (knocks), `removed`. Raises QvacError."""
    folder = DataDir.locate(core_config(options).data_dir).create()
    # Not the whole store: opening it ends what a provider that runs is logging now.
    database = Database.open(folder.database_file, now=time.time())
    if database.notice is not None:
        output.note(database.notice)
    try:
        return _act(options, database, output)
    finally:
        database.close()


def _act(options: argparse.Namespace, database: Database, output: Output) -> int:
    access, now = AccessList(database), time.time()
    used = RequestLog(database).tokens_today_by_key(now)
    if options.action == "list":
        records = access.records()
        for record in records:
            _tell(record, used.get(record.public_key, 0), now, output)
        if not records:
            output.note("Nobody is allowed yet. `guests allow KEY` lets somebody in, `invite make` makes an invite.")
        return 0
    if options.action == "knocks":
        _tell_knocks(Knocks(database), output)
        return 0
    if options.key is None:
        raise LocalProtocolError(f"`guests {options.action}` needs a KEY.", name="INVALID_OPTION")
    key = options.key.hex()
    if options.action == "remove":
        access.remove(key)
        output.event("removed", publicKey=key)
        output.text(f"{short_key(key)} is not in the list any more.")
        return 0
    before = access.get(key)
    limits = _wanted(options, before.limits if before is not None else KeyLimits())
    check_limits(limits)  # before anything is changed: nobody is let in without the limits that were meant
    if options.action == "block":
        access.block(key, options.name or "", now)
    elif options.action == "allow":
        access.allow(key, options.name or ("" if before else short_key(key)), now, expires_at=options.until)
        _limit(options, access, key, limits, now)
    elif before is None:
        raise StoreError("This key is not in the list. `guests allow KEY` puts it there.", name="UNKNOWN_KEY")
    else:
        _limit(options, access, key, limits, now)
    after = access.get(key)
    assert after is not None
    _tell(after, used.get(key, 0), now, output)
    return 0


def _tell_knocks(knocks: Knocks, output: Output) -> None:
    waiting = knocks.records()[::-1]
    for knock in waiting:
        output.event("knock", publicKey=knock.public_key, at=knock.at)
        output.text(f"{knock.public_key}  {datetime.fromtimestamp(knock.at):%Y-%m-%d %H:%M}")
    if not waiting:
        output.note("Nobody knocks. A provider lets strangers do so with --knock, and in the window with its switch.")
    else:
        output.note("`guests allow KEY` lets one in, `guests block KEY` keeps it out.")


def _wanted(options: argparse.Namespace, limits: KeyLimits) -> KeyLimits:
    """What was given; everything else stays as it is."""
    given: dict[str, Any] = {name: getattr(options, name) for name in _LIMITS if getattr(options, name) is not None}
    wanted: dict[str, Any] = {name: None if value == NO_LIMIT else value for name, value in given.items()}
    limits = replace(limits, **wanted)
    if options.only_model:
        limits = replace(limits, models=None if options.only_model == [NO_LIMIT] else tuple(options.only_model))
    if options.hours is not None:
        limits = replace(limits, hours="" if options.hours == NO_LIMIT else options.hours)
    return limits


def _limit(options: argparse.Namespace, access: AccessList, key: str, limits: KeyLimits, now: float) -> None:
    access.set_limits(key, limits)
    if options.until is not None or options.for_good:
        access.set_expiry(key, options.until)
    if options.extra_tokens is not None:
        access.give_extra(key, day_of(now), options.extra_tokens)
    if options.mine is not None:
        access.set_mine(key, options.mine)
    if options.name:
        access.rename(key, options.name)


def _tell(record: AccessRecord, used: int, now: float, output: Output) -> None:
    extra = record.extra_tokens if record.extra_day == day_of(now) else 0
    output.event(
        "guest",
        publicKey=record.public_key,
        name=record.name,
        blocked=record.blocked,
        mine=record.mine,
        expiresAt=record.expires_at,
        tokensToday=used,
        extraTokens=extra,
        **limit_fields(record.limits),
    )
    state = "blocked" if record.blocked else "mine" if record.mine else limits_in_words(record.limits, extra)
    if not record.blocked and record.expires_at is not None:
        over = record.expires_at <= now
        state += f", {'ended' if over else 'until'} {datetime.fromtimestamp(record.expires_at):%Y-%m-%d %H:%M}"
    today = f", {used} tokens today" if used else ""
    output.text(f"{short_key(record.public_key)}  {record.name or '-'}  {state}{today}")


def limit_fields(limits: KeyLimits) -> dict[str, object]:
    """For programs; null = no limit."""
    return {
        "tokensPerDay": limits.tokens_per_day,
        "parallel": limits.parallel,
        "contextTokens": limits.context_tokens,
        "answerTokens": limits.answer_tokens,
        "models": None if limits.models is None else list(limits.models),
        "hours": limits.hours or None,
    }


def limits_in_words(limits: KeyLimits, extra: int = 0) -> str:
    said = []
    if limits.tokens_per_day is not None:
        more = f" (+{extra} today)" if extra else ""
        said.append(f"{limits.tokens_per_day} tokens a day{more}")
    if limits.parallel is not None:
        said.append(f"{limits.parallel} at once")
    if limits.context_tokens is not None:
        said.append(f"context {limits.context_tokens}")
    if limits.answer_tokens is not None:
        said.append(f"answers to {limits.answer_tokens}")
    if limits.models is not None:
        said.append(", ".join(limits.models) or "no model")
    if limits.hours:
        said.append(limits.hours)
    return ", ".join(said) or "no limits of its own"
