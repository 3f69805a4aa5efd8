"""What is said on the local network: the question for one key, and the answer with a port. Multicast DNS messages.

Ours, in the form of RFC 6762 section 6.7 (one-shot queries and their unicast answers); zeroconf packs and unpacks them.
The name is a keyed hash: who does not know the key learns nothing from it, and who does not name it gets no answer.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from zeroconf import DNSAddress, DNSIncoming, DNSOutgoing, DNSQuestion, DNSService
from zeroconf.const import (
    _CLASS_IN,
    _CLASS_MASK,
    _FLAGS_AA,
    _FLAGS_QR_QUERY,
    _FLAGS_QR_RESPONSE,
    _TYPE_A,
    _TYPE_SRV,
)

from qvac_core.codec import Address, blake2b

MAX_MESSAGE_BYTES = 512
"""Ours have less than 200. Nothing longer is unpacked."""
SERVICE = "_qvac._udp.local."
_MARK = b"\x05_qvac\x04_udp"
_NAME_KEY = b"qvac-desktop local network 1"
_NAME_BYTES = 16
# RFC 6762 section 6.7: what a one-shot query gets must not be kept for longer.
_TTL = 10


@dataclass(frozen=True, slots=True)
class Question:
    """`id` comes back in the answer; `name` is the service name of the key that is looked for."""

    id: int
    name: str


def service_name(public_key: bytes) -> str:
    """The name that stands for a key on the local network. It is not the hash that the DHT's nodes see."""
    return f"{blake2b(public_key, key=_NAME_KEY, size=_NAME_BYTES).hex()}.{SERVICE}"


def encode_question(question: Question) -> bytes:
    out = DNSOutgoing(_FLAGS_QR_QUERY, multicast=False, id_=question.id)
    out.add_question(DNSQuestion(question.name, _TYPE_SRV, _CLASS_IN))
    return out.packets()[0]


def decode_question(data: bytes) -> Question | None:
    """A question for one of our names; None for all else that is said on this port."""
    message = _decode(data)
    if message is None or not message.is_query():
        return None
    for asked in message.questions[:1]:
        if asked.type == _TYPE_SRV and asked.name.endswith(f".{SERVICE}"):
            return Question(message.id, asked.name)
    return None


def encode_answer(question: Question, address: Address) -> bytes:
    """The service is at this IPv4 address and port."""
    host, port = address
    # A host name of its own for every service: the machine's is nobody's business.
    target = f"{question.name.partition('.')[0]}.local."
    out = DNSOutgoing(_FLAGS_QR_RESPONSE | _FLAGS_AA, multicast=False, id_=question.id)
    out.add_question(DNSQuestion(question.name, _TYPE_SRV, _CLASS_IN))
    out.add_answer_at_time(DNSService(question.name, _TYPE_SRV, _CLASS_IN, _TTL, 0, 0, port, target), 0)
    out.add_additional_answer(DNSAddress(target, _TYPE_A, _CLASS_IN, _TTL, socket.inet_aton(host)))
    return out.packets()[0]


def decode_answer(data: bytes, question: Question) -> int | None:
    """The port in an answer to this question; None for anything else.

    The address records are for other programs: ours takes the host that the answer came from, so that nobody can send
    it to a third one.
    """
    message = _decode(data)
    if message is None or not message.is_response() or message.id != question.id:
        return None
    for record in message.answers():
        if (
            isinstance(record, DNSService)
            and record.name == question.name
            and record.class_ & _CLASS_MASK == _CLASS_IN
            and record.port
        ):
            return record.port
    return None


def _decode(data: bytes) -> DNSIncoming | None:
    # Everything else that is said on this port is left out before it costs anything.
    if len(data) > MAX_MESSAGE_BYTES or _MARK not in data:
        return None
    message = DNSIncoming(data)
    return message if message.valid else None
