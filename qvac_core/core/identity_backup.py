"""The backup of an identity: a small file that only its owner can read, checked before anything is made of it.

Ours. JSON, so that a person sees what it is; the public key in it shows that the seed arrived whole. The identity file
of a data folder (64 hex digits and nothing else) is taken for a backup too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from qvac_core.codec.key_links import plain_name
from qvac_core.codec.key_text import parse_seed
from qvac_core.errors import IdentityError
from qvac_core.hyperdht import KeyPair
from qvac_core.store.disk import store_error, write_atomically

VERSION: Final = 1
_KIND: Final = "QVAC Desktop identity"
_LARGEST: Final = 64 * 1024  # bytes; ours has 300


@dataclass(frozen=True, slots=True)
class Backup:
    """public_key: 64 hex digits. name: of the machine that it was made on, "" = none. made_at: ISO 8601 or ""."""

    seed: bytes = field(repr=False)
    public_key: str
    name: str = ""
    made_at: str = ""


def write_backup(path: Path, seed: bytes, name: str, now: float) -> None:
    """In the place of a file that was there. Raises StoreError."""
    document = {
        "kind": _KIND,
        "version": VERSION,
        "warning": "Whoever has this file can pass for this machine. Keep it as you keep a password.",
        "name": name,
        "publicKey": KeyPair.from_seed(seed).public_key.hex(),
        "seed": seed.hex(),
        "made": datetime.fromtimestamp(now).astimezone().isoformat(timespec="seconds"),
    }
    content = json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "replace")
    write_atomically(path, content + b"\n", action=f"write {path.name}")


def read_backup(path: Path) -> Backup:
    """Raises IdentityError for what is no backup, or a damaged one; StoreError where it cannot be read."""
    try:
        if path.exists() and not path.is_file():  # a pipe could keep us waiting for ever
            raise _none(path)
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise store_error(error, f"read {path.name}") from error
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise _none(path) from None
    if len(content) > _LARGEST:
        raise _none(path)
    if not text.startswith("{"):
        return _of_seed_alone(text, path)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _damaged(path) from None
    if document.get("kind") != _KIND:
        raise _none(path)
    if document.get("version") != VERSION:
        raise IdentityError("This backup was made by a newer QVAC Desktop. Update QVAC Desktop first.")
    return _of_document(document, path)


def _of_document(document: dict[str, Any], path: Path) -> Backup:
    told = {name: str(document.get(name, "")) for name in ("seed", "publicKey", "name", "made")}
    try:
        seed = parse_seed(told["seed"])
    except IdentityError:
        raise _damaged(path) from None
    key = KeyPair.from_seed(seed).public_key.hex()
    if key != told["publicKey"]:
        raise _damaged(path)
    return Backup(seed, key, plain_name(told["name"]), plain_name(told["made"]))


def _of_seed_alone(text: str, path: Path) -> Backup:
    try:
        seed = parse_seed(text)
    except IdentityError:
        raise _none(path) from None
    return Backup(seed, KeyPair.from_seed(seed).public_key.hex())


def _none(path: Path) -> IdentityError:
    return IdentityError(f"{path.name} is no backup of an identity. Choose the file that Back up made.")


def _damaged(path: Path) -> IdentityError:
    return IdentityError(
        f"{path.name} is damaged: its seed and its key do not belong together. Use another copy of it."
    )
