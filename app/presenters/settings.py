"""The settings as the window shows and changes them: each at once, none lost, what the command line decided told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.interface import CoreInterface
from qvac_core.core.state import CoreEvent, SettingChanged
from qvac_core.errors import QvacError
from qvac_core.store.settings import Definition, definition


class SettingsPresenter(QObject):
    """Values as text, "true" and "false" for switches. `changed(key)` also for what a failure put back."""

    changed = Signal(str)
    failed = Signal(str, object)  # key, ErrorInfo

    def __init__(self, core: CoreProxy, keys: Iterable[str], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._core = core
        self._keys = tuple(keys)
        self._tasks = Tasks()
        self._values: dict[str, str] = {}
        self._at_start: dict[str, str] = {}
        self._wanted: dict[str, str] = {}  # still to be written, the newest of each
        self._writing: set[str] = set()
        self.given: Mapping[str, str] = {}
        core.core_event.connect(self._take)

    def _take(self, event: CoreEvent) -> None:
        """Other pages, and other programs with this core, change some of them too."""
        if isinstance(event, SettingChanged) and event.name in self._keys and event.name not in self._writing:
            self._tasks.start(self._read_again(event.name), lambda _error: None)

    async def _read_again(self, key: str) -> None:
        value = await self._core.call(lambda core: core.setting(key))
        if key not in self._writing and self._values.get(key) != value:
            self._values[key] = value
            self.changed.emit(key)

    def reload(self) -> None:
        """All of them, as they are now."""
        self._tasks.start(self.load(), lambda error: self.failed.emit("", describe(error)))

    async def load(self) -> None:
        async def read(core: CoreInterface) -> dict[str, str]:
            return {key: await core.setting(key) for key in self._keys}

        self.given = await self._core.call(lambda core: core.given())
        found = await self._core.call(read)
        if not self._at_start:
            self._at_start = dict(found)
        for key, value in found.items():
            if key not in self._writing and self._values.get(key) != value:
                self._values[key] = value
                self.changed.emit(key)

    async def close(self) -> None:
        await self._tasks.settle()
        await self._tasks.close()

    async def settle(self) -> None:
        await self._tasks.settle()

    # --- What holds

    def definition(self, key: str) -> Definition | None:
        """None where the core keeps it as any text."""
        return definition(key)

    def value(self, key: str) -> str:
        """As it is set; its default where it is not, or not to something that it can be."""
        text, found = self._values.get(key, ""), definition(key)
        if found is None:
            return text
        return text if text and not found.wrong(text) else found.default

    def changed_from_default(self, key: str) -> bool:
        found = definition(key)
        return self.value(key) != (found.default if found is not None else "")

    def on(self, key: str) -> bool:
        return self.value(key) == "true"

    def waits(self, key: str) -> bool:
        """Whether it was changed since this run began."""
        found = definition(key)
        before = self._at_start.get(key, "") or (found.default if found is not None else "")
        return before != self.value(key)

    # --- Changes

    def set(self, key: str, text: str) -> None:
        """Show it now, write it as soon as what was asked for before is written."""
        if text == self.value(key):
            return
        self._values[key] = text
        self._wanted[key] = text
        self.changed.emit(key)
        if key not in self._writing:
            self._writing.add(key)
            self._tasks.start(self._write(key), lambda _error: None)

    async def _write(self, key: str) -> None:
        try:
            while key in self._wanted:
                text = self._wanted.pop(key)
                try:
                    await self._core.call(lambda core, text=text: core.set_setting(key, text))  # type: ignore[misc]
                except QvacError as error:
                    if key not in self._wanted:
                        self._values[key] = await self._core.call(lambda core: core.setting(key))
                        self.changed.emit(key)
                    self.failed.emit(key, describe(error))
        finally:
            self._writing.discard(key)
