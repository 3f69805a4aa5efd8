"""Pictures by the functions and commands that people use: here and through a provider, with the same answer.

Through a tiny random model: it proves the way of the picture, not what anybody sees in one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qvac_core import Delegate, completion, load_model
from qvac_core.api.functions import _session
from qvac_core.core import Core, CoreConfig, RuleOverride
from qvac_core.core.state import AnswerFinished, Target
from qvac_core.errors import DelegationError, LocalProtocolError, ModelError
from tests.e2e.program import qvac_desktop
from tests.e2e.test_api import GUEST_KEY, GUEST_SEED, OTHER_KEY, OTHER_SEED, alone, member, run
from tests.gguf_files import PATCH, PICTURE_SIDE
from tests.pictures import blue, chessboard, noise, shades

PARAMS = {"temp": 0, "predict": 16}
PICTURE_TOKENS = (PICTURE_SIDE // PATCH) ** 2


@pytest.fixture
def album(tmp_path: Path) -> dict[str, Path]:
    """Files as people have them."""
    folder = tmp_path / "album"
    folder.mkdir()
    pictures = {"shades.png": shades(), "board.webp": chessboard("WEBP"), "sea.jpg": blue("JPEG")}
    pictures["large.png"] = noise(2000)
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in pictures}


def asking(*paths: Path, text: str = "What is this?") -> list[dict[str, Any]]:
    return [{"role": "user", "content": text, "attachments": [{"path": str(path)} for path in paths]}]


def owner_config(folder: Path, bootstrap: str) -> CoreConfig:
    return replace(member(folder, OTHER_SEED, bootstrap), rules=RuleOverride(allow=(GUEST_KEY,)))


@asynccontextmanager
async def sharing(config: CoreConfig, *models: Path) -> AsyncIterator[Core]:
    async with Core(config) as owner:
        for model in models:
            await owner.add_model_file(model)
        await owner.start_sharing()
        yield owner


def test_here_and_there_the_same_answer(
    bootstrap: str, seeing_model_path: Path, album: dict[str, Path], tmp_path: Path
) -> None:
    async def test() -> None:
        here = await load_model(str(seeing_model_path))
        questions = [asking(path) for path in album.values()]
        questions.append(asking(album["shades.png"], album["sea.jpg"]))
        questions.append(asking())
        local = [await completion(here, question, generation_params=PARAMS).text for question in questions]
        assert len(set(local)) >= 4
        async with sharing(owner_config(tmp_path / "owner", bootstrap), seeing_model_path):
            there = await load_model(seeing_model_path.name, delegate=Delegate(OTHER_KEY, timeout=30))
            assert [await completion(there, question, generation_params=PARAMS).text for question in questions] == local
            assert _session.core is not None
            (model,) = await _session.core.consumer.list_models(Delegate(OTHER_KEY).resolved()) or []
            assert {"chat", "vision"} <= set(model.abilities)
            talk = [
                *questions[0],
                {"role": "assistant", "content": local[0]},
                {"role": "user", "content": "And what else?"},
            ]
            on = [await completion(its, talk, generation_params=PARAMS).text for its in (here, there)]
            assert on[0] == on[1]

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap))


def test_what_cannot_be_shown_says_why_here_and_there(
    bootstrap: str, seeing_model_path: Path, small_model_path: Path, album: dict[str, Path], tmp_path: Path
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no picture")

    async def test() -> None:
        async with sharing(owner_config(tmp_path / "owner", bootstrap), seeing_model_path, small_model_path):
            there = Delegate(OTHER_KEY, timeout=30)
            for delegate in (None, there):
                sees, blind = [
                    await load_model(path.name if delegate else str(path), delegate=delegate)
                    for path in (seeing_model_path, small_model_path)
                ]
                with pytest.raises(DelegationError, match="cannot see pictures") as refused:
                    await completion(blind, asking(album["sea.jpg"])).text
                assert refused.value.name == "MODEL_OPERATION_NOT_SUPPORTED"
                with pytest.raises(ModelError, match="no picture that a model can be shown"):
                    await completion(sees, asking(text)).text
                with pytest.raises(LocalProtocolError, match="There is no file"):
                    await completion(sees, asking(tmp_path / "absent.png")).text
                with pytest.raises(LocalProtocolError, match="Only messages of the user"):
                    await completion(sees, [{**asking(album["sea.jpg"])[0], "role": "assistant"}]).text
                assert await completion(blind, asking(), generation_params=PARAMS).text

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap))


def test_a_vision_part_may_be_named(seeing_model_path: Path, album: dict[str, Path], tmp_path: Path) -> None:
    model, projector = tmp_path / "a-model.gguf", tmp_path / "its eyes.gguf"
    model.write_bytes(seeing_model_path.read_bytes())
    projector.write_bytes(seeing_model_path.with_name("mmproj-seeing.gguf").read_bytes())

    async def test() -> None:
        sees = await load_model(str(model), model_config={"projectionModelSrc": str(projector)})
        assert await completion(sees, asking(album["sea.jpg"]), generation_params=PARAMS).text
        with pytest.raises(LocalProtocolError, match="projectionModelSrc"):
            await load_model(str(model), model_config={"projectionModelSrc": "its nose.gguf"})

    run(test, alone(tmp_path / "data"))


def test_a_guest_names_the_vision_part_that_the_model_has(
    bootstrap: str, seeing_model_path: Path, album: dict[str, Path], tmp_path: Path
) -> None:
    async def test() -> None:
        async with sharing(owner_config(tmp_path / "owner", bootstrap), seeing_model_path):
            there, name = Delegate(OTHER_KEY, timeout=30), seeing_model_path.name
            sees = await load_model(name, delegate=there, model_config={"projectionModelSrc": f"mmproj-{name}"})
            assert await completion(sees, asking(album["sea.jpg"]), generation_params=PARAMS).text
            for other in ("/etc/passwd", name, "MMPROJ_GEMMA4_2B_MULTIMODAL_F16", "https://127.0.0.1:9/x"):
                with pytest.raises(ModelError, match="not shared by this provider"):
                    await load_model(name, delegate=there, model_config={"projectionModelSrc": other})

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap))


def test_in_the_terminal(bootstrap: str, seeing_model_path: Path, album: dict[str, Path], tmp_path: Path) -> None:
    common = ("--json", "--bootstrap", bootstrap)
    with qvac_desktop(
        *("provider", *common, "--seed", OTHER_SEED, "--allow", GUEST_KEY, "--model", str(seeing_model_path)),
        data_dir=tmp_path / "owner",
    ) as provider:
        provider.until("ready")

        def said(*options: str) -> tuple[int, str, str]:
            asked = ("--prompt", "What is this?", "--temp", "0", "--predict", "16", *options)
            with qvac_desktop(
                *("chat", OTHER_KEY, *common, "--seed", GUEST_SEED, *asked), data_dir=tmp_path / "guest"
            ) as guest:
                code = guest.finish()
            if "large.png" in str(options) and not code:
                size = album["large.png"].stat().st_size
                assert guest.of("upload")[-1] == {"event": "upload", "sent": size, "total": size}
            return code, "".join(token["text"] for token in guest.of("token")), guest.stderr

        answers = [said("--picture", str(album[name])) for name in ("shades.png", "large.png")]
        answers.append(said("--picture", str(album["shades.png"]), "--picture", str(album["sea.jpg"])))
        assert all(code == 0 for code, _, _ in answers), answers
        assert len({text for _, text, _ in answers}) >= 2
        code, _, stderr = said("--picture", str(tmp_path / "absent.png"))
        assert code == 1 and "There is no file" in stderr and len(stderr.strip().splitlines()) == 1


def test_a_conversation_shows_its_picture_here_and_there(
    bootstrap: str, seeing_model_path: Path, album: dict[str, Path], tmp_path: Path
) -> None:
    """As the window asks: the picture is kept, and goes along with the next question."""

    async def talk(core: Core, target: Target) -> tuple[list[str], list[int]]:
        ended: asyncio.Queue[AnswerFinished] = asyncio.Queue()
        stop = core.subscribe(lambda event: ended.put_nowait(event) if isinstance(event, AnswerFinished) else None)
        conversation = await core.new_conversation(target)
        said, tokens = [], []
        for text, pictures in (("What is this?", [album["sea.jpg"]]), ("And now?", [])):
            await core.ask(conversation.id, text, pictures)
            message = (await ended.get()).message
            assert message.status == "done", message.error
            assert message.stats is not None
            said.append(message.text)
            tokens.append(message.stats.prompt_tokens)
        stop()
        return said, tokens

    async def test() -> None:
        assert _session.core is None
        async with (
            sharing(owner_config(tmp_path / "owner", bootstrap), seeing_model_path),
            Core(member(tmp_path / "guest", GUEST_SEED, bootstrap)) as guest,
        ):
            shared = await guest.add_model_file(seeing_model_path)
            assert shared.vision
            await guest.set_setting("chat.answer_tokens", "12")
            await guest.add_provider(OTHER_KEY, "Studio")
            (offer,) = (await guest.connect_provider(OTHER_KEY)).models
            assert offer.vision
            here = await talk(guest, Target("", shared.name))
            there = await talk(guest, Target(OTHER_KEY, offer.source))
            assert here[1][0] == there[1][0] > PICTURE_TOKENS
            for said, (first, second) in (here, there):
                assert all(said)
                # Answer and question are some hundred tokens; without the picture they would make up for less than it.
                assert second - first > PICTURE_TOKENS, "the picture is in the second prompt, too"

    run(test, alone(tmp_path / "none"))
