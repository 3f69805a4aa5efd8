"""What of all that PyInstaller finds is shipped, and what is left out: rules about names in the packaged folder.

Each line of a table was measured: without it the window, the tray, the dialogs and every format still work.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from pathlib import PurePosixPath

# One entry of PyInstaller's tables: the place in the packaged folder, the file, and the kind.
Entry = tuple[str, str, str]

# Modules that are never imported by what we call, or only by what PyInstaller's analysis guesses.
LEFT_OUT_MODULES = (
    *("tkinter", "unittest", "pydoc", "doctest", "lib2to3", "test", "idlelib", "turtle", "turtledemo", "ensurepip"),
    *("pip", "setuptools", "wheel", "pkg_resources", "_distutils_hack", "IPython", "matplotlib", "pandas", "scipy"),
    *("PySide6.QtQml", "PySide6.QtQuick", "PySide6.QtQuickWidgets", "PySide6.QtOpenGL", "PySide6.QtOpenGLWidgets"),
    *("PySide6.QtPdf", "PySide6.QtPdfWidgets", "PySide6.QtDesigner", "PySide6.QtUiTools", "PySide6.QtSql"),
    *("PySide6.QtTest", "PySide6.QtHelp", "PySide6.QtConcurrent", "PySide6.QtXml", "PySide6.QtPrintSupport"),
    # Its server for OpenAI's protocol, and its conversions: our scheduler uses the low-level interface alone.
    *("llama_cpp.server", "llama_cpp.llava_cpp", "numpy.f2py", "numpy.testing", "numpy.distutils"),
    # Of huggingface_hub the program asks for the token that a person has there, and downloads by itself.
    *("hf_xet", "fsspec", "huggingface_hub.cli", "huggingface_hub.inference", "typer", "click", "rich"),
    *("pywhispercpp.examples", "PIL.ImageTk", "PIL.ImageQt", "PIL._imagingtk"),
)

LEFT_OUT = (
    # Qt's plugins for devices without a desktop, for GTK's theme (it would bring GTK), and for pictures nobody opens.
    *("*/plugins/egldeviceintegrations/*", "*/plugins/generic/*", "*/plugins/networkinformation/*"),
    *("*/plugins/platforms/*eglfs*", "*/plugins/platforms/*linuxfb*", "*/plugins/platforms/*minimal*"),
    *("*/plugins/platforms/*vkkhrdisplay*", "*/plugins/platforms/*vnc*", "*/plugins/platformthemes/*gtk3*"),
    *("*/plugins/imageformats/*qtga*", "*/plugins/imageformats/*qtiff*", "*/plugins/imageformats/*qwbmp*"),
    *("*/plugins/imageformats/*qicns*", "*/plugins/imageformats/*qgif*", "*/plugins/imageformats/*qwebp*"),
    *("*/plugins/imageformats/*qpdf*", "*/plugins/platforminputcontexts/*virtualkeyboard*", "*/plugins/qmltooling/*"),
    *("*/plugins/sqldrivers/*", "*/plugins/printsupport/*", "*/plugins/designer/*", "*/plugins/qmllint/*"),
    *("*libgtk-3*", "*libgdk-3*", "*libgdk_pixbuf*", "*libcairo*", "*libpango*", "*libatk*", "*libepoxy*"),
    *(
        "*Qt6Qml*",
        "*Qt6Quick*",
        "*Qt6Pdf*",
        "*Qt6VirtualKeyboard*",
        "*Qt6EglFS*",
        "*Qt6Sql*",
        "*Qt6Test*",
        "*Qt6Designer*",
    ),
    *("*Qt6OpenGLWidgets*", "*Qt6PrintSupport*", "*Qt6Concurrent*", "*Qt6Labs*", "*opengl32sw*"),
    "*/Qt/qml/*",
    # Drawn by nobody: the program reads pictures with Qt and Pillow, and prints nothing.
    *("*PIL/_avif*", "*PIL/_imagingtk*", "*pillow.libs/libavif*"),
    # Pillow reads pictures here; it writes no letters on them and converts no colour profiles.
    *("*PIL/_imagingft*", "*PIL/_imagingcms*", "*pillow.libs/libfreetype*", "*pillow.libs/libharfbuzz*"),
    *("*pillow.libs/libbrotli*", "*pillow.libs/liblcms2*", "*pillow.libs/libpng16*"),
    # Beside the ones that its module asks for, with names of their own.
    *("libwhisper.so*", "libggml.so*", "libggml-base.so*", "libggml-cpu.so*"),
    # Of the other engine: what the low-level interface never loads.
    *("*llama_cpp/lib/libllama-common*", "lib/libllama*", "lib/libmtmd*", "lib/libggml*"),
    # Where a package was installed from, and what lay there: nothing that the program asks for.
    *("*.dist-info/direct_url.json", "*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED"),
    "*/__pycache__/*",
    *("libllama*", "libmtmd*", "*libav/*", "*/tests/*", "*.pyi", "*.pxd", "*.pyx", "*/include/*", "*.cmake", "*.pc"),
)

QT_TRANSLATIONS = ("*/translations/*.qm",)
# Qt's own words (buttons, menus of text fields) in the languages that the window speaks.
KEPT_TRANSLATIONS = ("*/translations/qtbase_de.qm", "*/translations/qtbase_ar.qm", "resources/translations/*")


def is_left_out(place: str) -> bool:
    """place: in the packaged folder, with either kind of slash."""
    name = place.replace("\\", "/")
    if _matches(name, QT_TRANSLATIONS) and not _matches(name, KEPT_TRANSLATIONS):
        return True
    return _matches(name, LEFT_OUT)


def trimmed(entries: Iterable[Entry]) -> list[Entry]:
    """Those that are shipped, in order of their names: the folder is the same whenever it is made."""
    return sorted(entry for entry in entries if not is_left_out(entry[0]))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    base = PurePosixPath(name)
    return any(fnmatch.fnmatchcase(str(base), pattern) for pattern in patterns)
