"""The commands that every node answers by itself, each within what one host may ask for.

docs/wire/hyperdht.md section 1.4; dht-rpc 6.27.0 `index.js` _onrequest.
"""

from __future__ import annotations

from qvac_core.codec import Reader
from qvac_core.dht_rpc.commands import MAX_DELAYED_PING, Internal, ReplyError
from qvac_core.dht_rpc.exchange import Exchange
from qvac_core.dht_rpc.incoming import IncomingRequest
from qvac_core.dht_rpc.limits import RateLimit
from qvac_core.dht_rpc.neighbourhood import Neighbourhood

_MAX_DELAYED_PINGS = 1024
_PORT_SIZE = 2
_DELAY_SIZE = 4
_ADDRESS_SIZE = 6


class InternalCommands:
    """Values that are too short and targets that are missing get no answer, as in the original."""

    __slots__ = ("_delayed_pings", "_exchange", "_limits", "_neighbourhood")

    def __init__(self, exchange: Exchange, neighbourhood: Neighbourhood, limits: RateLimit) -> None:
        self._exchange = exchange
        self._neighbourhood = neighbourhood
        self._limits = limits
        self._delayed_pings = 0

    def answer(self, request: IncomingRequest) -> None:
        if not self._limits.allows(request.command, request.from_[0], self._exchange.now):
            return
        match request.command:
            case Internal.PING:
                request.reply(token=False, closer_nodes=False)
            case Internal.PING_NAT:
                self._ping_nat(request)
            case Internal.FIND_NODE:
                if request.target is not None:
                    request.reply(token=False)
            case Internal.DOWN_HINT:
                self._down_hint(request)
            case Internal.DELAYED_PING:
                self._delayed_ping(request)
            case _:
                request.error(ReplyError.UNKNOWN_COMMAND)

    def _ping_nat(self, request: IncomingRequest) -> None:
        """The answer goes to another port of the sender's: so it learns whether that one is open."""
        if request.value is None or len(request.value) < _PORT_SIZE:
            return
        port = Reader(request.value).uint16()
        if port != 0:
            request.reply(token=False, closer_nodes=False, to=(request.from_[0], port))

    def _down_hint(self, request: IncomingRequest) -> None:
        if request.value is None or len(request.value) < _ADDRESS_SIZE:
            return
        self._neighbourhood.down_hint(request.value[:_ADDRESS_SIZE])
        request.reply(token=False, closer_nodes=False)

    def _delayed_ping(self, request: IncomingRequest) -> None:
        if request.value is None or len(request.value) < _DELAY_SIZE:
            return
        milliseconds = Reader(request.value).uint32()
        if milliseconds > MAX_DELAYED_PING or self._delayed_pings >= _MAX_DELAYED_PINGS:
            return

        def answer() -> None:
            self._delayed_pings -= 1
            request.reply(token=False, closer_nodes=False)

        self._delayed_pings += 1
        self._exchange.later(milliseconds / 1000, answer)
