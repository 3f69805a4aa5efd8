"""A direct path over IPv6 between two of ours: both greet the addresses that the handshake told, until one hears back.

Ours; the original carries `addresses6` in its handshake (docs/wire/hyperdht.md 3.4) and neither fills nor uses it. IPv6
knows no address translation: what lies between is at most two firewalls, which let in whom their own side has written
to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from qvac_core.codec import Address, blake2b
from qvac_core.errors import NetworkError
from qvac_core.hyperdht.node.endpoint import IPV6_SOCKET, Endpoint
from qvac_core.rendezvous.addresses import is_dialable6

GREET_AT = (0.0, 0.1, 0.3, 0.7, 1.5, 2.5)
"""Seconds after the handshake. The first may come before the other side's firewall is open."""
GREETING_LIMIT = 3.0
MAX_GREETED = 4
"""Addresses of one peer; it chooses them, and each gets a few datagrams of GREETING_BYTES that it did not ask for."""
GREETING_BYTES = 16


def _word(who: bytes, secret: bytes) -> bytes:
    """Only the two ends of this handshake know it, so that nobody else can say it."""
    return blake2b(b"qvac-desktop ipv6 " + who, key=secret, size=GREETING_BYTES)


class _Greeting:
    def __init__(self, endpoint: Endpoint, addresses: Sequence[Address], hello: bytes) -> None:
        self._endpoint = endpoint
        self._targets = [address for address in addresses if is_dialable6(address)][:MAX_GREETED]
        self._hello = hello
        self._heard: list[bytes] = []
        start = endpoint.loop.time()
        self._timers = [endpoint.loop.call_at(start + seconds, self._greet) for seconds in GREET_AT]

    def _greet(self) -> None:
        self._endpoint.send_ipv6(self._hello, self._targets)

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        for word in self._heard:
            self._endpoint.forget_greeting(word)
        self._heard.clear()


class ServerGreeting(_Greeting):
    """Opens our firewall towards the client, and answers it. Close it when the client is connected or given up."""

    def __init__(self, endpoint: Endpoint, addresses: Sequence[Address], secret: bytes) -> None:
        super().__init__(endpoint, addresses, _word(b"server", secret))
        self._answer = _word(b"answer", secret)
        word = _word(b"client", secret)
        self._heard.append(word)
        endpoint.expect_greeting(word, lambda source: endpoint.send_ipv6(self._answer, [source]))


class ClientGreeting(_Greeting):
    def __init__(self, endpoint: Endpoint, addresses: Sequence[Address], secret: bytes) -> None:
        super().__init__(endpoint, addresses, _word(b"client", secret))
        self._path: asyncio.Future[tuple[int, Address]] = endpoint.loop.create_future()
        for word, then in ((_word(b"server", secret), self._on_hello), (_word(b"answer", secret), self._on_answer)):
            self._heard.append(word)
            endpoint.expect_greeting(word, then)

    async def run(self) -> tuple[int, Address]:
        """The path on which the server heard us and we heard it. Raises NetworkError CANNOT_HOLEPUNCH."""
        try:
            async with asyncio.timeout(GREETING_LIMIT):
                return await self._path
        except TimeoutError as error:
            raise NetworkError("No greeting came through over IPv6.", name="CANNOT_HOLEPUNCH") from error
        finally:
            self.close()

    def _on_hello(self, source: Address) -> None:
        """It can write to us, perhaps from another of its addresses; ours may come through from now on."""
        if source not in self._targets and len(self._targets) < 2 * MAX_GREETED:
            self._targets.append(source)
        self._endpoint.send_ipv6(self._hello, [source])

    def _on_answer(self, source: Address) -> None:
        if not self._path.done():
            self._path.set_result((IPV6_SOCKET, source))
