"""What a server decides about a peer, and how many peers it deals with at a time.

Ours: the original knows two verdicts and no limit. Message 1 of a handshake costs a stranger nothing, and one that
somebody saw on its way can be sent again: what is not open yet is bounded in all, by key and by host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from qvac_core.rendezvous.messages import NoisePayload
from qvac_core.rendezvous.places import Bounds

REFUSALS_PER_SECOND = 50
"""More refusals than this are silent: answering strangers must not cost more than it tells them."""
HANDSHAKES_PER_SECOND = 1000
"""First messages that are read; each costs two curve multiplications, and a stranger nothing. The rest is dropped."""
HANDSHAKES_PER_SOURCE = 200
"""Of these, from one host (a relay, or the client itself): what one sender floods must not use up what all have. One
that became a connection counts no more: it cost the other side as much as us."""
PENDING = Bounds(in_all=512, per_key=128, per_host=128)
"""Handshakes on their way to a connection: a stream and a timer each, for 10 s."""
PUNCHES = Bounds(in_all=64, per_key=16, per_host=16)
"""Of these, hole punches: a socket each, and up to 256 when both NATs are difficult."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A firewall's verdict: no, and the peer is told so at once (it fails with SERVER_ERROR)."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """A firewall's verdict: let in to say one thing. Where places run short it is the first to give its own up."""


Verdict = bool | Refusal | Stranger
FirewallFunction = Callable[[bytes, NoisePayload], Verdict | Awaitable[Verdict]]


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Open connections. The newest of a key or a host replaces its oldest; the fullest host makes room for others."""

    connections: int = 4096
    connections_per_key: int = 512
    connections_per_host: int = 1024

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.connections, self.connections_per_key, self.connections_per_host)
