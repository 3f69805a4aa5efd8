"""Pictures of the Share tab with a busy fake core: `python -m tests.gui.screenshots FOLDER`.

Offscreen unless QT_QPA_PLATFORM says otherwise (it runs under Xvfb too). To be looked at beside the design's pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.i18n import tr
from app.theme import Theme
from app.views.settings_model_servers import ModelServersEntry
from app.views.settings_tools import ToolServersEntry
from app.views.share_dialogs import KeyDialog
from app.views.share_identity import NewIdentityDialog, RestoreDialog
from app.views.share_options import ModelOptionsDialog
from app.window import SHARE, MainWindow
from qvac_core.core.identity_state import FoundBackup
from qvac_core.core.model_options import ModelOptions, OptionsOfModel
from qvac_core.core.relay_offer_state import RelayOffer, RelayPhase
from qvac_core.core.state import (
    AccessMode,
    AccessRules,
    DownloadChanged,
    ErrorInfo,
    Nat,
    NetworkReport,
    Pause,
    PauseReason,
    SharedModel,
    SharingPhase,
    SharingState,
)
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import FakeCore
from tests.gui.fake_model_servers import OLLAMA, RACK
from tests.gui.fake_relay_offer import RELAY_KEY
from tests.gui.fake_tools import CALENDAR, MAPS
from tests.gui.picture_taking import keep_and_close, settle, take_all
from tests.gui.populated import NOON, fullest, populate

WIDE = (1280, 800 - 28)  # the design's pictures have a title bar of their own
NARROW = (900, 640 - 28)


def _nothing(_window: MainWindow) -> None:
    return


@dataclass(frozen=True)
class Picture:
    name: str
    core: Callable[[], FakeCore]
    theme: str = "light"
    size: tuple[int, int] = WIDE
    act: Callable[[MainWindow], None] = field(default=_nothing)


def _busy() -> FakeCore:
    return populate(FakeCore())


def _fullest() -> FakeCore:
    return fullest(FakeCore())


def _paused() -> FakeCore:
    core = _fullest()
    core.pausing.pauses = (Pause(PauseReason.OWNER, NOON + 3600),)
    return core


def _manners(window: MainWindow) -> None:
    window.share_page.manners.open_dialog()


def _model(window: MainWindow) -> None:
    own, others = ModelOptions(context_tokens=8192, slots=1), ModelOptions(4096, 4, 0, 10, 0)
    options = OptionsOfModel(own, others, (8192, 4), in_use=True)
    ModelOptionsDialog(window.share.options, window.theme, window.share.models[0], options, window).open()


def _new_identity(window: MainWindow) -> None:
    NewIdentityDialog(window.share.identity, window.theme, window).open()


def _restore(window: MainWindow) -> None:
    found = FoundBackup("ee" * 32, "Studio desktop", "2026-11-01T10:00:00+01:00", False)
    RestoreDialog(window.share.identity, window.theme, Path("qvac-identity-eeeeeeee.json"), found, window).open()


def _empty() -> FakeCore:
    return FakeCore(clock=lambda: NOON)


def _sharing_empty() -> FakeCore:
    core = _empty()
    core.sharing_state = SharingState(SharingPhase.ANNOUNCED, NOON - 30)
    return core


def _many_knocks() -> FakeCore:
    core = _busy()
    for digit in "3456":
        core.knock(digit * 64, NOON - int(digit) * 40)
    return core


def _trouble() -> FakeCore:
    core = _busy()
    core.sharing_state = SharingState(
        SharingPhase.UNREACHABLE,
        NOON - 20,
        "This machine has no network. Sharing goes on by itself when it is back.",
    )
    core.rules = AccessRules(AccessMode.DENY, True, core.rules.keys)
    return core


def _fail(window: MainWindow) -> None:
    error = ErrorInfo("MODEL_LOAD_FAILED", 52200, "notes.gguf was not added.", "This file is not a GGUF model.")
    window.share.failed.emit("models", error)
    window.share.download = DownloadChanged("SmolLM2 135M Instruct", 61_000_000, 98_000_000, 9_800_000.0)
    window.share.download_changed.emit()


def _ask_open(window: MainWindow) -> None:
    window.share_page.access.mode.button("deny").click()


def _mirrored(window: MainWindow) -> None:
    window.setLayoutDirection(Qt.LayoutDirection.RightToLeft)


def _keyboard(window: MainWindow) -> None:
    window.activateWindow()
    window.share_page.access.table.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(window.share_page.access.table, Qt.Key.Key_Down)


def _dialog(window: MainWindow) -> None:
    window.share_page.knocks.cards[0].ask_name()


def _add_key(window: MainWindow) -> None:
    window.share_page.access.add.click()
    dialog = window.findChildren(KeyDialog)[0]
    dialog.key.set_key("cf6c88ea" * 5)


def _qr(window: MainWindow) -> None:
    window.share_page.key.show_large()


def _settings(window: MainWindow) -> None:
    window.open_settings()


def _appearance(window: MainWindow) -> None:
    window.open_settings("appearance")


def _search_settings(window: MainWindow) -> None:
    _find(window, "port")


def _find(window: MainWindow, text: str) -> None:
    window.open_settings()
    window.settings.page.search.setText(text)
    window.settings.page.finish_search()


def _tools(window: MainWindow) -> None:
    window.open_settings("tools")
    entry = next(iter(window.settings.page.findChildren(ToolServersEntry)))
    entry.rows["Calendar"].fold.click()


def _mirrored_tools(window: MainWindow) -> None:
    window.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    _tools(window)


def _add_tools(window: MainWindow) -> None:
    window.open_settings("tools")
    next(iter(window.settings.page.findChildren(ToolServersEntry))).add.click()


def _with_tools() -> FakeCore:
    core = FakeCore(clock=lambda: NOON)
    calendar = replace(CALENDAR, server=replace(CALENDAR.server, in_new=True, always=("add_event",)))
    files = replace(CALENDAR, server=replace(CALENDAR.server, name="Files", command="files-mcp", trusted=True))
    core.tools.entries = (calendar, files, MAPS)
    return core


def _with_model_servers() -> FakeCore:
    core = FakeCore(clock=lambda: NOON)
    core.model_servers.entries = (OLLAMA, RACK)
    return core


def _models_at_servers() -> FakeCore:
    core = _busy()
    llama = SharedModel("ollama/llama3.2:3b", "llama3.2:3b", "", 0, 0, 8192, 4, True, "idle", server="Ollama")
    away = SharedModel("rack/qwen3", "Qwen3 30B A3B", "", 0, 0, 32768, 4, True, "away: ", server="Rack upstairs")
    words = SharedModel("ollama/nomic", "nomic-embed-text", "", 0, 0, 0, 4, False, "idle", "embed", server="Ollama")
    core.models = (core.models[0], llama, away, words)
    return core


def _model_servers(window: MainWindow) -> None:
    entry = _servers_known(window)
    entry.rows[OLLAMA.id].fold.click()
    window.settings.page.search.setText(tr("Models of another server"))


def _change_model_server(window: MainWindow) -> None:
    _servers_known(window).edit(RACK)


def _servers_known(window: MainWindow) -> ModelServersEntry:
    """Without waiting for the core's answer."""
    window.open_settings("models")
    servers = window.settings.rows.servers
    assert servers is not None
    servers.entries = (OLLAMA, RACK)
    servers.changed.emit()
    return next(iter(window.settings.page.findChildren(ModelServersEntry)))


def _mirrored_settings(window: MainWindow) -> None:
    window.open_settings("appearance")
    _mirrored(window)


def _network(window: MainWindow) -> None:
    window.open_network()


def _with_relays() -> FakeCore:
    core = _busy()
    core.relay_keys = ("ab" * 32, "3c5e" * 16)
    core.report = NetworkReport(20, 20, ("203.0.113.7", 0), True, Nat.RANDOM)
    return core


def _as_relay() -> FakeCore:
    core = _busy()
    core.settings["relay.on"] = "true"
    core.relay_offer.offer = RelayOffer(RelayPhase.ON, RELAY_KEY, 3, 1, 4_200_000_000)
    return core


def _relay(window: MainWindow) -> None:
    _find(window, "relay")


def _offline() -> FakeCore:
    core = _trouble()
    core.report = NetworkReport(3, 0, None, True, Nat.UNKNOWN)
    return core


PICTURES = (
    Picture("share-light", _busy),
    Picture("share-dark", _busy, "dark"),
    Picture("narrow-share", _busy, size=NARROW),
    Picture("narrow-share-dark", _busy, "dark", NARROW),
    Picture("share-smallest", _busy, size=(720, 520)),
    Picture("share-tall-narrow", _busy, size=(900, 1500)),
    Picture("share-full", _fullest),
    Picture("share-full-dark", _fullest, "dark"),
    Picture("share-full-narrow", _fullest, size=(900, 1900)),
    Picture("share-full-smallest", _fullest, "dark", (720, 520)),
    Picture("share-full-mirrored", _fullest, act=_mirrored),
    Picture("share-servers", _models_at_servers),
    Picture("share-servers-smallest", _models_at_servers, "dark", (720, 520)),
    Picture("share-paused", _paused),
    Picture("dialog-manners", _fullest, act=_manners),
    Picture("dialog-model", _fullest, "dark", act=_model),
    Picture("dialog-new-identity", _fullest, act=_new_identity),
    Picture("dialog-restore", _fullest, "dark", act=_restore),
    Picture("share-off-empty", _empty),
    Picture("share-on-empty", _sharing_empty, "dark"),
    Picture("share-knocks", _many_knocks),
    Picture("share-trouble", _trouble, act=_fail),
    Picture("share-ask-open", _busy, "dark", act=_ask_open),
    Picture("share-mirrored", _busy, act=_mirrored),
    Picture("share-keyboard", _busy, act=_keyboard),
    Picture("dialog-allow", _busy, act=_dialog),
    Picture("dialog-add-key", _busy, "dark", act=_add_key),
    Picture("dialog-qr", _busy, "dark", act=_qr),
    Picture("settings-general", _busy, act=_settings),
    Picture("settings-tools", _with_tools, act=_tools),
    Picture("settings-tools-dark", _with_tools, "dark", act=_tools),
    Picture("settings-tools-narrow", _with_tools, size=(720, 520), act=_tools),
    Picture("settings-tools-mirrored", _with_tools, size=NARROW, act=_mirrored_tools),
    Picture("settings-model-servers", _with_model_servers, act=_model_servers),
    Picture("settings-model-servers-dark-narrow", _with_model_servers, "dark", size=(720, 520), act=_model_servers),
    Picture("settings-model-servers-change", _with_model_servers, act=_change_model_server),
    Picture("settings-tools-add", _with_tools, act=_add_tools),
    Picture("settings-appearance", _busy, act=_appearance),
    Picture("settings-appearance-dark", _busy, "dark", act=_appearance),
    Picture("settings-mirrored", _busy, act=_mirrored_settings),
    Picture("settings-search", _busy, act=_search_settings),
    Picture("settings-search-none", _busy, "dark", act=lambda window: _find(window, "qqq")),
    Picture("settings-network", _busy, act=_network),
    Picture("settings-network-relays", _with_relays, "dark", act=_network),
    Picture("settings-network-offline", _offline, act=_network),
    Picture("settings-relay", _as_relay, act=_relay),
    Picture("settings-relay-dark-smallest", _as_relay, "dark", size=(720, 520), act=_relay),
    Picture("narrow-settings", _with_relays, size=NARROW, act=_network),
    Picture("settings-smallest", _with_relays, size=(720, 520), act=_network),
)


async def take(picture: Picture, theme: Theme, folder: Path) -> None:
    core = picture.core()
    core.settings["theme"] = picture.theme
    core.settings["tab"] = "share"
    proxy = DirectProxy(core)
    with theme.undressed():
        window = MainWindow(proxy, theme)
    window.share.clock = core.clock
    await proxy.start()
    window.resize(*picture.size)
    window.show()
    await window.load()
    window.tabs.setCurrentIndex(SHARE)
    picture.act(window)
    await settle()
    await keep_and_close(window, proxy, folder, picture.name)


def main(pictures: Sequence[Picture] = PICTURES) -> None:
    take_all(pictures, take)


if __name__ == "__main__":
    main()
