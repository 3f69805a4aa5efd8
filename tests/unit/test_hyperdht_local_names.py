"""The messages of the local network: how other programs see them, what they tell, what is not taken for one."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf import DNSAddress, DNSIncoming, DNSOutgoing, DNSQuestion, DNSService

from qvac_core.codec import blake2b
from qvac_core.hyperdht.lan.local_names import (
    MAX_MESSAGE_BYTES,
    SERVICE,
    Question,
    decode_answer,
    decode_question,
    encode_answer,
    encode_question,
    service_name,
)

KEY = bytes(range(32))
QUESTION = Question(0xBEEF, service_name(KEY))
SRV, A, PTR, IN = 33, 1, 12, 1
RESPONSE = 0x8400


def test_the_name_is_a_hash_and_not_the_one_the_network_knows() -> None:
    name = service_name(KEY)
    label = name.removesuffix(f".{SERVICE}")
    assert len(label) == 32
    assert KEY.hex() not in name
    assert label not in blake2b(KEY).hex()
    assert service_name(KEY) == name != service_name(KEY[::-1])


def test_a_question_is_one_srv_question_with_its_number() -> None:
    data = encode_question(QUESTION)
    assert data[:2] == b"\xbe\xef"
    (asked,) = DNSIncoming(data).questions
    assert (asked.name, asked.type, asked.class_) == (QUESTION.name, SRV, IN)
    assert decode_question(data) == QUESTION


def test_an_answer_carries_port_and_address_and_no_name_of_the_machine() -> None:
    data = encode_answer(QUESTION, ("192.168.7.8", 49737))
    message = DNSIncoming(data)
    assert message.is_response()
    assert message.id == QUESTION.id
    assert [question.name for question in message.questions] == [QUESTION.name]
    service, address = message.answers()
    assert isinstance(service, DNSService)
    assert isinstance(address, DNSAddress)
    assert (service.name, service.port, service.server) == (QUESTION.name, 49737, address.name)
    assert address.address == socket.inet_aton("192.168.7.8")
    assert max(service.ttl, address.ttl) <= 10
    assert socket.gethostname().encode() not in data
    assert decode_answer(data, QUESTION) == 49737


def test_questions_that_enumerate_are_not_answered() -> None:
    for name, kind in (
        (SERVICE, PTR),
        (SERVICE, SRV),
        ("_services._dns-sd._udp.local.", PTR),
        (QUESTION.name, A),
        (QUESTION.name, 255),
        (QUESTION.name.replace("_qvac", "_http"), SRV),
    ):
        out = DNSOutgoing(0, multicast=False, id_=1)
        out.add_question(DNSQuestion(name, kind, IN))
        assert decode_question(out.packets()[0]) is None, name


def answer(question: Question, name: str | None = None, *, port: int = 7, id: int | None = None) -> bytes:
    out = DNSOutgoing(RESPONSE, multicast=False, id_=question.id if id is None else id)
    service = DNSService(name or question.name, SRV, IN, 10, 0, 0, port, "x.local.")
    out.add_answer_at_time(service, 0)
    return out.packets()[0]


def test_only_the_answer_to_the_question_counts() -> None:
    assert decode_answer(answer(QUESTION), QUESTION) == 7
    assert decode_answer(answer(QUESTION, id=1), QUESTION) is None
    assert decode_answer(answer(QUESTION, service_name(bytes(32))), QUESTION) is None
    assert decode_answer(answer(QUESTION, port=0), QUESTION) is None
    assert decode_answer(encode_question(QUESTION), QUESTION) is None
    assert decode_question(answer(QUESTION)) is None


def test_long_messages_are_not_unpacked() -> None:
    data = encode_question(QUESTION)
    assert decode_question(data + bytes(MAX_MESSAGE_BYTES - len(data))) == QUESTION
    assert decode_question(data + bytes(MAX_MESSAGE_BYTES - len(data) + 1)) is None


@given(
    st.binary(max_size=600), st.sampled_from([b"", encode_question(QUESTION), encode_answer(QUESTION, ("1.2.3.4", 5))])
)
def test_any_bytes_are_survived(data: bytes, real: bytes) -> None:
    for message in (data, real[: len(data) % (len(real) + 1)] + data, data + real):
        found = decode_question(message)
        assert found is None or found.name.endswith(SERVICE)
        port = decode_answer(message, QUESTION)
        assert port is None or 0 < port < 65536


@pytest.mark.parametrize("place", range(len(encode_answer(QUESTION, ("192.168.7.8", 49737)))))
def test_an_answer_with_one_wrong_byte_never_raises(place: int) -> None:
    data = bytearray(encode_answer(QUESTION, ("192.168.7.8", 49737)))
    for value in (0, 0xC0, 0xFF):
        data[place] = value
        decode_answer(bytes(data), QUESTION)
        decode_question(bytes(data))
