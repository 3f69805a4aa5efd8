"""Fields for whole numbers, decimals and times of the day: painted chevrons, and no wheel without the focus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QDate, QDateTime, QEvent, QSize, Qt, QTime, Signal
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QAbstractSpinBox, QDateTimeEdit, QDoubleSpinBox, QSpinBox, QTimeEdit, QWidget

from app.theme import Theme

if TYPE_CHECKING:
    _Spin = QAbstractSpinBox
else:  # the classes below have one base of Qt each
    _Spin = object

CHEVRON = 12
CALENDAR = 14
BUTTON = 22  # as wide as in the sheet
BESIDE_DAY = 10 + 2 * BUTTON + 6  # padding and calendar of the sheet, in pixels, and room for the caret
LARGEST = 2**31 - 1  # of a QSpinBox


class _Field(_Spin):
    """What the three have in common. `chosen` fires for what people do, never for `show_value`."""

    _theme: Theme

    def _prepare(self, theme: Theme, name: str) -> None:
        self._theme = theme
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # the wheel, which scrolls the page, gives no focus
        self.setKeyboardTracking(False)  # half a number is none
        self._align()
        self.setAccessibleName(name)
        theme.changed.connect(self.update)

    def setAccessibleName(self, name: str) -> None:
        super().setAccessibleName(name)
        self.lineEdit().setAccessibleName(name)

    def _align(self) -> None:
        """Beside the chevrons, whatever the direction of what stands in it: Qt would go by the text's."""
        side = Qt.AlignmentFlag.AlignLeft if self.isRightToLeft() else Qt.AlignmentFlag.AlignRight
        self.setAlignment(side | Qt.AlignmentFlag.AlignAbsolute | Qt.AlignmentFlag.AlignVCenter)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.LayoutDirectionChange:
            self._align()

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        x = (BUTTON - CHEVRON) // 2 if self.isRightToLeft() else self.width() - (BUTTON + CHEVRON) // 2
        steps = self.stepEnabled()
        for icon, y, step in (
            ("chevron-up", self.height() / 2 - CHEVRON + 1, QAbstractSpinBox.StepEnabledFlag.StepUpEnabled),
            ("chevron-down", self.height() / 2 - 1, QAbstractSpinBox.StepEnabledFlag.StepDownEnabled),
        ):
            tone = "text2" if self.isEnabled() and step in steps else "border"
            painter.drawPixmap(x, round(y), self._theme.pixmap(icon, tone, CHEVRON, self.devicePixelRatioF()))
        painter.end()


class Number(_Field, QSpinBox):
    """A whole number. zero: the word that stands for the smallest one, as "no limit". grouped: by thousands; a number
    that only names something, as a port does, is not."""

    chosen = Signal(int)

    def __init__(
        self,
        theme: Theme,
        name: str,
        low: int,
        high: int,
        *,
        step: int = 1,
        unit: str = "",
        zero: str = "",
        grouped: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._prepare(theme, name)
        self.setRange(low, min(high, LARGEST))
        self.setSingleStep(step)
        self.setGroupSeparatorShown(grouped)
        self.setSuffix(f" {unit}" if unit else "")
        self.setSpecialValueText(zero)
        self.valueChanged.connect(self.chosen)

    def show_value(self, value: int) -> None:
        self.blockSignals(True)
        self.setValue(value)
        self.blockSignals(False)


class Decimal(_Field, QDoubleSpinBox):
    """A number with so many digits behind the point."""

    chosen = Signal(float)

    def __init__(
        self,
        theme: Theme,
        name: str,
        low: float,
        high: float,
        *,
        step: float = 0.1,
        digits: int = 1,
        unit: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._prepare(theme, name)
        self.setDecimals(digits)
        self.setRange(low, high)
        self.setSingleStep(step)
        self.setSuffix(f" {unit}" if unit else "")
        self.valueChanged.connect(self.chosen)

    def show_value(self, value: float) -> None:
        self.blockSignals(True)
        self.setValue(value)
        self.blockSignals(False)


class TimeField(_Field, QTimeEdit):
    """A time of the day, as HH:MM in and out; shown in the user's way."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._prepare(theme, name)
        # Times are not mirrored, and the hour stands first in every language; Qt turns the format of a mirrored field.
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        if QGuiApplication.isRightToLeft():
            self.setDisplayFormat("HH:mm")  # Qt had turned the one of the locale around, and its "AM" is from the right
        self.timeChanged.connect(lambda time: self.chosen.emit(time.toString("HH:mm")))

    @property
    def text_value(self) -> str:
        return self.time().toString("HH:mm")

    def show_value(self, text: str) -> None:
        """What is no time is shown as midnight."""
        time = QTime.fromString(text, "HH:mm")
        self.blockSignals(True)
        self.setTime(time if time.isValid() else QTime(0, 0))
        self.blockSignals(False)


class DateTimeField(_Field, QDateTimeEdit):
    """A day and a time, as Unix seconds in and out; its arrow opens a calendar. Whole minutes."""

    chosen = Signal(float)

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._prepare(theme, name)
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)  # as a time, it is not mirrored
        self.setCalendarPopup(True)
        self.setDisplayFormat("ddd d MMM yyyy, HH:mm")
        self.dateTimeChanged.connect(lambda moment: self.chosen.emit(float(moment.toSecsSinceEpoch())))

    def sizeHint(self) -> QSize:
        """Wide enough for the widest day: Qt goes by its least and its greatest date, and knows no padding of ours."""
        hint = super().sizeHint()
        locale, metrics = self.locale(), self.fontMetrics()
        days = (QDateTime(QDate(2026, month, 28 - day), QTime(20, 30)) for month in range(1, 13) for day in range(7))
        widest = max(metrics.horizontalAdvance(locale.toString(day, self.displayFormat())) for day in days)
        return hint.expandedTo(QSize(widest + BESIDE_DAY, 0))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def show_value(self, moment: float) -> None:
        self.blockSignals(True)
        self.setDateTime(QDateTime.fromSecsSinceEpoch(int(moment)))
        self.blockSignals(False)

    def paintEvent(self, event: QPaintEvent) -> None:
        QDateTimeEdit.paintEvent(self, event)
        painter = QPainter(self)
        pixmap = self._theme.pixmap("calendar", "text2", CALENDAR, self.devicePixelRatioF())
        painter.drawPixmap(self.width() - CALENDAR - 6, (self.height() - CALENDAR) // 2, pixmap)
        painter.end()
