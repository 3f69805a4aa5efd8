"""The encrypted framing on top of a reliable byte stream.

docs/wire/hyperdht.md section 4; no sockets, no clock, no randomness of its own.
"""

from qvac_core.secret_stream.secret_stream import MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, SecretStream, stream_id

__all__ = ["MAX_FRAME_BYTES", "MAX_MESSAGE_BYTES", "SecretStream", "stream_id"]
