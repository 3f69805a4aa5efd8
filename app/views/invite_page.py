"""Invites, on the Share tab: make one at the left; the chosen one and what became of all at the right."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from app.core_words import told
from app.i18n import tr, trn
from app.presenters.invite_list import COLUMNS, DROP, InvitesPresenter, empty_wish
from app.qr_picture import as_png, invite_picture
from app.theme import Theme
from app.views.crumb_row import CrumbRow
from app.widgets.badge import Badge
from app.widgets.button import Button, CopyButton
from app.widgets.card import Card, rule
from app.widgets.check_box import CheckBox
from app.widgets.combo import Combo
from app.widgets.dialog import Dialog
from app.widgets.empty_state import EmptyState
from app.widgets.error_panel import ErrorPanel
from app.widgets.icon_label import IconLabel
from app.widgets.label import ElidedLabel, Label
from app.widgets.number import DateTimeField, Number
from app.widgets.qr import Qr
from app.widgets.segmented import Segmented
from app.widgets.table import Table
from app.widgets.two_columns import GAP, TwoColumns
from qvac_core.core.state import ErrorInfo, InviteRecord, InviteWish, KeyLimits
from qvac_core.errors import StoreError
from qvac_core.store.disk import write_atomically
from qvac_core.store.invites import MOST_PLACES

MARGIN = 16
QR_SIZE, QR_LARGE = 168, 460
NAME_LIMIT = 60
DAY = 86_400.0
FIRST_OPEN = 7 * DAY  # until when a new invite can be used, unless another time is chosen
ENDS = (7 * DAY, 30 * DAY, 90 * DAY, None)


class InviteForm(Card):
    """What a new invite is to be. `wanted(InviteWish)`."""

    wanted = Signal(object)

    def __init__(self, presenter: InvitesPresenter, theme: Theme) -> None:
        super().__init__(tr("New invite"), tr("no key needs to come back"))
        self._presenter, self._theme = presenter, theme
        self.name = QLineEdit()
        self.name.setMaxLength(NAME_LIMIT)
        self.name.setAccessibleName(tr("Who is it for"))
        self.name.setPlaceholderText(tr("Reading group"))
        self._box = QFrame()
        self._box.setObjectName("choices")
        self._choices = QVBoxLayout(self._box)
        self._choices.setContentsMargins(10, 6, 10, 6)
        self._choices.setSpacing(4)
        self.models: dict[str, CheckBox] = {}
        self.future = CheckBox(theme, tr("Models I add later"))
        self.future.toggled.connect(self._show_later)
        self.tokens = Number(theme, tr("Tokens a day, each"), 0, 2**31 - 1, step=1000)
        self.parallel = Number(theme, tr("Requests at once, each"), 1, 64)
        self.until = DateTimeField(theme, tr("Can be used until"))
        self.places = Number(theme, tr("For how many people"), 1, MOST_PLACES)
        self.ends = Combo(theme, tr("Their access ends"))
        for seconds in ENDS:
            said = (
                tr("when I end it") if seconds is None else trn("after %n day", "after %n days", round(seconds / DAY))
            )
            self.ends.addItem(said, seconds)
        self.hours = Combo(theme, tr("Hours"))
        for text, hours in ((tr("as I serve"), ""), ("08:00-20:00", "08:00-20:00"), ("18:00-23:00", "18:00-23:00")):
            self.hours.addItem(text, hours)
        self.go = Button(theme, tr("Make the invite"), kind="primary", icon="ticket-plus")
        self.go.clicked.connect(self._make)
        self.error = ErrorPanel(theme)
        self.error.hide()
        self._lay_out()
        presenter.changed.connect(self._show_models)
        self.show_wish(None)

    def _lay_out(self) -> None:
        column = QVBoxLayout()
        column.setContentsMargins(15, 10, 15, 14)
        column.setSpacing(4)
        column.addWidget(_field_label(tr("Who is it for"), self.name))
        column.addWidget(self.name)
        column.addWidget(
            Label(tr("Only you see this. It becomes their name when they come."), scale="hint", tone="text3", wrap=True)
        )
        column.addSpacing(6)
        column.addWidget(Label(tr("What they may use"), scale="hint", tone="text2"))
        column.addWidget(self._box)
        column.addSpacing(6)
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(4)
        fields = (
            ((tr("Tokens a day, each"), self.tokens), (tr("Requests at once, each"), self.parallel)),
            ((tr("Can be used until"), self.until), (tr("For how many people"), self.places)),
            ((tr("Their access ends"), self.ends), (tr("Hours"), self.hours)),
        )
        for row, pair in enumerate(fields):
            for place, (text, field) in enumerate(pair):
                grid.addWidget(_field_label(text, field), row * 3, place)
                grid.addWidget(field, row * 3 + 1, place)
                grid.setColumnStretch(place, 1)
            grid.setRowMinimumHeight(row * 3 + 2, 4)
        column.addLayout(grid)
        column.addSpacing(4)
        column.addWidget(self.go, 0, Qt.AlignmentFlag.AlignLeading)
        column.addWidget(self.error)
        self.body.addWidget(rule())
        self.body.addLayout(column)
        self.body.addStretch(1)
        self.body.addWidget(rule())
        worth = QVBoxLayout()
        worth.setContentsMargins(15, 12, 15, 14)
        worth.setSpacing(4)
        worth.addWidget(Label(tr("What an invite is worth"), weight=600))
        for sentence in (
            tr("The first key that opens it takes a place. Once all are taken, a picture of it is worth nothing."),
            tr("You can take it back at any time. Whoever came with it stays until you block them."),
        ):
            worth.addWidget(Label(sentence, tone="text2", wrap=True))
        self.body.addLayout(worth)

    def _show_models(self) -> None:
        shared = self._presenter.shared_models()
        if list(self.models) == [name for name, _, _ in shared]:
            return
        kept = {name for name, box in self.models.items() if not box.isChecked()}
        while (item := self._choices.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None and widget is not self.future:
                widget.hide()
                widget.deleteLater()
        self.models = {}
        for name, title, kind in shared:
            box = CheckBox(self._theme, title)
            box.setChecked(name not in kept)
            box.setEnabled(not self.future.isChecked())
            line = QWidget()
            row = QHBoxLayout(line)
            row.setContentsMargins(0, 0, 0, 0)
            row.addWidget(box, 1)
            row.addWidget(Label(kind, scale="hint", tone="text3"))
            self._choices.addWidget(line)
            self.models[name] = box
        self._choices.addWidget(self.future)

    def _show_later(self, on: bool) -> None:
        """All that is shared, and what will be: single ones are no question then."""
        for box in self.models.values():
            if on:
                box.setChecked(True)
            box.setEnabled(not on)

    def show_wish(self, wish: InviteWish | None) -> None:
        """None: as the form begins."""
        self._show_models()
        wish = wish or empty_wish(tuple(self.models))
        limits = wish.limits
        self.name.setText(wish.name)
        self.future.setChecked(limits.models is None)
        for name, box in self.models.items():
            box.setChecked(limits.models is None or name in limits.models)
        self.tokens.show_value(limits.tokens_per_day if limits.tokens_per_day is not None else 50_000)
        self.parallel.show_value(limits.parallel or 1)
        self.places.show_value(wish.places)
        self.ends.setCurrentIndex(max(0, self.ends.findData(wish.access_seconds)) if wish.name else 1)
        self.hours.setCurrentIndex(max(0, self.hours.findData(limits.hours)))
        self.until.show_value(wish.opens_until or self._presenter.clock() + FIRST_OPEN)

    def wish(self) -> InviteWish:
        chosen = tuple(name for name, box in self.models.items() if box.isChecked())
        models = None if self.future.isChecked() else chosen
        return InviteWish(
            self.name.text().strip() or tr("Guest"),
            KeyLimits(self.tokens.value(), self.parallel.value(), models=models, hours=self.hours.currentData() or ""),
            float(self.until.dateTime().toSecsSinceEpoch()),
            self.ends.currentData(),
            self.places.value(),
        )

    def _make(self) -> None:
        self.error.clear()
        self.wanted.emit(self.wish())

    def show_error(self, error: ErrorInfo) -> None:
        self.error.show()
        self.error.show_error(error)


class InviteCard(Card):
    """The chosen invite: its code, what it gives, its link."""

    def __init__(self, presenter: InvitesPresenter, theme: Theme) -> None:
        super().__init__()
        self._presenter, self._theme = presenter, theme
        self._invite: InviteRecord | None = None
        self.qr = Qr(theme, QR_SIZE, tr("QR code of the invite, larger on click"))
        self.title = Label(scale="state", weight=600, wrap=True)
        self.badge = Badge()
        self.facts: dict[str, Label] = {}
        facts = QGridLayout()
        facts.setHorizontalSpacing(16)
        facts.setVerticalSpacing(3)
        facts.setColumnStretch(1, 1)
        for row, (name, text) in enumerate(
            (("models", tr("Models")), ("each", tr("Each")), ("until", tr("Until")), ("access", tr("Access")))
        ):
            self.facts[name] = Label(wrap=True)
            facts.addWidget(Label(text, tone="text3"), row, 0, Qt.AlignmentFlag.AlignTop)
            facts.addWidget(self.facts[name], row, 1)
        self.link = QLineEdit()
        self.link.setReadOnly(True)
        self.link.setAccessibleName(tr("Link of the invite"))
        self.copy = CopyButton(theme, text=tr("Copy link"))
        self.save = Button(theme, tr("Save picture…"), icon="image-down")
        self.large = Button(theme, icon="maximize-2", name=tr("Show the QR code larger"))
        titles = QHBoxLayout()
        titles.setSpacing(8)
        titles.addWidget(self.title, 1)
        titles.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        acts = QHBoxLayout()
        acts.setSpacing(8)
        acts.addWidget(self.link, 1)
        for button in (self.copy, self.save, self.large):
            acts.addWidget(button)
        texts = QVBoxLayout()
        texts.setSpacing(6)
        texts.addLayout(titles)
        texts.addWidget(
            Label(tr("Scan it, drop the picture on the window, or send the link."), tone="text2", wrap=True)
        )
        texts.addLayout(facts)
        texts.addStretch(1)
        texts.addLayout(acts)
        line = QHBoxLayout()
        line.setContentsMargins(15, 15, 15, 15)
        line.setSpacing(20)
        line.addWidget(self.qr, 0, Qt.AlignmentFlag.AlignTop)
        line.addLayout(texts, 1)
        self.body.addLayout(line)
        self.qr.clicked.connect(self._show_large)
        self.large.clicked.connect(self._show_large)
        self.save.clicked.connect(self._choose_file)
        self.copy.clicked.connect(lambda: self.copy.set_kind("quiet"))

    def show_invite(self, invite: InviteRecord | None) -> None:
        self.setVisible(invite is not None)
        self._invite = invite
        if invite is None:
            return
        given, opened = self._presenter.given(invite), self._presenter.is_open(invite)
        link = self._presenter.links.get(invite.id, "")
        self.title.setText(given.title)
        self.badge.setText(given.badge)
        for name, text in (
            ("models", given.models),
            ("each", given.each),
            ("until", given.until),
            ("access", given.access),
        ):
            self.facts[name].setText(text)
        self.link.setText(link)
        self.link.setCursorPosition(0)
        self.copy.value = link
        if link:
            self.qr.set_text(self._code())
        for widget in (self.qr, self.link, self.copy, self.save, self.large):
            widget.setEnabled(opened and bool(link))

    def offer_copy(self) -> None:
        """It was just made: giving it away is the next step."""
        self.copy.set_kind("primary")
        self.copy.setFocus(Qt.FocusReason.OtherFocusReason)

    def _code(self) -> str:
        """In the letters that QR packs densest, without the machine's name: that is for eyes."""
        return self._presenter.links[self._invite.id].partition("?")[0].upper() if self._invite is not None else ""

    def _show_large(self) -> None:
        if self._invite is None:
            return
        title = self._presenter.given(self._invite).title
        dialog = Dialog(self._theme, title, "", "", cancel=tr("Close"), parent=self.window())
        code = Qr(self._theme, QR_LARGE, tr("QR code of the invite"))
        code.set_text(self._code())
        dialog.body.addWidget(code, 0, Qt.AlignmentFlag.AlignHCenter)
        dialog.open()

    def _choose_file(self) -> None:
        if self._invite is None:
            return
        dialog = QFileDialog(self.window(), tr("Save the picture of the invite"), str(Path.home() / "invite.png"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters([tr("Pictures") + " (*.png)"])
        dialog.setDefaultSuffix("png")
        dialog.fileSelected.connect(lambda name: self.write_picture(Path(name)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def write_picture(self, path: Path) -> None:
        if self._invite is None:
            return
        picture = invite_picture(self._theme, self._code(), self._presenter.given(self._invite).title)
        try:
            write_atomically(path, as_png(picture), action="save the picture")
        except StoreError as error:
            said = ErrorInfo(error.name, error.code, tr("The picture was not saved."), told(error.message))
            self._presenter.failed.emit(said)


class InvitePage(QWidget):
    back = Signal()
    person_wanted = Signal(str)

    def __init__(self, presenter: InvitesPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter, self._theme = presenter, theme
        self._chosen, self._only_open = "", False
        self.crumbs = CrumbRow(theme, tr("Share my GPU"), tr("Invites"))
        self.crumbs.back.connect(self.back)
        self.crumbs.listen_on(self)
        self.form = InviteForm(presenter, theme)
        self.card = InviteCard(presenter, theme)
        self.list = Card(tr("Invites"))
        self.which = Segmented(
            tr("Which invites"), [("open", tr("Open", "invites that can still be used")), ("all", tr("All"))]
        )
        self.which.show_choice("all")
        self.list.add_act(self.which)
        self.table = Table(theme, tr("Invites"), COLUMNS, drop=DROP, open_at_least=120, selecting=True)
        self.list.add_wide(self.table)
        self.none = EmptyState(
            theme, "ticket", tr("No invites yet"), tr("Make one at the side: it lets people in without their key.")
        )
        self.list.add_wide(self.none)
        self.list.body.addStretch(1)
        self.twice = QWidget()
        foot = QHBoxLayout(self.twice)
        foot.setContentsMargins(15, 8, 15, 8)
        foot.setSpacing(8)
        foot.addWidget(IconLabel(theme, "triangle-alert", "warn"))
        foot.addWidget(Label(tr("Opened twice:"), scale="hint", tone="warn", weight=600))
        self.twice_said = ElidedLabel(scale="hint", tone="text2")
        foot.addWidget(self.twice_said, 1)
        self.list.body.addWidget(self.twice)
        self._lay_out()
        self.form.wanted.connect(presenter.make)
        self.which.chosen.connect(self._choose_which)
        self.table.pressed.connect(self._act)
        self.table.chosen.connect(self.choose)
        self.table.opened.connect(self._open_person)
        self.table.delete_wanted.connect(presenter.take_back)
        presenter.changed.connect(self.refresh)
        presenter.made.connect(self._show_made)
        presenter.failed.connect(self.form.show_error)
        self.refresh()

    def _lay_out(self) -> None:
        column = QWidget()
        right = QVBoxLayout(column)
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(GAP)
        right.addWidget(self.card)
        right.addWidget(self.list, 1)
        # Where there is one column, what became of them comes first.
        self.area = TwoColumns(self._theme, self.form, column, right_first=True)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(MARGIN, GAP, MARGIN, GAP)
        outer.setSpacing(GAP)
        outer.addWidget(self.crumbs)
        outer.addWidget(self.area, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.area.fit(self.width())

    def open_page(self) -> None:
        self.form.show_wish(None)
        self.refresh()
        self.form.name.setFocus(Qt.FocusReason.OtherFocusReason)

    def refresh(self) -> None:
        presenter = self._presenter
        self.list.set_hint(presenter.counts() if presenter.invites else "")
        rows = presenter.rows(only_open=self._only_open)
        self.table.show_rows(rows)
        self.table.setVisible(bool(rows))
        self.none.setVisible(not presenter.invites)
        if presenter.find(self._chosen) is None:
            ordered = presenter.in_order(only_open=False)
            self._chosen = ordered[0].id if ordered else ""
        self.card.show_invite(presenter.find(self._chosen))
        said = presenter.turned_away()
        self.twice.setVisible(bool(said))
        self.twice_said.setText(said)

    def choose(self, id: str) -> None:
        self._chosen = id
        self.card.copy.set_kind("quiet")
        self.card.show_invite(self._presenter.find(id))

    def _choose_which(self, value: str) -> None:
        self._only_open = value == "open"
        self.refresh()

    def _show_made(self, id: str) -> None:
        self.choose(id)
        self.form.show_wish(None)
        self.refresh()
        self.card.offer_copy()

    def _act(self, id: str) -> None:
        invite = self._presenter.find(id)
        if invite is None:
            return
        if self._presenter.is_open(invite):
            self._presenter.take_back(id)
        else:
            self.form.show_wish(self._presenter.wish_like(invite))
            self.form.name.setFocus(Qt.FocusReason.OtherFocusReason)

    def _open_person(self, id: str) -> None:
        """Enter on one that somebody came with leads to them."""
        invite = self._presenter.find(id)
        if invite is not None and invite.claims:
            self.person_wanted.emit(invite.claims[0][0])


def _field_label(text: str, field: QWidget) -> Label:
    label = Label(text, scale="hint", tone="text2")
    label.setBuddy(field)
    return label
