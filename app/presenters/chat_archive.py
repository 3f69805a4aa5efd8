"""Conversations out to files and in from them, and the sentence that says what came of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.i18n import tr, trn
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.state import ErrorInfo
from qvac_core.errors import QvacError

if TYPE_CHECKING:
    from qvac_core.core.chat_files import Form, Imported

TOLD = 5  # files that are named, with why they were refused
SUFFIXES: dict[Form, str] = {"markdown": "md", "json": "json"}


class Archive(QObject):
    told = Signal(str, str)  # what was done: title, sentence
    failed = Signal(object)  # ErrorInfo
    brought = Signal(str)  # the id of the first conversation that came in

    def __init__(self, core: CoreProxy, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._core = core
        self._tasks = Tasks()

    async def close(self) -> None:
        await self._tasks.close()

    async def settle(self) -> None:
        await self._tasks.settle()

    def export(self, conversation_ids: Sequence[str], form: Form, path: Path) -> None:
        """() = all of them."""

        async def export() -> None:
            count = await self._core.call(lambda core: core.chat_files.export(conversation_ids, form, path))
            title = trn("%n conversation was exported.", "%n conversations were exported.", count)
            self.told.emit(title, tr("To {file}.", file=str(path)))

        self._start(export())

    def import_files(self, paths: Sequence[Path]) -> None:
        async def bring() -> None:
            report = await self._core.call(lambda core: core.chat_files.import_files(paths))
            self._tell(report)

        self._start(bring())

    def _tell(self, report: Imported) -> None:
        count = len(report.conversations)
        if report.conversations:
            self.brought.emit(report.conversations[0].id)
        if count or report.known:
            known = trn("%n was here already.", "%n were here already.", report.known) if report.known else ""
            self.told.emit(trn("%n conversation was imported.", "%n conversations were imported.", count), known)
        if report.refused:
            named = "\n".join(f"{name}: {why}" for name, why in report.refused[:TOLD])
            title = trn("%n file was not imported.", "%n files were not imported.", len(report.refused))
            self.failed.emit(ErrorInfo("NOT_IMPORTED", 0, title, named))

    def _start(self, work: Any) -> None:
        def failed(error: QvacError) -> None:
            self.failed.emit(describe(error))

        self._tasks.start(work, failed)


def file_name(title: str, form: Form) -> str:
    """What a file of that conversation is called: a name that every system takes."""
    bare = " ".join(re.sub(r'[\x00-\x1f<>:"/\\|?*]', " ", title).split())[:80].strip(". ")
    name = bare or tr("Conversations")
    return f"{name}.{SUFFIXES[form]}"
