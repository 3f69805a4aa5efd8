"""Translations by the translation engine, on this machine and from another one: the same text, and the same errors.

The models are written here (`tests/marian_files.py`) and translate word by word; the engine that reads them is Firefox's.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from qvac_core import Delegate, cancel, get_loaded_model_info, load_model, translate, unload_model
from qvac_core.core import Core, RuleOverride
from qvac_core.errors import InferenceCancelled, LocalProtocolError, ModelError, QvacError
from tests.e2e.test_api import GUEST_KEY, GUEST_SEED, OTHER_KEY, OTHER_SEED, alone, member, run
from tests.e2e.test_embeddings import settled
from tests.marian_files import FRENCH, GERMAN, write_model

TEXT = "das Haus ist klein. das Haus ist grün!\n\n  das Haus\n"
ENGLISH = "the house is small. the house is green!\n\n  the house\n"
IN_FRENCH = "la maison est petite. la maison est verte!\n\n  la maison\n"
BACK = {german: word for word, german in GERMAN.items()}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("translators")
    return write_model(folder, "de", "en", BACK)[0], write_model(folder, "en", "fr", FRENCH, separate=True)[0]


def test_here_and_there_the_translation_is_the_same(models: tuple[Path, Path], bootstrap: str, tmp_path: Path) -> None:
    owner_config = replace(member(tmp_path / "owner", OTHER_SEED, bootstrap), rules=RuleOverride(allow=(GUEST_KEY,)))
    config = {"engine": "Bergamot", "from": "de", "to": "en"}

    async def test() -> None:
        async with Core(owner_config) as owner:
            for path in models:
                assert (await owner.add_model_file(path)).ability == "translate"
            await owner.start_sharing()
            at = Delegate(OTHER_KEY, timeout=60)
            far = await load_model(models[0].name, delegate=at, model_config=config)
            near = await load_model(str(models[0]), model_config=config)
            texts = []
            for model in (far, near):
                run = translate(model, TEXT, to="English", from_="de-AT", model_type="nmt")
                pieces = [token async for token in run.token_stream]
                final = await run.final
                assert final.text == "".join(pieces) == ENGLISH and len(pieces) > 3 and final.stop_reason == ""
                assert final.stats is not None and isinstance(final.stats.total_time, float)
                once = translate(model, TEXT, stream=False)
                assert [token async for token in once.token_stream] == [ENGLISH]
                several = translate(model, ["das Haus", "unbekannt", "klein"])
                assert [token async for token in several.token_stream] == ["the house", "", "small"]
                assert await several.translations == ("the house", "", "small")
                texts.append((final.text, await several.text))
            assert texts[0] == texts[1]
            pivot = {"engine": "Bergamot", "from": "de", "to": "fr"}
            for path in (models[1].name, str(models[1])):
                through = pivot | {"pivotModel": {"modelSrc": path}}
                here = {} if path != models[1].name else {"delegate": at}
                model = await load_model(models[0].name if here else str(models[0]), model_config=through, **here)
                assert await translate(model, TEXT, to="fr").text == IN_FRENCH
                assert await unload_model(model)
            assert await unload_model(far) and await unload_model(near)
            entries = await settled(owner, 4)
            assert {(entry.method, entry.outcome, entry.unit) for entry in entries} == {("translate", "eos", "texts")}
            assert sorted(entry.amount for entry in entries) == [1.0, 1.0, 1.0, 3.0]

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap))


def test_what_goes_wrong_is_told_alike_here_and_there(
    models: tuple[Path, Path], bootstrap: str, tmp_path: Path
) -> None:
    owner_config = replace(member(tmp_path / "owner", OTHER_SEED, bootstrap), rules=RuleOverride(allow=(GUEST_KEY,)))

    async def sentence(work: object) -> str:
        with pytest.raises(QvacError) as caught:
            await work  # type: ignore[misc]
        assert isinstance(caught.value, ModelError | LocalProtocolError) or caught.value.code
        return caught.value.message

    async def test() -> None:
        async with Core(owner_config) as owner:
            for path in models:
                await owner.add_model_file(path)
            await owner.start_sharing()
            at = Delegate(OTHER_KEY, timeout=60)
            for name, there in ((models[0].name, {"delegate": at}), (str(models[0]), {})):
                bad = await sentence(load_model(name, model_config={"from": "fr", "to": "en"}, **there))
                assert "translates from German into English, unless a pivotModel" in bad
                bad = await sentence(load_model(name, model_config={"srcVocabSrc": "/etc/passwd"}, **there))
                assert "The vocabulary of a translation model is the one that lies beside it" in bad
                itself = {"pivotModel": {"modelSrc": name}}
                assert "does not go on where" in await sentence(load_model(name, model_config=itself, **there))
                assert "cannot chat" in await sentence(load_model(name, model_type="llm", **there)) or there
                model = await load_model(name, **there)
                told = await sentence(translate(model, TEXT, to="fr").text)
                assert "translates from German into English, and nothing else" in told
                assert "At most 1000 texts" in await sentence(translate(model, ["das"] * 10_000).text)
                assert "too long to be translated at once" in await sentence(translate(model, "Haus " * 400_000).text)
                assert "One of the texts is empty" in await sentence(translate(model, ["das", " "]).text)
                assert "is a translation engine" in await sentence(translate(model, "das", to="de", model_type="llm").text)
                assert "half a character" in await sentence(translate(model, "das \ud800 Haus").text)
                odd = "das Haus\0 \U0001f600 ist klein"
                assert await translate(model, odd).text == "the house is small"
                assert await unload_model(model)

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap))


def test_a_cancel_stops_it_and_the_next_one_is_answered(models: tuple[Path, Path], tmp_path: Path) -> None:
    long = "\n".join("das Haus ist klein. das Haus ist groß." for _ in range(3000))

    async def test() -> None:
        model = await load_model(str(models[0]))
        assert (await get_loaded_model_info(model)).handlers == ("translate",)
        running = translate(model, long, request_id="mine")
        await anext(running.token_stream)
        assert await cancel(request_id="mine") is None or True
        with pytest.raises(InferenceCancelled):
            await running.text
        first, second = await asyncio.gather(translate(model, "das Haus").text, translate(model, "klein").text)
        assert (first, second) == ("the house", "small")

    run(test, alone(tmp_path))
