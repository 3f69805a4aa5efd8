"""Receipts: what was served, in one canonical encoding that both sides sign. docs/wire/qvac.md section 12.

Each signs under a domain of its own side, so that no signature can be taken for one of the other side, of an invite or
of the network. A receipt proves that two keys agree on what was served; it does not prove what was computed. Pure:
times are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from msgspec import Struct

from qvac_core.codec.reader import Reader
from qvac_core.codec.writer import Writer
from qvac_core.errors import RemoteProtocolError
from qvac_core.noise.keys import PUBLIC_KEY_BYTES, sign, verify

VERSION: Final = 1
ID_BYTES: Final = 16
MOST_BYTES: Final = 2048  # of an encoded receipt
MOST_LETTERS: Final = 512  # of each of its texts
NO_FILE_SEEN: Final = "at another server: no file was seen"  # in place of a quantization
THOUSANDTHS: Final = 1000  # in which an amount is written: a receipt has whole numbers alone
_DOMAIN: Final = b"qvac-desktop receipt 1 "

# Outcomes after which both sides know exactly what was served.
WHOLE: Final = frozenset({"eos", "length", "stopSequence"})
# Of an answer that was cut: made at the provider, and never seen here, until it noticed.
UNSEEN_TOKENS: Final = 1024
# Texts, or seconds of sound, by which two ways of counting may differ.
UNSEEN_AMOUNT: Final = 1.0
# Of a prompt beyond its letters: a model's template, instructions, a picture.
TEMPLATE_TOKENS: Final = 8192
MOST_SECONDS_AWAY: Final = 60.0  # for which a request may run on after its guest has lost it
MOST_CLOCK_SKEW: Final = 86_400.0
MOST_CUT: Final = 8  # receipts of one request that was asked again on other connections


class Party(StrEnum):
    PROVIDER = "provider"
    GUEST = "guest"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was served. The fields stand in the order in which they are signed.

    id: the provider's own of this request, 16 bytes; request_id: the guest's. Times in Unix milliseconds.

    model_sha256: of the model's file; of one that another server runs, which model at which server it is, and
    `quantization` is then NO_FILE_SEEN. amount: in thousandths of `unit` (texts, seconds of audio); unit "" = tokens
    alone. outcome: as the log has it.
    """

    provider: bytes
    guest: bytes
    id: bytes
    request_id: str
    method: str
    model: str
    model_sha256: str
    quantization: str
    prompt_tokens: int
    generated_tokens: int
    amount: int
    unit: str
    started_ms: int
    ended_ms: int
    outcome: str

    @property
    def whole(self) -> bool:
        return self.outcome in WHOLE


def encoded(receipt: Receipt) -> bytes:
    """What is signed. Raises LocalProtocolError for a number that cannot be written."""
    writer = Writer().uint(VERSION)
    writer.fixed(receipt.provider).fixed(receipt.guest).fixed(receipt.id)
    for text in (receipt.request_id, receipt.method, receipt.model, receipt.model_sha256, receipt.quantization):
        writer.string(text[:MOST_LETTERS])
    writer.uint(receipt.prompt_tokens).uint(receipt.generated_tokens).uint(receipt.amount)
    writer.string(receipt.unit[:MOST_LETTERS])
    writer.uint(receipt.started_ms).uint(receipt.ended_ms)
    return writer.string(receipt.outcome[:MOST_LETTERS]).finish()


def decoded(body: bytes) -> Receipt:
    """Raises RemoteProtocolError for what is no receipt, or is written in another way than `encoded` writes it."""
    if len(body) > MOST_BYTES:
        raise RemoteProtocolError("this is too long for a receipt")
    reader = Reader(body)
    if reader.uint() != VERSION:
        raise RemoteProtocolError("this receipt is of another version")
    receipt = Receipt(
        provider=reader.fixed(PUBLIC_KEY_BYTES),
        guest=reader.fixed(PUBLIC_KEY_BYTES),
        id=reader.fixed(ID_BYTES),
        request_id=reader.string(),
        method=reader.string(),
        model=reader.string(),
        model_sha256=reader.string(),
        quantization=reader.string(),
        prompt_tokens=reader.uint(),
        generated_tokens=reader.uint(),
        amount=reader.uint(),
        unit=reader.string(),
        started_ms=reader.uint(),
        ended_ms=reader.uint(),
        outcome=reader.string(),
    )
    if reader.remaining or encoded(receipt) != body:
        raise RemoteProtocolError("this receipt is not written as receipts are")
    return receipt


def signature_of(party: Party, body: bytes, secret_key: bytes) -> bytes:
    """64 bytes."""
    return sign(_domain(party) + body, secret_key)


def is_signed(party: Party, body: bytes, signature: bytes, public_key: bytes) -> bool:
    return verify(signature, _domain(party) + body, public_key)


def _domain(party: Party) -> bytes:
    return _DOMAIN + party.value.encode() + b"\x00"


class Seen(Struct, frozen=True, omit_defaults=True):
    """What a guest itself knows of a request of its own. Times in Unix seconds, sizes in bytes.

    pieces: of text that came. prompt_tokens, generated_tokens: as its last line said; None = it never came.
    model_sha256: "" where nothing was said of it. amount: that was sent or told, in `unit` (texts, seconds of sound);
    None = it is not known here.
    """

    provider: str
    request_id: str
    method: str
    asked_at: float
    ended_at: float
    model: str = ""
    model_sha256: str = ""
    request_bytes: int = 0
    pieces: int = 0
    prompt_tokens: int | None = None
    generated_tokens: int | None = None
    amount: float | None = None
    unit: str = ""


class Objection(StrEnum):
    """Why a guest does not sign; kept by both sides."""

    SIGNATURE = "signature"  # its provider did not sign it
    KEYS = "keys"  # it is of somebody else
    METHOD = "method"
    MODEL = "model"  # another file than the provider had told of
    TIME = "time"
    PROMPT = "prompt"  # more tokens than the question can have, or others than the last line said
    TOKENS = "tokens"
    AMOUNT = "amount"  # more sound or texts than were sent
    TWICE = "twice"  # the request has its receipt


def objection(receipt: Receipt, seen: Seen, guest: bytes, before: tuple[bool, ...] = ()) -> Objection | None:
    """Why this guest does not sign it, if so. before: whether each receipt that it signed for the request was whole."""
    if receipt.provider.hex() != seen.provider or receipt.guest != guest or receipt.request_id != seen.request_id:
        return Objection.KEYS
    if receipt.method != seen.method:
        return Objection.METHOD
    if seen.model_sha256 and receipt.model_sha256 != seen.model_sha256:
        return Objection.MODEL
    if (receipt.whole and any(before)) or len(before) >= MOST_CUT:
        return Objection.TWICE
    if not _fits_in_time(receipt, seen):
        return Objection.TIME
    if not _fits(receipt.prompt_tokens, seen.prompt_tokens, seen.request_bytes + TEMPLATE_TOKENS, receipt.whole):
        return Objection.PROMPT
    if not _fits(receipt.generated_tokens, seen.generated_tokens, seen.pieces + UNSEEN_TOKENS, receipt.whole):
        return Objection.TOKENS
    if seen.amount is not None and (
        receipt.unit not in ("", seen.unit) or receipt.amount > (seen.amount + UNSEEN_AMOUNT) * THOUSANDTHS
    ):
        return Objection.AMOUNT
    return None


def _fits_in_time(receipt: Receipt, seen: Seen) -> bool:
    """Clocks differ; how long it took can be known."""
    if receipt.ended_ms < receipt.started_ms:
        return False
    seconds = (receipt.ended_ms - receipt.started_ms) / 1000
    away = abs(receipt.started_ms / 1000 - seen.asked_at)
    return away <= MOST_CLOCK_SKEW and seconds <= seen.ended_at - seen.asked_at + MOST_SECONDS_AWAY


def _fits(claimed: int, told: int | None, most: int, whole: bool) -> bool:
    return claimed == told if whole and told is not None else claimed <= most
