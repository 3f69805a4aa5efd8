"""What a guest does next whom a provider does not let in."""

from __future__ import annotations

from qvac_core.delegation.failures import Reason
from qvac_core.errors import DelegationError, ProviderError, QvacError


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


def for_owners(public_key: str, error: QvacError) -> QvacError:
    """What an owner's own machines may ask was asked by another, or by one that is not let in at all."""
    if is_refusal(error):
        return with_own_key(public_key, error)
    if isinstance(error, ProviderError) and error.typed_fields.get("reason") == Reason.NOT_YOURS.value:
        return ProviderError(
            f"{error.message} If it is yours, say so there: qvac-desktop guests allow {public_key} --mine",
            name=error.name,
            code=error.code,
        )
    return error
