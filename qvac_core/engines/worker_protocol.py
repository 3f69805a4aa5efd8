"""What the app and a chat or embedding model's worker process say to each other."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from qvac_core.engines.interface import (
    CompletionRequest,
    CompletionStats,
    Device,
    EmbeddingRequest,
    KeptChats,
    ModelConfig,
    ModelInfo,
    StopReason,
    ToolCall,
    ToolError,
)
from qvac_core.engines.worker_pipes import Dialogue

_Info = TypeVar("_Info")


class Load(msgspec.Struct, tag=True, frozen=True):
    """engine: the package that runs it; "" = whichever is preferred here. embeds: it is to make embeddings.

    kept: where its chats outlive it, where they do.
    """

    path: str
    config: ModelConfig
    engine: str = ""
    embeds: bool = False
    kept: KeptChats | None = None


class Submit(msgspec.Struct, tag=True, frozen=True):
    id: int
    request: CompletionRequest


class Embed(msgspec.Struct, tag=True, frozen=True):
    id: int
    request: EmbeddingRequest


class Cancel(msgspec.Struct, tag=True, frozen=True):
    id: int


class Forget(msgspec.Struct, tag=True, frozen=True):
    """Keep nothing of what this owner has said so far. EVERYBODY: of all, and nothing on disk from now on."""

    owner: str


class ListDevices(msgspec.Struct, tag=True, frozen=True):
    engine: str = ""


class Shutdown(msgspec.Struct, tag=True, frozen=True):
    pass


Command = Load | Submit | Embed | Cancel | Forget | ListDevices | Shutdown


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


class Called(msgspec.Struct, tag=True, frozen=True):
    id: int
    call: ToolCall


class NotCalled(msgspec.Struct, tag=True, frozen=True):
    id: int
    error: ToolError


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
    refused: bool = False  # the fault is in the request: RequestRefused


class Alive(msgspec.Struct, tag=True, frozen=True):
    """Sent about once a second while answers are being made, so that a hung driver is told from a slow model."""


# --- Shared by the processes whose requests outlive them (`process_model`)


class Opened(msgspec.Struct, Generic[_Info], tag=True, frozen=True):
    """The model is loaded."""

    info: _Info


class Working(msgspec.Struct, tag=True, frozen=True):
    """From now on this is the request that the process works on; 0 = none. If it ends now, that one is to blame."""

    id: int


Report = Loading | Loaded | DeviceList | Text | Called | NotCalled | Done | Embedded | Failed | Alive

MODELS: Dialogue[Command, Report] = Dialogue("--worker", "qvac_core.engines.worker", list[Command], list[Report])
