"""libsodium's secretstream without the copies of PyNaCl's wrapper.

crypto_secretstream_xchacha20poly1305, as in sodium-secretstream 1.2.0.

PyNaCl's own wrapper draws the header itself (ours comes from outside, so that a run can be repeated), takes `bytes`
only and costs a microsecond or two per call in checks and an extra copy. This is the hot path of every byte that
crosses the network, so the two calls go to the C functions that PyNaCl carries.
"""

from __future__ import annotations

from typing import Any, Final

from nacl import _sodium

KEY_BYTES: Final = 32
HEADER_BYTES: Final = 24
# One encrypted tag byte before the message and a 16-byte authenticator after it.
OVERHEAD_BYTES: Final = 17

# The C names, looked up once. cffi gives them no types.
_ffi: Final[Any] = _sodium.ffi
_lib: Final[Any] = _sodium.lib
_push: Final[Any] = _lib.crypto_secretstream_xchacha20poly1305_push
_pull: Final[Any] = _lib.crypto_secretstream_xchacha20poly1305_pull
_init: Final[Any] = _lib.crypto_secretstream_xchacha20poly1305_init_pull
_STATE_BYTES: Final[int] = _lib.crypto_secretstream_xchacha20poly1305_statebytes()
_TAG_MESSAGE: Final[int] = _lib.crypto_secretstream_xchacha20poly1305_tag_message()
_NULL: Final[Any] = _ffi.NULL

LENGTH_BYTES: Final = 3
# Work areas up to this size are kept between calls; a rare larger message gets one of its own.
_KEPT_BYTES: Final = 1 << 17


class _State:
    """One direction. The caller has checked that `key` has 32 bytes and `header` 24: C reads that many."""

    __slots__ = ("_area", "_area_bytes", "_state", "_view")

    def __init__(self, key: bytes, header: bytes) -> None:
        self._state = _ffi.new("unsigned char[]", _STATE_BYTES)
        # For one key and header, the sending and the receiving state start out equal in libsodium.
        _init(self._state, header, key)
        self._reserve(2048)

    def wipe(self) -> None:
        """Forget the keys."""
        _ffi.memmove(self._state, bytes(_STATE_BYTES), _STATE_BYTES)
        _ffi.memmove(self._area, bytes(self._area_bytes), self._area_bytes)

    def _reserve(self, size: int) -> None:
        self._area = _ffi.new("unsigned char[]", size)
        self._view = _ffi.buffer(self._area)
        self._area_bytes = size

    def _room(self, size: int) -> tuple[Any, Any]:
        """A larger work area: the kept one, grown, or one for this call only."""
        if size <= _KEPT_BYTES:
            self._reserve(min(size * 2, _KEPT_BYTES))
            return self._area, self._view
        area = _ffi.new("unsigned char[]", size)
        return area, _ffi.buffer(area)


class Push(_State):
    """The sending half."""

    __slots__ = ()

    def frame(self, message: bytes) -> bytes:
        """`message` encrypted, behind its uint24 length. The caller has checked that the length fits."""
        size = len(message)
        frame_bytes = size + OVERHEAD_BYTES
        total = frame_bytes + LENGTH_BYTES
        area, view = self._area, self._view
        if total > self._area_bytes:
            area, view = self._room(total)
        view[0:LENGTH_BYTES] = frame_bytes.to_bytes(LENGTH_BYTES, "little")
        _push(self._state, area + LENGTH_BYTES, _NULL, message, size, _NULL, 0, _TAG_MESSAGE)
        return view[:total]  # type: ignore[no-any-return]


class Pull(_State):
    """The receiving half."""

    __slots__ = ()

    def open(self, source: Any, offset: int, size: int) -> bytes | None:
        """The message in `size` ≥ 17 bytes at `offset` of a `pinned` buffer; None if it is not authentic."""
        plain_bytes = size - OVERHEAD_BYTES
        area, view = self._area, self._view
        if plain_bytes > self._area_bytes:
            area, view = self._room(plain_bytes)
        if _pull(self._state, area, _NULL, _NULL, source + offset, size, _NULL, 0) != 0:
            return None
        return view[:plain_bytes]  # type: ignore[no-any-return]

    def open_frame(self, frame: bytes) -> bytes | None:
        """As `open`, for `bytes` that are one whole frame: C takes them without being pinned."""
        plain_bytes = len(frame) - OVERHEAD_BYTES
        area, view = self._area, self._view
        if plain_bytes > self._area_bytes:
            area, view = self._room(plain_bytes)
        if _pull(self._state, area, _NULL, _NULL, frame, len(frame), _NULL, 0) != 0:
            return None
        return view[:plain_bytes]  # type: ignore[no-any-return]


def pinned(data: bytes | bytearray | memoryview) -> Any:
    """A context manager that holds `data` in place and gives its C pointer, without copying."""
    return _ffi.from_buffer(data)
