"""The network's library: nodes, servers, connections and records of hyperdht, on asyncio.

From hyperdht 6.34.0, whose peers these are; nothing in here knows what travels inside a connection.
"""

from qvac_core.hyperdht.connect_stage import ConnectStage
from qvac_core.hyperdht.connection import Connection
from qvac_core.hyperdht.dht import DHT
from qvac_core.hyperdht.local_network import LocalNetwork, MulticastDns
from qvac_core.hyperdht.network import DatagramSocket, Network, SystemNetwork
from qvac_core.hyperdht.records import MutableValue
from qvac_core.hyperdht.relay_server import (
    RelayEvent,
    RelayPaired,
    RelayPairing,
    RelayPolicy,
    RelayServer,
    RelayUnpaired,
)
from qvac_core.hyperdht.server import Server
from qvac_core.hyperdht.server_limits import Refusal, ServerLimits, Stranger
from qvac_core.hyperdht.testnet import Testnet, create_testnet
from qvac_core.noise import KeyPair

__all__ = [
    "DHT",
    "ConnectStage",
    "Connection",
    "DatagramSocket",
    "KeyPair",
    "LocalNetwork",
    "MulticastDns",
    "MutableValue",
    "Network",
    "Refusal",
    "RelayEvent",
    "RelayPaired",
    "RelayPairing",
    "RelayPolicy",
    "RelayServer",
    "RelayUnpaired",
    "Server",
    "ServerLimits",
    "Stranger",
    "SystemNetwork",
    "Testnet",
    "create_testnet",
]
