"""The settings of the window: what holds now is put in force, and the Settings page gets what only the window knows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QApplication

from app import languages
from app.audio.system_input import SystemInput
from app.bridge import CoreProxy
from app.core_words import told
from app.i18n import tr
from app.presenters.chat import ChatPresenter
from app.presenters.identity import IdentityPresenter
from app.presenters.network import NetworkPresenter
from app.presenters.settings import SettingsPresenter
from app.presenters.settings_rows import keys
from app.tasks import Tasks
from app.theme import Theme
from app.views.chat_page import ChatPage
from app.views.settings_page import SettingsPage
from app.views.settings_row import Options
from app.window_language import LANGUAGES, SYSTEM
from qvac_core.core.manners_state import MannersRule
from qvac_core.core.pausing import PauseReason
from qvac_core.store.folders import DataDir

if TYPE_CHECKING:
    from app.presenters.model_servers import ModelServersPresenter
    from app.window_rows import WindowRows
    from qvac_core.store.data_move import DataMove

MANNERS = {
    PauseReason.BATTERY: "manners.on_battery",
    PauseReason.ACTIVE: "manners.while_active",
    PauseReason.OTHER_PROGRAM: "manners.other_gpu",
}


class WindowSettings(QObject):
    """`presenter` has the values, `page` shows them. What changes acts on theme and pages at once.

    `share_wanted`: who may use this machine is asked for.
    """

    share_wanted = Signal()

    def __init__(
        self,
        core: CoreProxy,
        theme: Theme,
        chat: ChatPresenter,
        chat_page: ChatPage,
        network: NetworkPresenter,
        identity: IdentityPresenter,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._theme, self._chat, self._chat_pages = theme, chat, [chat_page]
        self._network, self._identity = network, identity
        self._core = core
        self._tasks = Tasks()
        self._closing = threading.Event()
        self._folder: DataDir | None = None
        self._rows: WindowRows | None = None
        self._servers: ModelServersPresenter | None = None
        self._still = theme.reduced_motion  # whoever made the theme wants none
        self.presenter = SettingsPresenter(core, (*keys(), "library.folder"), self)
        self.page = SettingsPage(
            self.presenter,
            theme,
            lambda name, row: self.rows.make(name, row),
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
        self.page.shown.connect(self._ask_manners)
        self.page.shown.connect(self._ask_microphones)
        self.page.built_ahead.connect(self._show_rules)
        self._microphones: tuple[str, ...] = ()
        self._rules: tuple[MannersRule, ...] = ()
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.applicationStateChanged.connect(self._back)

    def use(self, folder: DataDir) -> None:
        """Where this window keeps everything. Before the page is opened for the first time."""
        self._folder = folder

    @property
    def moves(self) -> DataMove | None:
        """Where the data folder goes once the program has ended."""
        return self._rows.moves if self._rows is not None else None

    @property
    def rows(self) -> WindowRows:
        """Made when they are first asked for: a start has no use for them."""
        if self._rows is None:
            from app.window_rows import WindowRows

            parts = (self._network, self._identity, self._tasks, self._closing, self._folder)
            self._rows = WindowRows(self._theme, self.page, self.presenter, *parts, self.share_wanted.emit)
            self._rows.tools = self._chat.tools.servers
            from app.presenters.model_servers import ModelServersPresenter

            self._servers = self._rows.servers = ModelServersPresenter(self._core, self)
            self._servers.open()
        return self._rows

    async def load(self) -> None:
        await self._network.load()
        await self.presenter.load()

    async def close(self) -> None:
        self._closing.set()
        if self._rows is not None:
            await asyncio.to_thread(self._rows.build.cancel)
        await self._tasks.settle()  # a thread that reads a disk cannot be cancelled
        await self._tasks.close()
        if self._servers is not None:
            await self._servers.close()
        await self.presenter.close()

    async def settle(self) -> None:
        await self._tasks.settle()
        if self._servers is not None:
            await self._servers.settle()
        await self.presenter.settle()

    def _back(self, state: Qt.ApplicationState) -> None:
        """Somebody may have changed elsewhere what the system has."""
        starts = self._rows.starts if self._rows is not None else None
        if state == Qt.ApplicationState.ApplicationActive and starts is not None and starts.isVisible():
            starts.read()

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
        for page in self._chat_pages:
            self.write_as_set(page)

    def write_as_set(self, page: ChatPage) -> None:
        """A chat, of this window or another one, sends by the key that was chosen."""
        if page not in self._chat_pages:
            self._chat_pages.append(page)
            page.destroyed.connect(lambda: self._chat_pages.remove(page))
        page.conversation.composer.text.enter_sends = self.presenter.value("chat.send_key") != "ctrl+enter"

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
                return tuple((name, name) for name in self._microphones)
        return ()

    # --- What the machine tells of the manners

    def _ask_manners(self) -> None:
        self._tasks.start(self._show_manners(), lambda _error: None)

    async def _show_manners(self) -> None:
        self._rules = await self._core.call(lambda core: core.manners.rules())
        self._show_rules()

    def _ask_microphones(self) -> None:
        sound = self._chat.dictation.sound
        if isinstance(sound, SystemInput):
            self._tasks.start(self._list_microphones(sound), lambda _error: None)

    async def _list_microphones(self, sound: SystemInput) -> None:
        """A sound system may take its time."""
        self._microphones = await asyncio.to_thread(sound.names)
        if (row := self.page.rows.get("speech.microphone")) is not None:
            row.refresh_options()

    def _show_rules(self) -> None:
        for rule in self._rules:
            row = self.page.rows.get(MANNERS.get(rule.reason, ""))
            if row is not None:
                row.set_remark(told(rule.unknown) if rule.unknown else "")
