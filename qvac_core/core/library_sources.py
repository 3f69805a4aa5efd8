"""Where a copy of a model can be had: its own address, and machines that let this one copy it.

`Neighbours` is filled by whoever speaks with those machines (`connect`); without that there are none, and everything
comes from its address.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from qvac_core.core.library_state import Source, SourceKind
from qvac_core.errors import ModelError
from qvac_core.models import HuggingFaceSource, by_file, by_name, is_source, parse_source


@dataclass(frozen=True, slots=True)
class Offer:
    """A model file that a machine lets this one copy. provider_key: 64 hex digits. rate: bytes per second that the
    connection to it makes, 0 = not known. file_name: as that machine calls it; made harmless where it is used.
    copy_sha256: of the bytes that are sent, "" = sha256; files: of which those are, with the bytes of each, the model
    itself first.
    """

    provider_key: str
    provider_name: str
    sha256: str
    size_bytes: int
    file_name: str
    rate: float = 0.0
    model_type: str = ""
    name: str = ""  # as that machine's library calls the model
    copy_sha256: str = ""
    files: tuple[tuple[str, int], ...] = ()


class CopyService(Protocol):
    """Who speaks with the machines that offer copies."""

    def offers(self) -> Sequence[Offer]:
        """Of the machines that are connected now."""

    def copy(self, provider_key: str, sha256: str, offset: int) -> AsyncGenerator[bytes, None]:
        """The bytes of a file from an offset on. Raises ModelError or DelegationError with a sentence."""


class Neighbours:
    """The offers of now. `connect` gives it the service that has them; whoever runs that one calls `changed`."""

    def __init__(self, on_changed: Callable[[], None]) -> None:
        self._service: CopyService | None = None
        self._on_changed = on_changed

    def connect(self, service: CopyService) -> None:
        self._service = service
        self._on_changed()

    def changed(self) -> None:
        """Offers came or went."""
        self._on_changed()

    def offers(self) -> Sequence[Offer]:
        return () if self._service is None else self._service.offers()

    def offers_of(self, sha256: str) -> list[Offer]:
        return [offer for offer in self.offers() if sha256 and offer.sha256 == sha256]

    def offer(self, provider_key: str, sha256: str, model: str) -> Offer:
        """What this machine offers of a model: by its checksum, else by the name of its file. Raises ModelError."""
        names = {model, model.rpartition("/")[2]}
        for offer in self.offers():
            same = offer.sha256 == sha256 if sha256 else offer.file_name in names
            if offer.provider_key == provider_key and same:
                return offer
        raise ModelError(
            "The machine that has this model is not connected, or does not offer it any more. "
            "Try again when it is there, or choose another source; what came is kept.",
            name="NO_SOURCE",
        )

    def name(self, provider_key: str) -> str:
        """Of the machine, for people."""
        found = (offer.provider_name for offer in self.offers() if offer.provider_key == provider_key)
        return next(found, provider_key[:8])

    def copy(self, provider_key: str, sha256: str, offset: int) -> AsyncGenerator[bytes, None]:
        if self._service is None:
            raise ModelError("No machine that has this model is connected.", name="NO_SOURCE")
        return self._service.copy(provider_key, sha256, offset)


def address_name(model: str) -> str:
    """Who sends what is fetched from a model's own address, for people."""
    descriptor = by_name(model) or (None if is_source(model) else by_file(model))
    source = parse_source(descriptor.address if descriptor is not None else model)
    if isinstance(source, HuggingFaceSource):
        return "Hugging Face"
    return urlsplit(str(source)).hostname or "" if str(source).startswith("https:") else ""


def address_source(model: str, size_bytes: int, rate: float) -> Source:
    """rate: bytes per second that was seen from addresses, 0 = none yet."""
    name = address_name(model)
    kind = SourceKind.HUGGING_FACE if name == "Hugging Face" else SourceKind.WEB
    return Source("", name, kind, size_bytes / rate if rate and size_bytes else None)


def neighbour_source(offer: Offer, seen_rate: float) -> Source:
    rate = seen_rate or offer.rate
    return Source(
        offer.provider_key, offer.provider_name, SourceKind.NEIGHBOUR, offer.size_bytes / rate if rate else None
    )
