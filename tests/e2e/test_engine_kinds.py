"""Models without a next token, as real llama.cpp takes them: refused with a sentence, and no process ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qvac_core.engines import llama
from qvac_core.engines.available import EngineKind
from qvac_core.engines.interface import ChatMessage, CompletionRequest, LoadedModel, ModelConfig, SamplingParams
from qvac_core.engines.llama_engine import LlamaEngine
from qvac_core.engines.model_files import part_names
from qvac_core.engines.model_kind import ModelKind
from qvac_core.errors import ModelError
from tests import gguf_files
from tests.e2e.engine_bench import loaded, request, take

pytestmark = pytest.mark.usefixtures("engine")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gguf_files.bert_file(), "makes embeddings"),
        (gguf_files.bert_file(bert__pooling_type=4), "ranks or classifies"),
        (gguf_files.t5_file(), "as T5 does"),
        (gguf_files.gguf_file(gguf_files.llama_header()), "vocabulary without a model"),
        (gguf_files.llama_file(llama__pooling_type=3), "makes embeddings"),
        (gguf_files.llama_file(llama__attention__causal=False), "makes embeddings"),
    ],
)
async def test_what_cannot_chat_is_refused_before_it_is_loaded(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)

    engine = LlamaEngine()
    try:
        with pytest.raises(ModelError, match=words) as raised:
            await engine.load(path, ModelConfig(n_ctx=64, slots=1, device="cpu", threads=1))
        assert (raised.value.name, raised.value.code) == ("MODEL_OPERATION_NOT_SUPPORTED", 52416)
    finally:
        await engine.close()


async def test_a_model_file_says_how_it_is_sampled_where_nobody_else_does(tmp_path: Path) -> None:
    """A file that asks for temperature 0 gives every seed the same words; a request that asks for another does not."""
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_files.llama_file(general__sampling__temp=0.0, llama__context_length=256))

    async def words(model: LoadedModel, temp: float | None, seed: int) -> str:
        sampling = SamplingParams(temp=temp, seed=seed, predict=12)
        return (await take(model, CompletionRequest(str(seed), (ChatMessage("user", "a"),), sampling))).text

    async with loaded(path, n_ctx=256, slots=1) as model:
        assert len({await words(model, None, seed) for seed in range(4)}) == 1
        assert len({await words(model, 2.0, seed) for seed in range(4)}) > 1


async def test_a_model_in_parts_answers_and_says_what_is_missing(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in part_names("big-00001-of-00003.gguf")]
    for path, data in zip(paths, gguf_files.split_llama_files(3), strict=True):
        path.write_bytes(data)

    async with loaded(paths[0], n_ctx=64, slots=1) as model:
        assert (await take(model, request("a", predict=4))).end.stats.generated_tokens > 0
        assert model.info.size_bytes == sum(path.stat().st_size for path in paths)
    paths[2].unlink()
    with pytest.raises(ModelError, match="Part 3 of 3 is missing"):
        async with loaded(paths[0], n_ctx=64, slots=1):
            pass


async def test_a_tiny_model_of_the_same_making_answers(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_files.llama_file())

    async with loaded(path, n_ctx=64, slots=1) as model:
        assert (await take(model, request("a", predict=4))).end.stats.generated_tokens > 0


@pytest.mark.parametrize(
    ("data", "words"), [(gguf_files.bert_file(), "makes embeddings"), (gguf_files.t5_file(), "as T5 does")]
)
def test_where_the_header_does_not_tell_the_context_does(
    tmp_path: Path, data: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    monkeypatch.setattr(llama, "kind_of", lambda _: ModelKind.CHAT)  # an architecture that nobody has heard of
    with pytest.raises(ModelError, match=words):
        llama.LlamaBackend(path, ModelConfig(n_ctx=64, slots=1, device="cpu", threads=1), lambda _: None)


async def test_a_vocabulary_of_the_sentencepiece_kind_keeps_to_a_schema(engine: EngineKind, tmp_path: Path) -> None:
    """Tokenized alone each text gets a space before it: none may get into what only the schema says.

    llama.cpp's server loses its grammar on a vocabulary as small as this one: then it refuses, and says nothing wrong.
    """
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_files.llama_file(llama__context_length=512))
    schema = {"type": "object", "properties": {"a": {"enum": ["t 😀", "e e"]}}, "required": ["a"]}

    async with loaded(path, n_ctx=512, slots=1) as model:
        for seed in range(3):
            asked = request("a", predict=300, temp=1.0, seed=seed, response_schema=json.dumps(schema))
            try:
                answer = await take(model, asked)
            except ModelError:
                assert engine is EngineKind.SERVER
            else:
                assert json.loads(answer.text)["a"] in ("t 😀", "e e")
