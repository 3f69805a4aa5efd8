"""Builds what a person installs: `installers/build.py deb rpm` (or appimage, flatpak, portable, windows, macos).

Says what is missing before it starts. What it makes lies in `dist`, what it needs on the way in `build/installers`. By
SOURCE_DATE_EPOCH, or else the date of the last commit, two builds of one commit on one system are the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from installers import desktop_files, elf, licences, linux_packages, stand_ins  # noqa: E402
from installers.versions import four_numbers, numbers  # noqa: E402

HERE = ROOT / "installers"
WORK = ROOT / "build" / "installers"
OUT = ROOT / "dist"
BIN = "Scripts" if os.name == "nt" else "bin"
NAME = linux_packages.NAME
MAINTAINER = "QVAC Desktop authors <qvac-desktop@qvac-desktop.invalid>"  # nobody's; a release gives one
WINDOWS_KEY = "Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\QVAC Desktop"
# How a program of Linux begins, and of macOS: for one kind of machine, and for two.
PROGRAMS = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
# target → the systems that it is built on.
SYSTEMS = {
    "deb": "linux",
    "rpm": "linux",
    "appimage": "linux",
    "flatpak": "linux",
    "portable": "",
    "windows": "win32",
    "macos": "darwin",
}


class BuildError(Exception):
    """The message says what to do."""


def say(text: str) -> None:
    print(f"› {text}", file=sys.stderr, flush=True)


# --- Before it starts -------------------------------------------------------------------------------------------------


def missing(target: str, options: argparse.Namespace) -> list[str]:
    """What this machine lacks for the target, each with what to do."""
    lacks = []
    system = SYSTEMS[target]
    payload_only = target == "windows" and options.payload is not None
    if system and sys.platform != system and not payload_only:
        lacks.append(f"A {target} package is built on {system}, and this is {sys.platform}.")
    if sys.version_info < (3, 11):  # noqa: UP036 (this file may be run by whatever Python is there)
        lacks.append(f"Python 3.11 or newer is needed; this is {platform.python_version()}.")
    if sys.platform == "linux" and not _has_shared_python():
        lacks.append("This Python has no shared library, which PyInstaller needs: take the system's, or one built with "
                     "--enable-shared.")  # fmt: skip
    tools = {
        "deb": (("dpkg-deb", "dpkg"),), "flatpak": (("dpkg-deb", "dpkg"),),
        "rpm": (("rpmbuild", "rpm"),),
        "portable": (("xz", "xz-utils"),) if sys.platform == "linux" else (),
        "appimage": (("mksquashfs", "squashfs-tools"),),
        "windows": (("makensis", "nsis"),),
        "macos": (("codesign", "Xcode's command line tools"), ("hdiutil", "macOS itself")),
    }[target]  # fmt: skip
    if not payload_only and sys.platform != "win32":
        tools = (*tools, ("cc", "a C compiler: gcc, clang"), ("nm", "binutils"), ("strip", "binutils"))
    if sys.platform == "win32":
        tools = (*tools, ("cl", "the Build Tools for Visual Studio, in their command prompt"))
    lacks += [f"{tool} is not there. Install: {where}." for tool, where in tools if shutil.which(tool) is None]
    if target == "appimage" and not (options.runtime and options.runtime.is_file()):
        lacks.append("--runtime FILE is needed: type2-runtime of AppImage, whose sum is in installers/README.md.")
    if bool(options.updates) != bool(options.updates_key):
        lacks.append("--updates and --updates-key are given together, or neither.")
    if options.scheduler is not None and not options.scheduler.is_file():
        lacks.append(f"There is no file {options.scheduler}.")
    return lacks


def _has_shared_python() -> bool:
    import sysconfig

    return bool(sysconfig.get_config_var("Py_ENABLE_SHARED"))


# --- The folder -------------------------------------------------------------------------------------------------------


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def epoch() -> int:
    """Seconds: the date of everything that is packaged."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return int(said) if said.isdecimal() else 1_767_225_600


def run(*command: str | Path, **environment: str) -> None:
    result = subprocess.run([str(part) for part in command], cwd=ROOT, env={**os.environ, **environment}, check=False)
    if result.returncode:
        raise BuildError(f"This step failed ({result.returncode}): {' '.join(str(part) for part in command)}")


def fingerprint(options: argparse.Namespace) -> str:
    files = [ROOT / "requirements.lock", HERE / "requirements.lock", HERE / "stand_ins.py"]
    parts = [path.read_bytes() for path in [*files, *([options.scheduler] if options.scheduler else [])]]
    return hashlib.sha256(b"".join(parts)).hexdigest() + sys.version


def prepare(options: argparse.Namespace) -> Path:
    """An environment of its own with exactly what the locks say. Returns its Python."""
    place = WORK / "venv"
    python = place / BIN / ("python.exe" if os.name == "nt" else "python")
    stamp = place / ".qvac-installers"
    if not (stamp.is_file() and stamp.read_text() == fingerprint(options)):
        say("Installing what is packaged, and the packagers")
        shutil.rmtree(place, ignore_errors=True)
        venv.create(place, with_pip=True)
        pip = (python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "-qq")
        run(*pip, "--require-hashes", "-r", ROOT / "requirements.lock")
        run(*pip, "--no-deps", "--require-hashes", "-r", HERE / "requirements.lock")
        if options.scheduler is not None:
            run(*pip, "--no-deps", "--no-index", options.scheduler)
        for libraries in _pyav_libraries(python):
            for name in stand_ins.replace_encoders(libraries):
                say(f"A stand-in takes the place of {name}")
        stamp.write_text(fingerprint(options))
    run(python, "-m", "pip", "--disable-pip-version-check", "install", "-qq", "--no-deps", "--no-build-isolation",
        "--force-reinstall", ROOT)  # fmt: skip
    return python


def _pyav_libraries(python: Path) -> list[Path]:
    site = site_packages(python)
    return [folder for folder in (site / "av.libs", site / "av" / ".dylibs") if folder.is_dir()]


def site_packages(python: Path) -> Path:
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def freeze(options: argparse.Namespace) -> Path:
    """The folder with the program, made once however many packages are made of it. Returns it."""
    if options.frozen is None:
        options.frozen = _freeze(options)
    return Path(options.frozen)


def _freeze(options: argparse.Namespace) -> Path:
    python = prepare(options)
    made = WORK / "made"
    desktop_files.make_icons(python, made)
    updates = {"address": options.updates, "key": options.updates_key}
    (made / "updates.json").write_text(json.dumps(updates if options.updates else {}))
    if sys.platform == "win32":
        (made / "version.txt").write_text(windows_version_text(version()))
    say("PyInstaller makes the folder")
    shutil.rmtree(WORK / "work", ignore_errors=True)
    run(
        *(python, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"),
        *("--distpath", WORK / "app", "--workpath", WORK / "work", HERE / "qvac-desktop.spec"),
        SOURCE_DATE_EPOCH=str(epoch()),
        PYTHONHASHSEED="1",
        QVAC_MADE=str(made),
        QVAC_VERSION=numbers(version()),
        QVAC_BUNDLE=desktop_files.APP_ID,
    )
    folder = WORK / "app" / ("QVAC Desktop.app" if sys.platform == "darwin" else NAME)
    inside = folder / "Contents" / "Resources" if sys.platform == "darwin" else folder
    shipped = folder / "Contents" / "Frameworks" if sys.platform == "darwin" else folder / "_internal"
    if sys.platform == "linux":
        linked = link_twins(folder)
        say(f"{linked / 1e6:.1f} MB were there twice, and are links now")
        kept = elf.strip(folder)
        say(f"Stripped, but for {len(kept)} that it would have broken: {', '.join(path.name for path in kept)}")
    parts = licences.python_parts(site_packages(python), shipped) + licences.system_parts(shipped)
    parts.append(licences.Part("python", platform.python_version(), "PSF-2.0", "generic", _python_licence()))
    (inside / "sbom.cdx.json").write_text(licences.sbom(version(), parts), encoding="utf-8")
    (inside / "LICENCES.txt").write_text(
        licences.texts((ROOT / "NOTICE").read_text(), (ROOT / "LICENSE").read_text(), parts), encoding="utf-8"
    )
    settle(folder)
    if sys.platform == "darwin":
        seal(folder)
    return folder


def seal(app: Path) -> None:
    """Sign the bundle once more: its seal names each file in it, and lists were added after PyInstaller had signed.

    The programs and libraries inside keep the signatures that PyInstaller gave them.
    """
    identity = os.environ.get("QVAC_CODESIGN_IDENTITY", "")
    hardened = ("--options", "runtime", "--timestamp", "--entitlements", HERE / "macos" / "entitlements.plist")
    run("codesign", "--force", "--sign", identity or "-", *(hardened if identity else ()), app)
    run("codesign", "--verify", "--deep", "--strict", app)


def _python_licence() -> tuple[str, ...]:
    for place in (Path(os.__file__).parent / "LICENSE.txt", Path(sys.base_prefix) / "LICENSE.txt"):
        if place.is_file():
            return (place.read_text(errors="replace"),)
    return ()


def link_twins(folder: Path) -> int:
    """Libraries that wheels carry under two names, as wheels have no links: the second becomes one. Returns bytes."""
    saved = 0
    for place in sorted({path.parent for path in folder.rglob("*.so*")}):
        seen: dict[str, Path] = {}
        # The longest name is the one that has the version, as the system's own links have it.
        for path in sorted(place.glob("*.so*"), key=lambda path: (-len(path.name), path.name)):
            if path.is_symlink() or not path.is_file():
                continue
            first = seen.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
            if first is not path:
                saved += path.stat().st_size
                path.unlink()
                path.symlink_to(first.name)
    return saved


def settle(folder: Path) -> None:
    """One date and plain rights for everything: who builds, and when, is not in the package."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_symlink():
            os.utime(path, (epoch(), epoch()), follow_symlinks=False)
            continue
        path.chmod(0o755 if path.is_dir() or _is_program(path) else 0o644)
        os.utime(path, (epoch(), epoch()))


def _is_program(path: Path) -> bool:
    """Libraries need no such right, and wheels give it to texts, too."""
    if not path.stat().st_mode & stat.S_IXUSR or path.suffix:
        return False
    with path.open("rb") as file:
        return file.read(4) in PROGRAMS


def windows_version_text(text: str) -> str:
    four = tuple(int(part) for part in four_numbers(text).split("."))
    words = {
        "CompanyName": "QVAC Desktop authors",
        "FileDescription": "QVAC Desktop",
        "FileVersion": text,
        "ProductName": "QVAC Desktop",
        "ProductVersion": text,
    }
    strings = ", ".join(f"StringStruct({name!r}, {value!r})" for name, value in words.items())
    return (
        f"VSVersionInfo(ffi=FixedFileInfo(filevers={four}, prodvers={four}), "
        f"kids=[StringFileInfo([StringTable('040904B0', [{strings}])]), "
        "VarFileInfo([VarStruct('Translation', [1033, 1200])])])\n"
    )


# --- Linux ------------------------------------------------------------------------------------------------------------


def linux_tree(options: argparse.Namespace) -> Path:
    """Where usr lies as it is on a machine that has it installed, made once for all packages."""
    if options.tree is not None:
        return Path(options.tree)
    folder = freeze(options)
    python = WORK / "venv" / BIN / "python"
    terminal = WORK / "made" / "terminal"
    desktop_files.make_terminal_files(python, terminal)
    tree = WORK / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(folder, tree / "usr/lib" / NAME, symlinks=True)
    when = datetime.fromtimestamp(epoch(), UTC)
    desktop_files.lay_down(
        tree,
        {"icons": WORK / "made", "terminal": terminal},
        {
            f"usr/share/metainfo/{desktop_files.APP_ID}.metainfo.xml": desktop_files.metainfo(
                version(), f"{when:%Y-%m-%d}", options.homepage
            ),
            f"usr/share/doc/{NAME}/copyright": desktop_files.copyright_file(options.homepage),
            f"usr/share/doc/{NAME}/README.md": (ROOT / "README.md").read_text(),
            f"usr/share/doc/{NAME}/NEWS.md": (ROOT / "CHANGELOG.md").read_text(),
        },
    )
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin" / NAME).symlink_to(f"../lib/{NAME}/{NAME}")
    settle(tree)
    options.tree = tree
    return tree


def package(options: argparse.Namespace) -> linux_packages.Package:
    if options.package is None:
        options.package = linux_packages.Package(
            version=version(),
            date=epoch(),
            floor=elf.glibc_floor(freeze(options)),
            maintainer=options.maintainer,
            homepage=options.homepage,
            fast=options.fast,
        )
    return cast("linux_packages.Package", options.package)


def deb(options: argparse.Namespace) -> Path:
    usr, about = linux_tree(options) / "usr", package(options)
    target = out(about.deb_name)
    linux_packages.deb(about, usr, WORK, target)
    return target


def rpm(options: argparse.Namespace) -> Path:
    usr, about = linux_tree(options) / "usr", package(options)
    target = out(about.rpm_name)
    linux_packages.rpm(about, usr, WORK, target)
    return target


def appimage(options: argparse.Namespace) -> Path:
    usr, about = linux_tree(options) / "usr", package(options)
    target = out(about.appimage_name)
    linux_packages.appimage(about, usr, WORK, target, options.runtime)
    return target


def flatpak(options: argparse.Namespace) -> Path:
    """The manifest, beside the .deb that it is made of."""
    made = OUT / package(options).deb_name
    if "deb" not in options.target[: options.target.index("flatpak")]:
        made = deb(options)
    target = OUT / f"{desktop_files.APP_ID}.{linux_packages.machine()[1]}.json"
    linux_packages.flatpak(made, target)
    return target


def out(name: str) -> Path:
    """Where a package of this name is put; whoever waits reads what is made."""
    OUT.mkdir(exist_ok=True)
    say(f"{name} is packed, in a minute or two")
    return OUT / name


# --- Everywhere -------------------------------------------------------------------------------------------------------


def portable(options: argparse.Namespace) -> Path:
    """The folder as an archive: unpack it anywhere, start it from there."""
    folder = freeze(options)
    OUT.mkdir(exist_ok=True)
    machine = platform.machine().lower()
    if sys.platform != "linux":
        target = OUT / f"{NAME}-{version()}-{sys.platform}-{machine}-portable.zip"
        when = datetime.fromtimestamp(epoch(), UTC)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                info = zipfile.ZipInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}", when.timetuple()[:6])
                info.external_attr = path.stat().st_mode << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, path.read_bytes())
        return target
    target = out(f"{NAME}-{version()}-linux-{machine}.tar.xz")
    linux_packages.archive(package(options), folder, target)
    return target


def windows(options: argparse.Namespace) -> Path:
    """The set-up. payload: a folder that another machine froze, or a stand-in for one."""
    folder = options.payload.resolve() if options.payload is not None else freeze(options)
    made = WORK / "made"
    made.mkdir(parents=True, exist_ok=True)
    sign(folder.glob("*.exe"))
    OUT.mkdir(exist_ok=True)
    target = OUT / f"QVAC-Desktop-{version()}-setup.exe"
    (made / "uninstall.nsh").write_text(uninstall_list(folder), encoding="utf-8")
    defines = {
        "VERSION": version(),
        "UNINSTALL_KEY": WINDOWS_KEY,
        "FOUR_NUMBERS": four_numbers(version()),
        "PAYLOAD": str(folder),
        "OUTFILE": str(target),
        "UNINSTALL_LIST": str(made / "uninstall.nsh"),
        "KILOBYTES": str(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 1024),
    }
    if (icon := made / "qvac-desktop.ico").is_file():
        defines["ICON"] = str(icon)
    say("makensis makes the set-up")
    run("makensis", "-V2", "-INPUTCHARSET", "UTF8", *(f"-D{key}={value}" for key, value in defines.items()),
        HERE / "windows" / "setup.nsi", SOURCE_DATE_EPOCH=str(epoch()))  # fmt: skip
    sign([target])
    return target


def uninstall_list(folder: Path) -> str:
    """What the uninstaller takes away: the files that were laid down and no others, then folders that are empty."""
    lines = []
    for path in sorted(folder.rglob("*"), reverse=True):
        name = str(path.relative_to(folder)).replace("/", "\\").replace("$", "$$")
        lines.append(f'{"RMDir" if path.is_dir() else "Delete"} "$INSTDIR\\{name}"')
    return "\n".join(lines) + "\n"


def sign(files: object) -> None:
    """By the command of the one who releases, with `{}` for the file; without it the set-up is not signed."""
    command = os.environ.get("QVAC_SIGN_COMMAND", "")
    for file in files if command else ():  # type: ignore[attr-defined]
        run(*(part.replace("{}", str(file)) for part in command.split()))


def macos(options: argparse.Namespace) -> Path:
    """The app in a disk image; signed and notarized where the release engineer's names for that are given."""
    app = freeze(options)
    identity = os.environ.get("QVAC_CODESIGN_IDENTITY", "")
    OUT.mkdir(exist_ok=True)
    target = OUT / f"QVAC-Desktop-{version()}-{platform.machine()}.dmg"
    stage = WORK / "dmg"
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(app, stage / app.name, symlinks=True)
    (stage / "Applications").symlink_to("/Applications")
    target.unlink(missing_ok=True)
    run("hdiutil", "create", "-volname", "QVAC Desktop", "-srcfolder", stage, "-format", "UDZO", "-fs", "HFS+", target)
    if identity:
        run("codesign", "--sign", identity, "--timestamp", target)
        if profile := os.environ.get("QVAC_NOTARY_PROFILE"):
            run("xcrun", "notarytool", "submit", target, "--keychain-profile", profile, "--wait")
            run("xcrun", "stapler", "staple", target)
    return target


TARGETS: dict[str, Callable[[argparse.Namespace], Path]] = {
    "deb": deb,
    "rpm": rpm,
    "appimage": appimage,
    "flatpak": flatpak,
    "portable": portable,
    "windows": windows,
    "macos": macos,
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="installers/build.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("target", choices=tuple(TARGETS), nargs="+")
    parser.add_argument(
        "--scheduler", type=Path, metavar="WHEEL", help="a wheel of llama-cpp-python for any machine (GGML_NATIVE=OFF)"
    )
    parser.add_argument("--runtime", type=Path, metavar="FILE", help="for appimage: AppImage's type2-runtime")
    parser.add_argument("--payload", type=Path, metavar="FOLDER", help="for windows: pack this folder, freeze nothing")
    parser.add_argument("--homepage", default="", metavar="URL", help="where the project lives, for the metadata")
    parser.add_argument("--maintainer", default=MAINTAINER, metavar="NAME <MAIL>", help="whom the package names")
    parser.add_argument("--updates", default="", metavar="URL", help="where the signed file about newer versions lies")
    parser.add_argument("--updates-key", default="", metavar="HEX", help="the public key that signs it (newest.py)")
    parser.add_argument("--fast", action="store_true", help="pack in seconds, a third larger: for a try")
    parser.add_argument("--check", action="store_true", help="say what is missing, and build nothing")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    options.frozen = options.tree = options.package = None  # each is made once
    lacks = dict.fromkeys(line for target in options.target for line in missing(target, options))
    if lacks:
        print("\n".join(lacks), file=sys.stderr)
        return 1
    if options.check:
        say("Nothing is missing.")
        return 0
    if options.payload is None and options.scheduler is None:
        say("Without --scheduler: the package has one engine, xllamacpp")
    os.environ.setdefault("SOURCE_DATE_EPOCH", str(epoch()))  # a commit meanwhile changes nothing
    for target in options.target:
        try:
            made = TARGETS[target](options)
        except (BuildError, stand_ins.StandInError, linux_packages.PackError) as error:
            print(f"Error: {error}", file=sys.stderr)
            return 1
        digest = hashlib.sha256(made.read_bytes()).hexdigest()
        made.with_name(f"{made.name}.sha256").write_text(f"{digest}  {made.name}\n")
        say(f"{made.relative_to(ROOT)}: {made.stat().st_size / 1e6:.1f} MB, sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
