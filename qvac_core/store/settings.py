"""What the user can set: every setting once, with its type, default and bounds.

The file, the command line and the window read them here (`definition`); qvac_core/store/settings_file.py keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field, fields, is_dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from qvac_core.codec import Address
from qvac_core.codec.host_port import parse_host_port
from qvac_core.errors import NetworkError
from qvac_core.late_dataclass import dataclass

LARGEST: Final = 2**31 - 1
SMALLEST_CONTEXT, LARGEST_CONTEXT = 512, 1 << 20  # tokens of a chat
MOST_SLOTS: Final = 64
MOST_MEMORY_MB: Final = 10_000_000
MOST_IDLE_MINUTES: Final = 7 * 24 * 60
MOST_TOOL_SECONDS: Final = 24 * 3600
MOST_ANSWER_TOKENS: Final = 1 << 20
MOST_TOKENS_PER_DAY: Final = 10**12
MACHINE_NAME_LIMIT: Final = 60  # letters
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)
_DAYS = re.compile(r"[1-7]+", re.ASCII)


class Theme(StrEnum):
    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Contrast(StrEnum):
    SYSTEM = "system"
    HIGH = "high"
    NORMAL = "normal"


class SendKey(StrEnum):
    ENTER = "enter"
    CTRL_ENTER = "ctrl+enter"


class Device(StrEnum):
    GPU = "gpu"
    CPU = "cpu"


def bounded(default: int, low: int, high: int) -> Any:
    """The default of a whole number with its bounds, both of them allowed; the default may lie outside of them."""
    return field(default=default, metadata={"low": low, "high": high})


def checked(default: str, wrong: Callable[[str], str]) -> Any:
    """The default of a text, and what says in a sentence what is wrong with another one ("" = nothing)."""
    return field(default=default, metadata={"wrong": wrong})


def _wrong_clock(text: str) -> str:
    if _CLOCK.fullmatch(text):
        return ""
    return f"'{text[:20]}' is no time of the day. Write hours and minutes, as in 08:30."


def _wrong_days(text: str) -> str:
    return "" if _DAYS.fullmatch(text) else "The days are digits from 1 (Monday) to 7 (Sunday), at least one of them."


def _wrong_name(text: str) -> str:
    if len(text) <= MACHINE_NAME_LIMIT:
        return ""
    return f"The name of this machine has {MACHINE_NAME_LIMIT} letters at most."


class Admission(StrEnum):
    ALLOW = "allow"  # only the keys of the list
    DENY = "deny"  # everybody except the blocked


class KeepStates(StrEnum):
    """Whose chats a model remembers over its end, in encrypted files."""

    NOTHING = "nothing"
    OWN = "own"  # of this machine's person
    EVERYBODY = "everybody"  # guests' too


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What the owner said of one model; 0 = as for all models ([sharing]). memory_mb: 10^6 bytes."""

    context_tokens: int = bounded(0, SMALLEST_CONTEXT, LARGEST_CONTEXT)
    slots: int = bounded(0, 1, MOST_SLOTS)
    memory_mb: int = bounded(0, 1, MOST_MEMORY_MB)
    idle_minutes: int = bounded(0, 1, MOST_IDLE_MINUTES)
    answer_tokens: int = bounded(0, 1, MOST_ANSWER_TOKENS)


@dataclass(frozen=True, slots=True)
class SharingSettings:
    """[sharing]: `models` by library name; `log_days` 0 keeps the log for ever, `log_rows` 0 any number of requests.

    copies: those of the models whose files guests may copy. answer_tokens: longest answer that a guest may ask for; 0 =
    as long as the context allows. tokens_per_day: of all guests together, 0 = no limit. context_tokens: of each chat;
    slots: answers at once of one model. memory_mb: of all loaded models together, 10^6 bytes, 0 = no cap. idle_minutes:
    then a model that nobody uses is unloaded. keep_contents: questions and answers of guests who were told so are kept
    with the log. per_model: by library name, what holds for that model alone.
    """

    admission: Admission = Admission.ALLOW
    knocks: bool = True
    models: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    log_days: int = bounded(90, 0, 36_500)
    log_rows: int = bounded(100_000, 0, 1_000_000_000)
    keep_contents: bool = False
    answer_tokens: int = bounded(0, 0, MOST_ANSWER_TOKENS)
    tokens_per_day: int = bounded(0, 0, MOST_TOKENS_PER_DAY)
    context_tokens: int = bounded(4096, SMALLEST_CONTEXT, LARGEST_CONTEXT)
    slots: int = bounded(4, 1, MOST_SLOTS)
    memory_mb: int = bounded(0, 0, MOST_MEMORY_MB)
    idle_minutes: int = bounded(10, 0, MOST_IDLE_MINUTES)
    per_model: Mapping[str, ModelOptions] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class MannersSettings:
    """[manners]: when this machine serves no guest, though sharing is on.

    hours_from, hours_to: HH:MM by the clock on the wall, the first later than the second = over midnight. hours_days:
    the ISO weekdays (1 = Monday) on which they begin. active_minutes: so long without a key or the mouse, and nobody
    uses the machine. other_gpu_mb: so much of the GPU's memory in use by others counts as need. cut_running: answers
    that run are ended too; else they finish.
    """

    hours: bool = False
    hours_from: str = checked("08:00", _wrong_clock)
    hours_to: str = checked("23:00", _wrong_clock)
    hours_days: str = checked("1234567", _wrong_days)
    while_active: bool = False
    active_minutes: int = bounded(5, 1, 24 * 60)
    other_gpu: bool = False
    other_gpu_mb: int = bounded(1000, 1, MOST_MEMORY_MB)
    on_battery: bool = False
    cut_running: bool = False


class FirstAsked(StrEnum):
    """Which of a conversation's providers is asked first."""

    ORDER = "order"  # whoever stands first
    SAME_MODEL = "same-model"  # of those that have the model of the first one, whoever answers soonest
    QUICKEST = "quickest"  # whoever answers soonest, with whatever model stands there


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """[chat]: `fallback`: go on with `local_model` ("" = the first of the library) when a provider goes away.

    answer_tokens: longest answer; 0 = until the model ends or the context is full. keep_states: whose chats a model
    remembers over its end, so that a long one goes on at once; encrypted. send_key: Shift+Enter makes a new line.
    tool_seconds: that a tool may be silent before it is stopped. hedge: where a provider's first word is late, whoever
    would go on is asked too; who begins first answers, the other one is stopped. first_asked: of several providers.
    """

    fallback: bool = True
    hedge: bool = False
    first_asked: FirstAsked = FirstAsked.SAME_MODEL
    local_model: str = ""
    answer_tokens: int = bounded(2048, 0, MOST_ANSWER_TOKENS)
    keep_states: KeepStates = KeepStates.NOTHING
    send_key: SendKey = SendKey.ENTER
    tool_seconds: int = bounded(120, 5, MOST_TOOL_SECONDS)


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """[speech]: `model` of this machine, `microphone` by its name; "" = the first one, the system's."""

    model: str = ""
    microphone: str = ""


def entrances(text: str) -> tuple[Address, ...]:
    """Addresses with commas between them. Raises NetworkError for what is none."""
    return tuple(dict.fromkeys(parse_host_port(part) for part in text.split(",") if part.strip()))


def _wrong_entrances(text: str) -> str:
    try:
        entrances(text)
    except NetworkError as error:
        return f"{error.message.removesuffix('.')}."
    return ""


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """[network]: `relays`: public keys of blind relays, 64 hex digits each.

    can_be_woken: machines of the owner's own are told how this one is woken while it sleeps. wakes_others: it sends the
    wake-up call for them. port: UDP port wanted, 0 = any. bootstrap: where the network is entered, HOST:PORT with
    commas between them; "" = at the public nodes. Both hold from the next start on.
    """

    relays: tuple[str, ...] = ()
    port: int = bounded(0, 0, 65_535)
    bootstrap: str = checked("", _wrong_entrances)
    can_be_woken: bool = False
    wakes_others: bool = False


class RelayUsers(StrEnum):
    ALLOWED = "allowed"  # the people whom the owner allows
    EVERYBODY = "everybody"  # whoever has the relay's key and is not blocked


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """[relay]: forwarding between others who find no direct path, while the program runs; off by default.

    who: both machines of a pair must be among them. mb_per_second, gb_per_day: of all together, 10^6 and 10^9 bytes;
    0 = no limit.
    """

    on: bool = False
    who: RelayUsers = RelayUsers.ALLOWED
    mb_per_second: int = bounded(4, 0, 10_000)
    gb_per_day: int = bounded(0, 0, 100_000)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """[engine]: how chat models are loaded here, from the next load on.

    gpu_layers: -1 = all that fit. threads: of the processor, 0 = one core is left free.
    """

    device: Device = Device.GPU
    gpu_layers: int = bounded(-1, -1, 1000)
    threads: int = bounded(0, 0, 256)


@dataclass(frozen=True, slots=True)
class ProgramsSettings:
    """[programs]: the endpoint for programs of this machine. at_start: the window switches it on.

    port: TCP, on this machine alone. origins: web pages that may call it, as browsers name them (https://HOST).
    """

    at_start: bool = False
    port: int = bounded(8123, 1, 65_535)
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LibrarySettings:
    """[library]: `folder`: where models are kept, "" = in the data folder. downloads_at_once: the others wait."""

    folder: str = ""
    downloads_at_once: int = bounded(2, 1, 8)


@dataclass(frozen=True, slots=True)
class Settings:
    """`local_network`: find providers, and be found by guests, on the own network without the internet.

    share_at_start: the window switches sharing on. close_to_tray: a closed window stays in the tray, sharing or not.
    keep_awake: no sleep while a guest is served or a download runs; keep_awake_on_battery: there as well.
    tell_of_updates: a build that knows where asks once a day whether there is a newer version.
    machine_name: what guests are told that it is called, "" = nothing.
    """

    theme: Theme = Theme.SYSTEM
    tab: str = ""
    language: str = "system"
    text_size: int = bounded(100, 80, 200)
    contrast: Contrast = Contrast.SYSTEM
    code_font: str = ""
    reduced_motion: bool = False
    local_network: bool = True
    share_at_start: bool = False
    close_to_tray: bool = False
    keep_awake: bool = True
    keep_awake_on_battery: bool = False
    tell_of_updates: bool = True
    machine_name: str = checked("", _wrong_name)
    sharing: SharingSettings = field(default_factory=SharingSettings)
    manners: MannersSettings = field(default_factory=MannersSettings)
    chat: ChatSettings = field(default_factory=ChatSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    relay: RelaySettings = field(default_factory=RelaySettings)
    library: LibrarySettings = field(default_factory=LibrarySettings)
    speech: SpeechSettings = field(default_factory=SpeechSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    programs: ProgramsSettings = field(default_factory=ProgramsSettings)


@dataclass(frozen=True, slots=True)
class Definition:
    """What a setting may be, for whoever shows it: `default` as text, `choices` of those that have a few.

    low, high: of a whole number.
    """

    name: str
    default: str
    low: int = 0
    high: int = LARGEST
    choices: tuple[str, ...] = ()
    check: Callable[[str], str] | None = None
    number: bool = False

    def wrong(self, text: str) -> str:
        """A sentence for a text that this setting cannot have, "" for one that it can, as far as this is known here."""
        if self.check is not None:
            return self.check(text)
        if self.choices and text not in self.choices:
            return f"The setting {self.name} cannot be '{text}'."
        if not self.number:
            return ""
        if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20):
            return f"The setting {self.name} is a number."
        if not self.low <= int(text) <= self.high:
            return f"This number is between {self.low:,} and {self.high:,}."
        return ""


def definition(name: str) -> Definition | None:
    """Of a setting by its dotted name; None for free texts and for what is no single text."""
    *sections, last = name.split(".")
    table: Any = Settings()
    for section in sections:
        table = getattr(table, section, None) if is_dataclass(table) else None
    item = next((f for f in fields(table) if f.name == last), None) if is_dataclass(table) else None
    default = getattr(table, last) if item is not None else None
    if item is None or not isinstance(default, bool | int | str):
        return None
    said = ("false", "true")[default] if isinstance(default, bool) else str(default)
    choices: tuple[str, ...] = ()
    if isinstance(default, StrEnum):
        choices = tuple(member.value for member in type(default))
    elif isinstance(default, bool):
        choices = ("true", "false")
    bounds = item.metadata
    return Definition(
        name,
        said,
        bounds.get("low", 0),
        bounds.get("high", LARGEST),
        choices,
        bounds.get("wrong"),
        number=isinstance(default, int) and not isinstance(default, bool),
    )
