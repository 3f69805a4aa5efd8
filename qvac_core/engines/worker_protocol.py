"""What the app and a model's worker process say to each other, and how it is framed on a pipe.

Ours alone: u32 little-endian length, then one MessagePack array of messages (all that one step produced in one write).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import IO

import msgspec

from qvac_core.engines.interface import (
    CompletionRequest,
    CompletionStats,
    Device,
    EmbeddingRequest,
    ModelConfig,
    ModelInfo,
    StopReason,
)
from qvac_core.errors import LocalProtocolError

FRAME_LIMIT = 64 * 1024 * 1024  # bytes; the longest history that fits any context is far below
_LENGTH = struct.Struct("<I")


class Load(msgspec.Struct, tag=True, frozen=True):
    """engine: the package that runs it; "" = whichever is preferred here. embeds: it is to make embeddings."""

    path: str
    config: ModelConfig
    engine: str = ""
    embeds: bool = False


class Submit(msgspec.Struct, tag=True, frozen=True):
    id: int
    request: CompletionRequest


class Embed(msgspec.Struct, tag=True, frozen=True):
    id: int
    request: EmbeddingRequest


class Cancel(msgspec.Struct, tag=True, frozen=True):
    id: int


class ListDevices(msgspec.Struct, tag=True, frozen=True):
    engine: str = ""


class Shutdown(msgspec.Struct, tag=True, frozen=True):
    pass


Command = Load | Submit | Embed | Cancel | ListDevices | Shutdown


class Loading(msgspec.Struct, tag=True, frozen=True):
    fraction: float


class Loaded(msgspec.Struct, tag=True, frozen=True):
    info: ModelInfo


class DeviceList(msgspec.Struct, tag=True, frozen=True):
    devices: tuple[Device, ...]


class Text(msgspec.Struct, tag=True, frozen=True):
    id: int
    text: str
    thinking: bool = False


class Done(msgspec.Struct, tag=True, frozen=True):
    id: int
    stop_reason: StopReason
    stats: CompletionStats


class Embedded(msgspec.Struct, tag=True, frozen=True):
    """vectors: one of `width` float32 after the other, little-endian, in the order of the texts. See `Embeddings`."""

    id: int
    vectors: bytes
    width: int
    tokens: int
    ms: float
    n_ctx: int
    backend_device: str


class Failed(msgspec.Struct, tag=True, frozen=True):
    """A request (or, with id 0, the load) failed. `message` holds no path; `detail` may, and stays on this machine."""

    id: int
    name: str
    code: int
    message: str
    detail: str = ""
    fields: dict[str, str | int | float] = {}


class Alive(msgspec.Struct, tag=True, frozen=True):
    """Sent about once a second while answers are being made, so that a hung driver is told from a slow model."""


Report = Loading | Loaded | DeviceList | Text | Done | Embedded | Failed | Alive

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(list[Command])
_reports = msgspec.msgpack.Decoder(list[Report])


def frame(messages: Sequence[Command] | Sequence[Report]) -> bytes:
    body = _encoder.encode(list(messages))
    if len(body) > FRAME_LIMIT:
        raise LocalProtocolError("A message to or from the model process is too large.")
    return _LENGTH.pack(len(body)) + body


def read_commands(pipe: IO[bytes]) -> list[Command] | None:
    """None at the end of the pipe."""
    body = _read_body(pipe)
    return None if body is None else _commands.decode(body)


def read_reports(pipe: IO[bytes]) -> list[Report] | None:
    """None at the end of the pipe. Raises LocalProtocolError or msgspec.DecodeError when the stream is damaged."""
    body = _read_body(pipe)
    return None if body is None else _reports.decode(body)


def _read_body(pipe: IO[bytes]) -> bytes | None:
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > FRAME_LIMIT:
        raise LocalProtocolError("The model process sent something that is not a message.")
    body = pipe.read(length)
    return body if len(body) == length else None
