"""This machine's node in the network: its life, and the nodes it remembers for a quick second start."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from qvac_core.codec import Address
from qvac_core.core.config import CoreConfig
from qvac_core.dht_rpc import AddressesChanged, Event, NetworkChanged, WakeUp
from qvac_core.errors import NetworkError, StoreError
from qvac_core.hyperdht import DHT, Connection, ConnectStage, KeyPair, MulticastDns
from qvac_core.hyperdht.client.connect import CONNECT_LIMIT
from qvac_core.hyperdht.dht import DEFAULT_PORT
from qvac_core.hyperdht.lan.local_network import networks_of, own_networks
from qvac_core.store.known_nodes import file_of_network, load_known_nodes, prune_networks, save_known_nodes
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

SAVE_EVERY = 300.0  # seconds
# The first time soon after the start: a program that is killed has no other.
SAVE_FIRST = 10.0


@contextlib.contextmanager
def binding() -> Iterator[None]:
    """Around the opening of a node. Raises NetworkError BIND_FAILED where its port is not to be had."""
    try:
        yield
    except OSError as error:
        raise NetworkError(
            f"The UDP port cannot be opened ({error.strerror}). Choose another one with --port, or leave it out.",
            name="BIND_FAILED",
        ) from error


class NetworkNode:
    """Owns the one DHT node. `connect` may be called while the node is still entering the network.

    `remembered` gives the nodes that led to a key in an earlier run; `on_connected` hears which did in this one.
    `on_changed` is called when the machine woke up or its network came back or is another one.
    """

    def __init__(
        self,
        config: CoreConfig,
        key_pair: KeyPair,
        known_nodes_file: Path,
        *,
        local_network: bool,
        keep_nodes: bool = True,
    ) -> None:
        self._file = file_of_network(known_nodes_file, config.bootstrap)
        # The first node of a network of its own asks nobody.
        uses_nodes = config.bootstrap != ()
        self._keeps_nodes = keep_nodes and uses_nodes
        self._tasks = TaskOwner()
        self.on_stage: Callable[[bytes, ConnectStage], None] = lambda public_key, stage: None
        self.remembered: Callable[[bytes], tuple[Address, ...]] = lambda public_key: ()
        self.on_changed: Callable[[], None] = lambda: None
        self.on_connected: Callable[[bytes, tuple[Address, ...]], None] = lambda public_key, relays: None
        self._wanted_port = config.port
        self.relays = config.relays
        self._config = config
        local = _local_network(config) if local_network else None
        self.local = local is not None
        if config.bootstrap is not None and keep_nodes:
            prune_networks(known_nodes_file)
        self.dht = DHT(
            bootstrap=config.bootstrap,
            key_pair=key_pair,
            host=config.host,
            nodes=load_known_nodes(self._file) if uses_nodes else (),
            port=config.port or DEFAULT_PORT,
            on_change=self._on_change,
            local_network=local,
        )

    def use_local_network(self, wanted: bool) -> None:
        """Switch finding, and being found, on the own network on or off while it runs."""
        local = _local_network(self._config) if wanted else None
        self.local = local is not None
        self.dht.nearby.use(local)

    async def start(self) -> None:
        """Bind now, enter the network in the background. Raises NetworkError when nothing can be bound."""
        if self.local:
            # Slow to import: not when a peer waits.
            await asyncio.to_thread(importlib.import_module, "qvac_core.hyperdht.lan.local_names")
        with binding():
            await self.dht.open()
        self._tasks.start(self._live(), "network node")

    @property
    def notice(self) -> str:
        """What the user must know about the sockets; "" when all is as they asked."""
        port = self.dht.address[1]
        if self._wanted_port and port != self._wanted_port:
            return f"UDP port {self._wanted_port} is in use by another program; port {port} is used instead."
        return ""

    async def _live(self) -> None:
        try:
            await self.dht.ready()
        except NetworkError:
            logger.info("the network did not answer yet; the node keeps trying")
        pause = SAVE_FIRST
        while self._keeps_nodes:
            await asyncio.sleep(pause)
            self._save()
            pause = SAVE_EVERY

    async def connect(self, public_key: bytes, force_new: bool = False, seconds: float = CONNECT_LIMIT) -> Connection:
        """Connect to a provider, for so long; the consumer, which calls this, keeps connections.

        `force_new`: nothing that is remembered of it is used, the network is asked where it is.
        """
        if force_new:
            self.dht.forget_peer(public_key)
        remembered = () if force_new else self.dht.relays_of(public_key) or self.remembered(public_key)
        try:
            connection = await self.dht.connect(
                public_key,
                relay_through=self.relays,
                relay_addresses=remembered,
                on_stage=lambda stage: self.on_stage(public_key, stage),
                timeout=seconds,
            )
        except NetworkError as error:
            if error.name == "PEER_NOT_FOUND" and not self.dht.to_array(1):
                # Nobody could be asked: that says nothing about the provider.
                raise NetworkError("No machine of the network answers.", name="BOOTSTRAP_FAILED") from error
            raise
        self.on_connected(public_key, self.dht.relays_of(public_key))
        return connection

    def _on_change(self, change: Event) -> None:
        if isinstance(change, AddressesChanged | WakeUp) or (isinstance(change, NetworkChanged) and change.online):
            self.on_changed()

    def _save(self) -> None:
        try:
            if nodes := self.dht.to_array():
                save_known_nodes(self._file, nodes)
        except (NetworkError, StoreError) as error:
            logger.info("known nodes were not kept: %s", error)

    async def close(self) -> None:
        await self._tasks.close()
        if self._keeps_nodes:
            self._save()
        await self.dht.close()


def _local_network(config: CoreConfig) -> MulticastDns | None:
    """A network that lives on loopback leaves this machine's other networks alone, unless it is told which they are."""
    if config.local_hosts is not None:
        return MulticastDns(networks_of(config.local_hosts))
    return MulticastDns(own_networks) if config.host is None else None
