"""A llama.cpp model and its context behind the scheduler's `Backend`.

The low-level API of llama-cpp-python 0.3.36 (llama.cpp 0c1e57098). Imported in the worker process only: a native assert
in here ends the process.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy
from llama_cpp import llama_cpp as llama

from qvac_core.engines.answer_maker import Arrived, Order, Output
from qvac_core.engines.available import EngineKind, describe
from qvac_core.engines.chat_template import CHATML, ChatTemplate
from qvac_core.engines.devices import cpu_threads, list_devices, load_on
from qvac_core.engines.gpu_layers import demand, layers_that_fit
from qvac_core.engines.guided_sampling import Guide, GuideVocabulary
from qvac_core.engines.interface import KeptChats, ModelConfig, ModelInfo, SamplingParams
from qvac_core.engines.kept_chats import Shelf, fingerprint_of
from qvac_core.engines.llama_context import LlamaContext
from qvac_core.engines.llama_vocabulary import LlamaVocabulary
from qvac_core.engines.load_error import load_error
from qvac_core.engines.memory import (
    cache_bytes,
    can_be_quantized,
    check_memory,
    context_tokens,
    memory_error,
    spare_bytes,
)
from qvac_core.engines.model_files import read_model
from qvac_core.engines.model_kind import ModelKind, cannot_chat, kind_of, require_chat
from qvac_core.engines.preamble import preamble_of
from qvac_core.engines.sampling import PENALTY_WINDOW, decide, sampling_of_file
from qvac_core.engines.scheduler import Batch, Job, Scheduler
from qvac_core.engines.speculation import LONGEST_DRAFT
from qvac_core.engines.state_cache import StateCache, budget_of
from qvac_core.engines.vocabulary import Vocabulary
from qvac_core.errors import ModelError

N_BATCH = 512  # tokens; chunks are chosen by time and rarely reach it
GGML_TYPE_Q8_0 = 8  # ggml.h
GGML_LOG_LEVEL_ERROR = 4  # ggml.h; the comment in llama-cpp-python's _logger.py has older numbers


class NativeLog:
    """The last error lines of llama.cpp: its functions answer NULL, and only the log says why."""

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._callback = llama.llama_log_callback(self._line)
        llama.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _line(self, level: int, text: bytes, _user_data: object) -> None:
        if level == GGML_LOG_LEVEL_ERROR:
            self._errors = [*self._errors[-7:], text.decode("utf-8", "replace").strip()]

    def take(self) -> str:
        text, self._errors = "\n".join(self._errors), []
        return text


class LlamaSampler:
    """One answer's sampler chain."""

    def __init__(self, chain: Any, context: LlamaContext) -> None:
        self._chain = chain
        self._context = context

    def sample(self, index: int) -> int:
        return int(llama.llama_sampler_sample(self._chain, self._context.pointer, index))

    def close(self) -> None:
        if self._chain is not None:
            llama.llama_sampler_free(self._chain)
            self._chain = None


class GuidedSampler(LlamaSampler):
    """A chain that only gets to choose among what a grammar allows."""

    def __init__(self, chain: Any, context: LlamaContext, vocabulary: LlamaVocabulary, guide: Guide) -> None:
        super().__init__(chain, context)
        self._vocabulary = vocabulary
        self._guide = guide

    def sample(self, index: int) -> int:
        """Raises ModelError when the grammar turns out to be beyond its limits."""
        pointer = llama.llama_get_logits_ith(self._context.pointer, index)
        self._guide.restrict(numpy.ctypeslib.as_array(pointer, (self._vocabulary.size,)))
        token = super().sample(index)
        if not self._vocabulary.is_end(token):
            self._guide.accept(token)
        return token


class LlamaBackend:
    """One loaded model with one context of `config.slots` sequences. Used from one thread."""

    def __init__(self, path: Path, config: ModelConfig, on_progress: Callable[[float], None]) -> None:
        """Raises ModelError with a sentence that helps."""
        files = read_model(path)
        self._gguf, self._size = files.gguf, files.size_bytes
        require_chat(kind_of(self._gguf))
        self._log = NativeLog()
        llama.llama_backend_init()
        self._config = config
        self.n_ctx = context_tokens(self._gguf, config.n_ctx)
        self.n_outputs = config.slots + 1 + LONGEST_DRAFT
        self._quantized = False
        (self._model, self._context), self.device = load_on(
            config,
            has_gpu=bool(llama.llama_supports_gpu_offload()),
            load=lambda gpu_layers: self._load(path, gpu_layers, on_progress),
            check_memory=self._choose_cache,
            fit=lambda: layers_that_fit(
                demand(self._gguf, self._size, self.n_ctx * config.slots, config.slots + 1),
                list_devices(EngineKind.SCHEDULER),
            ),
        )
        self._guide_vocabulary: GuideVocabulary | None = None
        self._tokens = LlamaVocabulary(self._model)
        self.vocabulary = vocabulary = Vocabulary(self._tokens, self._gguf.chat_template + CHATML)
        self.memory = self._context
        self.n_batch = self._context.n_batch
        self._batch = NativeBatch(self.n_batch)
        self.template = ChatTemplate.of_model(self._gguf.chat_template, vocabulary)
        self.sampling = sampling_of_file(self._gguf.metadata)

    def _choose_cache(self) -> None:
        """A quantized cache where the machine has no memory for a whole one. Raises ModelError: for neither."""
        cells, slots = self.n_ctx * self._config.slots, self._config.slots + 1
        try:
            check_memory(self._size, self._gguf, cells, slots)
        except ModelError:
            if not can_be_quantized(self._gguf):
                raise
            check_memory(self._size, self._gguf, cells, slots, quantized=True)
            self._quantized = True

    def _cache_bytes(self, cells: int) -> int:
        return cache_bytes(self._gguf, cells, self._config.slots + 1, quantized=self._quantized)

    def _load(self, path: Path, gpu_layers: int, on_progress: Callable[[float], None]) -> tuple[Any, LlamaContext]:
        def progress(fraction: float, _user_data: object) -> bool:
            on_progress(fraction)
            return True

        params = llama.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        no_devices = (ctypes.c_void_p * 1)(None)
        if gpu_layers == 0:
            params.devices = ctypes.cast(no_devices, ctypes.c_void_p)
        callback = llama.llama_progress_callback(progress)
        params.progress_callback = callback
        model = llama.llama_model_load_from_file(os.fsencode(path), params)
        if model is None:
            raise load_error(self._gguf, self._log.take())
        slots, gpu = self._config.slots + 1, gpu_layers != 0  # one for who asks here while guests have the others
        try:
            context = LlamaContext(
                model,
                lambda cells, sequences: self._context_params(cells, sequences, gpu=gpu),
                most_cells=self.n_ctx * self._config.slots,
                slots=slots,
                grows=not gpu,
                free=spare_bytes,
                size_of=self._cache_bytes,
            )
        except MemoryError:
            llama.llama_model_free(model)
            raise memory_error(self._log.take()) from None
        try:
            _check_decoder(model, context.pointer)
        except ModelError:
            context.close()
            llama.llama_model_free(model)
            raise
        return model, context

    def _context_params(self, cells: int, sequences: int, *, gpu: bool) -> Any:
        params = llama.llama_context_default_params()
        params.n_ctx = cells
        params.n_batch = params.n_ubatch = max(N_BATCH, sequences)
        params.n_seq_max = sequences
        params.n_outputs_max = self.n_outputs  # the default reserves n_batch rows of logits
        params.n_threads = params.n_threads_batch = self._config.threads or cpu_threads()
        params.kv_unified = True
        if self._quantized:
            params.type_k = params.type_v = GGML_TYPE_Q8_0
        params.swa_full = False  # layers with a sliding window keep what they see, and `sequences.py` knows it
        params.offload_kqv = params.op_offload = gpu
        return params

    # --- What the scheduler asks ------------------------------------------------------------------------------------

    def decode(self, batch: Batch) -> int:
        return int(llama.llama_decode(self._context.pointer, self._batch.fill(batch)))

    def is_end(self, token: int) -> bool:
        return self._tokens.is_end(token)

    def piece(self, token: int) -> bytes:
        return self.vocabulary.piece(token)

    # --- What a request needs before it is scheduled ------------------------------------------------------------------

    def sampler(self, sampling: SamplingParams, grammar: str = "", so_far: str = "") -> LlamaSampler:
        """A chain in llama.cpp's own order. grammar: of `response_grammar`, which the answer `so_far` has begun.

        Raises ModelError when the grammar cannot be used.
        """
        guide = Guide(self._guided(), grammar, so_far) if grammar else None
        chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        for sampler in self._samplers(sampling):
            llama.llama_sampler_chain_add(chain, sampler)
        if guide is None:
            return LlamaSampler(chain, self._context)
        return GuidedSampler(chain, self._context, self._tokens, guide)

    def _guided(self) -> GuideVocabulary:
        """Made for the first answer that needs it: 0.25 s for 50,000 tokens."""
        if self._guide_vocabulary is None:
            vocabulary = self._tokens
            self._guide_vocabulary = GuideVocabulary(
                [vocabulary.piece(token, special=True) for token in range(vocabulary.size)],
                [token for token in range(vocabulary.size) if vocabulary.is_end(token)],
                vocabulary.is_control,
                lambda text: vocabulary.tokenize(text, special=False),
            )
        return self._guide_vocabulary

    def _samplers(self, sampling: SamplingParams) -> list[Any]:
        wanted = decide(sampling)
        penalties = llama.llama_sampler_init_penalties(
            self._tokens.size,
            PENALTY_WINDOW,
            wanted.repeat_penalty,
            wanted.frequency_penalty,
            wanted.presence_penalty,
        )
        if wanted.greedy:
            return [penalties, llama.llama_sampler_init_greedy()]
        return [
            penalties,
            llama.llama_sampler_init_top_k(wanted.top_k),
            llama.llama_sampler_init_top_p(wanted.top_p, 1),
            llama.llama_sampler_init_min_p(wanted.min_p, 1),
            llama.llama_sampler_init_temp(wanted.temp),
            llama.llama_sampler_init_dist(wanted.seed),
        ]

    def shelf(self, path: Path, kept: KeptChats) -> Shelf | None:
        """None where the model's files cannot be read any more."""
        conditions = (version("llama-cpp-python"), self.device, self._quantized)
        try:
            return Shelf(kept, fingerprint_of(read_model(path).paths, *conditions))
        except OSError:
            return None

    def info(self, path: Path, slots: int) -> ModelInfo:
        weights = int(llama.llama_model_size(self._model))
        return ModelInfo(
            name=self._gguf.name or path.name,
            sha256="",
            n_ctx=self.n_ctx,
            n_ctx_train=int(llama.llama_model_n_ctx_train(self._model)),
            slots=slots,
            parameters=int(llama.llama_model_n_params(self._model)),
            size_bytes=self._size,
            memory_bytes=weights + self._cache_bytes(self.n_ctx * slots),
            backend_device=self.device,
            chat_template=self.template.own,
            thinking_channels=self.vocabulary.style.channels,
            engine=describe(EngineKind.SCHEDULER),
        )


class SchedulerMaker:
    """An `AnswerMaker`: our scheduler on a context of llama-cpp-python."""

    media_marker = ""  # pictures are the other engine's (`available.choose_for`)

    def __init__(
        self,
        path: Path,
        config: ModelConfig,
        output: Output,
        *,
        on_progress: Callable[[float], None],
        kept: KeptChats | None = None,
    ) -> None:
        """Raises ModelError with a sentence that helps."""
        self._backend = LlamaBackend(path, config, on_progress)
        self.template = self._backend.template
        self.sampling = self._backend.sampling
        self.vocabulary = self._backend.vocabulary
        self.n_ctx = self._backend.n_ctx
        self.info = self._backend.info(path, config.slots)
        self._scheduler = Scheduler(
            self._backend,
            output,
            slots=config.slots,
            n_ctx=self.n_ctx,
            clock=time.perf_counter,
            cache=StateCache(budget_of(config.host_cache_bytes)),
            preamble=preamble_of(self.template, self.vocabulary, config, self.n_ctx),
            shelf=self._backend.shelf(path, kept) if kept is not None else None,
            speculation=config.speculation,
            # What else the machine does makes long steps even longer than short ones. A GPU works on its own time.
            cost_clock=time.thread_time if self._backend.device == "cpu" else time.perf_counter,
        )

    @property
    def steps(self) -> bool:
        return self._scheduler.busy

    @property
    def busy(self) -> bool:
        return self._scheduler.busy

    def submit(self, order: Order) -> None:
        self._scheduler.submit(
            Job(
                id=order.id,
                prompt=order.prompt,
                sampler=self._backend.sampler(order.sampling, order.grammar, order.so_far),
                owner=order.owner,
                stop=order.stop,
                predict=order.predict,
                session_tokens=order.session_tokens,
                show_stop=order.show_stop,
            )
        )

    def cancel(self, job_id: int) -> bool:
        return self._scheduler.cancel(job_id)

    def step(self) -> None:
        self._scheduler.step()

    def rest(self) -> None:
        self._scheduler.rest()

    def forget(self, owner: str) -> None:
        self._scheduler.forget(owner)

    def end(self) -> None:
        self._scheduler.end()

    def take(self, arrived: Arrived) -> None:
        raise AssertionError("no other thread works for the scheduler")


class NativeBatch:
    """A llama_batch whose arrays are ours, filled by slices: element by element a full batch costs 10 ms of Python."""

    def __init__(self, size: int) -> None:
        self._tokens: Any = (llama.llama_token * size)()
        self._positions: Any = (llama.llama_pos * size)()
        self._counts = (ctypes.c_int32 * size)(*([1] * size))
        self._slots: Any = (llama.llama_seq_id * size)()
        self._outputs: Any = (ctypes.c_int8 * size)()
        pointer = ctypes.POINTER(llama.llama_seq_id)
        width = ctypes.sizeof(llama.llama_seq_id)
        start = ctypes.addressof(self._slots)
        self._slot_pointers = (pointer * size)(*(ctypes.cast(start + index * width, pointer) for index in range(size)))
        self._size = size

    def fill(self, batch: Batch) -> Any:
        count = len(batch)
        if count > self._size:
            raise AssertionError("more tokens than n_batch would end the process")
        self._tokens[:count] = batch.tokens
        self._positions[:count] = batch.positions
        self._slots[:count] = batch.slots
        self._outputs[:count] = batch.outputs
        return llama.llama_batch(
            count, self._tokens, None, self._positions, self._counts, self._slot_pointers, self._outputs
        )


def _check_decoder(model: Any, context: Any) -> None:
    """For a kind that its header did not tell: asking one of these for a next token would end the process."""
    if llama.llama_model_has_encoder(model):
        raise cannot_chat(ModelKind.ENCODER_DECODER)
    if not llama.llama_get_memory(context) or not llama.llama_model_has_decoder(model):
        raise cannot_chat(ModelKind.EMBEDDING)
