"""A server of another program is added or changed: its address, its key, and a look at what it has."""

from __future__ import annotations

from PySide6.QtWidgets import QLineEdit, QWidget

from app.core_words import told
from app.i18n import listed, tr
from app.presenters.model_servers import ModelServersPresenter, found_words
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.dialog import Dialog
from app.widgets.label import Label
from app.widgets.number import Number
from app.widgets.own_font import keep_font
from app.widgets.own_width import keep_width
from qvac_core.core.model_servers_state import ModelServerEntry
from qvac_core.engines.openai_models import PARALLEL_LIMIT
from qvac_core.errors import QvacError

WIDTH = 520
NAMES_SHOWN = 6  # models that are named where a server has many


class ModelServerDialog(Dialog):
    """It stays open until the core has kept the server; one that does not answer now is kept as well."""

    def __init__(
        self, servers: ModelServersPresenter, theme: Theme, entry: ModelServerEntry | None, parent: QWidget
    ) -> None:
        super().__init__(
            theme,
            tr("Change a model server") if entry is not None else tr("Add a model server"),
            tr("What you and your guests ask its models is sent to this address. Add only what you trust."),
            tr("Save") if entry is not None else tr("Add"),
            parent=parent,
        )
        self._servers, self._entry = servers, entry
        keep_width(self, theme, WIDTH, least=True)
        self.address = QLineEdit(entry.url if entry is not None else "")
        self.address.setPlaceholderText("http://127.0.0.1:11434")
        keep_font(self.address, theme, lambda: theme.fixed_font("hint"))
        self.add_field(tr("Address"), self.address)
        self.name = QLineEdit(entry.name if entry is not None else "")
        self.name.setPlaceholderText(tr("as its address"))
        self.add_field(tr("Name, which guests see behind its models"), self.name)
        self.key = QLineEdit()
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        kept = entry is not None and entry.has_key
        self.key.setPlaceholderText(tr("kept; write another one to change it") if kept else tr("no key"))
        self.add_field(tr("Key, if it wants one"), self.key)
        self.forget = Button(theme, tr("Forget the key"), kind="link", size="small")
        self.forget.setCheckable(True)
        self.forget.setVisible(kept)
        self.forget.toggled.connect(self._forget_key)
        self.body.addWidget(self.forget)
        self.requests = Number(
            theme, tr("Requests at once"), 0, PARALLEL_LIMIT, zero=tr("as many as it is known to take")
        )
        self.requests.show_value(entry.requests if entry is not None else 0)
        self.add_field(tr("Requests at once"), self.requests)
        self.verdict = Label(wrap=True)
        self.verdict.hide()
        self.body.addSpacing(8)
        self.body.addWidget(self.verdict)
        self.test = Button(theme, tr("Test"), icon="refresh-cw")
        self.test.clicked.connect(self._test)
        self.buttons.insertWidget(0, self.test)
        self.address.setFocus()

    @property
    def _id(self) -> str:
        return self._entry.id if self._entry is not None else ""

    def written_key(self) -> str | None:
        """None = the one that is kept."""
        if self.forget.isChecked():
            return ""
        text = self.key.text().strip()
        return text or (None if self._entry is not None else "")

    def _forget_key(self, forget: bool) -> None:
        self.key.setEnabled(not forget)
        self.key.setPlaceholderText(tr("no key") if forget else tr("kept; write another one to change it"))
        self.forget.setText(tr("Keep the key") if forget else tr("Forget the key"))

    def _test(self) -> None:
        self.test.start_busy(tr("Asking…"))
        url, key = self.address.text(), self.written_key()

        async def ask() -> None:
            found = await self._servers.test(url, key, self._id)
            self.test.end_busy()
            self._say(_found(found), "ok")

        self._servers.run(ask(), self._refused)

    def accept(self) -> None:
        self.confirm.start_busy(tr("Saving…"))
        values = (self.address.text(), self.name.text(), self.written_key(), self.requests.value(), self._id)

        async def keep() -> None:
            await self._servers.keep(*values)
            self.confirm.end_busy()
            super(ModelServerDialog, self).accept()

        self._servers.run(keep(), self._refused)

    def _refused(self, error: QvacError) -> None:
        self.test.end_busy()
        self.confirm.end_busy()
        self._say(told(error.message), "danger")

    def _say(self, sentence: str, tone: str) -> None:
        self.verdict.set_tone(tone)
        self.verdict.setText(sentence)
        self.verdict.show()
        self.fit()


def _found(entry: ModelServerEntry) -> str:
    if not entry.models:
        return tr("It answers, and has no model yet.")
    names = [model.served for model in entry.models[:NAMES_SHOWN]]
    more = ["…"] if len(entry.models) > NAMES_SHOWN else []
    first = tr("{program} answers", program=entry.kind) if entry.kind else tr("It answers")
    return tr("{first}: {found} ({names})", first=first, found=found_words(entry), names=listed([*names, *more]))
