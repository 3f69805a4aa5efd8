"""Errors on their way to a peer and back: SDK names and numeric codes, a sentence, never a stack or a path.

docs/wire/qvac.md sections 7 and 12. What an engine or the disk says may name the owner's files, so only sentences
written here cross the wire.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

from msgspec import UNSET

from qvac_core.delegation.messages import ErrorReply
from qvac_core.delegation.reasons import Reason as Reason
from qvac_core.errors import (
    DelegationError,
    EngineCrashed,
    ModelError,
    ProviderError,
    QvacError,
    RemoteProtocolError,
    RequestRefused,
)


class Code(Enum):
    """SDK error names with their numbers (dist/schemas/sdk-errors-server.js of 0.16.0)."""

    MODEL_NOT_FOUND = 52002
    MODEL_NOT_LOADED = 52003
    MODEL_LOAD_FAILED = 52200
    EMBED_FAILED = 52401
    TRANSCRIPTION_FAILED = 52403
    AUDIO_FILE_NOT_FOUND = 52404
    TRANSLATION_FAILED = 52405
    COMPLETION_FAILED = 52406
    ATTACHMENT_NOT_FOUND = 52407
    MODEL_OPERATION_NOT_SUPPORTED = 52416
    REQUEST_ID_CONFLICT = 52417
    INFERENCE_CANCELLED = 52419
    REQUEST_REJECTED_BY_POLICY = 52420
    CONTEXT_OVERFLOW = 52421
    SEEDING_NOT_SUPPORTED = 53008
    DELEGATE_NO_FINAL_RESPONSE = 53700
    DELEGATE_CONNECTION_FAILED = 53701
    DELEGATE_PROVIDER_ERROR = 53702
    RPC_UNKNOWN_REQUEST_TYPE = 53704
    PLUGIN_NOT_FOUND = 53850
    PLUGIN_REQUEST_VALIDATION_FAILED = 53852
    WORKER_CRASHED = 50205


# The key itself is not wanted (any more): connecting again at once is of no use.
KEY_REFUSED = frozenset({Reason.NOT_ADMITTED, Reason.BLOCKED, Reason.EXPIRED, Reason.NO_LONGER_ALLOWED})


def is_key_refused(error: QvacError) -> bool:
    """Whether a provider said that it does not serve this key, now or any more."""
    said = error.typed_fields.get("reason") if isinstance(error, DelegationError) else None
    return any(said == reason.value for reason in KEY_REFUSED)


class Rejection(DelegationError):
    """A refusal whose sentence was written for the peer and may be sent as it is."""

    def __init__(self, code: Code, message: str, typed_fields: dict[str, Any] | None = None) -> None:
        super().__init__(message, name=code.name, code=code.value, typed_fields=typed_fields)


def by_policy(reason: Reason, message: str, seconds: float | None = None) -> Rejection:
    """seconds: when it is worth asking again, where that is known."""
    fields: dict[str, Any] = {"reason": reason.value}
    if seconds is not None:
        fields["retryAfterMs"] = max(1, math.ceil(seconds * 1000))
    return Rejection(Code.REQUEST_REJECTED_BY_POLICY, message, fields)


def not_admitted(own_key: str) -> Rejection:
    return by_policy(
        Reason.NOT_ADMITTED, f"This provider does not admit you yet. Ask its owner to allow your key: {own_key}"
    )


def denied(seconds: float) -> Rejection:
    """The owner said no to a knock, and wants to hear no more of this key for so long."""
    minutes = max(1, round(seconds / 60))
    fields = {"reason": Reason.NOT_ADMITTED.value, "retryAfterMs": round(seconds * 1000)}
    return Rejection(
        Code.REQUEST_REJECTED_BY_POLICY,
        f"The owner of this provider did not let you in. Ask again in {minutes} min at the earliest.",
        fields,
    )


def paused(seconds: float | None) -> Rejection:
    """The owner's machine rests. seconds: until it takes requests again, where that is known."""
    if seconds is None:
        return by_policy(Reason.PAUSED, "This provider is not taking requests now. Ask again later.")
    fields = {"reason": Reason.PAUSED.value, "retryAfterMs": max(0, round(seconds * 1000))}
    return Rejection(
        Code.REQUEST_REJECTED_BY_POLICY,
        f"This provider is not taking requests now. Ask again in {max(1, math.ceil(seconds / 60))} min.",
        fields,
    )


# What a peer reads when something of ours failed. The code says which; the owner's log has the details.
_TOO_LONG = "The conversation is longer than this provider's context. Shorten it or start a new one."
_SENTENCES: dict[int, str] = {
    Code.CONTEXT_OVERFLOW.value: _TOO_LONG,
    Code.WORKER_CRASHED.value: "The provider's model worker ended unexpectedly. Ask again.",
    Code.MODEL_NOT_LOADED.value: "The provider unloaded the model while it was answering. Ask again.",
    Code.INFERENCE_CANCELLED.value: "The answer was cancelled.",
    Code.MODEL_OPERATION_NOT_SUPPORTED.value: "The provider's model cannot do this.",
    Code.PLUGIN_REQUEST_VALIDATION_FAILED.value: "One of the pictures is damaged: it cannot be read. Send it again.",
    Code.COMPLETION_FAILED.value: "The provider failed to answer. Its owner can see why.",
}
_LOAD_FAILED = "The provider could not load the model. Its owner can see why."
_FAILED = _SENTENCES[Code.COMPLETION_FAILED.value]


def error_reply(error: QvacError) -> ErrorReply:
    """What of an error a peer may read."""
    if isinstance(error, Rejection):
        fields = error.typed_fields or UNSET
        return ErrorReply(message=error.message, name=error.name, code=error.code, typed_fields=fields)
    if isinstance(error, RequestRefused):
        return ErrorReply(message=error.message, name=error.name, code=error.code)
    if isinstance(error, RemoteProtocolError):
        code = Code.PLUGIN_REQUEST_VALIDATION_FAILED
        return ErrorReply(message=error.message, name=code.name, code=code.value)
    if isinstance(error, ModelError | EngineCrashed | DelegationError) and error.code in _SENTENCES:
        return ErrorReply(message=_SENTENCES[error.code], name=error.name, code=error.code)
    if isinstance(error, ModelError):
        return ErrorReply(message=_LOAD_FAILED, name=error.name, code=error.code)
    return ErrorReply(message=_FAILED, name=Code.COMPLETION_FAILED.name, code=Code.COMPLETION_FAILED.value)


def provider_error(reply: ErrorReply) -> ProviderError:
    """A provider's error, as our caller sees it: its own name and code where it gave them."""
    name = reply.name if isinstance(reply.name, str) and reply.name else Code.DELEGATE_PROVIDER_ERROR.name
    code = int(reply.code) if isinstance(reply.code, float | int) else Code.DELEGATE_PROVIDER_ERROR.value
    fields = reply.typed_fields if isinstance(reply.typed_fields, dict) else {}
    return ProviderError(reply.message, name=name, code=code, typed_fields=fields)
