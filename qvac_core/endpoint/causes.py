"""Errors of the core as a program is told of them. Apart from `faults`: a window that starts reads no wire."""

from __future__ import annotations

from qvac_core.delegation.failures import Code, Reason, is_key_refused
from qvac_core.endpoint.faults import Fault
from qvac_core.errors import (
    ConnectionClosed,
    DelegationError,
    EngineCrashed,
    InferenceCancelled,
    LocalProtocolError,
    ModelError,
    NetworkError,
    QvacError,
    RequestRefused,
)

_TOO_BUSY = frozenset({Reason.QUOTA.value, Reason.QUEUE_FULL.value, Reason.PAUSED.value, Reason.LIMIT.value})
_NOT_THERE = frozenset({"MODEL_NOT_FOUND", "MODEL_NOT_FOUND_HERE", "NO_SPEECH_MODEL"})


def fault_of(error: QvacError) -> Fault:
    """For a program. Sentences are those that a person would read; a peer's text is a sentence too."""
    message, name = error.message, error.name.lower()
    fields = error.typed_fields if isinstance(error, DelegationError) else {}
    reason, wait = fields.get("reason"), fields.get("retryAfterMs")
    seconds = float(wait) / 1000 if isinstance(wait, int | float) and wait >= 0 else None
    if error.code == Code.CONTEXT_OVERFLOW.value:
        return Fault(400, message, code="context_length_exceeded", param="messages")
    if is_key_refused(error) or reason in ("sharing_off", "removed", "stopped"):
        return Fault(403, message, code=str(reason), retry=False)
    if isinstance(reason, str) and reason in _TOO_BUSY:
        return Fault(429, message, code=reason, retry_after=seconds, retry=reason != Reason.LIMIT.value)
    if error.code == Code.REQUEST_REJECTED_BY_POLICY.value:
        return Fault(429, message, code=name, retry_after=1.0 if seconds is None else seconds)
    if error.name in _NOT_THERE or error.code == Code.MODEL_NOT_FOUND.value:
        return Fault(404, message, code="model_not_found", param="model")
    if isinstance(error, RequestRefused | LocalProtocolError) or error.code in (
        Code.MODEL_OPERATION_NOT_SUPPORTED.value,
        Code.PLUGIN_REQUEST_VALIDATION_FAILED.value,
        Code.EMBED_FAILED.value,
    ):
        return Fault(400, message, code=name)
    if isinstance(error, EngineCrashed | InferenceCancelled):
        return Fault(503, message, code=name, retry_after=1.0)
    if isinstance(error, ConnectionClosed | NetworkError) or error.code == Code.DELEGATE_CONNECTION_FAILED.value:
        return Fault(503, message, code=name, retry_after=2.0)
    if isinstance(error, ModelError):
        return Fault(503, message, code=name, retry=False)
    return Fault(502, message, code=name)
