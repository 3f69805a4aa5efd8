"""Delegated inference: the wire of @qvac/sdk 0.16 on encrypted connections, as provider and as consumer.

`Provider` answers for others under the owner's rules; `Consumer` uses models of others by key. docs/wire/qvac.md is the
specification.
"""

from typing import TYPE_CHECKING

from qvac_core.lazy import exports

if TYPE_CHECKING:
    from qvac_core.delegation.admission import AccessMode, AccessPolicy, AccessRules, Allowance, Decision, Limits
    from qvac_core.delegation.completion import Completion, CompletionFinal
    from qvac_core.delegation.consumer import Consumer, Delegate, Loaded, Waits
    from qvac_core.delegation.provider import Provider
    from qvac_core.delegation.serving import Greeting
else:
    __getattr__ = exports(
        __name__,
        {
            "AccessMode": "qvac_core.delegation.admission",
            "AccessPolicy": "qvac_core.delegation.admission",
            "AccessRules": "qvac_core.delegation.admission",
            "Allowance": "qvac_core.delegation.admission",
            "Decision": "qvac_core.delegation.admission",
            "Limits": "qvac_core.delegation.admission",
            "Completion": "qvac_core.delegation.completion",
            "CompletionFinal": "qvac_core.delegation.completion",
            "Consumer": "qvac_core.delegation.consumer",
            "Delegate": "qvac_core.delegation.consumer",
            "Loaded": "qvac_core.delegation.consumer",
            "Waits": "qvac_core.delegation.consumer",
            "Provider": "qvac_core.delegation.provider",
            "Greeting": "qvac_core.delegation.serving",
        },
    )

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
