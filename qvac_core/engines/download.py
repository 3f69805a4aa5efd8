"""Fetches a model file from where its source points: resumable, checked, with progress.

Hugging Face's own addresses (huggingface_hub's URL form and token, revision-pinned), and plain https. The file's sha256
comes from the catalog, else from the X-Linked-Etag header that Hugging Face sends for large files.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qvac_core.engines.interface import DownloadProgress
from qvac_core.engines.part_file import PartFile, Version, arrived
from qvac_core.errors import ModelError
from qvac_core.lazy import Lazy
from qvac_core.models import CopySource, HuggingFaceSource, ModelSource, canonical_source
from qvac_core.models.source import HUGGING_FACE
from qvac_core.threads import make_in_thread

if TYPE_CHECKING:
    import httpx

    from qvac_core.engines import http_client
else:
    httpx = Lazy("httpx")
    http_client = Lazy("qvac_core.engines.http_client")

ATTEMPTS = 4  # of a download that broke off, each going on where the last one stopped
RETRY_DELAY = 2.0  # seconds, doubled each time
CHUNK = 1 << 20  # bytes of one write to disk
WRITE_INTERVAL = 0.5  # seconds between writes on a slow line
PROGRESS_INTERVAL = 0.2  # seconds
RATE_WINDOW = 5.0  # seconds over which the rate is taken
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)", re.IGNORECASE)
_SHA256 = re.compile(r'"?([0-9a-f]{64})"?')
_SAFE_NAME = re.compile(r"[^\w.+-]", re.ASCII)

Progress = Callable[[DownloadProgress], None]
# Sends the bytes of a file from an offset on, from somebody else than its address. Raises ModelError.
Copier = Callable[[int], AsyncGenerator[bytes, None]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch. `key` is what progress reports are named by; sha256 "" and size 0 where nobody says.

    copier: who sends it in place of its address; then sha256 and size are known.
    """

    key: str
    source: ModelSource
    file_name: str
    sha256: str = ""
    size_bytes: int = 0
    copier: Copier | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """`parts`: the further files of a model that comes in several."""

    path: Path
    sha256: str
    size_bytes: int
    parts: tuple[Path, ...] = ()


class Meter:
    """Turns byte counts into progress reports with a rate, at most one per interval."""

    def __init__(self, key: str, total: int, report: Progress | None) -> None:
        self.total = total
        self._key = key
        self._report = report
        self._samples: list[tuple[float, int]] = []
        self._reported_at = float("-inf")

    def check(self, downloaded: int) -> None:
        """What is there is read through from now on."""
        if self._report is not None and downloaded:
            total = max(self.total, downloaded) if self.total else 0
            self._report(DownloadProgress(self._key, downloaded, total, 0.0, checking=True))

    def update(self, downloaded: int, *, last: bool = False) -> None:
        if self._report is None:
            return
        now = time.monotonic()
        if not last and now - self._reported_at < PROGRESS_INTERVAL:
            return
        self._reported_at = now
        self._samples = [sample for sample in self._samples if now - sample[0] <= RATE_WINDOW] + [(now, downloaded)]
        (start, first) = self._samples[0]
        rate = (downloaded - first) / (now - start) if now > start else 0.0
        self._report(DownloadProgress(self._key, downloaded, max(self.total, downloaded) if last else self.total, rate))


async def fetch(wanted: Wanted, folder: Path, on_progress: Progress | None = None) -> Fetched:
    """Download into `folder`. Cancelling keeps what was downloaded, and the next call goes on from there.

    Raises ModelError: HTTP_ERROR (53003), CHECKSUM_VALIDATION_FAILED (53002), DISK_FULL.
    """
    place = part_path(folder, str(wanted.source))
    if (before := await asyncio.to_thread(arrived, place)) is not None:  # we were ended before anybody was told
        return Fetched(folder / before.name, before.sha256, before.size_bytes)
    part = await make_in_thread(lambda: PartFile(place), PartFile.close)
    try:
        meter = Meter(wanted.key, wanted.size_bytes, on_progress)
        meter.check(part.found)
        await asyncio.to_thread(part.resume)
        sha256 = await _download(wanted, part, meter)
        if part.continued and part.differs(sha256):  # a part of something else: once more, from the beginning
            await asyncio.to_thread(part.restart)
            sha256 = await _download(wanted, part, meter)
        meter.update(part.size, last=True)
        meter.check(part.size)
        target = free_target(folder, wanted.file_name)
        found = await asyncio.to_thread(part.finish, target, sha256)
        return Fetched(target, found, part.size)
    finally:
        part.close()


def part_path(folder: Path, source: str) -> Path:
    """Where the unfinished download of a source lies: one place for all spellings of it."""
    return folder / f"{hashlib.sha256(canonical_source(source).encode()).hexdigest()[:16]}.part"


def free_target(folder: Path, file_name: str) -> Path:
    """A path in `folder` with this name, made harmless, that no file has yet."""
    name = safe_name(file_name)
    target = folder / name
    number = 2
    while target.exists():
        target = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
        number += 1
    return target


def safe_name(file_name: str) -> str:
    return _SAFE_NAME.sub("_", file_name).lstrip(".")[-160:] or "model.gguf"


async def content_lengths(sources: Sequence[ModelSource]) -> list[int] | None:
    """Bytes of each file, asked of its server before the download; None when it does not say."""
    lengths: list[int] = []
    try:
        async with await asyncio.to_thread(lambda: http_client.open_client()) as client:
            for source in sources:
                response = await client.head(source.url(endpoint()), headers=await authorization(source))
                lengths.append(int(response.headers.get("Content-Length", 0) or 0) if response.is_success else 0)
    except (httpx.HTTPError, httpx.InvalidURL, http_client.ProxyFailed, ValueError):
        return None
    return lengths if all(lengths) else None


async def authorization(source: ModelSource) -> dict[str, str]:
    """Headers of a request for a file: who we are, and the person's own token where the file may need it."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "qvac-desktop"}
    if isinstance(source, HuggingFaceSource) and (token := await asyncio.to_thread(_token)):
        headers["Authorization"] = f"Bearer {token}"
    return headers


async def _download(wanted: Wanted, part: PartFile, meter: Meter) -> str:
    """Until the part file is whole; returns the sha256 that it should have ("" = nobody knows)."""
    if wanted.copier is not None:
        await _copy(wanted, wanted.copier, part, meter)
        return wanted.sha256
    if isinstance(wanted.source, CopySource):
        raise ModelError("This model can only be had from a machine that has it. Choose one.", name="NO_SOURCE")
    delay = RETRY_DELAY
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with await asyncio.to_thread(lambda: http_client.open_client()) as client:
                return await _attempt(client, wanted, part, meter)
        except (httpx.ConnectError, httpx.ConnectTimeout, http_client.ProxyFailed) as error:
            if part.size == 0 or attempt == ATTEMPTS:
                raise _unreachable(wanted, error) from error
        except httpx.TransportError as error:
            if attempt == ATTEMPTS:
                raise _broke_off(wanted) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _broke_off(wanted) from error
        await asyncio.sleep(delay)
        delay *= 2
    raise _broke_off(wanted)


async def _copy(wanted: Wanted, copier: Copier, part: PartFile, meter: Meter) -> None:
    """From where the part ends, whoever sent what is there: the checksum judges the whole."""
    if part.size > wanted.size_bytes:
        await asyncio.to_thread(part.restart)
    if not part.size:
        await asyncio.to_thread(part.begin, Version(size_bytes=wanted.size_bytes))
    await asyncio.to_thread(part.check_room, wanted.size_bytes)
    if part.size < wanted.size_bytes:
        async with aclosing(copier(part.size)) as chunks:
            await _receive(_at_most(chunks, wanted.size_bytes - part.size), part, meter)
    if part.size < wanted.size_bytes:
        raise ModelError(
            "The other machine stopped sending. Try again, or choose another source; what came is kept.",
            name="COPY_ENDED",
        )


async def _at_most(chunks: AsyncIterator[bytes], size: int) -> AsyncGenerator[bytes, None]:
    """A peer that sends more than was agreed fills no disk."""
    async for chunk in chunks:
        yield chunk[:size]
        size -= len(chunk)
        if size <= 0:
            return


async def _attempt(client: httpx.AsyncClient, wanted: Wanted, part: PartFile, meter: Meter) -> str:
    url = wanted.source.url(endpoint())
    headers = await authorization(wanted.source)
    if part.size:
        if wanted.size_bytes and part.size >= wanted.size_bytes:
            if part.size == wanted.size_bytes and wanted.sha256:
                return wanted.sha256
            await asyncio.to_thread(part.restart)
        elif not wanted.sha256 and part.version == Version():  # whether the rest is of the same file, nobody could tell
            await asyncio.to_thread(part.restart)
        else:
            headers["Range"] = f"bytes={part.size}-"
            # A checksum judges the whole anyway: then a mirror with another ETag need not send it all again.
            if not wanted.sha256 and part.version.condition:
                headers["If-Range"] = part.version.condition
    async with client.stream("GET", url, headers=headers) as response:
        if url.startswith("https:") and response.url.scheme != "https":
            raise ModelError("The server sends the model over an unencrypted connection: refused.", name="HTTP_ERROR")
        if response.status_code == 416:  # the part is as long as the file, or longer: only a fresh one can be judged
            await asyncio.to_thread(part.restart)
            raise httpx.ReadError("the part does not fit the file")
        _check_status(response, wanted)
        start, total = _extent(response)
        version = Version(
            etag=response.headers.get("ETag", ""),
            last_modified=response.headers.get("Last-Modified", ""),
            linked_sha256=_linked_sha256(response),
            size_bytes=total,
        )
        if version.contradicts(Version(linked_sha256=wanted.sha256, size_bytes=wanted.size_bytes)):
            raise _another_file(wanted)
        if start and (start != part.size or (not wanted.sha256 and version.contradicts(part.version))):
            await asyncio.to_thread(part.restart)
            raise httpx.ReadError("the file at the source is another one now")
        if start:
            part.continued = True
        else:
            await asyncio.to_thread(part.restart)
            await asyncio.to_thread(part.begin, version)
        meter.total = wanted.size_bytes or total
        if meter.total:
            await asyncio.to_thread(part.check_room, meter.total)
        await _receive(response.aiter_raw(), part, meter)
        if meter.total and part.size < meter.total:
            raise httpx.ReadError("the connection ended early")
        return wanted.sha256 or version.linked_sha256


def _extent(response: httpx.Response) -> tuple[int, int]:
    """Where the body begins in the file, and the whole file's size in bytes (0 = it does not say)."""
    length = int(response.headers.get("Content-Length", 0) or 0)
    if response.status_code != 206:
        return 0, length
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None:
        raise httpx.ReadError("a part without a place")
    start = int(match[1])
    return start, int(match[2]) if match[2] != "*" else (start + length if length else 0)


async def _receive(chunks: AsyncIterator[bytes], part: PartFile, meter: Meter) -> None:
    """Write what comes, in large pieces; what had come before an end of any kind is written too."""
    buffer = bytearray()
    written_at = time.monotonic()
    try:
        async for chunk in chunks:
            buffer += chunk
            if len(buffer) >= CHUNK or time.monotonic() - written_at >= WRITE_INTERVAL:
                piece, buffer = bytes(buffer), bytearray()
                await asyncio.to_thread(part.write, piece)
                meter.update(part.size)
                written_at = time.monotonic()
    finally:
        if buffer:
            part.write(bytes(buffer))


def _linked_sha256(response: httpx.Response) -> str:
    """Hugging Face states the sha256 of a large file in the answer that redirects to its store."""
    for answer in [*response.history, response]:
        match = _SHA256.fullmatch(answer.headers.get("X-Linked-Etag", ""))
        if match:
            return match[1]
    return ""


def _token() -> str | None:
    """The user's own Hugging Face token, where they logged in: for models behind a licence."""
    from huggingface_hub import get_token

    token = get_token()
    if token and not (token.isascii() and token.isprintable()):
        raise ModelError(
            "The Hugging Face token (HF_TOKEN, or the one of your login) has letters that no token has. "
            "Copy it again, or take it away.",
            name="HTTP_ERROR",
            code=53003,
        )
    return token


def endpoint() -> str:
    """Hugging Face, or the mirror that HF_ENDPOINT names."""
    endpoint = os.environ.get("HF_ENDPOINT", "").strip() or HUGGING_FACE
    try:
        url = httpx.URL(endpoint)
    except httpx.InvalidURL as error:
        raise _badendpoint() from error
    if url.scheme not in ("http", "https") or not url.host:
        raise _badendpoint()
    return endpoint


def _check_status(response: httpx.Response, wanted: Wanted) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    place = _place(wanted)
    if status in (401, 403):
        sentence = f"{place} does not give this model without login. Accept its licence there and set HF_TOKEN."
    elif status in (404, 410):
        sentence = f"{place} has no such file (any more). Choose another model."
    elif status == 429 or status >= 500:
        sentence = f"{place} is overloaded at the moment (HTTP {status}). Try again later."
    else:
        sentence = f"{place} refused the download (HTTP {status})."
    raise ModelError(sentence, name="HTTP_ERROR", code=53003)


def _place(wanted: Wanted) -> str:
    return "Hugging Face" if isinstance(wanted.source, HuggingFaceSource) else "The server"


def _unreachable(wanted: Wanted, error: httpx.TransportError) -> ModelError:
    if isinstance(error, http_client.ProxyFailed):
        sentence = f"{error} What was downloaded is kept."
    elif http_client.distrusts(error):
        sentence = (
            f"{_place(wanted)} shows a certificate that this machine does not trust. If a proxy or a virus scanner "
            "reads along, let SSL_CERT_FILE name the file with its certificate; else check the date and the network."
        )
    else:
        sentence = (
            f"{_place(wanted)} could not be reached. Check the internet connection and try again; "
            "what was downloaded is kept."
        )
    return ModelError(sentence, name="HTTP_ERROR", code=53003)


def _badendpoint() -> ModelError:
    return ModelError(
        "HF_ENDPOINT is not an address of a server. Write it https://HOST, or take it away.",
        name="HTTP_ERROR",
        code=53003,
    )


def _another_file(wanted: Wanted) -> ModelError:
    return ModelError(
        f"{_place(wanted)} sends another file than the one that was asked for (its size or checksum differs). "
        "Try again later, or choose another source; what was downloaded is kept.",
        name="CHECKSUM_VALIDATION_FAILED",
        code=53002,
    )


def _broke_off(wanted: Wanted) -> ModelError:
    return ModelError(
        f"The download from {_place(wanted)} broke off several times. Try again later; what was downloaded is kept.",
        name="HTTP_ERROR",
        code=53003,
    )
