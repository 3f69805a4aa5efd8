"""The servers of tools, and what the open conversation uses of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.i18n import tr
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.state import CoreEvent, ServerEntry, ToolServer, ToolServersChanged
from qvac_core.errors import QvacError

if TYPE_CHECKING:
    from app.presenters.chat import ChatPresenter
    from qvac_core.core.tools_state import Decision

Work = Coroutine[Any, Any, object]


class ToolServers(QObject):
    """All of them, as the core has them."""

    changed = Signal()
    failed = Signal(object)  # ErrorInfo of an intent

    def __init__(self, core: CoreProxy, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._core = core
        self._tasks = Tasks()
        self.entries: tuple[ServerEntry, ...] = ()
        self._ahead: dict[str, ToolServer] = {}  # changes that the core does not have yet
        core.core_event.connect(self._take)

    async def load(self) -> None:
        self.entries = await self._core.call(lambda core: core.tools.servers())
        self.changed.emit()

    async def close(self) -> None:
        await self._tasks.close()

    async def settle(self) -> None:
        await self._tasks.settle()

    def entry(self, name: str) -> ServerEntry | None:
        return next((entry for entry in self.entries if entry.server.name == name), None)

    async def keep(self, server: ToolServer, old: str = "") -> None:
        """Raises QvacError with what to change."""
        await self._core.call(lambda core: core.tools.keep(server, old))

    async def look(self, text: str) -> tuple[ToolServer, ...]:
        """Raises QvacError for what is no list of servers."""
        return await self._core.call(lambda core: core.tools.look(text))

    def take_in(self, servers: Sequence[ToolServer]) -> None:
        async def work() -> None:
            for name in await self._core.call(lambda core: core.tools.take_in(servers)):
                self.test(name)

        self._start(work())

    def latest(self, name: str) -> ToolServer | None:
        """As it is once all that is on its way has arrived."""
        entry = self.entry(name)
        return self._ahead.get(name, entry.server) if entry is not None else None

    def change(self, name: str, **values: Any) -> None:
        """Fields of a server that is there. One change after the other, each on top of those that are on their way."""
        before = self.latest(name)
        if before is None:
            return
        server = self._ahead[name] = replace(before, **values)

        def refused(error: QvacError) -> None:
            self._ahead.pop(name, None)
            self.failed.emit(describe(error))
            self.changed.emit()

        self._start(self._core.call(lambda core: core.tools.keep(server, name)), refused)

    def remove(self, name: str) -> None:
        self._start(self._core.call(lambda core: core.tools.remove(name)))

    def test(self, name: str) -> None:
        """What fails stands with the server."""
        self._start(self._core.call(lambda core: core.tools.test(name)), lambda _error: None)

    def run(self, work: Work, on_error: Callable[[QvacError], None]) -> None:
        """Own a coroutine of a dialog."""
        self._tasks.start(work, on_error)

    def _start(self, work: Work, on_error: Callable[[QvacError], None] | None = None) -> None:
        self._tasks.start(work, on_error or (lambda error: self.failed.emit(describe(error))))

    def _take(self, event: CoreEvent) -> None:
        if isinstance(event, ToolServersChanged):
            self.entries = event.servers
            known = {entry.server.name: entry.server for entry in event.servers}
            self._ahead = {n: server for n, server in self._ahead.items() if n in known and known[n] != server}
            self.changed.emit()


class ChatTools(QObject):
    """Of the conversation that a window shows."""

    changed = Signal()  # its servers, or what there is to choose from

    def __init__(self, core: CoreProxy, chat: ChatPresenter) -> None:
        super().__init__(chat)
        self._core = core
        self._chat = chat
        self._tasks = Tasks()
        self.servers = ToolServers(core, self)
        self._draft: tuple[str, ...] | None = None  # None: as the servers say for new conversations
        self.servers.changed.connect(self.changed)
        for signal in (chat.opened, chat.conversations_changed, chat.settings.changed):
            signal.connect(self.changed)

    async def load(self) -> None:
        await self.servers.load()

    async def close(self) -> None:
        await self._tasks.close()
        await self.servers.close()

    async def settle(self) -> None:
        await self._tasks.settle()
        await self.servers.settle()

    def begin_new(self) -> None:
        self._draft = None

    async def adopt(self, conversation_id: str) -> None:
        """The core knows the conversation now. Raises QvacError."""
        chosen = self._of_new()
        self._draft = None
        if chosen:
            await self._core.call(lambda core: core.tools.use(conversation_id, chosen))

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names of those that the conversation uses and that there are."""
        conversation = self._chat.conversation
        names = self._of_new() if conversation is None else conversation.tools.servers
        known = {entry.server.name for entry in self.servers.entries}
        return tuple(name for name in names if name in known)

    def _of_new(self) -> tuple[str, ...]:
        if self._draft is not None:
            return self._draft
        return tuple(entry.server.name for entry in self.servers.entries if entry.server.in_new)

    @property
    def hindrance(self) -> str:
        """Why no tool would be called, in a sentence; "" where nothing is in the way."""
        if self._chat.settings.parameters.schema.strip():
            return tr("An answer in JSON cannot use tools. Choose Text in the parameters.")
        return ""

    def use(self, name: str, on: bool) -> None:
        others = tuple(each for each in self.chosen if each != name)
        chosen = (*others, name) if on else others
        conversation = self._chat.conversation
        if conversation is None:
            self._draft = chosen
            self.changed.emit()
            return
        id = conversation.id
        self._tasks.start(
            self._core.call(lambda core: core.tools.use(id, chosen)),
            lambda error: self._chat.failed.emit(describe(error)),
        )

    def decide(self, answer_id: str, use_id: str, decision: Decision) -> None:
        self._tasks.start(
            self._core.call(lambda core: core.tools.decide(answer_id, use_id, decision)),
            lambda error: self._chat.failed.emit(describe(error)),
        )
