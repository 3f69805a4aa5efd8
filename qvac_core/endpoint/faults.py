"""Errors in OpenAI's format: {"error": {"message", "type", "param", "code"}} with the status that clients act on.

Clients retry 408, 409, 429 and 5xx by themselves, most of them twice. `x-should-retry: false` keeps the official ones
from it; `Retry-After` is obeyed up to 120 s, in silence, so a longer wait is said in the sentence alone.
"""

from __future__ import annotations

import math
from typing import Any

from qvac_core.delegation.failures import Code, Reason, is_key_refused
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

LONGEST_RETRY = 20.0  # seconds that a client may be told to wait in silence

_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    408: "timeout",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    431: "invalid_request_error",
}


class Fault(Exception):
    """What a program is told. retry_after: seconds, None = nothing is said. retry False: it is of no use."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        retry: bool = True,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.retry_after, self.retry = retry_after, retry

    @property
    def type(self) -> str:
        return _TYPES.get(self.status, "server_error")

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        headers = {}
        if self.retry_after is not None and self.retry_after <= LONGEST_RETRY:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after)))
        if not self.retry or (self.retry_after is not None and self.retry_after > LONGEST_RETRY):
            headers["x-should-retry"] = "false"
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return headers


def bad(message: str, param: str | None = None, code: str | None = None) -> Fault:
    return Fault(400, message, param=param, code=code)


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


def mistake() -> Fault:
    """Of ours: what the exception says may be anybody's text."""
    return Fault(500, "QVAC Desktop made a mistake. Its log says more.", code="internal_error", retry=False)
