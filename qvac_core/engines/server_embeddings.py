"""Embeddings by llama.cpp's own server, called in this process. xllamacpp 2026.10.11549. Worker process only."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import numpy
import xllamacpp

from qvac_core.engines.available import EngineKind, describe
from qvac_core.engines.devices import cpu_threads, list_devices, load_on
from qvac_core.engines.embedding_model import BATCH_TEXTS, Pooling, embedding_context, pooling_of, require_embedding
from qvac_core.engines.embedding_queue import Vectors
from qvac_core.engines.interface import ModelConfig, ModelInfo
from qvac_core.engines.load_error import load_error
from qvac_core.engines.memory import cache_bytes, check_memory
from qvac_core.engines.model_files import read_model
from qvac_core.engines.server import native_errors
from qvac_core.engines.server_vocabulary import ServerClient
from qvac_core.errors import ModelError

_POOLING = {
    Pooling.MEAN: xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN,
    Pooling.CLS: xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_CLS,
    Pooling.LAST: xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST,
}


class ServerEmbedder:
    """A `LoadedEmbedder`."""

    batch_texts = BATCH_TEXTS

    def __init__(self, path: Path, config: ModelConfig) -> None:
        """Raises ModelError with a sentence that helps."""
        files = read_model(path)
        self._gguf = files.gguf
        require_embedding(self._gguf)
        self.n_ctx = embedding_context(self._gguf, config.n_ctx)
        self.batch_tokens = self.n_ctx
        self._key = secrets.token_hex(16)
        self._server, self.device = load_on(
            config,
            has_gpu=any(device.kind == "gpu" for device in list_devices(EngineKind.SERVER)),
            load=lambda gpu_layers: self._load(path, config, gpu_layers),
            check_memory=lambda: check_memory(files.size_bytes, self._gguf, self.batch_tokens),
        )
        self._client = ServerClient(self._server.listening_address, self._key)
        meta = self._client.get("/v1/models")["data"][0]["meta"]
        self.info = ModelInfo(
            name=self._gguf.name or path.name,
            sha256="",
            n_ctx=self.n_ctx,
            n_ctx_train=int(meta["n_ctx_train"]),
            slots=1,
            parameters=int(meta["n_params"]),
            size_bytes=files.size_bytes,
            memory_bytes=int(meta["size"]) + cache_bytes(self._gguf, self.batch_tokens),
            backend_device=self.device,
            chat_template=False,
            engine=describe(EngineKind.SERVER),
        )

    def _load(self, path: Path, config: ModelConfig, gpu_layers: int) -> Any:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.embedding = True
        params.pooling_type = _POOLING[pooling_of(self._gguf, config.pooling)]
        params.n_parallel = BATCH_TEXTS
        params.kv_unified = True
        params.n_ctx = params.n_batch = params.n_ubatch = self.batch_tokens
        params.n_gpu_layers = gpu_layers
        params.fit_params = gpu_layers < 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config.threads or cpu_threads()
        params.warmup = False
        params.cache_ram_mib = 0
        params.api_keys = [self._key]
        params.ui = params.endpoint_slots = False
        params.port = 0
        params.verbosity = 1
        with native_errors() as log:
            try:
                return xllamacpp.Server(params)
            except RuntimeError as error:
                raise load_error(self._gguf, log()) from error

    def tokenize(self, text: str) -> list[int]:
        found = self._client.post("/tokenize", content=text, add_special=True, parse_special=False)
        return [int(token) for token in found["tokens"]]

    def embed(self, texts: list[list[int]]) -> Vectors:
        # By tokens: given text, the server takes for control tokens whatever looks like one.
        reply = self._server.handle_embeddings({"input": texts, "embd_normalize": -1})
        if "data" not in reply:
            raise ModelError("The model could not read these texts.", name="EMBED_FAILED", code=52401)
        rows = sorted(reply["data"], key=lambda row: int(row["index"]))
        return numpy.array([row["embedding"] for row in rows], numpy.float32)
