"""What an owner does to requests in work: the words of it for their consumer, and those for the owner's log.

docs/wire/qvac.md sections 7 and 12: REQUEST_REJECTED_BY_POLICY with a `reason`; consumers that know a reason have words
of their own for it (core/error_text.py), all others show the sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

from qvac_core.delegation.failures import Code, Reason, Rejection


@dataclass(frozen=True, slots=True)
class OwnerStop:
    """reason, sentence: for the consumer. logged: for the owner."""

    reason: Reason
    sentence: str
    logged: str
    code: Code = Code.REQUEST_REJECTED_BY_POLICY
    retry_after_ms: int | None = None

    def rejection(self) -> Rejection:
        fields: dict[str, object] = {"reason": self.reason.value}
        if self.retry_after_ms is not None:
            fields["retryAfterMs"] = self.retry_after_ms
        return Rejection(self.code, self.sentence, fields)


STOPPED = OwnerStop(
    Reason.STOPPED, "The provider's owner stopped this answer. Ask again, or ask its owner why.", "You stopped it."
)
PAUSED = OwnerStop(
    Reason.PAUSED, "The provider's owner paused sharing. Ask again later, or choose another provider.", "You paused."
)
REMOVED = OwnerStop(
    Reason.REMOVED,
    "The provider's owner took your request out of the line. Ask again later, or choose another provider.",
    "You removed it from the line.",
)
SHARING_OFF = OwnerStop(
    Reason.SHARING_OFF,
    "The provider stopped sharing. Ask again when its owner shares again, or choose another provider.",
    "Sharing was switched off.",
)
MODEL_OFF = OwnerStop(
    Reason.MODEL_OFF,
    "The provider's owner no longer shares this model. Choose another one.",
    "You no longer share this model.",
    Code.MODEL_NOT_FOUND,
)
GUEST_AWAY = OwnerStop(
    Reason.GUEST_AWAY,
    "Nothing came from you for some seconds, so the provider stopped computing this. Ask again.",
    "Nothing came from the guest any more.",
)
BLOCKED = OwnerStop(
    Reason.BLOCKED,
    "The provider's owner blocked your key. Ask its owner, if you think that this is a mistake.",
    "You blocked this key.",
)
EXPIRED = OwnerStop(
    Reason.EXPIRED,
    "The time for which the provider's owner allowed your key is over. Ask its owner for more.",
    "Its time was over.",
)
NO_LONGER_ALLOWED = OwnerStop(
    Reason.NO_LONGER_ALLOWED,
    "The provider's owner no longer allows your key. Ask its owner to allow it again.",
    "You no longer allow this key.",
)
