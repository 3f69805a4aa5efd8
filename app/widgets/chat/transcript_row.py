"""A recording as text: the file, its lines with times, how far it has come, and what can be done with it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QAccessible, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from app.audio.recording import PEAK_MS
from app.core_words import told
from app.i18n import tr, trn
from app.theme import Theme
from app.transcript_words import Course, Form, Sound, clock, export, hand_over, paragraphs
from app.widgets.button import Button, CopyButton
from app.widgets.card import rule
from app.widgets.chat.answer_row import FACE, GAP, AnswerFacts, Face
from app.widgets.chat.long_text_box import open_long_text
from app.widgets.chat.stats_line import StatsLine
from app.widgets.chat.transcript_lines import CELL, TranscriptLines, line_at_time, time_column
from app.widgets.chat.waveform import Waveform
from app.widgets.error_panel import ErrorPanel
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from app.widgets.menu import Menu
from app.words import size
from qvac_core.core.state import Message
from qvac_core.core.transcript import Transcript, read
from qvac_core.late_dataclass import dataclass

HEADER = 40
PADDING = 14
RADIUS = 8
FOLDED = 14  # lines; of more than these the first and the last ones are shown
FIRST, LAST = 8, 3
UNFOLDED = 400  # lines; more open in a window of their own


@dataclass(frozen=True, slots=True)
class TranscriptFacts:
    """Beside what the message holds. course: while it runs."""

    answer: AnswerFacts
    title: str = ""  # how long, in which language
    course: Course | None = None
    sound: Sound | None = None  # None: nobody knows where the recording lies
    length_ms: int = 0  # of it, 0 = not known


class TranscriptRow(QWidget):
    accessible_role = QAccessible.Role.ListItem

    stop_wanted = Signal(str)
    go_on_wanted = Signal(str)
    export_wanted = Signal(str, object)  # message id, Form
    ask_wanted = Signal(str)
    insert_wanted = Signal(str)
    play_wanted = Signal(str, object)  # from where (milliseconds; None: where it was paused)
    pause_wanted = Signal(str)
    looked_at = Signal(str)  # its waveform is wanted
    unfolding = Signal()

    def __init__(self, theme: Theme, message: Message, facts: TranscriptFacts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._message = message
        self._facts = facts
        self._transcript = read(message.text)
        self._open = False
        self._width = 0
        self._face = Face(theme, facts.answer)
        self.file = FileChip(theme)
        self.panel = Panel(theme)
        self.name = Label(weight=600)
        self.title = Label(scale="hint", tone="text3")
        self.copy = CopyButton(theme, text=tr("Copy"), kind="flat", size="small", name=tr("Copy the transcript"))
        self.export = Button(theme, tr("Export"), size="small", icon="download", name=tr("Export the transcript"))
        self.export.clicked.connect(self._open_exports)
        self.play = Button(theme, icon="play", size="small", name=tr("Play"))
        self.play.clicked.connect(self.toggle_playing)
        self.waveform = Waveform(theme)
        self.waveform.wanted.connect(lambda at: self.play_wanted.emit(self._message.id, at))
        self.waveform.looked_at.connect(lambda: self.looked_at.emit(self._message.id))
        self.time = Label(scale="hint", tone="text3")
        self.trouble = Label(scale="hint", tone="warn", wrap=True)
        self.lines = self._block(tr("Transcript"))
        self.more = Button(theme, "", kind="link", size="small")
        self.more.clicked.connect(self._unfold)
        self.last_lines = self._block(tr("Last lines of the transcript"))
        self.clause = Label(weight=600)
        self.remark = Label(scale="hint", tone="text3")
        self.stop = Button(theme, tr("Stop"), icon="square", name=tr("Stop the transcript"))
        self.stop.clicked.connect(lambda: self.stop_wanted.emit(self._message.id))
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        self.bar.setAccessibleName(tr("Transcribing"))
        self.ask = Button(theme, tr("Ask about it"), icon="message-square")
        self.ask.clicked.connect(lambda: self.ask_wanted.emit(self._message.id))
        self.insert = Button(theme, tr("Insert in the message"), kind="flat", icon="text-cursor-input")
        self.insert.clicked.connect(lambda: self.insert_wanted.emit(self._message.id))
        self.go_on = Button(theme, tr("Continue"), icon="play", name=tr("Continue the transcript"))
        self.go_on.clicked.connect(lambda: self.go_on_wanted.emit(self._message.id))
        self.notices = Label(scale="hint", tone="warn", wrap=True)
        self.error = ErrorPanel(theme, dismissable=False)
        self.stats = StatsLine(theme)
        self._build()
        self._show()

    def _build(self) -> None:
        header = QHBoxLayout()
        header.setContentsMargins(PADDING, 0, 10, 0)
        header.setSpacing(8)
        header.addWidget(IconLabel(self._theme, "file-audio"))
        header.addWidget(self.name)
        header.addWidget(self.title)
        header.addStretch(1)
        header.addWidget(self.copy)
        header.addWidget(self.export)
        self.name.setMinimumWidth(1)
        self.title.setMinimumWidth(1)
        head = QWidget()
        head.setFixedHeight(HEADER)
        head.setLayout(header)
        listening = QHBoxLayout()
        listening.setSpacing(10)
        listening.addWidget(self.play)
        listening.addWidget(self.waveform, 1)
        listening.addWidget(self.time)
        sound = QVBoxLayout()
        sound.setContentsMargins(PADDING, 6, PADDING, 6)
        sound.setSpacing(4)
        sound.addLayout(listening)
        sound.addWidget(self.trouble)
        self.sound = QWidget()
        self.sound.setLayout(sound)
        body = QVBoxLayout()
        body.setContentsMargins(PADDING, 10, PADDING, 10)
        body.setSpacing(4)
        body.addWidget(self.lines)
        self._more_row = QHBoxLayout()
        self._more_row.addWidget(self.more)
        self._more_row.addStretch(1)
        body.addLayout(self._more_row)
        body.addWidget(self.last_lines)
        self.body = QWidget()
        self.body.setLayout(body)
        doing = QHBoxLayout()
        doing.setSpacing(10)
        doing.addWidget(self.clause)
        doing.addWidget(self.remark, 1)
        doing.addWidget(self.stop)
        running = QVBoxLayout()
        running.setContentsMargins(PADDING, 8, PADDING, 10)
        running.setSpacing(6)
        running.addLayout(doing)
        running.addWidget(self.bar)
        self.running = QWidget()
        self.running.setLayout(running)
        acts = QHBoxLayout()
        acts.setContentsMargins(PADDING, 8, PADDING, 8)
        acts.setSpacing(8)
        acts.addWidget(self.go_on)
        acts.addWidget(self.ask)
        acts.addWidget(self.insert)
        acts.addStretch(1)
        self.acts = QWidget()
        self.acts.setLayout(acts)
        inside = QVBoxLayout(self.panel)
        inside.setContentsMargins(1, 1, 1, 1)
        inside.setSpacing(0)
        self._rules = (rule(), rule(), rule())
        parts = (head, self._rules[2], self.sound, self._rules[0], self.body, self._rules[1], self.running, self.acts)
        for part in parts:
            inside.addWidget(part)
        column = QVBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for below in (self.panel, self.notices, self.error, self.stats):
            column.addWidget(below)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GAP)
        row.addWidget(self._face, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(column, 1)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(10)
        self._layout.addWidget(self.file, 0, Qt.AlignmentFlag.AlignTrailing)
        self._layout.addLayout(row)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def _block(self, name: str) -> TranscriptLines:
        block = TranscriptLines(self._theme, name)
        block.play_wanted.connect(self._play_line)
        block.pause_wanted.connect(self.toggle_playing)
        return block

    def _play_line(self, number: int) -> None:
        self.play_wanted.emit(self._message.id, self._transcript.lines[number].start_ms)

    def toggle_playing(self) -> None:
        """Where its recording is known."""
        if self._facts.sound is None:
            return
        if self._facts.sound.playing:
            self.pause_wanted.emit(self._message.id)
        else:
            self.play_wanted.emit(self._message.id, None)

    @property
    def message(self) -> Message:
        return self._message

    @property
    def transcript(self) -> Transcript:
        return self._transcript

    def show_message(self, message: Message, facts: TranscriptFacts) -> None:
        if message.text != self._message.text:
            self._transcript = read(message.text)
        self._message, self._facts = message, facts
        self._show()

    def fit(self, column: int, *, narrow: bool) -> None:
        self._width = max(80, column - FACE - GAP - 2 * PADDING - 2)
        self.stats.set_narrow(narrow)
        self.insert.setVisible(not narrow or self._width > 400)
        self._fit_lines()

    def settle(self) -> None:
        for widget in (self.body, self.panel):
            layout = widget.layout()
            if layout is not None:
                layout.activate()
        self._layout.activate()

    def retheme(self) -> None:
        for block in (self.lines, self.last_lines):
            block.retheme()
        self._show_lines()
        self.panel.update()

    def anchors(self) -> tuple[QWidget, ...]:
        return tuple(w for w in (self.file, self.panel, self.last_lines, self.stats) if w.isVisibleTo(self))

    def blocks(self) -> tuple[QWidget, ...]:
        """What Enter walks."""
        sound, texts = (self.play, self.waveform), (self.lines, self.more, self.last_lines)
        acts = (self.copy, self.export, self.stop, self.go_on, self.ask, self.insert)
        stops: tuple[QWidget, ...] = (*sound, *texts, *acts)
        return tuple(stop for stop in stops if stop.isVisible() and stop.isEnabled())

    def _show(self) -> None:
        message, facts, transcript = self._message, self._facts, self._transcript
        running = message.status == "streaming"
        self.file.show_file(transcript.file, size(transcript.size_bytes))
        self.name.setText(transcript.file)
        self.title.setText(facts.title)
        self.copy.value = paragraphs(transcript)
        for button in (self.copy, self.export):
            button.setEnabled(bool(transcript.lines))
        self._show_lines()
        self.show_sound(facts.sound)
        self.running.setVisible(running)
        can_go_on = message.status in ("failed", "stopped") and not transcript.whole and bool(transcript.path)
        self.go_on.setVisible(can_go_on)
        for about in (self.ask, self.insert):
            about.setEnabled(bool(transcript.lines))
        self.acts.setVisible(not running and (can_go_on or bool(transcript.lines)))
        self._rules[0].setVisible(bool(transcript.lines))
        self._rules[1].setVisible(running or bool(transcript.lines))
        if facts.course is not None:
            self._show_course(facts.course)
        notices = [*map(hand_over, transcript.handed_over), *map(told, transcript.notices)]
        self.notices.setText(" ".join(notices))
        self.notices.setVisible(bool(notices))
        if message.error is None or running:
            self.error.clear()
        elif not self.error.isVisibleTo(self):
            self.error.show_error(message.error, facts.answer.remedies)
        self._face.show_facts(facts.answer)
        self.stats.show_facts(facts.answer.who, facts.answer.words, local=facts.answer.local)
        self.stats.set_acts(copyable=False, regenerable=False)
        name = trn(
            "Transcript of {file}, %n line",
            "Transcript of {file}, %n lines",
            len(transcript.lines),
            file=transcript.file,
        )
        if not running and self.accessibleName() != name:
            self.setAccessibleName(name)

    def show_sound(self, sound: Sound | None) -> None:
        self._facts = replace(self._facts, sound=sound)
        self.sound.setVisible(sound is not None)
        self._rules[2].setVisible(sound is not None)
        for block in (self.lines, self.last_lines):
            block.playable = sound is not None
        if sound is None:
            return
        lines, position = self._transcript.lines, sound.position_ms
        act = tr("Pause") if sound.playing else tr("Play")
        if act != self.play.accessibleName():
            self.play.set_icon("pause" if sound.playing else "play")
            self.play.setAccessibleName(act)
            self.play.setToolTip(act)
        length = max(self._facts.length_ms, self._transcript.heard_ms, len(sound.peaks) * PEAK_MS)
        self.waveform.show_sound(sound.peaks, length, position or 0, self._transcript.heard_ms)
        self.time.setText(clock(position or 0) if position is not None else clock(length))
        self.trouble.setText(sound.trouble)
        self.trouble.setVisible(bool(sound.trouble))
        playing = line_at_time(lines, position) if position is not None else -1
        for block in (self.lines, self.last_lines):
            block.show_playing(playing)

    def _show_course(self, course: Course) -> None:
        self.clause.setText(course.clause)
        self.remark.setText(course.remark)
        self.bar.setRange(0, 1000 if course.fraction is not None else 0)
        if course.fraction is not None:
            self.bar.setValue(round(1000 * course.fraction))

    def _show_lines(self) -> None:
        lines = self._transcript.lines
        folded = not self._open and len(lines) > FOLDED
        hidden = len(lines) - FIRST - LAST if folded else 0
        column = time_column(self._theme, lines)
        first = lines[:FIRST] if folded else lines[:UNFOLDED]
        self.lines.show_lines(first, 0, column)
        last = lines[-LAST:] if folded else ()
        self.last_lines.show_lines(last, len(lines) - len(last), column)
        if folded:
            self.more.setText(trn("Show %n more line", "Show %n more lines", hidden))
            self.more.setAccessibleName(self.more.text())
        elif len(lines) > UNFOLDED:
            self.more.setText(trn("Open the %n line", "Open all %n lines", len(lines)))
        self._more_row.setContentsMargins(column + CELL - 3, 0, 0, 0)  # where the lines' texts begin
        self.more.setVisible(folded or len(lines) > UNFOLDED)
        self.last_lines.setVisible(folded)
        self.body.setVisible(bool(lines))
        self._fit_lines()

    def _fit_lines(self) -> None:
        if self._width:
            for block in (self.lines, self.last_lines):
                block.fit(self._width)

    def _unfold(self) -> None:
        if len(self._transcript.lines) > UNFOLDED:
            whole = export(self._transcript, Form.TIMES)
            open_long_text(self._theme, tr("Transcript of {file}", file=self._transcript.file), whole, self.window())
            return
        self.unfolding.emit()
        self._open = True
        self._show_lines()

    def _open_exports(self) -> None:
        menu = Menu(self)
        for form in Form:
            name, ending = form.value
            menu.addAction(f"{tr(name)}\t{ending}", partial(self._want_export, form))
        menu.open_below(self.export)

    def _want_export(self, form: Form) -> None:
        self.export_wanted.emit(self._message.id, form)


class Panel(QFrame):
    """A border around the transcript."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(self._theme.colour("border"), 1))
        painter.setBrush(self._theme.colour("surface"))
        painter.drawRoundedRect(box, RADIUS, RADIUS)
        painter.end()


class FileChip(QFrame):
    """The file that was given, at the end of the line as an own message is."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.name = Label(weight=500)
        self.info = Label(scale="hint", tone="text3")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 0, 10, 0)
        layout.setSpacing(8)
        layout.addWidget(IconLabel(theme, "file-audio"))
        layout.addWidget(self.name)
        layout.addWidget(self.info)
        self.setFixedHeight(34)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def show_file(self, name: str, info: str) -> None:
        self.name.setText(name)
        self.info.setText(info)
        self.setAccessibleName(tr("File {name}, {info}", name=name, info=info))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.colour("border"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        painter.end()
