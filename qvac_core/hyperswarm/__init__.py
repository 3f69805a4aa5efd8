"""Finding and keeping connections to everybody who shares a topic: the library above the network's own.

From hyperswarm 4.17.2, whose peers these are; nothing in here knows what travels inside a connection.
"""

from qvac_core.hyperswarm.membership import Membership
from qvac_core.hyperswarm.peer import Peer
from qvac_core.hyperswarm.swarm import Swarm, SwarmStats

__all__ = ["Membership", "Peer", "Swarm", "SwarmStats"]
