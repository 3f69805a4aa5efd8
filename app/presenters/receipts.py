"""Receipts of some requests as a table shows them, and their way into a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.i18n import later, number, tongue, tr, trn
from app.key_words import group_key
from app.presenters.table_rows import Cell, Column, Row
from app.tasks import Tasks
from qvac_core.codec.key_text import short_key
from qvac_core.core.receipts_room import KeptReceipt, ReceiptQuery, ReceiptsChanged, ReceiptSide, ReceiptState
from qvac_core.core.state import ErrorInfo
from qvac_core.errors import QvacError

NEWEST = 500  # rows of a table; a file has all
COLUMNS = (
    Column(later("Time"), 118),
    Column(later("With"), 128),
    Column(later("Model"), 150),
    Column(later("Tokens in / out"), 122, right=True),
    Column(later("Signed")),
)
DROP = (2,)
STATES = {
    ReceiptState.AWAITED: (later("not given yet"), "text2"),
    ReceiptState.UNSIGNED: (later("not signed by the guest"), "warn"),
    ReceiptState.SIGNED: (later("by both"), "text"),
    ReceiptState.REFUSED: (later("refused by the guest"), "warn"),
    ReceiptState.NONE: (later("the provider gave none"), "warn"),
}
WHY = {
    "signature": later("Its signature is not genuine."),
    "keys": later("It is of somebody else."),
    "method": later("It is of another kind of request."),
    "model": later("It names another model file."),
    "time": later("It did not take so long."),
    "prompt": later("The question had other tokens."),
    "tokens": later("The answer had other tokens."),
    "amount": later("It names more sound or texts than were sent."),
    "twice": later("The request has its receipt already."),
}

NameOf = Callable[[str], str]


def receipt_rows(kept: Sequence[KeptReceipt], name_of: NameOf, label_of: NameOf) -> list[Row]:
    return [_row(place, one, name_of, label_of) for place, one in enumerate(kept)]


def _row(place: int, one: KeptReceipt, name_of: NameOf, label_of: NameOf) -> Row:
    at = datetime.fromtimestamp(one.started_at)
    text, tone = STATES[one.state]
    why = tr(WHY.get(one.reason, ""))
    return Row(
        f"{place} {one.id or one.request_id}",
        (
            Cell(f"{tongue().date(at, year=False)} {tongue().time(at)}", "text2", tooltip=f"{at:%Y-%m-%d %H:%M:%S}"),
            Cell(name_of(one.peer) or short_key(one.peer), tooltip=group_key(one.peer)),
            Cell(label_of(one.model), "text2"),
            Cell(_served(one)),
            Cell(tr(text), tone, tooltip=why),
        ),
        why,
    )


def _served(one: KeptReceipt) -> str:
    """Tokens in and out; of sound its length."""
    if one.unit == "seconds":
        return tr("{seconds} s of audio", seconds=number(one.amount))
    return f"{number(one.prompt_tokens)} / {number(one.generated_tokens)}"


class ReceiptsPresenter(QObject):
    """`changed`: `kept` is new. `said(sentence)`: something was done. `failed(ErrorInfo)`."""

    changed = Signal()
    said = Signal(str)
    failed = Signal(object)

    def __init__(
        self,
        core: CoreProxy,
        tasks: Tasks,
        query: ReceiptQuery,
        name_of: NameOf,
        label_of: NameOf,
        parent: QObject | None = None,
    ) -> None:
        """tasks: of whoever owns this. query: which are shown and exported."""
        super().__init__(parent)
        self._core, self._tasks, self._query = core, tasks, query
        self._name_of, self._label_of = name_of, label_of
        self.kept: Sequence[KeptReceipt] = ()
        core.core_event.connect(self._take)

    @property
    def rows(self) -> list[Row]:
        return receipt_rows(self.kept, self._name_of, self._label_of)

    @property
    def as_guest(self) -> bool:
        return self._query.side is ReceiptSide.TAKEN

    @property
    def exportable(self) -> bool:
        return any(one.body for one in self.kept)

    def load(self) -> None:
        async def read() -> None:
            query = ReceiptQuery(
                self._query.side, self._query.peer, self._query.request_id, self._query.id, self._query.limit or NEWEST
            )
            self.kept = await self._core.call(lambda core: core.receipts.find(query))
            self.changed.emit()

        self._tasks.start(read(), lambda error: self._fail(tr("The receipts could not be read."), error))

    def export(self, path: Path) -> None:
        async def write() -> None:
            count = await self._core.call(lambda core: core.receipts.export(path, self._query))
            self.said.emit(trn("%n receipt is in {file}.", "%n receipts are in {file}.", count, file=path.name))

        self._tasks.start(write(), lambda error: self._fail(tr("The receipts were not exported."), error))

    def _take(self, event: object) -> None:
        if isinstance(event, ReceiptsChanged):
            self.load()

    def _fail(self, title: str, error: QvacError) -> None:
        self.failed.emit(ErrorInfo(error.name, error.code, title, error.message))
