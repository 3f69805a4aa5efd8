"""Showing an invite at a provider: the one thing a stranger may say that lets it in."""

from __future__ import annotations

from typing import Protocol

from qvac_core.delegation.failures import Reason, Rejection, by_policy

NOT_HERE = "This provider takes no invites now. Ask its owner to allow your key."


class Claims(Protocol):
    """The provider's invites."""

    async def claim(self, public_key: bytes, grant: str) -> None:
        """Let this key in; it is kept when this returns. Raises Rejection with the reason, in words for the guest."""


class NoClaims:
    """There are no invites."""

    async def claim(self, public_key: bytes, grant: str) -> None:
        raise refused(NOT_HERE)


def refused(sentence: str) -> Rejection:
    return by_policy(Reason.GRANT, sentence)
