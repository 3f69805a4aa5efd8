"""The main window: two tabs, pages behind tools at the end of their row, shortcuts, what it remembers, how it closes.

Share, Library and Settings are here alone; other windows (`windows`) have a chat each, and bring this one to the front
for the rest. It makes the presenters and pages; the core is reached through the proxy alone. What the first look does
not show is made when it is asked for, at the latest by `furnish`: the window is on the screen by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QAccessible, QCloseEvent, QKeyEvent, QKeySequence, QPaintEvent, QResizeEvent, QShortcut
from PySide6.QtWidgets import QApplication, QDialog, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.announcements import DownloadSpeech
from app.bridge import CoreProxy
from app.chat_windows import ChatWindows
from app.come_forward import come_forward
from app.given_keys import given_key
from app.i18n import tr, trn
from app.opening import Opening
from app.presenters.chat import ChatPresenter
from app.tasks import Tasks
from app.theme import Theme
from app.views.chat_page import ChatPage
from app.widgets.dialog import Dialog, is_above
from app.widgets.focus import hand_on_focus, next_stop
from app.widgets.notice_bar import NoticeBar
from app.widgets.page_tool import PageTool
from app.widgets.tab_bar import TabBar
from app.window_place import place_of, put_back
from qvac_core.core.state import ErrorInfo, Notice, SharingPhase, Target
from qvac_core.errors import QvacError

if TYPE_CHECKING:
    from app.presenters.library import LibraryPresenter
    from app.presenters.network import NetworkPresenter
    from app.presenters.programs import ProgramsPresenter
    from app.presenters.share import SharePresenter
    from app.views.knock_notice import KnockNotice
    from app.views.library_page import LibraryPage
    from app.views.programs_page import ProgramsPage
    from app.views.share_page import SharePage
    from app.window_settings import WindowSettings
    from qvac_core.store.data_move import DataMove

MadePage = TypeVar("MadePage", bound=QWidget)

MINIMUM = (720, 520)
FIRST_SIZE = (1280, 800)
FRAME = (8, 40)  # what a window manager draws around a window, at most
SHARE, CHAT = 0, 1
TAB_NAMES = ("share", "chat")
COMPACT_BELOW = 1080  # wide: the tools of the tab row show their icons alone


class Page(Protocol):
    """A widget that `add_page` takes."""

    def regions(self) -> list[QWidget]:
        """Where F6 stops, in order. The first one gets the focus when the page opens."""


def first_size(screen: QSize) -> QSize:
    """The design's size, or what a screen has room for beside the frame and title of the window."""
    return QSize(*FIRST_SIZE).boundedTo(screen - QSize(*FRAME)).expandedTo(QSize(*MINIMUM))


class MainWindow(QWidget):
    """`leaving` fires once, when the person has closed the window for good; `restarts`: to begin again at once.

    `called(arguments)`: what the program was asked for by its command line, a second start or the system: options as
    they are, links and paths as they were typed. The first time once everything has loaded.
    """

    accessible_role = QAccessible.Role.Window

    leaving = Signal()
    called = Signal(tuple)
    painted = Signal()  # for the first time

    def __init__(self, core: CoreProxy, theme: Theme, kept: Mapping[str, str] | None = None) -> None:
        """kept: "geometry" and "tab" as it was left with, where that is known before the core tells (`load`)."""
        super().__init__()
        self.core, self.theme = core, theme
        self.tasks = Tasks()
        self.chat = ChatPresenter(core, parent=self)
        self.chat_page = ChatPage(self.chat, theme)
        self.notice = NoticeBar(theme)
        self._downloads = DownloadSpeech(self)
        self.windows = ChatWindows(self)
        self._opening = Opening(self, self.chat_page, self.show_chat)
        self._left = False
        self._placed, self._seen = kept is not None, False
        # Who decides where the last window goes that is closed; None = the program ends.
        self.take_close: Callable[[QWidget], None] | None = None
        self.restarts = False
        self._question: Dialog | None = None
        self._waiting: QDialog | None = None  # until somebody is back from the settings
        self.setWindowTitle("QVAC Desktop")
        self.setMinimumSize(*MINIMUM)
        self.resize(first_size(self.screen().availableSize()))
        self._build(theme)
        self._connect()
        self._add_shortcuts()
        self.tabs.show_live(SHARE, False, "", 0, tr("sharing is off"))
        if kept is not None:
            put_back(self, kept.get("geometry", ""))
            self._open_tab(kept.get("tab", ""))
        else:
            for make in self._late:
                make()

    # --- What is made late

    @property
    def _late(self) -> tuple[Callable[[], object], ...]:
        """In parts that stop no scrolling: each takes less than a tenth of a second."""
        return (
            lambda: self.share,
            lambda: self.knocks,
            lambda: self.share_page,
            lambda: self.library,
            lambda: self.library_page,
            lambda: self.programs,
            lambda: self.programs_page,
            lambda: self.settings,
        )

    async def furnish(self) -> None:
        """Make all that is not there yet, while the window takes what somebody does. Before the core starts."""
        for make in self._late:
            make()
            await asyncio.sleep(0)

    def _is_made(self, name: str) -> bool:
        return name in self.__dict__

    @cached_property
    def share(self) -> SharePresenter:
        from app.presenters.share import SharePresenter

        share = SharePresenter(self.core, parent=self)
        share.sharing_changed.connect(self._show_live)
        share.rules_changed.connect(self._show_live)
        share.knocks_changed.connect(self._show_live)
        share.failed.connect(self._show_failed_knock)
        share.noticed.connect(self._show_notice)
        return share

    @cached_property
    def library(self) -> LibraryPresenter:
        from app.presenters.library import LibraryPresenter

        library = LibraryPresenter(self.core, parent=self)
        library.downloads_changed.connect(lambda: self._library_tool.show_progress(library.progress))
        library.chat_wanted.connect(self._chat_here)
        return library

    @property
    def data_move(self) -> DataMove | None:
        """Where the data folder goes once the program has ended."""
        return self.settings.moves if self._is_made("settings") else None

    @cached_property
    def network(self) -> NetworkPresenter:
        from app.presenters.network import NetworkPresenter

        return NetworkPresenter(self.core, parent=self)

    @cached_property
    def programs(self) -> ProgramsPresenter:
        from app.presenters.programs import ProgramsPresenter

        return ProgramsPresenter(self.core, parent=self)

    @cached_property
    def settings(self) -> WindowSettings:
        from app.window_settings import WindowSettings

        identity = self.share.identity
        settings = WindowSettings(self.core, self.theme, self.chat, self.chat_page, self.network, identity, self)
        settings.page.restart_wanted.connect(self.restart)
        settings.share_wanted.connect(lambda: self.tabs.choose(SHARE))
        self._take_page(settings.page, self.gear)
        return settings

    @cached_property
    def share_page(self) -> SharePage:
        from app.views.share_page import SharePage

        page = SharePage(self.share, self.theme)
        page.status.network_wanted.connect(self.open_network)
        page.key.named.connect(lambda name: self.remember("machine_name", name))
        page.models.library_wanted.connect(self.show_library)
        page.models.servers_wanted.connect(lambda: self.open_settings("models"))
        self.stack.insertWidget(SHARE, page)
        return page

    @cached_property
    def library_page(self) -> LibraryPage:
        from app.views.library_page import LibraryPage

        return self._take_page(LibraryPage(self.library, self.theme), self._library_tool)

    @cached_property
    def programs_page(self) -> ProgramsPage:
        from app.views.programs_page import ProgramsPage

        return self._take_page(ProgramsPage(self.programs, self.theme), self._programs_tool)

    @cached_property
    def knocks(self) -> KnockNotice:
        from app.views.knock_notice import KnockNotice

        knocks = KnockNotice(self.share, self.theme)
        knocks.all_wanted.connect(lambda: self.tabs.choose(SHARE))
        # Also while another program is in front: Qt does nothing for a window that is looked at.
        knocks.arrived.connect(lambda: QApplication.alert(self))
        knocks.show_here(self._knocks_elsewhere)
        self._column.insertWidget(self._column.indexOf(self.stack), knocks)
        return knocks

    def _take_page(self, page: MadePage, tool: PageTool) -> MadePage:
        self.tools[page] = tool
        self.stack.addWidget(page)
        return page

    def _show_tab(self, tab: int) -> None:
        self.stack.setCurrentWidget(self.share_page if tab == SHARE else self.chat_page)

    def _build(self, theme: Theme) -> None:
        self.tabs = TabBar(theme)
        self.tabs.add(tr("Share my GPU"), tooltip="Ctrl+1")
        self.tabs.add(tr("Chat"), icon="message-square", tooltip="Ctrl+2")
        row = QWidget()
        row.setObjectName("tabRow")
        row.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        layout = QHBoxLayout(row)
        layout.setContentsMargins(16, 0, 12, 1)
        layout.setSpacing(0)
        layout.addWidget(self.tabs)
        layout.addStretch(1)
        self._tools_row = layout
        self.tools: dict[QWidget, PageTool] = {}  # of pages that are made
        self._all_tools: list[PageTool] = []
        self.stack = QStackedWidget()
        self.stack.addWidget(self.chat_page)
        column = self._column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(row)
        column.addWidget(self.notice)
        column.addWidget(self.stack, 1)
        self.tabs.setCurrentIndex(CHAT)
        self.stack.setCurrentWidget(self.chat_page)
        self.gear = self._add_tool(lambda: self.settings.page, tr("Settings"), "settings", "Ctrl+,", compact=True)
        self._library_tool = self._add_tool(lambda: self.library_page, tr("Library"), "hard-drive", "Ctrl+L")
        self._programs_tool = self._add_tool(lambda: self.programs_page, tr("For programs"), "terminal", "Ctrl+P")

    def _connect(self) -> None:
        self.tabs.chosen.connect(self._show_tab)
        self.tabs.currentChanged.connect(lambda tab: self.remember("tab", TAB_NAMES[tab]))
        self.stack.currentChanged.connect(self._show_front)
        self.chat_page.network_wanted.connect(self.open_network)
        self.chat_page.tools_wanted.connect(lambda: self.open_settings("tools"))
        self.called.connect(lambda arguments: self._open_in_front(given_key(arguments)))
        self.chat_page.window_wanted.connect(self.windows.open)
        self.core.core_event.connect(self._downloads.take)
        self.chat.share_requested.connect(lambda: self.tabs.choose(SHARE))
        self.chat_page.library_wanted.connect(self.show_library)

    def _add_shortcuts(self) -> None:
        for keys, act in (
            ("Ctrl+1", lambda: self.tabs.choose(SHARE)),
            ("Ctrl+2", lambda: self.tabs.choose(CHAT)),
            ("Ctrl+Shift+N", self.windows.open),
            ("Ctrl+Shift+S", self.turn_sharing),
            ("Ctrl+W", self.close),
            ("Ctrl+Q", self.ask_to_leave),
            ("F6", self.next_region),
        ):
            QShortcut(QKeySequence(keys), self).activated.connect(act)

    # --- Pages

    def add_page(self, page: QWidget, text: str, icon: str, keys: str, *, compact: bool = False) -> PageTool:
        """Add a page of the stack (a `Page`) and its tool at the end of the tab row, before the gear.

        text: what it is called, in the row and as accessible name. keys: its shortcut ("Ctrl+L"), also in the tooltip.
        compact: the icon alone at any width. Returns the tool, for a progress (`show_progress`).

        A page opens by its tool, its shortcut and `open_page`; F6 walks its `regions`. Back to the last tab lead the
        tab itself, Ctrl+1 and Ctrl+2, the tool once more, and Esc, unless a widget of the page accepted that key.
        Presenters of its own are loaded in `load` and closed in `unload`.
        """
        tool = self._add_tool(lambda: page, text, icon, keys, compact=compact)
        self._take_page(page, tool)
        return tool

    def _add_tool(
        self, page: Callable[[], QWidget], text: str, icon: str, keys: str, *, compact: bool = False
    ) -> PageTool:
        """Of a page that may not be made yet."""
        tool = PageTool(self.theme, text, icon, keys=keys, always_compact=compact)
        tool.set_compact(self.width() < COMPACT_BELOW)
        # Once more leads back: assistive technology cannot press a tab that is current already.
        tool.clicked.connect(
            lambda: self.close_page() if self.stack.currentWidget() is page() else self.open_page(page())
        )
        # Before the gear, which stays the last.
        self._tools_row.insertWidget(self._tools_row.count() - (1 if self._all_tools else 0), tool)
        self._all_tools.append(tool)
        QShortcut(QKeySequence(keys), self).activated.connect(lambda: self.open_page(page()))
        return tool

    def open_page(self, page: QWidget) -> None:
        """Bring a page that `add_page` was given to the front; its first region gets the focus."""
        self.stack.setCurrentWidget(page)
        if regions := self._regions_of(page):
            regions[0].setFocus(Qt.FocusReason.OtherFocusReason)

    def close_page(self) -> None:
        """Back to the tab that was in front before."""
        if self.stack.currentWidget() in self.tools:
            self.tabs.choose(self.tabs.currentIndex())
            self.tabs.setFocus(Qt.FocusReason.OtherFocusReason)

    def _regions_of(self, page: QWidget) -> list[QWidget]:
        find: Page = page  # type: ignore[assignment]
        return [region for region in find.regions() if region.isVisible() and region.isEnabled()]

    def _show_front(self) -> None:
        front = self.stack.currentWidget()
        for page, tool in self.tools.items():
            tool.show_open(page is front)
        self.tabs.show_covered(front in self.tools)
        if self._is_made("knocks"):
            self.knocks.show_here(self._knocks_elsewhere)
        if self._waiting is not None and front not in self.tools:
            dialog, self._waiting = self._waiting, None
            dialog.open()

    @property
    def _knocks_elsewhere(self) -> bool:
        """The page in front shows none of them."""
        return not self._is_made("share_page") or self.stack.currentWidget() is not self.share_page

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.stack.currentWidget() in self.tools:
            self.close_page()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        for tool in self._all_tools:
            tool.set_compact(self.width() < COMPACT_BELOW)

    # --- Life

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._seen:
            self._seen = True
            self.painted.emit()

    def focusNextPrevChild(self, next_: bool) -> bool:
        return hand_on_focus(lambda: super(MainWindow, self).focusNextPrevChild(next_))

    def _open_tab(self, name: str) -> None:
        # The first start is on Chat: its three cards ask what a person wants.
        self.tabs.setCurrentIndex(SHARE if name == TAB_NAMES[SHARE] else CHAT)
        self.tabs.setFocus(Qt.FocusReason.OtherFocusReason)

    async def load(self) -> None:
        """Take over what the core keeps: theme, place of the window, tab, and the state of both tabs."""
        await self.furnish()
        await self.settings.load()
        if not self._placed:
            put_back(self, await self._setting("geometry"))
        tab = await self._setting("tab")
        # Somebody may have begun to write, or changed the tab, while the core started.
        busy = self._placed and not self.tabs.hasFocus() and _focus(self) not in (self, self.tabs)
        self.share_page.show_key(self.core.public_key)
        self.share_page.key.show_name(await self._setting("machine_name"))
        await self.share.load()
        await self.chat.load(await self.windows.main_conversation())
        await self.library.load()
        await self.programs.load()
        if not self._placed:
            self._open_tab(tab)
        elif not busy:
            self.tabs.setFocus(Qt.FocusReason.OtherFocusReason)
        if not busy and self.chat.first_start and self.stack.currentWidget() is self.chat_page:
            self.chat_page.first_start.focus_first()
        self._opening.begin()
        await self.windows.restore()

    async def unload(self) -> None:
        """End what the presenters run. The core is closed by whoever started it."""
        await self.tasks.settle()
        await self.windows.close()
        for name in ("settings", "network", "share", "chat", "library", "programs"):
            if self._is_made(name):
                await getattr(self, name).close()
        await self.tasks.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        event.ignore()
        if self.windows.is_last(self):
            self.close_last(self)
        else:
            self.remember_place()
            self.hide()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self.windows.is_front(self)

    def close_last(self, window: QWidget) -> None:
        """The last window that is seen is closed."""
        if self.take_close is not None:
            self.take_close(window)
        else:
            self.ask_to_leave()

    def ask_to_leave(self) -> None:
        """Leave, after a question where somebody is served; also while the window is hidden."""

        def question(guests: int) -> tuple[str, str, str]:
            ends = trn(
                "%n person uses this GPU now. Their answers end when you quit.",
                "%n people use this GPU now. Their answers end when you quit.",
                guests,
            )
            return tr("Stop sharing and quit?"), ends, tr("Quit")

        self._ask_if_served(question, self.leave)

    def restart(self) -> None:
        """Leave and begin again with what waits for a start, after a question where somebody is served."""

        def question(guests: int) -> tuple[str, str, str]:
            ends = trn(
                "%n person uses this GPU now. Their answers end when you restart.",
                "%n people use this GPU now. Their answers end when you restart.",
                guests,
            )
            return tr("Restart while somebody is served?"), ends, tr("Restart")

        self._ask_if_served(question, self._leave_to_restart)

    def _ask_if_served(self, question: Callable[[int], tuple[str, str, str]], act: Callable[[], None]) -> None:
        """`act`, at once or when it was agreed to. question: title, sentence and word of the button, by guests."""
        if self._left:
            return
        if self._question is not None:
            self._question.activateWindow()
        elif guests := self._guests_now():
            self.show()
            from app.views.share_dialogs import confirm

            title, sentence, word = question(guests)
            self._question = confirm(self.theme, title, sentence, word, act, self)
            self._question.finished.connect(self._forget_question)
        else:
            act()

    def _leave_to_restart(self) -> None:
        self.restarts = True
        self.leave()

    def _guests_now(self) -> int:
        if not self._is_made("share"):
            return 0
        guests = len({request.remote_public_key for request in self.share.running.values()})
        return max(guests, self.share.people_on if self.share.on else 0)

    def _forget_question(self) -> None:
        self._question = None

    def leave(self) -> None:
        """Without a question."""
        if not self._left:
            self._left = True
            self.remember_place()
            self.hide()
            self.windows.hide()
            self.leaving.emit()

    def remember_place(self) -> None:
        self.remember("geometry", place_of(self))
        self.windows.remember()

    # --- Acts

    def open_given(self, text: str) -> None:
        """What a start was given to open: a `qvac://` link or the path of a picture; "" = nothing."""
        self._opening.open(text)

    def _open_in_front(self, text: str) -> None:
        """In the window that somebody used last."""
        front = self.windows.front
        chosen = next((window for window in self.windows.all if window is front), None)
        (chosen or self).open_given(text)

    def come_forward(self) -> None:
        come_forward(self)

    def show_share(self) -> None:
        self.come_forward()
        self.tabs.choose(SHARE)

    def show_chat(self) -> None:
        self.come_forward()
        self.tabs.choose(CHAT)

    def show_library(self) -> None:
        self.come_forward()
        self.open_page(self.library_page)

    def show_settings(self) -> None:
        self.come_forward()
        self.open_settings()

    def show_network(self) -> None:
        self.come_forward()
        self.open_network()

    def show_tools(self) -> None:
        self.come_forward()
        self.open_settings("tools")

    def turn_sharing(self) -> None:
        self.share.set_sharing(not self.share.on)

    def open_settings(self, section: str = "") -> None:
        """The Settings page, at a section of it. A dialog that asks for that waits, and is back with the tab."""
        modal = QApplication.activeModalWidget()
        if isinstance(modal, QDialog) and is_above(modal, self):
            modal.hide()
            self._waiting = modal
        self.open_page(self.settings.page)
        if section:
            self.settings.page.show_section(section)

    def open_network(self) -> None:
        """How this machine is connected, and its relays."""
        self.open_settings("network")

    def next_region(self) -> None:
        """F6: the tab bar, then the regions of the page in front."""
        front = self.stack.currentWidget()
        next_stop(self, [self.tabs, *(self._regions_of(front) if front is not None else ())])

    def _chat_here(self, model: str) -> None:
        """With a model of this machine."""
        self.chat.set_target(Target("", model))
        self.tabs.choose(CHAT)

    def _show_live(self) -> None:
        on = self.share.people_on if self.share.on else 0
        found = self.share.on and self.share.sharing.phase is not SharingPhase.UNREACHABLE
        state = tr("sharing is on") if found else tr("sharing is on, not reachable")
        if not self.share.on:
            state = tr("sharing is off")
        self.tabs.show_live(SHARE, found, trn("%n on", "%n on", on) if on else "", len(self.share.knocks), state)

    def _show_notice(self, notice: Notice) -> None:
        self.notice.show_notice(notice.title, notice.message)

    def _show_failed_knock(self, place: str, error: ErrorInfo) -> None:
        """The Share tab shows it where it happened; somebody who looks at Chat sees it here."""
        if place == "knock" and self._knocks_elsewhere:
            self.notice.show_notice(error.title, error.message)

    async def _setting(self, key: str) -> str:
        return await self.core.call(lambda core: core.setting(key))

    def remember(self, key: str, value: str) -> None:
        self.tasks.start(self.core.call(lambda core: core.set_setting(key, value)), self._not_remembered)

    def _not_remembered(self, error: QvacError) -> None:
        info = ErrorInfo(error.name, error.code, tr("A setting was not saved."), error.message)
        self.notice.show_notice(info.title, info.message)


def _focus(window: QWidget) -> QWidget:
    return window.focusWidget() or window
