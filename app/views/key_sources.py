"""Where a provider's key may come from besides the keyboard: a picture of its QR code, clipboard, screen, camera."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QBuffer, QEvent, QIODevice, QMimeData, QObject, QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage, QPixmap, QShowEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QWidget
from shiboken6 import isValid

from app.camera import Camera, cameras
from app.i18n import later, tr
from app.picture_reading import FoundKey, UnreadPictureError, keys_in_file, keys_in_pictures
from app.screen_portal import take_picture
from app.theme import Theme
from app.views.screen_part import ScreenPart, grabbed
from app.widgets.button import Button
from app.widgets.menu import Menu
from qvac_core.codec.key_text import KeyCheck, read_key, short_key
from qvac_core.errors import QvacError

if TYPE_CHECKING:
    from app.views.camera_dialog import CameraDialog

Run = Callable[[Coroutine[Any, Any, object], Callable[[QvacError], None]], None]
"""Runs a coroutine as a task that somebody owns; its error goes to the function."""

# Of a picture of ours: more pixels tell no code on a screen apart, and as grey PNG it stays below the reader's bound.
MOST_PIXELS = 16_000_000
QUICK = 70  # Qt's word for the second of zlib's nine levels
NONE_ON_SCREEN = later("No QR code was seen on the screen. Show it larger, and not covered by this window.")
NO_SCREEN = later("The system does not show this program the screen. Take a picture of it, and open that.")
PASTE = later("Paste a key or a picture of its QR code")
NOTHING_COPIED = later("The clipboard holds neither a key nor a picture.")
MOST_FILES = 8  # of one drop
SEVERAL = later("Several codes were found. Choose whose key you mean.")


class KeySources(QWidget):
    """`found`: a key, and what its link calls the machine. `text`: what was pasted, as it is. `said`: a sentence, and
    whether it is trouble; "" when a new try begins."""

    found = Signal(object)  # FoundKey
    text = Signal(str)
    said = Signal(str, bool)

    def __init__(self, theme: Theme, run: Run, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._run = run
        self._parts: list[ScreenPart] = []
        self._tasks: set[asyncio.Task[object]] = set()
        self.picture = Button(theme, tr("Open QR picture…"), icon="image")
        self.clipboard = Button(
            theme, tr("Paste"), icon="clipboard-paste", name=tr("Paste a key or a picture of its QR code")
        )
        self.screen_ = Button(theme, tr("Screen"), icon="monitor", name=tr("Read a QR code on the screen"))
        self.camera = Button(theme, "", icon="camera", name=tr("Read a QR code with the camera"))
        self.camera.setToolTip(tr("Read a QR code with the camera"))
        self.camera.hide()  # until there is one
        self._cameras: tuple[Camera, ...] = ()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        for button in (self.picture, self.clipboard, self.screen_, self.camera):
            row.addWidget(button)
        row.addStretch(1)
        self.picture.clicked.connect(self.choose_picture)
        self.clipboard.clicked.connect(self.paste)
        self.screen_.clicked.connect(self._open_screen_menu)
        self.camera.clicked.connect(self._choose_camera)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._run(self._look_for_cameras(), self._failed)

    @property
    def reading(self) -> bool:
        return bool(self._tasks)

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        for task in self._tasks:
            task.cancel()
        self._end_parts()

    # --- Pictures

    def choose_picture(self) -> None:
        dialog = QFileDialog(self.window(), tr("Open a picture of a QR code"), str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters([tr("Pictures") + " (*.png *.jpg *.jpeg *.webp *.gif *.bmp)", tr("All files") + " (*)"])
        dialog.fileSelected.connect(lambda name: self.read_file(Path(name)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def read_file(self, path: Path) -> None:
        self._start(keys_in_file(path))

    def read_image(self, image: QImage) -> None:
        self._start(_keys_in_images([image]))

    # --- The clipboard, and what is dropped

    def paste(self) -> None:
        self.take(QGuiApplication.clipboard().mimeData())

    def take(self, given: QMimeData | None) -> None:
        """What a person copied or dropped: text with a key in it, picture files, a picture."""
        if given is None:  # an empty clipboard
            self.said.emit(tr(NOTHING_COPIED), True)
            return
        paths = _files(given)
        if given.hasText() and read_key(given.text()).check is KeyCheck.KEY:
            self.said.emit("", False)
            self.text.emit(given.text())
        elif paths:
            self._start(_keys_in_files(paths))
        elif given.hasImage():
            self.read_image(QImage(given.imageData()))
        elif given.hasText() and given.text().strip():
            self.said.emit("", False)
            self.text.emit(given.text())
        else:
            self.said.emit(tr(NOTHING_COPIED), True)

    # --- The screen

    def _open_screen_menu(self) -> None:
        menu = Menu(self.screen_)
        menu.addAction(self._theme.icon("monitor"), tr("The whole screen"), self.read_screen)
        menu.addAction(self._theme.icon("scan"), tr("A part of the screen…"), self.choose_part)
        menu.open_below(self.screen_)

    def read_screen(self) -> None:
        if on_wayland():
            self._start(_keys_on_portal(part=False))
        elif pictures := grabbed():
            self._start(_keys_in_images([picture for _, picture in pictures], NONE_ON_SCREEN))
        else:
            self.said.emit(tr(NO_SCREEN), True)

    def choose_part(self) -> None:
        if on_wayland():
            self._start(_keys_on_portal(part=True))
            return
        self._parts = [ScreenPart(self._theme, screen, picture) for screen, picture in grabbed()]
        if not self._parts:
            self.said.emit(tr(NO_SCREEN), True)
        for part in self._parts:
            part.chosen.connect(self.read_image)
            part.chosen.connect(self._end_parts)
            part.left.connect(self._end_parts)
            part.showFullScreen()
        if self._parts:
            self._parts[0].activateWindow()

    def _end_parts(self, _image: object = None) -> None:
        parts, self._parts = self._parts, []
        for part in parts:
            part.close()
        if parts:
            self.window().activateWindow()

    # --- The camera

    async def _look_for_cameras(self) -> None:
        # Not by asyncio.to_thread: a dialog may be opened while Qt's loop turns and asyncio's is not called running.
        found = await asyncio.get_event_loop().run_in_executor(None, cameras)
        if isValid(self):  # its dialog may be closed meanwhile
            self._cameras = found
            self.camera.setVisible(bool(found))

    def _choose_camera(self) -> None:
        if len(self._cameras) == 1:
            self.look_through(self._cameras[0])
            return
        menu = Menu(self.camera)
        for camera in self._cameras:
            menu.addAction(camera.title.replace("&", "&&"), partial(self.look_through, camera))
        menu.open_below(self.camera)

    def look_through(self, camera: Camera) -> None:
        from app.views.camera_dialog import CameraDialog

        dialog = CameraDialog(self._theme, camera, self.window())
        self._start(self._keys_seen(dialog))
        dialog.rejected.connect(self.cancel)
        dialog.open()

    async def _keys_seen(self, dialog: CameraDialog) -> list[FoundKey]:
        try:
            return await dialog.keys(lambda picture: _keys_in_images([picture]))
        finally:
            if isValid(dialog):  # together with the window above which it is
                dialog.hide()
                dialog.deleteLater()

    # --- What came of it

    def _start(self, keys: Coroutine[Any, Any, list[FoundKey]]) -> None:
        self.cancel()
        self._run(self._read(keys), self._failed)

    async def _read(self, keys: Coroutine[Any, Any, list[FoundKey]]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.said.emit(tr("Reading…"), False)
        try:
            found = await keys
        finally:
            self._tasks.discard(task)
            keys.close()
        if len(found) == 1:
            self.said.emit("", False)
            self.found.emit(found[0])
        elif found:
            self.said.emit(tr(SEVERAL), False)
            self._ask_which(found)
        else:
            self.said.emit("", False)

    def _ask_which(self, found: Sequence[FoundKey]) -> None:
        menu = Menu(self)
        for one in found:
            words = f"{one.name}  {short_key(one.key)}".strip().replace("&", "&&")
            menu.addAction(words, partial(self.found.emit, one))
        menu.open_below(self.picture)

    def _failed(self, error: QvacError) -> None:
        self.said.emit(error.message, True)


class KeyDrops(QObject):
    """Takes what is dropped on `place`, if nothing in it does and a key may be in it. `over`: something hangs there."""

    dropped = Signal(object)  # QMimeData, only until the handler returns
    over = Signal(bool)

    def __init__(self, place: QWidget) -> None:
        super().__init__(place)
        place.setAcceptDrops(True)
        place.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        match event.type():
            case QEvent.Type.DragEnter if isinstance(event, QDragEnterEvent) and may_hold_key(event.mimeData()):
                event.acceptProposedAction()
                self.over.emit(True)
                return True
            case QEvent.Type.DragLeave:
                self.over.emit(False)
            case QEvent.Type.Drop if isinstance(event, QDropEvent) and may_hold_key(event.mimeData()):
                self.over.emit(False)
                event.acceptProposedAction()
                self.dropped.emit(event.mimeData())
                return True
        return False


def may_hold_key(given: QMimeData) -> bool:
    return bool(_files(given)) or given.hasImage() or (given.hasText() and bool(read_key(given.text()).key))


def on_wayland() -> bool:
    return QGuiApplication.platformName().startswith("wayland")


def _files(given: QMimeData) -> list[Path]:
    return [Path(url.toLocalFile()) for url in given.urls() if url.isLocalFile()][:MOST_FILES]


async def _keys_in_files(paths: Sequence[Path]) -> list[FoundKey]:
    """Of several files those without a code do no harm."""
    found: dict[str, FoundKey] = {}
    trouble: UnreadPictureError | None = None
    for path in paths:
        try:
            found.update((one.key, one) for one in await keys_in_file(path))
        except UnreadPictureError as error:
            trouble = error
    if not found and trouble is not None:
        raise trouble
    return list(found.values())


async def _keys_in_images(images: Sequence[QImage | QPixmap], none: str = "") -> list[FoundKey]:
    # A pixmap may be touched by the window's thread alone.
    whole = [image.toImage() if isinstance(image, QPixmap) else image for image in images]
    files = [await asyncio.to_thread(_as_file, image) for image in whole]
    return await keys_in_pictures(files, none) if none else await keys_in_pictures(files)


async def _keys_on_portal(*, part: bool) -> list[FoundKey]:
    data = await asyncio.to_thread(partial(take_picture, part=part))
    return await keys_in_pictures([data], NONE_ON_SCREEN) if data is not None else []


def _as_file(image: QImage) -> bytes:
    """As a grey PNG, for the reader. In a thread: a large screen takes a tenth of a second."""
    size = image.size()
    if (pixels := size.width() * size.height()) > MOST_PIXELS:
        share = (MOST_PIXELS / pixels) ** 0.5
        smaller = QSize(round(size.width() * share), round(size.height() * share))
        image = image.scaled(smaller, mode=Qt.TransformationMode.SmoothTransformation)
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not image.hasAlphaChannel():  # the reader looks at what is see-through as well
        image = image.convertToFormat(QImage.Format.Format_Grayscale8)
    # The type stubs want bytes for the format, and what runs takes text alone (6.11.3).
    image.save(buffer, "PNG", QUICK)  # type: ignore[call-overload]
    return bytes(buffer.data().data())
