"""All fuzz targets by name."""

from __future__ import annotations

from tests.fuzz.target import Target
from tests.fuzz.targets import crypto, delegation, files, network, paths, relay, streams, text, wire

_MODULES = (wire, crypto, streams, network, paths, relay, delegation, text, files)

TARGETS: dict[str, Target] = {target.name: target for module in _MODULES for target in module.TARGETS}
