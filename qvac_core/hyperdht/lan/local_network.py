"""Finding peers on the local network by their key, and being found there, without any other machine's help.

Ours: multicast DNS (RFC 6762) as far as questions for one name need it. Nothing is announced; who asks for the name of
a key that is served here, from one of the networks this machine is in, is answered directly.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Interface
from random import Random, SystemRandom
from typing import Protocol

from qvac_core.codec import Address
from qvac_core.hyperdht.node.budget import Budget

logger = logging.getLogger(__name__)

GROUP: Address = ("224.0.0.251", 5353)
ASK_AT = (0.0, 0.25, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0)
"""Seconds after the start at which a question goes out: one datagram may be lost, and Wi-Fi delays multicast."""
MAX_ADDRESSES = 4
"""Different places that one search believes; an honest network has one."""
MAX_ADDRESSES_OF_HOST = 2
MAX_ANSWERS = 64
"""Datagrams that one search looks at, whoever sent them."""
ANSWERS_PER_SECOND = 50
QUESTIONS_PER_SECOND = 500
"""Datagrams that are read; more than a house ever asks, and little work."""
MAX_INTERFACES = 16
LOOK_EVERY = 15.0
"""Seconds between looks at which networks this machine is in."""
_DATAGRAMS_PER_WAKEUP = 64
_READ_BYTES = 2048
_IP_MULTICAST_ALL = 49  # <linux/in.h>; the socket module does not name it

Interfaces = Callable[[], Sequence[IPv4Interface]]


class LocalNetwork(Protocol):
    """What a node needs of its surroundings; MulticastDns is one."""

    def serve(self, public_key: bytes, port: int) -> None:
        """From now on who looks for this key is told our UDP port."""
        ...

    def stop_serving(self, public_key: bytes) -> None: ...

    def find(self, public_key: bytes) -> AsyncGenerator[Address, None]:
        """Where somebody nearby says that the key is: it proves nothing. Goes on until it is closed or knows enough."""
        ...

    def close(self) -> None: ...


def own_networks() -> list[IPv4Interface]:
    """This machine's IPv4 addresses with their networks, loopback included; links to a single other machine are not."""
    import psutil  # slow to import

    found = []
    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    for name, addresses in psutil.net_if_addrs().items():
        for entry in addresses:
            if name in up and entry.family == socket.AF_INET and entry.netmask:
                interface = IPv4Interface(f"{entry.address}/{entry.netmask}")
                if interface.network.prefixlen < 31:  # else a tunnel: the other end is no neighbour
                    found.append(interface)
    return found[:MAX_INTERFACES]


def networks_of(hosts: Sequence[str]) -> Interfaces:
    """Only the networks in which this machine has one of these addresses."""
    return lambda: [interface for interface in own_networks() if str(interface.ip) in hosts]


class MulticastDns:
    """Sockets are opened when first needed. Where multicast is not possible nobody is found, and all else goes on."""

    def __init__(self, interfaces: Interfaces = own_networks, *, chance: Random | None = None) -> None:
        self._interfaces = interfaces
        self._chance = chance or SystemRandom()
        self._ports: dict[str, int] = {}
        self._socket: socket.socket | None = None
        self._joined: dict[IPv4Interface, None] = {}
        self._look: asyncio.TimerHandle | None = None
        self._complained = False
        self._answers = Budget(ANSWERS_PER_SECOND)
        self._questions = Budget(QUESTIONS_PER_SECOND)
        self.closed = False

    # Being found

    def serve(self, public_key: bytes, port: int) -> None:
        from qvac_core.hyperdht.lan.local_names import service_name  # zeroconf is slow to import, and often not needed

        self._ports[service_name(public_key)] = port
        if self._socket is None and not self.closed:
            self._open()

    def stop_serving(self, public_key: bytes) -> None:
        from qvac_core.hyperdht.lan.local_names import service_name

        self._ports.pop(service_name(public_key), None)
        if not self._ports:
            self._release()

    def close(self) -> None:
        self.closed = True
        self._ports.clear()
        self._release()

    def _open(self) -> None:
        try:
            self._socket = _listening_socket()
        except OSError as error:
            self._complain(error)
            return
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._on_readable)
        self._join()

    def _release(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        self._joined.clear()

    def _join(self) -> None:
        """Listen in every network this machine is in now, and look again later: laptops move."""
        assert self._socket is not None
        present = dict.fromkeys(self._interfaces())
        for gone in self._joined.keys() - present.keys():
            # An interface that is gone has left the group with itself.
            with suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, _membership(gone))
            del self._joined[gone]
        for interface in present:
            if interface in self._joined:
                continue
            try:
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _membership(interface))
            except OSError as error:
                self._complain(error)
                continue
            self._joined[interface] = None
        self._look = asyncio.get_running_loop().call_later(LOOK_EVERY, self._join)

    def _complain(self, error: OSError) -> None:
        """Once: it is an extra, and the network may simply not have it."""
        if not self._complained:
            self._complained = True
            logger.info("the local network cannot be searched (multicast is not possible here: %s)", error)

    def _on_readable(self) -> None:
        for _ in range(_DATAGRAMS_PER_WAKEUP):
            if self._socket is None:
                return
            try:
                data, source = self._socket.recvfrom(_READ_BYTES)
            except BlockingIOError:
                return
            except OSError:  # an ICMP answer to something sent earlier
                continue
            if self._questions.allows(asyncio.get_running_loop().time()):
                self._answer(data, source[:2])

    def _answer(self, data: bytes, source: Address) -> None:
        from qvac_core.hyperdht.lan.local_names import decode_question, encode_answer

        question = decode_question(data)
        port = self._ports.get(question.name) if question is not None else None
        own = _on_link(source[0], self._joined)
        if question is None or port is None or own is None or self._socket is None:
            return
        if not self._answers.allows(asyncio.get_running_loop().time()):
            return
        with suppress(OSError):  # it asks again
            self._socket.sendto(encode_answer(question, (str(own.ip), port)), source)

    # Finding

    async def find(self, public_key: bytes) -> AsyncGenerator[Address, None]:
        from qvac_core.hyperdht.lan.local_names import Question, service_name

        question = Question(self._chance.getrandbits(16), service_name(public_key))
        try:
            search = _Search(question, self._interfaces())
        except OSError as error:
            self._complain(error)
            return
        try:
            async for address in search:
                yield address
        finally:
            search.close()
            if search.error is not None:
                self._complain(search.error)


class _Search:
    """One question, repeated, and the answers that come back to its own socket."""

    def __init__(self, question: object, interfaces: Sequence[IPv4Interface]) -> None:
        from qvac_core.hyperdht.lan.local_names import Question, decode_answer, encode_question

        assert isinstance(question, Question)
        self._loop = asyncio.get_running_loop()
        self._datagram = encode_question(question)
        self._decode: Callable[[bytes], int | None] = lambda data: decode_answer(data, question)
        self._interfaces = interfaces
        self._found: list[Address] = []
        self._seen = 0
        self._fresh = asyncio.Event()
        self._over = False
        self.error: OSError | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind(("0.0.0.0", 0))
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket.fileno(), self._on_readable)
        start = self._loop.time()
        self._timers = [self._loop.call_at(start + seconds, self._ask) for seconds in ASK_AT]

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
        self._over = True
        self._fresh.set()

    async def __aiter__(self) -> AsyncGenerator[Address, None]:
        told = 0
        while True:
            while told < len(self._found):
                told += 1
                yield self._found[told - 1]
            if self._over:
                return
            self._fresh.clear()
            await self._fresh.wait()

    def _ask(self) -> None:
        for interface in self._interfaces:
            try:
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface.ip.packed)
                self._socket.sendto(self._datagram, GROUP)
            except OSError as error:
                self.error = error

    def _on_readable(self) -> None:
        for _ in range(_DATAGRAMS_PER_WAKEUP):
            if self._over:
                return
            try:
                data, source = self._socket.recvfrom(_READ_BYTES)
            except BlockingIOError:
                return
            except OSError:  # an ICMP answer to a question
                continue
            self._seen += 1
            self._look_at(data, source[:2])
            if self._seen >= MAX_ANSWERS or len(self._found) >= MAX_ADDRESSES:
                self.close()

    def _look_at(self, data: bytes, source: Address) -> None:
        if source[1] != GROUP[1] or _on_link(source[0], self._interfaces) is None:
            return
        port = self._decode(data)
        of_host = [found for found in self._found if found[0] == source[0]]
        if port is not None and (source[0], port) not in of_host and len(of_host) < MAX_ADDRESSES_OF_HOST:
            self._found.append((source[0], port))
            self._fresh.set()


def _on_link(host: str, interfaces: Sequence[IPv4Interface] | dict[IPv4Interface, None]) -> IPv4Interface | None:
    """The interface behind which this host is a neighbour (RFC 6762 section 11: nobody else may ask or answer)."""
    address = ipaddress.IPv4Address(host)
    return next((interface for interface in interfaces if address in interface.network), None)


def _membership(interface: IPv4Interface) -> bytes:
    return struct.pack("4s4s", socket.inet_aton(GROUP[0]), interface.ip.packed)


def _listening_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        # The system's own responder has this port as well.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sys.platform == "linux":
            # Bound to the group it cannot take what is sent to the other responder alone.
            sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            sock.bind(GROUP)
        else:
            sock.bind(("", GROUP[1]))
    except OSError:
        sock.close()
        raise
    return sock
