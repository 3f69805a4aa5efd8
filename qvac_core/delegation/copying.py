"""Copying a model's file from a provider of ours, as the guest sees it. The messages are described in `copies.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from qvac_core.delegation.connection import ProviderConnection, timed_out
from qvac_core.delegation.messages import CopyModel, CopyModelReply, decode_reply
from qvac_core.errors import ConnectionClosed, RemoteProtocolError

# Of the line before the bytes: our own have some 60, an error a sentence.
HEAD_BYTES = 64 * 1024


async def copied_bytes(
    connection: ProviderConnection, sha256: str, offset: int, seconds: float
) -> AsyncGenerator[bytes, None]:
    """`seconds`: of silence, until it is given up. Raises as `Consumer.copy_model`."""
    stream = connection.open_stream(CopyModel(sha256=sha256, offset=offset))
    try:
        head = b""
        while b"\n" not in head:
            async with asyncio.timeout(seconds):
                chunk = await anext(stream, b"")
            if not chunk or len(head) > HEAD_BYTES:
                raise RemoteProtocolError("the provider answered copyModel with something else")
            head += chunk
        line, _, rest = head.partition(b"\n")
        reply = decode_reply(line)
        connection.check(reply)
        if not isinstance(reply, CopyModelReply):
            raise RemoteProtocolError("the provider answered copyModel with something else")
        left = reply.size_bytes - offset
        while left > 0:
            if rest:
                yield rest[:left]
                left -= len(rest)
            async with asyncio.timeout(seconds):
                rest = await anext(stream, b"") if left > 0 else b""
            if not rest:
                return
    except TimeoutError:
        raise timed_out(seconds) from None
    except ConnectionClosed as error:
        raise connection.failure(error) from error
    finally:
        stream.destroy()
