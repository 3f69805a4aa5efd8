"""Reliable ordered streams over datagrams: the UDX protocol as a state machine without I/O.

docs/wire/hyperdht.md section 5; wire of libudx as shipped in udx-native 1.21.3.
"""

from .events import Closed, DataReceived, Drained, EndReceived, Event, MessageReceived, RemoteChanged
from .packet import is_farewell_of_relay, parse_stream_id
from .relay_stream import RelayStream
from .stream import Stats, Stream

__all__ = [
    "Closed",
    "DataReceived",
    "Drained",
    "EndReceived",
    "Event",
    "MessageReceived",
    "RelayStream",
    "RemoteChanged",
    "Stats",
    "Stream",
    "is_farewell_of_relay",
    "parse_stream_id",
]
