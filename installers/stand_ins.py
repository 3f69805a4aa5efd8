"""Takes the GPL encoders out of the packaged PyAV: libraries that are only linked, never used, get stand-ins.

PyAV's wheels carry FFmpeg as LGPL-3.0-or-later (`avcodec_license`), with libx264 and libx265 linked to it, which are
GPL-2.0-or-later. This program only decodes, and encoders are where those two come in. A stand-in has the name of the
library and the functions that FFmpeg asks it for; each returns nothing, which FFmpeg takes as "this encoder is not to
be had". More libraries that only encoders, networks and devices need go the same way, 17 MB with all that they bring.
What decodes sound stays as it is, and so does what FFmpeg asks about the pictures of a video before it reads the sound.

Linux and macOS; it needs the C compiler. On Windows the libraries are replaced by a DLL that is made the same way with
MSVC (`cl`), from a list of exports.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

# The library's name without what auditwheel and delvewheel put behind it → why it goes.
REPLACED = {
    "libx264": "GPL-2.0-or-later, an encoder",
    "libx265": "GPL-2.0-or-later, an encoder",
    "libSvtAv1Enc": "an encoder",
    "libmp3lame": "an encoder",
    "libvpx": "encoders, and decoders that come after FFmpeg's own",
    "libvpl": "Intel's video hardware: only the sound of a video is read",
    "libgnutls": "TLS: FFmpeg reads files here, never addresses; nettle, GMP and unistring go with it",
    "libasound": "sound cards: others of our libraries play and record",
}
_NAME = re.compile(r"(?:lib)?(x264|x265|SvtAv1Enc|mp3lame|vpx|vpl|gnutls|asound)[-.\d].*", re.IGNORECASE)


class StandInError(Exception):
    """The message says what could not be replaced."""


def is_replaced(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def replace_encoders(folder: Path) -> list[str]:
    """In place, in the folder of PyAV's libraries. Returns the names that were replaced; raises StandInError."""
    libraries = sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink())
    replaced = [path for path in libraries if is_replaced(path.name)]
    users = [path for path in libraries if path not in replaced]
    for path in replaced:
        wanted = sorted(exported(path) & {symbol for user in users for symbol in imported(user)})
        if not wanted:
            raise StandInError(f"Nobody asks {path.name} for anything: leave it out instead.")
        make(path, wanted, versions(users))
        missing = set(wanted) - exported(path)
        if missing:
            raise StandInError(f"The stand-in for {path.name} lacks {', '.join(sorted(missing))}.")
    return [path.name for path in replaced]


def source(symbols: Iterable[str]) -> str:
    """C: every function returns a null of pointer size, whatever it is given."""
    lines = "".join(f"EXPORT void *{symbol}(void) {{ return 0; }}\n" for symbol in symbols)
    return (
        "#ifdef _WIN32\n#define EXPORT __declspec(dllexport)\n"
        '#else\n#define EXPORT __attribute__((visibility("default")))\n#endif\n' + lines
    )


def version_script(symbols: Iterable[str], versions: Mapping[str, str]) -> str:
    """For the linker: every function under the version that its users ask for; "" where none of them asks for one."""
    of_version: dict[str, list[str]] = {}
    for symbol in symbols:
        if symbol in versions:
            of_version.setdefault(versions[symbol], []).append(symbol)
    return "".join(f"{name} {{ global: {'; '.join(names)}; }};\n" for name, names in sorted(of_version.items()))


def make(path: Path, symbols: Sequence[str], versions: Mapping[str, str] | None = None) -> None:
    """Put a stand-in with these functions in the place of the library. Raises StandInError.

    versions: of symbols. A library that is asked for a version and has none at all ends the loader by an assertion.
    """
    with tempfile.TemporaryDirectory() as name:
        text, made, script = Path(name) / "stand_in.c", Path(name) / path.name, Path(name) / "versions"
        text.write_text(source(symbols))
        script.write_text(version_script(symbols, versions or {}))
        _run([*_compile(text, made, path), *([f"-Wl,--version-script={script}"] if script.read_text() else [])])
        path.unlink()  # it may be the same file as one elsewhere: package managers link instead of copying
        shutil.copy(made, path)


def _compile(text: Path, made: Path, path: Path) -> list[str]:
    if sys.platform == "win32":
        return ["cl", "/nologo", "/O1", "/LD", str(text), f"/Fe:{made}", f"/Fo:{made.with_suffix('.obj')}"]
    if sys.platform == "darwin":
        own = _run(["otool", "-D", str(path)]).splitlines()[-1].strip()
        return ["cc", "-Os", "-dynamiclib", "-install_name", own, "-o", str(made), str(text)]
    return [
        "cc",
        "-Os",
        "-s",
        "-shared",
        "-fPIC",
        f"-Wl,-soname,{path.name},--build-id=none",
        "-o",
        str(made),
        str(text),
    ]


def versions(users: Iterable[Path]) -> dict[str, str]:
    """What the users ask for with a version (only ELF has them): symbol → version."""
    if sys.platform != "linux":
        return {}
    said = "\n".join(_run(["nm", "-D", "--undefined-only", str(user)]) for user in users)
    return dict(re.findall(r"(\w+)@@?(\S+)$", said, re.MULTILINE))


def exported(path: Path) -> set[str]:
    return _symbols(path, "--defined-only")


def imported(path: Path) -> set[str]:
    return _symbols(path, "--undefined-only")


def _symbols(path: Path, kind: str) -> set[str]:
    if sys.platform == "win32":
        option = "/EXPORTS" if kind == "--defined-only" else "/IMPORTS"
        said = _run(["dumpbin", "/NOLOGO", option, str(path)])
        return set(re.findall(r"^\s+(?:[0-9A-F]+\s+)+(\w+)$", said, re.MULTILINE))
    if sys.platform == "darwin":
        said = _run(["nm", "-gU" if kind == "--defined-only" else "-gu", str(path)])
        return {line.split()[-1].removeprefix("_") for line in said.splitlines() if line.split()}
    said = _run(["nm", "-D", kind, str(path)])
    return {line.split()[-1].partition("@")[0] for line in said.splitlines() if line.split()}


def _run(command: Sequence[str]) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, errors="replace").stdout
    except FileNotFoundError as error:
        raise StandInError(f"{command[0]} is not there: it is needed to take the GPL encoders out.") from error
    except subprocess.CalledProcessError as error:
        raise StandInError(f"`{' '.join(command)}` said: {(error.stderr or error.stdout).strip()[-500:]}") from error
