"""Whether there is a newer version of this program: a small signed file says so, asked for once a day at most.

What is sent is the request for the file and nothing else: no version, no identity, no cookie. What is believed is a
file signed by the key that this program was built with, whose number is no smaller than that of any seen before (an old
file played again says nothing), which has not expired, and which names a version above the one that runs. Nothing is
ever downloaded or installed: a person reads the notice, and decides.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from qvac_core.core.state import CoreEvent, Notice
from qvac_core.errors import QvacError
from qvac_core.store.disk import write_atomically
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

SETTING: Final = "tell_of_updates"
PRODUCT: Final = "qvac-desktop"
LONGEST: Final = 16_384  # bytes of the file
DAY: Final = 86_400.0  # seconds
PACE: Final = 1800.0  # seconds between two looks at the clock
LIMIT: Final = 30.0  # seconds for one request
_VERSION = re.compile(r"(\d{1,5})\.(\d{1,5})\.(\d{1,5})(?:(a|b|rc)(\d{1,5}))?", re.ASCII)
_STAGES = {"a": 0, "b": 1, "rc": 2, None: 3}


@dataclass(frozen=True, slots=True)
class UpdateSource:
    """Where this build asks. key: Ed25519, 64 hex digits. version: the one that runs."""

    address: str
    key: str
    version: str


@dataclass(frozen=True, slots=True)
class Newest:
    """What a file says that can be believed. page: https, where a person gets it."""

    version: str
    number: int
    page: str


class UntrustedError(QvacError):
    """This file is not believed; the message says why."""


def order(version: str) -> tuple[int, ...]:
    """For comparing: 0.2.0rc1 < 0.2.0 < 0.2.1. Raises UntrustedError for what is no version of ours."""
    found = _VERSION.fullmatch(version)
    if found is None:
        raise UntrustedError("It names no version.")
    major, minor, patch, stage, number = found.groups()
    return int(major), int(minor), int(patch), _STAGES[stage], int(number or 0)


def read_newest(data: bytes, key: str, *, seen: int, now: float) -> Newest:
    """Raises UntrustedError. seen: the largest number of a file that was believed before. now: seconds of the epoch."""
    if len(data) > LONGEST:
        raise UntrustedError("It is too long.")
    try:
        outer = json.loads(data)
        payload = base64.b64decode(outer["payload"], validate=True)
        VerifyKey(bytes.fromhex(key)).verify(payload, base64.b64decode(outer["signature"], validate=True))
        said = json.loads(payload)
        product, version, page = str(said["product"]), str(said["version"]), str(said["page"])
        number, expires = said["number"], datetime.fromisoformat(said["expires"])
    except BadSignatureError:
        raise UntrustedError("Its signature is not by the key of this program.") from None
    except (ValueError, TypeError, KeyError, binascii.Error, RecursionError) as error:
        raise UntrustedError("It is not in the form of such a file.") from error
    if product != PRODUCT or not isinstance(number, int) or isinstance(number, bool):
        raise UntrustedError("It is about something else.")
    if number < seen:
        raise UntrustedError(f"It is older than one seen before ({number} after {seen}).")
    if expires.replace(tzinfo=expires.tzinfo or UTC).timestamp() < now:
        raise UntrustedError("It has expired.")
    if not re.fullmatch(r"https://[\x21-\x7e]{1,300}", page):
        raise UntrustedError("It names no page.")
    order(version)
    return Newest(version, number, page)


Fetch = Callable[[str], Awaitable[bytes]]


async def fetch(address: str) -> bytes:
    """The file at an address. Raises QvacError where it cannot be had."""
    import httpx

    from qvac_core.engines.http_client import open_client

    try:
        async with asyncio.timeout(LIMIT), open_client() as client:
            headers = {"User-Agent": PRODUCT, "Accept": "application/json"}
            async with client.stream("GET", address, headers=headers) as answer:
                answer.raise_for_status()
                data = b""
                async for piece in answer.aiter_bytes():
                    data += piece
                    if len(data) > LONGEST:
                        break
                return data
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
        raise QvacError(f"Whether there is a newer version could not be asked: {type(error).__name__}.") from error


class Newer:
    """Asks by itself while it is open and the setting is on. file: where the last time and number are kept."""

    def __init__(
        self,
        source: UpdateSource,
        file: Path,
        wanted: Callable[[], bool],
        emit: Callable[[CoreEvent], None],
        *,
        fetch: Fetch = fetch,
        clock: Callable[[], float] = time.time,
        pace: float = PACE,
    ) -> None:
        self._source, self._file, self._wanted, self._emit = source, file, wanted, emit
        self._fetch, self._clock, self._pace = fetch, clock, pace
        self._tasks = TaskOwner()

    def open(self) -> None:
        self._tasks.start(self._watch(), "newer version")

    async def close(self) -> None:
        await self._tasks.close()

    async def _watch(self) -> None:
        # The window's first words are that nothing leaves this machine before its person chooses: not on the first day.
        if not await asyncio.to_thread(self._file.exists):
            await asyncio.to_thread(self._keep, self._clock(), 0)
        while True:
            if self._wanted():
                try:
                    await self.look()
                except QvacError as error:
                    logger.info("%s", error.message)
            await asyncio.sleep(self._pace)

    async def look(self) -> Newest | None:
        """Ask, if that was not done in the last day. Raises QvacError; a failure counts as asked."""
        now = self._clock()
        asked, seen = await asyncio.to_thread(self._kept)
        if 0 <= now - asked < DAY:
            return None
        await asyncio.to_thread(self._keep, now, seen)
        newest = read_newest(await self._fetch(self._source.address), self._source.key, seen=seen, now=now)
        await asyncio.to_thread(self._keep, now, newest.number)
        if order(newest.version) <= order(self._source.version):
            return None
        self._emit(
            Notice(
                f"QVAC Desktop {newest.version} is there.",
                f"You have {self._source.version}; get the new one at {newest.page}",
            )
        )
        return newest

    def _kept(self) -> tuple[float, int]:
        """When it was asked last, and the largest number seen; nothing where the file is damaged or not there."""
        try:
            said = json.loads(self._file.read_bytes())
            return float(said["asked"]), int(said["number"])
        except (OSError, ValueError, TypeError, KeyError, OverflowError):
            return 0.0, 0

    def _keep(self, asked: float, number: int) -> None:
        content = json.dumps({"asked": asked, "number": number}).encode()
        write_atomically(self._file, content, action="remember when newer versions were asked for")
