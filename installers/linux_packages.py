"""A folder `usr`, as it is on a machine that has the program, becomes a .deb, a .rpm, an AppImage, a Flatpak manifest.

The same folder gives the same bytes, whenever and wherever it is packed. Each is packed by its own system's tool, with
liblzma and several threads: nfpm's own xz (2.48) took more than ten minutes, and its zstd made a fifth more.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from installers import desktop_files
from installers.versions import tilde

NAME = "qvac-desktop"
DEPENDS = (
    *("libgl1", "libegl1", "libxcb1", "libwayland-client0", "libwayland-cursor0", "libwayland-egl1", "libdrm2"),
    *("fontconfig-config", "fonts-dejavu-core | fonts-noto-core", "hicolor-icon-theme"),
)
RPM_DEPENDS = ("libglvnd-glx", "libglvnd-egl", "libxcb", "libwayland-client", "libwayland-cursor", "libwayland-egl")
MACHINES = {"x86_64": ("amd64", "x86_64"), "AMD64": ("amd64", "x86_64"), "aarch64": ("arm64", "aarch64")}
SUMMARY = "Share a GPU by public key, and chat through it"
DESCRIPTION = (
    "Use a friend's GPU as if it were yours, or let a friend use yours. The\n"
    "machines find each other by key on a peer-to-peer network and speak\n"
    "end-to-end encrypted. Python, Qt and llama.cpp come with it."
)
SECTION, VENDOR = "net", "QVAC Desktop authors"
FREEDESKTOP = "25.08"
FLATPAK_PERMISSIONS = (
    *("share=network", "share=ipc", "socket=wayland", "socket=fallback-x11"),
    "socket=pulseaudio",  # the microphone
    "device=all",  # the GPU, and the camera that reads a code
    "talk-name=org.freedesktop.secrets",  # where the identity is kept
    *("talk-name=org.kde.StatusNotifierWatcher", "talk-name=org.freedesktop.Notifications"),
)
XZ_LEVEL = 6  # 9 takes half a minute longer and ten times the memory, for less than one per cent


class PackError(Exception):
    """The message says what to do."""


@dataclass(frozen=True)
class Package:
    """What is said about the folder. date: seconds, of every file; fast: packed in seconds, a third larger."""

    version: str
    date: int
    floor: str  # the oldest C library that its programs start with: "2.34"
    maintainer: str
    homepage: str = ""
    fast: bool = False

    @property
    def deb_name(self) -> str:
        return f"{NAME}_{tilde(self.version)}_{machine()[0]}.deb"

    @property
    def rpm_name(self) -> str:
        return f"{NAME}-{tilde(self.version)}-1.{machine()[1]}.rpm"

    @property
    def appimage_name(self) -> str:
        return f"QVAC_Desktop-{self.version}-{machine()[1]}.AppImage"


def machine() -> tuple[str, str]:
    """What Debian and rpm call this one."""
    return MACHINES[platform.machine()]


# --- .deb -------------------------------------------------------------------------------------------------------------


def deb(package: Package, usr: Path, work: Path, target: Path) -> None:
    """usr: the folder; work: where another one of the same files is made. Raises PackError."""
    tree = work / "deb"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(usr, tree / "usr", symlinks=True, copy_function=_link)
    documents = tree / f"usr/share/doc/{NAME}"
    documents.mkdir(parents=True, exist_ok=True)
    (documents / "changelog.gz").write_bytes(_debian_changelog(package))
    overrides = tree / f"usr/share/lintian/overrides/{NAME}"
    overrides.parent.mkdir(parents=True)
    shutil.copyfile(Path(__file__).parent / "linux" / "lintian-overrides", overrides)
    control = tree / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(_control(package, tree / "usr"))
    (control / "md5sums").write_text(_sums(tree))
    for path in (control, *control.iterdir(), documents, documents / "changelog.gz", overrides, *overrides.parents):
        if path.is_relative_to(tree):
            path.chmod(0o755 if path.is_dir() else 0o644)
    # Folders above a new file have its date: dpkg-deb takes SOURCE_DATE_EPOCH for whatever is younger.
    packing = ("-Zzstd", "-z3") if package.fast else ("-Zxz", f"-z{XZ_LEVEL}")
    command = ("dpkg-deb", "--root-owner-group", *packing, "--build", str(tree), str(target))
    _run(*command, SOURCE_DATE_EPOCH=str(package.date))
    shutil.rmtree(tree)


def _link(source: str, target: str) -> None:
    """One file under two names: what is packed is only read."""
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def _control(package: Package, usr: Path) -> str:
    """Installed-Size as Debian counts it: kilobytes, a file's rounded up, one for each folder (Policy 5.6.20)."""
    kilobytes = sum(
        1 if path.is_dir() or path.is_symlink() else (path.stat().st_size + 1023) // 1024 for path in usr.rglob("*")
    )
    fields = {
        "Package": NAME,
        "Version": tilde(package.version),
        "Section": SECTION,
        "Priority": "optional",
        "Architecture": machine()[0],
        "Maintainer": package.maintainer,
        "Installed-Size": str(kilobytes + 1),
        "Depends": ", ".join((f"libc6 (>= {package.floor})", *DEPENDS)),
        "Recommends": "xdg-utils",
        **({"Homepage": package.homepage} if package.homepage else {}),
        "Description": "\n ".join((SUMMARY, *DESCRIPTION.splitlines())),
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def _sums(tree: Path) -> str:
    """For `dpkg --verify`."""
    lines = []
    for path in sorted(path for path in (tree / "usr").rglob("*") if path.is_file() and not path.is_symlink()):
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        lines.append(f"{digest}  {path.relative_to(tree)}\n")
    return "".join(lines)


def _debian_changelog(package: Package) -> bytes:
    when = format_datetime(datetime.fromtimestamp(package.date, UTC))
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, packed, mtime=0) as file:
        file.write(desktop_files.changelog(package.version, when, package.maintainer).encode())
    return packed.getvalue()


# --- .rpm -------------------------------------------------------------------------------------------------------------


def rpm(package: Package, usr: Path, work: Path, target: Path) -> None:
    """By rpmbuild, without what it would do to the files (stripping, compiling Python). Raises PackError."""
    top = work / "rpmbuild"
    shutil.rmtree(top, ignore_errors=True)
    shutil.copytree(usr, top / "root/usr", symlinks=True, copy_function=_link)
    top.joinpath("package.spec").write_text(_spec(package, top / "root"), encoding="utf-8")
    macros = {
        "_topdir": top,
        "_rpmdir": top,
        "_rpmfilename": target.name,
        "_binary_payload": "w3T4.zstdio" if package.fast else f"w{XZ_LEVEL}T4.xzdio",
        # Nothing of when and where it is packed.
        "_buildhost": "localhost",
        "use_source_date_epoch_as_buildtime": 1,
        "clamp_mtime_to_source_date_epoch": 1,
        "source_date_epoch_from_changelog": 0,
        "_build_id_links": "none",
        "debug_package": "%{nil}",
        "__os_install_post": "%{nil}",
    }
    defines = [part for name, value in macros.items() for part in ("--define", f"{name} {value}")]
    command = ["rpmbuild", "-bb", "--quiet", "--target", f"{machine()[1]}-linux", "--buildroot", str(top / "root")]
    _run(*command, *defines, str(top / "package.spec"), SOURCE_DATE_EPOCH=str(package.date))
    shutil.move(top / target.name, target)
    shutil.rmtree(top)


def _spec(package: Package, root: Path) -> str:
    """Folders that other packages have, too, are not in the list: only ours, and each file elsewhere."""
    own = root / "usr/lib" / NAME
    files = [path for path in sorted((root / "usr").rglob("*")) if path.is_symlink() or path.is_file()]
    listed = [own, *(path for path in files if not path.is_relative_to(own))]
    fields = {
        "Name": NAME,
        "Version": tilde(package.version),
        "Release": "1",
        "Summary": SUMMARY,
        "License": "Apache-2.0",
        "Vendor": VENDOR,
        "Packager": package.maintainer,
        **({"URL": package.homepage} if package.homepage else {}),
        "AutoReqProv": "no",  # libraries come along
        "Requires": ", ".join((f"glibc >= {package.floor}", *RPM_DEPENDS)),
        "Recommends": "xdg-utils",
    }
    head = "".join(f"{name}: {value}\n" for name, value in fields.items())
    names = "".join(f'"/{path.relative_to(root)}"\n'.replace("%", "%%") for path in listed)
    return f"{head}\n%description\n{DESCRIPTION}\n\n%files\n%defattr(-,root,root,-)\n{names}"


# --- AppImage ---------------------------------------------------------------------------------------------------------


def appimage(package: Package, usr: Path, work: Path, target: Path, runtime: Path) -> None:
    """The runtime, then a squashfs of the folder. Bytes 8 to 10 say that it is one. Raises PackError."""
    head = runtime.read_bytes()
    if head[:4] != b"\x7fELF" or head[8:11] != b"AI\x02":
        raise PackError(f"{runtime} is no runtime of an AppImage.")
    folder, image = work / "AppDir", work / "app.squashfs"
    shutil.rmtree(folder, ignore_errors=True)
    image.unlink(missing_ok=True)
    shutil.copytree(usr, folder / "usr", symlinks=True, copy_function=_link)
    (folder / f"{NAME}.desktop").symlink_to(f"usr/share/applications/{NAME}.desktop")
    (folder / f"{NAME}.png").symlink_to(f"usr/share/icons/hicolor/256x256/apps/{NAME}.png")
    (folder / ".DirIcon").symlink_to(f"{NAME}.png")
    (folder / "AppRun").symlink_to(f"usr/lib/{NAME}/{NAME}")
    folder.chmod(0o755)
    # mksquashfs refuses its own options beside the variable.
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    command = ["mksquashfs", str(folder), str(image), "-root-owned", "-noappend", "-no-progress", "-quiet"]
    command += ["-comp", "zstd", "-Xcompression-level", "3" if package.fast else "19", "-b", "1M"]
    command += ["-mkfs-time", str(package.date), "-all-time", str(package.date)]
    if subprocess.run(command, env=environment, check=False).returncode:
        raise PackError("mksquashfs failed.")
    target.write_bytes(head + image.read_bytes())
    target.chmod(0o755)
    shutil.rmtree(folder)
    image.unlink()


# --- Flatpak ----------------------------------------------------------------------------------------------------------


def flatpak(made: Path, target: Path) -> None:
    """The manifest for flatpak-builder, which lays the .deb (made, beside it) out in /app."""
    lay_out = ("ar x package.deb", "tar -xf data.tar.*", "cp -a usr/lib usr/share /app/", "mkdir -p /app/bin")
    manifest = {
        "id": desktop_files.APP_ID,
        "runtime": "org.freedesktop.Platform",
        "runtime-version": FREEDESKTOP,
        "sdk": "org.freedesktop.Sdk",
        "command": NAME,
        "rename-desktop-file": f"{NAME}.desktop",
        "rename-icon": NAME,
        "finish-args": [f"--{permission}" for permission in FLATPAK_PERMISSIONS],
        "modules": [
            {
                "name": NAME,
                "buildsystem": "simple",
                # They are stripped, but for those that it would break (elf.py).
                "build-options": {"strip": False, "no-debuginfo": True},
                "build-commands": [*lay_out, f"ln -s ../lib/{NAME}/{NAME} /app/bin/{NAME}"],
                "sources": [
                    {
                        "type": "file",
                        "path": made.name,
                        "sha256": hashlib.sha256(made.read_bytes()).hexdigest(),
                        "dest-filename": "package.deb",
                    }
                ],
            }
        ],
    }
    target.write_text(json.dumps(manifest, indent=2) + "\n")


# --- A folder for any place ------------------------------------------------------------------------------------------


def archive(package: Package, folder: Path, target: Path) -> None:
    """The folder as .tar.xz, with nothing of who packed it. Raises PackError."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mtime = package.date
        return entry

    # A fixed number: with one thread xz makes one block of it, with any more the same blocks.
    command = ["xz", "--compress", "--stdout", "--threads=4", "-0" if package.fast else f"-{XZ_LEVEL}"]
    with target.open("wb") as file, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file) as xz:
        assert xz.stdin is not None
        with tarfile.open(fileobj=xz.stdin, mode="w|", format=tarfile.GNU_FORMAT) as tar:
            tar.add(folder, folder.name, recursive=False, filter=plain)
            for path in sorted(folder.rglob("*")):
                tar.add(path, f"{folder.name}/{path.relative_to(folder)}", recursive=False, filter=plain)
        xz.stdin.close()
        if xz.wait():
            raise PackError("xz failed.")


def _run(*command: str, **environment: str) -> None:
    told = subprocess.run(command, env={**os.environ, **environment}, check=False, capture_output=True, text=True)
    if told.returncode:
        raise PackError(f"{command[0]} failed ({told.returncode}): {(told.stderr or told.stdout).strip()[-1000:]}")
