"""A provider's key from a picture, the clipboard, a drop and the screen, by the real reader process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage, QPixmap
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu, QWidget
from pytestqt.qtbot import QtBot

from app import camera
from app.camera import Camera
from app.theme import Theme
from app.views import key_sources
from app.views.camera_dialog import CameraDialog
from app.views.chat_provider_dialog import OWN_KEY, ProviderDialog
from app.views.screen_part import ScreenPart
from app.window import MainWindow
from qvac_core.codec.key_links import link_of, qr_text
from tests.gui.fake_core import MY_KEY, FakeCore
from tests.gui.share_window import POPUP, Run
from tests.key_pictures import HEX, KEY, OTHER, on_a_screen, qr, qr_file
from tests.pictures import chessboard, encoded

pytestmark = POPUP
GROUPS = " ".join(HEX[i : i + 4] for i in range(0, 64, 4))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "key.png"
    path.write_bytes(qr_file(link_of(KEY, "Studio desktop")))
    return path


def image(data: bytes) -> QImage:
    return QImage.fromData(data)


async def until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.01)


async def read(dialog: ProviderDialog) -> None:
    await asyncio.sleep(0.02)  # until it has begun
    await until(lambda: not dialog.sources.reading)


def mime(*, text: str = "", paths: tuple[Path, ...] = (), picture: QImage | None = None) -> QMimeData:
    given = QMimeData()
    if text:
        given.setText(text)
    if paths:
        given.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    if picture is not None:
        given.setImageData(picture)
    return given


def drop(place: QWidget, given: QMimeData) -> bool:
    """Whether it is taken."""
    middle, copy, left = place.rect().center(), Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    none = Qt.KeyboardModifier.NoModifier
    entering = QDragEnterEvent(middle, copy, given, left, none)
    entering.ignore()
    QGuiApplication.sendEvent(place, entering)
    if entering.isAccepted():
        QGuiApplication.sendEvent(place, QDropEvent(QPointF(middle), copy, given, left, none))
    return entering.isAccepted()


def test_a_picture_fills_in_key_and_name_and_connects_nothing(run: Run, busy: FakeCore, picture: Path) -> None:
    async def test(window: MainWindow) -> None:
        dialog = window.chat_page.add_provider()
        dialog.sources.read_file(picture)
        await read(dialog)
        assert dialog.key.key == HEX and dialog.name.text() == "Studio desktop"
        assert not dialog.said.isVisible() and dialog.go.isEnabled()
        assert busy.called("add_provider") == []
        dialog.close()

    run(test)


def test_a_name_that_was_typed_stays(run: Run, picture: Path) -> None:
    async def test(window: MainWindow) -> None:
        dialog = window.chat_page.add_provider()
        QTest.keyClicks(dialog.name, "Attic")
        dialog.sources.read_file(picture)
        await read(dialog)
        assert dialog.key.key == HEX and dialog.name.text() == "Attic"
        dialog.close()

    run(test)


def test_what_is_no_picture_of_a_key_is_said_and_loses_nothing(run: Run, tmp_path: Path) -> None:
    async def test(window: MainWindow) -> None:
        dialog = window.chat_page.add_provider()
        QTest.keyClicks(dialog.key, HEX[:20])
        (tmp_path / "chess.png").write_bytes(chessboard())
        for path, says in (
            (tmp_path / "chess.png", "No QR code was found"),
            (tmp_path / "none.png", "There is no file"),
        ):
            dialog.sources.read_file(path)
            await read(dialog)
            assert dialog.said.isVisible() and dialog.said.text().startswith(says)
            assert dialog.said.property("tone") == "danger"
            assert dialog.key.text().replace(" ", "") == HEX[:20]
        dialog.close()

    run(test)


@pytest.mark.parametrize("how", ["picture", "file", "text", "link", "mail"])
def test_the_clipboard_by_the_button_and_by_the_key(run: Run, picture: Path, how: str) -> None:
    def copied() -> QMimeData:
        return {
            "picture": lambda: mime(picture=image(qr_file())),
            "file": lambda: mime(text=str(picture), paths=(picture,)),
            "text": lambda: mime(text=GROUPS),
            "link": lambda: mime(text=link_of(KEY, "Studio desktop")),
            "mail": lambda: mime(text=f"Hi,\nmy key is {HEX}.\nBye"),
        }[how]()

    async def test(window: MainWindow) -> None:
        for by_key in (False, True):
            dialog = window.chat_page.add_provider()
            QGuiApplication.clipboard().setMimeData(copied())
            if by_key:
                QTest.keyClick(dialog.key, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
            else:
                dialog.sources.clipboard.click()
            await read(dialog)
            assert dialog.key.key == HEX and dialog.key.text() == GROUPS
            assert dialog.name.text() == ("Studio desktop" if how in ("link", "file") else "")
            dialog.close()

    run(test)


def test_an_empty_clipboard_and_one_with_other_words(run: Run) -> None:
    async def test(window: MainWindow) -> None:
        dialog = window.chat_page.add_provider()
        QGuiApplication.clipboard().clear()
        dialog.sources.clipboard.click()
        assert dialog.said.text() == "The clipboard holds neither a key nor a picture."
        QGuiApplication.clipboard().setText("Good morning")
        dialog.sources.clipboard.click()
        assert dialog.key.text() == "Good morning" and dialog.key.property("state") == "wrong"
        dialog.close()

    run(test)


def test_a_picture_is_dropped_on_the_question_on_the_window_and_on_the_first_card(
    run: Run, busy: FakeCore, picture: Path
) -> None:
    async def test(window: MainWindow) -> None:
        dialog = window.chat_page.add_provider()
        assert drop(dialog, mime(paths=(picture,)))
        await read(dialog)
        assert dialog.key.key == HEX
        dialog.close()
        window.tabs.choose(0)
        assert not drop(window, mime(text="Good morning"))
        assert drop(window, mime(picture=image(qr_file())))
        opened = window.chat_page.dialog
        assert opened is not None and opened is not dialog and window.tabs.currentIndex() == 1
        await read(opened)
        assert opened.key.key == HEX
        opened.close()
        card = window.chat_page.first_start
        assert drop(card, mime(paths=(picture,)))
        await until(lambda: window.chat_page.dialog not in (None, dialog, opened))
        filled = window.chat_page.dialog
        assert filled is not None and filled.key.key == HEX and filled.name.text() == "Studio desktop"
        filled.close()
        assert busy.called("add_provider") == []

    run(test)


def test_my_own_key_in_a_picture_says_so(run: Run) -> None:
    async def test(window: MainWindow) -> None:
        dialog = window.chat_page.add_provider()
        dialog.sources.read_image(image(qr_file(qr_text(bytes.fromhex(MY_KEY)))))
        await read(dialog)
        assert dialog.checked.text() == OWN_KEY
        dialog.close()

    run(test)


def test_of_several_codes_one_is_chosen(run: Run) -> None:
    async def test(window: MainWindow) -> None:
        dialog = window.chat_page.add_provider()
        wide = qr().resize((700, 300))
        wide.paste(255, (0, 0, 700, 300))
        wide.paste(qr(link_of(KEY, "Studio & desktop"), module=5), (0, 0))
        wide.paste(qr(qr_text(OTHER), module=5), (400, 0))
        dialog.sources.read_image(image(encoded(wide)))
        await read(dialog)
        (menu,) = [menu for menu in dialog.findChildren(QMenu) if menu.isVisible()]
        assert dialog.said.text().startswith("Several codes were found.") and not dialog.key.key
        action = next(action for action in menu.actions() if action.text().startswith("Studio && desktop"))
        action.trigger()
        assert dialog.key.key == HEX
        menu.close()
        dialog.close()

    run(test)


# --- The screen


def test_the_whole_screen_is_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [chessboard(), encoded(on_a_screen(qr(module=3)))]
    screen = QGuiApplication.primaryScreen()
    pixmaps = [QPixmap.fromImage(image(data)) for data in shown]
    monkeypatch.setattr(key_sources, "grabbed", lambda: [(screen, pixmap) for pixmap in pixmaps])

    async def test(window: MainWindow) -> None:
        dialog = window.chat_page.add_provider()
        dialog.sources.read_screen()
        await read(dialog)
        assert dialog.key.key == HEX
        dialog.close()
        del pixmaps[1]
        dialog = window.chat_page.add_provider()
        dialog.sources.read_screen()
        await read(dialog)
        assert dialog.said.text().startswith("No QR code was seen on the screen.")
        pixmaps.clear()
        dialog.sources.read_screen()
        dialog.sources.choose_part()
        assert dialog.said.text().startswith("The system does not show this program the screen.")
        dialog.close()

    run(test)


def test_a_part_of_the_screen_is_chosen_by_mouse_and_by_keys(qtbot: QtBot, theme: Theme) -> None:
    screen = QGuiApplication.primaryScreen()
    size = screen.geometry().size()
    picture = QPixmap(size * 2)  # as a screen at 200 % gives it
    picture.fill(Qt.GlobalColor.white)
    part = ScreenPart(theme, screen, picture)
    qtbot.addWidget(part)
    part.show()
    chosen: list[QImage] = []
    part.chosen.connect(chosen.append)
    QTest.mousePress(part, Qt.MouseButton.LeftButton, pos=QPoint(200, 150))
    QTest.mouseMove(part, QPoint(100, 50))
    QTest.mouseRelease(part, Qt.MouseButton.LeftButton, pos=QPoint(100, 50))
    assert [(one.width(), one.height()) for one in chosen] == [(198, 198)]
    assert not part.isVisible()
    again = ScreenPart(theme, screen, picture)
    qtbot.addWidget(again)
    again.show()
    left: list[bool] = []
    again.chosen.connect(chosen.append)
    again.left.connect(lambda: left.append(True))
    QTest.keyClick(again, Qt.Key.Key_Return)  # nothing is framed yet
    assert again.isVisible()
    QTest.keyClick(again, Qt.Key.Key_Left)
    before = again.part
    QTest.keyClick(again, Qt.Key.Key_Right)
    QTest.keyClick(again, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert again.part.topLeft() == before.topLeft() + QPoint(20, 0) and again.part.height() == before.height() + 20
    QTest.keyClick(again, Qt.Key.Key_Return)
    assert len(chosen) == 2 and not left
    last = ScreenPart(theme, screen, picture)
    qtbot.addWidget(last)
    last.left.connect(lambda: left.append(True))
    last.show()
    QTest.keyClick(last, Qt.Key.Key_Escape)
    assert left == [True]


def test_a_part_of_the_screen_fills_in_the_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = QGuiApplication.primaryScreen()
    pixmap = QPixmap.fromImage(image(encoded(on_a_screen(qr(module=3), (800, 600)))))
    monkeypatch.setattr(key_sources, "grabbed", lambda: [(screen, pixmap)])

    async def test(window: MainWindow) -> None:
        dialog = window.chat_page.add_provider()
        dialog.sources.choose_part()
        (part,) = dialog.sources._parts
        part.part = part.rect()
        QTest.keyClick(part, Qt.Key.Key_Return)
        await read(dialog)
        assert dialog.key.key == HEX
        dialog.sources.choose_part()
        (part,) = dialog.sources._parts
        QTest.keyClick(part, Qt.Key.Key_Escape)
        assert dialog.isVisible() and not dialog.sources._parts
        dialog.close()

    run(test)


# --- A camera: a picture file as PyAV opens it, and a device that is there and gives nothing


def test_a_key_is_held_in_front_of_a_camera(
    run: Run, busy: FakeCore, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_sources, "cameras", lambda: (Camera("Webcam", str(picture)),))

    async def test(window: MainWindow) -> None:
        dialog = window.chat_page.add_provider()
        await until(dialog.sources.camera.isVisible)
        QTest.mouseClick(dialog.sources.camera, Qt.MouseButton.LeftButton)
        await until(lambda: dialog.key.key == HEX)
        assert dialog.name.text() == "Studio desktop"
        await until(lambda: not dialog.sources.reading)
        assert [each for each in window.findChildren(CameraDialog) if each.isVisible()] == []

    run(test)


@pytest.mark.parametrize("found", [(), ("One", "Two")])
def test_a_camera_is_offered_where_there_is_one(
    run: Run, busy: FakeCore, monkeypatch: pytest.MonkeyPatch, found: tuple[str, ...]
) -> None:
    looks: list[int] = []

    def look() -> tuple[Camera, ...]:
        looks.append(1)
        return tuple(Camera(name, "") for name in found)

    monkeypatch.setattr(key_sources, "cameras", look)

    async def test(window: MainWindow) -> None:
        dialog = window.chat_page.add_provider()
        await until(lambda: bool(looks) and dialog.sources.camera.isVisible() == bool(found))
        if found:
            dialog.sources.camera.click()
            (menu,) = [each for each in dialog.findChildren(QMenu) if each.isVisible()]
            assert tuple(action.text() for action in menu.actions()) == found
            menu.close()

    run(test)


def test_a_camera_without_a_picture_says_so_and_a_closed_one_says_nothing(
    run: Run, busy: FakeCore, tmp_path: Path
) -> None:
    async def test(window: MainWindow) -> None:
        dialog = window.chat_page.add_provider()
        dialog.sources.look_through(Camera("Webcam", str(tmp_path / "video9")))
        await read(dialog)
        assert "gives no picture" in dialog.said.text()
        empty = tmp_path / "empty.png"
        empty.write_bytes(chessboard())
        dialog.sources.look_through(Camera("Webcam", str(empty)))
        (shown,) = [each for each in dialog.findChildren(CameraDialog) if each.isVisible()]
        shown.cancel.click()
        await read(dialog)
        assert dialog.said.text() == ""
        assert [each for each in dialog.findChildren(CameraDialog) if each.isVisible()] == []

    run(test)


def test_the_cameras_of_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for node, index, name in (("video0", "0", "Webcam"), ("video1", "1", "Webcam"), ("video2", "", "")):
        (tmp_path / node).mkdir()
        if index:
            (tmp_path / node / "index").write_text(f"{index}\n")
            (tmp_path / node / "name").write_text(f"{name}\n")
    monkeypatch.setattr(camera, "NODES", tmp_path)
    monkeypatch.setattr("sys.platform", "linux")
    assert camera.cameras() == (Camera("Webcam", "/dev/video0", "v4l2"),)
