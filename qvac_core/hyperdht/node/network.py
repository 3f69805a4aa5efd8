"""The wall to the operating system: UDP sockets in batches, and the same shape for simulated networks.

Ours; the socket settings are those of libudx. asyncio's datagram endpoint
reads one datagram per wake-up, at four times the cost of draining the socket here; where the kernel can (Linux), one
system call carries a whole train of equal datagrams (UDP_SEGMENT, UDP_GRO).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from qvac_core.codec import Address

logger = logging.getLogger(__name__)

Receive = Callable[[list[tuple[bytes, Address]]], None]
"""Gets all datagrams of one wake-up, in the order of arrival."""

DEFAULT_TTL = 64


class DatagramSocket(Protocol):
    @property
    def address(self) -> Address:
        """Where it is bound."""
        ...

    @property
    def broken(self) -> bool:
        """Nothing can be sent any more, as when its address has left this machine: bind a new one."""
        ...

    def send_many(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Never blocks, never raises: what cannot be sent now is queued, what cannot be sent at all is lost."""
        ...

    def send_train(self, datagrams: Sequence[bytes], to: Address) -> None:
        """The same for many datagrams to one address."""
        ...

    def send_with_ttl(self, datagram: bytes, to: Address, ttl: int) -> None: ...

    def close(self) -> None: ...


class Network(Protocol):
    def open(self, host: str, port: int, receive: Receive) -> DatagramSocket:
        """Bind a socket; port 0 takes any. Raises OSError. `receive` is called from the event loop."""
        ...

    def local_hosts(self) -> list[str]:
        """IPv4 addresses of this machine's own interfaces, loopback left out."""
        ...

    def local_hosts6(self) -> list[str]:
        """IPv6 addresses of this machine's own interfaces, without those that are valid on one link only."""
        ...

    def source_host(self, to: str) -> str | None:
        """From which of our own addresses datagrams to `to` leave now; None when there is no way. Sends nothing."""
        ...


BUFFER_BYTES = 2 * 1024 * 1024
_MAX_TRAIN_BYTES = 65507 - 28
_MAX_TRAIN_SEGMENTS = 64
_READS_PER_WAKEUP = 64
_DATAGRAMS_PER_WAKEUP = 512
_CLOSE_TOGETHER = 100e-6  # seconds; a datagram that comes sooner after the last one is not alone
_MAX_QUEUED = 8192
_MAX_HOSTS = 8  # they travel in one datagram
_ANY_PORT = 9
_BROKEN_AFTER = 3
"""Datagrams in a row that did not leave because something is wrong on our side."""
_UNSENDABLE = {errno.EADDRNOTAVAIL, errno.EBADF, errno.ENODEV, errno.ENETDOWN}
_HOSTS_AGE = 10.0  # seconds; asking the system takes milliseconds

# Values of <netinet/in.h> and <linux/udp.h> that the socket module does not name.
_IP_MTU_DISCOVER, _IP_PMTUDISC_DO = 10, 2
_IPV6_MTU_DISCOVER, _LINUX_IPV6_DONTFRAG = 23, 62
_DARWIN_IP_DONTFRAG = 28
_WINDOWS_IP_DONTFRAGMENT = 14
_SOL_UDP, _UDP_SEGMENT, _UDP_GRO = 17, 103, 104
_SEGMENT_SIZE = struct.Struct("=H")
_GRO_SIZE = struct.Struct("=i")
_GRO_SPACE = 32


class SystemNetwork:
    """Sockets of this machine on the running event loop (it must support `add_reader`); IPv6 where the host is."""

    def __init__(self, *, offload: bool = True) -> None:
        self._offload = offload
        # One for all sockets: what was read leaves it before the next read, and a hole punch may open 256 of them.
        self._buffer = bytearray(1 << 16)
        self._hosts: list[str] = []
        self._hosts6: list[str] = []
        self._hosts_until = 0.0
        self._source = ""

    def open(self, host: str, port: int, receive: Receive) -> DatagramSocket:
        return SystemSocket(asyncio.get_running_loop(), host, port, receive, offload=self._offload, buffer=self._buffer)

    def local_hosts(self) -> list[str]:
        self._look_at_interfaces()
        return self._hosts

    def local_hosts6(self) -> list[str]:
        self._look_at_interfaces()
        return self._hosts6

    def source_host(self, to: str) -> str | None:
        with socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as asking:
            try:
                asking.connect((to, _ANY_PORT))
                host: str = asking.getsockname()[0]
            except OSError:  # no route
                return None
        if host != self._source and not host.startswith("127."):
            self._source, self._hosts_until = host, 0.0  # what was asked before may be old
        return host

    def _look_at_interfaces(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._hosts_until:
            (self._hosts, self._hosts6), self._hosts_until = _interface_hosts(), now + _HOSTS_AGE


def _interface_hosts() -> tuple[list[str], list[str]]:
    import psutil  # slow to import, and not needed on loopback

    hosts: list[str] = []
    hosts6: list[str] = []
    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    for name, addresses in psutil.net_if_addrs().items():
        for entry in addresses:
            if name in up and entry.family == socket.AF_INET and not entry.address.startswith("127."):
                hosts.append(entry.address)
            elif name in up and entry.family == socket.AF_INET6 and "%" not in entry.address and entry.address != "::1":
                hosts6.append(entry.address)
    return hosts[:_MAX_HOSTS], hosts6[:_MAX_HOSTS]


class SystemSocket:
    """One non-blocking UDP socket."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: str,
        port: int,
        receive: Receive,
        *,
        offload: bool,
        buffer: bytearray,
    ) -> None:
        """`buffer` has 64 KiB and may be shared by all sockets of one thread."""
        self._loop = loop
        self._receive = receive
        self._queue: deque[tuple[bytes, Address]] = deque()
        self._ipv6 = ":" in host
        self._socket = socket.socket(socket.AF_INET6 if self._ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            _tune(self._socket, ipv6=self._ipv6)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self.address: Address = self._socket.getsockname()[:2]
        self._unsent = 0
        self._gso = offload and sys.platform == "linux"
        self._gro = self._gso and _try_option(self._socket, _SOL_UDP, _UDP_GRO, 1)
        self._buffer = buffer
        self._view = memoryview(buffer)
        self._read = self._read_trains if self._gro else self._read_singles
        self._alone_at: float | None = None
        loop.add_reader(self._socket.fileno(), self._on_readable)

    def close(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._queue.clear()

    @property
    def broken(self) -> bool:
        return self._unsent >= _BROKEN_AFTER or self._socket.fileno() < 0

    # Receiving

    def _on_readable(self) -> None:
        """Reads what is there, but in a conversation, where each datagram comes alone, only that one.

        To look whether there is another takes as long as reading it; if there is, the loop's next turn says so.
        """
        time, alone_at = self._loop.time, self._alone_at
        batch = self._read(alone_at is not None and time() - alone_at > _CLOSE_TOGETHER)
        if self._ipv6:
            batch = [(datagram, (source[0], source[1])) for datagram, source in batch]
        self._alone_at = 0.0 if len(batch) == 1 else None
        if batch:
            self._receive(batch)
        if self._alone_at is not None:
            self._alone_at = time()

    def _read_singles(self, just_one: bool) -> list[tuple[bytes, Address]]:
        batch: list[tuple[bytes, Address]] = []
        receive_into, buffer, view = self._socket.recvfrom_into, self._buffer, self._view
        for _ in range(1 if just_one else _DATAGRAMS_PER_WAKEUP):
            try:
                size, address = receive_into(buffer)
            except BlockingIOError:
                break
            except OSError:  # an ICMP answer to something sent earlier (Windows reports it here); it names nobody
                if self._socket.fileno() < 0:
                    break
                continue
            batch.append((bytes(view[:size]), address))
        return batch

    def _read_trains(self, just_one: bool) -> list[tuple[bytes, Address]]:
        batch: list[tuple[bytes, Address]] = []
        receive_into, buffers, view = self._socket.recvmsg_into, [self._buffer], self._view
        for _ in range(1 if just_one else _READS_PER_WAKEUP):
            try:
                size, ancillary, _, address = receive_into(buffers, _GRO_SPACE)
            except BlockingIOError:
                break
            except OSError:
                if self._socket.fileno() < 0:
                    break
                continue
            segment = 0
            for level, kind, data in ancillary:
                if level == _SOL_UDP and kind == _UDP_GRO:
                    segment = _GRO_SIZE.unpack_from(data)[0]
            if not 0 < segment < size:
                batch.append((bytes(view[:size]), address))
                continue
            for start in range(0, size, segment):
                batch.append((bytes(view[start : min(start + segment, size)]), address))
            if len(batch) >= _DATAGRAMS_PER_WAKEUP:
                break
        return batch

    # Sending

    def send_many(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        if self._queue:
            self._enqueue(datagrams)
            return
        send = self._socket.sendto
        for index, (datagram, address) in enumerate(datagrams):
            try:
                send(datagram, address)
            except BlockingIOError:
                self._enqueue(datagrams[index:])
                return
            except OSError as error:
                self._lost(address, error)
                if self._socket.fileno() < 0:
                    return
            else:
                self._unsent = 0

    def _send_one(self, datagram: bytes, to: Address) -> None:
        try:
            self._socket.sendto(datagram, to)
        except BlockingIOError:
            self._enqueue([(datagram, to)])
        except OSError as error:
            self._lost(to, error)
        else:
            self._unsent = 0

    def send_train(self, datagrams: Sequence[bytes], to: Address) -> None:
        if len(datagrams) == 1 and not self._queue:
            self._send_one(datagrams[0], to)
            return
        self._alone_at = None  # what answers a train may be several
        if not self._gso or len(datagrams) < 2 or self._queue:
            self.send_many([(datagram, to) for datagram in datagrams])
            return
        index, count = 0, len(datagrams)
        while index < count:
            end = _train_end(datagrams, index)
            if end - index == 1:
                self.send_many([(datagrams[index], to)])
            elif not self._send_segments(datagrams[index:end], to):
                self.send_many([(datagram, to) for datagram in datagrams[index:end]])
            index = end

    def _send_segments(self, datagrams: Sequence[bytes], to: Address) -> bool:
        if self._queue:
            return False
        size = _SEGMENT_SIZE.pack(len(datagrams[0]))
        try:
            self._socket.sendmsg(datagrams, [(_SOL_UDP, _UDP_SEGMENT, size)], 0, to)
        except BlockingIOError:
            return False
        except OSError as error:
            # Longer than the path takes, or a device that cannot: one by one, then.
            if error.errno in (errno.EIO, errno.EOPNOTSUPP):
                self._gso = False
            logger.debug("no train of %d datagrams to %s: %s", len(datagrams), to, error)
            return False
        self._unsent = 0
        return True

    def send_with_ttl(self, datagram: bytes, to: Address, ttl: int) -> None:
        if self._socket.fileno() < 0:
            return
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        try:
            self._socket.sendto(datagram, to)
        except OSError as error:
            self._lost(to, error)
        finally:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, DEFAULT_TTL)

    def _lost(self, address: Address, error: OSError) -> None:
        self._unsent += error.errno in _UNSENDABLE
        # No route, refused, too long for the path: on UDP all of these are just loss.
        logger.debug("datagram to %s not sent: %s", address, error)

    def _enqueue(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        if not self._queue:
            self._loop.add_writer(self._socket.fileno(), self._on_writable)
        room = _MAX_QUEUED - len(self._queue)
        self._queue.extend(datagrams[: max(0, room)])

    def _on_writable(self) -> None:
        while self._queue:
            datagram, address = self._queue[0]
            try:
                self._socket.sendto(datagram, address)
            except BlockingIOError:
                return
            except OSError as error:
                self._lost(address, error)
            self._queue.popleft()
        self._loop.remove_writer(self._socket.fileno())


def _train_end(datagrams: Sequence[bytes], start: int) -> int:
    """How far from `start` datagrams make one train: all of one size, the last may be shorter."""
    size = len(datagrams[start])
    last = min(len(datagrams), start + _MAX_TRAIN_SEGMENTS, start + _MAX_TRAIN_BYTES // max(1, size))
    end = start + 1
    while end < last:
        length = len(datagrams[end])
        if length > size:
            break
        end += 1
        if length < size:
            break
    return end


def _try_option(sock: socket.socket, level: int, option: int, value: int) -> bool:
    try:
        sock.setsockopt(level, option, value)
    except OSError:
        return False
    return True


def _tune(sock: socket.socket, *, ipv6: bool) -> None:
    """Room for bursts, and no fragmentation: the MTU search needs oversized packets to be lost."""
    _try_option(sock, socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    _try_option(sock, socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    if ipv6:
        _try_option(sock, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _try_option(sock, socket.IPPROTO_IPV6, getattr(socket, "IPV6_DONTFRAG", _LINUX_IPV6_DONTFRAG), 1)
    if sys.platform == "linux":
        if ipv6:
            _try_option(sock, socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _IP_PMTUDISC_DO)
        _try_option(sock, socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)
    elif sys.platform == "darwin":
        _try_option(sock, socket.IPPROTO_IP, _DARWIN_IP_DONTFRAG, 1)
    elif sys.platform == "win32":
        _try_option(sock, socket.IPPROTO_IP, _WINDOWS_IP_DONTFRAGMENT, 1)
        # Otherwise an ICMP "port unreachable" makes every later read fail.
        sock.ioctl(0x9800000C, 0)
