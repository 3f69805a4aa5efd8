"""What to do where the data folder is another program's: a window's, or that of a provider. By verb."""

from __future__ import annotations

from typing import Final

from qvac_core.errors import QvacError, StoreError

ALREADY_RUNNING: Final = "ALREADY_RUNNING"
_ASK: Final = (
    "It has this machine's connections: ask in its window, or by a program that uses its endpoint, which "
    "`qvac-desktop serve` switches on there."
)
_INSTEAD: Final = {
    "provider": "Switch sharing on in its window (Share my GPU), or begin when it has ended: `provider --wait`.",
    "chat": _ASK,
    "translate": _ASK,
    "embed": _ASK,
    "transcribe": "It has this machine's connections: drop the recording on its window, or leave KEY out to use a "
    "model of this machine.",
    "models": "Do it in its window, under Library.",
    "remote": "Do it in its window: Manage this machine… in that machine's menu in Chat.",
    "invite": "Open the link with its window: `qvac-desktop LINK`.",
    "spot-check": "Do it in its window: Compare with another provider… in the provider's menu in Chat.",
}


def said_for(verb: str | None, error: QvacError) -> QvacError:
    """As it is, or for a folder that is in use with what helps who typed this verb."""
    instead = _INSTEAD.get(verb or "")
    if error.name != ALREADY_RUNNING or instead is None:
        return error
    first = error.message.partition(". ")[0]
    return StoreError(f"{first}. {instead} Another folder: --data-dir.", name=ALREADY_RUNNING)
