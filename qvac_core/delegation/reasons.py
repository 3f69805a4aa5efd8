"""Why a provider does not take a request (docs/wire/qvac.md section 12), for those who do not speak the wire."""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """Why a request was rejected by policy (docs/wire/qvac.md section 12)."""

    NOT_ADMITTED = "not_admitted"
    QUOTA = "quota"
    PAUSED = "paused"
    QUEUE_FULL = "queue_full"
    LIMIT = "limit"
    GRANT = "grant"
    HOURS = "hours"
    NOT_YOURS = "not_yours"  # what an owner's own machines may ask, asked by another
    # Ours, beside those of section 12: what the owner did to a request that was admitted.
    STOPPED = "stopped"
    REMOVED = "removed"
    SHARING_OFF = "sharing_off"
    MODEL_OFF = "model_off"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    NO_LONGER_ALLOWED = "no_longer_allowed"
    # Not the owner's doing: nothing came from the guest for too long.
    GUEST_AWAY = "guest_away"
