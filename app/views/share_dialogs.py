"""The questions of the Share tab: a key with its name, a name alone, the large QR, and "are you sure"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QRectF, QSize, Signal
from PySide6.QtGui import QAccessible, QGuiApplication, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QFileDialog, QGridLayout, QHBoxLayout, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from app.announcements import announce
from app.core_words import told
from app.i18n import later, tr
from app.key_words import group_key
from app.qr_picture import as_png, qr_picture
from app.theme import Theme
from app.widgets.avatar import Avatar
from app.widgets.button import Button, CopyButton
from app.widgets.combo import Combo
from app.widgets.dialog import Dialog
from app.widgets.keys import KeyField
from app.widgets.label import Label
from app.widgets.number import Number
from app.widgets.own_font import keep_font
from app.widgets.qr import paint_qr, qr_modules
from qvac_core.codec.key_links import NAME_LETTERS, link_of, plain_name, qr_text
from qvac_core.codec.key_text import KeyCheck, short_key
from qvac_core.core.state import KeyLimits
from qvac_core.errors import StoreError
from qvac_core.store.disk import write_atomically

NAME_LIMIT = 60
DURATIONS: tuple[tuple[str, float | None], ...] = (
    (later("Until I say otherwise"), None),
    (later("For an hour"), 1.0),
    (later("For a day"), 24.0),
    (later("For a week"), 7 * 24.0),
)
NO_BREAK = "\u00a0"  # a space at which no line ends
QR_LARGE = 320


class KeyDialog(Dialog):
    """Asks for a key as it is typed, its name, and (to allow it) for how long. `confirmed(key, name, hours)`."""

    def __init__(
        self,
        theme: Theme,
        own_key: str,
        confirmed: Callable[[str, str, float | None], None],
        *,
        blocking: bool = False,
        public_key: str = "",
        parent: QWidget | None = None,
    ) -> None:
        title = tr("Block a key") if blocking else tr("Allow this key") if public_key else tr("Add a key")
        sentence = (
            tr("Its requests are met with silence.")
            if blocking
            else tr("Whoever holds this key may use the models you share.")
        )
        super().__init__(theme, title, sentence, tr("Block") if blocking else tr("Allow"), parent=parent)
        if blocking:
            self.confirm.set_kind("danger")
        self._own_key = own_key
        self._given = public_key
        self.key = KeyField(theme, tr("Key of the guest"), tr("64 characters, as their app shows them"))
        self.said = Label(scale="hint", tone="text3", wrap=True)
        self.name = QLineEdit()
        self.name.setMaxLength(NAME_LIMIT)
        self.name.setPlaceholderText(tr("Studio laptop"))
        self.duration = _durations(theme)
        if public_key:
            self.body.addSpacing(8)
            self.body.addWidget(_known_key(theme, public_key))
        else:
            self.add_field(tr("Key"), self.key)
            self.body.addWidget(self.said)
        self.add_field(tr("Name, as you want to see it"), self.name)
        self.tokens = Number(theme, tr("Tokens a day"), 0, 2**31 - 1, step=1000, zero=tr("no limit"))
        if not blocking:
            self.add_field(tr("How long"), self.duration)
            self.add_field(tr("Tokens a day"), self.tokens)
        self.key.checked.connect(self._check)
        self.name.textChanged.connect(lambda _text: self._ready())
        self.accepted.connect(lambda: confirmed(self._key(), self.name.text().strip(), self._hours()))
        self._blocking = blocking
        self._ready()
        (self.name if public_key else self.key).setFocus()

    def limits(self) -> KeyLimits | None:
        """What was chosen; None = no limit was."""
        return KeyLimits(self.tokens.value()) if self.tokens.value() else None

    def _key(self) -> str:
        return self._given or self.key.key

    def _hours(self) -> float | None:
        return DURATIONS[self.duration.currentIndex()][1]

    def _check(self, state: KeyCheck, sentence: str) -> None:
        own = self.key.key == self._own_key
        self.said.setText(tr("This is your own key: you need no permission.") if own else told(sentence))
        if own:
            announce(self, self.said.text())
        self.said.set_tone("danger" if own or state is KeyCheck.WRONG else "text3")
        self.fit()
        self._ready()

    def _ready(self) -> None:
        key = self._key()
        fit = bool(key) and key != self._own_key and (self._blocking or bool(self.name.text().strip()))
        self.confirm.setEnabled(fit)
        why = "" if fit else tr("A complete key is needed.") if not key else tr("Give the key a name first.")
        self.confirm.setToolTip(why)


class NameDialog(Dialog):
    """Renames a key. `confirmed(name)`."""

    def __init__(
        self, theme: Theme, public_key: str, name: str, confirmed: Callable[[str], None], parent: QWidget | None = None
    ) -> None:
        super().__init__(theme, tr("Rename"), "", tr("Rename"), parent=parent)
        self.body.addWidget(_known_key(theme, public_key))
        self.name = QLineEdit(name)
        self.name.setMaxLength(NAME_LIMIT)
        self.name.selectAll()
        self.add_field(tr("Name"), self.name)
        self.name.textChanged.connect(lambda text: self.confirm.setEnabled(bool(text.strip())))
        self.accepted.connect(lambda: confirmed(self.name.text().strip()))
        self.name.setFocus()


class QrDialog(Dialog):
    """My key, large enough for a camera across a table, and as a link or a picture to give away.

    `named`: what the owner wants the machine called in the link and below the picture.
    """

    named = Signal(str)

    def __init__(self, theme: Theme, public_key: str, parent: QWidget | None = None, *, name: str = "") -> None:
        super().__init__(
            theme,
            tr("My key"),
            tr("Scan it, or send it as a link or a picture. It lets nobody in by itself."),
            "",
            cancel=tr("Close"),
            parent=parent,
        )
        self._public_key, self._named = public_key, name
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(_LargeQr(public_key))
        row.addStretch(1)
        self.body.addSpacing(8)
        self.body.addLayout(row)
        groups = group_key(public_key).split(" ")
        # Two halves, one below the other: elsewhere the line does not break.
        halves = (NO_BREAK.join(groups[: len(groups) // 2]), NO_BREAK.join(groups[len(groups) // 2 :]))
        key = Label(" ".join(halves), wrap=True, selectable=True)
        keep_font(key, theme, lambda: theme.fixed_font())
        self.body.addSpacing(8)
        self.body.addWidget(key)
        self.name = QLineEdit(name)
        self.name.setMaxLength(NAME_LETTERS)
        self.name.setPlaceholderText(tr("For example Studio desktop"))
        self.add_field(tr("Name in the link and below the picture"), self.name)
        self.copy = CopyButton(theme, public_key, text=tr("Copy key"), name=tr("Copy my key"))
        self.link = CopyButton(theme, text=tr("Copy link"), name=tr("Copy the link of my key"))
        self.picture = CopyButton(theme, text=tr("Copy picture"), name=tr("Copy the picture of my QR code"))
        self.picture.clicked.disconnect(self.picture.copy)
        self.picture.clicked.connect(self._copy_picture)
        self.save = Button(theme, tr("Save picture…"), icon="image-down")
        self.save.clicked.connect(self._choose_file)
        grid = QGridLayout()
        grid.setSpacing(8)
        for index, button in enumerate((self.copy, self.link, self.picture, self.save)):
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            grid.addWidget(button, index // 2, index % 2)
        self.body.addSpacing(12)
        self.body.addLayout(grid)
        self.said = Label(scale="hint", tone="text3", wrap=True)
        self.said.hide()
        self.body.addWidget(self.said)
        self.name.textChanged.connect(self._show_link)
        self.name.editingFinished.connect(self._tell_name)
        self.finished.connect(self._tell_name)
        self._show_link()

    def image(self) -> QImage:
        return qr_picture(self._theme, self._public_key, plain_name(self.name.text()))

    def write(self, path: Path) -> None:
        """Save the picture, whole or not at all."""
        try:
            write_atomically(path, as_png(self.image()), action="save the picture")
        except StoreError as error:
            self._say(told(error.message), "danger")
            return
        self._say(tr("{name} was saved.", name=path.name), "text2")

    def _tell_name(self) -> None:
        if (name := plain_name(self.name.text())) != self._named:
            self._named = name
            self.named.emit(name)

    def _show_link(self) -> None:
        self.link.value = link_of(bytes.fromhex(self._public_key), self.name.text())

    def _copy_picture(self) -> None:
        QGuiApplication.clipboard().setImage(self.image())
        self.picture.show_copied()

    def _choose_file(self) -> None:
        name = plain_name(self.name.text()) or short_key(self._public_key).replace(" … ", "-")
        proposed = "".join("-" if letter in '<>:"/\\|?*' else letter for letter in name).strip(". ")
        dialog = QFileDialog(self, tr("Save the picture of my key"), str(Path.home() / f"{proposed}.png"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter(tr("Pictures") + " (*.png)")
        dialog.setDefaultSuffix("png")
        dialog.fileSelected.connect(lambda chosen: self.write(Path(chosen)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _say(self, sentence: str, tone: str) -> None:
        self.said.setText(sentence)
        self.said.set_tone(tone)
        self.said.show()
        announce(self, sentence)
        self.fit()


def confirm(
    theme: Theme, title: str, sentence: str, act: str, confirmed: Callable[[], None], parent: QWidget
) -> Dialog:
    """Ask before something that cannot be taken back; opens at once."""
    dialog = Dialog(theme, title, sentence, act, kind="danger", parent=parent)
    dialog.accepted.connect(confirmed)
    dialog.open()
    return dialog


class _LargeQr(QWidget):
    accessible_role = QAccessible.Role.Graphic

    def __init__(self, public_key: str) -> None:
        super().__init__()
        self._modules = qr_modules(qr_text(bytes.fromhex(public_key)))
        self.setFixedSize(QR_LARGE, QR_LARGE)
        self.setAccessibleName(tr("QR code of my key"))

    def sizeHint(self) -> QSize:
        return QSize(QR_LARGE, QR_LARGE)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_qr(painter, QRectF(self.rect()), self._modules)
        painter.end()


def _durations(theme: Theme) -> Combo:
    combo = Combo(theme, tr("How long"))
    for text, _hours in DURATIONS:
        combo.addItem(tr(text))
    return combo


def _known_key(theme: Theme, public_key: str) -> QWidget:
    """The face and all digits of a key that is already given."""
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(10)
    row.addWidget(Avatar(public_key, 32))
    lines = QVBoxLayout()
    lines.setSpacing(0)
    groups = group_key(public_key).split(" ")
    for half in (groups[:8], groups[8:]):
        line = Label(" ".join(half), tone="text2", selectable=True)
        keep_font(line, theme, lambda: theme.fixed_font("hint"))
        lines.addWidget(line)
    row.addLayout(lines)
    row.addStretch(1)
    return holder
