"""Delegated inference: the wire of @qvac/sdk 0.16 on encrypted connections, as provider and as consumer.

`Provider` answers for others under the owner's rules; `Consumer` uses models of others by key. wire/QVAC.md is the
specification.
"""

from qvac_core.delegation.admission import AccessMode, AccessPolicy, AccessRules, Allowance, Decision, Limits
from qvac_core.delegation.completion import Completion, CompletionFinal
from qvac_core.delegation.consumer import Consumer, Delegate, Loaded, Waits
from qvac_core.delegation.provider import Provider
from qvac_core.delegation.serving import Greeting

__all__ = [
    "AccessMode",
    "AccessPolicy",
    "AccessRules",
    "Allowance",
    "Completion",
    "CompletionFinal",
    "Consumer",
    "Decision",
    "Delegate",
    "Greeting",
    "Limits",
    "Loaded",
    "Provider",
    "Waits",
]
