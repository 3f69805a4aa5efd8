"""The core: identity, network, engines, provider and consumer, put together once (see `core.Core`)."""

from qvac_core.core.config import CoreConfig, RuleOverride
from qvac_core.core.core import Core, load_key_pair

__all__ = ["Core", "CoreConfig", "RuleOverride", "load_key_pair"]
