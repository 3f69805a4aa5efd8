"""What is on its way: a row for each download, which stays in its place until a while after it is done."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from app import words
from app.i18n import listed, tr
from app.presenters import library_rows as rows
from app.presenters.library import LibraryPresenter
from app.theme import Theme
from app.views.share_dialogs import confirm
from app.widgets.badge import Badge
from app.widgets.button import Button
from app.widgets.card import CARD_FOOT, Card, rule
from app.widgets.elided_label import ElidedLabel
from app.widgets.error_panel import Act, ErrorPanel
from app.widgets.focus import came_by_keyboard
from app.widgets.label import Label, restyle
from qvac_core.core.library_state import DownloadChanged, DownloadState, SourceKind
from qvac_core.core.state import ErrorInfo

ASKS_ABOVE = 100_000_000  # bytes that came: to throw them away is asked about
STEPS = 1000


class DownloadRow(QWidget):
    """One download: title and amount, the bar, what it does with its acts; in trouble, the cause and what helps."""

    free_up_wanted = Signal()
    folder_wanted = Signal()

    def __init__(self, presenter: LibraryPresenter, theme: Theme, row: DownloadChanged) -> None:
        super().__init__()
        self._presenter, self._theme = presenter, theme
        self.row = row
        self.title = ElidedLabel(weight=500)
        self.amount = Label(scale="hint", tone="text3")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.state = ElidedLabel(scale="hint", tone="text3")
        self.pause = Button(theme, kind="flat", icon="pause", size="small")
        self.resume = Button(theme, tr("Resume"), icon="play", size="small")
        self.cancel = Button(theme, kind="flat", icon="x", size="small")
        self.error = ErrorPanel(theme, dismissable=False, compact=True)
        self._told: object = None
        top, bottom = QHBoxLayout(), QHBoxLayout()
        for line in (top, bottom):
            line.setSpacing(4)
        top.addWidget(self.title)
        top.addStretch(1)
        top.addWidget(self.amount)
        bottom.addWidget(self.state)
        bottom.addStretch(1)
        for button in (self.pause, self.resume, self.cancel):
            bottom.addWidget(button)
        self._bottom = QWidget()
        self._bottom.setLayout(bottom)
        bottom.setContentsMargins(0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(15, 8, 15, 8)
        layout.setSpacing(5)
        layout.addLayout(top)
        layout.addWidget(self.bar)
        layout.addWidget(self._bottom)
        layout.addWidget(self.error)
        self.pause.clicked.connect(lambda: presenter.pause(self.row.model))
        self.resume.clicked.connect(lambda: presenter.resume(self.row.model))
        self.cancel.clicked.connect(self.ask_to_cancel)
        self.show_row(row)

    def show_row(self, row: DownloadChanged) -> None:
        self.row = row
        title, amount, said = rows.download_title(row), rows.download_amount(row), rows.download_state(row)
        self.title.setText(title)
        self.amount.setText(amount)
        self.state.setText(said)
        self._show_bar(row, title, said)
        state = row.state
        by_keyboard = came_by_keyboard()
        for button, shown, name in (
            (self.pause, state in (DownloadState.RUNNING, DownloadState.QUEUED), tr("Pause {model}", model=title)),
            (self.resume, state is DownloadState.PAUSED, tr("Resume {model}", model=title)),
            (self.cancel, state is not DownloadState.DONE, tr("Cancel the download of {model}", model=title)),
        ):
            button.setAccessibleName(name)
            if button is not self.resume:
                button.setToolTip(name)
            if not shown and button.hasFocus():  # its counterpart takes over, else the way out
                other = {self.pause: self.resume, self.resume: self.pause}.get(button, self.cancel)
                other.show()
                other.setFocus()
                if by_keyboard:
                    other.setProperty("keyboardFocus", "true")
                    restyle(other)
            button.setVisible(shown)
        self._show_error(row)
        self.setAccessibleName(listed((title, amount, said)))

    def _show_bar(self, row: DownloadChanged, title: str, said: str) -> None:
        if row.total <= 0 and row.moves:
            self.bar.setRange(0, 0)
        else:
            self.bar.setRange(0, STEPS)
            done = 1.0 if row.state in (DownloadState.DONE, DownloadState.CHECKING) else rows.fraction(row)
            self.bar.setValue(round(STEPS * done))
        self.bar.setAccessibleName(tr("Download of {model}", model=title))
        self.bar.setAccessibleDescription(said)
        still = "false" if row.moves or row.done else "true"
        if self.bar.property("still") != still:
            self.bar.setProperty("still", still)
            restyle(self.bar)

    def _show_error(self, row: DownloadChanged) -> None:
        failed = row.state is DownloadState.FAILED and row.error is not None
        self._bottom.setVisible(not failed)
        if not failed or row.error is None:
            self._told = None
            self.error.clear()
            return
        freed = _freed(self._presenter, row.needed_bytes)
        told = (row.error, row.needed_bytes, freed, self._presenter.sources_of(row.model))
        if told != self._told:
            self._told = told
            self.error.show_error(self._words(row, row.error), *self._remedies(row))

    def _words(self, row: DownloadChanged, error: ErrorInfo) -> ErrorInfo:
        if row.needed_bytes > 0:
            title = tr("The disk is full: {size} more are needed.", size=words.size(row.needed_bytes))
            return ErrorInfo(error.name, error.code, title, tr("What has arrived is kept."))
        return error

    def _remedies(self, row: DownloadChanged) -> tuple[list[Act], list[Act]]:
        """The buttons, and the acts of the menu behind them."""
        presenter = self._presenter
        again, remove = partial(presenter.resume, row.model), Act(tr("Remove"), self.ask_to_cancel)
        if row.needed_bytes > 0:
            freed = _freed(presenter, row.needed_bytes)
            free = Act(tr("Free up {size}…", size=words.size(freed)), self.free_up_wanted.emit, "primary")
            other = Act(tr("Other folder…"), self.folder_wanted.emit)
            return ([free, other] if freed else [other]), [Act(tr("Try again"), again), remove]
        said = tr("Get it again") if row.downloaded == 0 else tr("Try again")
        acts = [Act(said, again, "primary", "rotate-ccw")]
        sources = presenter.sources_of(row.model)
        beside = next((s for s in sources if s.kind is SourceKind.NEIGHBOUR and s.name != row.source), None)
        if beside is not None:
            acts.append(Act(tr("From {name}", name=beside.name), partial(presenter.resume, row.model, beside.id)))
        return acts, [remove]

    def ask_to_cancel(self) -> None:
        row, presenter = self.row, self._presenter
        if row.downloaded <= ASKS_ABOVE:
            presenter.cancel(row.model)
            return
        title = rows.download_title(row)
        sentence = tr("{size} of it have arrived and would be thrown away.", size=words.size(row.downloaded))
        question = tr("Cancel the download of {model}?", model=title)
        dialog = confirm(
            self._theme,
            question,
            sentence,
            tr("Throw away"),
            lambda: presenter.cancel(row.model),
            self.window(),
        )
        dialog.cancel.setText(tr("Keep it"))
        dialog.cancel.setAccessibleName(tr("Keep it"))


def _freed(presenter: LibraryPresenter, needed: int) -> int:
    """What the longest unused models free, until it is enough."""
    freed = 0
    for model in sorted((model for model in presenter.models if model.ours), key=lambda model: model.last_used or 0.0):
        if freed >= needed:
            break
        freed += model.size_bytes
    return freed


class DownloadsCard(Card):
    """Hidden by the page while there is nothing to show."""

    free_up_wanted = Signal()
    folder_wanted = Signal()

    def __init__(self, presenter: LibraryPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("Downloads"), parent=parent)
        self._presenter, self._theme = presenter, theme
        self.rate = Badge()
        self.add_beside_title(self.rate)
        self.all = Button(theme, tr("Pause all"), icon="pause", size="small")
        self.add_act(self.all)
        self.all.clicked.connect(self._pause_or_resume_all)
        self.error = ErrorPanel(theme, compact=True)
        self._error_holder = self.add_padded(self.error, top=4, bottom=12)
        self._error_holder.hide()
        self.error.dismissed.connect(self._error_holder.hide)
        self.rows: dict[str, DownloadRow] = {}
        self._lines: dict[str, QWidget] = {}
        self._list = QVBoxLayout()
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(0)
        self.body.addLayout(self._list)
        self.body.addSpacing(CARD_FOOT)
        presenter.downloads_changed.connect(self.refresh)
        presenter.models_changed.connect(self.refresh)
        self.refresh()

    @property
    def empty(self) -> bool:
        return not self.rows and not self._error_holder.isVisibleTo(self)

    def refresh(self) -> None:
        presenter = self._presenter
        for model in [model for model in self.rows if model not in presenter.downloads]:
            self._remove(model)
        for model, row in presenter.downloads.items():
            if model in self.rows:
                self.rows[model].show_row(row)
            else:
                self._add(model, row)
        rate = presenter.rate
        self.rate.setVisible(rate > 0)
        self.rate.setText(tr("{rate}/s", rate=words.size(rate)))
        moving = presenter.any_moves
        text = tr("Pause all") if moving else tr("Resume all")
        self.all.setVisible(moving or presenter.any_paused)
        self.all.setText(text)
        self.all.setAccessibleName(tr("Pause all downloads") if moving else tr("Resume all downloads"))
        self.all.set_icon("pause" if moving else "play")

    def _add(self, model: str, row: DownloadChanged) -> None:
        line = rule()
        shown = DownloadRow(self._presenter, self._theme, row)
        shown.free_up_wanted.connect(self.free_up_wanted)
        shown.folder_wanted.connect(self.folder_wanted)
        self._list.addWidget(line)
        self._list.addWidget(shown)
        self._lines[model], self.rows[model] = line, shown

    def _remove(self, model: str) -> None:
        for widget in (self.rows.pop(model), self._lines.pop(model)):
            self._list.removeWidget(widget)
            widget.hide()
            widget.deleteLater()

    def _pause_or_resume_all(self) -> None:
        if self._presenter.any_moves:
            self._presenter.pause_all()
        else:
            self._presenter.resume_all()

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        self.error.show_error(error)

    def clear_error(self) -> None:
        self.error.clear()
        self._error_holder.hide()
