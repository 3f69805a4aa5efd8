"""What an OpenAI-compatible server has: its models, and what it tells of them beyond their names.

`/v1/models` says little: which program answers is seen by `owned_by`, or by an address that only that program has, and
the rest is asked in its own way. llama.cpp's server b11549, llama-cpp-python 0.3.36, Ollama's API, LM Studio's
REST API v0, vLLM's `ModelCard`. A name alone is never trusted: one model can be served under that of another.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from qvac_core.engines.openai_address import root_of
from qvac_core.engines.openai_client import NO_API, OpenAiClient
from qvac_core.errors import DelegationError, ModelError

MODELS_LIMIT = 500  # of one server; OpenRouter lists some 400
NAME_LIMIT = 256  # characters of a model's name
PARALLEL_LIMIT = 64
DETAILS_AT_ONCE = 4

_EMBEDS = re.compile(
    r"embed|(^|[/_:-])(bge|gte|e5|minilm|nomic-bert|all-mpnet|colbert)([/_.:-]|$)|minilm", re.IGNORECASE
)
_NO_CHAT = re.compile(r"whisper|tts|rerank|dall-e|stable-diffusion|moderation|transcribe", re.IGNORECASE)


class ServerKind(StrEnum):
    """The program that answers, as far as it can be told."""

    LLAMA_CPP = "llama.cpp"
    LLAMA_CPP_PYTHON = "llama-cpp-python"
    OLLAMA = "Ollama"
    LM_STUDIO = "LM Studio"
    VLLM = "vLLM"
    OTHER = ""


# Requests at once. One for a program that is not known: llama-cpp-python cuts an answer off when another one comes.
_PARALLEL = {ServerKind.VLLM: 16, ServerKind.OLLAMA: 4, ServerKind.LM_STUDIO: 4}
# They go on with the last message where it is the assistant's. Others begin a second one, and repeat themselves.
CONTINUES = frozenset({ServerKind.LLAMA_CPP, ServerKind.OLLAMA, ServerKind.VLLM})


@dataclass(frozen=True, slots=True)
class ServedModel:
    """name: as the server calls it. n_ctx: tokens of a chat, 0 = not told."""

    name: str
    embeds: bool = False
    n_ctx: int = 0
    vision: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """parallel: requests that it takes at once, as far as is known."""

    kind: ServerKind = ServerKind.OTHER
    parallel: int = 1
    models: tuple[ServedModel, ...] = ()


async def list_models(client: OpenAiClient) -> Served:
    """Raises ModelError, Broken: what answers there is no such server, refuses the key, or does not answer."""
    listed = await client.get("models")
    rows = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(rows, list):
        raise ModelError(NO_API, name="NO_SUCH_API")
    by_name: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if isinstance(row, dict) and _usable(row.get("id")):
            by_name.setdefault(row["id"], row)  # one that is listed twice is one model
    named = list(by_name.values())[:MODELS_LIMIT]
    kind = await _kind(client, named)
    match kind:
        case ServerKind.LLAMA_CPP:
            return await _llama_cpp(client, named)
        case ServerKind.OLLAMA:
            return await _ollama(client, named)
        case ServerKind.LM_STUDIO:
            return await _lm_studio(client, named)
    models = tuple(_plain(row) for row in named if not _NO_CHAT.search(row["id"]))
    return Served(kind, _PARALLEL.get(kind, 1), models)


def _usable(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= NAME_LIMIT and name.isprintable()


def _plain(row: Mapping[str, Any]) -> ServedModel:
    name = row["id"]
    context = _count(row.get("max_model_len") or row.get("context_length") or row.get("context_window"))
    return ServedModel(name, embeds=bool(_EMBEDS.search(name)), n_ctx=context)


async def _kind(client: OpenAiClient, rows: Sequence[Mapping[str, Any]]) -> ServerKind:
    owners = {owner for row in rows if isinstance(owner := row.get("owned_by"), str)}
    if "llamacpp" in owners:
        return ServerKind.LLAMA_CPP
    if "vllm" in owners:
        return ServerKind.VLLM
    if "me" in owners:
        return ServerKind.LLAMA_CPP_PYTHON
    root = root_of(client.server.base)
    # Without the key: it is for the API alone.
    version = await _ask(client, f"{root}/api/version")
    if isinstance(version, dict) and set(version) == {"version"}:
        return ServerKind.OLLAMA
    if "organization_owner" in owners and isinstance(await _ask(client, f"{root}/api/v0/models"), dict):
        return ServerKind.LM_STUDIO
    return ServerKind.OTHER


async def _llama_cpp(client: OpenAiClient, rows: Sequence[Mapping[str, Any]]) -> Served:
    """It has one model, and n_ctx of the list is that of all slots together."""
    props = await _ask(client, f"{root_of(client.server.base)}/props", with_key=True)
    props = props if isinstance(props, dict) else {}
    settings, modalities = _object(props.get("default_generation_settings")), _object(props.get("modalities"))
    slots = max(1, min(_count(props.get("total_slots")) or 1, PARALLEL_LIMIT))
    models = []
    for row in rows:
        name = row["id"]
        embeds = len(rows) == 1 and await _makes_embeddings(client, name)
        meta = _object(row.get("meta"))
        n_ctx = _count(settings.get("n_ctx")) or _count(meta.get("n_ctx")) // slots
        models.append(ServedModel(name, embeds, n_ctx, modalities.get("vision") is True))
    return Served(ServerKind.LLAMA_CPP, slots, tuple(models))


async def _makes_embeddings(client: OpenAiClient, name: str) -> bool:
    """A server of llama.cpp does the one or the other, and says nowhere which."""
    try:
        answer = await client.post("embeddings", {"model": name, "input": "a"})
    except DelegationError:
        return False
    return isinstance(answer, dict) and bool(answer.get("data"))


async def _ollama(client: OpenAiClient, rows: Sequence[Mapping[str, Any]]) -> Served:
    """What a model can do is in its `show`. Its context is not: that is what the server was started with."""
    gate = asyncio.Semaphore(DETAILS_AT_ONCE)
    root = root_of(client.server.base)

    async def of(name: str) -> ServedModel:
        async with gate:
            try:
                shown = await client.post(f"{root}/api/show", {"model": name})
            except DelegationError:
                shown = {}
        told = _object(shown).get("capabilities")
        can = told if isinstance(told, list) else []
        embeds = "embedding" in can if can else bool(_EMBEDS.search(name))
        return ServedModel(name, embeds, 0, "vision" in can)

    models = await asyncio.gather(*(of(row["id"]) for row in rows))
    return Served(ServerKind.OLLAMA, _PARALLEL[ServerKind.OLLAMA], tuple(models))


async def _lm_studio(client: OpenAiClient, rows: Sequence[Mapping[str, Any]]) -> Served:
    listed = _object(await _ask(client, f"{root_of(client.server.base)}/api/v0/models")).get("data")
    told_of = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    known = {row["id"]: row for row in told_of if _usable(row.get("id"))}
    models = []
    for row in rows:
        name, told = row["id"], _object(known.get(row["id"]))
        context = _count(told.get("loaded_context_length"))
        kind = told.get("type")
        embeds = kind == "embeddings" if kind else bool(_EMBEDS.search(name))
        models.append(ServedModel(name, embeds, context, kind == "vlm"))
    return Served(ServerKind.LM_STUDIO, _PARALLEL[ServerKind.LM_STUDIO], tuple(models))


async def _ask(client: OpenAiClient, address: str, *, with_key: bool = False) -> Any:
    """None where it has no such address."""
    try:
        return await client.get(address, with_key=with_key)
    except DelegationError:
        return None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else 0
