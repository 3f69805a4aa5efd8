"""What a Linux desktop and a shell want beside the program: entry, metadata, icons, man page, completions.

The man page and the completions are made of the command line's own parser, so that they never say something else.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from installers.versions import tilde

APP_ID = "io.github.qvac_desktop"
HERE = Path(__file__).parent
ROOT = HERE.parent
ICON_SIZES = (16, 22, 24, 32, 48, 64, 128, 256, 512)
PICTURES = {
    "share": "Share my GPU, with one guest",
    "chat": "Chat through a friend's GPU",
    "library": "Library: what fits this machine",
}
SHELLS = {
    "bash": "usr/share/bash-completion/completions/qvac-desktop",
    "zsh": "usr/share/zsh/vendor-completions/_qvac-desktop",
}


def metainfo(version: str, date: str, homepage: str = "") -> str:
    """AppStream's file. homepage: where the project lives; without one neither links nor pictures are named."""
    text = (HERE / "linux" / "metainfo.xml.in").read_text()
    links = ""
    if homepage:
        base = escape(homepage.rstrip("/"))
        links = f'  <url type="homepage">{base}</url>\n  <url type="bugtracker">{base}/issues</url>\n  <screenshots>\n'
        for name, caption in PICTURES.items():
            kind = ' type="default"' if name == "share" else ""
            image = f"<image>{base}/raw/main/resources/pictures/{name}.png</image>"
            links += f"    <screenshot{kind}><caption>{caption}</caption>{image}</screenshot>\n"
        links += "  </screenshots>\n"
    kind = "development" if "~" in tilde(version) else "stable"
    fields = {"APP_ID": APP_ID, "VERSION": tilde(version), "DATE": date, "KIND": kind, "LINKS\n": links}
    for name, value in fields.items():
        text = text.replace(f"@{name.strip()}@" + ("\n" if name.endswith("\n") else ""), value)
    return text


def changelog(version: str, epoch_date: str, maintainer: str) -> str:
    """Debian's, with a word on where the real one is."""
    return (
        f"qvac-desktop ({tilde(version)}) unstable; urgency=medium\n\n"
        f"  * Release {version}; what changed for users is in CHANGELOG.md.\n\n"
        f" -- {maintainer}  {epoch_date}\n"
    )


def copyright_file(homepage: str = "") -> str:
    """Debian's machine-readable one: ours, and where the texts of all that is packaged lie."""
    source = f"Source: {homepage}\n" if homepage else ""
    notice = "".join(f" {line}\n" if line.strip() else " .\n" for line in (ROOT / "NOTICE").read_text().splitlines())
    return (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        f"Upstream-Name: QVAC Desktop\n{source}\n"
        "Files: *\nCopyright: 2026 the QVAC Desktop authors\nLicense: Apache-2.0\n"
        " On Debian systems the full text is in /usr/share/common-licenses/Apache-2.0.\n"
        "Comment:\n" + notice + " .\n"
        " The licences of all libraries in this package: /usr/lib/qvac-desktop/LICENCES.txt.\n"
        " Their list with versions: /usr/lib/qvac-desktop/sbom.cdx.json.\n"
    )


def make_icons(python: Path, folder: Path) -> None:
    """PNGs of all sizes, .ico and .icns from our SVGs, by the Qt and Pillow that are packaged."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [str(python), str(HERE / "draw_icons.py"), str(ROOT / "resources" / "app-icon"), str(folder)], check=True
    )


def make_terminal_files(python: Path, folder: Path) -> None:
    """The man page and the completions."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([str(python), str(HERE / "draw_man_page.py"), str(folder)], check=True)


def lay_down(tree: Path, made: Mapping[str, Path], files: Mapping[str, str]) -> None:
    """All of /usr but the program itself: `made` are icons, man page and completions, `files` texts by their place."""
    for size in ICON_SIZES:
        _copy(made["icons"] / f"{size}.png", tree / f"usr/share/icons/hicolor/{size}x{size}/apps/qvac-desktop.png")
    _copy(ROOT / "resources/app-icon/large.svg", tree / "usr/share/icons/hicolor/scalable/apps/qvac-desktop.svg")
    _copy(HERE / "linux" / "qvac-desktop.desktop", tree / "usr/share/applications/qvac-desktop.desktop")
    _copy(made["terminal"] / "qvac-desktop.1.gz", tree / "usr/share/man/man1/qvac-desktop.1.gz")
    for shell, place in SHELLS.items():
        _copy(made["terminal"] / shell, tree / place)
    for place, text in files.items():
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        (tree / place).write_text(text)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
