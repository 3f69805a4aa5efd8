"""The routing table of a node, and the order in which it last heard from whom.

docs/wire/hyperdht.md section 1.5; kademlia-routing-table 1.0.6, time-ordered-set 2.0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from random import Random

from qvac_core.codec import Address
from qvac_core.dht_rpc.commands import K
from qvac_core.dht_rpc.limits import crowds
from qvac_core.dht_rpc.messages import ID_SIZE, peer_id, peer_key

ROWS = ID_SIZE * 8

PER_HOST = 4
PER_NETWORK = 8
"""Of the 20 nodes of a row, from one public host and one /24: with free ports one machine could take all places."""


class TableNode:
    """What we know of another node. Ticks count the node's own 5 s ticks; 0 for `sampled` means never."""

    __slots__ = ("added", "address", "down_hints", "id", "key", "pinged", "sampled", "seen", "to")

    def __init__(self, address: Address, tick: int, to: Address | None = None) -> None:
        self.address = address
        self.id = peer_id(address)
        self.key = peer_key(address)
        self.to = to
        self.added = self.pinged = self.seen = tick
        self.sampled = 0
        self.down_hints = 0

    @property
    def host(self) -> str:
        return self.address[0]

    @property
    def port(self) -> int:
        return self.address[1]

    def __repr__(self) -> str:
        return f"TableNode({self.host}:{self.port})"


def _key(node: TableNode) -> int:
    return node.key


class Table:
    """Rows of nodes by the number of leading bits that they share with `id`; inside a row sorted by id."""

    __slots__ = ("_by_key", "_rows", "id", "k", "key")

    def __init__(self, id: bytes, k: int = K) -> None:
        self.id = id
        self.k = k
        self.key = int.from_bytes(id)
        self._rows: dict[int, list[TableNode]] = {}
        self._by_key: dict[int, TableNode] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[TableNode]:
        """Every node once, those nearest to us first, row by row."""
        for index in sorted(self._rows, reverse=True):
            yield from self._rows[index]

    def __contains__(self, node: TableNode) -> bool:
        return self._by_key.get(node.key) is node

    def row(self, key: int) -> list[TableNode]:
        """The row where a node with this key lives. Callers only look."""
        return self._rows.get(self._row_of(key), [])

    def _row_of(self, key: int) -> int:
        return min(ROWS - (key ^ self.key).bit_length(), ROWS - 1)

    def get(self, key: int) -> TableNode | None:
        return self._by_key.get(key)

    def add(self, node: TableNode) -> bool:
        """False when the row is full. A node with the same id is replaced."""
        index = self._row_of(node.key)
        row = self._rows.get(index)
        if row is None:
            row = self._rows[index] = []
        position = bisect_left(row, node.key, key=_key)
        if position < len(row) and row[position].key == node.key:
            row[position] = node
        elif len(row) >= self.k:
            return False
        else:
            row.insert(position, node)
        self._by_key[node.key] = node
        return True

    def crowded(self, node: TableNode) -> bool:
        """Whether the node's neighbours, in the network and not in the table, have enough places of its row."""
        others = (other.host for other in self.row(node.key) if other.key != node.key)
        return crowds(node.host, others, per_host=PER_HOST, per_network=PER_NETWORK)

    def remove(self, node: TableNode) -> bool:
        if node not in self:
            return False
        index = self._row_of(node.key)
        row = self._rows[index]
        row.remove(node)
        if not row:
            del self._rows[index]
        del self._by_key[node.key]
        return True

    def closest(self, target: bytes, k: int | None = None) -> list[TableNode]:
        """Up to `k` nodes near the target: its row, the rows before it, then those after it.

        An approximation, as in the original: inside a row the order is that of ids, not of distance.
        """
        wanted = self.k if k is None else k
        first = self._row_of(int.from_bytes(target))
        found: list[TableNode] = []
        rows = self._rows
        for index in range(first, -1, -1):
            row = rows.get(index)
            if row:
                found.extend(row)
                if len(found) >= wanted:
                    return found[:wanted]
        for index in sorted(index for index in rows if index > first):
            found.extend(rows[index])
            if len(found) >= wanted:
                break
        return found[:wanted]

    def random(self, random: Random) -> TableNode | None:
        if not self._by_key:
            return None
        return next(islice(self._by_key.values(), random.randrange(len(self._by_key)), None))


class Recency:
    """Nodes in the order in which we last heard from them."""

    __slots__ = ("_nodes",)

    def __init__(self) -> None:
        self._nodes: OrderedDict[int, TableNode] = OrderedDict()

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, node: TableNode) -> bool:
        return self._nodes.get(node.key) is node

    def touch(self, node: TableNode) -> None:
        self._nodes[node.key] = node
        self._nodes.move_to_end(node.key)

    def remove(self, node: TableNode) -> None:
        if node in self:
            del self._nodes[node.key]

    def oldest(self, n: int) -> list[TableNode]:
        return list(islice(self._nodes.values(), n))

    def latest(self, n: int | None = None) -> list[TableNode]:
        return list(islice(reversed(self._nodes.values()), n))
