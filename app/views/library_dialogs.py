"""The questions of the Library page: removing a model, freeing disk space, moving the models to another folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app import words
from app.i18n import listed, tr, trn
from app.presenters.library_rows import here_detail
from app.theme import Theme
from app.views.share_dialogs import confirm
from app.widgets.check_box import CheckBox
from app.widgets.dialog import Dialog
from app.widgets.label import Label
from qvac_core.core.library_state import ModelHere, ModelsFolder, Removal

TITLES_NAMED = 3
LIST_HEIGHT = 320


def ask_to_remove(removal: Removal, theme: Theme, confirmed: Callable[[], None], parent: QWidget) -> Dialog:
    model = removal.model
    if removal.frees_bytes or model.ours:
        title = tr("Remove {model}?", model=model.title)
        said = [tr("It frees {size} of the disk.", size=words.size(removal.frees_bytes))]
        act = tr("Remove")
    else:
        title = tr("Stop using {model}?", model=model.title)
        program = model.program
        said = [
            tr("Its file stays where it is: it belongs to {program}.", program=program)
            if program
            else tr("Its file stays where it is.")
        ]
        act = tr("Stop using it")
    return confirm(theme, title, " ".join([*said, *_misses(removal)]), act, confirmed, parent)


def _misses(removal: Removal) -> list[str]:
    """Who would miss it."""
    model, said = removal.model, []
    if removal.running:
        said.append(
            trn("%n answer is made with it now and ends.", "%n answers are made with it now and end.", removal.running)
        )
    if model.shared:
        said.append(tr("It is shared: guests can ask it no longer."))
    if model.stands_in:
        said.append(tr("It answers here when providers are away: then nothing would."))
    titles = removal.conversations
    if titles:
        named = listed(f"“{title}”" for title in titles[:TITLES_NAMED])
        count = len(titles)
        if count <= TITLES_NAMED:
            said.append(
                trn("A conversation uses it: {titles}.", "Conversations use it: {titles}.", count, titles=named)
            )
        else:
            more = count - TITLES_NAMED
            said.append(
                trn(
                    "Conversations use it: {titles} and %n more.",
                    "Conversations use it: {titles} and %n more.",
                    more,
                    titles=named,
                )
            )
    return said


def ask_to_move(
    folder: ModelsFolder, path: Path, theme: Theme, confirmed: Callable[[], None], parent: QWidget
) -> Dialog:
    size = words.size(folder.models_bytes + folder.part_bytes)
    dialog = Dialog(
        theme,
        tr("Move the models?"),
        tr(
            "{size} go from {old} to {new}, and new ones are kept there. A model leaves its old place only when it is "
            "whole at the new one.",
            size=size,
            old=str(folder.path),
            new=str(path),
        ),
        tr("Move {size}", size=size),
        parent=parent,
    )
    dialog.accepted.connect(confirmed)
    dialog.open()
    return dialog


class FreeUpDialog(Dialog):
    """Models that would free something, the longest unused first; `confirmed(names)` of those that were checked."""

    def __init__(
        self,
        models: Sequence[ModelHere],
        now: float,
        theme: Theme,
        confirmed: Callable[[Sequence[str]], None],
        parent: QWidget,
    ) -> None:
        sentence = tr("The longest unused come first. What is shared, or answers here, is missed by somebody.")
        super().__init__(theme, tr("Free up disk space"), sentence, tr("Free up"), kind="danger", parent=parent)
        self._models = tuple(models)
        self.boxes: dict[str, CheckBox] = {}
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 4, 0)
        column.setSpacing(6)
        for model in models:
            column.addLayout(self._row(model, now))
        column.addStretch(1)
        area = QScrollArea()
        area.setObjectName("page")
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidgetResizable(True)
        area.setWidget(content)
        area.setFixedHeight(min(LIST_HEIGHT, content.sizeHint().height() + 2))
        self.body.addSpacing(8)
        self.body.addWidget(area)
        self.accepted.connect(lambda: confirmed(self.names))
        self._count()
        if self.boxes:
            next(iter(self.boxes.values())).setFocus()

    def _row(self, model: ModelHere, now: float) -> QHBoxLayout:
        size = words.size(model.size_bytes)
        detail = here_detail(model, now)
        box = CheckBox(
            self._theme, model.title.replace("&", "&&"), name=listed((model.title, size, detail)), parent=self
        )
        box.toggled.connect(self._count)
        self.boxes[model.name] = box
        lines = QVBoxLayout()
        lines.setSpacing(0)
        lines.addWidget(box)
        said = Label(detail, scale="small", tone="text3")
        said.setContentsMargins(24, 0, 0, 0)
        lines.addWidget(said)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addLayout(lines, 1)
        row.addWidget(Label(size))
        return row

    @property
    def names(self) -> list[str]:
        return [model.name for model in self._models if self.boxes[model.name].isChecked()]

    def _count(self) -> None:
        checked = set(self.names)
        freed = sum(model.size_bytes for model in self._models if model.name in checked)
        text = tr("Free up {size}", size=words.size(freed)) if checked else tr("Free up")
        self.confirm.setText(text)
        self.confirm.setAccessibleName(text)
        self.confirm.setEnabled(bool(checked))
        self.confirm.setToolTip("" if checked else tr("Check what may be removed first."))
