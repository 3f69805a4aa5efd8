"""Messages, or what was selected of them, in another language: begun, followed, stopped. Nothing of it is kept."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from PySide6.QtCore import QLocale, QObject, Signal

from app import languages
from app.bridge import CoreProxy
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.state import CoreEvent, ErrorInfo, SharedModelsChanged, Target, TranslationChanged
from qvac_core.errors import QvacError

LANGUAGE_SETTING = "translation_language"


@dataclass(frozen=True, slots=True)
class Translation:
    """Of one message; a new one takes the place of the one before."""

    message_id: str
    language: str
    text: str = ""
    running: bool = True
    error: ErrorInfo | None = None


class Translations(QObject):
    """`changed`: the id of the message whose translation is another one now, or gone. `languages_changed`: a
    translation model of this machine came or went."""

    changed = Signal(str)
    languages_changed = Signal()

    def __init__(self, core: CoreProxy, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._core = core
        self._tasks = Tasks()
        self._shown: dict[str, Translation] = {}  # by message
        self._ids: dict[str, str] = {}  # message → the core's id, while it runs
        self.last_language = ""
        self._pairs: tuple[tuple[str, str], ...] = ()  # of the translation models of this machine
        core.core_event.connect(self._take)

    async def load(self) -> None:
        self.last_language = await self._core.call(lambda core: core.setting(LANGUAGE_SETTING))
        await self._look()

    async def _look(self) -> None:
        before, self._pairs = self._pairs, await self._core.call(lambda core: core.translators.pairs())
        if before != self._pairs:
            self.languages_changed.emit()

    async def close(self) -> None:
        await self._tasks.close()

    async def settle(self) -> None:
        await self._tasks.settle()

    def of(self, message_id: str) -> Translation | None:
        return self._shown.get(message_id)

    def languages(self) -> tuple[tuple[str, str], ...]:
        """(code, name): what translation models of this machine do, both languages told; then those that a chat model
        is asked for: the one used last and the system's first, then all by name.
        """
        own = QLocale().name().partition("_")[0]
        first = [code for code in dict.fromkeys((self.last_language, own)) if code in languages.NAMES]
        rest = sorted(
            (code for code in languages.NAMES if code not in first), key=lambda code: languages.name(code).casefold()
        )
        pairs = sorted(map(languages.pair, *zip(*self._pairs, strict=True)), key=languages.name) if self._pairs else []
        return tuple((code, languages.name(code)) for code in (*pairs, *first, *rest))

    def start(self, message_id: str, text: str, language: str, target: Target) -> None:
        if not text.strip():
            return
        self.stop(message_id)
        self._show(Translation(message_id, language))
        source, language = languages.parts(language)
        if not source and language != self.last_language:
            self.last_language = language
            self._tasks.start(self._core.call(lambda core: core.set_setting(LANGUAGE_SETTING, language)), _ignore)
        translation_id = self._ids[message_id] = uuid.uuid4().hex
        self._tasks.start(
            self._core.call(lambda core: core.start_translation(translation_id, text, language, target, source)),
            lambda error: self._fail(message_id, translation_id, error),
        )

    def stop(self, message_id: str) -> None:
        """What is there stays."""
        translation_id = self._ids.pop(message_id, "")
        if translation_id:
            self._tasks.start(self._core.call(lambda core: core.stop_translation(translation_id)), _ignore)
        shown = self._shown.get(message_id)
        if shown is not None and shown.running:
            self._show(replace(shown, running=False))

    def dismiss(self, message_id: str) -> None:
        self.stop(message_id)
        if self._shown.pop(message_id, None) is not None:
            self.changed.emit(message_id)

    def _fail(self, message_id: str, translation_id: str, error: QvacError) -> None:
        if self._ids.get(message_id) == translation_id:
            del self._ids[message_id]
            self._show(replace(self._shown[message_id], running=False, error=describe(error)))

    def _take(self, event: CoreEvent) -> None:
        if isinstance(event, SharedModelsChanged):
            self._tasks.start(self._look(), _ignore)
        if not isinstance(event, TranslationChanged):
            return
        message_id = next((key for key, value in self._ids.items() if value == event.translation_id), None)
        if message_id is None:
            return
        if not event.running:
            del self._ids[message_id]
        self._show(replace(self._shown[message_id], text=event.text, running=event.running, error=event.error))

    def _show(self, translation: Translation) -> None:
        self._shown[translation.message_id] = translation
        self.changed.emit(translation.message_id)


def _ignore(_error: QvacError) -> None:
    """Neither a language that is not remembered nor one that has ended already is worth a sentence."""
