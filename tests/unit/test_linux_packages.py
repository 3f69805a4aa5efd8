"""How a folder becomes a package: the same folder gives the same bytes, and what is said about it is right.

installers/linux_packages.py
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from installers import build, desktop_files, linux_packages
from installers.linux_packages import Package

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="packages of Linux are made on Linux")

DATE = 1_764_500_000
ABOUT = Package("0.2.0rc1", DATE, "2.34", "Ada Example <ada@qvac.test>", "https://qvac.test/desktop", fast=True)
PROGRAM = "usr/lib/qvac-desktop/qvac-desktop"
FILES = {
    PROGRAM: b"\x7fELF" + bytes(3000),
    "usr/lib/qvac-desktop/_internal/base_library.zip": bytes(range(256)) * 40,
    "usr/lib/qvac-desktop/_internal/licences/LICENSE": b"Do as you like.\n",
    "usr/share/applications/qvac-desktop.desktop": b"[Desktop Entry]\n",
    "usr/share/doc/qvac-desktop/README.md": "Grüße, ٣\n".encode(),
}


def tree(folder: Path, names: list[str], now: float, mask: int) -> Path:
    """The same files, made in this order, at that time, with those rights."""
    before = os.umask(mask)
    try:
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(FILES[name])
            os.utime(path, (now, now))
        (folder / "usr/bin").mkdir()
        (folder / "usr/bin/qvac-desktop").symlink_to("../lib/qvac-desktop/qvac-desktop")
        (folder / PROGRAM).chmod(0o700)
        (folder / "usr/lib/qvac-desktop/_internal/licences/LICENSE").chmod(0o755)
    finally:
        os.umask(before)
    return folder


def deb(usr: Path, work: Path, target: Path) -> None:
    linux_packages.deb(ABOUT, usr, work, target)


def slow_deb(usr: Path, work: Path, target: Path) -> None:
    linux_packages.deb(replace(ABOUT, fast=False), usr, work, target)


def rpm(usr: Path, work: Path, target: Path) -> None:
    linux_packages.rpm(ABOUT, usr, work, target)


def slow_rpm(usr: Path, work: Path, target: Path) -> None:
    linux_packages.rpm(replace(ABOUT, fast=False), usr, work, target)


def appimage(usr: Path, work: Path, target: Path) -> None:
    runtime = work / "runtime"
    runtime.write_bytes(b"\x7fELF\x02\x01\x01\x00AI\x02" + bytes(53))
    linux_packages.appimage(ABOUT, usr, work, target, runtime)


def archive(usr: Path, _work: Path, target: Path) -> None:
    linux_packages.archive(ABOUT, usr / "lib/qvac-desktop", target)


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} packs it")


@pytest.mark.parametrize(
    "pack",
    [
        pytest.param(deb, marks=needs("dpkg-deb")),
        pytest.param(slow_deb, marks=needs("dpkg-deb")),
        pytest.param(rpm, marks=needs("rpmbuild")),
        pytest.param(slow_rpm, marks=needs("rpmbuild")),
        pytest.param(appimage, marks=needs("mksquashfs")),
        pytest.param(archive, marks=needs("xz")),
    ],
)
def test_the_same_folder_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[Path, Path, Path], None]
) -> None:
    """Another place, order, time and umask; the other files of the folder that it is made in; another language."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(DATE))
    made = []
    for number, names in enumerate((list(FILES), list(FILES)[::-1])):
        place = tmp_path / f"place {number}"
        folder = tree(place / "tree", names, DATE + 1000 * number, (0o022, 0o077)[number])
        build.settle(folder)
        monkeypatch.setenv("LC_ALL", ("C.UTF-8", "C")[number])
        work = place / "work"
        work.mkdir()
        before = os.umask((0o022, 0o077)[number])
        try:
            pack(folder / "usr", work, place / "made")
        finally:
            os.umask(before)
        made.append((place / "made").read_bytes())
        left = [path for path in (folder / "usr").rglob("*") if path.is_file() and path.stat().st_nlink > 1]
        assert not left, "what was packed is not held by the working folder"
    assert made[0] == made[1]


@needs("dpkg-deb")
def test_the_deb_says_what_it_is_and_has_what_debian_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(DATE))
    folder = tree(tmp_path / "tree", list(FILES), DATE, 0o077)
    build.settle(folder)
    deb(folder / "usr", tmp_path, tmp_path / "made.deb")

    def asked(*what: str) -> str:
        return subprocess.run(["dpkg-deb", *what], capture_output=True, text=True, check=True).stdout

    fields = dict(
        line.split(": ", 1) for line in asked("-f", str(tmp_path / "made.deb")).splitlines() if line[0] != " "
    )
    assert fields["Version"] == "0.2.0~rc1"
    assert fields["Maintainer"] == ABOUT.maintainer
    assert fields["Homepage"] == ABOUT.homepage
    assert fields["Depends"].startswith("libc6 (>= 2.34), libgl1, ")
    assert 20 <= int(fields["Installed-Size"]) <= 60, "kilobytes"
    out = tmp_path / "out"
    asked("-R", str(tmp_path / "made.deb"), str(out))
    listed = asked("-c", str(tmp_path / "made.deb"))
    rights = {line.split()[-1]: line.split()[:2] for line in listed.splitlines() if "->" not in line}
    assert rights[f"./{PROGRAM}"] == ["-rwxr-xr-x", "root/root"]
    assert rights["./usr/lib/qvac-desktop/_internal/licences/LICENSE"] == ["-rw-r--r--", "root/root"], "a text"
    assert rights["./usr/share/lintian/overrides/"] == ["drwxr-xr-x", "root/root"]
    assert (out / "usr/bin/qvac-desktop").readlink() == Path("../lib/qvac-desktop/qvac-desktop")
    assert (out / "usr/share/doc/qvac-desktop/changelog.gz").is_file()
    sums = [line.split("  ", 1) for line in (out / "DEBIAN/md5sums").read_text().splitlines()]
    files = {
        str(path.relative_to(out)) for path in (out / "usr").rglob("*") if path.is_file() and not path.is_symlink()
    }
    assert {name for _, name in sums} == files
    for digest, name in sums:
        assert hashlib.md5((out / name).read_bytes(), usedforsecurity=False).hexdigest() == digest


def test_what_cannot_pack_says_so(tmp_path: Path) -> None:
    runtime = tmp_path / "runtime"
    runtime.write_bytes(b"\x7fELF" + bytes(60))
    with pytest.raises(linux_packages.PackError, match="no runtime"):
        linux_packages.appimage(ABOUT, tmp_path, tmp_path, tmp_path / "made", runtime)


def test_the_flatpak_is_made_of_the_deb_beside_it(tmp_path: Path) -> None:
    package = tmp_path / "qvac-desktop_0.2.0_amd64.deb"
    package.write_bytes(b"the package")
    manifest = tmp_path / f"{desktop_files.APP_ID}.json"
    linux_packages.flatpak(package, manifest)
    told = json.loads(manifest.read_text())
    (source,) = told["modules"][0]["sources"]
    assert (tmp_path / source["path"]).is_file()
    assert source["sha256"] == hashlib.sha256(b"the package").hexdigest()
    assert told["rename-desktop-file"] == "qvac-desktop.desktop"
    assert not [one for one in told["finish-args"] if one.startswith("--filesystem")], "files come by the portal"


@needs("flatpak-builder")
def test_flatpak_builder_takes_the_manifest(tmp_path: Path) -> None:
    package = tmp_path / "qvac-desktop_0.2.0_amd64.deb"
    package.write_bytes(b"the package")
    manifest = tmp_path / f"{desktop_files.APP_ID}.json"
    linux_packages.flatpak(package, manifest)
    command = ["flatpak-builder", "--show-manifest", str(manifest)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(told.stdout)["id"] == desktop_files.APP_ID
    assert "Unknown property" not in told.stderr and "WARNING" not in told.stderr.upper(), told.stderr
