"""Reading what a node answers to a handshake that it may have passed on (docs/wire/hyperdht.md section 6.3)."""

from __future__ import annotations

from qvac_core.codec import Address
from qvac_core.dht_rpc import Reply
from qvac_core.errors import NetworkError, RemoteProtocolError
from qvac_core.rendezvous.constants import Mode
from qvac_core.rendezvous.messages import HandshakeMessage
from qvac_core.rendezvous.paths import HandshakeReply


class FatalAnswer(Exception):
    """An authentic answer that ends the connect."""

    def __init__(self, error: NetworkError) -> None:
        super().__init__(str(error))
        self.error = error


def read_handshake_reply(reply: Reply, relay: Address) -> HandshakeReply:
    """What a PEER_HANDSHAKE answer shows; RemoteProtocolError when it is none (answers are matched by number only)."""
    if reply.from_ != relay or reply.value is None or reply.error:
        raise RemoteProtocolError("this node does not relay to the peer", name="BAD_HANDSHAKE_REPLY")
    message = HandshakeMessage.decode(reply.value)
    if message.mode != Mode.REPLY or not message.noise:
        raise RemoteProtocolError("this is no answer to a handshake", name="BAD_HANDSHAKE_REPLY")
    return HandshakeReply(
        noise=message.noise,
        relayed=message.peer_address is not None,
        relay_address=relay,
        server_address=message.peer_address or relay,
        client_address=reply.to,
        socket=reply.socket,
    )
