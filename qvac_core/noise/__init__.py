"""Noise IK over Ed25519: the handshake as bytes in, bytes out.

docs/wire/hyperdht.md sections 2.3 and 3; no sockets, no clock, no randomness of its own.
"""

from qvac_core.noise.handshake import HandshakeState
from qvac_core.noise.keys import KeyPair, dh, is_public_key, sign, verify

__all__ = ["HandshakeState", "KeyPair", "dh", "is_public_key", "sign", "verify"]
