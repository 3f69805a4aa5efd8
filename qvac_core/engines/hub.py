"""Hugging Face's catalog: what a search finds, and what one repository holds, with sizes and checksums.

The hub's HTTP API as huggingface_hub 2.4's HfApi asks it (`list_models`, `model_info(files_metadata=True)`), by our own
client: that one knows the proxies and certificates of this machine as downloads do, and can be cancelled. The answers
are a stranger's, and bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec

from qvac_core.engines.download import authorization, endpoint
from qvac_core.engines.model_files import part_names, part_prefix
from qvac_core.errors import ModelError
from qvac_core.lazy import Lazy
from qvac_core.models import HuggingFaceSource, quantization_in

if TYPE_CHECKING:
    import httpx

    from qvac_core.engines import http_client
else:
    httpx = Lazy("httpx")
    http_client = Lazy("qvac_core.engines.http_client")

RESULTS = 20  # repositories of one search
AT_ONCE = 6  # of them asked beside each other
ANSWER_LIMIT = 8 << 20  # bytes; the repository with the most files has a tenth of it
_T = TypeVar("_T")
_ANYTHING = HuggingFaceSource("", "", "", "")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A model in one quantization. files: in their order, where it comes in several; the first names it.

    size_bytes: of all of them. sha256: of one that is a single file, else "".
    """

    files: tuple[str, ...]
    quantization: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class HubRepository:
    """revision: the commit that its files are of. parameters: how many, 0 = not said. template: its chat template.

    projector: the vision part for all of its versions, None where it has none.
    """

    id: str
    revision: str
    files: tuple[HubFile, ...]
    licence: str = ""
    architecture: str = ""
    context_length: int = 0
    parameters: int = 0
    template: str = ""
    task: str = ""
    gated: bool = False
    projector: HubFile | None = None

    @property
    def owner(self) -> str:
        return self.id.partition("/")[0]

    @property
    def name(self) -> str:
        return self.id.partition("/")[2]

    @property
    def page(self) -> str:
        return f"{endpoint()}/{self.id}"

    def source(self, file: str) -> HuggingFaceSource:
        return HuggingFaceSource(self.owner, self.name, self.revision, file)


class _Lfs(msgspec.Struct):
    sha256: str = ""
    size: int = 0


class _File(msgspec.Struct):
    rfilename: str
    size: int | None = None
    lfs: _Lfs | None = None


class _Gguf(msgspec.Struct):
    total: int = 0
    architecture: str = ""
    context_length: int = 0
    chat_template: str = ""


class _Model(msgspec.Struct):
    id: str
    sha: str = ""
    siblings: list[_File] = []
    tags: list[str] = []
    pipeline_tag: str | None = None
    gated: Any = False
    gguf: Any = None
    cardData: Any = None


class _Listed(msgspec.Struct):
    id: str


async def search_hub(text: str) -> list[HubRepository]:
    """The most downloaded repositories with GGUF files for these words. Raises ModelError HTTP_ERROR (53003)."""
    async with await _client() as client:
        parameters = {"search": text, "filter": "gguf", "sort": "downloads", "direction": "-1", "limit": str(RESULTS)}
        found = await _ask(client, "/api/models", parameters, list[_Listed])
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(id: str) -> HubRepository | None:
            async with gate:
                try:
                    return await _repository(client, id, "")
                except ModelError as error:
                    if error.name == "MODEL_NOT_FOUND":  # it went away since
                        return None
                    raise

        asked = await asyncio.gather(*(one(model.id) for model in found[:RESULTS]))
    return [repository for repository in asked if repository is not None and repository.files]


async def look_up_repository(id: str, revision: str = "") -> HubRepository:
    """OWNER/NAME, at a revision ("" = the newest). Raises ModelError MODEL_NOT_FOUND (52002), HTTP_ERROR (53003)."""
    async with await _client() as client:
        return await _repository(client, id, revision)


async def _repository(client: httpx.AsyncClient, id: str, revision: str) -> HubRepository:
    path = f"/api/models/{quote(id)}" + (f"/revision/{quote(revision, safe='')}" if revision else "")
    model = await _ask(client, path, {"blobs": "true"}, _Model)
    gguf = _as(model.gguf, _Gguf)
    return HubRepository(
        id=model.id,
        revision=model.sha or revision or "main",
        files=tuple(_versions(model.siblings)),
        licence=_licence(model),
        architecture=gguf.architecture,
        context_length=gguf.context_length,
        parameters=gguf.total,
        template=gguf.chat_template,
        task=model.pipeline_tag or "",
        gated=bool(model.gated),
        projector=_projector(model.siblings),
    )


def _versions(siblings: Sequence[_File]) -> list[HubFile]:
    by_name = {file.rfilename: file for file in siblings}
    found = []
    for file in siblings:
        name = file.rfilename.rpartition("/")[2]
        lower = name.lower()
        whisper = lower.startswith("ggml-") and lower.endswith(".bin")
        if not (lower.endswith(".gguf") or whisper) or "mmproj" in lower or "imatrix" in lower:
            continue
        names = part_names(name)
        if len(names) > 1 and name != names[0]:
            continue
        folder = file.rfilename[: -len(name)]
        parts = [by_name.get(folder + part) for part in names] if len(names) > 1 else [file]
        whole = [part for part in parts if part is not None]
        if len(whole) < len(parts):  # somebody is uploading it
            continue
        sizes = [part.size or (part.lfs.size if part.lfs is not None else 0) for part in whole]
        found.append(
            HubFile(
                files=tuple(part.rfilename for part in whole),
                quantization=quantization_in(name) or quantization_in(folder.strip("/")),
                size_bytes=sum(sizes) if all(sizes) else 0,
                sha256=file.lfs.sha256 if file.lfs is not None and len(whole) == 1 else "",
            )
        )
    return sorted(found, key=lambda version: (version.size_bytes, part_prefix(version.files[0])))


def _projector(siblings: Sequence[_File]) -> HubFile | None:
    """The smallest vision part: they differ in nothing but how exactly their numbers are kept."""
    found = [
        HubFile((file.rfilename,), quantization_in(file.rfilename), file.size, file.lfs.sha256 if file.lfs else "")
        for file in siblings
        if "mmproj" in file.rfilename.lower() and file.rfilename.lower().endswith(".gguf") and file.size
    ]
    return min(found, key=lambda file: file.size_bytes, default=None)


def _licence(model: _Model) -> str:
    card = model.cardData if isinstance(model.cardData, dict) else {}
    stated = card.get("license_name") if card.get("license") == "other" else card.get("license")
    if isinstance(stated, str):
        return stated
    return next((tag.removeprefix("license:") for tag in model.tags if tag.startswith("license:")), "")


def _as(value: Any, kind: type[_Gguf]) -> _Gguf:
    try:
        return msgspec.convert(value, kind) if isinstance(value, dict) else kind()
    except msgspec.ValidationError:
        return kind()


async def _client() -> httpx.AsyncClient:
    return await asyncio.to_thread(lambda: http_client.open_client())


async def _ask(client: httpx.AsyncClient, path: str, parameters: dict[str, str], kind: type[_T]) -> _T:
    data = bytearray()
    try:
        headers = await authorization(_ANYTHING)
        async with client.stream("GET", endpoint().rstrip("/") + path, params=parameters, headers=headers) as response:
            if response.status_code in (401, 404):
                raise ModelError("Hugging Face has no such model (any more).", name="MODEL_NOT_FOUND", code=52002)
            if response.status_code != 200:
                raise _unavailable(f"Hugging Face does not answer now (HTTP {response.status_code}). Try again later.")
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > ANSWER_LIMIT:
                    raise _unavailable("Hugging Face sends a list that is too long. Search for other words.")
        return msgspec.json.decode(bytes(data), type=kind)
    except http_client.ProxyFailed as error:
        raise _unavailable(str(error)) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if http_client.distrusts(error):
            raise _unavailable(
                "Hugging Face shows a certificate that this machine does not trust. If a proxy or a virus scanner "
                "reads along, let SSL_CERT_FILE name the file with its certificate; else check the date and the "
                "network."
            ) from error
        raise _unavailable("Hugging Face could not be reached. Check the internet connection and try again.") from error
    except msgspec.MsgspecError as error:
        raise _unavailable("Hugging Face answers in a form that is not understood. Try again later.") from error


def _unavailable(sentence: str) -> ModelError:
    return ModelError(sentence, name="HTTP_ERROR", code=53003)
