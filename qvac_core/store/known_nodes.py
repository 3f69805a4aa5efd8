"""The network's nodes of the last run, so that the second start needs no cold bootstrap.

docs/wire/hyperdht.md section 8: JSON of host and port, ids and tokens are never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from qvac_core.codec import Address
from qvac_core.store.disk import write_atomically

MAX_NODES: Final = 400
# Private networks whose nodes are kept; the ones used longest ago go first.
MAX_NETWORKS: Final = 16


class _Node(msgspec.Struct, frozen=True):
    host: str
    port: int


def file_of_network(path: Path, bootstrap: Sequence[Address] | None) -> Path:
    """Where the nodes of one network are kept: nodes of another are no use in it. None is the public network."""
    if bootstrap is None:
        return path
    entries = "\n".join(sorted(f"{host}:{port}" for host, port in bootstrap))
    return path.with_name(f"{path.stem}-{blake2b(entries.encode(), digest_size=8).hexdigest()}{path.suffix}")


def prune_networks(path: Path) -> None:
    """Forget private networks that have not been used for long."""
    kept: list[tuple[float, Path]] = []
    for other in path.parent.glob(f"{path.stem}-*{path.suffix}"):
        try:
            kept.append((other.stat().st_mtime, other))
        except OSError:
            continue  # gone meanwhile
    for _, old in sorted(kept)[:-MAX_NETWORKS]:
        old.unlink(missing_ok=True)


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
