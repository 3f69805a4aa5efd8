"""Built packages, installed where nothing else is: the self-test, a window, two copies that talk, upgrade, removal.

Long: it builds them first. Those that lie somewhere already are taken by QVAC_TEST_PACKAGES=FOLDER.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from app.autostart import XdgAutostart
from app.own_command import IN_TRAY
from installers import build
from installers.versions import tilde
from qvac_core.hyperdht import KeyPair
from qvac_core.store import Database
from qvac_core.store.conversations import Conversations
from qvac_core.store.records import Message
from qvac_core.store.schema import MIGRATIONS
from tests.e2e.program import Program
from tests.installers.bare_root import HOME, PERSON, Room, Root, why_not
from tests.installers.packages import Packages, as_older, packages

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]

PROVIDER_SEED, GUEST_SEED = "a1" * 32, "a2" * 32
KEY = KeyPair.from_seed(bytes.fromhex(PROVIDER_SEED)).public_key.hex()
GUEST_KEY = KeyPair.from_seed(bytes.fromhex(GUEST_SEED)).public_key.hex()
ODD_HOME = """/home/Zoë "odd" $HOME %n 'q' \\ ٣ 家"""
OLDER = "0.0.9"
OLD_SCHEMA = 8  # of a database before conversations had branches
DATA = f"{HOME}/.local/share/qvac-desktop"
PROGRAM = "/usr/lib/qvac-desktop/qvac-desktop"
LIMIT = 240.0  # seconds for a window to be seen, on a machine that is busy


@pytest.fixture(scope="module")
def built() -> Packages:
    return packages()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with Room(tmp_path_factory.mktemp("room")) as room:
        yield room


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A display of the host with a window manager and a tray; its socket is a file that roots can be given."""
    read, write = os.pipe()
    with ExitStack() as stack:
        server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-ac", "-nolisten", "tcp", "-screen", "0", "1280x900x24"],
            pass_fds=(write,),
            stderr=subprocess.DEVNULL,
        )
        stack.callback(_end, server)
        os.close(write)
        with os.fdopen(read) as said:
            display = f":{said.readline().strip()}"
        for tool in (["openbox"], ["trayer", "--edge", "top", "--width", "20"]):
            helper = subprocess.Popen(
                tool,
                env={**os.environ, "DISPLAY": display},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(_end, helper)
        yield display


def _end(process: subprocess.Popen[Any]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(15)


@pytest.fixture(scope="module")
def deb(room: Room, built: Packages) -> Root:
    root = room.root("deb")
    root.bring(built.deb, "/packages/qvac-desktop.deb")
    root.apt("install", "/packages/qvac-desktop.deb")
    return root


@pytest.fixture(scope="module")
def rpm(room: Room, built: Packages, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """Unpacked: nothing here knows rpm."""
    root = room.root("rpm")
    tree = tmp_path_factory.mktemp("rpm")
    archive = subprocess.run(["rpm2cpio", str(built.rpm)], capture_output=True, check=True).stdout
    subprocess.run(["cpio", "-idm", "--quiet"], cwd=tree, input=archive, check=True)
    room.run("cp", "-a", f"{tree}/usr", root.tree)
    shutil.rmtree(tree)
    return root


@pytest.fixture(scope="module")
def portable(room: Room, built: Packages) -> Root:
    """Unpacked by a person, then made read-only: a folder on a stick."""
    root = room.root("portable")
    place = root.tree / "opt"
    room.run("tar", "-xf", built.portable, "-C", place)
    room.run("mount", "--bind", place / "qvac-desktop", place / "qvac-desktop")
    room.run("mount", "-o", "remount,bind,ro", place / "qvac-desktop")
    return root


def _whole(root: Root, *command: str, **options: str) -> str:
    """What the self-test said; it must have passed."""
    told = root.run(*command, "--self-test", **options)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "Everything works." in told.stdout
    assert "skipped" not in told.stdout, told.stdout
    return told.stdout


# --- The .deb ---------------------------------------------------------------------------------------------------------


def test_the_root_has_nothing_that_the_program_could_lean_on(deb: Root) -> None:
    for name in ("python3", "cc", "gcc", "pip", "node", "xdg-open"):
        assert deb.run("sh", "-c", f"command -v {name}").returncode != 0, name
    assert deb.room.run("ip", "route").strip() == "", "no way out"


def test_the_package_is_no_larger_than_it_may_be(built: Packages) -> None:
    members = subprocess.run(["ar", "t", str(built.deb)], capture_output=True, text=True, check=True).stdout.split()
    if "data.tar.zst" in members:
        pytest.skip("packed by --fast")
    assert built.deb.stat().st_size <= 120e6


def test_lintian_has_no_errors(built: Packages) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    command = ["lintian", "--allow-root", "--fail-on", "error", str(built.deb)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


def test_the_command_is_there_with_its_page_and_its_words(deb: Root) -> None:
    assert deb.run("qvac-desktop", "--version").stdout.strip() == f"qvac-desktop {build.version()}"
    for place in (
        "usr/share/man/man1/qvac-desktop.1.gz",
        "usr/share/bash-completion/completions/qvac-desktop",
        "usr/share/applications/qvac-desktop.desktop",
        "usr/lib/qvac-desktop/LICENCES.txt",
    ):
        assert (deb.upper / place).is_file(), place


def test_every_part_works_with_real_models(deb: Root, built: Packages, small_model_path: Path, tiny: Path) -> None:
    chat = deb.bring(small_model_path, "/models/chat.gguf")
    speech = deb.bring(tiny, "/models/ggml-tiny.en.bin")
    told = deb.run("qvac-desktop", "--self-test", chat, speech)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "chat, xllamacpp" in told.stdout
    assert ("chat, llama-cpp-python" in told.stdout) is built.both_engines
    assert "packaged" in told.stdout and "skipped" not in told.stdout


def _odd_home(root: Root, owner: int = PERSON) -> dict[str, str]:
    """Made there; what a command is started with to have it for its own."""
    root.as_root("mkdir", "-p", f"{ODD_HOME}/temporary folder")
    root.as_root("chown", "-R", f"{owner}:{owner}", ODD_HOME)
    return {"TMPDIR": f"{ODD_HOME}/temporary folder"}


def test_a_home_full_of_odd_letters(deb: Root) -> None:
    """The program's own folder is root's: nobody who starts it can write there."""
    assert deb.run("touch", "/usr/lib/qvac-desktop/x").returncode != 0
    _whole(deb, "qvac-desktop", home=ODD_HOME, **_odd_home(deb))
    assert deb.run("qvac-desktop", "public-key", home=ODD_HOME).returncode == 0
    assert (deb.upper / ODD_HOME.lstrip("/") / ".local/share/qvac-desktop").is_dir()


def test_a_window_is_seen_and_ends_when_it_is_asked_to(deb: Root, screen: str, tmp_path: Path) -> None:
    number = screen.lstrip(":")
    deb.room.run("mkdir", "-p", deb.tree / "tmp/.X11-unix")
    deb.room.run("mount", "--bind", "/tmp/.X11-unix", deb.tree / "tmp/.X11-unix")
    assert (Path("/tmp/.X11-unix") / f"X{number}").exists()
    log = tmp_path / "window.log"
    with log.open("wb") as said:
        window = subprocess.Popen(
            deb.command("qvac-desktop", "--no-local-network", "--bootstrap", "127.0.0.1:1", DISPLAY=screen),
            stdout=said,
            stderr=said,
        )
    try:
        _until(lambda: _window_named("QVAC Desktop", screen), "a window", window)
        _until(lambda: _colours(screen, tmp_path / "screen.png") > 100, "something painted in it", window)
        _until(lambda: _in_the_tray(screen), "an icon in the tray", window)
        ended = deb.run("qvac-desktop", "--quit", DISPLAY=screen)
        assert ended.returncode == 0, ended.stderr
        assert window.wait(60) == 0, log.read_text()
    finally:
        _end(window)
    assert "Traceback" not in log.read_text(), log.read_text()


def _until(found: Callable[[], Any], what: str, process: subprocess.Popen[Any]) -> Any:
    end = time.monotonic() + LIMIT
    while not (value := found()):
        assert process.poll() is None, f"it ended before there was {what}"
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.2)
    return value


def _tree(display: str) -> list[str]:
    command = ["xwininfo", "-root", "-tree", "-display", display]
    # It ends with 1 where a window goes while it counts them.
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()


def _window_named(name: str, display: str) -> str:
    """Its number; "" while there is none that is as large as a window."""
    for line in _tree(display):
        parts = line.split()
        sizes = [part for part in parts if "x" in part and "+" in part]
        if f'"{name}"' in line and sizes and int(sizes[0].partition("x")[0]) > 300:
            return parts[0]
    return ""


def _colours(display: str, picture: Path) -> int:
    """Of the whole screen: a window that is just being shown has another number the next moment."""
    command = ["import", "-display", display, "-window", "root", str(picture)]
    taken = subprocess.run(command, check=False, timeout=60)
    if taken.returncode:
        return 0
    command = ["identify", "-format", "%k", str(picture)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout or 0)


def _in_the_tray(display: str) -> bool:
    """Trayer's window has one inside that is ours."""
    lines = _tree(display)
    begins = [number for number, line in enumerate(lines) if '"panel"' in line or '"trayer"' in line.lower()]
    return any("qvac" in line.lower() for begin in begins for line in lines[begin : begin + 12])


def test_two_installed_copies_talk(deb: Root, rpm: Root, small_model_path: Path) -> None:
    """One of the .deb shares, one of the .rpm asks; they meet on loopback."""
    model = deb.bring(small_model_path, "/models/shared.gguf")
    with ExitStack() as stack:
        net = stack.enter_context(deb.room.network())
        entrance = str(net.until("ready")["bootstrap"][0])
        network = ("--bootstrap", entrance, "--no-local-network")
        provider = stack.enter_context(
            Program(
                deb.command(
                    *("qvac-desktop", "provider", "--json", "--seed", PROVIDER_SEED, "--allow", GUEST_KEY),
                    *("--model", model, *network),
                )
            )
        )
        provider.until("ready", LIMIT)
        asked = ("chat", KEY, "--seed", GUEST_SEED, "--temp", "0", "--predict", "16")
        answer = rpm.run("qvac-desktop", *asked, "--prompt", "What is the capital of France?", *network)
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.strip()
        provider.interrupt()
        assert provider.process.wait(60) == 130


# --- Upgrade and removal ----------------------------------------------------------------------------------------------


def test_an_upgrade_keeps_the_data_and_a_purge_leaves_only_that(room: Room, built: Packages, tmp_path: Path) -> None:
    root = room.root("upgrade")
    root.bring(as_older(built.deb, OLDER, tmp_path), "/packages/older.deb")
    root.bring(built.deb, "/packages/qvac-desktop.deb")
    before = root.left()
    root.apt("install", "/packages/older.deb")
    gone = root.upper / "usr/lib/qvac-desktop/_internal/of-the-older-one.txt"
    assert gone.is_file()
    key = root.run("qvac-desktop", "public-key").stdout
    _old_database(root, tmp_path)

    root.apt("install", "/packages/qvac-desktop.deb")
    said = root.as_root("dpkg-query", "--show", "--showformat", "${Version}", "qvac-desktop")
    assert said == tilde(build.version())
    assert not gone.is_file()
    assert root.run("qvac-desktop", "public-key").stdout == key
    listed = root.run("qvac-desktop", "conversations", "list")
    assert "A talk of long ago" in listed.stdout, listed.stderr
    kept = list((root.upper / DATA.lstrip("/")).glob(f"qvac.db.schema-{OLD_SCHEMA}-*"))
    assert len(kept) == 1, "the database as the older version left it"

    autostart = XdgAutostart(root.upper / f"{HOME.lstrip('/')}/.config", "qvac-desktop")
    autostart.write((PROGRAM, IN_TRAY))  # as the switch in Settings does
    homes = _contents(root.upper / HOME.lstrip("/"))
    root.apt("purge", "qvac-desktop")
    assert not set(root.left()) - set(before), "only what was there before, and the person's data"
    assert _contents(root.upper / HOME.lstrip("/")) == homes
    # The entry is the person's own; a desktop passes over it, as its TryExec is gone.
    assert f"TryExec={PROGRAM}\n" in autostart.file.read_text()


def _old_database(root: Root, folder: Path) -> None:
    """A conversation in a database of an earlier version, in the person's data folder."""
    file = folder / "qvac.db"
    old = Database.open(file, now=0.0, migrations=MIGRATIONS[:OLD_SCHEMA])
    old.execute("INSERT INTO conversations VALUES ('c', 'A talk of long ago', 0, 0, 0, '', '')")
    old.execute(
        "INSERT INTO messages (id, conversation_id, role, text, created_at, status) VALUES (?, ?, ?, ?, ?, ?)",
        ("m", "c", "user", "Is anybody there?", 1.0, "done"),
    )
    old.close()
    newest = folder / "newest.db"
    shutil.copy(file, newest)
    migrated = Database.open(newest, now=0.0)
    assert Conversations(migrated).messages("c") == (Message("m", "user", "Is anybody there?", 1.0),)
    migrated.close()
    root.room.run("rm", "-f", *(f"{root.tree}{DATA}/qvac.db{tail}" for tail in ("", "-wal", "-shm")))
    root.room.run("install", "-o", str(PERSON), "-g", str(PERSON), "-m", "600", file, f"{root.tree}{DATA}/qvac.db")


def _contents(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- The others -------------------------------------------------------------------------------------------------------


def test_the_rpm_unpacked_works(rpm: Root, built: Packages) -> None:
    _whole(rpm, "qvac-desktop")
    asked = subprocess.run(["rpm", "-qp", "--requires", str(built.rpm)], capture_output=True, text=True, check=True)
    assert "libglvnd-egl" in asked.stdout.split()


def test_the_portable_folder_works_read_only_for_a_home_full_of_odd_letters(portable: Root) -> None:
    program = "/opt/qvac-desktop/qvac-desktop"
    assert portable.run("sh", "-c", "touch /opt/qvac-desktop/x").returncode != 0
    _whole(portable, program, home=ODD_HOME, **_odd_home(portable))
    as_root = portable.root_command("touch", "/opt/qvac-desktop/x")
    assert subprocess.run(as_root, capture_output=True, check=False).returncode != 0, "nor may anybody else write there"


def test_a_portable_folder_works_from_a_place_with_odd_letters(portable: Root) -> None:
    _odd_home(portable)
    place = f"{ODD_HOME}/my programs"
    portable.as_root("mkdir", "-p", place)
    portable.room.run("mount", "--bind", portable.tree / "opt", f"{portable.tree}{place}")
    _whole(portable, f"{place}/qvac-desktop/qvac-desktop")


@pytest.mark.parametrize("way", ["by FUSE", "unpacked at each start"])
def test_the_appimage_works(room: Room, built: Packages, way: str) -> None:
    """Its own folder is read-only by nature, and lies where the odd letters are: in the temporary folder."""
    if built.appimage is None:
        pytest.skip("no runtime was given: QVAC_TEST_APPIMAGE_RUNTIME")
    root = room.root(f"appimage {way.split()[0]}".replace(" ", "-"))
    place = root.bring(built.appimage, "/opt/QVAC.AppImage")
    room.run("chmod", "1777", root.tree / "tmp")
    if way == "by FUSE":
        # What opens the device for people is fusermount, which a bare root lacks: root needs none.
        command = root.root_command(place, "--self-test", HOME=ODD_HOME, **_odd_home(root, owner=0))
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        assert told.returncode == 0 and "Everything works." in told.stdout, told.stdout + told.stderr
    else:
        _whole(root, place, home=ODD_HOME, APPIMAGE_EXTRACT_AND_RUN="1", **_odd_home(root))
