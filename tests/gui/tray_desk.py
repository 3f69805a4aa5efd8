"""A desktop with a tray, for tests: StatusNotifier's watcher and host, a notification server, trayer for X11's kind.

Names and signatures are those of the StatusNotifierItem, com.canonical.dbusmenu and Desktop Notifications 1.2 pages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

from jeepney import (
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    message_bus,
    new_error,
    new_method_call,
    new_method_return,
    new_signal,
)
from jeepney.io.blocking import open_dbus_connection as open_blocking
from jeepney.io.threading import open_dbus_connection

from tests.gui.screen_reader.desk import Desk
from tests.gui.screen_reader.reader import LIMIT

PROPERTIES = "org.freedesktop.DBus.Properties"
WATCHER = "org.kde.StatusNotifierWatcher"
ITEM = "org.kde.StatusNotifierItem"
MENU = "com.canonical.dbusmenu"
NOTIFICATIONS = "org.freedesktop.Notifications"


def until(true: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + LIMIT
    while not (found := true()):
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)
    return found


class Servant:
    """Owns a name on the bus and answers its calls from a thread. Leaving it gives the name back."""

    name: str

    def __init__(self, bus: str) -> None:
        self.bus = bus
        self._serving = open_dbus_connection(bus)
        self._asking = open_blocking(bus)
        reply = self._asking_for_name()
        assert reply == 1, f"{self.name} has an owner"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _asking_for_name(self) -> int:
        # By the connection that serves; nothing else comes on it before.
        self._serving.send(message_bus.RequestName(self.name, 4))
        while True:
            message = self._serving.receive(timeout=LIMIT)
            answered = message.header.message_type is MessageType.method_return and message.body
            if answered and isinstance(message.body[0], int):
                return message.body[0]

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._serving.close()
        self._asking.close()
        self._thread.join(LIMIT)

    def _serve(self) -> None:
        while True:
            try:
                message = self._serving.receive()
            except Exception:  # noqa: BLE001  jeepney names no kind of a connection that was closed beside it
                return
            if message.header.message_type is not MessageType.method_call:
                continue
            fields = message.header.fields
            answer = self.answer(fields.get(HeaderFields.member, ""), message.body, fields.get(HeaderFields.sender, ""))
            with suppress(OSError):
                if answer is None:
                    self._serving.send(new_error(message, "org.freedesktop.DBus.Error.UnknownMethod"))
                else:
                    self._serving.send(new_method_return(message, *answer))

    def answer(self, member: str, body: tuple[Any, ...], sender: str) -> tuple[str | None, tuple[Any, ...]] | None:
        raise NotImplementedError

    def emit(self, path: str, signal: str, signature: str, body: tuple[Any, ...]) -> None:
        self._serving.send(new_signal(DBusAddress(path, interface=self.name), signal, signature, body))

    def ask(
        self, service: str, path: str, interface: str, method: str, signature: str = "", *body: Any
    ) -> tuple[Any, ...]:
        address = DBusAddress(path, bus_name=service, interface=interface)
        reply: Message = self._asking.send_and_get_reply(
            new_method_call(address, method, signature or None, body), timeout=LIMIT
        )
        assert reply.header.message_type is MessageType.method_return, reply.body
        return tuple(reply.body)


class Notifier(Servant):
    """Watcher and host of StatusNotifier, as a panel is both. `item` is the service that registered last."""

    name = WATCHER

    def __init__(self, bus: str) -> None:
        self.item = ""
        super().__init__(bus)
        self.emit("/StatusNotifierWatcher", "StatusNotifierHostRegistered", "", ())

    def answer(self, member: str, body: tuple[Any, ...], sender: str) -> tuple[str | None, tuple[Any, ...]] | None:
        if member == "RegisterStatusNotifierItem":
            self.item = sender if str(body[0]).startswith("/") else str(body[0])
            return None, ()
        properties = {
            "IsStatusNotifierHostRegistered": ("b", True),
            "ProtocolVersion": ("i", 0),
            "RegisteredStatusNotifierItems": ("as", [self.item] if self.item else []),
        }
        if member == "Get":
            return "v", (properties[body[1]],)
        if member == "GetAll":
            return "a{sv}", (properties,)
        return None

    # --- What a person sees and does

    def get(self, name: str) -> Any:
        return self.ask(self.item, "/StatusNotifierItem", PROPERTIES, "Get", "ss", ITEM, name)[0][1]

    def tooltip(self) -> str:
        return str(self.get("ToolTip")[2])

    def icon_sizes(self) -> list[int]:
        return sorted(width for width, _height, _data in self.get("IconPixmap"))

    def press(self) -> None:
        self.ask(self.item, "/StatusNotifierItem", ITEM, "Activate", "ii", 0, 0)

    def menu(self) -> list[str]:
        return [label for _id, label, _on, _inner in self._lines()]

    def choose(self, *path: str) -> None:
        """Press the line that these words lead to."""
        lines = self._lines()
        for word in path[:-1]:
            lines = next(inner for _id, label, _on, inner in lines if label.startswith(word))
        number = next(number for number, label, on, _inner in lines if label.startswith(path[-1]) and on)
        self.ask(self.item, str(self.get("Menu")), MENU, "Event", "isvu", number, "clicked", ("s", ""), 0)

    def _lines(self) -> list[tuple[int, str, bool, Any]]:
        layout = self.ask(self.item, str(self.get("Menu")), MENU, "GetLayout", "iias", 0, -1, [])[1]
        return _shown(layout)


def _shown(layout: Any) -> list[tuple[int, str, bool, Any]]:
    lines = []
    for _signature, (number, properties, children) in layout[2]:
        known = {name: value for name, (_kind, value) in properties.items()}
        if known.get("visible", True) and known.get("type") != "separator":
            label = str(known.get("label", "")).replace("__", "_")
            lines.append((number, label, bool(known.get("enabled", True)), _shown((number, properties, children))))
    return lines


class NoticeServer(Servant):
    """Keeps what it is asked to show. `buttons`: whether it says that it can show them."""

    name = NOTIFICATIONS

    def __init__(self, bus: str, *, buttons: bool = True) -> None:
        self._buttons = buttons
        self._last = 0
        self.shown: dict[int, tuple[str, str, list[str]]] = {}  # title, body, actions with their words
        super().__init__(bus)

    def answer(self, member: str, body: tuple[Any, ...], sender: str) -> tuple[str | None, tuple[Any, ...]] | None:
        if member == "GetCapabilities":
            return "as", (["body", *(["actions"] if self._buttons else [])],)
        if member == "Notify":
            _app, replaces, _icon, title, text, actions, _hints, _expire = body
            self._last = number = replaces or self._last + 1
            self.shown[number] = (title, text, actions)
            return "u", (number,)
        if member == "CloseNotification":
            self.shown.pop(body[0], None)
            return None, ()
        return None

    def press(self, action: str) -> None:
        """Of the notice that is shown."""
        number = next(iter(self.shown))
        self.emit("/org/freedesktop/Notifications", "ActionInvoked", "us", (number, action))
        self.shown.pop(number)
        self.emit("/org/freedesktop/Notifications", "NotificationClosed", "uu", (number, 2))


class TrayDesk(Desk):
    def __enter__(self) -> TrayDesk:
        super().__enter__()
        return self

    @property
    def bus(self) -> str:
        return self._environment["DBUS_SESSION_BUS_ADDRESS"]

    def trayer(self) -> Callable[[], None]:
        """X11's own kind of tray; returns the function that ends it."""
        process = self._start(["trayer", "--edge", "bottom", "--height", "24"])

        def end() -> None:
            process.terminate()
            process.wait(LIMIT)

        return end
