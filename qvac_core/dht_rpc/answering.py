"""Requests of others on their way to whoever answers them: the node itself, or its user.

docs/wire/hyperdht.md sections 1.4 and 1.6; dht-rpc 6.27.0 `index.js` _onrequest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qvac_core.codec import Address
from qvac_core.dht_rpc.commands import ReplyError
from qvac_core.dht_rpc.incoming import IncomingRequest
from qvac_core.dht_rpc.internal import InternalCommands
from qvac_core.dht_rpc.limits import REFUSAL, RateLimit
from qvac_core.dht_rpc.messages import RequestMessage, is_reachable

if TYPE_CHECKING:
    from qvac_core.dht_rpc.node import Node


class Answering:
    """The node's `on_request` gets the user's commands; without it they are unknown."""

    __slots__ = ("_internal", "_limits", "_node")

    def __init__(self, node: Node) -> None:
        self._node = node
        self._limits = RateLimit()
        self._internal = InternalCommands(node, self._limits)

    @property
    def hosts_counted(self) -> int:
        return len(self._limits)

    def answer(self, message: RequestMessage, sender: Address, socket: int, size: int) -> None:
        if not is_reachable(sender):
            return
        node = self._node
        request = IncomingRequest(node.rpc, message, sender, socket, size)
        if message.token is not None and not request.token_valid:
            if self._limits.allows(REFUSAL, sender[0], node.rpc.now):
                request.error(ReplyError.INVALID_TOKEN, token=True)
            return
        if message.id is not None:
            node.heard_from(sender, message.id, message.to, socket)
        if message.internal:
            self._internal.answer(request)
        elif node.on_request is not None:
            node.on_request(request)
        else:
            request.error(ReplyError.UNKNOWN_COMMAND)
