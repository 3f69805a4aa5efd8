"""A key as a link, `qvac://KEY?name=…`, and as what a QR code holds; the name and the invite that a link carries.

A link with an invite, `qvac://KEY/i/GRANT?name=…`, is one of the key alone to a program that knows no invites.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, unquote_plus

NAME_LETTERS = 60
"""The longest name that a link gives a machine; what is longer is cut off."""

_INVITE = re.compile(r"[0-9a-z]/i/([a-z2-7]+)", re.IGNORECASE)
_NAME = re.compile(r"[?&]name=([^&#<>]*)", re.IGNORECASE)
# Spaces of any kind become one of the plain kind; marks that turn the direction, and what is not seen, go.
_SPACES = frozenset(("Zs", "Zl", "Zp", "Cc"))
_UNSEEN = frozenset(("Cf", "Co", "Cs", "Cn"))


def link_of(public_key: bytes, name: str = "", invite: str = "") -> str:
    """The link that opens this program with the key. `name`: what it suggests to call the machine.

    invite: the letters of a grant.
    """
    named = plain_name(name)
    key = public_key.hex() + (f"/i/{invite}" if invite else "")
    # A full stop at the end of a link would be taken for that of a sentence.
    return f"qvac://{key}" + (f"?name={quote(named, safe='').replace('.', '%2E')}" if named else "")


def qr_text(public_key: bytes, invite: str = "") -> str:
    """What a QR code holds: the link in letters that QR packs densest, so that it is no larger than the bare key's.

    Without the name: its letters would make the code larger. It stands under the code, for eyes.
    """
    return link_of(public_key, invite=invite).upper()


def invite_in(link: str) -> str:
    """The letters of the grant that a link carries; "" when it carries none."""
    found = _INVITE.search(link)
    return found[1].lower() if found else ""


def name_in(link: str) -> str:
    """What a link calls the machine, "" when it does not. A stranger's words: on one line, NAME_LETTERS at most."""
    found = _NAME.search(link)
    return plain_name(unquote_plus(found[1], errors="replace")) if found else ""


def plain_name(text: str) -> str:
    letters = []
    for letter in unicodedata.normalize("NFC", text[: NAME_LETTERS * 4]):
        category = unicodedata.category(letter)
        if category in _SPACES:
            letters.append(" ")
        elif category not in _UNSEEN and letter != "\ufffd":
            letters.append(letter)
    return " ".join("".join(letters).split())[:NAME_LETTERS].strip()
