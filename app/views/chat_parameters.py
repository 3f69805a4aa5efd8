"""The panel beside a conversation: what it sends with every question, and to whom."""

from __future__ import annotations

import asyncio
from functools import partial

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.i18n import number, tr, trn
from app.presenters.chat_settings import ChatSettings, schema_fault
from app.theme import Theme
from app.views.chat_schema_dialog import SchemaDialog
from app.widgets.button import Button
from app.widgets.chat.order_list import OrderList
from app.widgets.combo import Combo
from app.widgets.dialog import Dialog
from app.widgets.error_panel import ErrorPanel
from app.widgets.label import Label
from app.widgets.menu import Menu
from app.widgets.optional_number import OptionalNumber
from app.widgets.own_width import grown
from app.widgets.segmented import Segmented
from app.widgets.slider import Slider
from app.widgets.switch import ROW_SIZE, Switch

WIDTH = 300
MARGIN = 16
FIELD = 64
AROUND_TEXT = 28  # border, padding and Qt's own margin of a field
KEEP_MS = 600  # after the last key in the instructions
HUNDREDTHS = 100
TEMPERATURE, TOP_P = 0.8, 0.95
"""Where the knobs stand while nothing is chosen: what most models' files ask for."""


class ParametersPanel(QFrame):
    closed = Signal()

    def __init__(self, settings: ChatSettings, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._theme = theme
        self.dialog: Dialog | None = None
        self._checking: asyncio.Task[None] | None = None
        self._checked = ""
        self.setAccessibleName(tr("This conversation"))
        self.setObjectName("parameters")
        self.keep_width()
        self.close_button = Button(theme, kind="flat", icon="x", name=tr("Close the parameters"))
        self.close_button.clicked.connect(self.closed)
        head = QHBoxLayout()
        head.setContentsMargins(MARGIN + 1, 0, MARGIN - 6, 0)
        head.addWidget(Label(tr("This conversation"), weight=600))
        head.addStretch(1)
        head.addWidget(self.close_button)
        self._head = QWidget()
        self._head.setLayout(head)
        self._head.setFixedHeight(52)
        self._make_fields()
        self.error = ErrorPanel(theme)
        self.back = Button(theme, tr("Back to the preset"), kind="flat", icon="rotate-ccw")
        self.back.clicked.connect(settings.back_to_preset)
        body = QWidget()
        body.setObjectName("parametersBody")
        self._body = QVBoxLayout(body)
        self._body.setContentsMargins(MARGIN + 1, 12, MARGIN, 12)
        self._body.setSpacing(6)
        self._fill()
        self.area = QScrollArea()
        self.area.setWidget(body)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.viewport().setAutoFillBackground(False)
        body.setAutoFillBackground(False)
        self._foot = QWidget()
        foot = QHBoxLayout(self._foot)
        foot.setContentsMargins(MARGIN - 7, 6, MARGIN, 6)
        foot.addWidget(self.back, 0, Qt.AlignmentFlag.AlignLeading)
        foot.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._head)
        layout.addWidget(self.area, 1)
        layout.addWidget(self._foot)
        settings.changed.connect(self.refresh)
        settings.refused.connect(self.error.show_error)
        self.refresh()

    def keep_width(self) -> None:
        """As it is beside a conversation."""
        self.setFixedWidth(grown(self._theme, WIDTH))

    def regions(self) -> list[QWidget]:
        """Where F6 stops."""
        return [self.preset]

    # --- Made once

    def _make_fields(self) -> None:
        theme, settings = self._theme, self._settings
        self.preset = Combo(theme, tr("Preset"))
        self.preset.activated.connect(self._choose_preset)
        self.save = Button(theme, tr("Save"), name=tr("Save as a preset"))
        self.save.clicked.connect(self._save)
        self.instructions = QPlainTextEdit()
        self.instructions.setAccessibleName(tr("Instructions"))
        self.instructions.setPlaceholderText(tr("None. Say here how answers should be."))
        self.instructions.setTabChangesFocus(True)
        self.instructions.setProperty("kind", "field")
        self.instructions.setFixedHeight(88)
        self._keep_soon = QTimer(self)
        self._keep_soon.setSingleShot(True)
        self._keep_soon.setInterval(KEEP_MS)
        self._keep_soon.timeout.connect(self.keep_instructions)
        self.instructions.textChanged.connect(self._keep_soon.start)
        self.count = Label(scale="hint", tone="text3")
        own = tr("model's", "as the model's file says")
        self.temperature = OptionalNumber(tr("Temperature"), own, 0.0, 2.0, digits=2)
        self.top_p = OptionalNumber(tr("Top-p"), own, 0.0, 1.0, digits=2)
        self.longest = OptionalNumber(tr("Longest answer, in tokens"), number(2048), 1, 1_000_000)
        self.seed = OptionalNumber(tr("Seed"), tr("any"), 0, 2**31 - 1)
        self.temperature_knob = self._knob(tr("Temperature"), 200, "temperature")
        self.top_p_knob = self._knob(tr("Top-p"), 100, "top_p")
        # What stands there before a number does is a word, and longer in other languages.
        widest = max(FIELD, self.temperature.fontMetrics().horizontalAdvance(own) + AROUND_TEXT)
        for field, name in (
            (self.temperature, "temperature"),
            (self.top_p, "top_p"),
            (self.longest, "max_tokens"),
            (self.seed, "seed"),
        ):
            field.setFixedWidth(widest)
            field.chosen.connect(lambda value, name=name: settings.change(**{name: value}))
            field.wrong_changed.connect(self._show_wrong)
        self.wrong = Label(scale="hint", tone="danger", wrap=True)
        self.form = Segmented(tr("Answer as"), (("text", tr("Text")), ("json", tr("JSON…"))))
        self.form.chosen.connect(self._choose_form)
        self.form.button("json").clicked.connect(self._edit_again)
        self.schema_fault = Label(scale="hint", tone="warn", wrap=True)
        self.schema_fault.hide()
        self.think = Switch(theme, tr("Let the model think first"), size=ROW_SIZE)
        self.think.clicked.connect(lambda: settings.change(think=self.think.isChecked()))
        self.order = OrderList(theme)
        self.order.moved.connect(settings.move)
        self.order.removed.connect(settings.remove)
        self.add = Button(theme, kind="flat", icon="plus", name=tr("Add who answers"), size="small")
        self.add.clicked.connect(self._open_add)

    def _knob(self, name: str, most: int, field: str) -> Slider:
        """In hundredths."""
        knob = Slider(name)
        knob.setRange(0, most)
        knob.setSingleStep(5)
        knob.setPageStep(10)

        def moved(value: int) -> None:
            shown: OptionalNumber = getattr(self, field)
            shown.setModified(False)
            shown.show_value(value / HUNDREDTHS)
            if not knob.isSliderDown():
                self._settings.change(**{field: value / HUNDREDTHS})

        knob.valueChanged.connect(moved)
        knob.sliderReleased.connect(lambda: self._settings.change(**{field: knob.value() / HUNDREDTHS}))
        return knob

    def _fill(self) -> None:
        body = self._body
        body.addWidget(Label(tr("Preset"), scale="hint", tone="text3"))
        row = QHBoxLayout()
        row.setSpacing(8)
        self.preset.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.preset.setMinimumContentsLength(8)
        row.addWidget(self.preset, 1)
        row.addWidget(self.save)
        body.addLayout(row)
        body.addSpacing(4)
        row = QHBoxLayout()
        row.addWidget(Label(tr("Instructions"), scale="hint", tone="text3"))
        row.addStretch(1)
        row.addWidget(self.count)
        body.addLayout(row)
        body.addWidget(self.instructions)
        body.addSpacing(4)
        knobs = [_line(tr("Temperature"), self.temperature_knob, self.temperature)]
        knobs.append(_line(tr("Top-p"), self.top_p_knob, self.top_p))
        items = [line.itemAt(0) for line in knobs]
        labels = [label for item in items if item is not None and (label := item.widget()) is not None]
        widest = max(label.sizeHint().width() for label in labels)
        for line, label in zip(knobs, labels, strict=True):
            label.setMinimumWidth(widest)
            body.addLayout(line)
        body.addLayout(_line(tr("Longest answer"), Label(tr("tokens"), scale="hint", tone="text3"), self.longest))
        body.addLayout(_line(tr("Seed"), None, self.seed))
        body.addWidget(self.wrong)
        body.addLayout(_line(tr("Answer as"), None, self.form))
        body.addWidget(self.schema_fault)
        body.addLayout(_line(tr("Let the model think first"), None, self.think))
        body.addSpacing(6)
        self.rule = Rule(self._theme)
        body.addWidget(self.rule)
        row = QHBoxLayout()
        row.addWidget(Label(tr("Who answers, in order"), weight=600))
        row.addStretch(1)
        row.addWidget(self.add)
        body.addLayout(row)
        body.addWidget(self.order)
        body.addWidget(self.error)
        body.addStretch(1)
        self.wrong.hide()

    # --- Shown

    def refresh(self) -> None:
        settings = self._settings
        wanted = settings.parameters
        self._show_presets()
        if not self._keep_soon.isActive() and self.instructions.toPlainText() != wanted.instructions:
            self.instructions.blockSignals(True)
            self.instructions.setPlainText(wanted.instructions)
            self.instructions.blockSignals(False)
        tokens = settings.instruction_tokens
        self.count.setText(trn("about %n token", "about %n tokens", tokens) if tokens else "")
        for field, value in (
            (self.temperature, wanted.temperature),
            (self.top_p, wanted.top_p),
            (self.longest, wanted.max_tokens),
            (self.seed, wanted.seed),
        ):
            field.show_value(value)
        for knob, value, default in (
            (self.temperature_knob, wanted.temperature, TEMPERATURE),
            (self.top_p_knob, wanted.top_p, TOP_P),
        ):
            if not knob.isSliderDown():
                knob.blockSignals(True)
                knob.setValue(round((default if value is None else value) * HUNDREDTHS))
                knob.blockSignals(False)
        self.form.show_choice("json" if wanted.schema else "text")
        self._check_schema(wanted.schema)
        self.think.setChecked(wanted.think)
        self.order.show_order(settings.order)
        self.add.setEnabled(bool(settings.candidates()))
        self.add.setToolTip(tr("Add who answers") if settings.candidates() else tr("There is nobody else to add"))
        self._foot.setVisible(settings.preset_changed)
        self.back.setText(tr("Back to the preset") if settings.preset else tr("Back to the defaults"))

    def _show_presets(self) -> None:
        settings = self._settings
        names = ["", *(preset.name for preset in settings.presets)]
        if settings.preset not in names:
            names.append(settings.preset)
        shown = [
            tr("{name}, changed", name=name or tr("Defaults"))
            if name == settings.preset and settings.preset_changed
            else name or tr("Defaults")
            for name in names
        ]
        rows = [(self.preset.itemText(at), self.preset.itemData(at)) for at in range(self.preset.count())]
        wanted: list[tuple[str, str | None]] = list(zip(shown, names, strict=True))
        if settings.presets:
            wanted.append((tr("Remove a preset…"), None))
        if rows != wanted:
            self.preset.clear()
            for text, name in wanted:
                self.preset.addItem(text, name)
        self.preset.setCurrentIndex(names.index(settings.preset))

    def _show_wrong(self) -> None:
        sentences = (
            (self.temperature, tr("The temperature is a number from 0 to 2.")),
            (self.top_p, tr("Top-p is a number from 0 to 1.")),
            (self.longest, tr("The longest answer is a whole number of tokens, at least 1.")),
            (self.seed, tr("The seed is a whole number from 0 to {most}.", most=2**31 - 1)),
        )
        said = next((sentence for field, sentence in sentences if field.wrong), "")
        self.wrong.setText(said)
        self.wrong.setVisible(bool(said))

    def _check_schema(self, schema: str) -> None:
        if schema == self._checked:
            return
        self._checked = schema
        if self._checking is not None:
            self._checking.cancel()
        self.schema_fault.hide()
        if schema:
            self._checking = asyncio.get_event_loop().create_task(self._look(schema))

    async def _look(self, schema: str) -> None:
        fault = await schema_fault(schema)
        self.schema_fault.setText(tr("Answers will fail: {fault}", fault=fault))
        self.schema_fault.setVisible(bool(fault))

    # --- Done

    def keep_instructions(self) -> None:
        self._keep_soon.stop()
        self._settings.change(instructions=self.instructions.toPlainText())

    def _choose_preset(self, row: int) -> None:
        name = self.preset.itemData(row)
        if name is None:
            self._show_presets()
            self._open_remove()
        else:
            self._keep_soon.stop()
            self._settings.use_preset(name)

    def _save(self) -> None:
        self.keep_instructions()
        box = SaveDialog(self._theme, self._settings.preset, [p.name for p in self._settings.presets], self)
        box.chosen.connect(self._settings.save_preset)
        self._open(box)

    def _open_remove(self) -> None:
        menu = Menu(self)
        for preset in self._settings.presets:
            shown = preset.name.replace("&", "&&")
            menu.addAction(
                self._theme.icon("trash-2", "danger"), shown, partial(self._settings.remove_preset, preset.name)
            )
        menu.open_below(self.preset)

    def _choose_form(self, form: str) -> None:
        if form == "text":
            self._settings.change(schema="")

    def _edit_again(self) -> None:
        """Also where JSON is chosen already."""
        box = SchemaDialog(self._theme, self._settings.parameters.schema, self)
        box.chosen.connect(lambda schema: self._settings.change(schema=schema))
        box.finished.connect(self.refresh)
        self._open(box)

    def _open_add(self) -> None:
        menu = Menu(self)
        for target, words in self._settings.candidates():
            menu.addAction(words.replace("&", "&&"), partial(self._settings.add, target))
        menu.open_below(self.add)

    def _open(self, dialog: Dialog) -> None:
        self.dialog = dialog
        dialog.open()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colour("surface"))
        border = self._theme.colour("border")
        painter.fillRect(self.width() - 1 if self.isRightToLeft() else 0, 0, 1, self.height(), border)
        painter.fillRect(0, self._head.height() - 1, self.width(), 1, border)
        if self._foot.isVisible():
            painter.fillRect(0, self._foot.y(), self.width(), 1, border)
        painter.end()


class SaveDialog(Dialog):
    """Update the preset that was begun from, or make a new one: by its name."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, name: str, taken: list[str], parent: QWidget) -> None:
        super().__init__(
            theme,
            tr("Save as a preset"),
            tr("Instructions and numbers of this conversation, for others too."),
            tr("Save"),
            parent=parent,
        )
        self._taken = taken
        self.name = QLineEdit(name)
        self.name.setAccessibleName(tr("Name of the preset"))
        self.name.setMaxLength(80)
        self.name.selectAll()
        self.body.addWidget(Label(tr("Name"), scale="hint", tone="text3"))
        self.body.addWidget(self.name)
        self.name.textChanged.connect(self._show)
        self.accepted.connect(lambda: self.chosen.emit(self.name.text()))
        self._show()
        self.name.setFocus()

    def _show(self) -> None:
        name = " ".join(self.name.text().split())
        self.confirm.setEnabled(bool(name))
        self.confirm.setText(tr("Update") if name in self._taken else tr("Save as new"))
        self.confirm.setAccessibleName(self.confirm.text())


class Rule(QWidget):
    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setFixedHeight(9)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(-MARGIN, 4, self.width() + 2 * MARGIN, 1, self._theme.colour("border"))
        painter.end()


def _line(text: str, before: QWidget | None, field: QWidget) -> QHBoxLayout:
    """A label, what stands between, and the field at the end."""
    row = QHBoxLayout()
    row.setSpacing(8)
    label = Label(text)
    label.setBuddy(field)
    row.addWidget(label)
    if not isinstance(before, Slider):
        row.addStretch(1)  # not the label: a text of the other direction would stand at its far end
    if before is not None:
        row.addWidget(before, 1 if isinstance(before, Slider) else 0)
    row.addWidget(field)
    return row
