"""The text of a field that has an icon before it: 8 px after it, as the design has it; Qt leaves 14."""

from __future__ import annotations

from PySide6.QtWidgets import QLineEdit

TOO_MUCH = 6  # px: the sheet's padding stands behind the icon's own margin


def close_up(field: QLineEdit) -> None:
    """Again whenever its direction changes."""
    if field.isRightToLeft():
        field.setTextMargins(0, 0, -TOO_MUCH, 0)
    else:
        field.setTextMargins(-TOO_MUCH, 0, 0, 0)
