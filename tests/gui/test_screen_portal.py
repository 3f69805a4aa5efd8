"""The screen under Wayland: the desktop's portal on a session bus of its own, which another process answers for."""

from __future__ import annotations

import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app import screen_portal
from app.picture_reading import UnreadPictureError
from app.screen_portal import take_picture

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("dbus-daemon") is None, reason="the session bus is Linux's"
)

# A desktop: grants the picture, refuses, is asked by a user who leaves, or waits for one for ever (`silent`); `old`
# answers at a path of its own.
PORTAL = """
import sys
from jeepney import DBusAddress, HeaderFields, MessageType, message_bus, new_method_return, new_signal, new_error
from jeepney.io.blocking import Proxy, open_dbus_connection
way, picture = sys.argv[1:]
with open_dbus_connection(bus="SESSION") as bus:
    Proxy(message_bus, bus).RequestName("org.freedesktop.portal.Desktop")
    print("ready", flush=True)
    while True:
        call = bus.receive()
        if call.header.message_type is not MessageType.method_call:
            continue
        if way == "error":
            bus.send(new_error(call, "org.freedesktop.DBus.Error.AccessDenied"))
            continue
        parent, wishes = call.body
        sender = call.header.fields[HeaderFields.sender].removeprefix(":").replace(".", "_")
        token = wishes["handle_token"][1]
        path = f"/org/freedesktop/portal/desktop/request/{sender}/{token}"
        if way == "old":
            path = "/org/freedesktop/portal/desktop/request/old"
        print("part" if wishes["interactive"][1] else "whole", flush=True)
        bus.send(new_method_return(call, "o", (path,)))
        if way == "silent":
            continue
        request = DBusAddress(path, interface="org.freedesktop.portal.Request")
        code = {"left": 1, "failed": 2}.get(way, 0)
        results = {"uri": ("s", picture)} if code == 0 else {}
        bus.send(new_signal(request, "Response", "ua{sv}", (code, results)))
"""


def line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], 60)
    assert ready
    return process.stdout.readline().decode().strip()


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with running(["dbus-daemon", "--session", "--nofork", "--print-address=1"]) as daemon:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", line(daemon))
        yield


@contextmanager
def portal(way: str, picture: Path) -> Iterator[subprocess.Popen[bytes]]:
    with running([sys.executable, "-c", PORTAL, way, picture.as_uri()]) as process:
        assert line(process) == "ready"
        yield process


@pytest.mark.parametrize("way", ["new", "old"])
@pytest.mark.parametrize("part", [False, True])
def test_the_picture_is_handed_over_and_does_not_stay(tmp_path: Path, way: str, part: bool) -> None:
    picture = tmp_path / "Screen shot ä.png"
    picture.write_bytes(b"a picture")
    with portal(way, picture) as desktop:
        assert take_picture(part=part) == b"a picture"
        assert line(desktop) == ("part" if part else "whole")
    assert not picture.exists()


def test_a_user_who_leaves_is_no_trouble(tmp_path: Path) -> None:
    with portal("left", tmp_path / "none.png"):
        assert take_picture(part=True) is None


@pytest.mark.parametrize("way", ["failed", "error", "new"])
def test_a_desktop_that_refuses_is_told_of(tmp_path: Path, way: str) -> None:
    with portal(way, tmp_path / "none.png"), pytest.raises(UnreadPictureError, match="open that here"):
        take_picture(part=False)


def test_a_desktop_without_a_portal(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadPictureError, match="open that here"):
        take_picture(part=False)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    with pytest.raises(UnreadPictureError, match="open that here"):
        take_picture(part=False)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere")
    with pytest.raises(UnreadPictureError, match="open that here"):
        take_picture(part=False)


def test_a_question_that_nobody_answers_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen_portal, "USER_SECONDS", 0.0)
    with portal("silent", tmp_path / "none.png"):
        assert take_picture(part=True) is None
