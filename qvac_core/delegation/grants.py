"""Invites as they travel: a grant, signed by the provider's key, in the letters of a link. docs/wire/qvac.md section
12.

What counts is what the provider keeps of the invite (store/invites.py); the grant is a ticket with its number on it,
and says beforehand what it is for. Nobody but the provider can make one. Pure.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Final

from qvac_core.codec.reader import Reader
from qvac_core.codec.writer import Writer
from qvac_core.errors import LocalProtocolError, RemoteProtocolError
from qvac_core.noise.keys import SIGNATURE_BYTES, sign, verify
from qvac_core.store.records import KeyLimits

VERSION: Final = 1
ID_BYTES: Final = 16
# So much of the provider's key is in it that a grant of another provider is told from a forged one.
KEY_BYTES_SHOWN: Final = 8
# A QR code is to stay one that a telephone reads from a screen: of more models only the number is told.
MODELS_NAMED: Final = 3
NAME_LETTERS: Final = 40
LONGEST: Final = 1200  # letters of a grant
LATEST: Final = 253_370_764_800  # Unix seconds: the year 9999, behind which no calendar has a day
_DOMAIN: Final = b"qvac-desktop invite 1"

DAMAGED = "This invite is damaged. Copy its link again, or ask for a new one."
NEWER = "This invite is of a newer QVAC Desktop. Update this one to open it."
FORGED = "This invite is not genuine: its owner did not sign it. Ask for a new one."
OF_ANOTHER = "This invite is for another machine than its link says. Ask for a new one."


@dataclass(frozen=True, slots=True)
class Grant:
    """limits: `models` names the first MODELS_NAMED; models: how many there are in all, None = all that are shared.

    opens_until: Unix seconds, None = no end. access_seconds: how long who comes may stay; None = no end.
    """

    provider_key: bytes
    id: bytes
    opens_until: float | None
    access_seconds: float | None
    places: int
    limits: KeyLimits
    models: int | None = None


def signed(grant: Grant, secret_key: bytes) -> str:
    """The letters of a link. secret_key: of `grant.provider_key`."""
    body = _encode(grant)
    signature = sign(_DOMAIN + grant.provider_key + body, secret_key)
    return base64.b32encode(body + signature).decode().rstrip("=").lower()


def read_grant(text: str, provider_key: bytes) -> Grant:
    """What a grant says. Raises LocalProtocolError for one that this provider did not sign."""
    letters = text.strip().upper()
    try:
        if len(letters) > LONGEST:
            raise ValueError
        data = base64.b32decode(letters + "=" * (-len(letters) % 8))
        body, signature = data[:-SIGNATURE_BYTES], data[-SIGNATURE_BYTES:]
        if body[:1] > bytes([VERSION]) and len(signature) == SIGNATURE_BYTES:
            raise LocalProtocolError(NEWER, name="INVITE_NOT_VALID")
        grant, key_shown = _decode(body, provider_key)
    except (RemoteProtocolError, ValueError, binascii.Error) as error:
        raise LocalProtocolError(DAMAGED, name="INVITE_NOT_VALID") from error
    if key_shown != provider_key[:KEY_BYTES_SHOWN]:
        raise LocalProtocolError(OF_ANOTHER, name="INVITE_NOT_VALID")
    if not verify(signature, _DOMAIN + provider_key + body, provider_key):
        raise LocalProtocolError(FORGED, name="INVITE_NOT_VALID")
    return grant


def _encode(grant: Grant) -> bytes:
    writer, limits = Writer(), grant.limits
    writer.uint(VERSION)
    writer.fixed(grant.provider_key[:KEY_BYTES_SHOWN])
    writer.fixed(grant.id)
    writer.uint(0 if grant.opens_until is None else max(1, int(grant.opens_until)))
    writer.uint(0 if grant.access_seconds is None else max(1, int(grant.access_seconds)))
    writer.uint(grant.places)
    for number in (limits.tokens_per_day, limits.parallel, limits.context_tokens, limits.answer_tokens):
        writer.uint(0 if number is None else number + 1)
    writer.string(limits.hours)
    names = (limits.models or ())[:MODELS_NAMED]
    writer.uint(0 if grant.models is None else grant.models + 1)
    writer.uint(len(names))
    for name in names:
        writer.string(name[:NAME_LETTERS])
    return writer.finish()


def _decode(body: bytes, provider_key: bytes) -> tuple[Grant, bytes]:
    reader = Reader(body)
    if reader.uint() != VERSION:
        raise ValueError
    shown, id = reader.fixed(KEY_BYTES_SHOWN), reader.fixed(ID_BYTES)
    opens_until, access, places = reader.uint(), reader.uint(), reader.uint()
    numbers = [None if (number := reader.uint()) == 0 else number - 1 for _ in range(4)]
    hours, models, named = reader.string(), reader.uint(), reader.uint()
    if named > MODELS_NAMED or max(opens_until, access) > LATEST:
        raise ValueError
    names = tuple(reader.string() for _ in range(named))
    if reader.remaining:
        raise ValueError
    limits = KeyLimits(numbers[0], numbers[1], numbers[2], numbers[3], None, hours)
    if models:
        limits = replace(limits, models=names)
    grant = Grant(
        provider_key,
        id,
        float(opens_until) or None,
        float(access) or None,
        places,
        limits,
        models - 1 if models else None,
    )
    return grant, shown
