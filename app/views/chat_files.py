"""Files given to a conversation, by dropping, pasting or choosing, and what can be done with a transcript of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QMimeData, QObject, QRectF, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFileDialog, QWidget

from app.announcements import announce
from app.i18n import later, tr
from app.presenters.chat import ChatPresenter
from app.presenters.chat_words import stats_words
from app.theme import Theme
from app.views.chat_dictation import DictationView
from app.widgets.chat.composer import Composer
from app.widgets.chat.message_list import MessageList
from qvac_core.core.state import Message, Target
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    from app import transcript_words
    from app.widgets.chat import answer_row, transcript_row
    from qvac_core.core import transcript as kept_transcript
else:
    transcript_words, kept_transcript = Lazy("app.transcript_words"), Lazy("qvac_core.core.transcript")
    answer_row, transcript_row = Lazy("app.widgets.chat.answer_row"), Lazy("app.widgets.chat.transcript_row")

RADIUS = 12
INVITATION = later("Drop it here. Sound and video become text; pictures and text files go with your message.")


class FilesView(QObject):
    def __init__(
        self,
        presenter: ChatPresenter,
        theme: Theme,
        messages: MessageList,
        composer: Composer,
        dictation: DictationView,
        page: QWidget,
    ) -> None:
        super().__init__(page)
        self._presenter = presenter
        self._messages = messages
        self._composer = composer
        self._page = page
        self.target = DropTarget(theme, page)
        page.setAcceptDrops(True)
        page.installEventFilter(self)
        composer.files_given.connect(presenter.attach)
        composer.clip.clicked.connect(self.choose)
        presenter.text_attached.connect(self._attach_text)
        presenter.listener_wanted.connect(dictation.offer_model)
        dictation.offer_refused.connect(presenter.forget_unheard)
        presenter.transcripts.progressed.connect(self._show_progress)
        presenter.transcripts.exported.connect(self._tell_exported)
        messages.transcript_made.connect(self._connect)
        presenter.recordings.changed.connect(self._show_sound)
        composer.text.picture.connect(presenter.attach_image)
        composer.attached.removed.connect(presenter.remove_picture)
        composer.attached.switch_wanted.connect(self._use_seeing)
        for signal in (presenter.pictures_changed, presenter.opened, presenter.target_changed):
            signal.connect(self._show_pictures)
        for changed in (presenter.speech.changed, presenter.target_changed, presenter.opened):
            changed.connect(self._show_told)

    # --- Giving

    def told_before(self) -> str:
        """Where a recording goes as soon as it is given, "" where it stays on this machine."""
        listener = self._presenter.speech.listener(self._presenter.target)
        if listener is None or not listener.where:
            return ""
        who = self._presenter.target_name(Target(listener.where, listener.name))
        return tr("Recordings go to {who} at once, to be transcribed there.", who=who)

    def _show_told(self) -> None:
        clip, told = self._composer.clip, self.told_before()
        clip.setToolTip("\n".join(part for part in (clip.accessibleName(), told) if part))
        clip.setAccessibleDescription(told)

    def choose(self) -> None:
        told = self.told_before()
        title = tr("Add files. {told}", told=told) if told else tr("Add files")
        dialog = QFileDialog(self._page.window(), title, str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(lambda names: self._presenter.attach([Path(name) for name in names]))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        match event.type():
            case QEvent.Type.DragEnter if isinstance(event, QDragEnterEvent) and local_files(event.mimeData()):
                event.acceptProposedAction()
                self.target.open(self.told_before())
                return True
            case QEvent.Type.DragLeave:
                self.target.hide()
            case QEvent.Type.Drop if isinstance(event, QDropEvent):
                self.target.hide()
                event.acceptProposedAction()
                self._presenter.attach(local_files(event.mimeData()))
                return True
        return False

    def _attach_text(self, text: str) -> None:
        self._composer.pasted.add(text)
        self._composer.text.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_pictures(self) -> None:
        presenter, attached = self._presenter, self._composer.attached
        attached.show_pictures([(picture.path.name, picture.size_bytes) for picture in presenter.pictures])
        if not presenter.pictures:
            return
        directory, target = presenter.directory, presenter.target
        if directory.sees(target):
            attached.show_blind("", "")
            return
        other = directory.seeing_target(target)
        name = presenter.model_name(target) or tr("The model")
        attached.show_blind(
            tr("{name} cannot read pictures. Only your text is answered.", name=name),
            tr("Use {name}", name=presenter.model_name(other)) if other is not None else "",
        )

    def _use_seeing(self) -> None:
        other = self._presenter.directory.seeing_target(self._presenter.target)
        if other is not None:
            self._presenter.set_target(other)

    # --- Transcripts

    def describe(self, message: Message) -> transcript_row.TranscriptFacts:
        presenter = self._presenter
        transcript = kept_transcript.read(message.text)
        speaker = presenter.speaker(message)
        words = list(stats_words(message.stats)) if message.stats is not None else []
        if message.stats is not None and message.stats.model:
            words = [*([message.stats.path] if message.stats.path else []), message.stats.model]
        words.append(transcript_words.ending(message, transcript))
        answer = answer_row.AnswerFacts(
            speaker.name, speaker.public_key, speaker.local, words=tuple(word for word in words if word)
        )
        running = message.status == "streaming"
        progress = presenter.transcripts.progress(message.id)
        return transcript_row.TranscriptFacts(
            answer,
            transcript_words.facts(transcript, progress),
            presenter.transcripts.course(message.id) if running else None,
            presenter.recordings.sound(message.id, transcript),
            progress.total_ms if progress is not None else transcript.audio_ms,
        )

    def _connect(self, row: transcript_row.TranscriptRow) -> None:
        row.stop_wanted.connect(self._stop)
        row.go_on_wanted.connect(self._go_on)
        recordings = self._presenter.recordings
        row.play_wanted.connect(lambda id, at: recordings.play(id, row.transcript, at))
        row.pause_wanted.connect(lambda _id: recordings.pause())
        row.looked_at.connect(lambda _id: recordings.show(row.transcript))
        row.export_wanted.connect(lambda _id, form: self._export(row, form))
        row.ask_wanted.connect(lambda _id: self._ask_about(row))
        row.insert_wanted.connect(lambda _id: self._insert(row))

    def _tell_exported(self, name: str) -> None:
        if self.asked:
            announce(self._page, tr("{name} was written.", name=name))

    def _show_progress(self, message_id: str) -> None:
        for message in self._presenter.messages:
            if message.id == message_id:
                self._messages.change(message)

    def _show_sound(self, message_id: str) -> None:
        for row in self._messages.rows:
            if isinstance(row, transcript_row.TranscriptRow) and message_id in ("", row.message.id):
                row.show_sound(self._presenter.recordings.sound(row.message.id, row.transcript))

    @property
    def asked(self) -> bool:
        """Whether this view stopped or exported a transcript last; another window may have."""
        return self._presenter.transcripts.owner in (None, self)

    def _stop(self, message_id: str) -> None:
        self._presenter.transcripts.owner = self
        self._presenter.transcripts.stop(message_id)

    def _go_on(self, message_id: str) -> None:
        presenter = self._presenter
        presenter.transcripts.owner = self
        if presenter.conversation is not None:
            presenter.transcripts.go_on(presenter.conversation.id, message_id)

    def _export(self, row: transcript_row.TranscriptRow, form: transcript_words.Form) -> None:
        self._presenter.transcripts.owner = self
        transcript = row.transcript
        name = transcript_words.file_name(transcript, form)
        dialog = QFileDialog(self._page.window(), tr("Export: {form}", form=tr(form.value[0])), str(Path.home() / name))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(form.value[1])
        dialog.fileSelected.connect(
            lambda chosen: self._presenter.transcripts.export(row.transcript, form, Path(chosen))
        )
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _ask_about(self, row: transcript_row.TranscriptRow) -> None:
        self._attach_text(transcript_words.for_the_model(row.transcript))

    def _insert(self, row: transcript_row.TranscriptRow) -> None:
        before = self._composer.text.toPlainText()
        gap = "" if not before or before.endswith("\n") else "\n\n"
        self._composer.add_text(f"{gap}{transcript_words.paragraphs(row.transcript)}")


class DropTarget(QWidget):
    """Over the conversation while something is dragged across it."""

    def __init__(self, theme: Theme, page: QWidget) -> None:
        super().__init__(page)
        self._page = page
        self._theme = theme
        self.told = ""
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def open(self, told: str = "") -> None:
        """told: where recordings go."""
        self.told = told
        self.setGeometry(self._page.rect())
        self.raise_()
        self.show()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        veil = self._theme.colour("surface")
        veil.setAlpha(225)
        painter.fillRect(self.rect(), veil)
        box = QRectF(self.rect()).adjusted(16, 16, -16, -16)
        painter.setPen(QPen(self._theme.colour("accent"), 2, Qt.PenStyle.DashLine))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(box, RADIUS, RADIUS)
        painter.setFont(self._theme.font("state", 600))
        painter.setPen(self._theme.colour("text"))
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        said = "\n".join(part for part in (tr(INVITATION), self.told) if part)
        painter.drawText(box.adjusted(24, 24, -24, -24), int(flags), said)
        painter.end()


def local_files(data: QMimeData) -> Sequence[Path]:
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
