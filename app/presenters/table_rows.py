"""Rows of a table as immutable cells: what presenters say and `app.widgets.rows` shows."""

from __future__ import annotations

from qvac_core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """`width` in logical pixels of a 13 px font, 0 = takes what is left. `right`: numbers, header likewise.

    `spoken`: what a column without a title is called.
    """

    title: str
    width: int = 0
    right: bool = False
    spoken: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a delegate paints, start to end: switch, avatar, dot, icon, text, badge; or one button. Tones are theme
    tokens. In a column of numbers icon and text stand at the end."""

    text: str = ""
    tone: str = "text"
    weight: int = 400
    fixed: bool = False
    avatar: str = ""
    dot: str = ""
    icon: str = ""
    icon_tone: str = "text2"
    detail: str = ""
    state: str = ""  # after the detail, in `state_tone`
    state_tone: str = "accent"
    switch: bool | None = None
    fraction: float | None = None  # a bar before the text
    badge: str = ""  # after the text, one or two words of state
    button: str = ""
    button_icon: str = ""
    flat: bool = False  # the button has no outline: the quieter act
    menu: bool = False
    accessible: str = ""
    tooltip: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    cells: tuple[Cell, ...]
    tooltip: str = ""
