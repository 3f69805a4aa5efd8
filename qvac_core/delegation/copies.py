"""Model files that guests may copy, from the provider's disk: named by content hash, from any offset, in one stream.

Ours, between two QVAC Desktop peers that name the feature `copies` in `hello`. `listCopies` tells what this key may
copy: {`name`, `fileName`, `modelType`, `sizeBytes`, `sha256`}, nothing of where it lies. `copyModel` {sha256, offset}
is answered by a line {`type`: `copyModel`, `sizeBytes`}, then by the bytes of the file from the offset to its end. A
model of several files is one stream: their bytes, one file after the other, under the hash of all of them; `bundles` of
`listCopies` says where to cut ({`name`, `modelType`, `sizeBytes`, `sha256`, `modelSha256`, `files`: [{`fileName`,
`sizeBytes`}]}). A copy that broke off goes on at another offset, on another connection, or from another machine;
whoever copies judges the whole by its hash. What ends before its last byte was stopped: an error has no place between
the bytes.

No path travels: a hash is looked up among the models that the owner lets this key copy, and everything else is the same
refusal. Answers go first: while one is computed here, a copy leaves the loop and the line to it between its chunks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO, Protocol

from qvac_core.delegation.events import Outcome
from qvac_core.delegation.failures import Code, Reason, Rejection, by_policy
from qvac_core.delegation.live_requests import Ending, Kind, LiveRequest, LiveRequests
from qvac_core.delegation.messages import (
    MOST_COPIES,
    MOST_PARTS,
    BundleEntry,
    CopyEntry,
    CopyModel,
    CopyModelReply,
    CopyPart,
    ListCopiesReply,
    encode,
)
from qvac_core.delegation.rpc_streams import OutgoingStream, StreamGone
from qvac_core.engines.interface import LibraryModel
from qvac_core.errors import ConnectionClosed, RemoteProtocolError
from qvac_core.threads import make_in_thread

# What goes out at once. A token behind it waits for no more than this, and what is queued (`RpcLimits.outbox_bytes`).
CHUNK_BYTES = 64 * 1024
# What is read from the disk at once, in a thread.
READ_BYTES = 1024 * 1024
# Open at a time: a copy costs a disk its head, and a line its width. The third of a key is refused, not queued.
COPIES_PER_KEY = 2
COPIES = 6
# While an answer is computed here: pause between two chunks, as a share of the time the chunk took to go out.
BESIDE_ANSWERS = 2.0
LONGEST_PAUSE = 0.2  # seconds


class CopiedModels(Protocol):
    """What the owner lets guests copy."""

    def copies(self, public_key: bytes) -> Sequence[LibraryModel]:
        """The models that this key may copy now; of each `copy_sha256` is known."""


class NoCopies:
    """Nothing may be copied."""

    def copies(self, public_key: bytes) -> Sequence[LibraryModel]:
        return ()


def list_copies(models: CopiedModels, public_key: bytes) -> ListCopiesReply:
    offered = models.copies(public_key)[:MOST_COPIES]
    return ListCopiesReply(
        [
            CopyEntry(model.name, model.path.name, model.model_type, model.size_bytes, model.sha256)
            for model in offered
            if not model.parts
        ],
        [_bundle(model) for model in offered if model.parts and len(model.files) <= MOST_PARTS],
    )


def _bundle(model: LibraryModel) -> BundleEntry:
    return BundleEntry(
        model.name,
        model.model_type,
        model.size_bytes,
        model.copy_sha256,
        model.sha256,
        [CopyPart(path.name, size) for path, size in model.files],
    )


def find(models: CopiedModels, public_key: bytes, sha256: str) -> LibraryModel | None:
    return next((model for model in models.copies(public_key) if model.copy_sha256 == sha256), None)


def check_room(requests: LiveRequests, public_key: bytes) -> None:
    """Raises Rejection when this key, or all together, copy as much as they may at a time."""
    running = [live for live in requests if live.kind is Kind.COPY]
    if len(running) >= COPIES or sum(live.public_key == public_key for live in running) >= COPIES_PER_KEY:
        raise by_policy(Reason.LIMIT, "This provider sends no more models at once. Try again when one has come.")


def not_to_be_copied() -> Rejection:
    """Unknown, not shared with this key, and not to be copied read alike."""
    return Rejection(Code.MODEL_NOT_FOUND, "This provider does not let your key copy this model (any more).")


class Copying:
    """One copy on its way. `allowed`: whether it still is; `beside_answers`: whether an answer is computed here."""

    def __init__(
        self,
        model: LibraryModel,
        requests: LiveRequests,
        live: LiveRequest,
        allowed: Callable[[], bool],
        stall_seconds: float,
    ) -> None:
        self._model = model
        self._requests = requests
        self._live = live
        self._allowed = allowed
        self._stall = stall_seconds
        self._sent = 0

    async def run(self, stream: OutgoingStream, message: CopyModel) -> None:
        """Send it. Raises Rejection or RemoteProtocolError before the first byte; afterwards the stream just ends."""
        task = asyncio.current_task()
        assert task is not None
        live = self._live
        outcome, error = Outcome.ERROR, ""
        try:
            file = await make_in_thread(lambda: _open(self._model.files), lambda file: file.close())
            try:
                if message.offset > self._model.size_bytes:
                    raise RemoteProtocolError("Invalid input in copyModel: the offset lies behind the end")
                head = CopyModelReply(size_bytes=self._model.size_bytes)
                await stream.write(encode(head) + b"\n")
                outcome = await self._send(stream, file, message.offset)
            finally:
                await asyncio.to_thread(file.close)
        except (StreamGone, ConnectionClosed):
            outcome = Outcome.DISCONNECTED if live.ending is Ending.DISCONNECTED else Outcome.CANCELLED
        except TimeoutError:
            stream.destroy()
            error = "The guest did not take what it asked for."
        except (Rejection, RemoteProtocolError) as problem:
            error = problem.message
            raise
        except OSError as problem:
            stream.end()
            error = f"The model's file cannot be read: {problem.strerror or problem}."
        finally:
            if live.ending is Ending.STOPPED and live.owner_stop is not None:
                outcome, error = Outcome.STOPPED, live.owner_stop.logged
            self._requests.finish(live, outcome, amount=float(self._sent), error=error)

    async def _send(self, stream: OutgoingStream, file: _Files, offset: int) -> Outcome:
        clock = asyncio.get_running_loop().time
        async with aclosing(_chunks(file, offset)) as chunks:
            async for chunk in chunks:
                if self._live.ending is not None or not self._allowed():
                    stream.end()
                    return Outcome.CANCELLED
                began = clock()
                async with asyncio.timeout(self._stall):
                    await stream.write(chunk)
                self._sent += len(chunk)
                if self._answers_run():
                    await asyncio.sleep(min(LONGEST_PAUSE, (clock() - began) * BESIDE_ANSWERS))
                else:
                    await asyncio.sleep(0)  # a fast line never blocks: others have their turn here
        stream.end()
        return Outcome.EOS

    def _answers_run(self) -> bool:
        return any(live.kind is not Kind.COPY and not live.place for live in self._requests)


async def _chunks(file: _Files, offset: int) -> AsyncGenerator[bytes, None]:
    """The next part is read while this one goes out."""
    reading = asyncio.ensure_future(asyncio.to_thread(_read, file, offset))
    try:
        while part := await reading:
            offset += len(part)
            reading = asyncio.ensure_future(asyncio.to_thread(_read, file, offset))
            for start in range(0, len(part), CHUNK_BYTES):
                yield part[start : start + CHUNK_BYTES]
    finally:
        await asyncio.wait({reading})  # before the file is closed


def _read(file: _Files, offset: int) -> bytes:
    return file.read(offset, READ_BYTES)


class _Files:
    """The files of a model as if they were one. Blocking."""

    def __init__(self) -> None:
        self._files: list[tuple[int, BinaryIO]] = []  # where each ends, and it
        self._end = 0

    def add(self, file: BinaryIO, size: int) -> None:
        self._end += size
        self._files.append((self._end, file))

    def read(self, offset: int, size: int) -> bytes:
        """Up to the end of the file that the offset lies in; b"" behind the last one."""
        begin = 0
        for end, file in self._files:
            if offset < end:
                file.seek(offset - begin)
                return file.read(min(size, end - offset))
            begin = end
        return b""

    def close(self) -> None:
        for _, file in self._files:
            file.close()


def _open(paths: Sequence[tuple[Path, int]]) -> _Files:
    """Raises Rejection for a file that is another one now."""
    files = _Files()
    try:
        for path, size in paths:
            file = path.open("rb")
            files.add(file, size)
            if file.seek(0, 2) != size:
                raise not_to_be_copied()
    except OSError as error:
        files.close()
        raise not_to_be_copied() from error
    except Rejection:
        files.close()
        raise
    return files
