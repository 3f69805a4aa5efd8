"""The models of servers as models of this machine: what each is called here, and where it is. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from qvac_core.engines.interface import AtServer, LibraryModel
from qvac_core.engines.model_kind import CHAT_TYPE, EMBEDDING_TYPE
from qvac_core.engines.openai_models import CONTINUES, Served, ServerKind
from qvac_core.errors import LocalProtocolError
from qvac_core.store.records import KeptModel, ModelServer

PLACES = "at-server"  # what stands for a folder in the path of such a model
NAME_LIMIT = 64  # characters of a server's name
BETWEEN = "@"  # a model's name and its server's


def checked_name(text: str) -> str:
    """Raises LocalProtocolError."""
    name = " ".join(text.split())
    if not name:
        raise LocalProtocolError("Give the server a name: its models are told apart by it.")
    if len(name) > NAME_LIMIT or not name.isprintable() or BETWEEN in name or "/" in name:
        raise LocalProtocolError(
            f"A server's name has at most {NAME_LIMIT} characters, and neither {BETWEEN} nor / among them."
        )
    return name


def kind_of(server: ModelServer) -> ServerKind:
    return ServerKind(server.kind) if server.kind in tuple(ServerKind) else ServerKind.OTHER


def parallel_of(server: ModelServer) -> int:
    return max(1, server.requests or server.parallel)


def seen(record: ModelServer, served: Served) -> ModelServer:
    """With what was seen of it now."""
    models = tuple(KeptModel(model.name, model.embeds, model.n_ctx, model.vision) for model in served.models)
    return replace(record, kind=served.kind.value, parallel=served.parallel, models=models)


def models_of(server: ModelServer, away: str = "") -> tuple[LibraryModel, ...]:
    titles = titles_of(model.name for model in server.models)
    return tuple(_model(server, model, title, away) for model, title in zip(server.models, titles, strict=True))


def _model(server: ModelServer, model: KeptModel, title: str, away: str) -> LibraryModel:
    # Not of the weights, which nobody here sees: of which model at which server it is.
    identity = hashlib.sha256(f"model at a server\n{server.id}\n{model.name}".encode()).hexdigest()
    kind = kind_of(server)
    return LibraryModel(
        name=f"{title}{BETWEEN}{server.name}",
        path=Path(PLACES) / identity,
        size_bytes=0,
        sha256=identity,
        model_type=EMBEDDING_TYPE if model.embeds else CHAT_TYPE,
        quantization="",
        parameters="",
        sources=(),
        at=AtServer(
            server=server.name,
            model=model.name,
            n_ctx=model.n_ctx,
            parallel=parallel_of(server),
            vision=model.vision,
            continues=kind in CONTINUES,
            away=away,
        ),
    )


def titles_of(names: Iterable[str]) -> list[str]:
    """The last part of each, without a file's ending; where two would be alike, all of it."""
    whole = list(names)
    short = [name.replace("\\", "/").rpartition("/")[2].removesuffix(".gguf") or name for name in whole]
    folded = [name.casefold() for name in short]
    return [one if folded.count(one.casefold()) == 1 else name for one, name in zip(short, whole, strict=True)]


def find(models: Sequence[LibraryModel], wanted: str) -> LibraryModel | None:
    """By its name here or its checksum; else by its name there, where only one has it."""
    text = wanted.strip()
    folded = text.casefold()
    exact = [model for model in models if model.name.casefold() == folded or model.sha256 == text.lower()]
    if exact:
        return exact[0]
    bare = [
        model
        for model in models
        if model.at is not None and folded in (model.at.model.casefold(), model.name.rpartition(BETWEEN)[0].casefold())
    ]
    return bare[0] if len(bare) == 1 else None
