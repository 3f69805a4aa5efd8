"""`qvac-desktop receipts`: what was served and signed, to read, to take along, and to check without anybody's data."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from app.cli.config import core_config
from app.cli.output import Output
from qvac_core.codec.key_text import short_key
from qvac_core.core.receipts import LATEST, check_file, write_receipts
from qvac_core.core.receipts_room import Checked, KeptReceipt, ReceiptQuery, ReceiptSide, ReceiptState
from qvac_core.delegation.live_requests import Kind
from qvac_core.delegation.receipts import THOUSANDTHS
from qvac_core.errors import LocalProtocolError, StoreError
from qvac_core.store.database import Database
from qvac_core.store.folders import DataDir, keep_from_own_files
from qvac_core.store.receipts import Receipts

NEWEST = 200  # that `list` shows
STATES = {
    ReceiptState.AWAITED: "not given yet",
    ReceiptState.UNSIGNED: "not signed by the guest",
    ReceiptState.SIGNED: "signed by both",
    ReceiptState.REFUSED: "the guest refused to sign",
    ReceiptState.NONE: "the provider gave none",
}
WHY = {
    "signature": "its signature is not genuine",
    "keys": "it is of somebody else",
    "method": "it is of another kind of request",
    "model": "another model file",
    "time": "it took longer than that",
    "prompt": "other tokens in the question",
    "tokens": "other tokens in the answer",
    "amount": "more sound or texts than were sent",
    "twice": "the request has its receipt",
}


async def receipts(options: argparse.Namespace, output: Output) -> int:
    """Events `receipt` (list), `exported`, `checked` (verify). Raises QvacError."""
    if options.action == "verify":
        return _verify(_file(options), output)
    folder = DataDir.locate(core_config(options).data_dir).create()
    # Not the whole store: opening it ends what a provider that runs is logging now.
    database = Database.open(folder.database_file, now=time.time())
    if database.notice is not None:
        output.note(database.notice)
    try:
        limit = NEWEST if options.action == "list" else 0
        side = ReceiptSide(options.side) if options.side else None
        query = ReceiptQuery(side, options.key.hex() if options.key else "", limit=limit)
        kept = Receipts(database).find(query)
        return _list(kept, output) if options.action == "list" else _export(options, folder, kept, output)
    finally:
        database.close()


def _file(options: argparse.Namespace) -> Path:
    if options.file is None:
        raise LocalProtocolError(f"`receipts {options.action}` needs a FILE.", name="INVALID_OPTION")
    return Path(options.file)


def _list(kept: Sequence[KeptReceipt], output: Output) -> int:
    for one in kept:
        output.event(
            "receipt",
            side=one.side.value,
            publicKey=one.peer,
            requestId=one.request_id,
            id=one.id or None,
            method=one.method,
            model=one.model,
            startedAt=one.started_at,
            endedAt=one.ended_at,
            promptTokens=one.prompt_tokens,
            generatedTokens=one.generated_tokens,
            amount=one.amount,
            unit=one.unit or None,
            outcome=one.outcome or None,
            state=one.state.value,
            refusal=one.reason or None,
        )
        when = f"{datetime.fromtimestamp(one.started_at):%Y-%m-%d %H:%M}"
        to = "to" if one.side is ReceiptSide.GIVEN else "by"
        state = STATES[one.state] + (f" ({WHY[one.reason]})" if one.reason in WHY else "")
        output.text(
            f"{when}  {to} {short_key(one.peer)}  {one.model}  {_served(one.tokens, one.amount, one.unit)}  {state}"
        )
    if not kept:
        output.note("There are no receipts yet. They come with each answer between two of QVAC Desktop.")
    elif len(kept) == NEWEST:
        output.note(f"The newest {NEWEST}. `receipts export FILE` writes all.")
    return 0


def _served(tokens: int, amount: float, unit: str) -> str:
    """In words: sound has no tokens."""
    if unit == "seconds":
        return f"{amount:.1f} s of sound"
    words = f"{round(amount)} {'text' if round(amount) == 1 else 'texts'}, " if unit == "texts" and amount else ""
    return f"{words}{tokens} tokens"


def _export(options: argparse.Namespace, folder: DataDir, kept: Sequence[KeptReceipt], output: Output) -> int:
    path = _file(options)
    keep_from_own_files(folder.root, path)
    if path.exists() and not options.yes:
        raise StoreError(f"{path} is there already. Name another file, or replace it with --yes.", name="FILE_EXISTS")
    count = write_receipts(path, kept)
    output.event("exported", file=str(path), receipts=count)
    output.text(
        f"{count} {'receipt' if count == 1 else 'receipts'} in {path}. Anybody checks them: receipts verify FILE"
    )
    return 0


def _verify(path: Path, output: Output) -> int:
    checked = check_file(path)
    for one in checked:
        _tell(one, output)
    good = sum(one.good for one in checked)
    tokens = sum(
        one.receipt.prompt_tokens + one.receipt.generated_tokens for one in checked if one.good and one.receipt
    )
    seconds = sum(
        one.receipt.amount / THOUSANDTHS
        for one in checked
        if one.good and one.receipt and one.receipt.unit == Kind.TRANSCRIBE.unit
    )
    sound = f", {seconds:.1f} s of sound" if seconds else ""
    output.text(f"{good} of {len(checked)} are signed by both sides: {tokens} tokens{sound}.")
    output.note(
        "Signatures of both prove that these two keys agreed on what was served. They prove neither who holds the keys "
        "nor what was computed."
    )
    return 0 if good == len(checked) else 1


def _tell(one: Checked, output: Output) -> None:
    receipt = one.receipt
    if receipt is None:
        output.event("checked", line=one.line, good=False, message=one.wrong)
        output.text(f"line {one.line}: {one.wrong}")
        return
    output.event(
        "checked",
        line=one.line,
        good=one.good,
        byProvider=one.by_provider,
        byGuest=one.by_guest,
        provider=receipt.provider.hex(),
        guest=receipt.guest.hex(),
        id=receipt.id.hex(),
        requestId=receipt.request_id,
        model=receipt.model,
        modelSha256=receipt.model_sha256,
        quantization=receipt.quantization,
        promptTokens=receipt.prompt_tokens,
        generatedTokens=receipt.generated_tokens,
        amount=receipt.amount / THOUSANDTHS,
        unit=receipt.unit or None,
        startedAt=receipt.started_ms / 1000,
        endedAt=receipt.ended_ms / 1000,
        outcome=receipt.outcome,
        message=one.wrong or None,
    )
    at = datetime.fromtimestamp(min(receipt.started_ms / 1000, LATEST))
    who = f"{short_key(receipt.provider.hex())} served {short_key(receipt.guest.hex())}"
    served = _served(receipt.prompt_tokens + receipt.generated_tokens, receipt.amount / THOUSANDTHS, receipt.unit)
    state = one.wrong or "Signed by both."
    output.text(f"line {one.line}: {at:%Y-%m-%d %H:%M}  {who}  {receipt.model}  {served}  {state}")
