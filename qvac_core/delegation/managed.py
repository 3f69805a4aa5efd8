"""The machine behind a provider, as its owner's own machines may act on it from afar."""

from __future__ import annotations

from typing import Protocol

from qvac_core.delegation.failures import Code, Rejection
from qvac_core.delegation.messages import Manage, ManageReply


class Managed(Protocol):
    async def manage(self, message: Manage) -> ManageReply:
        """Do it, and say how things stand then. Raises Rejection in words for whoever asked."""


class NotManaged:
    """There is nothing to act on."""

    async def manage(self, message: Manage) -> ManageReply:
        raise Rejection(Code.MODEL_OPERATION_NOT_SUPPORTED, "This provider cannot be managed from afar.")
