"""Messages, or what was selected of them, in another language: begun, followed, stopped. Nothing of it is kept."""

from __future__ import annotations

import uuid
from dataclasses import replace

from PySide6.QtCore import QLocale, QObject, Signal

from app import languages
from app.bridge import CoreProxy
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.state import (
    CoreEvent,
    ErrorInfo,
    ProviderEntry,
    ProvidersChanged,
    SharedModelsChanged,
    Target,
    TranslationChanged,
)
from qvac_core.errors import QvacError
from qvac_core.late_dataclass import dataclass

LANGUAGE_SETTING = "translation_language"
NOBODY = Target()


@dataclass(frozen=True, slots=True)
class Translation:
    """Of one message; a new one takes the place of the one before. name: of the language, and who translates where that
    is a translation model. asked: what is translated. others: who else may go on. seam: why another machine does it."""

    message_id: str
    language: str
    name: str
    asked: str = ""
    target: Target = NOBODY
    others: tuple[Target, ...] = ()
    text: str = ""
    running: bool = True
    error: ErrorInfo | None = None
    seam: str = ""


class Translations(QObject):
    """`changed`: the id of the message whose translation is another one now, or gone. `languages_changed`: a
    translation model came or went, here or at a provider."""

    changed = Signal(str)
    languages_changed = Signal()

    def __init__(self, core: CoreProxy, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._core = core
        self._tasks = Tasks()
        self._shown: dict[str, Translation] = {}  # by message
        self._ids: dict[str, str] = {}  # message → the core's id, while it runs
        self.last_language = ""
        self._here = languages.Translators(())
        self._there: tuple[languages.Translators, ...] = ()  # of the providers that are connected
        self._names: dict[str, str] = {}  # of providers, by key
        core.core_event.connect(self._take)

    async def load(self) -> None:
        self.last_language = await self._core.call(lambda core: core.setting(LANGUAGE_SETTING))
        self._take_providers(await self._core.call(lambda core: core.providers()))
        await self._look()

    async def _look(self) -> None:
        here = languages.Translators(await self._core.call(lambda core: core.translators.pairs()))
        self._offer(here, self._there)

    def _take_providers(self, providers: tuple[ProviderEntry, ...]) -> None:
        self._names = {provider.public_key: provider.name for provider in providers}
        there = (
            languages.Translators(provider.translates, provider.public_key, provider.name)
            for provider in providers
            if provider.state == "online" and provider.translates
        )
        self._offer(self._here, tuple(there))

    def _offer(self, here: languages.Translators, there: tuple[languages.Translators, ...]) -> None:
        if (here, there) != (self._here, self._there):
            self._here, self._there = here, there
            self.languages_changed.emit()

    async def close(self) -> None:
        await self._tasks.close()

    async def settle(self) -> None:
        await self._tasks.settle()

    def of(self, message_id: str) -> Translation | None:
        return self._shown.get(message_id)

    def languages(self) -> tuple[languages.Choice, ...]:
        """What translation models do, of this machine and then of the providers that are connected, both languages
        told; then those that a chat model is asked for: the one used last and the system's first, then all by name.
        """
        own = QLocale().name().partition("_")[0]
        first = [code for code in dict.fromkeys((self.last_language, own)) if code in languages.NAMES]
        rest = sorted(
            (code for code in languages.NAMES if code not in first), key=lambda code: languages.name(code).casefold()
        )
        engines = [choice for each in (self._here, *self._there) for choice in languages.by_models(each)]
        return (*engines, *(languages.Choice(code, languages.name(code)) for code in (*first, *rest)))

    def start(self, message_id: str, text: str, language: str, target: Target, others: tuple[Target, ...] = ()) -> None:
        """target: who chats; it translates where no translation model of the choice is there any more. others: of the
        conversation, who go on where it goes away."""
        if not text.strip():
            return
        self.stop(message_id)
        source, to, key = languages.parts(language)
        name = languages.name(language, self._names.get(key, ""))
        self._show(Translation(message_id, language, name, text, target, others))
        if not source and to != self.last_language:
            self.last_language = to
            self._tasks.start(self._core.call(lambda core: core.set_setting(LANGUAGE_SETTING, to)), _ignore)
        translation_id = self._ids[message_id] = uuid.uuid4().hex
        self._tasks.start(
            self._core.call(lambda core: core.start_translation(translation_id, text, to, target, source, key, others)),
            lambda error: self._fail(message_id, translation_id, error),
        )

    def again(self, message_id: str) -> None:
        """After a failure."""
        shown = self._shown.get(message_id)
        if shown is not None and not shown.running:
            self.start(message_id, shown.asked, shown.language, shown.target, shown.others)

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
        if isinstance(event, ProvidersChanged):
            self._take_providers(event.providers)
        if not isinstance(event, TranslationChanged):
            return
        message_id = next((key for key, value in self._ids.items() if value == event.translation_id), None)
        if message_id is None:
            return
        if not event.running:
            del self._ids[message_id]
        self._show(
            replace(
                self._shown[message_id],
                text=event.text,
                running=event.running,
                error=event.error,
                seam=event.seam,
            )
        )

    def _show(self, translation: Translation) -> None:
        self._shown[translation.message_id] = translation
        self.changed.emit(translation.message_id)


def _ignore(_error: QvacError) -> None:
    """Neither a language that is not remembered nor one that has ended already is worth a sentence."""
