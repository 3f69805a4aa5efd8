"""Pictures of a conversation before it is asked about: files become bytes here, bytes become hashes at the provider.

What travels is described in `attached_pictures.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
from msgspec import UNSET

from qvac_core.delegation.attached_pictures import FEATURE
from qvac_core.delegation.blob_upload import Progress, not_taken
from qvac_core.delegation.connection import ProviderConnection
from qvac_core.delegation.messages import Attachment, HistoryCall, HistoryMessage
from qvac_core.delegation.tool_wire import engine_message
from qvac_core.engines.interface import ChatMessage
from qvac_core.engines.picture_metadata import without_metadata
from qvac_core.engines.pictures import PICTURE_BYTES, PICTURES, check_pictures, inspect, too_many, too_much
from qvac_core.errors import LocalProtocolError


async def read_history(history: Sequence[HistoryMessage]) -> tuple[ChatMessage, ...]:
    """For an engine of this machine, with the bytes of all files that are attached.

    Raises LocalProtocolError for a file that cannot be read, ModelError for what is no picture or too much.
    """
    files = await _read([attachment for message in history for attachment in message.attachments or ()], {})
    return tuple(
        replace(engine_message(message), pictures=tuple(files[each.path] for each in message.attachments or ()))
        for message in history
    )


async def read_pictures(paths: Sequence[Path]) -> list[bytes]:
    """Files of this machine that a person means to show. Raises as `read_history`."""
    found = await _read([Attachment(str(path)) for path in paths], {})
    return [found[str(path)] for path in paths]


def wire_history(history: Iterable[ChatMessage]) -> tuple[list[HistoryMessage], dict[str, bytes]]:
    """Messages as they are sent, and the bytes of their pictures by their hash, for `put_pictures`."""
    messages: list[HistoryMessage] = []
    held: dict[str, bytes] = {}
    for message in history:
        hashes = [hashlib.sha256(data).hexdigest() for data in message.pictures]
        held.update(zip(hashes, message.pictures, strict=True))
        attachments = [Attachment("", sha256=digest) for digest in hashes]
        calls = [HistoryCall(call.id, call.name, json.loads(call.arguments or "{}")) for call in message.tool_calls]
        messages.append(
            HistoryMessage(
                message.role,
                message.content,
                attachments or UNSET,
                tool_calls=calls or UNSET,
                tool_call_id=message.tool_call_id or UNSET,
                name=message.name or UNSET,
            )
        )
    return messages, held


async def put_pictures(
    connection: ProviderConnection,
    history: Sequence[HistoryMessage],
    held: Mapping[str, bytes],
    on_upload: Progress | None = None,
) -> list[HistoryMessage]:
    """The history as it is sent, once its pictures are at the provider. Nothing is asked of it where there are none.

    held: bytes by hash, of attachments that say `sha256`; the others are files. Raises what `read_history` and
    `ProviderConnection.put_blob` raise.
    """
    attachments = [attachment for message in history for attachment in message.attachments or ()]
    if not attachments:
        return list(history)
    await connection.greeted()
    if not connection.offers(FEATURE):
        raise connection.failure(not_taken("pictures"))
    files = await _read(attachments, held)
    for data in dict.fromkeys(files.values()):
        await connection.put_blob(data, on_upload, what="pictures")
    return [_sent(message, files) for message in history]


def _sent(message: HistoryMessage, files: Mapping[str, bytes]) -> HistoryMessage:
    attachments = [_attachment(each, files[each.path or str(each.sha256)]) for each in message.attachments or ()]
    return msgspec.structs.replace(message, attachments=attachments or UNSET)


def _attachment(attachment: Attachment, data: bytes) -> Attachment:
    """By hash, never with the path it has here."""
    return Attachment(
        "",
        sha256=hashlib.sha256(data).hexdigest(),
        media_type=inspect(data).media_type,
        name=Path(attachment.path).name or UNSET,
    )


async def _read(attachments: Sequence[Attachment], held: Mapping[str, bytes]) -> dict[str, bytes]:
    """The bytes by path, or by hash where there is no path."""
    if len(attachments) > PICTURES:
        raise too_many()
    found: dict[str, bytes] = {}
    for each in attachments:
        if each.path and each.path not in found:
            found[each.path] = await asyncio.to_thread(_file, each.path)
        elif not each.path:
            found[str(each.sha256)] = held[str(each.sha256)]
    check_pictures([found[each.path or str(each.sha256)] for each in attachments])
    return found


def _file(text: str) -> bytes:
    path = Path(text)
    try:
        path = path.expanduser()
        if not path.is_file():  # reading a pipe would never end
            raise LocalProtocolError(f"There is no file {path}.", name="ATTACHMENT_NOT_FOUND")
        with path.open("rb") as file:
            data = file.read(PICTURE_BYTES + 1)
    except (RuntimeError, ValueError):  # "~name" of nobody; a null character
        raise LocalProtocolError(f"There is no file {text[:128]!r}.", name="ATTACHMENT_NOT_FOUND") from None
    except OSError as error:
        raise LocalProtocolError(f"{path} cannot be read: {error.strerror}.", name="ATTACHMENT_NOT_FOUND") from None
    if len(data) > PICTURE_BYTES:
        raise too_much(f"A picture may have {PICTURE_BYTES // 2**20} MiB at most; {path.name} has more.")
    return without_metadata(data)  # a provider is to see the picture, and not where it was taken
