"""The network's nodes of the last run, so that the second start needs no cold bootstrap.

wire/HYPERDHT.md section 8: JSON of host and port, ids and tokens are never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from qvac_core.codec import Address
from qvac_core.store.disk import write_atomically

MAX_NODES: Final = 400


class _Node(msgspec.Struct, frozen=True):
    host: str
    port: int


def load_known_nodes(path: Path) -> tuple[Address, ...]:
    """What was kept; nothing if the file is missing or broken, because it is only a cache."""
    try:
        nodes = msgspec.json.decode(path.read_bytes(), type=list[_Node])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return ()
    return tuple((node.host, node.port) for node in nodes[:MAX_NODES] if 0 < node.port < 65536)


def save_known_nodes(path: Path, nodes: Sequence[Address]) -> None:
    """Keep the newest nodes, newest first. Raises StoreError."""
    content = msgspec.json.encode([_Node(host, port) for host, port in nodes[:MAX_NODES]])
    write_atomically(path, content, action="write the list of known nodes")
