"""Errors in OpenAI's format: {"error": {"message", "type", "param", "code"}} with the status that clients act on.

Clients retry 408, 409, 429 and 5xx by themselves, most of them twice. `x-should-retry: false` keeps the official ones
from it; `Retry-After` is obeyed up to 120 s, in silence, so a longer wait is said in the sentence alone.
"""

from __future__ import annotations

import math
from typing import Any

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


def mistake() -> Fault:
    """Of ours: what the exception says may be anybody's text."""
    return Fault(500, "QVAC Desktop made a mistake. Its log says more.", code="internal_error", retry=False)
