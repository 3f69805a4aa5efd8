"""The gauges under the switch: GPU, its memory, power and heat; without a GPU that tells, the machine's memory."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.i18n import tr
from app.presenters.share_gauges import GPU, HEAT, MEMORY, POWER, GaugesPresenter
from app.theme import Theme
from app.widgets.meter import Meter

NARROWEST = 400  # with more than two gauges; below, power and heat go


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
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        for name, meter in self.meters.items():
            row.addWidget(meter, 2 if name == MEMORY else 1)
        presenter.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        shown = self._presenter.shown()
        self.setVisible(bool(shown))
        for name, meter in self.meters.items():
            meter.setVisible(name in shown)
            if name in shown:
                meter.show_value(shown[name].fraction, shown[name].text)
