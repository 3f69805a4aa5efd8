"""What the user set, as a small TOML file that a person may edit too.

PRODUCT.md; TOML 1.0. Unknown keys (of a newer version, or of somebody's own) stay in the file; comments do not.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

import tomli_w

from qvac_core.errors import StoreError
from qvac_core.store.disk import set_aside, store_error, write_atomically

MAX_FILE_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
"""Tables and lists inside each other: deeper ones can be read but not be written again."""


class Theme(StrEnum):
    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


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

    context_tokens: int = 0
    slots: int = 0
    memory_mb: int = 0
    idle_minutes: int = 0
    answer_tokens: int = 0


@dataclass(frozen=True, slots=True)
class SharingSettings:
    """[sharing]: `models` by library name; `log_days` 0 keeps the log for ever, `log_rows` 0 any number of requests.

    answer_tokens: longest answer that a guest may ask for; 0 = as long as the context allows. context_tokens: of each
    chat; slots: answers at once of one model. memory_mb: of all loaded models together, 10^6 bytes, 0 = no cap.
    idle_minutes: then a model that nobody uses is unloaded. keep_contents: questions and answers of guests who were
    told so are kept with the log. per_model: by library name, what holds for that model alone.
    """

    admission: Admission = Admission.ALLOW
    knocks: bool = True
    models: tuple[str, ...] = ()
    log_days: int = 90
    log_rows: int = 100_000
    keep_contents: bool = False
    answer_tokens: int = 0
    context_tokens: int = 4096
    slots: int = 4
    memory_mb: int = 0
    idle_minutes: int = 10
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
    hours_from: str = "08:00"
    hours_to: str = "23:00"
    hours_days: str = "1234567"
    while_active: bool = False
    active_minutes: int = 5
    other_gpu: bool = False
    other_gpu_mb: int = 1000
    on_battery: bool = False
    cut_running: bool = False


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """[chat]: `fallback`: go on with `local_model` ("" = the first of the library) when a provider goes away.

    answer_tokens: longest answer; 0 = until the model ends or the context is full. keep_states: whose chats a model
    remembers over its end, so that a long one goes on at once; encrypted.
    """

    fallback: bool = True
    local_model: str = ""
    answer_tokens: int = 2048
    keep_states: KeepStates = KeepStates.NOTHING


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """[network]: `relays`: public keys of blind relays, 64 hex digits each."""

    relays: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LibrarySettings:
    """[library]: `folder`: where models are kept, "" = in the data folder. downloads_at_once: the others wait."""

    folder: str = ""
    downloads_at_once: int = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """`local_network`: find providers, and be found by guests, on the own network without the internet.

    share_at_start: the window switches sharing on. close_to_tray: a closed window stays in the tray, sharing or not.
    keep_awake: no sleep while a guest is served or a download runs; keep_awake_on_battery: there as well.
    machine_name: what guests are told that it is called, "" = nothing.
    """

    theme: Theme = Theme.SYSTEM
    tab: str = ""
    reduced_motion: bool = False
    local_network: bool = True
    share_at_start: bool = False
    close_to_tray: bool = False
    keep_awake: bool = True
    keep_awake_on_battery: bool = False
    machine_name: str = ""
    sharing: SharingSettings = field(default_factory=SharingSettings)
    manners: MannersSettings = field(default_factory=MannersSettings)
    chat: ChatSettings = field(default_factory=ChatSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    library: LibrarySettings = field(default_factory=LibrarySettings)


class SettingsFile:
    """The settings in memory and on disk. `notice` is what the user must be told after loading, None if nothing.

    Besides the typed `settings` there are free texts by dotted name ("window.geometry"), for what only a screen knows.
    """

    def __init__(self, path: Path, *, now: float) -> None:
        """Load. A broken file is renamed to `NAME.corrupt-DATE` and defaults apply; StoreError if it is unreadable."""
        self.path = path
        self.notice: str | None = None
        self._document: dict[str, Any] = {}
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise store_error(error, "read the settings") from error
        try:
            if len(content) > MAX_FILE_BYTES:
                raise ValueError("larger than any settings file")
            document = tomllib.loads(content.decode("utf-8"))
            if _is_deeper(document, MAX_DEPTH):
                raise ValueError("nested more deeply than any settings file")
            self._document = document
        except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
            kept = set_aside(path, now)
            self.notice = (
                f"The settings file could not be read ({error}). It is kept as {kept.name} in {path.parent}; "
                "the default settings are in use."
            )
        ignored: list[str] = []
        self.settings = _read(Settings(), self._document, "", ignored)
        if ignored:
            self.notice = f"These settings in {path} are not understood and have their default: {', '.join(ignored)}."

    def save(self, settings: Settings) -> None:
        """Make these the settings, on disk first. Raises StoreError; then nothing has changed."""
        document = _written(settings, self._document)
        self._save_document(document)
        self.settings = settings

    def change(self, update: Callable[[Settings], Settings]) -> Settings:
        """Save what `update` makes of the present settings.

        Two changes that were asked for at the same time both last, if both are called through `Database.run`.
        """
        settings = update(self.settings)
        self.save(settings)
        return settings

    def text(self, name: str) -> str:
        """A setting as text ("" = unset), e.g. "theme", "sharing.knocks", or any name that `set_text` was given."""
        *sections, last = name.split(".")
        table: Any = _written(self.settings, self._document)
        for section in sections:
            table = table.get(section) if isinstance(table, dict) else None
        value = table.get(last, "") if isinstance(table, dict) else ""
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, (str, int, float)) else ""

    def set_text(self, name: str, value: str) -> None:
        """Set a setting by its text; "" unsets. Raises StoreError for a value that this setting cannot have."""
        *sections, last = name.split(".")
        if not all([*sections, last]):
            raise StoreError(f"'{name}' is not a name of a setting.")
        document = _written(self.settings, self._document)
        table = document
        for section in sections:
            inner = table.setdefault(section, {})
            if not isinstance(inner, dict):
                raise StoreError(f"'{name}' is not a name of a setting.")
            table = inner
        if value:
            table[last] = _typed(_default(sections, last), value, name)
        else:
            table.pop(last, None)
        ignored: list[str] = []
        settings = _read(Settings(), document, "", ignored)
        if name in ignored:
            raise StoreError(f"The setting {name} cannot be '{value}'.")
        self._save_document(_written(settings, document))
        self.settings = settings

    def _save_document(self, document: dict[str, Any]) -> None:
        # A lone surrogate (a file name of an old disk in a text field) has no UTF-8: "?" instead of no settings at all.
        content = tomli_w.dumps(document).encode("utf-8", "replace")
        write_atomically(self.path, content, action="write the settings")
        self._document = document


def _is_deeper(value: Any, depth: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_is_deeper(one, depth - 1) for one in inner)


S = TypeVar("S")


def _read(defaults: S, table: Mapping[str, Any], prefix: str, ignored: list[str]) -> S:
    """The settings of a table; values of a wrong type or range are named in `ignored` and keep their default."""
    values: dict[str, Any] = {}
    for item in fields(cast(Any, defaults)):
        if item.name not in table:
            continue
        default, value, name = getattr(defaults, item.name), table[item.name], prefix + item.name
        if is_dataclass(default):
            if isinstance(value, dict):
                values[item.name] = _read(default, value, f"{name}.", ignored)
            else:
                ignored.append(name)
        elif isinstance(default, Mapping):
            values[item.name] = _read_options(value, name, ignored)
        elif (accepted := _accepted(default, value)) is None:
            ignored.append(name)
        else:
            values[item.name] = accepted
    return cast(S, replace(cast(Any, defaults), **values))


def _read_options(value: Any, name: str, ignored: list[str]) -> Mapping[str, ModelOptions]:
    """One table for each model."""
    found: dict[str, ModelOptions] = {}
    for model, table in value.items() if isinstance(value, dict) else [("", None)]:
        if isinstance(table, dict):
            found[model] = _read(ModelOptions(), table, f"{name}.{model}.", ignored)
        else:
            ignored.append(f"{name}.{model}".rstrip("."))
    return MappingProxyType(found)


def _accepted(default: Any, value: Any) -> Any:
    """`value` as the type of its default, or None."""
    if isinstance(default, StrEnum):
        return type(default)(value) if value in [member.value for member in type(default)] else None
    if isinstance(default, tuple):
        return tuple(value) if isinstance(value, list) and all(isinstance(part, str) for part in value) else None
    if isinstance(default, bool) or isinstance(value, bool):
        return value if isinstance(default, bool) and isinstance(value, bool) else None
    if isinstance(default, int):
        return value if isinstance(value, int) and value >= 0 else None
    return value if isinstance(value, type(default)) else None


def _written(settings: Any, table: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the table with the settings in it and everything unknown still there."""
    result = dict(table)
    for item in fields(settings):
        value = getattr(settings, item.name)
        if is_dataclass(value):
            known = table.get(item.name)
            result[item.name] = _written(value, known if isinstance(known, dict) else {})
        elif isinstance(value, Mapping):
            result[item.name] = {model: _said(options) for model, options in value.items() if _said(options)}
        elif isinstance(value, StrEnum):
            result[item.name] = value.value
        else:
            result[item.name] = list(value) if isinstance(value, tuple) else value
    return result


def _said(options: ModelOptions) -> dict[str, int]:
    """What differs from all other models; a file for people says nothing of the rest."""
    return {item.name: getattr(options, item.name) for item in fields(options) if getattr(options, item.name)}


def _default(sections: list[str], last: str) -> Any:
    """The default of a known setting, else None."""
    value: Any = Settings()
    for name in (*sections, last):
        value = getattr(value, name, None) if is_dataclass(value) else None
    return value


def _typed(default: Any, text: str, name: str) -> Any:
    """Text as the type of a known setting; unknown ones stay text."""
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise StoreError(f"The setting {name} is true or false.")
        return text == "true"
    if isinstance(default, int):
        if not text.isascii() or not text.isdigit():
            raise StoreError(f"The setting {name} is a number.")
        return int(text)
    if isinstance(default, tuple | Mapping) or is_dataclass(default):
        raise StoreError(f"The setting {name} is not a single text.")
    return text
