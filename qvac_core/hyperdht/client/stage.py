"""How far a connect has come, for whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class ConnectStage(Enum):
    """How far a connect has come; each is told once, in this order. A remembered relay skips no stage."""

    FINDING = "finding"  # asking the network who knows the key
    CONNECTING = "connecting"  # somebody does: the handshake is on its way through them
    HANDSHAKE = "handshake"  # the peer has answered and proved its key; the stream gets its path
    # Beside the order, and not the end: why it is likely to fail.
    SILENT = "silent"  # the peer is known, but has not answered yet
    ALONE = "alone"  # nobody in the network has answered yet


OnStage = Callable[[ConnectStage], None]
