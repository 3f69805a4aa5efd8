"""Models to be had: the SDK's catalog, and whatever Hugging Face or another address has, each with its fit.

Nothing is asked of anybody before somebody searches the hub or looks at a model.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from qvac_core.core.error_text import describe
from qvac_core.core.library_facts import (
    FoundEntry,
    FoundVersion,
    RememberedFacts,
    RememberedModels,
    header_of,
)
from qvac_core.core.library_fit import Need, judge, need_by_header, need_by_size
from qvac_core.core.library_sources import Neighbours, Offer, address_source, neighbour_source
from qvac_core.core.library_state import (
    Ability,
    CatalogEntry,
    Fit,
    Kind,
    MachineMemory,
    ModelVersion,
    Query,
    SearchResult,
    Source,
    Verdict,
)
from qvac_core.engines.download import endpoint, safe_name
from qvac_core.engines.hub import HubFile, HubRepository, look_up_repository, search_hub
from qvac_core.engines.language_names import translation_title
from qvac_core.engines.library import Library
from qvac_core.engines.model_facts import thinks, uses_tools
from qvac_core.engines.model_kind import (
    CHAT_TYPE,
    EMBEDDING_TYPE,
    SPEECH_TYPE,
    TRANSLATION_TYPE,
    ModelKind,
    kind_of_architecture,
)
from qvac_core.engines.projectors import projectors_of
from qvac_core.engines.remote_header import read_remote
from qvac_core.errors import ModelError
from qvac_core.lazy import Lazy
from qvac_core.models import (
    HuggingFaceSource,
    ModelDescriptor,
    UrlSource,
    all_models,
    by_file,
    by_name,
    by_source,
    canonical_source,
    is_source,
    model_title,
    parse_source,
    quantization_in,
)
from qvac_core.models.facts import facts_of_name
from qvac_core.models.source import HUGGING_FACE

if TYPE_CHECKING:
    import httpx

    from qvac_core.engines import http_client
else:
    httpx = Lazy("httpx")
    http_client = Lazy("qvac_core.engines.http_client")

KINDS = {
    CHAT_TYPE: Kind.CHAT,
    EMBEDDING_TYPE: Kind.EMBED,
    SPEECH_TYPE: Kind.TRANSCRIBE,
    TRANSLATION_TYPE: Kind.TRANSLATE,
}
# Which quantization is offered first where several fit: as good as the whole model for most, at a third of its size.
_PREFERRED = ("Q4_K_M", "UD-Q4_K_XL", "Q4_K_XL", "MXFP4", "Q4_K", "Q4_K_S", "Q4_0", "Q4", "Q4_1", "Q5_K_M", "Q8_0")
_MOZILLA = "https://github.com/mozilla/firefox-translations-models"
_REPOSITORY = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
_NOISE = re.compile(r"[-_. ](imat|i1|gguf)$", re.IGNORECASE)
_WHISPER_FILE = re.compile(r"ggml-(?P<size>[a-z0-9-]+?)(?P<english>\.en)?(-q\d_\w+)?\.bin", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Version:
    """A version before its fit is known. extra_bytes: of the vision part that comes with it."""

    id: str
    file: str
    quantization: str
    size_bytes: int
    sha256: str = ""
    extra_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    id: str
    title: str
    publisher: str
    kind: Kind
    parameters: str
    licence: str
    abilities: tuple[Ability, ...]
    native_context: int
    page: str
    versions: tuple[_Version, ...]
    cache_bytes: int = 0
    projector: ModelDescriptor | None = None  # of a model of the hub; those of the catalog know their own


@dataclass(frozen=True, slots=True)
class _Now:
    """What all entries of one answer are shown with. here: names in the library by sha256 and by source."""

    machine: MachineMemory
    here: dict[str, str]


class Catalog:
    """Used on the core's loop."""

    def __init__(
        self,
        library: Library,
        neighbours: Neighbours,
        remembered: RememberedModels,
        memory: Callable[[], MachineMemory],
        rates: dict[str, float],
        speed_of: Callable[[int, str], float | None],
    ) -> None:
        """memory: as last asked. rates: bytes per second by source. speed_of: tokens per second of so many bytes
        and parameters."""
        self._library = library
        self._neighbours = neighbours
        self._remembered = remembered
        self._memory = memory
        self._rates = rates
        self._speed_of = speed_of
        self._entries = {entry.id: entry for entry in _of_catalog()}
        self._catalog = tuple(self._entries)
        for found in remembered.entries():
            self._entries.setdefault(found.id, _of_found(found))

    # --- Searching ------------------------------------------------------------------------------------------------

    def search(self, query: Query) -> SearchResult:
        neighbours = self._of_neighbours()
        entries = [*(self._entries[id] for id in self._catalog), *neighbours]
        return SearchResult(self._chosen(entries, query), len(entries))

    async def search_hub(self, query: Query) -> SearchResult:
        text = query.text.strip()
        if _address(text) is not None:
            entry = await self.look_up(text, query.context_tokens)
            return SearchResult((entry,), 1)
        try:
            repositories = await search_hub(text)
        except ModelError as error:
            known = self._remembered.search(text)
            if known is None:
                raise
            entries = [_of_found(entry) for entry in known.entries]
            self._entries.update({entry.id: entry for entry in entries})
            chosen = self._chosen(entries, replace(query, text=""))
            return SearchResult(chosen, len(entries), known.at, describe(error))
        found = tuple(_found(repository) for repository in repositories)
        self._remembered.put_search(text, found)
        await asyncio.to_thread(self._remembered.save)
        entries = [_of_found(entry) for entry in found]
        self._entries.update({entry.id: entry for entry in entries})
        # Which words a repository has to match is the hub's to say.
        return SearchResult(self._chosen(entries, replace(query, text="")), len(entries))

    def _chosen(self, entries: Iterable[_Entry], query: Query) -> tuple[CatalogEntry, ...]:
        matching = [
            entry
            for entry in entries
            if (query.kind is None or entry.kind is query.kind) and _matches(entry, query.text)
        ]
        now = self._now()
        shown = [self._shown(entry, query.context_tokens, now) for entry in matching]
        if query.only_fits:
            shown = [entry for entry in shown if entry.offered.fit.verdict is Verdict.FITS]
        # Translation models are small and as many as there are languages: nobody looks through them for another one.
        return tuple(
            sorted(shown, key=lambda entry: (entry.kind is Kind.TRANSLATE, entry.offered.size_bytes, entry.title))
        )

    # --- One model ------------------------------------------------------------------------------------------------

    def fit(self, version: str, context_tokens: int) -> Fit:
        entry, found = self._version(version)
        return judge(self._need(entry, found), self._memory(), context_tokens)

    def size_and_title(self, version: str) -> tuple[int, str]:
        """Bytes of all that is fetched, 0 = not known, and the title; of one that nobody told us about (0, "")."""
        try:
            entry, found = self._version(version)
        except ModelError:
            return 0, ""
        return found.size_bytes + found.extra_bytes, entry.title

    def projector_of(self, version: str) -> ModelDescriptor | None:
        """The vision part that comes with a version of the hub."""
        try:
            return self._version(version)[0].projector
        except ModelError:
            return None

    async def look_up(self, model: str, context_tokens: int) -> CatalogEntry:
        text = model.strip()
        known = self._known(text)
        if known is not None and known.id.startswith("copy://"):
            return self._shown(known, context_tokens)
        wanted = known.versions[_best_size(known)].id if known is not None else text
        if known is not None and text != known.id:
            wanted = text
        address = _address_of(wanted)
        if address is None:
            raise ModelError(
                "This is neither a model of the catalog nor an address of one. Paste the address of a model file or of "
                "its page on Hugging Face, or write OWNER/NAME.",
                name="MODEL_NOT_FOUND",
                code=52002,
            )
        if isinstance(address, UrlSource):
            entry = await self._of_address(address)
        else:
            repository = await look_up_repository(address.repo, address.revision)
            entry = known or self._of_repository(repository, address)
            await self._learn(entry, repository, address)
        self._entries[entry.id] = entry
        shown = self._shown(entry, context_tokens)
        if isinstance(address, _Repository) and (address.file or address.quantization):
            shown = _offering(shown, address)
        return replace(shown, exact=True)

    def _known(self, text: str) -> _Entry | None:
        if text in self._entries:
            return self._entries[text]
        descriptor = by_name(text) or (by_source(text) if is_source(text) else by_file(text))
        name = descriptor.name if descriptor is not None else text
        return next(
            (entry for entry in self._entries.values() if any(version.id == name for version in entry.versions)), None
        )

    def _version(self, id: str) -> tuple[_Entry, _Version]:
        for entry in (*self._entries.values(), *self._of_neighbours()):
            for version in entry.versions:
                if version.id == id:
                    return entry, version
        raise ModelError("There is no model of this name.", name="MODEL_NOT_FOUND", code=52002)

    # --- Asking their sources -------------------------------------------------------------------------------------

    def _of_repository(self, repository: HubRepository, address: _Repository) -> _Entry:
        if not repository.files:
            raise ModelError(
                "This repository holds no model that can be run here: no GGUF and no Whisper file. Look for one whose "
                "name ends in GGUF.",
                name="MODEL_NOT_FOUND",
                code=52002,
            )
        return _of_found(_found(repository))

    async def _learn(self, entry: _Entry, repository: HubRepository, address: _Repository) -> None:
        """Remember what the page says of the model, and the header of the version in question."""
        version = next(
            (version for version in entry.versions if address.file and version.file == address.file.rpartition("/")[2]),
            entry.versions[_best_size(entry)],
        )
        header = None
        file = next((file for file in repository.files if _is_of(file, version)), None)
        if file is not None and entry.kind is not Kind.TRANSCRIBE:
            try:
                async with await asyncio.to_thread(lambda: http_client.open_client()) as client:
                    gguf, _ = await read_remote(client, repository.source(file.files[0]))
                header = None if gguf is None else header_of(gguf)
            except (httpx.HTTPError, http_client.ProxyFailed):
                header = None  # then its size has to do
        for one in entry.versions:
            facts = RememberedFacts(
                at=time.time(),
                licence=repository.licence,
                native_context=repository.context_length,
                thinks=thinks(repository.template),
                tools=uses_tools(repository.template),
                header=header,  # layers and heads are those of all quantizations
            )
            self._remembered.put_facts(one.id, facts)
        await asyncio.to_thread(self._remembered.save)

    async def _of_address(self, address: UrlSource) -> _Entry:
        try:
            async with await asyncio.to_thread(lambda: http_client.open_client()) as client:
                gguf, size = await read_remote(client, address)
        except http_client.ProxyFailed as error:
            raise ModelError(str(error), name="HTTP_ERROR", code=53003) from error
        except httpx.HTTPStatusError as error:
            raise ModelError(
                f"The server has no such file (HTTP {error.response.status_code}). Check the address.",
                name="HTTP_ERROR",
                code=53003,
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ModelError(
                "The server could not be reached. Check the address and the internet connection.",
                name="HTTP_ERROR",
                code=53003,
            ) from error
        whisper = _WHISPER_FILE.fullmatch(address.file_name)
        if gguf is None and whisper is None:
            raise ModelError(
                "There is no model file at this address. Paste the address of a GGUF file, or of a Whisper file "
                "(ggml-….bin).",
                name="MODEL_NOT_FOUND",
                code=52002,
            )
        kind = Kind.TRANSCRIBE if gguf is None else _kind(gguf.architecture, "")
        version = _Version(str(address), address.file_name, _quantization(address.file_name), size)
        facts = RememberedFacts(
            at=time.time(),
            licence=gguf.licence if gguf is not None else "",
            native_context=gguf.context_length if gguf is not None else 0,
            header=header_of(gguf) if gguf is not None and kind is not Kind.TRANSCRIBE else None,
        )
        self._remembered.put_facts(version.id, facts)
        await asyncio.to_thread(self._remembered.save)
        return _Entry(
            id=str(address),
            title=_title(address.file_name),
            publisher=urlsplit(str(address)).hostname or "",
            kind=kind,
            parameters=gguf.size_label if gguf is not None else "",
            licence=facts.licence,
            abilities=(),
            native_context=facts.native_context,
            page=str(address),
            versions=(version,),
        )

    # --- What neighbours offer ------------------------------------------------------------------------------------

    def _of_neighbours(self) -> list[_Entry]:
        """Models that have no address, which only machines beside us have."""
        known = {version.sha256 for entry in self._entries.values() for version in entry.versions}
        found: dict[str, _Entry] = {}
        for offer in self._neighbours.offers():
            if offer.sha256 not in known:
                found.setdefault(offer.sha256, _of_offer(offer))
        return list(found.values())

    # --- Showing --------------------------------------------------------------------------------------------------

    def _now(self) -> _Now:
        models = self._library.models()
        by_source = {canonical_source(source): model.name for model in models for source in model.sources}
        return _Now(self._memory(), {model.sha256: model.name for model in models} | by_source)

    def _shown(self, entry: _Entry, context_tokens: int, now: _Now | None = None) -> CatalogEntry:
        now = now or self._now()
        asked = [self._remembered.facts(version.id) for version in entry.versions]
        facts = next((one for one in asked if one is not None), None)
        versions = tuple(self._shown_version(entry, version, now, context_tokens) for version in entry.versions)
        abilities = list(entry.abilities)
        if facts is not None and entry.kind is Kind.CHAT:
            abilities = [one for one in abilities if one not in (Ability.THINKS, Ability.TOOLS)]
            abilities += [Ability.THINKS] if facts.thinks else []
            abilities += [Ability.TOOLS] if facts.tools else []
        header = None if facts is None else facts.header
        return CatalogEntry(
            id=entry.id,
            title=entry.title,
            publisher=entry.publisher,
            kind=entry.kind,
            parameters=entry.parameters,
            licence=(facts.licence if facts is not None else "") or entry.licence,
            abilities=tuple(abilities),
            native_context=(facts.native_context if facts is not None else 0)
            or (header.gguf().context_length if header is not None else 0)
            or entry.native_context,
            page=entry.page,
            versions=versions,
            best=_best(versions),
            exact=facts is not None,
        )

    def _shown_version(self, entry: _Entry, version: _Version, now: _Now, context_tokens: int) -> ModelVersion:
        size = version.size_bytes + version.extra_bytes
        return ModelVersion(
            id=version.id,
            file=version.file,
            quantization=version.quantization,
            size_bytes=size,
            fit=judge(self._need(entry, version), now.machine, context_tokens),
            sources=self._sources(version, size),
            sha256=version.sha256,
            here=now.here.get(version.sha256) or now.here.get(version.id) or "",
            speed=self._speed(entry, version),
        )

    def _speed(self, entry: _Entry, version: _Version) -> float | None:
        experts = f"{entry.parameters} {entry.title.replace(' ', '-')}"
        return self._speed_of(version.size_bytes, experts) if entry.kind is Kind.CHAT else None

    def _sources(self, version: _Version, size: int) -> tuple[Source, ...]:
        offers = self._neighbours.offers_of(version.sha256)
        sources = [neighbour_source(offer, self._rates.get(offer.provider_key, 0.0)) for offer in offers]
        if not version.id.startswith("copy://"):
            sources.append(address_source(version.id, size, self._rates.get("", 0.0)))
        # One whose pace is not known is not promised to be the faster one; a neighbour is, if neither is known.
        return tuple(sorted(sources, key=lambda source: (source.seconds is None, source.seconds or 0.0)))

    def _need(self, entry: _Entry, version: _Version) -> Need:
        facts = self._remembered.facts(version.id)
        size = version.size_bytes + version.extra_bytes
        if facts is not None and facts.header is not None:
            return need_by_header(facts.header.gguf(), size)
        need = need_by_size(entry.kind, size, entry.parameters, entry.native_context)
        if entry.cache_bytes:
            return replace(need, cache=lambda tokens: entry.cache_bytes * tokens)
        return need


# --- Addresses ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Repository:
    """A repository of the hub that somebody named, perhaps with one of its files, or a quantization."""

    repo: str
    revision: str = ""
    file: str = ""
    quantization: str = ""


def _address_of(wanted: str) -> _Repository | UrlSource | None:
    descriptor = by_name(wanted) or (by_source(wanted) if is_source(wanted) else by_file(wanted))
    return _address(descriptor.address if descriptor is not None else wanted)


def _address(text: str) -> _Repository | UrlSource | None:
    """What a person may paste: an address of a file or of a page, OWNER/NAME, OWNER/NAME:QUANTIZATION."""
    if is_source(text):
        parts = urlsplit(text) if not text.startswith("registry:") else None
        hosts = {"huggingface.co", "www.huggingface.co", "hf.co", urlsplit(endpoint()).hostname}
        if parts is not None and parts.scheme in ("http", "https") and parts.hostname in hosts:
            path = unquote(parts.path).strip("/")
            try:
                source = parse_source(f"{HUGGING_FACE}/{path}")
            except ModelError:
                source = None
            if isinstance(source, HuggingFaceSource):
                return _Repository(source.repo_id, source.revision, source.file)
            segments = path.split("/")
            named = "/".join(segments[:2])
            if len(segments) >= 2 and _REPOSITORY.fullmatch(named):
                return _Repository(named, segments[3] if segments[2:3] == ["tree"] and len(segments) > 3 else "")
            return None
        source = parse_source(text)
        if isinstance(source, HuggingFaceSource):
            return _Repository(source.repo_id, source.revision, source.file)
        return source if isinstance(source, UrlSource) else None
    name, _, quantization = text.partition(":")
    if name.startswith(("hf.co/", "huggingface.co/")):
        name = name.partition("/")[2]
    return _Repository(name, quantization=quantization) if _REPOSITORY.fullmatch(name) else None


def _offering(entry: CatalogEntry, address: _Repository) -> CatalogEntry:
    """The entry with the version that was named first."""
    file = address.file.rpartition("/")[2]
    for place, version in enumerate(entry.versions):
        if (file and version.file == file) or (
            address.quantization and version.quantization.lower() == address.quantization.lower()
        ):
            return replace(entry, best=place)
    return entry


def _is_of(file: HubFile, version: _Version) -> bool:
    return any(name.rpartition("/")[2] == version.file for name in file.files)


# --- Entries --------------------------------------------------------------------------------------------------------


def _of_catalog() -> list[_Entry]:
    groups: dict[tuple[str, str, Kind], list[ModelDescriptor]] = {}
    for model in all_models():
        if model.is_projector or model.is_voice_detector or model.model_type not in KINDS:
            continue
        kind = KINDS[model.model_type]
        groups.setdefault((_title_of(model).lower(), _owner(model), kind), []).append(model)
    return [_of_group(models, kind) for (_, _, kind), models in groups.items()]


def _of_group(models: Sequence[ModelDescriptor], kind: Kind) -> _Entry:
    first = models[0]
    facts = facts_of_name(first.name)
    abilities = []
    if "TRANSLATION" in first.name or "SALAMANDRATA" in first.name:
        abilities.append(Ability.TRANSLATE)
    abilities += [Ability.THINKS] if facts.thinks else []
    abilities += [Ability.TOOLS] if facts.tools else []
    abilities += [Ability.VISION] if projectors_of(first) else []
    abilities += [Ability.ENGLISH_ONLY] if kind is Kind.TRANSCRIBE and ".en" in first.file else []
    source = parse_source(first.address)
    page = f"{HUGGING_FACE}/{source.repo_id}" if isinstance(source, HuggingFaceSource) else first.address
    page = _MOZILLA if first.packed else page
    versions = [
        _Version(
            id=model.name,
            file=model.file,
            quantization=_quantization(model.file) or (model.quantization or "").upper(),
            size_bytes=model.size_bytes,
            sha256=model.sha256,
            extra_bytes=projectors_of(model)[0].size_bytes if projectors_of(model) else 0,
        )
        for model in models
    ]
    return _Entry(
        id=f"catalog:{first.name}",
        title=_title_of(first),
        publisher=_owner(first),
        kind=kind,
        parameters=first.params or "",
        licence=first.licence or facts.licence,
        abilities=tuple(abilities),
        native_context=facts.native_context,
        page=page,
        versions=tuple(sorted(versions, key=lambda version: version.size_bytes)),
        cache_bytes=facts.cache_bytes,
    )


def _found(repository: HubRepository) -> FoundEntry:
    whisper = all(_WHISPER_FILE.fullmatch(file.files[0].rpartition("/")[2]) for file in repository.files)
    kind = Kind.TRANSCRIBE if whisper else _kind(repository.architecture, repository.task)
    name = re.sub(r"[-_.]GGUF$", "", repository.name, flags=re.IGNORECASE)
    return FoundEntry(
        id=f"hub:{repository.id}",
        title=re.sub(r"[-_]+", " ", name),
        publisher=repository.owner,
        kind=kind.value,
        parameters=_parameters(repository.parameters),
        licence=repository.licence,
        native_context=repository.context_length,
        thinks=thinks(repository.template),
        tools=uses_tools(repository.template),
        page=repository.page,
        versions=tuple(
            FoundVersion(
                id=str(repository.source(file.files[0])),
                file=file.files[0].rpartition("/")[2],
                quantization=file.quantization,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
            )
            for file in repository.files
        ),
        projector=None
        if repository.projector is None or kind is not Kind.CHAT
        else FoundVersion(
            id=str(repository.source(repository.projector.files[0])),
            file=repository.projector.files[0].rpartition("/")[2],
            quantization=repository.projector.quantization,
            size_bytes=repository.projector.size_bytes,
            sha256=repository.projector.sha256,
        ),
    )


def _of_found(found: FoundEntry) -> _Entry:
    abilities = [Ability.THINKS] if found.thinks else []
    abilities += [Ability.TOOLS] if found.tools else []
    projector = None
    if (part := found.projector) is not None:
        abilities.append(Ability.VISION)
        projector = ModelDescriptor(
            part.file, part.id, part.file, part.size_bytes, part.sha256, CHAT_TYPE, part.quantization, ""
        )
    extra = part.size_bytes if part is not None else 0
    return _Entry(
        id=found.id,
        title=found.title,
        publisher=found.publisher,
        kind=Kind(found.kind),
        parameters=found.parameters,
        licence=found.licence,
        abilities=tuple(abilities),
        native_context=found.native_context,
        page=found.page,
        versions=tuple(
            _Version(one.id, one.file, one.quantization, one.size_bytes, one.sha256, extra) for one in found.versions
        ),
        projector=projector,
    )


def _of_offer(offer: Offer) -> _Entry:
    id, file = f"copy://{offer.sha256}", safe_name(offer.file_name)
    version = _Version(id, file, _quantization(file), offer.size_bytes, offer.sha256)
    kind = KINDS.get(offer.model_type, Kind.CHAT)
    return _Entry(id, _title(file), offer.provider_name, kind, "", "", (), 0, "", (version,))


def _owner(model: ModelDescriptor) -> str:
    source = parse_source(model.address)
    return source.owner if isinstance(source, HuggingFaceSource) else "Mozilla" if model.packed else ""


def _title_of(model: ModelDescriptor) -> str:
    return translation_title(model.languages) if model.languages else _title(model.file)


def _title(file: str) -> str:
    whisper = _WHISPER_FILE.fullmatch(file)
    if whisper is not None:
        return f"Whisper {whisper['size'].replace('-', ' ')}{', English' if whisper['english'] else ''}"
    stem = _NOISE.sub("", file.removesuffix(".gguf"))
    return model_title(f"{stem}.gguf")


def _quantization(file: str) -> str:
    return quantization_in(file)


def _kind(architecture: str, task: str) -> Kind:
    if task == "automatic-speech-recognition":
        return Kind.TRANSCRIBE
    if (
        task in ("feature-extraction", "sentence-similarity")
        or kind_of_architecture(architecture) is ModelKind.EMBEDDING
    ):
        return Kind.EMBED
    return Kind.CHAT


def _parameters(count: int) -> str:
    if count <= 0:
        return ""
    return f"{count / 1e9:.1f}B".replace(".0B", "B") if count >= 1e9 else f"{count / 1e6:.0f}M"


def _matches(entry: _Entry, text: str) -> bool:
    """Whether each word begins one of what is told of the model ("8b" is not in 0.8B); or it is the SDK's name."""
    if "_" in text and any(text.strip().lower() in version.id.lower() for version in entry.versions):
        return True
    files = " ".join(f"{version.file} {version.quantization}" for version in entry.versions)
    can = " ".join(entry.abilities)
    told = f"{entry.title} {entry.publisher} {entry.kind} {entry.parameters} {can} {files} {entry.licence}".lower()
    return all(re.search(rf"(?<![a-z0-9.]){re.escape(word)}", told) for word in text.lower().split())


def _best_size(entry: _Entry) -> int:
    """Of versions whose fit nobody asks for: the preferred one, else the smallest."""
    names = [version.quantization.upper() for version in entry.versions]
    return next((names.index(name) for name in _PREFERRED if name in names), 0)


def _best(versions: Sequence[ModelVersion]) -> int:
    """The one that is here; else the preferred one of those that fit; else the largest that fits; else the smallest."""
    for place, version in enumerate(versions):
        if version.here:
            return place
    fitting = [place for place, version in enumerate(versions) if version.fit.verdict is Verdict.FITS]
    fitting = fitting or [
        place for place, version in enumerate(versions) if version.fit.verdict is Verdict.LESS_CONTEXT
    ]
    for name in _PREFERRED:
        for place in fitting:
            if versions[place].quantization.upper() == name:
                return place
    return fitting[-1] if fitting else 0
