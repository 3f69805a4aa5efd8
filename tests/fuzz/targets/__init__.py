"""All fuzz targets by name."""

from __future__ import annotations

from tests.fuzz.target import Target
from tests.fuzz.targets import files, text, wire

TARGETS: dict[str, Target] = {target.name: target for module in (wire, text, files) for target in module.TARGETS}
