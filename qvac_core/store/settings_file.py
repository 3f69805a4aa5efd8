"""The settings on disk: a small TOML file that a person may edit too.

TOML 1.0. Unknown keys (of a newer version, or of somebody's own) stay in the file; comments do not.
Whatever the file holds, there are settings: what is not understood has its default, and is told.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

import tomli_w

from qvac_core.errors import StoreError
from qvac_core.store.disk import set_aside, store_error, write_atomically
from qvac_core.store.settings import ModelOptions, Settings, definition

MAX_FILE_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
"""Tables and lists inside each other: deeper ones can be read but not be written again."""


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
            if wrong := _wrong(name, value):
                raise StoreError(wrong)
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
        elif (accepted := _accepted(default, value, item.metadata)) is None:
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


def _accepted(default: Any, value: Any, bounds: Mapping[str, Any]) -> Any:
    """`value` as the type of its default and within its bounds, or None."""
    if isinstance(default, StrEnum):
        return type(default)(value) if value in [member.value for member in type(default)] else None
    if isinstance(default, tuple):
        return tuple(value) if isinstance(value, list) and all(isinstance(part, str) for part in value) else None
    if isinstance(default, bool) or isinstance(value, bool):
        return value if isinstance(default, bool) and isinstance(value, bool) else None
    if isinstance(default, int):
        high = bounds.get("high", value)
        if not isinstance(value, int):
            return None
        return value if value == default or bounds.get("low", 0) <= value <= high else None
    if not isinstance(value, type(default)) or ("wrong" in bounds and bounds["wrong"](value)):
        return None
    return value


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


def _wrong(name: str, text: str) -> str:
    """What is wrong with the text of a known setting beyond its type, in a sentence."""
    found = definition(name)
    return found.wrong(text) if found is not None else ""


def _typed(default: Any, text: str, name: str) -> Any:
    """Text as the type of a known setting; unknown ones stay text."""
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise StoreError(f"The setting {name} is true or false.")
        return text == "true"
    if isinstance(default, int):
        return int(text)  # `_wrong` has looked at it
    if isinstance(default, tuple | Mapping) or is_dataclass(default):
        raise StoreError(f"The setting {name} is not a single text.")
    return text
