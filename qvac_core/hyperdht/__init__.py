"""The network's library: nodes, servers, connections and records of hyperdht, on asyncio.

From hyperdht 6.34.0, whose peers these are; nothing in here knows what travels inside a connection.
"""

from typing import TYPE_CHECKING

from qvac_core.lazy import exports

if TYPE_CHECKING:
    from qvac_core.hyperdht.client.stage import ConnectStage
    from qvac_core.hyperdht.dht import DHT, NodeStats
    from qvac_core.hyperdht.lan.local_network import LocalNetwork, MulticastDns
    from qvac_core.hyperdht.node.network import DatagramSocket, Network, SystemNetwork
    from qvac_core.hyperdht.records import MutableValue, PeerFound, TopicPeers
    from qvac_core.hyperdht.relay_server import (
        RelayEvent,
        RelayPaired,
        RelayPairing,
        RelayPolicy,
        RelayServer,
        RelayUnpaired,
    )
    from qvac_core.hyperdht.server.limits import Refusal, ServerLimits, Stranger
    from qvac_core.hyperdht.server.server import Server, ServerAddress
    from qvac_core.hyperdht.stream.byte_stream import ByteStream
    from qvac_core.hyperdht.stream.connection import Connection
    from qvac_core.hyperdht.testnet import Testnet, create_testnet
    from qvac_core.hyperdht.topic_keeper import TopicKeeper
    from qvac_core.hyperdht.walk import Walk
    from qvac_core.noise import KeyPair
    from qvac_core.rendezvous.messages import PeerRecord
else:
    __getattr__ = exports(
        __name__,
        {
            "ConnectStage": "qvac_core.hyperdht.client.stage",
            "ByteStream": "qvac_core.hyperdht.stream.byte_stream",
            "NodeStats": "qvac_core.hyperdht.dht",
            "ServerAddress": "qvac_core.hyperdht.server.server",
            "Connection": "qvac_core.hyperdht.stream.connection",
            "DHT": "qvac_core.hyperdht.dht",
            "LocalNetwork": "qvac_core.hyperdht.lan.local_network",
            "MulticastDns": "qvac_core.hyperdht.lan.local_network",
            "DatagramSocket": "qvac_core.hyperdht.node.network",
            "Network": "qvac_core.hyperdht.node.network",
            "SystemNetwork": "qvac_core.hyperdht.node.network",
            "MutableValue": "qvac_core.hyperdht.records",
            "PeerFound": "qvac_core.hyperdht.records",
            "TopicPeers": "qvac_core.hyperdht.records",
            "RelayEvent": "qvac_core.hyperdht.relay_server",
            "RelayPaired": "qvac_core.hyperdht.relay_server",
            "RelayPairing": "qvac_core.hyperdht.relay_server",
            "RelayPolicy": "qvac_core.hyperdht.relay_server",
            "RelayServer": "qvac_core.hyperdht.relay_server",
            "RelayUnpaired": "qvac_core.hyperdht.relay_server",
            "Server": "qvac_core.hyperdht.server.server",
            "Refusal": "qvac_core.hyperdht.server.limits",
            "ServerLimits": "qvac_core.hyperdht.server.limits",
            "Stranger": "qvac_core.hyperdht.server.limits",
            "Testnet": "qvac_core.hyperdht.testnet",
            "create_testnet": "qvac_core.hyperdht.testnet",
            "TopicKeeper": "qvac_core.hyperdht.topic_keeper",
            "Walk": "qvac_core.hyperdht.walk",
            "KeyPair": "qvac_core.noise",
            "PeerRecord": "qvac_core.rendezvous.messages",
        },
    )

__all__ = [
    "DHT",
    "ByteStream",
    "ConnectStage",
    "Connection",
    "DatagramSocket",
    "KeyPair",
    "LocalNetwork",
    "MulticastDns",
    "MutableValue",
    "Network",
    "NodeStats",
    "PeerFound",
    "PeerRecord",
    "Refusal",
    "RelayEvent",
    "RelayPaired",
    "RelayPairing",
    "RelayPolicy",
    "RelayServer",
    "RelayUnpaired",
    "Server",
    "ServerAddress",
    "ServerLimits",
    "Stranger",
    "SystemNetwork",
    "Testnet",
    "TopicKeeper",
    "TopicPeers",
    "Walk",
    "create_testnet",
]
