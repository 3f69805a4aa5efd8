"""The screen under Wayland, where no program sees it by itself: the desktop is asked, and asks its user.

org.freedesktop.portal.Screenshot, version 2 (flatpak.github.io/xdg-desktop-portal). The answer comes as a signal of a
request object, whose path is known beforehand: it is listened for before the call.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import deque
from pathlib import Path
from urllib.parse import unquote, urlsplit

from app.i18n import later, tr
from app.picture_reading import UnreadPictureError

BUS_NAME = "org.freedesktop.portal.Desktop"
OBJECT = "/org/freedesktop/portal/desktop"
SCREENSHOT = "org.freedesktop.portal.Screenshot"
REQUEST = "org.freedesktop.portal.Request"
CALL_SECONDS = 10.0
USER_SECONDS = 120.0  # to answer the desktop's question
NO_PORTAL = later(
    "This desktop shows programs no screen. Take a picture of it with the desktop's own tool, and open that here."
)


def take_picture(*, part: bool) -> bytes | None:
    """A picture of the screen; `part`: the desktop lets its user choose one. None: the user does not want to.

    Waits for the user, in a thread. The desktop's file is removed. Raises UnreadPictureError where there is no portal.
    """
    try:
        from jeepney import DBusAddress, MatchRule, MessageType, message_bus, new_method_call
        from jeepney.io.blocking import Proxy, open_dbus_connection
        from jeepney.wrappers import unwrap_msg
    except ImportError as error:
        raise _refused() from error
    try:
        with open_dbus_connection(bus="SESSION") as bus:
            sender = bus.unique_name.removeprefix(":").replace(".", "_")
            token = f"qvac{secrets.token_hex(8)}"
            place = f"{OBJECT}/request/{sender}/{token}"
            rule = MatchRule(type="signal", interface=REQUEST, member="Response")
            Proxy(message_bus, bus, timeout=CALL_SECONDS).AddMatch(rule)
            portal = DBusAddress(OBJECT, bus_name=BUS_NAME, interface=SCREENSHOT)
            with bus.filter(rule, queue=deque(maxlen=16)) as answers:
                wishes = {"handle_token": ("s", token), "interactive": ("b", part), "modal": ("b", True)}
                call = new_method_call(portal, "Screenshot", "sa{sv}", ("", wishes))
                answered = bus.send_and_get_reply(call, timeout=CALL_SECONDS)
                if answered.header.message_type is MessageType.error:
                    raise _refused()
                places = {place, unwrap_msg(answered)[0]}  # old portals choose a path of their own
                end = time.monotonic() + USER_SECONDS
                while True:
                    message = bus.recv_until_filtered(answers, timeout=max(0.0, end - time.monotonic()))
                    path = next((value for key, value in message.header.fields.items() if key.name == "path"), "")
                    if path in places:
                        code, results = message.body
                        break
    except TimeoutError:
        return None
    except (OSError, KeyError, ValueError, EOFError) as error:
        # No session bus (KeyError: its address is not in the environment), or one that hangs up.
        raise _refused() from error
    if code == 1:
        return None
    uri = results.get("uri", ("s", ""))[1] if code == 0 else ""
    if not uri:
        raise _refused()
    return _content(Path(unquote(urlsplit(uri).path)))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _refused() from error
    finally:
        # The desktop wrote it for us alone, and it may show anything.
        with contextlib.suppress(OSError):
            path.unlink()


def _refused() -> UnreadPictureError:
    return UnreadPictureError(tr(NO_PORTAL), name="NO_SCREEN")
