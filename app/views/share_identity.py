"""The questions about this machine's identity: its name, a backup, a backup put back, and a new identity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QLineEdit, QWidget

from app.i18n import later, tr
from app.presenters.identity import IdentityPresenter
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.dialog import Dialog
from app.widgets.error_panel import ErrorPanel
from app.widgets.label import Label
from qvac_core.codec.key_text import short_key
from qvac_core.core.identity_state import FoundBackup
from qvac_core.core.state import ErrorInfo

NAME_LIMIT = 60
FILES = later("Backup of an identity (*.json);;All files (*)")


class MachineNameDialog(Dialog):
    """What guests are told that this machine is called."""

    def __init__(self, presenter: IdentityPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        sentence = tr("Guests see it beside their answers. Without one they see what they call it themselves.")
        super().__init__(theme, tr("Name of this machine"), sentence, tr("Rename"), parent=parent)
        self.name = QLineEdit(presenter.name)
        self.name.setMaxLength(NAME_LIMIT)
        self.name.setPlaceholderText(tr("Studio desktop"))
        self.name.selectAll()
        self.add_field(tr("Name"), self.name)
        self.accepted.connect(lambda: presenter.rename(self.name.text()))
        self.name.setFocus()


class _IdentityDialog(Dialog):
    """With an error below, and Back up beside the buttons. `done`: what is said once it is done."""

    def _complete(self, presenter: IdentityPresenter, *, offers_backup: bool = True) -> None:
        self._presenter = presenter
        self.said = Label(tone="text2", scale="hint", wrap=True)
        self.said.hide()
        self.error = ErrorPanel(self._theme)
        self.body.addSpacing(8)
        self.body.addWidget(self.said)
        self.body.addWidget(self.error)
        self.backup = Button(self._theme, tr("Back up first…"), name=tr("Back up the present identity"))
        self.backup.setVisible(offers_backup)
        self.backup.clicked.connect(lambda: ask_backup(presenter, self, self._saved, self._refused))
        self.buttons.insertWidget(0, self.backup)
        self.confirm.clicked.disconnect(self.accept)

    def _saved(self, path: Path) -> None:
        self.error.clear()
        self._say(tr("The present identity is in {file}. Only you can read it.", file=path.name))

    def _say(self, sentence: str) -> None:
        self.said.setText(sentence)
        self.said.show()
        self.fit()

    def _refused(self, error: ErrorInfo) -> None:
        self.confirm.setEnabled(True)
        self.error.show_error(error)
        self.fit()

    def _finished(self) -> None:
        """Done: the window says what is left to do."""
        own = self._presenter.own
        self.accept()
        parent = self.parentWidget()
        if own.waits and parent is not None:
            ChangedDialog(self._theme, own.next_key, parent).open()


class ChangedDialog(Dialog):
    def __init__(self, theme: Theme, next_key: str, parent: QWidget) -> None:
        sentence = tr(
            "From the next start on this machine has the key {key}. Until then it goes on under the present one. "
            "Quit QVAC Desktop and start it again.",
            key=short_key(next_key),
        )
        super().__init__(
            theme, tr("The key changes at the next start"), sentence, "", cancel=tr("Close"), parent=parent
        )


class NewIdentityDialog(_IdentityDialog):
    """The consequence is the title, and the machine's name is to be typed; without one the first digits of its key."""

    def __init__(self, presenter: IdentityPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        sentence = tr(
            "A new identity is a new key: nobody who knows the present one finds this machine any more, and guests "
            "have to be given the new one. The present key is forgotten unless it is backed up."
        )
        act = tr("New identity")
        super().__init__(theme, tr("Everybody loses access"), sentence, act, kind="danger", parent=parent)
        self.wanted = presenter.name or presenter.own.public_key[:8]
        label = (
            tr("Type the name of this machine: {name}", name=self.wanted)
            if presenter.name
            else tr("Type the first digits of its key: {digits}", digits=self.wanted)
        )
        self.typed = QLineEdit()
        self.typed.setMaxLength(NAME_LIMIT)
        self.add_field(label, self.typed)
        self._complete(presenter)
        self.typed.textChanged.connect(lambda _text: self._ready())
        self.confirm.clicked.connect(self._do)
        self._ready()
        self.typed.setFocus()

    def _ready(self) -> None:
        fits = self.typed.text().strip() == self.wanted
        self.confirm.setEnabled(fits)
        self.confirm.setToolTip("" if fits else tr("Type it first: this cannot be taken back."))

    def _do(self) -> None:
        self.confirm.setEnabled(False)
        self._presenter.renew(self._finished, self._refused)


class RestoreDialog(_IdentityDialog):
    """What the backup holds, and what becomes of the present key, before anything is done."""

    def __init__(
        self,
        presenter: IdentityPresenter,
        theme: Theme,
        path: Path,
        found: FoundBackup,
        parent: QWidget | None = None,
    ) -> None:
        key = short_key(found.public_key)
        whose = tr("{file} holds the identity of {name}, {key}.", file=path.name, name=found.name, key=key)
        if not found.name:
            whose = tr("{file} holds the identity {key}.", file=path.name, key=key)
        present = short_key(presenter.own.next_key)
        title = tr("Restore this identity?")
        if found.same:
            sentence = tr("{whose} It is that of this machine already: there is nothing to do.", whose=whose)
            super().__init__(theme, title, sentence, "", cancel=tr("Close"), parent=parent)
            return
        sentence = tr(
            "{whose} This machine takes it over at the next start. Its present key {key} is forgotten unless it is "
            "backed up, and who knows only that one does not find this machine any more. Two machines with one "
            "identity get in each other's way: use it on one.",
            whose=whose,
            key=present,
        )
        super().__init__(theme, title, sentence, tr("Restore"), kind="danger", parent=parent)
        self._path = path
        self._complete(presenter)
        self.confirm.clicked.connect(self._do)

    def _do(self) -> None:
        self.confirm.setEnabled(False)
        self._presenter.restore(self._path, self._finished, self._refused)


def ask_backup(
    presenter: IdentityPresenter,
    parent: QWidget,
    saved: Callable[[Path], None],
    failed: Callable[[ErrorInfo], None],
) -> None:
    """Where to; then `saved(path)` or `failed(ErrorInfo)`."""
    start = Path.home() / f"qvac-identity-{presenter.own.public_key[:8]}.json"
    dialog = QFileDialog(parent, tr("Back up the identity"), str(start), tr(FILES))
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setFileMode(QFileDialog.FileMode.AnyFile)
    dialog.setDefaultSuffix("json")
    dialog.selectFile(str(start))
    dialog.fileSelected.connect(lambda name: presenter.backup(Path(name), lambda: saved(Path(name)), failed))
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()


def ask_restore(
    presenter: IdentityPresenter, theme: Theme, parent: QWidget, failed: Callable[[ErrorInfo], None]
) -> None:
    """Which file; then what it holds is shown, or `failed(ErrorInfo)`."""
    dialog = QFileDialog(parent, tr("Restore an identity"), str(Path.home()), tr(FILES))
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)

    def look(name: str) -> None:
        path = Path(name)

        def show(found: FoundBackup) -> None:
            RestoreDialog(presenter, theme, path, found, parent).open()

        presenter.look_into(path, show, failed)

    dialog.fileSelected.connect(look)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
