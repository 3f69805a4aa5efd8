"""What a guest does next whom a provider does not let in."""

from __future__ import annotations

from qvac_core.delegation.failures import Reason
from qvac_core.errors import DelegationError, QvacError


def is_refusal(error: QvacError) -> bool:
    return isinstance(error, DelegationError) and error.typed_fields.get("reason") == Reason.NOT_ADMITTED.value


def with_own_key(public_key: str, error: QvacError) -> DelegationError:
    """Who is not admitted needs their own key for what comes next."""
    return DelegationError(
        "The owner has not allowed your key yet. The machine is online: send its owner your key, then ask again. "
        f"Your key: {public_key}",
        name=error.name,
        code=error.code,
    )
