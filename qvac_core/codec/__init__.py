"""Compact encoding: the byte layouts that every wire of ours is made of, and the hashes that go with them.

Behaves as compact-encoding 3.5.2 (docs/wire/hyperdht.md section 0), with stricter limits for what comes from outside.
"""

from qvac_core.codec.hashing import blake2b, namespace
from qvac_core.codec.reader import ARRAY_LIMIT, Reader
from qvac_core.codec.writer import Writer

Address = tuple[str, int]
"""(host as dotted or colon text, UDP port)."""

__all__ = ["ARRAY_LIMIT", "Address", "Reader", "Writer", "blake2b", "namespace"]
