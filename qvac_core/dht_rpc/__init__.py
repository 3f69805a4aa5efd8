"""The request layer of the DHT: routing table, requests, tokens, queries, our own address. No I/O.

docs/wire/hyperdht.md section 1; the protocol of dht-rpc 6.27.0.
"""

from qvac_core.dht_rpc.commands import Internal, ReplyError, SocketId
from qvac_core.dht_rpc.events import (
    AddressesChanged,
    Ephemeral,
    Event,
    NatUpdated,
    NetworkChanged,
    Persistent,
    Ready,
    WakeUp,
)
from qvac_core.dht_rpc.incoming import IncomingRequest
from qvac_core.dht_rpc.messages import RequestMessage, ResponseMessage, decode, peer_id
from qvac_core.dht_rpc.node import Node
from qvac_core.dht_rpc.query import Commit, Query, QueryResult
from qvac_core.dht_rpc.reply import OnDone, Outcome, Reply, RequestSpec
from qvac_core.dht_rpc.requests import Request, Stats
from qvac_core.dht_rpc.table import TableNode

__all__ = [
    "AddressesChanged",
    "Commit",
    "Ephemeral",
    "Event",
    "IncomingRequest",
    "Internal",
    "NatUpdated",
    "NetworkChanged",
    "Node",
    "OnDone",
    "Outcome",
    "Persistent",
    "Query",
    "QueryResult",
    "Ready",
    "Reply",
    "ReplyError",
    "Request",
    "RequestMessage",
    "RequestSpec",
    "ResponseMessage",
    "SocketId",
    "Stats",
    "TableNode",
    "WakeUp",
    "decode",
    "peer_id",
]
