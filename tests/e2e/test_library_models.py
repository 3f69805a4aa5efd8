"""The models of this machine through a real core: use, removal, what frees how much, and models of other programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from qvac_core.core.library import ENOUGH_TOKENS
from qvac_core.core.library_state import Ability, FoundChanged, Kind, LibraryChanged, Query
from qvac_core.core.state import AnswerFinished, Target
from qvac_core.engines.part_file import READ_SIZE
from qvac_core.errors import ModelError
from tests.e2e.library_core import Library, model_file, opened
from tests.unit.test_engines_found_models import SHA256, ollama, put


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a person who has programs of this kind; nothing of the real one's."""
    for name in ("OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "LLAMA_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: folder))
    return folder


def answered_tokens(library: Library) -> int:
    (stats,) = [event.message.stats for event in library.events if isinstance(event, AnswerFinished)]
    assert stats is not None
    return stats.generated_tokens


async def scanned(library: Library) -> None:
    await library.core.machine.scanned()


async def test_models_of_other_programs_are_used_where_they_lie(tmp_path: Path, home: Path) -> None:
    studio = put(home / ".lmstudio/models/me/Tiny-GGUF/Tiny-Q4_K_M.gguf", model_file(1))
    blob = ollama(home / ".ollama/models", "tiny", "latest")
    put(home / ".lmstudio/models/me/bad/bad.gguf", b"GGUF" + bytes(READ_SIZE))

    async with opened(tmp_path / "data") as library:
        await scanned(library)
        programs = {program.id: program for program in await library.room.found()}
        assert {model.title for model in programs["lm-studio"].unused} == {"Tiny", "bad"}
        assert [(model.title, model.path) for model in programs["ollama"].models] == [("tiny:latest", blob)]
        bad = next(model.path for model in programs["lm-studio"].models if model.title == "bad")
        with pytest.raises(ModelError):  # the others are taken all the same
            await library.room.use_found([studio, bad, blob])
        models = {model.path: model for model in await library.room.models()}
        assert set(models) == {studio, blob}
        assert (models[studio].ours, models[studio].program, models[studio].name) == (
            False,
            "LM Studio",
            "Tiny-Q4_K_M",
        )
        assert (models[blob].program, models[blob].name, models[blob].sha256) == ("Ollama", "tiny:latest", SHA256)
        assert models[blob].title == "tiny:latest"
        assert not list((tmp_path / "data/models").glob("*.gguf")), "nothing is copied"
        told = await library.until(FoundChanged, lambda event: any(not one.unused for one in event.programs))
        assert {one.id: len(one.unused) for one in told.programs} == {"lm-studio": 1, "ollama": 0}
        assert await library.room.free_up() == (), "their removal would free nothing"
        removal = await library.room.removal("tiny:latest")
        assert (removal.frees_bytes, removal.files) == (0, ())
        await library.room.remove("tiny:latest")
        assert blob.is_file() and [model.path for model in await library.room.models()] == [studio]
        (program,) = [one for one in await library.room.look_around() if one.id == "ollama"]
        assert [model.used for model in program.models] == [False]
    async with opened(tmp_path / "data") as library:
        assert [model.program for model in await library.room.models()] == ["LM Studio"], "before any look around"


async def test_a_file_that_its_program_removed_is_gone_here_too(tmp_path: Path, home: Path) -> None:
    path = put(home / ".lmstudio/models/me/Tiny-GGUF/Tiny-Q4_K_M.gguf", model_file(1))

    async with opened(tmp_path / "data") as library:
        await library.room.found()
        await library.room.use_found([path])
        path.unlink()
        assert await library.room.models() == ()
        assert await library.room.look_around() == ()


async def test_what_a_removal_would_do_and_does(tmp_path: Path, small_model_path: Path) -> None:
    (tmp_path / "data/models").mkdir(parents=True)
    (tmp_path / "data/models/old.gguf").write_bytes(model_file(1))
    (tmp_path / "data/models/new.gguf").write_bytes(small_model_path.read_bytes())
    (tmp_path / "data/models/broken.gguf").write_bytes(b"GGUF" + bytes(100))

    async with opened(tmp_path / "data") as library:
        await scanned(library)
        models = {model.path.name: model for model in await library.room.models()}
        new, broken = models["new.gguf"], models["broken.gguf"]
        assert (new.kind, new.parameters, new.licence) == (Kind.CHAT, "135M", "Apache-2.0")
        assert new.native_context == 2048 or new.native_context == 8192
        assert broken.kind is None and broken.problem and broken.size_bytes == 104
        await library.core.set_model_shared(new.name, True)
        conversation = await library.core.new_conversation(Target("", new.name))
        await library.core.rename_conversation(conversation.id, "About ducks")
        await library.core.set_setting("chat.answer_tokens", "24")
        await library.core.ask(conversation.id, "Say yes.")
        await library.until(AnswerFinished, lambda event: True)
        (qwen,) = (await library.room.search(Query("qwen3 8b"))).entries
        assert (qwen.offered.speed is None) == (answered_tokens(library) < ENOUGH_TOKENS)
        used = next(model for model in await library.room.models() if model.name == new.name)
        assert used.last_used is not None and used.loaded and used.shared
        await library.until(LibraryChanged, lambda event: any(model.last_used for model in event.models))
        order = [model.path.name for model in await library.room.free_up()]
        assert order[-1] == "new.gguf" and set(order) == {"old.gguf", "new.gguf", "broken.gguf"}
        removal = await library.room.removal(new.name)
        assert removal.frees_bytes == new.size_bytes and removal.files == (new.path,)
        assert removal.conversations == ("About ducks",) and removal.model.shared
        await library.room.remove(new.name)
        assert not new.path.exists() and not library.core.machine.pool.loaded()
        assert new.name not in library.core.machine.shared_names()
        await library.room.remove(broken.name)
        assert not broken.path.exists()
        assert [model.path.name for model in await library.room.models()] == ["old.gguf"]
        with pytest.raises(ModelError, match="no model"):
            await library.room.remove("nothing")
    async with opened(tmp_path / "data") as library:
        await scanned(library)
        assert [model.path.name for model in await library.room.models()] == ["old.gguf"]


async def test_a_link_and_a_second_name_free_nothing(tmp_path: Path) -> None:
    (tmp_path / "data/models").mkdir(parents=True)
    (tmp_path / "real.gguf").write_bytes(model_file(1))
    (tmp_path / "other.gguf").write_bytes(model_file(2))
    (tmp_path / "data/models/link.gguf").symlink_to(tmp_path / "real.gguf")
    (tmp_path / "data/models/twin.gguf").hardlink_to(tmp_path / "other.gguf")

    async with opened(tmp_path / "data") as library:
        await scanned(library)
        for name in ("link", "twin"):
            assert (await library.room.removal(name)).frees_bytes == 0
            await library.room.remove(name)
    assert (tmp_path / "real.gguf").is_file() and (tmp_path / "other.gguf").is_file()


async def test_what_a_model_can_do_is_read_from_its_template(tmp_path: Path) -> None:
    from tests import gguf_files

    (tmp_path / "data/models").mkdir(parents=True)
    template = "{% for tool in tools %}{{ tool }}{% endfor %}{{ '<think>' if enable_thinking else '' }}"
    header = {**gguf_files.llama_header(), "tokenizer.chat_template": template}
    data = gguf_files.gguf_file(header, gguf_files.llama_tensors())
    (tmp_path / "data/models/clever.gguf").write_bytes(data)

    async with opened(tmp_path / "data") as library:
        await scanned(library)
        (model,) = await library.room.models()
        assert model.abilities == (Ability.THINKS, Ability.TOOLS)
        assert model.native_context == gguf_files.CONTEXT
