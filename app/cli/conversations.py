"""`qvac-desktop conversations`: list what is kept, write it to a file, and take in files, also of other programs."""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from pathlib import Path

from app.cli.config import core_config
from app.cli.output import Output
from qvac_core.core.chat_files import ChatFiles, Form
from qvac_core.core.state import Conversation
from qvac_core.errors import LocalProtocolError, StoreError
from qvac_core.store.conversations import Conversations
from qvac_core.store.database import Database
from qvac_core.store.disk import store_error
from qvac_core.store.folders import DataDir
from qvac_core.store.pictures import PictureFiles

MARKDOWN = (".md", ".markdown")
SHORT_ID = 8


async def conversations(options: argparse.Namespace, output: Output) -> int:
    """Events `conversation` (list), `exported`, `imported`, `refused`. Raises QvacError."""
    folder = DataDir.locate(core_config(options).data_dir).create()
    # Not the whole store: opening it ends what a window that is open is streaming now.
    database = Database.open(folder.database_file, now=time.time())
    if database.notice is not None:
        output.note(database.notice)
    try:
        kept = Conversations(database)
        files = ChatFiles(database, kept, PictureFiles(folder.pictures_folder))
        if options.action == "list":
            return _list(kept.search(options.search or ""), output)
        if options.search is not None:
            raise LocalProtocolError("--search is for `conversations list`.", name="INVALID_OPTION")
        if options.action == "export":
            return await _export(options, kept, files, output)
        return await _import(options, files, output)
    finally:
        database.close()


def _list(found: tuple[Conversation, ...], output: Output) -> int:
    for conversation in found:
        output.event(
            "conversation",
            id=conversation.id,
            title=conversation.title,
            updatedAt=conversation.updated_at,
            pinned=conversation.pinned,
        )
        when = f"{datetime.fromtimestamp(conversation.updated_at):%Y-%m-%d %H:%M}"
        output.text(f"{conversation.id[:SHORT_ID]}  {when}  {' '.join(conversation.title.split())}")
    if not found:
        output.note("There is no such conversation.")
    return 0


async def _export(options: argparse.Namespace, kept: Conversations, files: ChatFiles, output: Output) -> int:
    if not options.files:
        raise LocalProtocolError("`conversations export` needs a FILE to write.", name="INVALID_OPTION")
    path, *wanted = options.files
    _require_free(Path(path), replace=options.yes)
    form: Form = "markdown" if Path(path).suffix.lower() in MARKDOWN else "json"
    ids = [_one(id, kept) for id in wanted]
    count = await files.export(ids, form, Path(path))
    output.event("exported", file=path, form=form, conversations=count)
    output.text(f"{count} {_noun(count)} in {path}.")
    return 0


def _require_free(path: Path, *, replace: bool) -> None:
    try:
        there = path.exists()
    except OSError as error:
        raise store_error(error, "write such a file") from error
    if there and not replace:
        raise StoreError(f"{path} is there already. Name another file, or replace it with --yes.", name="FILE_EXISTS")


def _one(id: str, kept: Conversations) -> str:
    found = [conversation.id for conversation in kept.list() if conversation.id.startswith(id.lower())] if id else []
    if len(found) != 1:
        why = "is no conversation" if not found else "is the beginning of several"
        raise StoreError(f"{id} {why}. `conversations list` shows their ids.", name="NO_SUCH_CONVERSATION")
    return found[0]


async def _import(options: argparse.Namespace, files: ChatFiles, output: Output) -> int:
    if not options.files:
        raise LocalProtocolError("`conversations import` needs a FILE to read.", name="INVALID_OPTION")
    report = await files.import_files([Path(file) for file in options.files])
    count = len(report.conversations)
    output.event("imported", conversations=count, known=report.known)
    known = f" {report.known} were here already." if report.known else ""
    output.text(f"{count} {_noun(count)} imported.{known}")
    for name, why in report.refused:
        output.event("refused", file=name, message=why)
        output.note(f"{name} was not imported. {why}")
    return 1 if report.refused else 0


def _noun(count: int) -> str:
    return "conversation" if count == 1 else "conversations"
