"""What a UDX stream tells its driver.

Ours; the callbacks of libudx (`on_read`, `on_recv`, `on_drain`, `on_close`, `on_remote_changed`) as messages.
"""

from __future__ import annotations

from dataclasses import dataclass

from qvac_core.errors import ConnectionClosed


@dataclass(frozen=True, slots=True)
class DataReceived:
    """Bytes of the stream, in order. Packets that arrived together are joined."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndReceived:
    """The peer has ended its side, and all its data has been handed out."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """An unordered, unreliable message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Drained:
    """There is room again after `write` said False."""


@dataclass(frozen=True, slots=True)
class RemoteChanged:
    """Everything that was sent before `change_remote` has been acknowledged."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The last event. `error` is None when both sides ended or we destroyed the stream.

    Otherwise its name is ECONNRESET (the peer destroyed the stream) or ETIMEDOUT (the peer vanished).
    """

    error: ConnectionClosed | None


Event = DataReceived | EndReceived | MessageReceived | Drained | RemoteChanged | Closed
