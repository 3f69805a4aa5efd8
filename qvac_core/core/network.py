"""This machine's node in the network: its life, and the nodes it remembers for a quick second start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from qvac_core.core.config import CoreConfig
from qvac_core.core.tasks import TaskOwner
from qvac_core.errors import NetworkError, StoreError
from qvac_core.hyperdht import DHT, Connection, ConnectStage, KeyPair
from qvac_core.hyperdht.dht import DEFAULT_PORT
from qvac_core.store.known_nodes import load_known_nodes, save_known_nodes

logger = logging.getLogger(__name__)

SAVE_EVERY = 300.0  # seconds


class NetworkNode:
    """Owns the one DHT node. `connect` may be called while the node is still entering the network."""

    def __init__(self, config: CoreConfig, key_pair: KeyPair, known_nodes_file: Path) -> None:
        self._file = known_nodes_file
        self._private = config.bootstrap is not None
        self._tasks = TaskOwner()
        self.on_stage: Callable[[bytes, ConnectStage], None] = lambda public_key, stage: None
        self._wanted_port = config.port
        self.relays = config.relays or None
        self.dht = DHT(
            bootstrap=config.bootstrap,
            key_pair=key_pair,
            host=config.host,
            # Nodes of the public network are no use in a private one, and the other way round.
            nodes=() if self._private else load_known_nodes(known_nodes_file),
            port=config.port or DEFAULT_PORT,
        )

    async def start(self) -> None:
        """Bind now, enter the network in the background. Raises NetworkError when nothing can be bound."""
        try:
            await self.dht.open()
        except OSError as error:
            raise NetworkError(
                f"The UDP port cannot be opened ({error.strerror}). Choose another one with --port, or leave it out.",
                name="BIND_FAILED",
            ) from error
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
        while not self._private:
            await asyncio.sleep(SAVE_EVERY)
            self._save()

    async def connect(self, public_key: bytes, force_new: bool = False) -> Connection:
        """Connect to a provider; the consumer, which calls this, keeps connections and bounds the time."""
        try:
            return await self.dht.connect(
                public_key,
                relay_through=self.relays,
                on_stage=lambda stage: self.on_stage(public_key, stage),
            )
        except NetworkError as error:
            if error.name == "PEER_NOT_FOUND" and not self.dht.to_array(1):
                # Nobody could be asked: that says nothing about the provider.
                raise NetworkError("No machine of the network answers.", name="BOOTSTRAP_FAILED") from error
            raise

    def _save(self) -> None:
        try:
            if nodes := self.dht.to_array():
                save_known_nodes(self._file, nodes)
        except (NetworkError, StoreError) as error:
            logger.info("known nodes were not kept: %s", error)

    async def close(self) -> None:
        await self._tasks.close()
        if not self._private:
            self._save()
        await self.dht.close()
