"""What a guest reads of a refusal of the policy: a sentence, with when it is possible again, and the same for programs.

docs/wire/qvac.md section 12: `typedFields` {reason, retryAfterMs}.
"""

from __future__ import annotations

import math

from qvac_core.delegation.failures import Code, Reason, Rejection, by_policy, not_admitted, paused
from qvac_core.delegation.owner_stops import EXPIRED, MODEL_OFF, OwnerStop
from qvac_core.delegation.policy import Cause, Verdict

_REASONS = {
    Cause.HOURS: Reason.HOURS,
    Cause.TOKENS: Reason.QUOTA,
    Cause.TOKENS_OF_ALL: Reason.QUOTA,
    Cause.AUDIO: Reason.QUOTA,
    Cause.ANSWER_LENGTH: Reason.LIMIT,
    Cause.NOT_OWNERS: Reason.NOT_YOURS,
}
_SENTENCES = {
    Cause.HOURS: "This provider does not serve your key at this hour.",
    Cause.TOKENS: "Your tokens for today are used up at this provider.",
    Cause.TOKENS_OF_ALL: "All that this provider's owner gives its guests today is used up.",
    Cause.AUDIO: "Your time of speech for today is used up at this provider.",
    Cause.ANSWER_LENGTH: "The provider's owner lets you have no longer answers than this one.",
    Cause.NOT_OWNERS: "Only its owner's own machines may ask this of the provider.",
}


def in_words(seconds: float) -> str:
    """A while, as people say it: "20 min", "3 h 5 min", "2 days"."""
    minutes = max(1, math.ceil(seconds / 60))
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{math.ceil(minutes / 1440)} days"


def rejection(verdict: Verdict, now: float, own_key: str, *, tells_when: bool = True) -> Rejection:
    """Of a verdict that does not admit. tells_when: the guest knows what to do with `retryAfterMs`.

    An older one of ours takes every refusal that has it for a denied knock.
    """
    cause, left = verdict.cause, None if verdict.until is None else max(0.0, verdict.until - now)
    if cause is Cause.EXPIRED:
        return EXPIRED.rejection()
    if cause is Cause.PAUSED:
        return paused(left)
    if cause is Cause.MODEL:
        return MODEL_OFF.rejection()
    if cause not in _SENTENCES or cause is None:
        return not_admitted(own_key)
    sentence, reason = _SENTENCES[cause], _REASONS[cause]
    if cause is Cause.NOT_OWNERS:
        return Rejection(Code.RPC_UNKNOWN_REQUEST_TYPE, sentence, {"reason": reason.value})
    if left is None:
        return by_policy(reason, sentence)
    fields: dict[str, object] = {"reason": reason.value}
    if tells_when:
        fields["retryAfterMs"] = math.ceil(left * 1000)
    again = f"It is possible again in {in_words(left)}."
    sentence = f"{sentence} {again}"
    return Rejection(Code.REQUEST_REJECTED_BY_POLICY, sentence, fields)


def stop(verdict: Verdict, now: float, *, tells_when: bool = True) -> OwnerStop:
    """What ends an answer that runs when the policy admits it no longer."""
    if verdict.cause is Cause.MODEL:
        return MODEL_OFF
    refusal = rejection(verdict, now, "", tells_when=tells_when)
    reason = _REASONS.get(verdict.cause, Reason.LIMIT) if verdict.cause is not None else Reason.LIMIT
    retry = refusal.typed_fields.get("retryAfterMs")
    return OwnerStop(reason, refusal.message, _LOGGED.get(verdict.cause, ""), retry_after_ms=retry)


_LOGGED: dict[Cause | None, str] = {
    Cause.HOURS: "Its hours were over.",
    Cause.TOKENS: "Its tokens for today were used up.",
    Cause.TOKENS_OF_ALL: "The tokens of all guests for today were used up.",
    Cause.ANSWER_LENGTH: "It was as long as you let this key's answers be.",
}
