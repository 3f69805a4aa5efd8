"""Receipts: one encoding that both sign, given behind answers, kept by both, and checked by a third person."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed_entry

from app.cli.main import main as command
from app.cli.output import Output
from app.cli.receipts import _list as list_receipts
from app.presenters.receipts import receipt_rows
from qvac_core.core.receipts import check_file, write_receipts
from qvac_core.core.receipts_room import KeptReceipt, ReceiptSide, ReceiptState
from qvac_core.delegation.consumer import Consumer, Delegate
from qvac_core.delegation.events import RequestEnded
from qvac_core.delegation.messages import GuestWord, ModelEntry, OfferedReceipt, Receipts, ReceiptsReply
from qvac_core.delegation.receipts import (
    MOST_BYTES,
    MOST_LETTERS,
    NO_FILE_SEEN,
    Objection,
    Party,
    Receipt,
    Seen,
    decoded,
    encoded,
    is_signed,
    objection,
    signature_of,
)
from qvac_core.engines.interface import AtServer
from qvac_core.errors import RemoteProtocolError, StoreError
from qvac_core.hyperdht import KeyPair
from tests.unit.delegation_room import ASK, Room, admitting, provider_room
from tests.unit.memory_stream import run, settle
from tests.unit.receipt_books import GUEST, OTHER, PROVIDER, Book, book
from tests.unit.scripted_engine import SMOL

RUNNER = run

RECEIPT = Receipt(
    provider=PROVIDER.public_key,
    guest=GUEST.public_key,
    id=b"\x07" * 16,
    request_id="request-1",
    method="completionStream",
    model=SMOL.name,
    model_sha256="ab" * 32,
    quantization="q4_1",
    prompt_tokens=31,
    generated_tokens=3,
    amount=0,
    unit="",
    started_ms=1_790_000_000_000,
    ended_ms=1_790_000_000_300,
    outcome="eos",
)
SEEN = Seen(
    PROVIDER.public_key.hex(),
    *("request-1", "completionStream", 1_790_000_000.0, 1_790_000_001.0, SMOL.name, "ab" * 32),
    *(120, 3, 31, 3),
)
DELEGATE = Delegate(PROVIDER.public_key)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[tuple[Book, Book]]:
    """The provider's and the guest's."""
    with book(tmp_path / "provider", PROVIDER) as provider, book(tmp_path / "guest", GUEST) as guest:
        yield provider, guest


def room_of(provider: Book | None, *keys: bytes) -> AbstractAsyncContextManager[Room]:
    rules = admitting(*(keys or (GUEST.public_key,)))
    return provider_room(rules, provider_key=PROVIDER.public_key, receipts=provider)


async def load(consumer: Consumer) -> str:
    await consumer.list_models(DELEGATE)
    return (await consumer.load_model(SMOL.name, delegate=DELEGATE)).model_id


async def until(found: object, ready: object) -> None:
    """Wait for what the books say; jumping time makes that instant."""
    async with asyncio.timeout(60):
        while not ready():  # type: ignore[operator]
            await asyncio.sleep(0.05)
    assert found is not None


def states(kept: Book) -> list[ReceiptState]:
    return [one.state for one in kept.all]


# --- The encoding


def test_the_encoding_is_the_only_one_of_what_it_says() -> None:
    body = encoded(RECEIPT)
    assert decoded(body) == RECEIPT and len(body) < 400
    # A longer form of a number says the same to a reader of compact encoding: as a receipt it is none.
    at = body.index(b"\x1f\x03\x00")
    longer = body[:at] + b"\xfd\x1f\x00" + body[at + 1 :]
    for wrong in (longer, body + b"\x00", body[:-1], b"", b"\x02" + body[1:], bytes(MOST_BYTES + 1)):
        with pytest.raises(RemoteProtocolError):
            decoded(wrong)


def test_a_signature_is_of_one_side_one_receipt_and_one_purpose() -> None:
    body = encoded(RECEIPT)
    by_provider = signature_of(Party.PROVIDER, body, PROVIDER.secret_key)
    assert is_signed(Party.PROVIDER, body, by_provider, PROVIDER.public_key)
    assert not is_signed(Party.GUEST, body, by_provider, PROVIDER.public_key)
    assert not is_signed(Party.PROVIDER, body, by_provider, OTHER.public_key)
    assert not is_signed(
        Party.PROVIDER, encoded(replace(RECEIPT, generated_tokens=4)), by_provider, PROVIDER.public_key
    )
    assert not is_signed(Party.PROVIDER, b"", by_provider, PROVIDER.public_key)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, None),
        ({"guest": OTHER.public_key}, Objection.KEYS),
        ({"provider": OTHER.public_key}, Objection.KEYS),
        ({"request_id": "request-2"}, Objection.KEYS),
        ({"method": "embed"}, Objection.METHOD),
        ({"model_sha256": "cd" * 32}, Objection.MODEL),
        ({"ended_ms": RECEIPT.started_ms - 1}, Objection.TIME),
        ({"ended_ms": RECEIPT.started_ms + 600_000}, Objection.TIME),
        ({"started_ms": 0, "ended_ms": 300}, Objection.TIME),
        ({"prompt_tokens": 32}, Objection.PROMPT),
        ({"generated_tokens": 4}, Objection.TOKENS),
        ({"generated_tokens": 2}, Objection.TOKENS),
        # What was cut is known to its guest only within bounds.
        ({"outcome": "disconnected", "generated_tokens": 40, "prompt_tokens": 40}, None),
        ({"outcome": "disconnected", "generated_tokens": 5000}, Objection.TOKENS),
        ({"outcome": "cancelled", "prompt_tokens": 100_000}, Objection.PROMPT),
    ],
)
def test_a_guest_signs_what_it_knows_to_be_so(changed: dict[str, object], why: Objection | None) -> None:
    assert objection(replace(RECEIPT, **changed), SEEN, GUEST.public_key) is why  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("amount", "unit", "why"),
    [
        (9_900, "seconds", None),
        (10_900, "seconds", None),
        (12_000, "seconds", Objection.AMOUNT),
        (9_900, "texts", Objection.AMOUNT),
    ],
)
def test_no_more_sound_is_signed_than_was_sent(amount: int, unit: str, why: Objection | None) -> None:
    receipt = replace(RECEIPT, method="transcribe", prompt_tokens=0, generated_tokens=0, amount=amount, unit=unit)
    seen = changed_entry(
        SEEN, method="transcribe", prompt_tokens=None, generated_tokens=None, amount=10.0, unit="seconds"
    )
    assert objection(receipt, seen, GUEST.public_key) is why


def test_a_request_has_one_whole_receipt() -> None:
    assert objection(RECEIPT, SEEN, GUEST.public_key, (False, False)) is None
    assert objection(RECEIPT, SEEN, GUEST.public_key, (False, True)) is Objection.TWICE
    assert objection(replace(RECEIPT, outcome="disconnected"), SEEN, GUEST.public_key, (True,)) is None
    assert objection(replace(RECEIPT, outcome="disconnected"), SEEN, GUEST.public_key, (False,) * 8) is Objection.TWICE


# --- Between two


async def test_both_sides_sign_an_answer_and_keep_it(books: tuple[Book, Book]) -> None:
    provider, guest = books

    async with room_of(provider) as room:
        consumer = room.consumer(GUEST.public_key, receipts=guest)
        model_id = await load(consumer)
        answer = await consumer.completion(model_id, ASK)
        assert await answer.text == "one two three"
        await until(provider, lambda: states(provider) == [ReceiptState.SIGNED] == states(guest))
        await consumer.close()
        (ended,) = [event for event in room.events if isinstance(event, RequestEnded)]
        (given,), (taken,) = provider.all, guest.all
        assert (given.side, taken.side) == (ReceiptSide.GIVEN, ReceiptSide.TAKEN)
        assert given.body == taken.body and given.guest_signature == taken.guest_signature
        receipt = decoded(given.body)
        assert (receipt.model, receipt.model_sha256, receipt.quantization) == (SMOL.name, SMOL.sha256, "q4_1")
        assert (receipt.prompt_tokens, receipt.generated_tokens) == (31, 3)
        assert (receipt.request_id, receipt.id.hex(), receipt.outcome) == (answer.request_id, ended.id, "eos")
        assert is_signed(Party.PROVIDER, given.body, given.provider_signature, PROVIDER.public_key)
        assert is_signed(Party.GUEST, given.body, given.guest_signature, GUEST.public_key)


async def test_of_a_model_that_another_server_runs_it_says_so(
    books: tuple[Book, Book], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the place of a checksum is none of weights."""
    provider, guest = books
    at_server = replace(SMOL, quantization="", at=AtServer("Ollama", "smollm2:135m"))
    monkeypatch.setattr("tests.unit.scripted_engine.SMOL", at_server)

    async with room_of(provider) as room:
        consumer = room.consumer(GUEST.public_key, receipts=guest)
        answer = await consumer.completion(await load(consumer), ASK)
        await answer.text
        await until(provider, lambda: states(provider) == [ReceiptState.SIGNED] == states(guest))
        await consumer.close()
        assert decoded(guest.all[0].body).quantization == NO_FILE_SEEN


async def test_the_answer_does_not_wait_for_it(books: tuple[Book, Book]) -> None:
    """The last word is there before anything is said of receipts, and a book that hangs holds up nothing."""
    provider, guest = books
    hangs = asyncio.Event()

    async def unsigned(guest: str, limit: int) -> list[OfferedReceipt]:
        await hangs.wait()
        return []

    provider.unsigned = unsigned  # type: ignore[method-assign]

    async with room_of(provider) as room:
        consumer = room.consumer(GUEST.public_key, receipts=guest)
        model_id = await load(consumer)
        loop = asyncio.get_running_loop()
        for _ in range(3):
            started = loop.time()
            answer = await consumer.completion(model_id, ASK)
            assert await answer.text == "one two three"
            assert loop.time() - started < 0.5
        started = loop.time()
        await consumer.close()
        assert loop.time() - started < 3.0
    assert states(guest) == [ReceiptState.AWAITED] * 3


async def test_an_answer_that_was_cut_has_its_receipt_when_its_guest_is_back(books: tuple[Book, Book]) -> None:
    provider, guest = books

    async with room_of(provider) as room:
        room.pool.model.words = [f"w{number} " for number in range(60)]
        consumer = room.consumer(GUEST.public_key, receipts=guest)
        model_id = await load(consumer)
        answer = await consumer.completion(model_id, ASK)
        said = answer.token_stream
        for _ in range(5):
            await anext(said)
        room.streams[0].destroy()
        await until(provider, lambda: states(provider) == [ReceiptState.UNSIGNED])
        assert states(guest) == [ReceiptState.AWAITED]
        await consumer.list_models(DELEGATE)
        await until(provider, lambda: states(provider) == [ReceiptState.SIGNED] == states(guest))
        await consumer.close()
        receipt = decoded(guest.all[0].body)
        assert receipt.outcome == "disconnected" and 5 <= receipt.generated_tokens < 60


async def test_a_cancelled_answer_has_one_too(books: tuple[Book, Book]) -> None:
    provider, guest = books

    async with room_of(provider) as room:
        consumer = room.consumer(GUEST.public_key, receipts=guest)
        model_id = await load(consumer)
        answer = await consumer.completion(model_id, ASK)
        await anext(answer.token_stream)
        await answer.leave()
        await until(provider, lambda: states(provider) == [ReceiptState.SIGNED] == states(guest))
        await consumer.close()
        assert decoded(guest.all[0].body).outcome == "cancelled"


async def test_a_guest_that_refuses_is_noted_as_such(books: tuple[Book, Book]) -> None:
    provider, guest = books

    async with room_of(provider) as room:
        room.pool.model.end = None
        consumer = room.consumer(GUEST.public_key, receipts=guest)
        model_id = await load(consumer)
        consumer._files[PROVIDER.public_key][SMOL.name] = replace_entry(consumer, "cd" * 32)
        await (await consumer.completion(model_id, ASK)).text
        await until(provider, lambda: states(provider) == [ReceiptState.REFUSED] == states(guest))
        await consumer.close()
    assert (provider.all[0].reason, guest.all[0].reason) == ("model", "model")
    assert not provider.all[0].guest_signature and not guest.all[0].guest_signature


def replace_entry(consumer: Consumer, sha256: str) -> ModelEntry:
    return changed_entry(consumer._files[PROVIDER.public_key][SMOL.name], sha256=sha256)


def test_a_guest_or_a_provider_without_receipts_has_none(books: tuple[Book, Book]) -> None:
    """As one of 0.16, or one of ours from before there were any: nothing more crosses the wire."""
    provider, guest = books

    async def main(given: Book | None, taken: Book | None) -> None:
        async with room_of(given) as room:
            consumer = room.consumer(GUEST.public_key, receipts=taken)
            model_id = await load(consumer)
            assert await (await consumer.completion(model_id, ASK)).text == "one two three"
            await asyncio.sleep(10)
            await consumer.close()
            assert b"eceipts" not in room.streams[0].written.replace(b'"receipts"', b"", 1 if taken else 0)

    run(main(provider, None))
    run(main(None, guest))
    assert not provider.all and not guest.all


async def test_a_provider_that_gives_none_is_asked_a_few_times(books: tuple[Book, Book]) -> None:
    provider, guest = books
    provider.give = lambda receipt: None  # type: ignore[method-assign]

    async with room_of(provider) as room:
        consumer = room.consumer(GUEST.public_key, receipts=guest)
        model_id = await load(consumer)
        await (await consumer.completion(model_id, ASK)).text
        await until(guest, lambda: states(guest) == [ReceiptState.NONE])
        await asyncio.sleep(60)
        asked = room.streams[0].written.count(b'"type":"receipts"')
        assert asked == 3
        await consumer.close()


# --- Hostile


def offer(receipt: Receipt, by: object = PROVIDER) -> OfferedReceipt:
    body = encoded(receipt)
    return OfferedReceipt(body.hex(), signature_of(Party.PROVIDER, body, by.secret_key).hex())  # type: ignore[attr-defined]


def taken(guest: Book, receipt: Receipt, by: object = PROVIDER) -> GuestWord | None:
    return run(guest.take(PROVIDER.public_key.hex(), offer(receipt, by)))


def test_a_provider_cannot_have_more_signed_than_it_served(books: tuple[Book, Book]) -> None:
    _, guest = books
    run(guest.note(SEEN))
    for wrong in (
        replace(RECEIPT, generated_tokens=3000),
        replace(RECEIPT, prompt_tokens=3000),
        replace(RECEIPT, model_sha256="cd" * 32),
        replace(RECEIPT, guest=OTHER.public_key),
        replace(RECEIPT, provider=OTHER.public_key),
    ):
        word = taken(guest, wrong)
        assert word is not None and not isinstance(word.signature, str), wrong
    word = taken(guest, RECEIPT, by=OTHER)
    assert word is not None and word.refusal == "signature"
    assert taken(guest, replace(RECEIPT, request_id="never asked")) is None
    assert isinstance(taken(guest, RECEIPT).signature, str)  # type: ignore[union-attr]
    again = taken(guest, RECEIPT)
    assert again is not None and isinstance(again.signature, str)  # the word of it may have been lost
    twice = taken(guest, replace(RECEIPT, id=b"\x08" * 16))
    assert twice is not None and twice.refusal == "twice"


@pytest.mark.parametrize("signer", [PROVIDER, OTHER], ids=["good", "refused"])
async def test_one_that_is_offered_again_is_kept_once(books: tuple[Book, Book], signer: KeyPair) -> None:
    """The word of it was lost on its way: the connection ended between the offer and the signature."""
    _, guest = books
    await guest.note(SEEN)
    first = await guest.take(PROVIDER.public_key.hex(), offer(RECEIPT, signer))
    assert await guest.take(PROVIDER.public_key.hex(), offer(RECEIPT, signer)) == first is not None
    assert [one.id for one in guest.all] == [RECEIPT.id.hex()]


async def test_two_connections_at_once_have_one_whole_receipt_signed(books: tuple[Book, Book]) -> None:
    """An old connection and the one that takes its place both offer, and neither waits for the other."""
    _, guest = books
    await guest.note(SEEN)
    one, other = RECEIPT, replace(RECEIPT, id=b"\x08" * 16)
    words = await asyncio.gather(*(guest.take(PROVIDER.public_key.hex(), offer(each)) for each in (one, one, other)))
    assert [isinstance(word.signature, str) for word in words if word is not None] == [True, True, False]
    assert sorted(state.value for state in states(guest)) == ["refused", "signed"]


@pytest.mark.parametrize("when", [2**64 - 1, 2**63, 253_402_300_800_000])
async def test_a_provider_names_a_time_that_no_calendar_has(books: tuple[Book, Book], when: int) -> None:

    _, guest = books
    await guest.note(SEEN)
    body = encoded(replace(RECEIPT, started_ms=when, ended_ms=when, amount=2**64 - 1))
    signature = signature_of(Party.PROVIDER, body, PROVIDER.secret_key)
    word = await guest.take(PROVIDER.public_key.hex(), OfferedReceipt(body.hex(), signature.hex()))
    assert word is not None and word.refusal == Objection.TIME
    (row,) = receipt_rows(guest.all, lambda _: "", lambda model: model)
    assert row.key
    assert list_receipts(guest.all, Output(as_json=False)) == 0


def test_what_is_no_receipt_is_passed_over(books: tuple[Book, Book]) -> None:
    _, guest = books
    run(guest.note(SEEN))
    for body in ("00", "ff" * 2000, encoded(RECEIPT).hex() + "00"):
        assert run(guest.take(PROVIDER.public_key.hex(), OfferedReceipt(body, "00" * 64))) is None


async def test_a_guest_has_no_word_about_anothers_receipt(books: tuple[Book, Book]) -> None:
    provider, _ = books

    async with room_of(provider, GUEST.public_key, OTHER.public_key) as room:
        consumer = room.consumer(GUEST.public_key)
        other = room.consumer(OTHER.public_key)
        provider.give(RECEIPT)
        await settle()
        connection = await other._ready(DELEGATE)
        assert (await connection.ask(Receipts(["request-1"]), ReceiptsReply, 5)).receipts == []
        signature = signature_of(Party.GUEST, encoded(RECEIPT), OTHER.secret_key).hex()
        for word in (GuestWord("07" * 16, signature), GuestWord("07" * 16, refusal="keys")):
            assert not await provider.hear(OTHER.public_key.hex(), word)
        assert states(provider) == [ReceiptState.UNSIGNED]
        # Its own guest, with another's signature: as good as none, and what a guest writes is kept in no case.
        assert await provider.hear(GUEST.public_key.hex(), GuestWord("07" * 16, signature))
        assert (provider.all[0].state, provider.all[0].reason) == (ReceiptState.REFUSED, "signature")
        assert await provider.hear(GUEST.public_key.hex(), GuestWord("07" * 16, refusal="<b>hello</b>"))
        assert provider.all[0].reason == ""
        await consumer.close()
        await other.close()


async def test_a_signature_that_was_given_stays(books: tuple[Book, Book]) -> None:
    provider, _ = books

    provider.give(RECEIPT)
    await settle()
    word = GuestWord("07" * 16, signature_of(Party.GUEST, encoded(RECEIPT), GUEST.secret_key).hex())
    assert await provider.hear(GUEST.public_key.hex(), word)
    await provider.hear(GUEST.public_key.hex(), GuestWord("07" * 16, refusal="keys"))
    assert states(provider) == [ReceiptState.SIGNED]


# --- Files


def signed(receipt: Receipt = RECEIPT, *, guest: bool = True) -> KeptReceipt:
    body = encoded(receipt)
    return KeptReceipt(
        ReceiptSide.GIVEN,
        receipt.guest.hex(),
        receipt.request_id,
        body=body,
        provider_signature=signature_of(Party.PROVIDER, body, PROVIDER.secret_key),
        guest_signature=signature_of(Party.GUEST, body, GUEST.secret_key) if guest else b"",
    )


def test_a_third_person_checks_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "receipts.jsonl"
    second = signed(replace(RECEIPT, id=b"\x08" * 16, model="m\u00fc\u4e2d\U0001f600", request_id='"\\\n'))
    assert write_receipts(file, [signed(), second]) == 2
    assert [one.good for one in check_file(file)] == [True, True]
    assert command(["receipts", "verify", str(file), "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["good"] for one in said] == [True, True]
    assert said[0]["modelSha256"] == "ab" * 32 and said[0]["promptTokens"] == 31


def test_whatever_is_changed_in_a_file_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "receipts.jsonl"
    write_receipts(file, [signed()])
    line = json.loads(file.read_text())
    for name, value in line.items():
        if isinstance(value, int):
            other: object = value + 1
        else:
            other = value.replace(value[-1], "1" if value[-1] != "1" else "2") if value else "x"
        file.write_text(json.dumps({**line, name: other}) + "\n")
        (checked,) = check_file(file)
        assert not checked.good and checked.wrong, name
    others: list[object] = [{}, [], {**line, "more": 1}, {key: value for key, value in line.items() if key != "unit"}]
    for wrong in others:
        file.write_text(json.dumps(wrong) + "\n")
        assert not check_file(file)[0].good


def test_what_stands_behind_the_signed_part_of_a_long_text_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "receipts.jsonl"
    write_receipts(file, [signed(replace(RECEIPT, model="m" * MOST_LETTERS))])
    line = json.loads(file.read_text())
    assert check_file(file)[0].good
    file.write_text(json.dumps({**line, "model": line["model"] + " and much more"}) + "\n")
    assert not check_file(file)[0].good


def test_what_counts_once_is_told_once_and_a_word_alone_is_told_as_such(tmp_path: Path) -> None:
    file = tmp_path / "receipts.jsonl"
    write_receipts(file, [signed(), signed(), signed(replace(RECEIPT, id=b"\x09" * 16), guest=False)])
    first, again, alone = check_file(file)
    assert first.good and not again.good and "once" in again.wrong
    assert not alone.good and alone.by_provider and not alone.by_guest and "provider's word" in alone.wrong


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00", b"[" * 20_000, b'{"type":' * 3000, b"hello\n" * 3])
def test_a_file_of_something_else_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "receipts.jsonl"
    file.write_bytes(content)
    try:
        assert not any(one.good for one in check_file(file))
    except StoreError as error:
        assert "no receipt" in error.message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name on Windows")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # type: ignore[attr-defined,unused-ignore]
    with pytest.raises(StoreError, match="no file of receipts"):
        check_file(pipe)


def test_the_command_lists_exports_and_verifies(
    books: tuple[Book, Book], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from qvac_core.store.database import Database
    from qvac_core.store.folders import DataDir
    from qvac_core.store.receipts import Receipts as KeptReceipts

    folder = DataDir.locate(tmp_path / "data").create()
    database = Database.open(folder.database_file, now=time.time())
    KeptReceipts(database).put(replace(signed(), model=SMOL.name, state=ReceiptState.SIGNED, started_at=time.time()))
    KeptReceipts(database).put(
        replace(signed(replace(RECEIPT, id=b"\x08" * 16), guest=False), side=ReceiptSide.TAKEN, peer="a1" * 32)
    )
    database.close()
    data = ("--data-dir", str(tmp_path / "data"))

    def told(*arguments: str) -> list[dict[str, object]]:
        assert command(["receipts", *arguments, "--json", *data]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [one["side"] for one in told()] == ["given", "taken"]
    assert [one["publicKey"] for one in told("list", "--side", "taken")] == ["a1" * 32]
    assert len(told("list", "--key", GUEST.public_key.hex())) == 1
    assert told("export", str(tmp_path / "out.jsonl"))[0]["receipts"] == 2
    assert command(["receipts", "export", str(tmp_path / "out.jsonl"), *data]) == 1
    assert "--yes" in capsys.readouterr().err
    assert told("export", str(tmp_path / "out.jsonl"), "--yes", "--side", "given")[0]["receipts"] == 1
    assert command(["receipts", "verify", str(tmp_path / "out.jsonl")]) == 0
    assert "Signed by both" in capsys.readouterr().out
    heard = replace(RECEIPT, id=b"\x09" * 16, prompt_tokens=0, generated_tokens=0, amount=12_500, unit="seconds")
    assert write_receipts(tmp_path / "heard.jsonl", [signed(heard)]) == 1
    assert command(["receipts", "verify", str(tmp_path / "heard.jsonl")]) == 0
    assert "12.5 s of sound  Signed by both" in (out := capsys.readouterr().out) and "0 tokens, 12.5 s of sound" in out
    assert command(["receipts", "verify", str(tmp_path / "nothing.jsonl")]) == 1
    assert command(["receipts", "verify"]) == 1
    assert command(["receipts", "export", str(folder.database_file), "--yes", *data]) == 1


async def test_a_full_disk_costs_a_receipt_and_no_answer(books: tuple[Book, Book]) -> None:
    provider, guest = books

    def full(receipt: KeptReceipt) -> None:
        raise StoreError("the disk is full", name="DISK_FULL")

    provider.receipts.put = guest.receipts.put = full  # type: ignore[method-assign]

    async with room_of(provider) as room:
        consumer = room.consumer(GUEST.public_key, receipts=guest)
        model_id = await load(consumer)
        assert await (await consumer.completion(model_id, ASK)).text == "one two three"
        await asyncio.sleep(10)
        await consumer.close()
    assert not provider.all and not guest.all


def test_old_ones_are_forgotten_with_the_log(books: tuple[Book, Book]) -> None:
    provider, _ = books
    provider.receipts.put(replace(signed(), started_at=1000.0))
    provider.receipts.put(replace(signed(), started_at=1000.0 + 40 * 86_400))
    provider.receipts.prune(1000.0 + 41 * 86_400, 0)
    assert len(states(provider)) == 2
    provider.receipts.prune(1000.0 + 41 * 86_400, 30)
    assert len(states(provider)) == 1
    provider.receipts.clear(ReceiptSide.TAKEN)
    assert len(states(provider)) == 1
    provider.receipts.clear(ReceiptSide.GIVEN)
    assert not provider.all
