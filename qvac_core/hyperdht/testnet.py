"""A network of our own nodes on one machine, in one call.

From hyperdht/testnet.js 6.34.0: all but the first node store for others, which never learns its own address.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from types import TracebackType

from qvac_core.codec import Address
from qvac_core.hyperdht.dht import DHT
from qvac_core.hyperdht.node.network import Network


class Testnet:
    """`bootstrap` is what other nodes need; `nodes` are the network's own."""

    __test__ = False

    def __init__(self, nodes: list[DHT], host: str) -> None:
        self.nodes = nodes
        self.bootstrap: list[Address] = [(host, nodes[0].address[1])] if nodes else []

    async def __aenter__(self) -> Testnet:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        for node in reversed(self.nodes):
            await node.close()


async def create_testnet(
    size: int = 4,
    *,
    host: str = "127.0.0.1",
    bootstrap: Sequence[Address] = (),
    network: Network | None = None,
    random: Random | None = None,
) -> Testnet:
    """A running network of `size` nodes; close it when done. With `bootstrap` it joins an existing one."""
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"The size of a network is a whole number, and not of type {type(size).__name__}.")
    if size < 1:
        raise ValueError(f"A network has one node at least, and not {size}.")
    nodes: list[DHT] = []
    known = list(bootstrap)
    try:
        for _ in range(size):
            node = DHT(known, ephemeral=False, firewalled=False, host=host, network=network, random=random)
            nodes.append(node)
            await node.ready()
            if not known:
                known = [(host, node.address[1])]
    except BaseException:
        for node in reversed(nodes):
            await node.close()
        raise
    return Testnet(nodes, host)
