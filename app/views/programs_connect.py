"""What to paste into which program, with the model that it shall use, and a real call that shows whether it works."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QClipboard, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from app import words
from app.announcements import announce
from app.i18n import RIGHT_TO_LEFT_MARK, number, tr
from app.presenters.program_snippets import KINDS, holds_token, shortened, snippet
from app.presenters.programs import ProgramsPresenter
from app.theme import Theme
from app.views.programs_endpoint import SNIPPET
from app.widgets.button import Button
from app.widgets.card import PADDING, Card
from app.widgets.chat.code_block import CodeBlock
from app.widgets.combo import Combo
from app.widgets.error_panel import ErrorPanel
from app.widgets.segmented import Segmented
from app.widgets.status_line import StatusLine
from qvac_core.core.state import ErrorInfo
from qvac_core.endpoint.interface import THIS_MACHINE

COMBO_WIDTH = 244
NO_MODEL = f"{THIS_MACHINE}/MODEL"


class ConnectCard(Card):
    def __init__(self, presenter: ProgramsPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("Connect a program"), parent=parent)
        self._presenter, self._theme = presenter, theme
        self._narrow: bool | None = None
        self._tried_by_focus = False
        self.kinds = Segmented(tr("Connect a program"), [(kind, tr(name)) for kind, name in KINDS])
        self.kinds.show_choice("python")
        self.kind_combo = Combo(theme, tr("Connect a program"))
        for kind, name in KINDS:
            self.kind_combo.addItem(tr(name), kind)
        self.kind_combo.setCurrentIndex(1)
        self.title_row.insertWidget(1, self.kinds)
        self.title_row.insertWidget(2, self.kind_combo)
        self.block = CodeBlock(theme)
        self.copy = self.block.copy
        self.copy.clicked.disconnect()
        self.copy.setAccessibleName(tr("Copy this with the token"))
        self.add_padded(self.block, top=4, bottom=10)
        self.model = Combo(theme, tr("Model"))
        self.model.setSizeAdjustPolicy(Combo.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.model.setMinimumContentsLength(24)
        self.try_it = Button(theme, tr("Try it here"), icon="play")
        self.result = StatusLine(theme)
        self.result.hide()
        self.result.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout()
        row.setContentsMargins(PADDING - 1, 0, PADDING - 1, 14)
        row.setSpacing(10)
        row.addWidget(self.model)
        row.addWidget(self.try_it)
        row.addWidget(self.result, 1)
        row.addStretch(0)
        self.body.addLayout(row)
        self.error = ErrorPanel(theme)
        self._error_holder = self.add_padded(self.error, bottom=12)
        self._error_holder.hide()
        self._connect()
        self.set_narrow(False)
        self.refresh()
        self._show_models()

    def _connect(self) -> None:
        presenter = self._presenter
        self.kinds.chosen.connect(self.show_kind)
        self.kind_combo.activated.connect(lambda _index: self.show_kind(self.kind_combo.currentData()))
        self.copy.clicked.connect(self._copy)
        self.model.currentIndexChanged.connect(lambda _index: self._show_snippet())
        self.try_it.clicked.connect(lambda: presenter.try_model(self.model.currentData() or ""))
        self.error.dismissed.connect(self._error_holder.hide)
        presenter.changed.connect(self.refresh)
        presenter.models_changed.connect(self._show_models)
        presenter.tried_changed.connect(self._show_tried)
        presenter.copied.connect(self._copied)
        self._theme.changed.connect(self.block.retheme)

    @property
    def kind(self) -> str:
        return self.kinds.choice

    def set_narrow(self, narrow: bool) -> None:
        """The row of kinds needs its width; where there is none it is a list."""
        if narrow != self._narrow:
            self._narrow = narrow
            self.kinds.setVisible(not narrow)
            self.kind_combo.setVisible(narrow)
            self.model.setMinimumWidth(0 if narrow else round(COMBO_WIDTH * self._theme.breadth))

    def show_kind(self, kind: str) -> None:
        self.kinds.show_choice(kind)
        self.kind_combo.setCurrentIndex(self.kind_combo.findData(kind))
        self._show_snippet()

    def refresh(self) -> None:
        on = self._presenter.state.on
        why = "" if on else tr("Switch it on first: nobody listens at this address now.")
        for button in (self.copy, self.try_it):
            button.setEnabled(on and not (button is self.try_it and (self._presenter.trying or not self.model.count())))
            button.setToolTip(why)
        self._show_snippet()

    def _snippet(self, token: str) -> str:
        return snippet(self.kind, self._presenter.state.address, token, self._chosen()).code

    def _chosen(self) -> str:
        return self.model.currentData() or NO_MODEL

    def _show_snippet(self) -> None:
        state = self._presenter.state
        shown = snippet(self.kind, state.address, shortened(state.token_end), self._chosen())
        self.block.show_code(shown.code, shown.language)
        mark = RIGHT_TO_LEFT_MARK if self.isRightToLeft() else ""  # the block itself is read from the left
        self.block.language.setText(mark + shown.hint)
        self.copy.setText(tr("Copy with token") if holds_token(self.kind) else tr("Copy"))
        self._fit()

    def _show_models(self) -> None:
        chosen = self.model.currentData()
        names = [model.id for model in self._presenter.chat_models]
        if names != [self.model.itemData(index) for index in range(self.model.count())]:
            self.model.blockSignals(True)
            self.model.clear()
            for name in names:
                self.model.addItem(words.one_line(name), name)
            self.model.setCurrentIndex(max(0, self.model.findData(chosen)) if names else -1)
            self.model.blockSignals(False)
        self.model.setEnabled(bool(names))
        self.model.setToolTip("" if names else tr("No chat model is on this machine or at a provider that answers."))
        self.refresh()

    def _show_tried(self) -> None:
        presenter = self._presenter
        tried = presenter.tried
        if presenter.trying:
            self._tried_by_focus = self._tried_by_focus or self.try_it.hasFocus()  # lost while it cannot be pressed
            self.result.show_status("loader-circle", tr("Asking…"))
        elif tried is not None:
            facts = tr(
                "{who} answered after {seconds}, {speed} tok/s.",
                who=tr("This machine") if tried.machine == THIS_MACHINE else words.one_line(tried.machine),
                seconds=words.duration(tried.seconds),
                speed=number(round(tried.tokens_per_second)),
            )
            self.result.show_status("check", tr("It works."), facts, "accent")
        self.result.setHidden(not presenter.trying and tried is None)
        self.refresh()
        if self._tried_by_focus and not presenter.trying:
            self._tried_by_focus = False
            self.try_it.setFocus(Qt.FocusReason.OtherFocusReason)

    def _copy(self) -> None:
        self._presenter.copy_with_token(SNIPPET, self._snippet)

    def _copied(self, what: str, text: str) -> None:
        if what == SNIPPET:
            QGuiApplication.clipboard().setText(text, QClipboard.Mode.Clipboard)
            self.copy.show_copied()
            if holds_token(self.kind):
                announce(self, tr("Copied, with the token in it."))

    def _fit(self) -> None:
        self.block.setFixedHeight(self.block.fit(max(200, self.width() - 2 * PADDING)))

    def resizeEvent(self, event: object) -> None:
        super().resizeEvent(event)  # type: ignore[arg-type]
        self._fit()

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        self.error.show_error(error)

    def clear_error(self) -> None:
        self.error.clear()
        self._error_holder.hide()
