"""The data folder moves: a small window between two runs of the program, when nobody has a file of it open."""

from __future__ import annotations

import asyncio
import sys
import threading

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QProgressBar

from app.core_words import told
from app.i18n import tr
from app.theme import Theme
from app.widgets.dialog import Dialog
from app.widgets.label import Label
from app.words import pair_of_sizes
from qvac_core.errors import QvacError
from qvac_core.store.data_move import DataMove, MoveCancelled, carry_out, give_up

PAUSE = 200  # milliseconds between two looks at how far it is


class MovingDialog(Dialog):
    """How far it is; Cancel, Esc and a closed window stop it before the switch."""

    def __init__(self, theme: Theme, move: DataMove) -> None:
        sentence = tr("To {folder}. Until all is there and checked, the old folder stays in use.", folder=move.target)
        super().__init__(theme, tr("Moving the data folder"), sentence, "")
        self.setModal(False)
        self.stop = threading.Event()
        self.so_far = 0
        self._size = move.size
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("How far the move is"))
        self.amount = Label("", scale="hint", tone="text2")
        self.body.addWidget(self.bar)
        self.body.addWidget(self.amount)
        self._look = QTimer(self)
        self._look.setInterval(PAUSE)
        self._look.timeout.connect(self.show_progress)
        self._look.start()
        self.show_progress()

    def take(self, done: int) -> None:
        """From the thread of the move."""
        self.so_far = done

    def show_progress(self) -> None:
        self.bar.setRange(0, 1000)
        self.bar.setValue(round(1000 * self.so_far / max(1, self._size)))
        self.amount.setText(pair_of_sizes(self.so_far, self._size))

    def reject(self) -> None:
        """It closes when the thread has ended."""
        self.stop.set()
        self.cancel.setEnabled(False)


async def move_data(move: DataMove, theme: Theme) -> bool:
    """Whether it has moved; why not is said before the program begins again where it was."""
    dialog = MovingDialog(theme, move)
    dialog.show()
    refusal = ""
    try:
        await asyncio.to_thread(carry_out, move, dialog.take, dialog.stop)
    except MoveCancelled:
        await asyncio.to_thread(give_up, move)
        return False
    except QvacError as error:
        await asyncio.to_thread(give_up, move)
        refusal = error.message
    finally:
        dialog.hide()
        dialog.deleteLater()
    if refusal:
        await _say(theme, refusal)
    return not refusal


async def _say(theme: Theme, refusal: str) -> None:
    print(refusal, file=sys.stderr)  # noqa: T201
    read = asyncio.Event()
    title = tr("The data folder stays where it was")
    dialog = Dialog(theme, title, told(refusal), "", cancel=tr("Open QVAC Desktop"))
    dialog.finished.connect(lambda _result: read.set())
    dialog.open()
    await read.wait()
