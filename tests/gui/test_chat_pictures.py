"""Pictures in the composer: chips, what is so for a model that cannot read them, sending, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QMimeData
from PySide6.QtGui import QColor, QImage

from app.widgets.chat.question_row import QuestionRow
from qvac_core.core.state import ProvidersChanged, Target
from qvac_core.errors import StoreError
from tests.gui import chat_scenes as scenes
from tests.gui.test_transcripts import Desk, Play
from tests.gui.test_transcripts import desk as desk
from tests.pictures import blue, chessboard


def see(desk: Desk, name: str, *, sees: bool = True) -> None:
    """The provider's model of that name can be shown pictures."""
    studio, *others = desk.core.provider_list
    models = tuple(replace(model, vision=sees) if model.name == name else model for model in studio.models)
    desk.core.provider_list = (replace(studio, models=models), *others)
    desk.core.emit(ProvidersChanged(desk.core.provider_list))


def kept(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_a_picture_is_a_chip_and_goes_with_the_message(desk: Play, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        see(desk, "Qwen3 8B")
        await desk.give(kept(tmp_path, "shelf.png", blue()), kept(tmp_path, "b.png", chessboard()))
        attached = desk.composer.attached
        assert [chip.name.text() for chip in attached.chips] == ["shelf.png", "b.png"]
        assert attached.isVisible()
        assert not attached._told.isVisible()
        attached.chips[1].remove.click()
        assert [chip.name.text() for chip in attached.chips] == ["shelf.png"]
        desk.composer.set_text("Readable?")
        desk.composer.button.click()
        await desk.presenter.settle()
        ((_, text, pictures),) = desk.core.called("ask")
        assert text == "Readable?"
        assert pictures == (tmp_path / "shelf.png",)
        assert not attached.isVisible()
        row = next(row for row in desk.messages.rows if isinstance(row, QuestionRow) and row.pictures)
        assert row.pictures[0].accessibleName() == "Picture shelf.png"
        await desk.core.answers_ended()

    desk(test)


def test_a_model_that_cannot_read_it_says_so_and_another_is_offered(desk: Play, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        see(desk, "GPT-OSS 20B")
        await desk.give(kept(tmp_path, "shelf.png", blue()))
        attached = desk.composer.attached
        assert attached.blind.text() == "Qwen3 8B cannot read pictures. Only your text is answered."
        assert attached.switch.text() == "Use GPT-OSS 20B"
        desk.composer.set_text("Readable?")
        assert desk.composer.button.isEnabled()
        attached.switch.click()
        await desk.presenter.settle()
        assert desk.presenter.target == Target(scenes.STUDIO, "gpt-oss-20b")
        assert not attached._told.isVisible()
        assert [chip.name.text() for chip in attached.chips] == ["shelf.png"]

    desk(test)


def test_without_any_model_that_sees_nothing_is_offered(desk: Play, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.give(kept(tmp_path, "shelf.png", blue()))
        assert desk.composer.attached._told.isVisible()
        assert not desk.composer.attached.switch.isVisible()

    desk(test)


def test_a_question_that_was_not_taken_keeps_its_pictures(desk: Play, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        see(desk, "Qwen3 8B")
        desk.presenter.new_conversation()
        await desk.give(kept(tmp_path, "shelf.png", blue()))
        desk.core.fail["new_conversation"] = StoreError("The disk is full.")
        desk.presenter.send("Readable?")
        await desk.presenter.settle()
        desk.presenter.retry()
        await desk.presenter.settle()
        ((_, _, pictures),) = desk.core.called("ask")
        assert pictures == (tmp_path / "shelf.png",)
        await desk.core.answers_ended()

    desk(test)


def test_each_conversation_has_its_own(desk: Play, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.give(kept(tmp_path, "shelf.png", blue()))
        desk.presenter.open("iron")
        await desk.presenter.settle()
        assert not desk.composer.attached.isVisible()
        desk.presenter.open("merge")
        await desk.presenter.settle()
        assert [chip.name.text() for chip in desk.composer.attached.chips] == ["shelf.png"]

    desk(test)


def test_what_is_no_picture_inside_is_refused(desk: Play, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.give(kept(tmp_path, "broken.png", b"\x89PNG\r\n\x1a\n" + bytes(10)))
        assert desk.error == "broken.png cannot be sent."
        assert not desk.composer.attached.isVisible()

    desk(test)


def test_a_copied_picture_is_pasted(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        image = QImage(20, 10, QImage.Format.Format_RGB32)
        image.fill(QColor("red"))
        data = QMimeData()
        data.setImageData(image)
        desk.composer.text.insertFromMimeData(data)
        await desk.presenter.settle()
        assert [chip.name.text() for chip in desk.composer.attached.chips] == ["Picture 1.png"]

    desk(test)
