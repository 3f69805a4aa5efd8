"""What a camera sees, until a key is in it: live, nothing of it kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from PySide6.QtCore import QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.camera import Camera, Frames
from app.i18n import tr
from app.picture_reading import FoundKey, UnreadPictureError
from app.theme import Theme
from app.widgets.dialog import Dialog

LEAST = (320, 240)
LOOK = 0.05  # seconds between two looks for a picture
END = 2.0  # seconds that a camera's thread is waited for


class CameraView(QWidget):
    """The newest picture, whole and in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumSize(*LEAST)
        self.setAccessibleName(tr("Picture of the camera"))
        self.picture = QImage()

    def show_picture(self, picture: QImage) -> None:
        self.picture = picture
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.picture.isNull():
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        size = QSizeF(self.picture.size()).scaled(QSizeF(self.size()), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRectF((self.width() - size.width()) / 2, (self.height() - size.height()) / 2, *size.toTuple())
        painter.drawImage(place, self.picture)


class CameraDialog(Dialog):
    """Closes by itself once a key was seen; closing it is no error."""

    _came = Signal(QImage)  # in the camera's thread

    def __init__(self, theme: Theme, camera: Camera, parent: QWidget | None = None) -> None:
        title = tr("Hold the QR code in front of the camera")
        sentence = tr("The key is taken over as soon as it is seen. No picture is kept.")
        super().__init__(theme, title, sentence, "", cancel=tr("Close"), parent=parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)  # its camera ends after it is closed
        self._camera = camera
        self._left = False
        self.rejected.connect(self._leave)
        self.view = CameraView()
        self.view.setToolTip(camera.title)
        self.body.addWidget(self.view)
        self._came.connect(self.view.show_picture, Qt.ConnectionType.QueuedConnection)

    def _leave(self) -> None:
        self._left = True

    async def keys(self, read: Callable[[QImage], Awaitable[list[FoundKey]]]) -> list[FoundKey]:
        """Those of the first picture with one, [] where the person has closed it. Raises CameraError."""
        frames = Frames(self._camera)
        running = asyncio.ensure_future(asyncio.to_thread(frames.run, self._came.emit))
        try:
            while not self._left:
                if (picture := frames.take()) is not None:
                    with contextlib.suppress(UnreadPictureError):  # nobody holds a code there yet
                        return await read(picture)
                elif running.done():
                    running.result()
                else:
                    await asyncio.sleep(LOOK)
            return []
        finally:
            frames.stop()
            await asyncio.wait({running}, timeout=END)
            if running.done() and not running.cancelled():
                running.exception()
