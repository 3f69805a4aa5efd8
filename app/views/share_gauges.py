"""The gauges under the switch: GPU, its memory, power and heat; without a GPU that tells, the machine's memory."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.i18n import tr
from app.presenters.share_gauges import GPU, HEAT, MEMORY, POWER, GaugesPresenter
from app.theme import Theme
from app.widgets.meter import Meter

GAP, LEAST_GAP = 16, 8
GO_FIRST = (POWER, HEAT)  # where there is no room for all of them with whole texts


class GaugesRow(QWidget):
    def __init__(self, presenter: GaugesPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter, self._theme = presenter, theme
        self.meters = {
            GPU: Meter(theme, tr("GPU")),
            MEMORY: Meter(theme, tr("Memory")),
            POWER: Meter(theme, tr("Power")),
            HEAT: Meter(theme, tr("Heat")),
        }
        self._row = row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for name, meter in self.meters.items():
            row.addWidget(meter, 2 if name == MEMORY else 1)
        presenter.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        shown = self._presenter.shown()
        self.setVisible(bool(shown))
        for name, gauge in shown.items():
            self.meters[name].show_value(gauge.fraction, gauge.text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        names = [name for name in self.meters if name in self._presenter.shown()]
        for name in GO_FIRST:
            if self._needed(names, LEAST_GAP) > self.width() and name in names:
                names.remove(name)
        self._row.setSpacing(GAP if self._needed(names, GAP) <= self.width() else LEAST_GAP)
        for name, meter in self.meters.items():
            meter.setVisible(name in names)

    def _needed(self, names: Sequence[str], gap: int) -> int:
        return sum(self.meters[name].sizeHint().width() for name in names) + gap * (len(names) - 1)
