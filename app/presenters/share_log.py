"""The log of the Share tab: what it shows of a hundred thousand requests, page by page, and what they came to."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.i18n import tr
from app.presenters.receipts import NameOf, ReceiptsPresenter
from app.tasks import Tasks
from qvac_core.core.history_state import Contents, DayTotals, LogQuery, LogTotals, PersonTotals
from qvac_core.core.receipts_room import ReceiptQuery
from qvac_core.core.state import ErrorInfo, HistoryCleared, LogEntry, RequestEnded, SettingChanged
from qvac_core.errors import QvacError

PAGE = 200
SETTINGS = ("sharing.log_days", "sharing.log_rows", "sharing.keep_contents")


class LogView(StrEnum):
    REQUESTS = "requests"
    PEOPLE = "people"
    DAYS = "days"


class LogPresenter(QObject):
    """`changed`: rows, totals or the query. `said(sentence)`: something was done. `failed(place, ErrorInfo)`."""

    changed = Signal()
    said = Signal(str)
    failed = Signal(str, object)

    def __init__(
        self, core: CoreProxy, tasks: Tasks, *, clock: Callable[[], float] = time.time, parent: QObject | None = None
    ) -> None:
        """tasks: of whoever owns this; ended with it."""
        super().__init__(parent)
        self._core = core
        self.clock = clock
        self.tasks = tasks
        self.view = LogView.REQUESTS
        self.query = LogQuery()
        self.entries: list[LogEntry] = []
        self.people: tuple[PersonTotals, ...] = ()
        self.days: tuple[DayTotals, ...] = ()
        self.models: tuple[str, ...] = ()
        self.totals = LogTotals()
        self.today = LogTotals()
        self.hours: tuple[int, ...] = (0,) * 24  # requests of today
        self.log_days = 0
        self.log_rows = 0
        self.keeps_contents = False
        self.has_contents = False
        self._asked = 0
        self._loading_more = False
        core.core_event.connect(self._take)

    @property
    def filtered(self) -> bool:
        return self.query != LogQuery()

    @property
    def whole(self) -> bool:
        """Whether every request that was found is here."""
        return len(self.entries) >= self.totals.requests

    # --- Life

    async def load(self) -> None:
        days, rows = await self._setting("sharing.log_days"), await self._setting("sharing.log_rows")
        self.log_days, self.log_rows = int(days or 0), int(rows or 0)
        self.keeps_contents = await self._setting("sharing.keep_contents") == "true"
        await self._load()

    async def _setting(self, name: str) -> str:
        return await self._core.call(lambda core: core.setting(name))

    # --- Intents

    def show(self, view: LogView) -> None:
        if view is not self.view:
            self.view = view
            self.changed.emit()
            self._reload()

    def search(self, text: str) -> None:
        self.narrow(replace(self.query, text=text))

    def narrow(self, query: LogQuery) -> None:
        """Show what this finds."""
        if query != self.query:
            self.query = query
            self._reload()

    def more(self) -> None:
        """The next page: somebody looks at the end of what is here."""
        if self.whole or self._loading_more or self.view is not LogView.REQUESTS:
            return
        self._loading_more = True

        async def load() -> None:
            try:
                asked, query, offset = self._asked, self.query, len(self.entries)
                page = await self._core.call(lambda core: core.history.page(query, offset, PAGE))
                if asked == self._asked:
                    known = {entry.id for entry in self.entries}
                    self.entries += [entry for entry in page.entries if entry.id not in known]
                    self.changed.emit()
            finally:
                self._loading_more = False

        self.tasks.start(load(), self._not_read)

    def clear(self) -> None:
        self._do(tr("The log was not cleared."), lambda: self._core.call(lambda core: core.clear_log()))

    def forget_contents(self) -> None:
        title = tr("What was kept of questions and answers is still there.")
        self._do(title, lambda: self._core.call(lambda core: core.history.forget_contents()))

    def keep_contents(self, on: bool) -> None:
        self.set_setting("sharing.keep_contents", "true" if on else "false")

    def set_setting(self, name: str, value: str) -> None:
        self._do(
            tr("The setting was not changed."), lambda: self._core.call(lambda core: core.set_setting(name, value))
        )

    def export(self, path: Path) -> None:
        query = self.query

        async def write() -> None:
            count = await self._core.call(lambda core: core.history.export(path, query))
            self.said.emit(tr("{count} requests are in {file}.", count=count, file=path.name))

        self.tasks.start(write(), lambda error: self._fail(tr("The log was not exported."), error))

    def contents(self, request_id: str, show: Callable[[Contents | None], None]) -> None:
        async def ask() -> None:
            show(await self._core.call(lambda core: core.history.contents(request_id)))

        self.tasks.start(ask(), self._not_read)

    def receipts(self, query: ReceiptQuery, name_of: NameOf, label_of: NameOf) -> ReceiptsPresenter:
        """Of those that this machine gave, for whoever shows them."""
        return ReceiptsPresenter(self._core, self.tasks, query, name_of, label_of)

    def _do(self, title: str, ask: Callable[[], Awaitable[None]]) -> None:
        async def do() -> None:
            await ask()
            await self.load()

        self.tasks.start(do(), lambda error: self._fail(title, error))

    # --- Reading

    def _reload(self) -> None:
        self.tasks.start(self._load(), self._not_read)

    async def _load(self) -> None:
        """The newest question wins: an answer to an older one is thrown away."""
        self._asked += 1
        asked, query, view = self._asked, self.query, self.view
        midnight = self._midnight()
        today = await self._core.call(lambda core: core.history.totals(LogQuery(since=midnight)))
        hours = await self._core.call(lambda core: core.history.by_hour(LogQuery(since=midnight)))
        page = await self._core.call(lambda core: core.history.page(query, 0, PAGE))
        people = days = None
        if view is LogView.PEOPLE:
            people = await self._core.call(lambda core: core.history.by_person(query))
        elif view is LogView.DAYS:
            days = await self._core.call(lambda core: core.history.by_day(query))
        models = await self._core.call(lambda core: core.history.models())
        has_contents = await self._core.call(lambda core: core.history.has_contents())
        if asked != self._asked:
            return
        self.hours = hours
        self.today, self.totals, self.models, self.has_contents = today, page.totals, models, has_contents
        self.entries = list(page.entries)
        self.people, self.days = people or (), days or ()
        self.changed.emit()

    def _midnight(self) -> float:
        now = datetime.fromtimestamp(self.clock())
        return now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()

    def _take(self, event: object) -> None:
        if isinstance(event, RequestEnded):
            if not self.filtered and self.view is LogView.REQUESTS:
                # At once; what it adds to the sums is asked for.
                self.entries = [event.entry, *(entry for entry in self.entries if entry.id != event.entry.id)]
                if event.entry.started_at >= self._midnight():
                    self.today = _with(self.today, event.entry)
                self.changed.emit()
            self.tasks.start(self._sum(event.entry), self._not_read)
        elif isinstance(event, HistoryCleared):
            self._reload()
        elif isinstance(event, SettingChanged) and event.name in SETTINGS:
            self.tasks.start(self.load(), self._not_read)

    async def _sum(self, entry: LogEntry) -> None:
        """After something ended: the rows that are here stay where they are, under somebody's eyes."""
        if self.filtered or self.view is not LogView.REQUESTS:
            await self._load()
            return
        asked = self._asked
        midnight = self._midnight()
        today = await self._core.call(lambda core: core.history.totals(LogQuery(since=midnight)))
        hours = await self._core.call(lambda core: core.history.by_hour(LogQuery(since=midnight)))
        if asked == self._asked:
            # Not asked for: to sum up all of a long log again for each request would keep its disk busy.
            self.hours = hours
            self.today, self.totals = today, _with(self.totals, entry)
            self.changed.emit()

    def _not_read(self, error: QvacError) -> None:
        self._fail(tr("The log could not be read."), error)

    def _fail(self, title: str, error: QvacError) -> None:
        self.failed.emit("log", ErrorInfo(error.name, error.code, title, error.message))


def _with(totals: LogTotals, entry: LogEntry) -> LogTotals:
    """One request more; whether by somebody new is not known."""
    return replace(
        totals,
        requests=totals.requests + 1,
        people=max(1, totals.people),
        prompt_tokens=totals.prompt_tokens + entry.prompt_tokens,
        generated_tokens=totals.generated_tokens + entry.generated_tokens,
        ms=totals.ms + entry.ms,
    )
