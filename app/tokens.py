"""The colours of both themes, by the names of the design's table."""

from __future__ import annotations

from qvac_core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class CodeColours:
    background: str
    keyword: str
    string: str
    comment: str
    number: str
    function: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """One theme. Names as in the design's table; every value is #RRGGBB."""

    bg: str
    surface: str
    side: str
    text: str
    text2: str
    text3: str
    ctl: str
    border: str
    accent: str
    accent_hover: str
    accent_soft: str
    onacc: str
    live: str
    local: str
    local_soft: str
    warn: str
    warn_soft: str
    danger: str
    danger_soft: str
    sel: str
    track: str
    code: CodeColours


LIGHT = Tokens(
    bg="#F3F5F3",
    surface="#FFFFFF",
    side="#EBEEEB",
    text="#17201C",
    text2="#46514B",
    text3="#5C6761",
    ctl="#7F8983",
    border="#D8DDD9",
    accent="#0A6B5F",
    accent_hover="#075448",
    accent_soft="#DCEFEA",
    onacc="#FFFFFF",
    live="#0E8A6E",
    local="#6240A8",
    local_soft="#EFE9F9",
    warn="#805200",
    warn_soft="#FCF0D6",
    danger="#B3261E",
    danger_soft="#FCE8E6",
    sel="#DDE7E2",
    track="#DFE4E0",
    code=CodeColours("#F5F7F5", "#9A2C6B", "#2C6E1F", "#626D66", "#1D5FA8", "#6240A8"),
)

DARK = Tokens(
    bg="#131715",
    surface="#1B201E",
    side="#171B19",
    text="#E7ECE9",
    text2="#B1BCB6",
    text3="#929E97",
    ctl="#76827B",
    border="#2D3431",
    accent="#4FC7B1",
    accent_hover="#74D8C5",
    accent_soft="#16352F",
    onacc="#05231D",
    live="#3FCFA6",
    local="#BBA2F2",
    local_soft="#2A2340",
    warn="#E5B650",
    warn_soft="#382C12",
    danger="#F58B82",
    danger_soft="#3E201E",
    sel="#27302C",
    track="#303834",
    code=CodeColours("#151918", "#F092C5", "#97D183", "#8E9A93", "#82B7F2", "#BBA2F2"),
)
