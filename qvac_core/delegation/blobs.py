"""Files that guests put here before the requests that need them: by content hash, in chunks, in RAM, each key its own.

Ours (no message of 0.16 carries bytes to a provider): pictures of a chat, recordings to transcribe. Only between two
QVAC Desktop peers that name the feature `blobs` in `hello`.

`blobStatus` {sha256, sizeBytes} asks how much of it is here (`received`, in bytes), and whether so large a blob is
taken at all before the first byte travels. `putBlob` {sha256, sizeBytes, offset} brings bytes, raw, behind its JSON
and one newline; its answer says how many are here then. Chunks come in order, each from where the last one ended, so
that an upload goes on where it broke off, on another connection of the same key, too. A blob whose bytes have another
hash is dropped. A key never reaches what another one put, and cannot learn whether it is here.

Held in memory alone: what a stranger sends is never written to the owner's disk.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.failures import Code, Reason, Rejection, by_policy
from qvac_core.errors import RemoteProtocolError

# One chunk. The largest takes 0.3 s on a line of 8 Mbit/s; a heartbeat waits behind one chunk at most.
CHUNK_BYTES_MOST = 256 * 1024
# Of those before the last: a flood of tiny ones would cost more than what they bring.
CHUNK_BYTES_LEAST = 4 * 1024
# Blobs of one key, begun ones included.
BLOBS_PER_KEY = 64
# Without anybody asking for it. The longer one spares a chat the upload of the same picture with every turn.
UNUSED_SECONDS = 900.0
# After the last connection of its key has ended: long enough to connect again and go on.
LEFT_SECONDS = 60.0


class _Blob:
    """One on its way, or whole: then `data` has `size` bytes of the right hash and is never changed again."""

    __slots__ = ("_hash", "data", "size", "used_at")

    def __init__(self, size: int, now: float) -> None:
        self.size = size
        self.data: bytearray | bytes = bytearray()
        self.used_at = now
        self._hash = hashlib.sha256()

    @property
    def whole(self) -> bool:
        return len(self.data) == self.size

    def add(self, chunk: bytes) -> None:
        self.data += chunk
        self._hash.update(chunk)
        if self.whole:
            self.data = bytes(self.data)  # once, so that readers need no copies

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class _Shelf:
    """The blobs of one key, the one that was used longest ago first."""

    def __init__(self) -> None:
        self.blobs: OrderedDict[str, _Blob] = OrderedDict()
        self.held = 0
        self.connections = 0
        self.left_at = 0.0

    def drop(self, sha256: str) -> int:
        """How many bytes that freed."""
        blob = self.blobs.pop(sha256, None)
        freed = len(blob.data) if blob is not None else 0
        self.held -= freed
        return freed

    def drop_oldest(self) -> int:
        return self.drop(next(iter(self.blobs)))


class BlobStore:
    """All of one provider. Used from its loop alone; `clock` gives loop time in seconds.

    Bounds: `limits.blob_bytes` for one, `limits.blobs_per_key_bytes` for a key, `limits.blobs_bytes` for all together.
    A key that needs room gives up its own oldest; where all are together at their bound, the key that holds most does.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] | None = None) -> None:
        self._limits = limits
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._shelves: dict[bytes, _Shelf] = {}
        self._held = 0
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def held_bytes(self) -> int:
        return self._held

    # --- Connections ------------------------------------------------------------------------------------------

    def enter(self, public_key: bytes) -> None:
        """A connection of this key is open, until `leave`."""
        self._shelves.setdefault(public_key, _Shelf()).connections += 1

    def leave(self, public_key: bytes) -> None:
        shelf = self._shelves[public_key]
        shelf.connections -= 1
        if not shelf.connections:
            shelf.left_at = self._clock()
            if not shelf.blobs:
                del self._shelves[public_key]
            else:
                self._sweep_in(LEFT_SECONDS)

    def clear(self) -> None:
        """Forget everything; connections that are open go on with nothing."""
        for key in list(self._shelves):
            self._drop_all(key)
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    # --- Blobs of a key ---------------------------------------------------------------------------------------

    def received(self, public_key: bytes, sha256: str, size: int) -> int:
        """How many bytes of it are here. Raises Rejection when one of that size is not taken."""
        self._check_size(size)
        blob = self._find(public_key, sha256)
        if blob is None or blob.size != size:
            return 0
        self._use(public_key, sha256, blob)
        return len(blob.data)

    def put(self, public_key: bytes, sha256: str, size: int, offset: int, chunk: bytes) -> int:
        """Take the next bytes of it; how many are here then. Raises Rejection or RemoteProtocolError."""
        self._check_size(size)
        blob = self._find(public_key, sha256)
        if blob is not None and blob.whole and blob.size == size:
            return size  # two who put the same one: the later has nothing to add
        if blob is not None and blob.size != size:
            raise RemoteProtocolError("Invalid input in putBlob: a blob of this hash was begun with another size")
        here = len(blob.data) if blob is not None else 0
        if offset != here:
            if blob is None:
                raise _no_longer_here()
            raise RemoteProtocolError(f"Invalid input in putBlob: {here} bytes are here, this chunk begins at {offset}")
        _check_chunk(len(chunk), size - offset)
        if blob is None:
            blob = self._begin(public_key, sha256, size)
        self._make_room(public_key, sha256, len(chunk))
        blob.add(chunk)
        self._shelves[public_key].held += len(chunk)
        self._held += len(chunk)
        self._use(public_key, sha256, blob)
        if blob.whole and blob.sha256 != sha256:
            self._drop(public_key, sha256)
            raise RemoteProtocolError("Invalid input in putBlob: what arrived has another hash; send it again")
        return len(blob.data)

    def get(self, public_key: bytes, sha256: str) -> bytes | None:
        """None when this key has put no whole blob of that hash here."""
        blob = self._find(public_key, sha256)
        if blob is None or not blob.whole:
            return None
        self._use(public_key, sha256, blob)
        return bytes(blob.data)  # no copy: whole ones are bytes

    def forget(self, public_key: bytes, sha256: str) -> None:
        self._drop(public_key, sha256)

    # --- Bounds -----------------------------------------------------------------------------------------------

    def _check_size(self, size: int) -> None:
        limit = min(self._limits.blob_bytes, self._limits.blobs_per_key_bytes, self._limits.blobs_bytes)
        if size > limit:
            raise by_policy(
                Reason.LIMIT,
                f"This file is too large for the provider: {_mib(size)}, where {_mib(limit)} are the most.",
            )

    def _begin(self, public_key: bytes, sha256: str, size: int) -> _Blob:
        shelf = self._shelves[public_key]
        if len(shelf.blobs) >= BLOBS_PER_KEY:
            self._held -= shelf.drop_oldest()
        blob = shelf.blobs[sha256] = _Blob(size, self._clock())
        self._sweep_in(UNUSED_SECONDS)
        return blob

    def _make_room(self, public_key: bytes, sha256: str, size: int) -> None:
        """For so many bytes more of this blob, which itself is the newest of its shelf."""
        shelf = self._shelves[public_key]
        shelf.blobs.move_to_end(sha256)
        while shelf.held + size > self._limits.blobs_per_key_bytes and len(shelf.blobs) > 1:
            self._held -= shelf.drop_oldest()
        while self._held + size > self._limits.blobs_bytes:
            most = max(self._shelves.values(), key=lambda other: other.held)
            if most is shelf and len(shelf.blobs) == 1:
                self._drop(public_key, sha256)
                raise by_policy(Reason.LIMIT, "This provider has no room for files at the moment. Try again later.")
            self._held -= most.drop_oldest()

    def _find(self, public_key: bytes, sha256: str) -> _Blob | None:
        return self._shelves[public_key].blobs.get(sha256)

    def _use(self, public_key: bytes, sha256: str, blob: _Blob) -> None:
        blob.used_at = self._clock()
        self._shelves[public_key].blobs.move_to_end(sha256)

    def _drop(self, public_key: bytes, sha256: str) -> None:
        self._held -= self._shelves[public_key].drop(sha256)

    def _drop_all(self, public_key: bytes) -> None:
        shelf = self._shelves[public_key]
        for sha256 in list(shelf.blobs):
            self._drop(public_key, sha256)
        if not shelf.connections:
            del self._shelves[public_key]

    # --- Time -------------------------------------------------------------------------------------------------

    def _sweep_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        if self._sweep is None or self._sweep.when() > at:
            if self._sweep is not None:
                self._sweep.cancel()
            self._sweep = loop.call_at(at, self._sweep_now)

    def _sweep_now(self) -> None:
        """Forget what nobody used for long, and what those left behind who are gone."""
        self._sweep = None
        now = self._clock()
        for key, shelf in list(self._shelves.items()):
            if not shelf.connections and now - shelf.left_at >= LEFT_SECONDS:
                self._drop_all(key)
                continue
            for sha256, blob in list(shelf.blobs.items()):
                if now - blob.used_at >= UNUSED_SECONDS:
                    self._drop(key, sha256)
        if self._held or any(shelf.blobs for shelf in self._shelves.values()):
            self._sweep_in(LEFT_SECONDS)


class KeyBlobs:
    """The blobs of one key, as one of its connections reaches them: a context manager, open as long as that is."""

    def __init__(self, store: BlobStore, public_key: bytes) -> None:
        self._store = store
        self._key = public_key

    def __enter__(self) -> KeyBlobs:
        self._store.enter(self._key)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.leave(self._key)

    def received(self, sha256: str, size: int) -> int:
        return self._store.received(self._key, sha256, size)

    def put(self, sha256: str, size: int, offset: int, chunk: bytes) -> int:
        return self._store.put(self._key, sha256, size, offset, chunk)

    def get(self, sha256: str) -> bytes:
        """The bytes; they stay, for the next request that names them. Raises Rejection ATTACHMENT_NOT_FOUND."""
        data = self._store.get(self._key, sha256)
        if data is None:
            raise _no_longer_here()
        return data

    def take(self, sha256: str) -> bytes:
        """The bytes, which are forgotten here. Raises Rejection ATTACHMENT_NOT_FOUND."""
        data = self.get(sha256)
        self._store.forget(self._key, sha256)
        return data


def _check_chunk(size: int, left: int) -> None:
    if size > min(left, CHUNK_BYTES_MOST) or size < min(left, CHUNK_BYTES_LEAST):
        raise RemoteProtocolError(
            f"Invalid input in putBlob: a chunk has {CHUNK_BYTES_LEAST} to {CHUNK_BYTES_MOST} bytes, and no more than "
            "are missing"
        )


def _no_longer_here() -> Rejection:
    """Never put, not whole, forgotten, or another key's: all read alike."""
    return Rejection(Code.ATTACHMENT_NOT_FOUND, "This file is not at the provider (any more). Send it again.")


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
