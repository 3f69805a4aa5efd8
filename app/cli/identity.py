"""`qvac-desktop identity`: back it up, put a backup in its place, or make a new one. A seed is never printed."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from pathlib import Path

from app.cli.config import core_config
from app.cli.output import Output
from qvac_core.codec.key_text import short_key
from qvac_core.core.identity_backup import read_backup, write_backup
from qvac_core.errors import IdentityError, LocalProtocolError, QvacError
from qvac_core.hyperdht import KeyPair
from qvac_core.store.folders import DataDir, InstanceLock, keep_from_own_files
from qvac_core.store.identity import SEED_BYTES, SEED_VARIABLE, IdentityStore
from qvac_core.store.settings_file import SettingsFile


def identity(options: argparse.Namespace, output: Output) -> int:
    """Raises QvacError. An event `identity` with the action, the key, and the file where there is one."""
    folder = DataDir.locate(core_config(options).data_dir).create()
    store = IdentityStore(folder)
    if (options.action == "new") is (options.file is not None):
        wanted = "needs no FILE" if options.action == "new" else "needs a FILE"
        raise LocalProtocolError(f"`identity {options.action}` {wanted}.", name="INVALID_OPTION")
    if options.action == "backup":
        return _backup(options, store, folder, output)
    with InstanceLock(folder.lock_file):  # a running one would go on under the old key, and nobody would know
        return _replace(options, store, output)


def _backup(options: argparse.Namespace, store: IdentityStore, folder: DataDir, output: Output) -> int:
    path: Path = options.file
    keep_from_own_files(folder.root, path)
    if path.exists() and not options.yes:
        sentence = f"{path} is there already. Name another file, or replace it with --yes."
        raise IdentityError(sentence, name="FILE_EXISTS")
    seed = store.load().seed
    now = time.time()
    write_backup(path, seed, SettingsFile(folder.settings_file, now=now).settings.machine_name, now)
    key = KeyPair.from_seed(seed).public_key.hex()
    output.event("identity", action="backup", publicKey=key, file=str(path))
    output.text(f"The identity {short_key(key)} is in {path}.")
    output.note("Whoever has this file can pass for this machine. Keep it as you keep a password.")
    return 0


def _replace(options: argparse.Namespace, store: IdentityStore, output: Output) -> int:
    if os.environ.get(SEED_VARIABLE):
        raise IdentityError(f"{SEED_VARIABLE} gives the identity. Start without it to change that of this machine.")
    try:
        old = KeyPair.from_seed(store.load().seed).public_key.hex()
    except IdentityError as error:  # a damaged file is what backups are for
        if options.action == "new":
            raise
        if not options.yes:
            sentence = f"{error.message} To put the backup in its place, say --yes."
            raise IdentityError(sentence, name="NOT_CONFIRMED") from error
        old = ""
    if options.action == "restore":
        seed = read_backup(options.file).seed
        new = KeyPair.from_seed(seed).public_key.hex()
        if new == old:
            output.event("identity", action="restore", publicKey=new, file=str(options.file))
            output.text(f"This machine has the identity {short_key(new)} already. Nothing was changed.")
            return 0
    else:
        seed = secrets.token_bytes(SEED_BYTES)
        new = KeyPair.from_seed(seed).public_key.hex()
    _ask(options, old)
    store.replace(seed)
    output.event("identity", action=options.action, publicKey=new, previousPublicKey=old)
    output.text(f"The identity of this machine is {new} now.")
    output.note("Who knew it under the old key needs this one.")
    return 0


def _ask(options: argparse.Namespace, old: str) -> None:
    """Raises QvacError where nobody said yes."""
    if options.yes:
        return
    what = "gets the identity of the backup" if options.action == "restore" else "gets a new identity"
    warning = (
        f"Everybody loses access: this machine {what}, and its present key {short_key(old)} is forgotten. "
        "Back it up first: qvac-desktop identity backup FILE."
    )
    if not sys.stdin.isatty():
        raise IdentityError(f"{warning} Say --yes to do it.", name="NOT_CONFIRMED")
    print(warning, file=sys.stderr)
    if input(f"Type the first four digits of the present key ({old[:4]}) to do it: ").strip().lower() != old[:4]:
        raise QvacError("Nothing was changed.", name="NOT_CONFIRMED")
