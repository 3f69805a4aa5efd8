"""Receipts of this machine: given as a provider, taken as a guest, kept, exported, and checked by whomever.

Implements delegation's GivenReceipts and TakenReceipts. Whatever is written is written behind what is served.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from qvac_core.core.receipts_room import Checked, KeptReceipt, ReceiptQuery, ReceiptsChanged, ReceiptSide, ReceiptState
from qvac_core.delegation.messages import GuestWord, OfferedReceipt
from qvac_core.delegation.receipts import (
    MOST_LETTERS,
    THOUSANDTHS,
    VERSION,
    WHOLE,
    Objection,
    Party,
    Receipt,
    Seen,
    decoded,
    encoded,
    is_signed,
    objection,
    signature_of,
)
from qvac_core.errors import QvacError, RemoteProtocolError, StoreError
from qvac_core.hyperdht import KeyPair
from qvac_core.store.disk import replaced_text, store_error
from qvac_core.store.folders import keep_from_own_files
from qvac_core.tasks import TaskOwner

if TYPE_CHECKING:
    from qvac_core.store.store import Store

logger = logging.getLogger(__name__)

KIND: Final = "qvac-desktop receipt"  # what a line of an export says that it is
MOST_FILE_BYTES: Final = 256 * 2**20
MOST_LINE_BYTES: Final = 16_384
AWAITED_AT_ONCE: Final = 32
_KEY, _ID = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{32}")
_SIGNATURE = re.compile("[0-9a-f]{128}")
_MOST_NUMBER: Final = 2**53  # that every reader of JSON has whole
LATEST: Final = 32_503_680_000.0  # Unix seconds, the year 3000: what every system can show as a date


class ReceiptBook:
    """Receipts of both sides. Counts are tokens, `amount` thousandths of seconds of sound or of texts.

    Writing happens behind what is served and never fails it: a full disk costs the receipt.
    """

    def __init__(self, store: Store, key_pair: KeyPair, emit: Callable[[ReceiptsChanged], None]) -> None:
        self._store = store
        self._kept = store.receipts
        self._run = store.database.run
        self._key_pair = key_pair
        self._emit = emit
        self._tasks = TaskOwner()
        # Judged one after another: an old connection and the one in its place offer at the same time.
        self._judging = asyncio.Lock()

    async def close(self) -> None:
        """What was served is written."""
        await self._tasks.finish()

    # --- As a provider ---------------------------------------------------------------------------------------------

    def give(self, receipt: Receipt) -> None:
        self._tasks.start(self._give(receipt), "receipt")

    async def _give(self, receipt: Receipt) -> None:
        try:
            body = encoded(receipt)
            signature = signature_of(Party.PROVIDER, body, self._key_pair.secret_key)
            kept = _kept(ReceiptSide.GIVEN, receipt, body, signature, ReceiptState.UNSIGNED)
            await self._run(self._kept.put, kept)
        except QvacError as error:  # a full disk costs a receipt, not an answer
            logger.warning("a receipt could not be kept: %s", error)
            return
        self._emit(ReceiptsChanged())

    async def unsigned(self, guest: str, limit: int) -> Sequence[OfferedReceipt]:
        kept = await self._run(self._kept.unsigned, guest, limit)
        return [OfferedReceipt(one.body.hex(), one.provider_signature.hex()) for one in kept]

    async def hear(self, guest: str, word: GuestWord) -> bool:
        query = ReceiptQuery(ReceiptSide.GIVEN, peer=guest, id=word.id, limit=1)
        found = await self._run(self._kept.find, query)
        if not found:
            return False
        signature = bytes.fromhex(word.signature) if isinstance(word.signature, str) else b""
        if signature and is_signed(Party.GUEST, found[0].body, signature, bytes.fromhex(guest)):
            state, reason = ReceiptState.SIGNED, ""
        else:
            # What is no signature of its own is as good as none.
            said = word.refusal if isinstance(word.refusal, str) else Objection.SIGNATURE.value
            reason = said if said in set(Objection) else ""  # nothing of a guest's is shown as text
            state, signature = ReceiptState.REFUSED, b""
        await self._run(self._kept.word, guest, word.id, state, reason, signature)
        self._emit(ReceiptsChanged())
        return True

    # --- As a guest ------------------------------------------------------------------------------------------------

    async def note(self, seen: Seen) -> None:
        async with self._judging:
            await self._note(seen)

    async def _note(self, seen: Seen) -> None:
        query = ReceiptQuery(ReceiptSide.TAKEN, peer=seen.provider, request_id=seen.request_id)
        if any(one.outcome in WHOLE for one in await self._run(self._kept.find, query)):
            return  # of a request that was made twice, this is the one that was given up
        awaited = KeptReceipt(
            ReceiptSide.TAKEN,
            seen.provider,
            seen.request_id,
            method=seen.method,
            model=seen.model,
            started_at=seen.asked_at,
            ended_at=seen.ended_at,
            prompt_tokens=seen.prompt_tokens or 0,
            generated_tokens=seen.pieces if seen.generated_tokens is None else seen.generated_tokens,
            amount=seen.amount or 0.0,
            unit=seen.unit,
            seen=msgspec.json.encode(seen).decode(),
        )
        await self._run(self._kept.put, awaited)
        self._emit(ReceiptsChanged())

    async def awaited(self, provider: str) -> Sequence[str]:
        return await self._run(self._kept.awaited, provider, time.time(), AWAITED_AT_ONCE)

    async def take(self, provider: str, offered: OfferedReceipt) -> GuestWord | None:
        body, signature = bytes.fromhex(offered.body), bytes.fromhex(offered.signature)
        try:
            receipt = decoded(body)
        except RemoteProtocolError as error:
            logger.debug("a provider offered what is no receipt: %s", error)
            return None
        async with self._judging:
            about = await self._run(
                self._kept.find, ReceiptQuery(ReceiptSide.TAKEN, peer=provider, request_id=receipt.request_id)
            )
            known = next((one for one in about if (one.body, one.provider_signature) == (body, signature)), None)
            if known is not None:  # the word of it was lost on its way
                return _word_of(known)
            seen = next((one.seen for one in about if one.seen), "")
            if not seen:
                return None  # not of this machine: the same identity may be in use on another one
            why = self._objection(receipt, body, signature, msgspec.json.decode(seen, type=Seen), about)
            guest_signature = b"" if why else signature_of(Party.GUEST, body, self._key_pair.secret_key)
            state, reason = (ReceiptState.REFUSED, why.value) if why else (ReceiptState.SIGNED, "")
            kept = _kept(ReceiptSide.TAKEN, receipt, body, signature, state, guest_signature, reason, seen)
            await self._run(self._kept.put, kept)
        self._emit(ReceiptsChanged())
        return _word_of(kept)

    async def given_none(self, provider: str, request_ids: Sequence[str]) -> None:
        for request_id in request_ids:
            await self._run(self._kept.given_none, provider, request_id)
        if request_ids:
            self._emit(ReceiptsChanged())

    def _objection(
        self, receipt: Receipt, body: bytes, signature: bytes, seen: Seen, about: Sequence[KeptReceipt]
    ) -> Objection | None:
        if not is_signed(Party.PROVIDER, body, signature, bytes.fromhex(seen.provider)):
            return Objection.SIGNATURE
        signed = [decoded(one.body) for one in about if one.state is ReceiptState.SIGNED]
        return objection(receipt, seen, self._key_pair.public_key, tuple(one.whole for one in signed))

    # --- For their owner -------------------------------------------------------------------------------------------

    async def find(self, query: ReceiptQuery) -> Sequence[KeptReceipt]:
        return await self._run(self._kept.find, query)

    async def export(self, path: Path, query: ReceiptQuery) -> int:
        await asyncio.to_thread(keep_from_own_files, self._store.folder.root, path)
        kept = await self._run(self._kept.find, query)
        return await asyncio.to_thread(write_receipts, path, kept)

    async def clear(self) -> None:
        await self._run(self._kept.clear)
        self._emit(ReceiptsChanged())


def _word_of(judged: KeptReceipt) -> GuestWord:
    if judged.state is ReceiptState.SIGNED:
        return GuestWord(judged.id, judged.guest_signature.hex())
    return GuestWord(judged.id, refusal=judged.reason)


def _kept(
    side: ReceiptSide,
    receipt: Receipt,
    body: bytes,
    signature: bytes,
    state: ReceiptState,
    guest_signature: bytes = b"",
    reason: str = "",
    seen: str = "",
) -> KeptReceipt:
    peer = receipt.guest if side is ReceiptSide.GIVEN else receipt.provider
    return KeptReceipt(
        side,
        peer.hex(),
        receipt.request_id,
        receipt.id.hex(),
        receipt.method,
        receipt.model,
        min(receipt.started_ms / 1000, LATEST),
        min(receipt.ended_ms / 1000, LATEST),
        min(receipt.prompt_tokens, _MOST_NUMBER),
        min(receipt.generated_tokens, _MOST_NUMBER),
        min(receipt.amount, _MOST_NUMBER) / THOUSANDTHS,
        receipt.unit,
        receipt.outcome,
        state,
        reason,
        body,
        signature,
        guest_signature,
        seen,
    )


# --- Files of them --------------------------------------------------------------------------------------------------


def write_receipts(path: Path, kept: Iterable[KeptReceipt]) -> int:
    """Of those that were given by their provider; how many. Raises StoreError; a file that was there is as it was."""
    count = 0
    with replaced_text(path) as file:
        for one in kept:
            if one.body:
                json.dump(_line(one), file, ensure_ascii=False)
                file.write("\n")
                count += 1
    return count


def _line(one: KeptReceipt) -> dict[str, str | int]:
    """What is signed stands here in words; the bytes are made of them anew by whoever checks."""
    receipt = decoded(one.body)
    return {
        "type": KIND,
        "version": VERSION,
        "provider": receipt.provider.hex(),
        "guest": receipt.guest.hex(),
        "id": receipt.id.hex(),
        "requestId": receipt.request_id,
        "method": receipt.method,
        "model": receipt.model,
        "modelSha256": receipt.model_sha256,
        "quantization": receipt.quantization,
        "promptTokens": receipt.prompt_tokens,
        "generatedTokens": receipt.generated_tokens,
        "amountThousandths": receipt.amount,
        "unit": receipt.unit,
        "startedAtMs": receipt.started_ms,
        "endedAtMs": receipt.ended_ms,
        "outcome": receipt.outcome,
        "providerSignature": one.provider_signature.hex(),
        "guestSignature": one.guest_signature.hex(),
    }


def check_file(path: Path) -> list[Checked]:
    """Every line of an export, by itself: nothing of this machine is looked at. Raises StoreError."""
    try:
        if path.is_fifo() or path.is_char_device():  # it could keep us waiting for ever
            raise StoreError(f"{path.name} is no file of receipts.", name="NOT_RECEIPTS")
        with path.open("rb") as file:
            if path.stat().st_size > MOST_FILE_BYTES:
                raise StoreError(f"{path.name} is too large for a file of receipts.", name="NOT_RECEIPTS")
            checked, seen = list[Checked](), set[bytes]()
            number = 0
            while line := file.readline(MOST_LINE_BYTES + 1):
                number += 1
                if line.strip():
                    checked.append(_check(number, line, seen))
                if len(line) > MOST_LINE_BYTES:
                    break  # what follows is no line of its own
    except OSError as error:
        raise store_error(error, f"read {path.name}") from error
    if not checked:
        raise StoreError(f"There is no receipt in {path.name}.", name="NOT_RECEIPTS")
    return checked


def _check(number: int, line: bytes, seen: set[bytes]) -> Checked:
    try:
        if len(line) > MOST_LINE_BYTES:
            raise ValueError("too long")
        said = json.loads(line)
        receipt, by_provider, by_guest = _read(said)
        body = encoded(receipt)
    except (ValueError, TypeError, KeyError, RecursionError, QvacError):
        return Checked(number, None, wrong="This line is no receipt of QVAC Desktop, or a part of it is missing.")
    provider = is_signed(Party.PROVIDER, body, by_provider, receipt.provider)
    guest = is_signed(Party.GUEST, body, by_guest, receipt.guest)
    wrong = ""
    if not provider:
        wrong = "Its provider did not sign this: it was changed, or made up."
    elif by_guest and not guest:
        wrong = "The guest's signature is not one of this receipt: it was changed, or made up."
    elif body in seen:
        wrong = "It is in this file already: it counts once."
    elif not by_guest:
        wrong = "Its guest has not signed it: it is the provider's word alone."
    seen.add(body)
    return Checked(number, receipt, provider, guest, wrong)


def _read(said: Any) -> tuple[Receipt, bytes, bytes]:
    """Raises ValueError, TypeError or KeyError for anything that an export does not write."""
    if said["type"] != KIND or said["version"] != VERSION or len(said) != 19:
        raise ValueError("of another kind")

    def text(name: str, form: re.Pattern[str] | None = None) -> str:
        value = said[name]
        if not isinstance(value, str) or (form is not None and form.fullmatch(value) is None):
            raise ValueError(name)
        if len(value) > MOST_LETTERS:
            raise ValueError(name)  # what is signed ends there: the rest would be anybody's
        return value

    def whole(name: str) -> int:
        value = said[name]
        if type(value) is not int or not 0 <= value < 2**64:
            raise ValueError(name)
        return value

    receipt = Receipt(
        provider=bytes.fromhex(text("provider", _KEY)),
        guest=bytes.fromhex(text("guest", _KEY)),
        id=bytes.fromhex(text("id", _ID)),
        request_id=text("requestId"),
        method=text("method"),
        model=text("model"),
        model_sha256=text("modelSha256"),
        quantization=text("quantization"),
        prompt_tokens=whole("promptTokens"),
        generated_tokens=whole("generatedTokens"),
        amount=whole("amountThousandths"),
        unit=text("unit"),
        started_ms=whole("startedAtMs"),
        ended_ms=whole("endedAtMs"),
        outcome=text("outcome"),
    )
    signature = said["guestSignature"]
    by_guest = b"" if signature == "" else bytes.fromhex(text("guestSignature", _SIGNATURE))
    return receipt, bytes.fromhex(text("providerSignature", _SIGNATURE)), by_guest
