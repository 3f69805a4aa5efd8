"""The recipes of installers/: versions that sort, what is shipped and what not, what is said before a build starts."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import plistlib
import re
import shutil
import struct
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from app.autostart import TITLE
from app.own_command import QUIT
from installers import build, desktop_files, elf, licences, stand_ins
from installers.trimmed import is_left_out, trimmed
from installers.versions import four_numbers, numbers, tilde
from tests.unit.test_requirements_lock import locked

ROOT = Path(__file__).parents[2]
RELEASE = ROOT / ".github/workflows/release.yml"
LINT = shutil.which("jactionlint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
LINK_COMMAND = "HKCU\\Software\\Classes\\qvac\\shell\\open\\command"
WINE = shutil.which("wine64") or shutil.which("wine64", path="/usr/lib/wine")
IN_ORDER = ("0.2.0.dev1", "0.2.0a1", "0.2.0b1", "0.2.0rc1.dev3", "0.2.0rc1", "0.2.0rc2", "0.2.0", "0.2.1rc1", "0.2.1")


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="Debian's own order is asked")
def test_a_candidate_is_older_than_its_release_to_dpkg() -> None:
    for older, newer in itertools.pairwise(IN_ORDER[1:]):
        asked = ["dpkg", "--compare-versions", tilde(older), "lt", tilde(newer)]
        assert subprocess.run(asked, check=False).returncode == 0, (tilde(older), tilde(newer))


def test_windows_numbers_are_in_order_too() -> None:
    found = [tuple(map(int, four_numbers(version).split("."))) for version in IN_ORDER[1:]]
    assert found == sorted(found)
    assert all(number < 65_536 for four in found for number in four)
    assert numbers("0.2.0rc1") == "0.2.0"
    with pytest.raises(ValueError, match="no version of ours"):
        tilde("0.2")


def test_the_version_of_today_has_one() -> None:
    assert tilde(build.version())
    assert build.version() == importlib.metadata.version("qvac-desktop")


@pytest.mark.parametrize(
    "place",
    [
        "PySide6/Qt/plugins/platforms/libqeglfs.so",
        "PySide6/Qt/plugins/platformthemes/libqgtk3.so",
        "PySide6\\plugins\\imageformats\\qtiff.dll",
        "PySide6/Qt/lib/libQt6Qml.so.6",
        "PySide6/Qt/translations/qtbase_fr.qm",
        "qvac_desktop-0.1.0.dist-info/direct_url.json",
        "libggml-base.so.0",
    ],
)
def test_what_nobody_needs_is_left_out(place: str) -> None:
    assert is_left_out(place)


@pytest.mark.parametrize(
    "place",
    [
        "PySide6/Qt/plugins/platforms/libqxcb.so",
        "PySide6/Qt/plugins/platforms/libqwayland.so",
        "PySide6/Qt/plugins/platforms/libqoffscreen.so",
        "PySide6/Qt/plugins/platformthemes/libqxdgdesktopportal.so",
        "PySide6/Qt/plugins/xcbglintegrations/libqxcb-egl-integration.so",
        "PySide6/Qt/plugins/iconengines/libqsvgicon.so",
        "PySide6/Qt/plugins/imageformats/libqsvg.so",
        "PySide6/Qt/plugins/tls/libqopensslbackend.so",
        "PySide6/Qt/translations/qtbase_ar.qm",
        "PySide6/Qt/lib/libicudata.so.73",
        "resources/translations/qvac_de.qm",
        "resources/self_test/tone.m4a",
        "qvac_core/models/catalog.jsonl",
        "qvac_desktop-0.1.0.dist-info/METADATA",
        "pywhispercpp.libs/libggml-base-319ad4fb.so.0.13.1",
        "llama_cpp/lib/libggml-base.so.0",
        "llama_cpp/lib/libllama.so",
    ],
)
def test_what_the_program_needs_stays(place: str) -> None:
    assert not is_left_out(place)


def test_what_is_shipped_stands_in_order() -> None:
    entries = [("b", "/b", "DATA"), ("a", "/a", "DATA"), ("PySide6/Qt/qml/x", "/x", "DATA")]
    assert trimmed(entries) == [("a", "/a", "DATA"), ("b", "/b", "DATA")]


def test_every_file_of_the_program_is_packaged() -> None:
    """What lies in our folders and is read at run time is no victim of the rules."""
    for room in ("app", "qvac_core", "resources"):
        for path in (ROOT / room).rglob("*"):
            place = path.relative_to(ROOT).as_posix()
            if path.is_file() and "__pycache__" not in place and "resources/pictures" not in place:
                assert not is_left_out(place), place


def _given(**options: object) -> Namespace:
    nothing = {"scheduler": None, "runtime": None, "payload": None, "updates": "", "updates_key": "", "frozen": None}
    return Namespace(**(nothing | options))


def test_what_is_missing_is_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _tool: None)
    monkeypatch.setattr(build, "_has_shared_python", lambda: False)
    assert build.main(["appimage"]) == 1
    said = capsys.readouterr().err
    for word in ("squashfs-tools", "--runtime", "compiler", "--enable-shared"):
        assert word in said


@pytest.mark.skipif(sys.platform != "linux", reason="the others are built on others")
def test_each_system_builds_its_own() -> None:
    assert any("is built on win32" in line for line in build.missing("windows", _given()))
    assert any("is built on darwin" in line for line in build.missing("macos", _given()))
    assert not any("is built on" in line for line in build.missing("windows", _given(payload=Path())))


def test_the_packagers_are_locked_and_stand_in_order() -> None:
    names = locked("installers/requirements.lock")
    assert names == sorted(names)
    assert {"pyinstaller", "shtab", "hatchling"} <= set(names)


@pytest.mark.parametrize(
    "name",
    [
        "libx264-d6533a8d.so.165",
        "libx265-f5385bb8.so.216",
        "libSvtAv1Enc-9393c086.so.4.1.0",
        "libx264.165.dylib",
        "vpx-1.dll",
    ],
)
def test_the_gpl_encoders_are_known(name: str) -> None:
    assert stand_ins.is_replaced(name)


@pytest.mark.parametrize("name", ["libavcodec-5e6b81c2.so.62", "libdav1d-f4b27961.so.7.0.0", "libopus-114e2b1a.so.0"])
def test_decoders_stay(name: str) -> None:
    assert not stand_ins.is_replaced(name)


def test_a_stand_in_has_the_versions_that_are_asked_for() -> None:
    """Without them the loader ends the program by an assertion (glibc 2.36)."""
    asked = {"gnutls_init": "GNUTLS_3_4", "gnutls_bye": "GNUTLS_3_4", "gnutls_rnd": "GNUTLS_3_6", "other": "X"}
    script = stand_ins.version_script(("gnutls_init", "gnutls_rnd", "gnutls_bye", "plain"), asked)
    assert script == "GNUTLS_3_4 { global: gnutls_init; gnutls_bye; };\nGNUTLS_3_6 { global: gnutls_rnd; };\n"
    assert stand_ins.version_script(("x264_open",), asked) == ""


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_a_library_that_lies_there_twice_becomes_a_link(tmp_path: Path) -> None:
    library, name = tmp_path / "lib" / "libggml.so.0", tmp_path / "lib" / "libggml.so"
    library.parent.mkdir()
    library.write_bytes(b"the same")
    name.write_bytes(b"the same")
    (tmp_path / "lib" / "libother.so").write_bytes(b"another")
    (tmp_path / "libggml.so").write_bytes(b"the same")
    assert build.link_twins(tmp_path) == len(b"the same")
    assert name.is_symlink() and name.readlink() == Path("libggml.so.0") and not library.is_symlink()
    assert not (tmp_path / "libggml.so").is_symlink(), "another folder is another package's"
    assert build.link_twins(tmp_path) == 0


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="it is compiled")
def test_a_stand_in_has_what_is_asked_for_and_answers_nothing(tmp_path: Path) -> None:
    """A library with two functions, one of them used by another: the stand-in has that one."""
    code = {"x264": "int x264_open(void) { return 7; } int x264_unused(void) { return 8; }"}
    encoder = tmp_path / "libx264-0a0a0a0a.so.165"
    _compiled(code["x264"], encoder)
    user = tmp_path / "libavcodec-0b0b0b0b.so.62"
    _compiled("int x264_open(void); int ask(void) { return x264_open(); }", user, str(encoder))
    assert stand_ins.replace_encoders(tmp_path) == [encoder.name]
    assert {symbol for symbol in stand_ins.exported(encoder) if symbol.startswith("x264")} == {"x264_open"}
    asked = [sys.executable, "-c", f"import ctypes; print(ctypes.CDLL({str(user)!r}).ask())"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "0\n"


def _compiled(code: str, target: Path, *libraries: str) -> None:
    source = target.with_suffix(".c")
    source.write_text(code)
    command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{target.name},-rpath,$ORIGIN", "-o", str(target), str(source)]
    subprocess.run([*command, *libraries], check=True)
    source.unlink()


def test_a_binary_that_strip_has_moved_is_known() -> None:
    """ELF with one LOAD segment of 4 kB pages, at a place in the file that fits its address or not."""

    def binary(offset: int) -> bytes:
        head = (
            b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        )
        return head + struct.pack("<IIQQQQQQ", 1, 5, offset, 0x3000, 0x3000, 16, 16, 0x1000)

    assert elf.is_loadable(binary(0x1000))
    assert not elf.is_loadable(binary(0x1008))


def test_the_list_of_parts_is_the_same_for_the_same_parts() -> None:
    parts = [licences.Part("b", "2", "MIT", "pypi", ("the text",)), licences.Part("a", "1", "Apache-2.0", "deb")]
    assert licences.sbom("1.0.0", parts) == licences.sbom("1.0.0", parts[::-1])
    told = licences.texts("NOTICE", "LICENSE", [*parts, licences.Part("c", "3", "MIT", "pypi", ("the text",))])
    assert told.count("the text") == 1, "a text that two share stands once"
    assert "b 2, c 3\n\nthe text" in told


def test_modules_that_are_called_after_licences_are_no_texts(tmp_path: Path) -> None:
    """PyAV has an AUTHORS.py there, and pip compiles it: a date of today would be in the list of licences."""
    info = tmp_path / "site/thing-1.0.dist-info"
    (info / "licenses/__pycache__").mkdir(parents=True)
    (info / "METADATA").write_text("Name: thing\nVersion: 1.0\nLicense-Expression: MIT\n\n")
    (info / "RECORD").write_text("thing/__init__.py,,\n")
    (info / "licenses/LICENSE").write_text("The text.")
    (info / "licenses/licenses.py").write_text("A = 1")
    (info / "licenses/__pycache__/licenses.cpython-311.pyc").write_bytes(b"\xa7\r\r\n")
    shipped = tmp_path / "shipped"
    (shipped / "thing").mkdir(parents=True)
    (shipped / "thing/__init__.pyc").touch()
    (part,) = licences.python_parts(tmp_path / "site", shipped)
    assert part.texts == ("The text.",)


@pytest.mark.skipif(shutil.which("desktop-file-validate") is None, reason="desktop-file-utils looks at it")
def test_the_desktop_takes_the_entry() -> None:
    file = ROOT / "installers/linux/qvac-desktop.desktop"
    told = subprocess.run(["desktop-file-validate", str(file)], capture_output=True, text=True, check=False)
    assert told.returncode == 0 and not told.stdout.strip(), told.stdout
    assert "x-scheme-handler/qvac" in file.read_text()


@pytest.mark.skipif(shutil.which("appstreamcli") is None, reason="appstream looks at it")
@pytest.mark.parametrize("homepage", ["", "https://example.org/qvac-desktop"])
def test_software_centres_take_the_metadata(tmp_path: Path, homepage: str) -> None:
    file = tmp_path / f"{desktop_files.APP_ID}.metainfo.xml"
    file.write_text(desktop_files.metainfo("0.2.0rc1", "2026-11-30", homepage))
    command = ["appstreamcli", "validate", "--no-net", "--pedantic", str(file)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout
    assert not [line for line in told.stdout.splitlines() if line.startswith(("E:", "W:"))], told.stdout


def test_the_uninstaller_takes_what_was_laid_down_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "_internal").mkdir()
    for name in ("qvac-desktop.exe", "_internal/a b.txt", "_internal/$cash.txt"):
        (tmp_path / name).touch()
    assert build.uninstall_list(tmp_path).splitlines() == [
        'Delete "$INSTDIR\\qvac-desktop.exe"',
        'Delete "$INSTDIR\\_internal\\a b.txt"',
        'Delete "$INSTDIR\\_internal\\$$cash.txt"',
        'RMDir "$INSTDIR\\_internal"',
    ]


@pytest.mark.skipif(shutil.which("makensis") is None, reason="NSIS compiles it")
def test_the_set_up_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = tmp_path / "payload"
    (payload / "_internal").mkdir(parents=True)
    for name in ("qvac-desktop.exe", "qvac-desktop-window.exe", "_internal/x.dll"):
        (payload / name).write_bytes(b"MZ")
    monkeypatch.setattr(build, "OUT", tmp_path)
    monkeypatch.setattr(build, "WORK", tmp_path / "work")
    made = build.windows(_given(payload=payload))
    assert made.read_bytes()[:2] == b"MZ" and made.stat().st_size > 50_000


def test_the_set_up_asks_the_program_to_end_by_an_option_that_it_has() -> None:
    script = (ROOT / "installers/windows/setup.nsi").read_text(encoding="utf-8")
    assert f"ExecWait '\"$INSTDIR\\${{WINDOW}}\" {QUIT}'" in script
    assert "FindWindow" not in script, "titles are translated, and there are several windows"
    # What the uninstaller stops and deletes is what the program installs.
    assert f'!define SERVICE "{TITLE} provider"' in script


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("makensis") is None or WINE is None, reason="NSIS and Wine")
def test_the_set_up_ends_what_runs_and_takes_only_its_own_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under Wine, with our own files as they are shipped, and a stand-in for the program that waits until a second
    start has `--quit`: installed, upgraded while it runs, refused for an older one, removed.
    """
    payload = tmp_path / "payload"
    for room in ("app", "qvac_core", "resources"):
        shutil.copytree(ROOT / room, payload / "_internal" / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("qvac-desktop.exe", "qvac-desktop-window.exe"):
        _stand_in_program(tmp_path, payload / name)
    (payload / "_internal" / "of $the older one.txt").touch()
    monkeypatch.setattr(build, "OUT", tmp_path)
    monkeypatch.setattr(build, "WORK", tmp_path / "work")
    wine = {**os.environ, "WINEPREFIX": str(tmp_path / "wine"), "WINEDEBUG": "-all", "DISPLAY": ""}

    def made(version: str) -> Path:
        monkeypatch.setattr(build, "version", lambda: version)
        return build.windows(_given(payload=payload))

    def told(*command: str | Path) -> subprocess.CompletedProcess[str]:
        line = [str(WINE), *map(str, command)]
        return subprocess.run(line, env=wine, capture_output=True, text=True, timeout=600, check=False)

    def run(*command: str | Path) -> int:
        return told(*command).returncode

    def registry(key: str) -> dict[str, str]:
        """Of the key and all below it: the value's name, "" for the key's own, and what it says."""
        said = told("reg", "query", f"HKCU\\{key}", "/s").stdout
        found = re.findall(r"(?m)^    (\(Default\)|\S.*?)    REG_\w+    (.*?)\r?$", said)
        return {name.replace("(Default)", ""): value for name, value in found}

    older = made("0.1.0")
    (payload / "_internal" / "of $the older one.txt").unlink()
    newer = made("0.2.0rc1")
    assert run(older, "/S") == 0
    (there,) = (tmp_path / "wine/drive_c/users").glob("*/AppData/Local/Programs/QVAC Desktop")
    local = there.parents[1]
    command, menu = local / "Microsoft/WindowsApps/qvac-desktop.cmd", local.parent / "Roaming/Microsoft/Windows"
    (shortcut,) = menu.rglob("QVAC Desktop.lnk")
    assert (there / "_internal/of $the older one.txt").exists() and command.exists()
    entry = registry(build.WINDOWS_KEY)
    assert entry["DisplayVersion"] == "0.1.0" and entry["InstallLocation"].endswith("Programs\\QVAC Desktop")
    assert registry("Software\\Classes\\qvac")["URL Protocol"] == ""
    assert "qvac-desktop-window.exe" in told("reg", "query", LINK_COMMAND).stdout

    window = subprocess.Popen([str(WINE), str(there / "qvac-desktop-window.exe")], env=wine, stderr=subprocess.DEVNULL)
    try:
        until(lambda: (there / "runs").exists())
        assert run(newer, "/S") == 0, "over one that runs"
        assert window.wait(60) == 0, "it ended by itself"
    finally:
        window.kill()
        window.wait(30)
    shipped = {str(path.relative_to(payload)) for path in payload.rglob("*") if path.is_file()}
    laid = {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()}
    assert laid == shipped | {"uninstall.exe"}, "the older one's file is gone"
    assert registry(build.WINDOWS_KEY)["DisplayVersion"] == "0.2.0rc1"
    assert run(older, "/S") == 4, "an older one says no"
    assert registry(build.WINDOWS_KEY)["DisplayVersion"] == "0.2.0rc1"

    data = local / "qvac-desktop"
    data.mkdir()
    (there / "a person's.txt").touch()
    assert run(there / "uninstall.exe", "/S", f"_?=Z:{there}") == 0
    assert data.is_dir()
    assert [path.name for path in there.iterdir()] == ["a person's.txt"]
    assert not command.exists() and not shortcut.exists()
    assert registry(build.WINDOWS_KEY) == {} and registry("Software\\Classes\\qvac") == {}


def _stand_in_program(folder: Path, program: Path) -> None:
    script = folder / "stand_in.nsi"
    script.write_text(
        "Unicode true\nTarget amd64-unicode\nSilentInstall silent\nRequestExecutionLevel user\n"
        '!include "FileFunc.nsh"\n'
        f'Name "x"\nOutFile "{program}"\nSection\n${{GetParameters}} $0\nStrCmp $0 "--quit" 0 run\n'
        'FileOpen $1 "$EXEDIR\\asked" w\nFileClose $1\nQuit\n'
        'run:\nFileOpen $1 "$EXEDIR\\runs" w\nFileClose $1\n'
        'again:\nSleep 100\nIfFileExists "$EXEDIR\\asked" 0 again\n'
        'Delete "$EXEDIR\\asked"\nDelete "$EXEDIR\\runs"\nSectionEnd\n'
    )
    subprocess.run(["makensis", "-V1", str(script)], check=True)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 600
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_macos_knows_the_link_and_asks_for_the_microphone() -> None:
    info = plistlib.loads((ROOT / "installers/macos/Info.plist").read_bytes())
    assert info["CFBundleURLTypes"][0]["CFBundleURLSchemes"] == ["qvac"]
    assert info["CFBundleExecutable"] == "qvac-desktop-window"
    assert info["NSMicrophoneUsageDescription"]
    plistlib.loads((ROOT / "installers/macos/entitlements.plist").read_bytes())


def test_the_release_tries_what_it_built_and_trusts_no_moving_action() -> None:
    text = RELEASE.read_text()
    for job in ("linux", "windows", "macos"):
        body = re.split(r"(?m)^  (?=\w+:$)", text.partition(f"\n  {job}:\n")[2])[0]
        assert "--self-test" in body, f"the installed program of {job}"
    for used in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", used), used


@pytest.mark.skipif(LINT is None, reason="jactionlint is not installed")
def test_the_release_workflow_is_sound() -> None:
    """Keys, expressions, runners that are gone, rights, and the shell of its steps where shellcheck is there."""
    told = subprocess.run([str(LINT), "--no-color", str(RELEASE)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_release_names_no_option_that_the_builder_lacks() -> None:
    text = RELEASE.read_text()
    for line in text.replace("\\\n", " ").splitlines():
        if "installers/build.py" in line:
            words = line.split("installers/build.py")[1].split()
            targets = list(itertools.takewhile(lambda word: word in build.TARGETS, words))
            assert targets, line
            known = build.build_parser().format_help()
            assert all(option in known for option in re.findall(r"--[a-z-]+", line)), line
