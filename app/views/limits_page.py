"""One person's page on the Share tab: who they are, what they used, and what they may."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut, QShowEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from app import words
from app.announcements import announce
from app.core_words import told
from app.i18n import number, tongue, tr, trn
from app.key_words import group_key
from app.presenters.limits_person import DAY, REQUESTS, TIME, TOKENS, WARN_ABOVE, PersonPresenter
from app.theme import Theme
from app.views.crumb_row import CrumbRow
from app.views.limits_rows import ExpiryRow, HoursRow, LimitRow, NumberRow
from app.views.share_dialogs import NameDialog, confirm
from app.widgets.avatar import Avatar
from app.widgets.button import Button, CopyButton
from app.widgets.card import Card, rule
from app.widgets.combo import Combo
from app.widgets.day_bars import Bar, DayBars
from app.widgets.error_panel import ErrorPanel
from app.widgets.label import Label
from app.widgets.meter import HEIGHT_IN_CARD, Meter
from app.widgets.own_font import keep_font
from app.widgets.segmented import Segmented
from app.widgets.switch import ROW_SIZE, Switch
from app.widgets.two_columns import GAP, TwoColumns
from qvac_core.core.state import AccessKey, ErrorInfo

MARGIN = 16
CONTEXTS = (2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072)
AVATAR = 48


class LimitsPage(QWidget):
    back = Signal()
    person_wanted = Signal(str)

    def __init__(self, presenter: PersonPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter, self._theme = presenter, theme
        self._saved_told = 0.0
        self.crumbs = CrumbRow(theme, tr("Share my GPU"))
        self.before = Button(theme, icon="chevron-left", size="small", name=tr("The person before"))
        self.next = Button(theme, icon="chevron-right", size="small", name=tr("The next person"))
        for button, by in ((self.before, -1), (self.next, 1)):
            self.crumbs.acts.addWidget(button)
            button.clicked.connect(lambda _on=False, by=by: self._step(by))
        for keys, by in (("Alt+Up", -1), ("Alt+Down", 1)):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(lambda by=by: self._step(by))
        self.crumbs.back.connect(self.back)
        self.crumbs.listen_on(self)
        self.error = ErrorPanel(theme)
        self.error.hide()
        self._build_who()
        self._build_today()
        self._build_history()
        self._build_mine()
        self._build_limits()
        self.models = Card(tr("Models"))
        self._model_rows: dict[str, tuple[Switch, Label]] = {}
        self._models_shown: list[str] = []
        self._build_end()
        self._lay_out()
        presenter.changed.connect(self.refresh)
        presenter.failed.connect(self._show_error)
        presenter.gone.connect(self.back)

    # --- Making

    def _build_who(self) -> None:
        self.who = Card()
        self.face = Avatar("0" * 64, AVATAR)
        self.name = Label(scale="state", weight=600)
        self.rename = Button(self._theme, kind="flat", icon="pencil", size="small", name=tr("Rename"))
        self.rename.clicked.connect(self._ask_name)
        self.state = Label(tone="text2")
        titles = QHBoxLayout()
        titles.setSpacing(6)
        titles.addWidget(self.name)
        titles.addWidget(self.rename)
        titles.addStretch(1)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addLayout(titles)
        texts.addWidget(self.state)
        head = QHBoxLayout()
        head.setContentsMargins(15, 15, 15, 15)
        head.setSpacing(14)
        head.addWidget(self.face)
        head.addLayout(texts, 1)
        self.who.body.addLayout(head)
        self.who.body.addWidget(rule())
        self.digits = Label(tone="text", selectable=True)
        keep_font(self.digits, self._theme, lambda: self._theme.fixed_font("hint"))
        self.digits.setWordWrap(True)
        self.digits._most = 200
        self.copy = CopyButton(self._theme, name=tr("Copy the key"))
        key = QHBoxLayout()
        key.setContentsMargins(15, 8, 15, 10)
        key.addWidget(self.digits, 1)
        key.addWidget(self.copy, 0, Qt.AlignmentFlag.AlignTop)
        self.who.body.addLayout(key)
        self.who.body.addWidget(rule())
        facts = QGridLayout()
        facts.setContentsMargins(15, 10, 15, 12)
        facts.setHorizontalSpacing(16)
        facts.setVerticalSpacing(6)
        facts.setColumnStretch(1, 1)
        self.facts: dict[str, Label] = {}
        for row, (name, text) in enumerate(
            (("came", tr("Came with")), ("since", tr("Since")), ("last", tr("Last seen")))
        ):
            self.facts[name] = Label(wrap=True)
            facts.addWidget(Label(text, tone="text3"), row, 0)
            facts.addWidget(self.facts[name], row, 1)
        self.who.body.addLayout(facts)

    def _build_today(self) -> None:
        theme = self._theme
        self.today = Card()
        self.meter = Meter(theme, tr("Today"), height=HEIGHT_IN_CARD)
        self.spent, self.anew = Label(scale="hint", tone="text3"), Label(scale="hint", tone="text3")
        line = QHBoxLayout()
        line.addWidget(self.spent, 1)
        line.addWidget(self.anew)
        self.panel = QFrame()
        self.panel.setObjectName("askPanel")
        self.estimate = Label(weight=600, wrap=True)
        self.same = Label(tone="text2", wrap=True)
        self.more = Button(theme, tr("Give more today"), icon="plus", kind="primary")
        self.higher = Button(theme, tr("Raise the limit"))
        acts = QHBoxLayout()
        acts.setSpacing(8)
        acts.addWidget(self.more)
        acts.addWidget(self.higher)
        acts.addStretch(1)
        inside = QVBoxLayout(self.panel)
        inside.setContentsMargins(12, 10, 12, 10)
        inside.setSpacing(4)
        for label in (self.estimate, self.same):
            inside.addWidget(label)
        inside.addSpacing(2)
        inside.addLayout(acts)
        box = QVBoxLayout()
        box.setContentsMargins(15, 12, 15, 12)
        box.setSpacing(6)
        box.addWidget(self.meter)
        box.addLayout(line)
        box.addSpacing(2)
        box.addWidget(self.panel)
        self.today.body.addLayout(box)
        self.more.clicked.connect(self._presenter.give_extra)
        self.higher.clicked.connect(self._raise)

    def _build_history(self) -> None:
        self.history = Card(tr("Last 30 days"))
        self.kind = Segmented(
            tr("What the bars show"), [(TOKENS, tr("Tokens")), (REQUESTS, tr("Requests")), (TIME, tr("GPU time"))]
        )
        self.kind.show_choice(TOKENS)
        self._kind = TOKENS
        self.kind.chosen.connect(self._choose_kind)
        self.history.add_act(self.kind)
        self.bars = DayBars(self._theme, tr("Last 30 days"))
        self.first, self.total = Label(scale="hint", tone="text3"), Label(scale="hint", weight=600)
        self.last = Label(tr("today"), scale="hint", tone="text3")
        foot = QHBoxLayout()
        foot.addWidget(self.first, 1)
        foot.addWidget(self.total)
        foot.addWidget(self.last, 1, Qt.AlignmentFlag.AlignTrailing)
        box = QVBoxLayout()
        box.setContentsMargins(15, 4, 15, 10)
        box.setSpacing(6)
        box.addWidget(self.bars, 1)
        box.addLayout(foot)
        self.history.body.addLayout(box, 1)

    def _build_mine(self) -> None:
        self.mine_card = Card()
        title = tr("This is my own machine")
        sentence = tr(
            "It goes first, has no limits, sees every model, and may load, download and remove models, read the log "
            "and pause sharing from afar."
        )
        self.mine = Switch(self._theme, title)
        self.mine.setAccessibleDescription(sentence)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(Label(title, weight=600))
        texts.addWidget(Label(sentence, tone="text2", wrap=True))
        row = QHBoxLayout()
        row.setContentsMargins(15, 13, 15, 13)
        row.setSpacing(14)
        row.addWidget(self.mine, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)
        self.mine_card.body.addLayout(row)
        self.mine.clicked.connect(self._choose_mine)

    def _build_limits(self) -> None:
        theme, presenter = self._theme, self._presenter
        self.limits = Card(tr("Limits"), tr("act at once, also on what runs now; the guest sees them"))
        self.saved = Label(scale="hint", tone="text3")
        self.limits.add_act(self.saved)
        self.tokens = NumberRow(
            *(theme, tr("Tokens a day"), tr("0 means none at all"), tr("no limit"), 0, 20_000, 1000),
            lambda value: presenter.limit(tokens_per_day=value),
        )
        self.parallel = NumberRow(
            *(theme, tr("Requests at once"), tr("More wait in line"), tr("as for everybody"), 1, 1, 1),
            lambda value: presenter.limit(parallel=value),
        )
        self.context = Combo(theme, tr("Longest context"))
        self.context.activated.connect(lambda index: presenter.limit(context_tokens=self.context.itemData(index)))
        self.context_row = LimitRow(
            theme,
            tr("Longest context"),
            "",
            tr("as the model"),
            [self.context],
            lambda on: presenter.limit(context_tokens=CONTEXTS[2] if on else None),
        )
        self.answer = NumberRow(
            *(theme, tr("Longest answer"), "", tr("as the model"), 1, 1024, 256),
            lambda value: presenter.limit(answer_tokens=value),
        )
        self.hours = HoursRow(theme, lambda hours: presenter.limit(hours=hours))
        self.expiry = ExpiryRow(theme, self._next_month, presenter.set_expiry)
        self.rows = (self.tokens, self.parallel, self.context_row, self.answer, self.hours, self.expiry)
        self.not_for_mine = Label(tr("not for your own machines"), scale="hint", tone="text3")
        self.limits.add_beside_title(self.not_for_mine)
        for row in self.rows:
            self.limits.body.addWidget(rule())
            self.limits.body.addWidget(row)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._align_switches()

    def _align_switches(self) -> None:
        """What values take is known once the style sheet is on, under which the page was not built."""
        rows = (self.tokens, self.parallel, self.context_row, self.answer)
        for row in rows:
            for widget in (row, *row.findChildren(QWidget)):
                widget.ensurePolished()
        widest = max(row.values_width for row in rows)
        for row in rows:
            row.set_values_width(widest)

    def _build_end(self) -> None:
        self.end = Card()
        self.remove = Button(self._theme, tr("Remove…"))
        self.block = Button(self._theme, kind="danger", icon="ban", text=tr("Block"))
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(Label(tr("End it"), weight=500))
        texts.addWidget(
            Label(
                tr("Blocking cuts what runs now, and this key can knock no more."),
                tone="text3",
                scale="hint",
                wrap=True,
            )
        )
        row = QHBoxLayout()
        row.setContentsMargins(15, 12, 15, 12)
        row.setSpacing(8)
        row.addLayout(texts, 1)
        row.addWidget(self.remove)
        row.addWidget(self.block)
        self.end.body.addLayout(row)
        self.remove.clicked.connect(self._ask_remove)
        self.block.clicked.connect(self._ask_block)
        delete = QShortcut(QKeySequence("Del"), self.end)
        delete.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        delete.activated.connect(self._ask_block)

    def _lay_out(self) -> None:
        self._left, self._right = QWidget(), QWidget()
        self._columns = {self._left: QVBoxLayout(self._left), self._right: QVBoxLayout(self._right)}
        for column in self._columns.values():
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(GAP)
        for card in (self.who, self.today, self.history):
            self._columns[self._left].addWidget(card, 1 if card is self.history else 0)
        for card in (self.mine_card, self.limits, self.models, self.end):
            self._columns[self._right].addWidget(card)
        self._columns[self._right].addStretch(1)
        self.area = TwoColumns(self._theme, self._left, self._right)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(MARGIN, GAP, MARGIN, GAP)
        outer.setSpacing(GAP)
        outer.addWidget(self.crumbs)
        outer.addWidget(self.error)
        outer.addWidget(self.area, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.area.fit(self.width())

    # --- Showing

    def show_person(self, public_key: str) -> None:
        self._presenter.show(public_key)
        self.area.verticalScrollBar().setValue(0)
        self.crumbs.link.setFocus(Qt.FocusReason.OtherFocusReason)

    def refresh(self) -> None:
        key = self._presenter.key
        if key is None:
            return
        self._show_who(key)
        self._show_today(key)
        self._show_bars(key)
        self._show_limits(key)
        self._show_models(key)

    def _show_who(self, key: AccessKey) -> None:
        presenter, now = self._presenter, self._presenter.clock()
        name = presenter.name
        self.crumbs.name.setText(name)
        self.name.setText(name)
        self.face.set_key(key.public_key)
        self.state.setText(tr("blocked") if key.blocked else tr("on now") if key.connected else tr("not connected"))
        self.state.set_tone("danger" if key.blocked else "accent" if key.connected else "text2")
        groups = group_key(key.public_key).split(" ")
        self.digits.setText("\n".join("  ".join(groups[row : row + 4]) for row in range(0, 16, 4)))
        self.copy.value = key.public_key
        self.facts["came"].setText(
            tr("the invite for {name}", name=key.came_with) if key.came_with else tr("your permission")
        )
        self.facts["since"].setText(words.day(key.added_at, now) if key.added_at else "–")
        last = key.last_seen
        self.facts["last"].setText(
            tr("now") if key.connected else words.ago(last, now) if last is not None else tr("never")
        )
        self.block.setText(tr("Block {name}", name=name))
        self.block.setAccessibleName(self.block.text())
        self.block.setVisible(not key.blocked)

    def _show_today(self, key: AccessKey) -> None:
        presenter = self._presenter
        usage, most = presenter.usage, key.most_today
        if most is None:
            said = tr("{used} tokens, no limit", used=number(key.tokens_today))
        else:
            said = tr("{used} of {limit} tokens", used=number(key.tokens_today), limit=number(most))
        fraction = min(1.0, presenter.used_fraction())
        self.meter.show_value(fraction, said)
        requests = usage.today.requests if usage is not None else 0
        spent = trn("%n request", "%n requests", requests)
        if usage is not None and usage.today.ms:
            spent = tr("{requests}, {time} of GPU", requests=spent, time=words.whole_duration(usage.today.ms / 1000))
        self.spent.setText(spent)
        self.anew.setText(
            tr("starts anew at {time}", time=tongue().time(datetime.fromtimestamp(usage.ends))) if usage else ""
        )
        self.panel.setVisible(fraction > WARN_ABOVE and not key.mine and not key.blocked)
        at = presenter.ends_at()
        if fraction >= 1:
            self.estimate.setText(tr("The tokens of today are used up."))
        elif at is not None:
            when = tongue().time(datetime.fromtimestamp(at))
            self.estimate.setText(tr("At this rate it ends at about {time}.", time=when))
        else:
            self.estimate.setText(tr("More than four fifths are used."))
        self.same.setText(tr("{name} sees the same, and when it goes on.", name=presenter.name))
        self.more.setText(tr("Give {count} more today", count=words.short_count(presenter.extra())))
        self.more.setAccessibleName(self.more.text())

    def _show_bars(self, key: AccessKey) -> None:
        bars = self._presenter.bars(self._kind)
        limit = key.tokens_per_day if self._kind == TOKENS and not key.mine else None
        words_of_limit = tr("limit, {count}", count=words.short_count(limit)) if limit else ""
        self.bars.show_bars([Bar(bar.label, bar.amount, bar.limited) for bar in bars], limit or 0, words_of_limit)
        first = self._presenter.clock() - (len(bars) - 1) * DAY
        self.first.setText(tongue().date(datetime.fromtimestamp(first), year=False))
        self.total.setText(self._presenter.total_words(self._kind))

    def _show_limits(self, key: AccessKey) -> None:
        presenter = self._presenter
        self.mine.setChecked(key.mine)
        self.mine.setEnabled(not key.blocked)
        self.tokens.show_value(key.tokens_per_day)
        self.parallel.show_value(key.parallel)
        self.answer.show_value(key.answer_tokens)
        self.hours.show_value(key.hours)
        self.expiry.show_value(key.expires_at)
        sizes = sorted({*CONTEXTS, *([key.context_tokens] if key.context_tokens else [])})
        if [self.context.itemData(i) for i in range(self.context.count())] != sizes:
            self.context.clear()
            for size in sizes:
                self.context.addItem(tr("{count} tokens", count=words.context(size)), size)
        self.context_row.show_on(key.context_tokens is not None)
        self.context.setCurrentIndex(max(0, self.context.findData(key.context_tokens)))
        longest = presenter.longest_context()
        self.context_row.hint.setText(tr("Models here allow up to {count}", count=words.context(longest)))
        self.context_row.hint.setVisible(longest > 0)
        for row in self.rows:
            row.setEnabled(not key.mine and not key.blocked)
        self.not_for_mine.setVisible(key.mine)
        self.limits.hint.setVisible(not key.mine)
        self.saved.setVisible(presenter.saved_at > 0)
        if presenter.saved_at:
            when = tongue().time(datetime.fromtimestamp(presenter.saved_at))
            self.saved.setText(tr("saved {time}", time=when))
            if presenter.saved_at != self._saved_told:
                announce(self.saved, self.saved.text())
        self._saved_told = presenter.saved_at

    def _show_models(self, key: AccessKey) -> None:
        presenter = self._presenter
        shared = presenter.shared_models()
        if [name for name, _ in shared] != self._models_shown:
            self._make_models(shared)
        allowed = [name for name, _ in shared if key.mine or key.models is None or name in key.models]
        self.models.set_hint(tr("{count} of {all} that you share", count=number(len(allowed)), all=number(len(shared))))
        used = {(m.model, m.unit): m for m in presenter.usage.models} if presenter.usage is not None else {}
        for name, (switch, said) in self._model_rows.items():
            switch.setChecked(name in allowed)
            switch.setEnabled(not key.mine and not key.blocked)
            heard = used.get((name, "seconds"))
            tokens = sum(m.totals.tokens for (model, _), m in used.items() if model == name)
            if name not in allowed:
                said.setText(tr("not for {name}", name=presenter.name))
            elif heard is not None:
                said.setText(tr("{time} of audio today", time=words.whole_duration(heard.amount)))
            else:
                said.setText(tr("{count} tokens today", count=number(tokens)) if tokens else tr("not used today"))

    def _make_models(self, shared: list[tuple[str, str]]) -> None:
        self._models_shown = [name for name, _ in shared]
        self._model_rows.clear()
        while (item := self.models.body.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for name, title in shared:
            switch, said = Switch(self._theme, title, size=ROW_SIZE), Label(scale="hint", tone="text3")
            switch.clicked.connect(lambda on, name=name: self._presenter.allow_model(name, on))
            holder = QWidget()
            row = QHBoxLayout(holder)
            row.setContentsMargins(12, 5, 15, 5)
            row.setSpacing(10)
            row.addWidget(switch)
            row.addWidget(Label(title), 1)
            row.addWidget(said)
            self.models.body.addWidget(rule())
            self.models.body.addWidget(holder)
            self._model_rows[name] = (switch, said)
        if not shared:
            self.models.add_padded(Label(tr("You share no model now."), tone="text3"))

    # --- Acts

    def _step(self, by: int) -> None:
        self.person_wanted.emit(self._presenter.step(by))

    def _choose_kind(self, kind: str) -> None:
        self._kind = kind
        self.refresh()

    def _next_month(self) -> float:
        return self._presenter.clock() + 30 * DAY

    def _raise(self) -> None:
        self.tokens.field.setFocus(Qt.FocusReason.OtherFocusReason)
        self.tokens.field.selectAll()
        self.area.ensureWidgetVisible(self.tokens)

    def _choose_mine(self, on: bool) -> None:
        if not on:
            self._presenter.set_mine(False)
            return
        self.mine.setChecked(False)
        dialog = confirm(
            self._theme,
            tr("Is {name} your own machine?", name=self._presenter.name),
            tr("It may then remove models from this machine, read who used it, and pause sharing."),
            tr("It is mine"),
            lambda: self._presenter.set_mine(True),
            self.window(),
        )
        dialog.confirm.set_kind("primary")

    def _ask_name(self) -> None:
        key = self._presenter.key
        if key is not None:
            NameDialog(self._theme, key.public_key, key.name, self._presenter.rename, self.window()).open()

    def _ask_remove(self) -> None:
        confirm(
            self._theme,
            tr("Remove {name}?", name=self._presenter.name),
            tr("What it runs now ends, and it has to knock again."),
            tr("Remove"),
            self._presenter.remove,
            self.window(),
        )

    def _ask_block(self) -> None:
        confirm(
            self._theme,
            tr("Block {name}?", name=self._presenter.name),
            tr("What it runs now is stopped, and its requests are met with silence."),
            tr("Block"),
            self._presenter.block,
            self.window(),
        )

    def _show_error(self, error: ErrorInfo) -> None:
        self.error.show()
        self.error.show_error(ErrorInfo(error.name, error.code, error.title, told(error.message)))
