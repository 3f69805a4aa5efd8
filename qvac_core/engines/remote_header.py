"""What a GGUF file at an address says of itself, from its first megabyte: before gigabytes are fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qvac_core.engines.download import authorization, endpoint
from qvac_core.engines.gguf import GgufInfo, read_beginning
from qvac_core.models import ModelSource

if TYPE_CHECKING:
    import httpx

# Architecture, layers and heads come before the vocabulary, which takes the megabytes that follow.
BEGINNING = 1 << 20  # bytes


async def read_remote(client: httpx.AsyncClient, source: ModelSource) -> tuple[GgufInfo | None, int]:
    """The header as far as it was looked at, None where it is no GGUF; and the file's size in bytes, 0 = not said.

    Raises httpx.HTTPError, ProxyFailed.
    """
    headers = {**await authorization(source), "Range": f"bytes=0-{BEGINNING - 1}"}
    data = bytearray()
    async with client.stream("GET", source.url(endpoint()), headers=headers) as response:
        response.raise_for_status()
        size = _whole_size(response)
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) >= BEGINNING:  # of a server that knows no ranges
                break
    return read_beginning(bytes(data[:BEGINNING])), size


def _whole_size(response: httpx.Response) -> int:
    text = response.headers.get("Content-Range", "").rpartition("/")[2] or response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdecimal() else 0
