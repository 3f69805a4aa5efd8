"""Where the files of exported and imported conversations are chosen."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from app.i18n import tr
from app.presenters.chat_archive import SUFFIXES, Archive, file_name
from app.theme import Theme

if TYPE_CHECKING:
    from qvac_core.core.chat_files import Form


class ArchiveMenus:
    """Its acts, in the menus of a conversation and of the list."""

    def __init__(self, archive: Archive, theme: Theme, page: QWidget) -> None:
        self._archive = archive
        self._theme = theme
        self._page = page
        self.dialog: QFileDialog | None = None

    def add_export(self, menu: QMenu, conversation_id: str, title: str) -> None:
        """Of one conversation."""
        submenu = menu.addMenu(self._theme.icon("download"), tr("Export"))
        one = (conversation_id,)
        submenu.addAction(tr("As Markdown…"), partial(self.choose_export, one, title, "markdown"))
        submenu.addAction(tr("As JSON, with all branches…"), partial(self.choose_export, one, title, "json"))

    def add_all(self, menu: QMenu) -> None:
        """Of the whole list."""
        every = partial(self.choose_export, (), tr("Conversations"), "json")
        menu.addAction(self._theme.icon("download"), tr("Export all conversations…"), every)
        menu.addAction(self._theme.icon("upload"), tr("Import conversations…"), self.choose_import)

    def choose_export(self, conversation_ids: tuple[str, ...], title: str, form: Form) -> None:
        place = str(Path.home() / file_name(title, form))
        dialog = QFileDialog(self._page.window(), tr("Export"), place)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(SUFFIXES[form])
        dialog.selectFile(place)
        dialog.fileSelected.connect(lambda chosen: self._archive.export(conversation_ids, form, Path(chosen)))
        self._open(dialog)

    def choose_import(self) -> None:
        kinds = "JSON, ZIP (*.json *.zip)"
        dialog = QFileDialog(self._page.window(), tr("Import conversations"), str(Path.home()), kinds)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(lambda chosen: self._archive.import_files([Path(path) for path in chosen]))
        self._open(dialog)

    def _open(self, dialog: QFileDialog) -> None:
        self.dialog = dialog
        dialog.finished.connect(dialog.deleteLater)
        dialog.finished.connect(self._forget)
        dialog.open()

    def _forget(self) -> None:
        self.dialog = None
