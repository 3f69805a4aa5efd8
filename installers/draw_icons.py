"""Draws the program's icon in every size that systems ask for. Run by build.py with the Python that has Qt and Pillow.

Small sizes come from the drawing that was made for them.
"""

import os
import sys
from pathlib import Path

from PIL import Image

os.environ["QT_QPA_PLATFORM"] = "offscreen"
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

SMALL = 32  # pixels; up to here the simpler drawing is taken
SIZES = (16, 22, 24, 32, 48, 64, 128, 256, 512, 1024)
ICO = (16, 24, 32, 48, 64, 128, 256)


def draw(svg: Path, size: int, target: Path) -> None:
    image = QImage(size, size, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(svg)).render(painter, QRectF(0, 0, size, size))
    painter.end()
    image.save(str(target))


def main(source: Path, folder: Path) -> None:
    _app = QGuiApplication([])
    pictures = {}
    for size in SIZES:
        target = folder / f"{size}.png"
        draw(source / ("small.svg" if size <= SMALL else "large.svg"), size, target)
        pictures[size] = Image.open(target).convert("RGBA")
    pictures[256].save(
        folder / "qvac-desktop.ico", sizes=[(size, size) for size in ICO], append_images=[pictures[s] for s in ICO]
    )
    pictures[1024].save(folder / "qvac-desktop.icns", append_images=[pictures[s] for s in (16, 32, 64, 128, 256, 512)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
