"""Embeddings by llama-cpp-python 0.3.36 (llama.cpp 0c1e57098): a context of their own. Worker process only."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import numpy
from llama_cpp import llama_cpp as llama

from qvac_core.engines.available import EngineKind, describe
from qvac_core.engines.devices import cpu_threads, load_on
from qvac_core.engines.embedding_model import BATCH_TEXTS, Pooling, embedding_context, pooling_of, require_embedding
from qvac_core.engines.embedding_queue import Vectors
from qvac_core.engines.interface import ModelConfig, ModelInfo
from qvac_core.engines.llama import NativeBatch, NativeLog
from qvac_core.engines.load_error import load_error
from qvac_core.engines.memory import cache_bytes, check_memory, memory_error
from qvac_core.engines.model_files import read_model
from qvac_core.engines.scheduler import Batch
from qvac_core.errors import ModelError

_POOLING = {
    Pooling.MEAN: llama.LLAMA_POOLING_TYPE_MEAN,
    Pooling.CLS: llama.LLAMA_POOLING_TYPE_CLS,
    Pooling.LAST: llama.LLAMA_POOLING_TYPE_LAST,
}


class LlamaEmbedder:
    """A `LoadedEmbedder`."""

    batch_texts = BATCH_TEXTS

    def __init__(self, path: Path, config: ModelConfig) -> None:
        """Raises ModelError with a sentence that helps."""
        files = read_model(path)
        gguf = files.gguf
        require_embedding(gguf)
        self.n_ctx = embedding_context(gguf, config.n_ctx)
        self.batch_tokens = self.n_ctx  # a text is read in one piece: an encoder looks at all of it at once
        self._pooling = pooling_of(gguf, config.pooling)
        self._log = NativeLog()
        llama.llama_backend_init()
        self._gguf = gguf
        self._threads = config.threads or cpu_threads()
        (self._model, self._context), self.device = load_on(
            config,
            has_gpu=bool(llama.llama_supports_gpu_offload()),
            load=lambda gpu_layers: self._load(path, gpu_layers),
            check_memory=lambda: check_memory(files.size_bytes, gguf, self.batch_tokens),
        )
        self._memory = llama.llama_get_memory(self._context)  # NULL of an encoder
        self._vocab = llama.llama_model_get_vocab(self._model)
        self._width = int(llama.llama_model_n_embd(self._model))
        self._batch = NativeBatch(self.batch_tokens)
        self.info = ModelInfo(
            name=gguf.name or path.name,
            sha256="",
            n_ctx=self.n_ctx,
            n_ctx_train=int(llama.llama_model_n_ctx_train(self._model)),
            slots=1,
            parameters=int(llama.llama_model_n_params(self._model)),
            size_bytes=files.size_bytes,
            memory_bytes=int(llama.llama_model_size(self._model)) + self._cache_bytes(),
            backend_device=self.device,
            chat_template=False,
            engine=describe(EngineKind.SCHEDULER),
        )

    def _cache_bytes(self) -> int:
        return cache_bytes(self._gguf, self.batch_tokens) if self._memory else 0

    def _load(self, path: Path, gpu_layers: int) -> tuple[Any, Any]:
        params = llama.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        no_devices = (ctypes.c_void_p * 1)(None)
        if gpu_layers == 0:
            params.devices = ctypes.cast(no_devices, ctypes.c_void_p)
        model = llama.llama_model_load_from_file(os.fsencode(path), params)
        if model is None:
            raise load_error(self._gguf, self._log.take())
        context = llama.llama_init_from_model(model, self._context_params(gpu=gpu_layers != 0))
        if context is None:
            llama.llama_model_free(model)
            raise memory_error(self._log.take())
        return model, context

    def _context_params(self, *, gpu: bool) -> Any:
        params = llama.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self.batch_tokens
        params.n_seq_max = BATCH_TEXTS
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = self._threads
        params.embeddings = True
        params.pooling_type = _POOLING[self._pooling]
        params.offload_kqv = params.op_offload = gpu
        return params

    def tokenize(self, text: str) -> list[int]:
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        tokens = (llama.llama_token * room)()
        count = llama.llama_tokenize(self._vocab, data, len(data), tokens, room, True, False)
        if count < 0:
            raise ModelError("The model cannot read this text.", name="EMBED_FAILED", code=52401)
        return list(tokens[:count])

    def embed(self, texts: list[list[int]]) -> Vectors:
        if self._memory:
            llama.llama_memory_clear(self._memory, True)
        batch = Batch()
        for number, tokens in enumerate(texts):
            for position, token in enumerate(tokens):
                batch.add(token, position, number, True)  # pooling reads the outputs of the whole text
        if llama.llama_decode(self._context, self._batch.fill(batch)):
            raise ModelError("The model could not read these texts.", name="EMBED_FAILED", code=52401)
        vectors = numpy.empty((len(texts), self._width), numpy.float32)
        for number in range(len(texts)):
            pointer = llama.llama_get_embeddings_seq(self._context, number)
            if not pointer:
                raise ModelError("This model gives no embedding of a text.", name="EMBED_FAILED", code=52401)
            vectors[number] = numpy.ctypeslib.as_array(pointer, (self._width,))
        return vectors
