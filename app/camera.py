"""The cameras of this machine and what one sees, by PyAV, which is here for sound files: QtMultimedia's package is 170
to 330 MB to download.

Linux: the nodes of video4linux. macOS: AVFoundation, which asks the person the first time. Windows: DirectShow.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QImage

from app.i18n import later, tr
from qvac_core.errors import QvacError
from qvac_core.late_dataclass import dataclass
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import av
else:
    av = Lazy("av")

NODES = Path("/sys/class/video4linux")
OPENS_IN = 10.0  # seconds until a camera gives its first picture
NEXT_IN = 5.0  # seconds until the one behind it
FORMATS = {"darwin": "avfoundation", "win32": "dshow"}
NO_PICTURE = later("The camera gives no picture. Another program may use it, or this one is not allowed to.")


class CameraError(QvacError):
    """No picture comes; the message is in the user's language."""


@dataclass(frozen=True, slots=True)
class Camera:
    """title: as the system calls it. file, form: how it is opened."""

    title: str
    file: str
    form: str | None = None


def cameras() -> tuple[Camera, ...]:
    """Those that are there now. May block for a moment: not for the window's thread. Raises nothing."""
    if (form := FORMATS.get(sys.platform)) is None:
        return _of_linux()
    try:
        found = av.enumerate_input_devices(form)
    except (OSError, ValueError, RuntimeError, ImportError):  # a build without it
        return ()
    told = (device for device in found if "video" in device.media_types)
    return tuple(Camera(device.description, _file(form, device.name), form) for device in told)


def _file(form: str, name: str) -> str:
    return f"video={name}" if form == "dshow" else name


def _of_linux() -> tuple[Camera, ...]:
    found = []
    try:
        nodes = sorted(NODES.iterdir())
    except OSError:
        return ()
    for node in nodes:
        try:
            if (node / "index").read_text().strip() != "0":
                continue  # of the same camera: what it tells of its pictures
            found.append(Camera((node / "name").read_text().strip(), f"/dev/{node.name}", "v4l2"))
        except OSError:
            continue  # unplugged meanwhile
    return tuple(found)


class Frames:
    """`run` in a thread until `stop`, or until no more comes; `take` anywhere."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._newest: QImage | None = None
        self._stopped = threading.Event()

    def run(self, came: Callable[[QImage], None]) -> None:
        """came: called in this thread with each picture. Raises CameraError where none comes, or no more."""
        try:
            with av.open(self._camera.file, format=self._camera.form, timeout=(OPENS_IN, NEXT_IN)) as source:
                for frame in source.decode(video=0):
                    if self._stopped.is_set():
                        return
                    self._newest = _image(frame)
                    came(self._newest)
        except (av.FFmpegError, OSError, ValueError, IndexError) as error:
            raise CameraError(tr(NO_PICTURE)) from error
        raise CameraError(tr(NO_PICTURE))

    def take(self) -> QImage | None:
        """The newest picture that was not taken yet."""
        newest, self._newest = self._newest, None
        return newest

    def stop(self) -> None:
        self._stopped.set()


def _image(frame: av.VideoFrame) -> QImage:
    plane = frame.reformat(format="bgra").planes[0]
    # Its copy: the bytes are the frame's.
    return QImage(bytes(plane), frame.width, frame.height, plane.line_size, QImage.Format.Format_RGB32).copy()
