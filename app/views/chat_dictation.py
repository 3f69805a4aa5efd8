"""Talking in the composer: what the gesture starts and ends, what of it is shown, and what helps where it fails."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QWidget

from app import languages
from app.announcements import announce
from app.audio.microphone import Trouble
from app.core_words import told
from app.i18n import tr
from app.presenters.chat import ChatPresenter
from app.presenters.dictation_words import Phase, settings_page, words
from app.presenters.speech import LICENCE, NO_MODEL, SUGGESTED_TITLE, nobody_listens, suggested_model
from app.widgets.chat.composer import Composer
from app.widgets.chat.hold_to_talk import Gesture
from app.widgets.error_panel import Act, ErrorPanel
from app.words import size
from qvac_core.core.state import ErrorInfo

TALK_KEYS = QKeySequence("Ctrl+Shift+Space")
HELD = (Qt.Key.Key_Space, Qt.Key.Key_Control, Qt.Key.Key_Shift, Qt.Key.Key_Meta)


class DictationView(QObject):
    """`offer_refused`: an error, or the offer of a model, was put away.

    `page`: while it is in sight the talk key counts, whatever in its window has the focus.
    """

    offer_refused = Signal()

    def __init__(self, presenter: ChatPresenter, composer: Composer, error: ErrorPanel, page: QWidget) -> None:
        super().__init__(page)
        self._presenter = presenter
        self._dictation = presenter.dictation
        self._composer = composer
        self._error = error
        self._page = page
        self.written_elsewhere = False  # in the same message, while somebody talked here
        talk = composer.talk
        talk.began.connect(self._begin)
        talk.locked.connect(self._show)
        talk.finished.connect(self._dictation.finish)
        composer.discard_voice.connect(self._discard)
        composer.voice.language_chosen.connect(self._dictation.choose_language)
        self._dictation.changed.connect(self._show)
        self._dictation.words_changed.connect(self._show_words)
        self._dictation.level_changed.connect(self._show_level)
        self._dictation.failed.connect(self._fail)
        self._dictation.finished.connect(self._insert)
        error.dismissed.connect(self.offer_refused)
        shortcut = QShortcut(TALK_KEYS, page)
        shortcut.setAutoRepeat(False)
        shortcut.activated.connect(self._press_key)

    def _press_key(self) -> None:
        self._composer.talk.press()
        application = QApplication.instance()
        if application is not None and self._composer.talk.state is Gesture.HOLDING:
            application.installEventFilter(self)  # wherever the focus goes, until the keys are let go

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """QShortcut knows presses only."""
        kind = event.type()
        if kind == QEvent.Type.KeyRelease and isinstance(event, QKeyEvent):
            if not event.isAutoRepeat() and event.key() in HELD:  # whichever of them goes first
                self._stop_watching()
                self._composer.talk.let_go()
        elif kind == QEvent.Type.WindowDeactivate and watched is self._page.window():
            self._stop_watching()  # no release comes any more
            self._composer.talk.finish()
        return False

    def _stop_watching(self) -> None:
        application = QApplication.instance()
        if application is not None:
            application.removeEventFilter(self)

    # --- Acts

    def _begin(self) -> None:
        presenter = self._presenter
        if self._dictation.running:  # the last words of the one before are still being written
            self._composer.talk.reset()
            if not self._mine:
                self._composer.mic.show_state()
                title = tr("The microphone is in use in another window.")
                self._error.show_error(ErrorInfo("BUSY", 0, title, tr("Stop it there first.")), [])
            return
        listener = presenter.speech.listener(presenter.target)
        if listener is None:
            self._composer.talk.reset()
            self._composer.mic.show_state()
            self.offer_model()
            return
        self._error.clear()
        provider = presenter.provider(listener.where)
        voice = self._composer.voice
        voice.show_listener(provider.name if provider is not None else "", local=not listener.where)
        voice.show_languages(languages.choices(listener.languages), self._dictation.language)
        voice.show_seconds(0.0)
        self._composer.show_talking(True)
        self.written_elsewhere = False
        self._dictation.owner = self
        self._dictation.start(listener)

    def offer_model(self) -> None:
        """Nobody understands speech: a model to get, with its size and licence."""
        presenter = self._presenter
        error = nobody_listens(presenter.speech.choices, presenter.target)
        model = suggested_model()
        title = SUGGESTED_TITLE
        get = Act(
            tr("Get {title}, {size}", title=title, size=size(model.size_bytes)),
            lambda: self._get(model.name, title, model.size_bytes),
            "primary",
            "download",
        )
        advice = tr(
            "{message} {title} understands some hundred languages on this machine ({licence}).",
            message=told(error.message),
            title=title,
            licence=LICENCE,
        ).strip()
        self._error.show_error(ErrorInfo(NO_MODEL, 0, error.title, advice), [get])

    def _get(self, name: str, title: str, octets: int) -> None:
        self._error.clear()
        self._presenter.download_model(name, title, octets)

    @property
    def _mine(self) -> bool:
        """Whether what the microphone hears is for this window."""
        return self._dictation.owner in (None, self)

    def leave(self) -> None:
        """The window closes: what was understood so far is written."""
        if self._composer.talking:
            text = self._dictation.settled + self._dictation.unsettled
            self._dictation.discard()
            self._insert(text)
        if self._mine:
            self._dictation.owner = None

    def _discard(self) -> None:
        self._dictation.discard()
        self._insert("")

    # --- What is shown

    def _show(self) -> None:
        if not self._mine:
            return
        phase = self._dictation.phase
        locked = self._composer.talk.state is Gesture.LOCKED
        sentence, tone = words(phase, locked=locked)
        voice = self._composer.voice
        if voice.words.text() != sentence and phase is not Phase.IDLE:
            announce(self._composer, tr("Listening.") if phase is Phase.LISTENING else sentence)
        voice.show_words(sentence, tone)
        voice.language.setEnabled(phase is not Phase.FINISHING)
        self._composer.mic.show_state()

    def _show_words(self) -> None:
        if not self._mine:
            return
        self._composer.show_dictated(self._dictation.settled, self._dictation.unsettled)

    def _show_level(self, level: float) -> None:
        if not self._mine:
            return
        self._composer.voice.bars.add(level)
        self._composer.voice.show_seconds(self._dictation.seconds)

    def _insert(self, text: str) -> None:
        if not self._composer.talking:
            return
        composer, text = self._composer, text.strip()
        if self.written_elsewhere:
            self.written_elsewhere = False
            composer.insert_dictated("")
            composer.show_draft(self._presenter.draft)
            before = composer.text.toPlainText()
            composer.show_talking(False)
            composer.add_text(f"{'' if not text or not before or before[-1].isspace() else ' '}{text}")
        else:
            composer.insert_dictated(text)
            composer.show_talking(False)
        if text.strip():
            announce(self._composer, tr("Inserted: {text}", text=text.strip()))

    def _fail(self, error: ErrorInfo, trouble: Trouble | None) -> None:
        if not self._mine:
            return
        acts = []
        page = settings_page(trouble) if trouble is not None else ""
        if page:
            acts.append(Act(tr("Open the system's settings"), lambda: _open(page), "primary"))
        if error.name == NO_MODEL:
            self.offer_model()
            return
        self._error.show_error(error, acts)


def _open(address: str) -> None:
    QDesktopServices.openUrl(QUrl(address))
