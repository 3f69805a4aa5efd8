"""llama.cpp's own server, called in this process, behind the same requests as our scheduler.

xllamacpp 2026.10.11549. Worker process only. Prompts are ours, as tokens (`prompt.py` says why: the server takes what
looks like a control token for one, whoever wrote it), and each slot belongs to one owner at a time: by itself the
server reuses whatever prompt is similar, and the time to a first token would tell one owner what another asked.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xllamacpp

from qvac_core.engines.answer_maker import Arrived, Order, Output
from qvac_core.engines.available import EngineKind, describe
from qvac_core.engines.chat_template import CHATML, ChatTemplate
from qvac_core.engines.devices import cpu_threads, list_devices, load_on
from qvac_core.engines.gguf import GgufInfo
from qvac_core.engines.guided_sampling import TextGuide
from qvac_core.engines.interface import ModelConfig, ModelInfo
from qvac_core.engines.load_error import load_error
from qvac_core.engines.memory import cache_bytes, check_memory, context_tokens, has_plain_cache, sliding_layers
from qvac_core.engines.model_files import read_model
from qvac_core.engines.model_kind import kind_of, require_chat
from qvac_core.engines.sampling import decide, sampling_of_file
from qvac_core.engines.server_answers import Chunk, ServerAnswers, ServerJob
from qvac_core.engines.server_pictures import PictureServer, batch_tokens, check_projector, picture_tokens
from qvac_core.engines.server_vocabulary import ServerClient, ServerVocabulary
from qvac_core.engines.vocabulary import Vocabulary
from qvac_core.errors import RequestRefused

N_BATCH = 256  # tokens of a prompt between two looks at other chats, and between two chances to cancel
SAME_TOKENS, DRAFTED_TOKENS = 6, 8  # of a chat, before a draft and in it: 1.25 and 1.29 times as fast in an edited text
# llama.cpp's llguidance is older and knows no bound on white space, with which a small model would fill its context.
_SEPARATORS = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


@contextmanager
def native_errors() -> Iterator[Callable[[], str]]:
    """What native code writes to stderr meanwhile, which stderr gets afterwards. Calling the result reads it."""
    with tempfile.TemporaryFile() as file:
        stderr = os.dup(2)
        os.dup2(file.fileno(), 2)

        def read() -> str:
            file.seek(0)
            return file.read().decode("utf-8", "replace")

        try:
            yield read
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            sys.stderr.write(read())


def _native_grammar(order: Order) -> str:
    """llguidance's grammar in the form in which llama.cpp hands it to its own llguidance."""
    if not order.grammar:
        return ""
    if order.so_far:  # the server starts a grammar with the first token it makes, and cannot be told otherwise
        raise RequestRefused("An answer with a response schema cannot be continued by this engine: ask for it anew.")
    (part,) = json.loads(order.grammar)["grammars"]
    schema = part["json_schema"]
    options = {key: value for key, value in schema["x-guidance"].items() if key != "whitespace_pattern"}
    schema["x-guidance"] = options | _SEPARATORS
    # Without forcing: llama.cpp cuts the only text that can follow into tokens as if each control token in it were one.
    return f'%llguidance {{"no_forcing": true}}\nstart: %json {json.dumps(schema)}'


def _size(path: str) -> int:
    return Path(path).stat().st_size if path else 0


def _takes_back(gguf: GgufInfo) -> bool:
    """Whether the last tokens of a chat can be taken back."""
    return has_plain_cache(gguf) and not any(sliding_layers(gguf))


def _foresee(params: Any) -> None:
    """Drafts from the n-grams of the slot's own chat. Its other kinds learn from all slots: from other owners.

    It does not look whether they pay. So only what repeats this many tokens is drafted: that is nearly always right.
    """
    params.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
    params.speculative.ngram_simple.size_n = SAME_TOKENS
    params.speculative.ngram_simple.size_m = DRAFTED_TOKENS


class ServerMaker:
    """An `AnswerMaker`: one loaded model, with one slot of the server for each of `config.slots` chats."""

    steps = False  # the server has threads of its own

    def __init__(
        self,
        path: Path,
        config: ModelConfig,
        output: Output,
        *,
        on_progress: Callable[[float], None],
        deliver: Callable[[Arrived], None],
    ) -> None:
        """Raises ModelError with a sentence that helps."""
        files = read_model(path)
        self._gguf, self._size = files.gguf, files.size_bytes
        require_chat(kind_of(self._gguf))
        self.n_ctx = context_tokens(self._gguf, config.n_ctx)
        self._cells = self.n_ctx * config.slots
        self._projector = check_projector(Path(config.projector), self._gguf) if config.projector else None
        on_progress(0.0)
        self._key = secrets.token_hex(16)
        self._server, self.device = load_on(
            config,
            has_gpu=any(device.kind == "gpu" for device in list_devices(EngineKind.SERVER)),
            load=lambda gpu_layers: self._load(path, config, gpu_layers),
            check_memory=lambda: check_memory(
                self._size + _size(config.projector), self._gguf, self._cells, config.slots
            ),
        )
        client = ServerClient(self._server.listening_address, self._key)
        self._pictures, self.media_marker = self._vision(client)
        self._meta = client.get("/v1/models")["data"][0]["meta"]
        source = ServerVocabulary(path, self._gguf, client)
        self.vocabulary = vocabulary = Vocabulary(source, self._gguf.chat_template + CHATML)
        self.template = ChatTemplate.of_model(self._gguf.chat_template, vocabulary)
        self.sampling = sampling_of_file(self._gguf.metadata)
        self._marks = vocabulary.marks
        self._answers = ServerAnswers(
            self, output, deliver, slots=config.slots, n_ctx=self.n_ctx, clock=time.perf_counter
        )
        self.info = self._info(path, config.slots)
        on_progress(1.0)

    @property
    def busy(self) -> bool:
        return self._answers.busy

    def submit(self, order: Order) -> None:
        self._answers.submit(
            ServerJob(
                id=order.id,
                prompt=order.prompt,
                sampling=decide(order.sampling),
                grammar=_native_grammar(order),
                guide=TextGuide(order.grammar) if order.grammar else None,
                owner=order.owner,
                stop=order.stop,
                predict=order.predict,
                session_tokens=order.session_tokens,
                show_stop=order.show_stop,
                marks=self._marks,
                media=order.media,
            )
        )

    def cancel(self, job_id: int) -> bool:
        return self._answers.cancel(job_id)

    def step(self) -> None:
        raise AssertionError("nothing to step: the server runs by itself")

    def rest(self) -> None:
        """Nothing: the server makes all of its cache at the start."""

    def forget(self, owner: str) -> None:
        """What it holds of a chat ends with the process."""

    def end(self) -> None:
        pass

    def take(self, arrived: Arrived) -> None:
        self._answers.take(arrived)

    def _load(self, path: Path, config: ModelConfig, gpu_layers: int) -> Any:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = self._cells
        params.n_parallel = config.slots
        params.n_batch = params.n_ubatch = N_BATCH
        if self._projector is not None:
            params.mmproj.path = config.projector
            params.mmproj_use_gpu = gpu_layers != 0
            params.image_max_tokens = picture_tokens(self.n_ctx)
            params.n_batch = params.n_ubatch = batch_tokens(self._projector, N_BATCH, self.n_ctx)
        params.n_gpu_layers = gpu_layers
        # -1: llama.cpp's own fit chooses how many layers the device takes, from the memory that is free there.
        params.fit_params = gpu_layers < 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config.threads or cpu_threads()
        if config.speculation and self._projector is None and _takes_back(self._gguf):
            _foresee(params)
        params.warmup = False
        # Prompts are rendered here. The model's own template would be read there as well, and one that uses more of
        # Jinja than llama.cpp knows would keep the model from being loaded.
        params.chat_template = CHATML
        params.cache_ram_mib = 0  # its cache of earlier prompts knows no owners
        params.slot_prompt_similarity = 0.0
        params.api_keys = [self._key]
        params.ui = params.endpoint_slots = False
        params.port = 0
        params.verbosity = 1  # errors, which say why it was not loaded
        with native_errors() as log:
            try:
                return xllamacpp.Server(params)
            except RuntimeError as error:
                raise load_error(self._gguf, log()) from error

    def generate(self, body: Mapping[str, Any], on_chunk: Callable[[Chunk], bool]) -> None:
        """Blocks until the answer is made, or until `on_chunk` has answered true, which ends it."""
        if self._pictures is not None:
            self._pictures.generate(body, on_chunk)
            return
        self._server.handle_completions(dict(body), on_chunk)

    def _vision(self, client: ServerClient) -> tuple[PictureServer | None, str]:
        """How pictures are shown to the model, and what stands for one in a prompt; None where it sees none."""
        if self._projector is None:
            return None, ""
        props = client.get("/props")
        if not props["modalities"]["vision"]:
            return PictureServer(self._server.listening_address, self._key), ""  # it hears, and sees nothing
        return PictureServer(self._server.listening_address, self._key), str(props["media_marker"])

    def _info(self, path: Path, slots: int) -> ModelInfo:
        return ModelInfo(
            name=self._gguf.name or path.name,
            sha256="",
            n_ctx=self.n_ctx,
            n_ctx_train=int(self._meta["n_ctx_train"]),
            slots=slots,
            parameters=int(self._meta["n_params"]),
            size_bytes=self._size,
            memory_bytes=int(self._meta["size"]) + cache_bytes(self._gguf, self._cells, slots),
            backend_device=self.device,
            chat_template=self.template.own,
            thinking_channels=self.vocabulary.style.channels,
            engine=describe(EngineKind.SERVER),
            vision=bool(self.media_marker),
        )
