"""The settings of the window: what holds now is put in force, and the Settings page gets what only the window knows."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtGui import QFontDatabase

from app import languages
from app.audio.system_input import SystemInput
from app.bridge import CoreProxy
from app.i18n import tr
from app.presenters.chat import ChatPresenter
from app.presenters.network import NetworkPresenter
from app.presenters.settings import SettingsPresenter
from app.presenters.settings_rows import Row, keys
from app.theme import Theme
from app.views.chat_page import ChatPage
from app.views.settings_network import AddRelayEntry, ConnectionEntry, RelaysEntry
from app.views.settings_page import SettingsPage
from app.views.settings_row import Options, SettingsEntry
from app.window_language import LANGUAGES, SYSTEM


class WindowSettings(QObject):
    """`presenter` has the values, `page` shows them. What changes acts on theme and pages at once."""

    def __init__(
        self,
        core: CoreProxy,
        theme: Theme,
        chat: ChatPresenter,
        chat_page: ChatPage,
        network: NetworkPresenter,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._theme, self._chat, self._chat_page = theme, chat, chat_page
        self._network = network
        self._still = theme.reduced_motion  # whoever made the theme wants none
        self.presenter = SettingsPresenter(core, keys(), self)
        self.page = SettingsPage(
            self.presenter,
            theme,
            {"connection": self._connection, "relays": self._relays},
            self._options,
        )
        self._acts: dict[str, Callable[[], None]] = {
            "theme": self._look,
            "text_size": self._look,
            "contrast": self._look,
            "code_font": self._look,
            "reduced_motion": self._look,
            "chat.send_key": self._write,
            "speech.microphone": self._hear,
            "speech_language": self._understand,
        }
        self.presenter.changed.connect(self._act)
        self.page.shown.connect(self.presenter.reload)

    async def load(self) -> None:
        await self._network.load()
        await self.presenter.load()

    async def close(self) -> None:
        await self.presenter.close()

    async def settle(self) -> None:
        await self.presenter.settle()

    # --- In force

    def _act(self, key: str) -> None:
        if key in self._acts:
            self._acts[key]()

    def _look(self) -> None:
        value, theme = self.presenter.value, self._theme
        theme.reduced_motion = self._still or value("reduced_motion") == "true"
        size = value("text_size")
        theme.use(value("theme"), int(size) if size.isdecimal() else 100, value("contrast"), value("code_font"))

    def _write(self) -> None:
        self._chat_page.conversation.composer.text.enter_sends = self.presenter.value("chat.send_key") != "ctrl+enter"

    def _hear(self) -> None:
        sound = self._chat.dictation.sound
        if isinstance(sound, SystemInput):
            sound.wanted = self.presenter.value("speech.microphone")

    def _understand(self) -> None:
        self._chat.dictation.show_language(self.presenter.value("speech_language"))

    # --- What only the window knows

    def _options(self, source: str) -> Options:
        match source:
            case "languages":
                return ((SYSTEM, tr("As the system")), *LANGUAGES)
            case "spoken languages":
                return languages.choices()
            case "local models":
                return tuple((model.name, model.display_name) for model in self._chat.models)
            case "speech models":
                here = (choice for choice in self._chat.speech.choices if not choice.where)
                return tuple((choice.name, choice.name) for choice in here)
            case "fixed fonts":
                families = QFontDatabase.families()
                return tuple((name, name) for name in families if QFontDatabase.isFixedPitch(name))
            case "microphones":
                sound = self._chat.dictation.sound
                return tuple((name, name) for name in sound.names()) if isinstance(sound, SystemInput) else ()
        return ()

    def _connection(self, row: Row) -> tuple[SettingsEntry, ...]:
        return (ConnectionEntry(self._network, self._theme, row),)

    def _relays(self, row: Row) -> tuple[SettingsEntry, ...]:
        return RelaysEntry(self._network, self._theme, row), AddRelayEntry(self._network, self._theme, row)
