"""Requests of others on their way to whoever answers them: the node itself, or its user.

docs/wire/hyperdht.md sections 1.4 and 1.6; dht-rpc 6.27.0 `index.js` _onrequest.
"""

from __future__ import annotations

from collections.abc import Callable

from qvac_core.codec import Address
from qvac_core.dht_rpc.commands import ReplyError
from qvac_core.dht_rpc.exchange import Exchange
from qvac_core.dht_rpc.incoming import IncomingRequest
from qvac_core.dht_rpc.internal import InternalCommands
from qvac_core.dht_rpc.limits import REFUSAL, RateLimit
from qvac_core.dht_rpc.messages import RequestMessage, is_reachable
from qvac_core.dht_rpc.neighbourhood import Neighbourhood


class Answering:
    """`on_request` gets the user's commands; without it they are unknown."""

    __slots__ = ("_exchange", "_internal", "_neighbourhood", "limits", "on_request")

    def __init__(self, exchange: Exchange, neighbourhood: Neighbourhood) -> None:
        self._exchange = exchange
        self._neighbourhood = neighbourhood
        self.limits = RateLimit()
        self._internal = InternalCommands(exchange, neighbourhood, self.limits)
        self.on_request: Callable[[IncomingRequest], None] | None = None

    def answer(self, message: RequestMessage, sender: Address, socket: int, size: int) -> None:
        if not is_reachable(sender):
            return
        request = IncomingRequest(self._exchange, message, sender, socket, size)
        if message.token is not None and not request.token_valid:
            if self.limits.allows(REFUSAL, sender[0], self._exchange.now):
                request.error(ReplyError.INVALID_TOKEN, token=True)
            return
        if message.id is not None:
            self._neighbourhood.heard_from(sender, message.id, message.to, socket)
        if message.internal:
            self._internal.answer(request)
        elif self.on_request is not None:
            self.on_request(request)
        else:
            request.error(ReplyError.UNKNOWN_COMMAND)
