"""Rows of the picker of who answers: what the presenter says and `app.widgets.chat.picker_rows` shows."""

from __future__ import annotations

from enum import Enum

from app.i18n import listed, tr
from qvac_core.core.state import Target
from qvac_core.late_dataclass import dataclass


class RowKind(Enum):
    GROUP = "group"
    MODEL = "model"
    CONNECT = "connect"  # a sentence about the provider; choosing it connects
    DOWNLOAD = "download"


@dataclass(frozen=True, slots=True)
class PickerRow:
    """One row. `act` is the word in the accent colour that says what choosing it does."""

    kind: RowKind
    text: str
    state: str = ""
    public_key: str = ""
    target: Target | None = None
    act: str = ""
    local: bool = False
    online: bool = False
    current: bool = False

    @property
    def spoken(self) -> str:
        if self.kind is RowKind.GROUP and not self.local:
            reach = tr("reachable") if self.online else tr("not reachable")
            return listed((tr("Provider {name}", name=self.text), reach, self.state))
        return listed(part.rstrip(".") for part in (self.text, self.state, self.act))


@dataclass(frozen=True, slots=True)
class Group:
    head: PickerRow
    rows: tuple[PickerRow, ...]
