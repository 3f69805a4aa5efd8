"""The core: identity, network, engines, provider and consumer, put together once (see `core.Core`)."""

from typing import TYPE_CHECKING

from qvac_core.lazy import exports

if TYPE_CHECKING:
    from qvac_core.core.config import CoreConfig, RuleOverride
    from qvac_core.core.core import Core, load_key_pair
else:
    __getattr__ = exports(
        __name__,
        {
            "CoreConfig": "qvac_core.core.config",
            "RuleOverride": "qvac_core.core.config",
            "Core": "qvac_core.core.core",
            "load_key_pair": "qvac_core.core.core",
        },
    )

__all__ = ["Core", "CoreConfig", "RuleOverride", "load_key_pair"]
