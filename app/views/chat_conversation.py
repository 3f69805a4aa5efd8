"""The conversation side of the Chat tab: bar, messages or the empty state, what went wrong, and the composer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLineEdit, QProgressBar, QStackedWidget, QVBoxLayout, QWidget

from app.i18n import tr
from app.presenters.chat import ChatPresenter
from app.presenters.chat_words import PATHS, line_words, stats_words, tokens
from app.theme import Theme
from app.views.chat_bar import ChatBar
from app.views.chat_dictation import DictationView
from app.views.chat_files import FilesView
from app.views.chat_missing import MissingBar, missing
from app.views.chat_reach import ReachBar
from app.views.chat_remedies import Remedies
from app.views.tool_menu import ToolMenu
from app.widgets.button import Button
from app.widgets.chat.composer import WIDEST, Composer
from app.widgets.chat.message_list import MessageList
from app.widgets.chat.question_box import QuestionBox, ask_to_open
from app.widgets.empty_state import EmptyState
from app.widgets.error_panel import Act, ErrorPanel
from app.widgets.focus import focus_was_lost
from app.widgets.label import Label
from app.widgets.notice_bar import NoticeBar
from qvac_core.core.state import DownloadChanged, ErrorInfo, Message, Stage, Target
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    from app.widgets.chat import answer_row
else:
    answer_row = Lazy("app.widgets.chat.answer_row")

COMPOSER_MARGIN = 16
WEB, MAIL = ("http", "https"), "mailto"


class Conversation(QWidget):
    provider_wanted = Signal(str)
    network_wanted = Signal()
    tools_wanted = Signal()  # where the servers of tools are set up
    comparison_wanted = Signal(str)  # a provider, with another one

    def __init__(self, presenter: ChatPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter = presenter
        self._theme = theme
        self._narrow = False
        self.question: QuestionBox | None = None
        self._remedies = Remedies(presenter, self.provider_wanted.emit, self.network_wanted.emit)
        self.bar = ChatBar(presenter, theme)
        self.messages = MessageList(theme, self.facts, lambda message: self.files.describe(message))
        self.empty = EmptyState(
            theme, "message-square", tr("Ask the first question"), "", hint=tr("Type below, or press Ctrl+N anywhere")
        )
        self.stack = QStackedWidget()
        self.stack.addWidget(self.messages)
        self.stack.addWidget(self.empty)
        self.error = ErrorPanel(theme)
        self.download = DownloadBar(theme)
        self.download.cancel.clicked.connect(presenter.cancel_download)
        self.reach = ReachBar(presenter, theme)
        self.missing = MissingBar(presenter, theme, self.provider_wanted.emit)
        self.composer = Composer(theme)
        self.dictation = DictationView(presenter, self.composer, self.error, self)
        self.tools = ToolMenu(presenter.tools, theme, self.composer, self.tools_wanted.emit)
        self.files = FilesView(presenter, theme, self.messages, self.composer, self.dictation, self)
        self._below = QVBoxLayout()
        self._below.setSpacing(8)
        self.told = NoticeBar(theme)
        for widget in (self.error, self.told, self.download, self.reach, self.missing, self.composer):
            self._below.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar)
        layout.addWidget(self.stack, 1)
        layout.addLayout(self._below)
        self._connect()
        self._show_target()

    def facts(self, message: Message) -> answer_row.AnswerFacts:
        speaker = self._presenter.speaker(message)
        return answer_row.AnswerFacts(
            who=speaker.name,
            public_key=speaker.public_key,
            local=speaker.local,
            words=self._words(message, local=speaker.local),
            waiting=self._waiting_words(message.id, local=speaker.local) if message.status == "streaming" else "",
            remedies=self._remedies.acts(message),
            doing=tr("nothing comes") if self._is_silent(speaker.public_key) else tr("answering…"),
            last=self._presenter.last_answer() is not None and self._presenter.messages[-1].id == message.id,
            languages=self._presenter.translations.languages(),
        )

    def set_narrow(self, narrow: bool) -> None:
        self._narrow = narrow
        self._place_composer()
        self.bar.set_narrow(narrow)
        self.messages.set_narrow(narrow)
        self.composer.set_narrow(narrow)

    def _connect(self) -> None:
        presenter = self._presenter
        presenter.opened.connect(self._show_messages)
        presenter.message_added.connect(self._add)
        presenter.message_changed.connect(self.messages.change)
        presenter.message_kept.connect(self.messages.rename)
        presenter.path_changed.connect(self._show_path)
        presenter.reveal_wanted.connect(self._reveal)
        presenter.conversations_changed.connect(lambda: self.messages.mark(presenter.search_text))
        presenter.answering_changed.connect(self._show_state)
        presenter.stage_changed.connect(self._show_stage)
        presenter.place_changed.connect(self._show_stage)
        presenter.failed.connect(self._show_failure)
        presenter.archive.failed.connect(self._show_failure)
        presenter.archive.told.connect(self.told.show_notice)
        presenter.transcripts.failed.connect(self._show_transcript_failure)
        presenter.download_changed.connect(self._show_download)
        for signal in (presenter.target_changed, presenter.providers_changed, presenter.models_changed):
            signal.connect(self._show_target)
        self.messages.link_activated.connect(self.open_link)
        self.messages.regenerate.connect(self._answer_again)
        self.messages.go_on.connect(presenter.continue_answer)
        self.messages.receipt_wanted.connect(self.show_receipt)
        self.messages.branch_wanted.connect(presenter.show_branch)
        self.messages.edited.connect(presenter.edit)
        self.messages.tool_decided.connect(presenter.tools.decide)
        self._connect_translations()
        self.composer.submitted.connect(self._send)
        self.composer.stop.connect(presenter.stop)
        self.composer.edited.connect(lambda: presenter.set_draft(self.composer.draft))
        presenter.draft_changed.connect(self._follow_draft)
        self.composer.recall.connect(self.messages.edit_last_question)

    def _connect_translations(self) -> None:
        translations, messages = self._presenter.translations, self.messages
        messages.translation_wanted.connect(
            lambda message_id, text, language: translations.start(
                message_id, text, language, self._presenter.target, self._presenter.settings.others
            )
        )
        messages.translation_stopped.connect(translations.stop)
        messages.translation_again.connect(translations.again)
        messages.translation_dismissed.connect(translations.dismiss)
        messages.quote_wanted.connect(self.composer.quote)
        translations.changed.connect(self._show_translation)
        translations.languages_changed.connect(self._show_languages)
        translations.languages_changed.connect(messages.refresh)

    def _show_translation(self, message_id: str) -> None:
        shown = self._presenter.translations.of(message_id)
        if shown is None:
            self.messages.drop_translation(message_id)
        else:
            self.messages.show_translation(
                message_id, shown.name, shown.text, running=shown.running, error=shown.error, seam=shown.seam
            )
        self._show_languages()

    def _show_languages(self) -> None:
        self.messages.languages = self._presenter.translations.languages()

    def focusNextPrevChild(self, next_: bool) -> bool:
        """After *Retry* and its like, whose button goes, a person writes on."""
        if focus_was_lost():
            self.composer.text.setFocus(Qt.FocusReason.OtherFocusReason)
            return True
        return super().focusNextPrevChild(next_)

    # --- Messages

    def _show_messages(self) -> None:
        self._show_languages()
        self.messages.show_messages(self._presenter.messages)
        for message in self._presenter.messages:
            if self._presenter.translations.of(message.id) is not None:
                self._show_translation(message.id)
        self._show_draft()
        self._show_state()
        # Opening takes its time: who types a name or a search by now must not go on in a message.
        if not isinstance(QApplication.focusWidget(), QLineEdit):
            self.composer.text.setFocus()

    def _show_path(self) -> None:
        self.messages.show_path(self._presenter.messages)
        self.messages.refresh()
        self._show_state()

    def _reveal(self, message_id: str) -> None:
        self.messages.mark(self._presenter.search_text)
        self.messages.reveal(message_id)

    def show_receipt(self, message_id: str) -> None:
        from app.views.receipts_dialog import ReceiptsDialog  # seldom needed, and not before the window is seen

        dialog = ReceiptsDialog(self._presenter.receipts_of(message_id), self._theme, self.window())
        dialog.comparison_wanted.connect(self.comparison_wanted)
        dialog.open()

    def _answer_again(self, message_id: str) -> None:
        last = self._presenter.last_answer()
        self._presenter.retry("" if last is not None and last.id == message_id else message_id)

    def _show_draft(self) -> None:
        self.composer.show_draft(self._presenter.draft, left=self._presenter.draft_was_left)

    def _follow_draft(self) -> None:
        """It was written in another window, or what waited was sent."""
        if self.composer.talking:
            self.dictation.written_elsewhere = True  # the words that are said come behind it
        else:
            self.composer.follow(self._presenter.draft, left=self._presenter.draft_was_left)

    def _add(self, message: Message) -> None:
        self.messages.add(message)
        self._show_state()

    def _send(self, text: str) -> None:
        if self._presenter.send(text):
            self.composer.clear()

    def open_link(self, address: str) -> None:
        """Only addresses of the web and of mail, and only after they were shown in full, look-alike letters encoded."""
        url = QUrl(address)
        scheme = url.scheme().lower()
        if scheme == MAIL:
            url = QUrl(f"{MAIL}:{url.path()}")  # without a query: some mail programs attach files that it names
        if (scheme in WEB and url.host()) or (scheme == MAIL and url.path()):
            shown = url.toString(QUrl.ComponentFormattingOption.FullyEncoded)
            self.question = ask_to_open(self._theme, shown, lambda: _open(url), self)

    def _words(self, message: Message, *, local: bool) -> tuple[str, ...]:
        if message.stats is not None:
            return stats_words(message.stats)
        return (tr(PATHS["local"]),) if local else ()

    def _show_stage(self, _event: object) -> None:
        answer = self._presenter.answering
        if answer is not None and answer_row.nothing_yet(answer):
            self.messages.change(answer)

    def _is_silent(self, public_key: str) -> bool:
        provider = self._presenter.provider(public_key)
        return provider is not None and provider.state == "silent"

    def _waiting_words(self, message_id: str, *, local: bool) -> str:
        """`local`: this machine answers, also where the conversation points elsewhere."""
        target = Target() if local else self._presenter.target
        if self._is_silent(target.provider_key):
            return tr("Nothing comes from {name}.", name=self._presenter.target_name(target))
        name = self._presenter.target_name(target)
        placed = self._presenter.places.get(message_id)
        if target.provider_key and placed is not None and placed.place:
            return line_words(name, placed)
        stage = self._presenter.stages.get(target.provider_key)
        provider = self._presenter.provider(target.provider_key)
        if provider is not None and provider.state == "waking":
            return tr("Waking {name}…", name=name)
        if not target.provider_key or stage is None:
            return tr("{name} is reading…", name=name)
        match stage.stage:
            case Stage.FINDING:
                return tr("Finding {name} on the network…", name=name)
            case Stage.CONNECTING | Stage.HANDSHAKE:
                return tr("Connecting to {name}…", name=name)
            case Stage.LOADING:
                return self._loading_words(name, self._presenter.model_name(target), stage.fraction)
        return tr("{name} is reading…", name=name)

    @staticmethod
    def _loading_words(name: str, model: str, fraction: float | None) -> str:
        if fraction is None:
            return tr("{name} loads {model}…", name=name, model=model or tr("the model"))
        percent = round(fraction * 100)
        return tr("{name} loads {model}, {percent}%…", name=name, model=model or tr("the model"), percent=percent)

    # --- State

    def _show_state(self) -> None:
        target = self._presenter.target
        answering = self._presenter.busy
        self.messages.set_busy(answering)
        # Before it is known what is kept nothing is called empty: the first start, or a conversation, may come.
        self.stack.setCurrentIndex(0 if self._presenter.messages or not self._presenter.chats.loaded else 1)
        provider = self._presenter.provider(target.provider_key)
        self.composer.show_state(
            name=self._presenter.target_name(target),
            local=not target.provider_key,
            answering=answering,
            keeps_contents=provider is not None and provider.keeps_contents,
        )
        self._show_room()

    def _show_room(self) -> None:
        answer = self._presenter.last_answer()
        stats = answer.stats if answer else None
        # Of an answer that did not come to its end the prompt was not counted, and it is the greater part.
        used = stats.prompt_tokens + stats.generated_tokens if stats and stats.prompt_tokens else 0
        of = self._presenter.directory.context_tokens(self._presenter.target)
        self.composer.show_room(used, f"{of // 1024}k" if of >= 1024 else "", tokens(used))

    def _show_target(self) -> None:
        target = self._presenter.target
        who, model = self._presenter.target_name(target), self._presenter.model_name(target)
        lacks = missing(target, self._presenter.models)
        will = (
            tr("{who} will answer, with {model}.", who=who, model=model) if model else tr("{who} will answer.", who=who)
        )
        self.empty.sentence.setText(lacks.clause if lacks is not None else will)
        self._show_state()
        self.messages.refresh()

    def _show_transcript_failure(self, error: ErrorInfo) -> None:
        if self.files.asked:
            self._show_failure(error)

    def _show_failure(self, error: ErrorInfo) -> None:
        self.error.show_error(error)

    def _show_download(self, download: DownloadChanged | None) -> None:
        running = download is not None and not download.done and download.error is None
        self.download.setVisible(running and not self._presenter.first_start)
        if download is None:
            return
        if download.error is not None:
            again = Act(tr("Try again"), self._presenter.download_again, "primary", "rotate-cw")
            self.error.show_error(download.error, [again])
        else:
            self.download.show_download(download)

    # --- Geometry

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_composer()

    def _place_composer(self) -> None:
        side = COMPOSER_MARGIN if self._narrow else max(COMPOSER_MARGIN, (self.width() - WIDEST) // 2)
        self._below.setContentsMargins(side, 4, side, 12)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colour("surface"))
        painter.end()


class DownloadBar(QWidget):
    """A model on its way to this machine, above the composer."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = Label(weight=600)
        self.words = Label(scale="hint", tone="text3")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        self.bar.setAccessibleName(tr("Download"))
        self.cancel = Button(theme, tr("Cancel"), kind="flat", name=tr("Cancel the download"))
        texts = QHBoxLayout()
        texts.setSpacing(8)
        texts.addWidget(self.title)
        texts.addWidget(self.words)
        texts.addStretch(1)
        texts.addWidget(self.cancel, 0, Qt.AlignmentFlag.AlignRight)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 4)
        layout.setSpacing(2)
        layout.addLayout(texts)
        layout.addWidget(self.bar)
        self.hide()

    def show_download(self, download: DownloadChanged) -> None:
        from app.views.chat_first_start import download_words  # not before something is fetched

        self.title.setText(tr("Downloading {model}", model=download.model))
        self.words.setText(download_words(download))
        self.bar.setValue(round(1000 * download.downloaded / download.total) if download.total else 0)


def _open(url: QUrl) -> None:
    QDesktopServices.openUrl(url)
