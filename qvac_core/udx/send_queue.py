"""Written bytes that wait for a packet.

Ours; joins and cuts writes as `send_new_packet` of libudx `src/udx.c` does (docs/wire/hyperdht.md 5.6).
"""

from __future__ import annotations

from collections import deque


class SendQueue:
    """First in, first out; `size` is in bytes. What is written is not copied: it must not change until it has left."""

    __slots__ = ("_chunks", "_offset", "size")

    def __init__(self) -> None:
        self.size = 0
        self._chunks: deque[memoryview] = deque()
        self._offset = 0

    def append(self, data: bytes) -> None:
        self._chunks.append(memoryview(data))
        self.size += len(data)

    def take(self, payload_size: int, limit: int) -> list[bytes | memoryview]:
        """Up to `limit` payloads; all of them full except perhaps the last of the queue."""
        payloads: list[bytes | memoryview] = []
        while limit > 0 and self.size:
            head = self._chunks[0]
            offset = self._offset
            count = min((len(head) - offset) // payload_size, limit)
            if count:
                stop = offset + count * payload_size
                payloads += [head[i : i + payload_size] for i in range(offset, stop, payload_size)]
                self.size -= stop - offset
                self._offset = stop
                if stop == len(head):
                    self._chunks.popleft()
                    self._offset = 0
                limit -= count
            else:
                payloads.append(self._join(payload_size))
                limit -= 1
        return payloads

    def take_all(self) -> bytes | memoryview:
        """As one payload."""
        if len(self._chunks) == 1 and not self._offset:
            self.size = 0
            return self._chunks.popleft()
        return self._join(self.size)

    def _join(self, room: int) -> bytes:
        """One payload made of the rest of the first write and of those after it."""
        pieces = []
        while room and self._chunks:
            head = self._chunks[0]
            piece = head[self._offset : self._offset + room]
            pieces.append(piece)
            room -= len(piece)
            self.size -= len(piece)
            self._offset += len(piece)
            if self._offset == len(head):
                self._chunks.popleft()
                self._offset = 0
        return b"".join(pieces)

    def clear(self) -> None:
        self._chunks.clear()
        self._offset = 0
        self.size = 0
