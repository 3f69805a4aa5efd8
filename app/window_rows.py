"""The rows of the Settings page that only the window can make; read when the page is opened for the first time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QWidget

from app.autostart import Autostart
from app.engine_build import EngineBuild
from app.i18n import tr
from app.network_words import headline
from app.presenters.identity import IdentityPresenter
from app.presenters.model_servers import ModelServersPresenter
from app.presenters.network import NetworkPresenter
from app.presenters.settings import SettingsPresenter
from app.presenters.settings_rows import Row, keys
from app.presenters.tools import ToolServers
from app.service import services_here
from app.tasks import Tasks
from app.theme import Theme
from app.views.settings_engine import engine_rows
from app.views.settings_hours import DaysRow, HoursRow
from app.views.settings_identity import IdentityRow
from app.views.settings_model_servers import ModelServersEntry
from app.views.settings_network import AddRelayEntry, ConnectionEntry, RelayOfferEntry, RelaysEntry
from app.views.settings_page import SettingsPage
from app.views.settings_row import SettingsEntry, SettingsRow
from app.views.settings_service import FindServices, ServiceRow
from app.views.settings_system import AboutRows, AutostartRow, FolderRow, ReportRow, TextDialog, shortcut_rows
from app.views.settings_tools import ToolServersEntry
from app.widgets.button import Button
from app.widgets.icon_label import IconLabel
from qvac_core.store.data_move import DataMove
from qvac_core.store.folders import DataDir

MODELS = "library.folder"
PRIVATE = frozenset({"machine_name", "network.bootstrap", "speech.microphone"})


class WindowRows:
    """`make` a row by its name. What a machine has can be given before: `autostart`, `services`, `build`, `tools`.

    folder: where this window keeps everything; without one it has no rows about this machine. closing: is set when the
    window closes.
    """

    def __init__(
        self,
        theme: Theme,
        page: SettingsPage,
        presenter: SettingsPresenter,
        network: NetworkPresenter,
        identity: IdentityPresenter,
        tasks: Tasks,
        closing: threading.Event,
        folder: DataDir | None,
        show_share: Callable[[], None],
    ) -> None:
        self._theme, self._page, self._presenter = theme, page, presenter
        self._network, self._identity = network, identity
        self._tasks, self._closing = tasks, closing
        self._folder, self._show_share = folder, show_share
        self.autostart = Autostart.of(folder) if folder is not None else None
        self.services: FindServices = services_here
        self.build = EngineBuild()
        self.tools: ToolServers | None = None
        self.servers: ModelServersPresenter | None = None
        self.starts: AutostartRow | None = None
        self.moves: DataMove | None = None  # once the program has ended
        self.about: AboutRows | None = None

    def make(self, name: str, row: Row) -> Sequence[SettingsEntry]:
        theme = self._theme
        match name:
            case "about":
                self.about = AboutRows(theme, row)
                return self.about.version, self.about.licence
            case "autostart" if self.autostart is not None:
                self.starts = AutostartRow(theme, row, self.autostart, self._tasks)
                return (self.starts,)
            case "connection":
                return (ConnectionEntry(self._network, theme, row),)
            case "days":
                return (DaysRow(self._presenter, theme, row),)
            case "engine":
                return engine_rows(theme, row, self.build, self._tasks, self._show_text, self._page.refresh_rows)
            case "folder" if self._folder is not None:
                return (self._folder_row(row, self._folder),)
            case "hours":
                return (HoursRow(self._presenter, theme, row),)
            case "identity":
                return (IdentityRow(self._identity, theme, row, self._page.restart_wanted.emit),)
            case "reads":
                return (SettingsRow(theme, tr(row.label), tr(row.hint), words=row.words),)
            case "model_servers" if self.servers is not None:
                return (ModelServersEntry(self.servers, theme, row),)
            case "relays":
                return RelaysEntry(self._network, theme, row), AddRelayEntry(self._network, theme, row)
            case "relay_offer":
                return (RelayOfferEntry(self._network, theme, row),)
            case "report":
                return (ReportRow(theme, row, self._facts),)
            case "service" if self._folder is not None:
                return (ServiceRow(theme, row, self._folder, self.services, self._tasks),)
            case "shortcuts":
                return shortcut_rows(theme)
            case "telemetry":
                sign = IconLabel(theme, "shield", "accent")
                return (SettingsRow(theme, tr(row.label), tr(row.hint), sign, words=row.words),)
            case "tools" if self.tools is not None:
                return (ToolServersEntry(self.tools, theme, row),)
            case "who":
                show = Button(theme, tr("Show"), name=tr("Show who may use it"))
                show.clicked.connect(self._show_share)
                return (SettingsRow(theme, tr(row.label), tr(row.hint), show, words=row.words),)
        return ()

    def _folder_row(self, row: Row, folder: DataDir) -> FolderRow:
        entry = FolderRow(self._theme, row, folder, self._tasks, self._closing, lambda: self._presenter.value(MODELS))
        entry.move_wanted.connect(self._move)
        return entry

    def _move(self, move: DataMove) -> None:
        self.moves = move
        self._page.restart_wanted.emit()

    def _show_text(self, title: str, sentence: str, text: str, asker: QWidget) -> None:
        TextDialog(self._theme, title, sentence, text, asker).open()

    def _facts(self) -> tuple[str, ...]:
        """Of this run, for a report: what differs from the defaults, but for what tells who somebody is."""
        kept = [key for key in keys() if key not in PRIVATE and self._presenter.changed_from_default(key)]
        report = self._network.report
        return (
            f"Given: {', '.join(self._presenter.given) or 'nothing'}",
            f"Network: {headline(report)[1] if report is not None else 'not looked at'}",
            *(f"{key} = {self._presenter.value(key)}" for key in kept),
        )
