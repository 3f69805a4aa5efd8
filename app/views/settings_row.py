"""One row of the Settings page: label and hint at the start, the control at the end, a line for what is special."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from app.announcements import announce
from app.core_words import told
from app.i18n import later, tr
from app.presenters.settings import SettingsPresenter
from app.presenters.settings_rows import Choice, Row, Whole, Words
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.combo import Combo
from app.widgets.label import restyle
from app.widgets.marked_label import MarkedLabel
from app.widgets.number import LARGEST, Number
from app.widgets.own_width import keep_width
from app.widgets.segmented import Segmented
from app.widgets.slider import SliderNumber
from app.widgets.switch import ROW_SIZE, Switch

LEAST, LEAST_DENSE = 48, 34  # high
SIDE = 16
CONTROL_WIDTH = 200
LABEL_LEAST = 190  # narrower than this beside its control, a label stands above it
GIVEN = later("Set on the command line, for this run alone.")
WAITS = later("Holds after the next start.")

Options = tuple[tuple[str, str], ...]


class SettingsEntry(QFrame):
    """What stands in a card of the page: it tells the texts it is found by, and shows where they were found."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("settingsRow")

    def texts(self) -> tuple[str, ...]:
        return ()

    def mark(self, words: Sequence[str]) -> None:
        """Nothing to mark by default."""

    def show_first(self, first: bool) -> None:
        """The first one that is to be seen in its card has no line above."""
        value = "true" if first else "false"
        if self.property("first") != value:
            self.setProperty("first", value)
            restyle(self)


class SettingsRow(SettingsEntry):
    """`controls` stand side by side at the end; below 190 px of room for the label they stand under it."""

    def __init__(
        self,
        theme: Theme,
        label: str,
        hint: str = "",
        *controls: QWidget,
        words: Sequence[str] = (),
        start: QWidget | None = None,
        dense: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._words = tuple(words)
        self.controls = controls
        self.label = MarkedLabel(theme, label, weight=500)
        self.hint = MarkedLabel(theme, hint, scale="hint", tone="text3")
        if not hint:  # never shown by name before it has a parent: that would be a window of its own
            self.hint.hide()
        self.note = MarkedLabel(theme, scale="hint", tone="text2")
        self.act = Button(theme, "", kind="link", size="small")
        self.act.hide()
        # A widget: a layout of hidden things alone would be as narrow as nothing, and its column with it.
        self._notes = QWidget()
        self._notes.hide()
        texts = QVBoxLayout()
        texts.setSpacing(4)
        texts.addStretch(1)
        texts.addWidget(self.label)
        texts.addWidget(self.hint)
        notes = QHBoxLayout(self._notes)
        notes.setContentsMargins(0, 0, 0, 0)
        notes.setSpacing(6)
        notes.addWidget(self.note, 1)
        notes.addWidget(self.act)
        texts.addWidget(self._notes)
        texts.addStretch(1)
        self._texts = QHBoxLayout()
        self._texts.setSpacing(14)
        if start is not None:
            self._texts.addWidget(start)
        self._texts.addLayout(texts, 1)
        self._ends = QWidget()
        self._ends.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        ends = QHBoxLayout(self._ends)
        ends.setContentsMargins(0, 0, 0, 0)
        ends.setSpacing(8)
        for control in controls:
            ends.addWidget(control)
        self._line = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._line.setContentsMargins(SIDE, 3 if dense else 7, SIDE, 3 if dense else 7)
        self._line.setSpacing(16)
        self._line.addLayout(self._texts, 1)
        self._line.addWidget(self._ends)
        self.setMinimumHeight(LEAST_DENSE if dense else LEAST)
        if controls:
            self.name_control(controls[0], label, hint)

    def name_control(self, control: QWidget, label: str, hint: str) -> None:
        if control.accessibleName() in ("", label):  # a field that has a name of its own is not called by the row's
            self.label.setBuddy(control)
        if not control.accessibleName():
            control.setAccessibleName(label)
        control.setAccessibleDescription(hint)

    def texts(self) -> tuple[str, ...]:
        note = (self.note.text(),) if self.note.text() else ()
        return (self.label.text(), self.hint.text(), *note, *self._words)

    def mark(self, words: Sequence[str]) -> None:
        self.label.mark(words)
        self.hint.mark(words)

    def set_hint(self, text: str, tone: str = "text3") -> None:
        self.hint.setText(text)
        self.hint.set_tone(tone)
        self.hint.setVisible(bool(text))
        if self.controls:
            self.controls[0].setAccessibleDescription(text)

    def set_note(self, text: str, tone: str = "text2") -> None:
        """A line below the hint: why something cannot be changed, what is still to come, what went wrong."""
        self.note.setText(text)
        self.note.set_tone(tone)
        self._notes.setVisible(bool(text))

    def show_failure(self, error: object) -> None:
        """An ErrorInfo, where it happened."""
        said = " ".join(filter(None, (getattr(error, "title", ""), getattr(error, "message", ""))))
        self.set_note(told(said), "danger")
        announce(self, self.note.text(), assertive=True)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        ends = self._ends.sizeHint().width()
        room = self.width() - 2 * SIDE - ends - 16
        below = bool(self.controls) and ends > 60 and room < LABEL_LEAST * self._theme.breadth
        direction = QBoxLayout.Direction.TopToBottom if below else QBoxLayout.Direction.LeftToRight
        if self._line.direction() != direction:
            self._line.setDirection(direction)
            self._line.setSpacing(6 if below else 16)
            self._line.setAlignment(self._ends, Qt.AlignmentFlag.AlignLeading if below else Qt.AlignmentFlag(0))


class SettingRow(SettingsRow):
    """A row whose control shows and changes one setting of the core. `restart_wanted`: it holds after a start only."""

    restart_wanted = Signal()

    def __init__(self, theme: Theme, row: Row, presenter: SettingsPresenter, options: Callable[[str], Options]) -> None:
        self._row = row
        self._presenter = presenter
        self._options = options
        self._shown: Options = ()
        self._remark = ""
        label, hint = tr(row.label), tr(row.hint) if row.hint else ""
        self._control = self._build(theme, label)
        super().__init__(theme, label, hint, self._control, words=(*row.words, row.key))
        self.act.setText(tr("Restart now"))
        self.act.setAccessibleName(tr("Restart now"))
        self.act.clicked.connect(self.restart_wanted)
        presenter.changed.connect(self._take)
        presenter.failed.connect(self._fail)
        self.refresh()

    # --- The control

    def _build(self, theme: Theme, label: str) -> QWidget:
        match self._row.control:
            case Choice(segmented=True) as choice:
                segmented = Segmented(label, [(value, tr(words)) for value, words in choice.options])
                segmented.chosen.connect(self._choose)
                return segmented
            case Choice():
                combo = Combo(theme, label)
                keep_width(combo, theme, CONTROL_WIDTH, least=True)
                combo.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
                combo.setSizeAdjustPolicy(Combo.SizeAdjustPolicy.AdjustToContents)
                keep_width(combo, theme, round(CONTROL_WIDTH * 1.5), most=True)
                combo.activated.connect(lambda place: self._choose(str(combo.itemData(place))))
                return combo
            case Whole() as whole:
                return self._number(theme, label, whole)
            case Words() as words:
                field = QLineEdit()
                field.setPlaceholderText(tr(words.placeholder) if words.placeholder else "")
                keep_width(field, theme, CONTROL_WIDTH, least=True)
                field.editingFinished.connect(lambda: self._choose(field.text().strip()))
                return field
            case _:
                switch = Switch(theme, label, size=ROW_SIZE)
                switch.clicked.connect(lambda on: self._choose("true" if on else "false"))
                return switch

    def _number(self, theme: Theme, label: str, whole: Whole) -> QWidget:
        found = self._presenter.definition(self._row.key)
        low, high = (found.low, found.high) if found is not None else (0, LARGEST)
        high = min(high, whole.most) if whole.most else high
        zero = tr(whole.zero) if whole.zero else ""
        unit = tr(whole.unit) if whole.unit else ""
        if whole.slider:
            slider = SliderNumber(theme, label, low, high, step=whole.step, unit=unit, zero=zero)
            slider.chosen.connect(lambda value: self._choose(str(value)))
            return slider
        number = Number(theme, label, low, high, step=whole.step, unit=unit, zero=zero, grouped=whole.grouped)
        keep_width(number, theme, 120, least=True)
        number.chosen.connect(lambda value: self._choose(str(value)))
        return number

    def _choose(self, text: str) -> None:
        self.set_note("")
        self._presenter.set(self._row.key, text)

    # --- What it shows

    @property
    def key(self) -> str:
        return self._row.key

    def texts(self) -> tuple[str, ...]:
        return (*super().texts(), self.value_words())

    def value_words(self) -> str:
        """The value as the control shows it, so that it can be searched for."""
        match self._control:
            case Combo():
                return self._control.currentText()
            case Segmented():
                return self._control.button(self._control.choice).text() if self._control.choice else ""
            case Number():
                return self._control.text()
            case SliderNumber():
                return self._control.number.text()
            case QLineEdit():
                return self._control.text()
        return ""

    def refresh(self) -> None:
        row, presenter = self._row, self._presenter
        given = presenter.given.get(row.given) if row.given else None
        self._show_value(presenter.value(row.key) if given is None else given)
        needed = not row.needs or presenter.on(row.needs)
        self._control.setEnabled(given is None and needed)
        waits = row.after_restart and given is None and presenter.waits(row.key)
        self.set_note(tr(GIVEN) if given is not None else tr(WAITS) if waits else self._remark)
        self.act.setVisible(waits)

    def set_remark(self, text: str) -> None:
        """What is to be known of it beside the value, as that this machine has no battery; "" takes it away."""
        if text != self._remark:
            self._remark = text
            self.refresh()

    def refresh_options(self) -> None:
        """What can be chosen may have changed: models, microphones."""
        self.refresh()

    def _show_value(self, value: str) -> None:
        control = self._control
        if isinstance(control, Combo):
            self._show_choice(control, value)
        elif isinstance(control, Segmented):
            if value in control.values:
                control.show_choice(value)
        elif isinstance(control, Switch):
            control.setChecked(value == "true")
        elif isinstance(control, Number | SliderNumber):
            control.show_value(int(value) if value.lstrip("-").isdecimal() else 0)
        elif isinstance(control, QLineEdit) and control.text() != value:
            control.setText(value)

    def _show_choice(self, combo: Combo, value: str) -> None:
        choice = self._row.control
        assert isinstance(choice, Choice)
        options = tuple((kept, tr(words)) for kept, words in choice.options)
        if choice.source:
            options = (*options, *self._options(choice.source))
        if value not in {kept for kept, _words in options}:
            # A model that was removed, a microphone that is not plugged in: what is set is shown all the same.
            options = (*options, (value, tr("{name}, not here now", name=value)))
        if options != self._shown:
            self._shown = options
            combo.clear()
            for kept, words in options:
                combo.addItem(words, kept)
        combo.setCurrentIndex(next(i for i, (kept, _words) in enumerate(options) if kept == value))

    def _take(self, key: str) -> None:
        if key in (self._row.key, self._row.needs):
            self.refresh()

    def _fail(self, key: str, error: object) -> None:
        if key == self._row.key:
            self.show_failure(error)
