"""Keys and seeds as people write them, paste them and type them.

Formats of hypercore-id-encoding 1.3.0 (hex, z-base-32, `pear://KEY/path`), our own `qvac://KEY?…` and
QVAC_HYPERSWARM_SEED. Mail, chats, shells and PDFs put quotes, invisible characters and line ends around and into them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from itertools import groupby

from qvac_core.codec.key_links import invite_in, name_in
from qvac_core.errors import IdentityError
from qvac_core.late_dataclass import dataclass

KEY_DIGITS = 64  # of hex, 32 bytes
Z_BASE_32_LETTERS = 52
SECRET_KEY_DIGITS = 128  # seed and public key, as hyperdht keeps a key pair
_HEX = frozenset("0123456789abcdef")
_Z_BASE_32 = "ybndrfg8ejkmcpqxot1uwisza345h769"
_Z_LETTERS = frozenset(_Z_BASE_32)
# A pear link may name a version before the key (`fork.length.`) and its hash behind it.
_LINK = re.compile(r"(?:qvac|pear):/*(?:\d+\.\d+\.)?")
_OTHER_LINK = re.compile(r"(?!qvac:|pear:)[a-z][a-z0-9+.-]*://")
_AFTER_THE_KEY = re.compile(r"[/?#.]")
# What groups digits. Dashes of every kind are found by their category.
_GROUPING = frozenset(":·_")
# What stands around a key in a sentence, a mail or a script.
_QUOTES = "\"'`´„‚“”‘’«»‹›「」"
_AROUND = _QUOTES + "*<>()[]{}.,;!"
# Not shown, though Unicode does not call them format characters: fillers, joiners, variation selectors, Braille blank.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_UNSEEN_ASCII = re.compile(r"[\x00-\x20\x7f]")
_INVISIBLE = frozenset(("Cf", "Cc", "Zs", "Zl", "Zp"))

# In a text with more in it than a key: links of ours, other links, words, and what stands between the groups of a key.
_LINK_INSIDE = re.compile(r"\b(?:qvac|pear):[^\s<>\"“”«»]+", re.IGNORECASE)
_OTHER_LINK_INSIDE = re.compile(r"\b(?!qvac:|pear:)[a-z][a-z0-9+.-]{1,20}://\S+", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_BETWEEN_GROUPS = re.compile(r"[\s:·_\-\u2010-\u2015]{1,4}")
# A mail with a key in it is looked through, a book is not.
_LONGEST_TEXT = 20_000  # letters
# A run of digits from here on was meant as a key, so that its length is told.
_NEARLY = 40
MORE_THAN_ONE = "There is more than one key in this text."


class KeyCheck(Enum):
    """What a typed text is: nothing, the beginning of a key, a key, or no key."""

    EMPTY = "empty"
    PARTIAL = "partial"
    KEY = "key"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class KeyText:
    """A text read as a key. `digits`: its bare lower-case letters. `key`: 32 bytes, only of a whole one.

    `sentence`: what is missing or wrong, "" when there is nothing to say. `name`: what a link calls the machine.
    `invite`: the letters of the grant in it, "" = none.
    """

    check: KeyCheck
    digits: str
    key: bytes = b""
    sentence: str = ""
    name: str = ""
    invite: str = ""


def read_key(text: str) -> KeyText:
    """What `text` is, also while it is still being typed: a key however it is written, or words with one in them."""
    text = text[:_LONGEST_TEXT]
    found = _read_whole(text)
    if found.check is KeyCheck.KEY:
        link = text.strip().rstrip(_AROUND)
        return replace(found, name=name_in(link), invite=invite_in("".join(link.split())))
    if found.check is KeyCheck.WRONG and len(text) >= _NEARLY:
        return _read_inside(text) or found
    return found


def _read_whole(text: str) -> KeyText:
    digits = bare_key(text)
    if other := _OTHER_LINK.match(without_wrapping(text, _AROUND)):
        return KeyText(KeyCheck.WRONG, digits, sentence=f"This link begins with {other[0]}, one of ours with qvac://.")
    if not digits:
        return KeyText(KeyCheck.EMPTY, "")
    in_hex, in_z = _HEX.issuperset(digits), _Z_LETTERS.issuperset(digits)
    if in_hex and len(digits) == KEY_DIGITS:
        return KeyText(KeyCheck.KEY, digits, bytes.fromhex(digits))
    # 52 hex digits are the beginning of a key, also in the rare case that all of them are letters of z-base-32.
    if in_z and not in_hex and len(digits) == Z_BASE_32_LETTERS:
        return KeyText(KeyCheck.KEY, digits, decode_z_base_32(digits))
    if in_hex and len(digits) < KEY_DIGITS:
        return KeyText(KeyCheck.PARTIAL, digits, sentence=f"{len(digits)} of {KEY_DIGITS} characters.")
    # A short text of such letters is rather a word than a key; it is pasted, hardly ever typed.
    if in_z and not in_hex and Z_BASE_32_LETTERS // 2 < len(digits) < Z_BASE_32_LETTERS:
        return KeyText(KeyCheck.PARTIAL, digits, sentence=f"{len(digits)} of {Z_BASE_32_LETTERS} characters.")
    return KeyText(KeyCheck.WRONG, digits, sentence=_what_is_wrong(digits))


def parse_public_key(text: str) -> bytes:
    """32 bytes from 64 hex digits or 52 letters of z-base-32, in any case, as a link, with whatever came along.

    Raises IdentityError with a sentence that says what is wrong.
    """
    found = read_key(text)
    match found.check:
        case KeyCheck.KEY:
            return found.key
        case KeyCheck.EMPTY | KeyCheck.PARTIAL:
            raise IdentityError(f"This is not a key: {_what_is_missing(found.digits)} Copy the key again.")
        case KeyCheck.WRONG:
            raise IdentityError(
                f"This is not a key: {found.sentence[:1].lower()}{found.sentence[1:]} Copy the key again."
            )


def parse_seed(text: str) -> bytes:
    """32 bytes from exactly 64 hex digits. Raises IdentityError; the text itself is a secret and is never repeated."""
    compact = without_wrapping(text, _AROUND)
    if len(compact) != KEY_DIGITS or not _HEX.issuperset(compact):
        raise IdentityError(
            f"This is not a seed: a seed is exactly 64 hex digits, this has {len(compact)} characters. "
            "Make one with: python3 -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return bytes.fromhex(compact)


def bare_key(text: str) -> str:
    """The letters of a key without all that people and programs put around and between them, in lower case.

    Also of a part of a key, and of a key with addresses (`rendezvous.addresses.decode_key`).
    """
    bare = without_wrapping(text, _AROUND)
    if link := _LINK.match(bare):
        bare = bare[link.end() :]
    bare = _AFTER_THE_KEY.split(bare, maxsplit=1)[0]
    letters = (letter for letter in bare if letter not in _GROUPING and unicodedata.category(letter) != "Pd")
    return "".join(letters).strip(_AROUND)


def without_wrapping(text: str, around: str = _QUOTES) -> str:
    """In lower case, without spaces, what nobody sees, and quotes around it; full-width digits as plain ones."""
    if text.isascii():
        return _UNSEEN_ASCII.sub("", text).lower().strip(around)
    # Compatibility forms of quotes are marks on a space: off with them first.
    text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text.strip(around)))
    return "".join(letter for letter in text if unicodedata.category(letter) not in _INVISIBLE).lower().strip(around)


def _read_inside(text: str) -> KeyText | None:
    """The one key that stands in a text with more in it. None: there is nothing like one."""
    text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    text = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    keys: dict[bytes, KeyText] = {}
    for link in _LINK_INSIDE.findall(text):
        link = link.rstrip(_AROUND)
        found = _read_whole(link)
        if found.check is KeyCheck.KEY:
            keys.setdefault(found.key, replace(found, name=name_in(link), invite=invite_in(link)))
    rest = _OTHER_LINK_INSIDE.sub(" ", _LINK_INSIDE.sub(" ", text)).lower()
    nearly: KeyText | None = None
    for digits in _digits_inside(rest):
        found = _read_whole(digits)
        if found.check is KeyCheck.KEY:
            keys.setdefault(found.key, found)
        elif len(digits) >= _NEARLY and _HEX.issuperset(digits):
            nearly = KeyText(KeyCheck.WRONG, digits, sentence=_what_is_wrong(digits))
    if len(keys) > 1:
        return KeyText(KeyCheck.WRONG, bare_key(text), sentence=MORE_THAN_ONE)
    return next(iter(keys.values()), nearly)


def _digits_inside(text: str) -> Iterator[str]:
    """Every word, and groups of one length that stand in a row, as one."""
    words = list(_WORD.finditer(text))
    yield from (word[0] for word in words if len(word[0]) >= _NEARLY)
    row = 0  # counts the rows: words of hex digits with nothing but gaps between them, all of one length
    of_rows: list[tuple[int, str]] = []
    before: re.Match[str] | None = None
    for word in words:
        joined = before is not None and _BETWEEN_GROUPS.fullmatch(text, before.end(), word.start())
        if not joined or before is None or len(before[0]) != len(word[0]) or not _HEX.issuperset(word[0]):
            row += 1
        of_rows.append((row, word[0]))
        before = word
    for _, group in groupby(of_rows, key=lambda pair: pair[0]):
        groups = [letters for _, letters in group]
        if len(groups) > 1:
            yield "".join(groups)


def short_key(public_key: str) -> str:
    """The key as lists and logs show it, enough to recognise: first eight digits, last four."""
    return f"{public_key[:4]} {public_key[4:8]} … {public_key[-4:]}"


def decode_z_base_32(text: str) -> bytes:
    """The bytes of lower-case z-base-32 text; bits that fill no byte are padding. Raises IdentityError."""
    value = 0
    for letter in text:
        digit = _Z_BASE_32.find(letter)
        if digit < 0:
            raise IdentityError("A public key is 64 hexadecimal digits or 52 letters of z-base-32.")
        value = value << 5 | digit
    size = len(text) * 5 // 8
    return (value >> (len(text) * 5 - size * 8)).to_bytes(size, "big")


def _what_is_missing(digits: str) -> str:
    size = len(digits)
    whole, what = (KEY_DIGITS, "hex digits") if _HEX.issuperset(digits) else (Z_BASE_32_LETTERS, "letters")
    missing = f"; {whole - size} {'is' if whole - size == 1 else 'are'} missing" if size > whole // 2 else ""
    return f"a key has {whole} {what}, this has {size}{missing}."


def _what_is_wrong(digits: str) -> str:
    size = len(digits)
    if size == SECRET_KEY_DIGITS and _HEX.issuperset(digits):
        return (
            f"A key has {KEY_DIGITS} characters, this has {size}, as a secret key has: give that to nobody. The public "
            f"key is its last {KEY_DIGITS}."
        )
    strange = [letter for letter in digits if letter not in _HEX]
    strange_z = [letter for letter in digits if letter not in _Z_LETTERS]
    z_base_32 = size == Z_BASE_32_LETTERS or (
        Z_BASE_32_LETTERS // 2 < size != KEY_DIGITS and len(strange_z) < len(strange)
    )
    whole = Z_BASE_32_LETTERS if z_base_32 else KEY_DIGITS
    if wrong := strange_z if z_base_32 else strange:
        if z_base_32:
            return f"A key of {whole} characters has no {_named(wrong[0])}."
        length = "" if size == whole else f"this has {size}, and "
        strange_one = f"{length}{_named(wrong[0])} is not a hex digit"
        return f"A key has only the digits 0 to 9 and a to f, {whole} of them; {strange_one}."
    return f"A key has {whole} characters, this has {size}."


def _named(letter: str) -> str:
    """The letter in quotes; one of another alphabet, which may look the same, with its name."""
    if letter.isascii():
        return f"'{letter}'"
    name = unicodedata.name(letter, "").lower()
    return f"'{letter}' ({name})" if name else "unreadable character"
