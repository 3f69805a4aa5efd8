"""Every exception of QVAC Desktop, on one screen.

QvacError                      a sentence that says what happened and what helps, `name` and `code` for programs
├── NetworkError               hyperdht's codes by name (hyperdht/lib/errors.js 6.34.0): PEER_NOT_FOUND, …
│   └── ConnectionClosed       the stream ended or broke: ECONNRESET, ETIMEDOUT, ECLOSED
├── ProtocolError              somebody broke the rules of a wire
│   ├── LocalProtocolError     we did: a bug of ours
│   └── RemoteProtocolError    they did: the connection or datagram is dropped, the app lives
├── DelegationError            SDK errors with their numeric codes (docs/wire/qvac.md section 7)
│   ├── ProviderError          what a provider answered (52002, 52420, …)
│   ├── ModelError             a model that cannot be found, loaded or read (52200 to 52203, 53001 to 53015)
│   │   └── RequestRefused     what was asked of it cannot be done, and why (52406); its asker may read the sentence
│   ├── InferenceCancelled     the answer was cancelled (52419)
│   └── EngineCrashed          the model's worker process ended (50205)
├── IdentityError              a seed or key that is not one
└── StoreError                 the disk, the database or a settings file refused
"""

from __future__ import annotations

from typing import Any


class QvacError(Exception):
    """Base of all. `name` is stable and upper case, `code` a number for SDK errors and 0 where there is none."""

    name = "QVAC_ERROR"
    code = 0

    def __init__(self, message: str, *, name: str | None = None, code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if name is not None:
            self.name = name
        if code is not None:
            self.code = code


class NetworkError(QvacError):
    """A network operation failed; `name` is the original's code (PEER_NOT_FOUND, REQUEST_TIMEOUT, …)."""

    name = "NETWORK_ERROR"


class ConnectionClosed(NetworkError):
    """The stream is gone: ECONNRESET (peer destroyed it), ETIMEDOUT (peer vanished), ECLOSED (we closed it)."""

    name = "ECONNRESET"


class ProtocolError(QvacError):
    name = "PROTOCOL_ERROR"


class LocalProtocolError(ProtocolError):
    name = "LOCAL_PROTOCOL_ERROR"


class RemoteProtocolError(ProtocolError):
    name = "REMOTE_PROTOCOL_ERROR"


class DelegationError(QvacError):
    """An error of the SDK's numbered tree. `typed_fields` are machine-readable details (docs/wire/qvac.md section
    12)."""

    name = "DELEGATION_ERROR"

    def __init__(
        self,
        message: str,
        *,
        name: str | None = None,
        code: int | None = None,
        typed_fields: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, name=name, code=code)
        self.typed_fields = typed_fields or {}


class ProviderError(DelegationError):
    name = "DELEGATE_PROVIDER_ERROR"
    code = 53702


class ModelError(DelegationError):
    name = "MODEL_LOAD_FAILED"
    code = 52200


class RequestRefused(ModelError):
    """The fault is in the request. The sentence is about that alone: a provider sends it to its guest as it is."""

    name = "COMPLETION_FAILED"
    code = 52406


class InferenceCancelled(DelegationError):
    name = "INFERENCE_CANCELLED"
    code = 52419


class EngineCrashed(DelegationError):
    name = "WORKER_CRASHED"
    code = 50205


class IdentityError(QvacError):
    name = "IDENTITY_ERROR"


class StoreError(QvacError):
    name = "STORE_ERROR"
