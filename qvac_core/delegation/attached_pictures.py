"""Pictures of a conversation on their way: files into hashes at the consumer, hashes into bytes at the provider.

0.16 has `history[].attachments[{path}]`, a path on the provider's machine, which no provider of ours opens. Between two
QVAC Desktop peers (feature `pictures` in `hello`) an attachment says `sha256` instead, of a blob that was put there
before (`blobs.py`), with its `mediaType` and `name` for people; `path` is then empty. The blob stays at the provider,
so that the next question about the same picture sends nothing but its hash.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from msgspec import UNSET

from qvac_core.delegation.failures import Code, Reason, Rejection, by_policy
from qvac_core.delegation.messages import Attachment, CompletionStream
from qvac_core.engines.interface import ChatMessage
from qvac_core.engines.pictures import PICTURES, check_pictures, pictures_of, too_many
from qvac_core.errors import LocalProtocolError, ModelError

FEATURE = "pictures"


def given_attachments(attachments: Iterable[object], role: str) -> list[Attachment]:
    """Those of a message as a program gives them: [{"path": FILE}, …]. Raises LocalProtocolError."""
    given = []
    for each in attachments:
        path = each.get("path") if isinstance(each, Mapping) and len(each) == 1 else None
        if not isinstance(path, str | os.PathLike):
            raise LocalProtocolError('One of the attachments is not of the form {"path": FILE}.')
        given.append(Attachment(os.fsdecode(path)))
    if given and role != "user":
        raise LocalProtocolError("Only messages of the user can have attachments.")
    return given


def has_attachments(message: CompletionStream) -> bool:
    return any(entry.attachments for entry in message.history)


def check_attachments(message: CompletionStream) -> None:
    """Raises Rejection for what is no picture between two peers of ours, before any is looked for."""
    attachments = [attachment for entry in message.history for attachment in entry.attachments or ()]
    for attachment in attachments:
        if attachment.sha256 is UNSET:
            # A path on the provider's machine: never opened, and whether it exists is not told.
            raise Rejection(
                Code.ATTACHMENT_NOT_FOUND,
                "This provider does not open attachments by their path. QVAC Desktop sends the pictures themselves.",
            )
    if len(attachments) > PICTURES:
        raise by_policy(Reason.LIMIT, too_many().message)
    if any(entry.attachments and entry.role != "user" for entry in message.history):
        raise Rejection(Code.MODEL_OPERATION_NOT_SUPPORTED, "Only messages of the user can have pictures.")


def with_pictures(
    history: Sequence[ChatMessage], message: CompletionStream, find: Callable[[str], bytes]
) -> tuple[ChatMessage, ...]:
    """The history with the bytes of its pictures. find: the bytes of a hash, or a Rejection. Raises Rejection."""
    filled = tuple(
        replace(chat, pictures=tuple(find(str(attachment.sha256)) for attachment in entry.attachments or ()))
        for chat, entry in zip(history, message.history, strict=True)
    )
    try:
        check_pictures(pictures_of(filled))
    except ModelError as error:
        raise Rejection(Code[error.name], error.message, dict(error.typed_fields)) from None
    return filled


def no_vision_here() -> Rejection:
    return Rejection(
        Code.MODEL_OPERATION_NOT_SUPPORTED,
        "The provider's model cannot see pictures. Choose one with vision, or leave the picture out.",
        {"reason": "no_vision"},
    )
