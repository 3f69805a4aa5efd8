"""A small screen reader: walks the tree of AT-SPI, hears events, and acts only through actions and editable text.

Names of methods and roles are those of at-spi2-core's D-Bus interfaces (2.46).
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from jeepney import DBusAddress, HeaderFields, MatchRule, Message, MessageType, message_bus, new_method_call
from jeepney.io.blocking import open_dbus_connection

from tests.limits import EVENT

T = TypeVar("T")

LIMIT = EVENT  # seconds until what must come is given up
LOOKS = 3  # at least, at the whole tree: where many programs share the cores, one look takes half a minute
STEP = 0.05
ACCESSIBLE = "org.a11y.atspi.Accessible"
ACTION = "org.a11y.atspi.Action"
TEXT = "org.a11y.atspi.Text"
EDITABLE = "org.a11y.atspi.EditableText"
VALUE = "org.a11y.atspi.Value"
PROPERTIES = "org.freedesktop.DBus.Properties"
EVENTS = "org.a11y.atspi.Event.Object"
ROOT = ("org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root")
# Bits of AtspiStateType.
STATES = {
    1: "active",
    4: "checked",
    7: "editable",
    8: "enabled",
    11: "focusable",
    12: "focused",
    23: "selected",
    25: "showing",
    30: "visible",
    41: "checkable",
}
NAMED = {"push button", "graphic", "column header", "radio button", "check box", "menu item", "dialog", "frame"}
LABELLED_BY = 2  # AtspiRelationType


class Gone(Exception):
    """The element left the tree while it was asked."""


@dataclass(frozen=True, slots=True)
class Event:
    """`kind`: the event's D-Bus member, `detail` its first argument; `size`: octets of the message on the bus."""

    kind: str
    detail: str
    numbers: tuple[int, int]
    value: Any
    path: str
    size: int
    at: float


class Reader:
    """One connection to the accessibility bus."""

    def __init__(self, address: str) -> None:
        self._connection = open_dbus_connection(address)
        self._arrived: deque[Message] = deque(maxlen=100_000)
        rule = self._rule = MatchRule(type="signal", interface=EVENTS)
        self._filter = self._connection.filter(rule, queue=self._arrived)
        self._events: list[Event] = []
        self.roles: dict[tuple[str, str], str] = {}  # an element keeps its own, and no other one gets its path
        self._connection.send_and_get_reply(message_bus.AddMatch(rule), timeout=LIMIT)
        registry = DBusAddress("/org/a11y/atspi/registry", ROOT[0], "org.a11y.atspi.Registry")
        for kind in ("object:", "window:", "focus:"):
            self._connection.send_and_get_reply(new_method_call(registry, "RegisterEvent", "s", (kind,)), timeout=LIMIT)

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(self, where: tuple[str, str], interface: str, method: str, signature: str = "", *body: Any) -> Any:
        """The first value of a method's reply. Raises Gone when the element or its interface is not there."""
        address = DBusAddress(where[1], where[0], interface)
        message = new_method_call(address, method, signature or None, body)
        reply = self._connection.send_and_get_reply(message, timeout=LIMIT)
        if reply.header.message_type is MessageType.error:
            raise Gone(f"{method} of {where[1]}: {reply.body}")
        return reply.body[0] if reply.body else None

    def ask_all(self, asked: Sequence[tuple[tuple[str, str], str, str]]) -> list[Any]:
        """The replies to (where, interface, method), which all go out before the first is waited for. Gone: None."""
        places: dict[int, int] = {}
        for place, (where, interface, method) in enumerate(asked):
            serial = next(self._connection.outgoing_serial)
            message = new_method_call(DBusAddress(where[1], where[0], interface), method)
            self._connection.send(message, serial=serial)
            places[serial] = place
        replies: list[Any] = [None] * len(asked)
        while places:
            message = self._connection.receive(timeout=LIMIT)
            place = places.pop(message.header.fields.get(HeaderFields.reply_serial, -1), -1)
            if place < 0:
                if self._rule.matches(message):
                    self._arrived.append(message)
            elif message.header.message_type is not MessageType.error:
                replies[place] = message.body[0]
        return replies

    def value(self, where: tuple[str, str], interface: str, name: str) -> Any:
        return self.ask(where, PROPERTIES, "Get", "ss", interface, name)[1]

    def events(self, kind: str = "") -> list[Event]:
        """Everything that was heard so far, in order."""
        try:
            while True:
                self._connection.recv_messages(timeout=0)
        except TimeoutError:
            pass
        while self._arrived:
            message = self._arrived.popleft()
            detail, first, second, value, *_ = message.body
            fields = message.header.fields
            self._events.append(
                Event(
                    str(fields[HeaderFields.member]),
                    detail,
                    (first, second),
                    value[1],
                    str(fields[HeaderFields.path]),
                    len(message.serialise(1)),
                    time.monotonic(),
                )
            )
        return [event for event in self._events if not kind or event.kind == kind]

    def forget(self) -> None:
        """Hear from now on only."""
        self.events()
        self._events.clear()

    @property
    def announced(self) -> list[str]:
        return [event.value for event in self.events("Announcement")]

    def until(self, true: Callable[[], T | None], what: str) -> T:
        """The first true value of `true`; an AssertionError names what never came."""
        end = time.monotonic() + LIMIT
        for look in itertools.count(1):
            try:
                if found := true():
                    return found
            except Gone:
                pass
            self.events()
            assert time.monotonic() < end or look < LOOKS, f"never: {what}"
            time.sleep(STEP)
        raise AssertionError

    def application(self, name: str, place: int = 0) -> Element:
        """The program of that name as soon as it has joined the bus and has a window."""

        def joined() -> Element | None:
            found = [e for e in Element(self, *ROOT).children if e.name == name and e.children]
            return found[place] if place < len(found) else None

        return self.until(joined, f"{name} on the accessibility bus")


@dataclass(frozen=True)
class Element:
    """One element of the tree. Everything is asked for anew each time."""

    reader: Reader
    service: str
    path: str

    @property
    def _where(self) -> tuple[str, str]:
        return self.service, self.path

    @property
    def children(self) -> list[Element]:
        found = self.reader.ask(self._where, ACCESSIBLE, "GetChildren")
        return [Element(self.reader, *each) for each in found if not each[1].endswith("/null")]

    @property
    def role(self) -> str:
        known = self.reader.roles
        if self._where not in known:
            known[self._where] = str(self.reader.ask(self._where, ACCESSIBLE, "GetRoleName"))
        return known[self._where]

    @property
    def own_name(self) -> str:
        return str(self.reader.value(self._where, ACCESSIBLE, "Name"))

    @property
    def name(self) -> str:
        """What is read out: the label's text where one stands beside it, else the name."""
        labels = [label.own_name for label in self.labels]
        return " ".join(labels) or self.own_name

    @property
    def labels(self) -> list[Element]:
        relations = self.reader.ask(self._where, ACCESSIBLE, "GetRelationSet")
        return [Element(self.reader, *each) for kind, targets in relations if kind == LABELLED_BY for each in targets]

    @property
    def nameless(self) -> list[str]:
        """What below this element a reader could only call by its kind: what takes the focus, is pressed, or heads."""
        return [
            f"{element.role} at {element.path}"
            for element in self.walk()
            if not element.name and (element.role in NAMED or "focusable" in element.states)
        ]

    @property
    def description(self) -> str:
        return str(self.reader.value(self._where, ACCESSIBLE, "Description"))

    @property
    def states(self) -> set[str]:
        return _states(self.reader.ask(self._where, ACCESSIBLE, "GetState"))

    @property
    def actions(self) -> list[str]:
        try:
            return [action[0] for action in self.reader.ask(self._where, ACTION, "GetActions")]
        except Gone:
            return []

    @property
    def text(self) -> str:
        return str(self.reader.ask(self._where, TEXT, "GetText", "ii", 0, -1))

    def walk(self) -> Iterator[Element]:
        """This element and everything below it that is on screen."""
        yield self
        children = self.children
        said = self.reader.ask_all([(child._where, ACCESSIBLE, "GetState") for child in children])
        for child, states in zip(children, said, strict=True):
            if states is None:
                continue
            try:
                if "visible" in _states(states) or child.role == "menu item":
                    yield from child.walk()
            except Gone:
                continue

    def find(self, role: str, name: str) -> Element:
        """The element below this one, as soon as it is there. A name that ends in … is the beginning of one."""

        def matches(element: Element) -> bool:
            if element.role != role:
                return False
            said = element.name
            return said.startswith(name[:-1]) if name.endswith("…") else said == name

        return self.reader.until(
            lambda: next((element for element in self.walk() if matches(element)), None), f"{role} “{name}”"
        )

    def has(self, role: str, name: str) -> bool:
        return any(element.role == role and element.name == name for element in self.walk())

    def act(self, action: str) -> None:
        """Do one of the element's own actions."""
        assert action in self.actions, f"{self.name} offers {self.actions}, not {action}"
        assert self.reader.ask(self._where, ACTION, "DoAction", "i", self.actions.index(action))

    def press(self) -> None:
        self.act("Press")

    def write(self, text: str) -> None:
        assert self.reader.ask(self._where, EDITABLE, "SetTextContents", "s", text)

    def describe(self, depth: int = 0) -> str:
        """The tree as indented text, for a person who looks for what is wrong."""
        states = ",".join(sorted(self.states - {"enabled", "visible", "showing"}))
        line = f"{'  ' * depth}{self.role} “{self.name}” [{states}] {' '.join(self.actions)}"
        lines = [line]
        for child in self.children:
            try:
                if "visible" in child.states or child.role == "menu item":
                    lines.append(child.describe(depth + 1))
            except Gone:
                continue
        return "\n".join(lines)


def _states(words: Sequence[int]) -> set[str]:
    """words: as GetState tells them, the lower half first."""
    low, high = words
    bits = low | high << 32
    return {name for bit, name in STATES.items() if bits >> bit & 1}
