"""Notices of the desktop with buttons: org.freedesktop.Notifications 1.2 on Linux, else a balloon of the tray.

A server without buttons, and the balloon, know one answer: a click, which is `DEFAULT`.
"""

from __future__ import annotations

import asyncio
import html
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.instance import TOKEN_VARIABLE
from qvac_core.store.folders import APP_NAME

DEFAULT = "default"
ANSWER_SECONDS = 5.0  # for the session bus
PATH, NAME = "/org/freedesktop/Notifications", "org.freedesktop.Notifications"
Balloon = Callable[[str, str], None]


class Notices(QObject):
    """`pressed(name, action)`: a button, or DEFAULT. One notice of a name at a time: a new one takes its place."""

    pressed = Signal(str, str)

    def __init__(self, balloon: Balloon, parent: QObject | None = None) -> None:
        """balloon(title, sentence): where there is nothing better; its click is told by `balloon_clicked`."""
        super().__init__(parent)
        self._balloon = balloon
        self._last_balloon = ""
        self._stack = AsyncExitStack()
        self._router: Any = None
        self._reading: asyncio.Task[None] | None = None
        self._abilities: tuple[str, ...] | None = None  # None: no server was asked yet
        self._ids: dict[str, int] = {}

    async def show(self, name: str, title: str, sentence: str, buttons: Mapping[str, str]) -> None:
        """buttons: action → its word. Never fails: a session without notices has the balloon, or none."""
        if sys.platform == "linux" and await self._open():
            body = html.escape(sentence, quote=False) if "body-markup" in (self._abilities or ()) else sentence
            words = {DEFAULT: "", **buttons} if "actions" in (self._abilities or ()) else {}
            actions = [text for pair in words.items() for text in pair]
            hints = {"desktop-entry": ("s", APP_NAME), "category": ("s", "im.received")}
            said = await self._ask(
                "Notify", "susssasa{sv}i", (
                    "QVAC Desktop", self._ids.get(name, 0), APP_NAME, title, body, actions, hints, -1,
                )
            )  # fmt: skip
            if said is not None:
                self._ids[name] = int(said[0])
                return
        self._last_balloon = name
        self._balloon(title, sentence)

    async def take_back(self, name: str) -> None:
        """What it asked was answered elsewhere."""
        if (known := self._ids.pop(name, None)) is not None and self._router is not None:
            await self._ask("CloseNotification", "u", (known,))

    def balloon_clicked(self) -> None:
        if self._last_balloon:
            self.pressed.emit(self._last_balloon, DEFAULT)

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        await self._stack.aclose()
        self._router = None

    # --- The bus

    async def _open(self) -> bool:
        """Connected, and a server answers. A session without one is asked again at the next notice."""
        if self._router is None and os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
            from jeepney import MatchRule, message_bus
            from jeepney.io.asyncio import Proxy, open_dbus_router

            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    router = await self._stack.enter_async_context(open_dbus_router("SESSION"))
                    rule = MatchRule(type="signal", path=PATH, interface=NAME)
                    signals = self._stack.enter_context(router.filter(rule, bufsize=64))
                    await Proxy(message_bus, router).AddMatch(rule)
            except (OSError, TimeoutError, EOFError, ValueError):
                return False
            self._router = router
            self._reading = asyncio.ensure_future(self._read(signals))
        if self._router is not None and self._abilities is None:
            said = await self._ask("GetCapabilities", "", ())
            self._abilities = tuple(map(str, said[0])) if said is not None else None
        return self._abilities is not None

    async def _ask(self, method: str, signature: str, arguments: tuple[object, ...]) -> tuple[Any, ...] | None:
        """The answer; None where there is none, and then the server may be another one next time."""
        from jeepney import DBusAddress, MessageType, new_method_call

        call = new_method_call(DBusAddress(PATH, bus_name=NAME, interface=NAME), method, signature or None, arguments)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reply = await self._router.send_and_get_reply(call)
        except (OSError, TimeoutError, EOFError):
            reply = None
        if reply is None or reply.header.message_type is not MessageType.method_return:
            self._abilities = None
            return None
        return tuple(reply.body)

    async def _read(self, signals: asyncio.Queue[Any]) -> None:
        while True:
            message = await signals.get()
            member = next((value for field, value in message.header.fields.items() if field.name == "member"), "")
            body = message.body
            name = next((name for name, known in self._ids.items() if body and known == body[0]), "")
            if not name:
                continue
            if member == "ActivationToken":
                os.environ[TOKEN_VARIABLE] = str(body[1])  # Wayland: the right to come to the front
            elif member == "ActionInvoked":
                self.pressed.emit(name, str(body[1]))
            elif member == "NotificationClosed":
                self._ids.pop(name, None)
