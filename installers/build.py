"""Builds what a person installs: `python3 installers/build.py deb rpm` (or appimage, portable, windows, macos).

Says what is missing before it starts. What it makes lies in `dist`, what it needs on the way in `build/installers`. By
SOURCE_DATE_EPOCH, or else the date of the last commit, two builds of one commit on one system are the same.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from installers import desktop_files, elf, licences, stand_ins  # noqa: E402
from installers.versions import four_numbers, numbers, tilde  # noqa: E402

HERE = ROOT / "installers"
WORK = ROOT / "build" / "installers"
OUT = ROOT / "dist"
BIN = "Scripts" if os.name == "nt" else "bin"
NAME = "qvac-desktop"
MAINTAINER = "QVAC Desktop authors <qvac-desktop@localhost.localdomain>"  # nobody's: whoever releases gives one
DEPENDS = (
    *("libgl1", "libegl1", "libxcb1", "libwayland-client0", "libwayland-cursor0", "libwayland-egl1", "libdrm2"),
    *("fontconfig-config", "fonts-dejavu-core | fonts-noto-core", "hicolor-icon-theme"),
)
RPM_DEPENDS = ("libglvnd-glx", "libglvnd-egl", "libxcb", "libwayland-client", "libwayland-cursor", "libwayland-egl")
MACHINES = {"x86_64": ("amd64", "x86_64"), "AMD64": ("amd64", "x86_64"), "aarch64": ("arm64", "aarch64")}
# target → the systems that it is built on.
SYSTEMS = {
    "deb": "linux",
    "rpm": "linux",
    "appimage": "linux",
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
        "deb": (), "rpm": (), "portable": (),
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
    return folder


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
        executable = path.is_dir() or (path.stat().st_mode & stat.S_IXUSR and path.suffix == "")
        path.chmod(0o755 if executable else 0o644)
        os.utime(path, (epoch(), epoch()))


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
    """/usr as it is on a machine that has it installed."""
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
    log = desktop_files.changelog(version(), format_datetime(when), options.maintainer)
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, packed, mtime=0) as file:
        file.write(log.encode())
    (tree / f"usr/share/doc/{NAME}/changelog.gz").write_bytes(packed.getvalue())
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin" / NAME).symlink_to(f"../lib/{NAME}/{NAME}")
    settle(tree)
    return tree


def deb(options: argparse.Namespace) -> Path:
    return nfpm("deb", linux_tree(options), options)


def rpm(options: argparse.Namespace) -> Path:
    return nfpm("rpm", linux_tree(options), options)


def nfpm(kind: str, tree: Path, options: argparse.Namespace) -> Path:
    deb_machine, rpm_machine = MACHINES[platform.machine()]
    floor = elf.glibc_floor(tree / "usr/lib" / NAME)
    config = nfpm_config(kind, tree, floor, deb_machine, options)
    file = WORK / f"nfpm-{kind}.json"
    file.write_text(json.dumps(config, indent=1))
    name = {
        "deb": f"{NAME}_{tilde(version())}_{deb_machine}.deb",
        "rpm": f"{NAME}-{tilde(version())}-1.{rpm_machine}.rpm",
    }[kind]
    OUT.mkdir(exist_ok=True)
    say(f"nfpm packs {name}")
    program = WORK / "venv" / BIN / "nfpm"
    run(
        program, "package", "--config", file, "--packager", kind, "--target", OUT / name, SOURCE_DATE_EPOCH=str(epoch())
    )
    return OUT / name


def lintian_overrides() -> dict[str, object]:
    """Of nfpm's contents: beside the tree, which other packages are made of, too."""
    file = WORK / "lintian-overrides"
    shutil.copyfile(HERE / "linux" / "lintian-overrides", file)
    os.utime(file, (epoch(), epoch()))
    return {"src": str(file), "dst": f"/usr/share/lintian/overrides/{NAME}", "file_info": {"mode": 0o644}}


def nfpm_config(kind: str, tree: Path, floor: str, machine: str, options: argparse.Namespace) -> dict[str, object]:
    when = f"{datetime.fromtimestamp(epoch(), UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {
        "name": NAME,
        "arch": machine,
        "platform": "linux",
        "version": tilde(version()),
        "version_schema": "none",
        "release": "" if kind == "deb" else "1",
        "section": "net",
        "priority": "optional",
        "maintainer": options.maintainer,
        "vendor": "QVAC Desktop authors",
        **({"homepage": options.homepage} if options.homepage else {}),
        "license": "Apache-2.0",
        "description": (
            "Share a GPU by public key, and chat through it\n"
            "Use a friend's GPU as if it were yours, or let a friend use yours. The\n"
            "machines find each other by key on a peer-to-peer network and speak\n"
            "end-to-end encrypted. Python, Qt and llama.cpp come with it."
        ),
        "mtime": when,
        "umask": 0o022,
        # A folder as it is, links and the executable among it: a pattern would leave levels out without a word.
        "contents": [
            {"src": str(tree / "usr"), "dst": "/usr", "type": "tree"},
            *([lintian_overrides()] if kind == "deb" else []),
        ],
        "depends": [f"libc6 (>= {floor})", *DEPENDS] if kind == "deb" else [f"glibc >= {floor}", *RPM_DEPENDS],
        "recommends": ["xdg-utils"],
        "deb": {"compression": "zstd" if options.fast else "xz"},
        "rpm": {
            "compression": "zstd:3" if options.fast else "zstd:19",
            "summary": "Share a GPU by public key, and chat through it",
        },
    }


def appimage(options: argparse.Namespace) -> Path:
    """The runtime, then a squashfs of the folder. Bytes 8 to 10 say that it is one."""
    tree = linux_tree(options)
    folder = WORK / "AppDir"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tree, folder, symlinks=True)
    (folder / f"{NAME}.desktop").symlink_to(f"usr/share/applications/{NAME}.desktop")
    (folder / f"{NAME}.png").symlink_to(f"usr/share/icons/hicolor/256x256/apps/{NAME}.png")
    (folder / ".DirIcon").symlink_to(f"{NAME}.png")
    (folder / "AppRun").symlink_to(f"usr/lib/{NAME}/{NAME}")
    settle(folder)
    image = WORK / "app.squashfs"
    image.unlink(missing_ok=True)
    say("mksquashfs packs the AppImage")
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    command = ["mksquashfs", str(folder), str(image), "-root-owned", "-noappend", "-no-progress", "-quiet"]
    command += ["-comp", "zstd", "-Xcompression-level", "3" if options.fast else "19", "-b", "1M"]
    command += ["-mkfs-time", str(epoch()), "-all-time", str(epoch())]
    if subprocess.run(command, env=environment, check=False).returncode:
        raise BuildError("mksquashfs failed.")
    runtime = options.runtime.read_bytes()
    if runtime[:4] != b"\x7fELF" or runtime[8:11] != b"AI\x02":
        raise BuildError(f"{options.runtime} is no runtime of an AppImage.")
    OUT.mkdir(exist_ok=True)
    target = OUT / f"QVAC_Desktop-{version()}-{MACHINES[platform.machine()][1]}.AppImage"
    target.write_bytes(runtime + image.read_bytes())
    target.chmod(0o755)
    return target


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
    target = OUT / f"{NAME}-{version()}-linux-{machine}.tar.xz"
    say(f"{target.name} is packed, in a minute or two")

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mtime = epoch()
        return entry

    with tarfile.open(target, "w:xz", preset=0 if options.fast else 6) as archive:
        archive.add(folder, folder.name, recursive=False, filter=plain)
        for path in sorted(folder.rglob("*")):
            archive.add(path, f"{folder.name}/{path.relative_to(folder)}", recursive=False, filter=plain)
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
    if identity:
        run("codesign", "--verify", "--deep", "--strict", app)
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
    "portable": portable,
    "windows": windows,
    "macos": macos,
}


def main(arguments: Sequence[str] | None = None) -> int:
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
    options = parser.parse_args(arguments)
    options.frozen = None
    lacks = dict.fromkeys(line for target in options.target for line in missing(target, options))
    if lacks:
        print("\n".join(lacks), file=sys.stderr)
        return 1
    if options.check:
        say("Nothing is missing.")
        return 0
    if options.payload is None and options.scheduler is None:
        say("Without --scheduler: the package has one engine, xllamacpp")
    for target in options.target:
        try:
            made = TARGETS[target](options)
        except (BuildError, stand_ins.StandInError) as error:
            print(f"Error: {error}", file=sys.stderr)
            return 1
        digest = hashlib.sha256(made.read_bytes()).hexdigest()
        made.with_name(f"{made.name}.sha256").write_text(f"{digest}  {made.name}\n")
        say(f"{made.relative_to(ROOT)}: {made.stat().st_size / 1e6:.1f} MB, sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
