"""The identity of this machine on the Settings page: its backup, another one in its place, what waits for a start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.announcements import announce
from app.i18n import tr
from app.presenters.identity import IdentityPresenter
from app.presenters.settings_rows import Row
from app.theme import Theme
from app.views.settings_row import SettingsRow
from app.views.share_identity import NewIdentityDialog, ask_backup, ask_restore
from app.widgets.button import Button
from qvac_core.codec.key_text import short_key


class IdentityRow(SettingsRow):
    def __init__(self, presenter: IdentityPresenter, theme: Theme, row: Row, restart: Callable[[], None]) -> None:
        self._presenter = presenter
        self.backup = Button(theme, tr("Back up…"), name=tr("Back up the identity"))
        self.restore = Button(theme, tr("Restore…"), name=tr("Restore an identity"))
        self.renew = Button(theme, tr("New identity…"), kind="danger")
        controls = (self.backup, self.restore, self.renew)
        super().__init__(theme, tr(row.label), tr(row.hint), *controls, words=row.words)
        self.act.setText(tr("Restart now"))
        self.act.setAccessibleName(tr("Restart now"))
        self.act.clicked.connect(restart)
        self.backup.clicked.connect(lambda: ask_backup(presenter, self.window(), self._saved, self.show_failure))
        self.restore.clicked.connect(lambda: ask_restore(presenter, theme, self.window(), self.show_failure))
        self.renew.clicked.connect(lambda: NewIdentityDialog(presenter, theme, self.window()).open())
        presenter.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        own = self._presenter.own
        for button in (self.restore, self.renew):
            button.setEnabled(not own.given)
        said = tr("The command line decided about it, for this run alone.") if own.given else ""
        if own.waits:
            said = tr("From the next start on the key is {key}.", key=short_key(own.next_key))
        self.act.setVisible(own.waits)
        self.set_note(said)

    def _saved(self, path: Path) -> None:
        said = tr("The identity is in {file}. Only you can read it. Keep it as you keep a password.", file=path.name)
        self.set_note(said)
        announce(self, said)
