"""What is kept of guests' questions: nothing by default, and only of those who were told before they asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

from qvac_core.core.receipts import check_file
from qvac_core.core.receipts_room import ReceiptQuery, ReceiptSide, ReceiptState
from qvac_core.core.state import AnswerPlace, LogEntry, ProvidersChanged, RequestEnded, RequestProgressed, Target
from tests.e2e.test_core import LONG, QUESTION, Watched, admitted, run


def test_contents_are_kept_of_guests_who_were_told(small_model_path: Path, tmp_path: Path) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        conversation = await admitted(owner, guest, small_model_path)
        await owner.core.set_setting("machine_name", "Studio desktop")
        entry = await guest.core.connect_provider(owner.core.public_key)
        assert not entry.keeps_contents
        await guest.answer_of(await guest.core.ask(conversation, QUESTION))
        first = await newest(owner, 1)
        history = owner.core.history
        assert await history.contents(first.id) is None and not await history.has_contents()

        # Switched on while the guest is connected: it is told, before its next question.
        await owner.core.set_setting("sharing.keep_contents", "true")
        await guest.until(ProvidersChanged, lambda event: any(p.keeps_contents for p in event.providers))
        answer = await guest.answer_of(await guest.core.ask(conversation, "And of Italy?"))
        second = await newest(owner, 2)
        kept = await history.contents(second.id)
        assert kept is not None
        assert (kept.question, kept.answer.strip()) == ("And of Italy?", answer.text.strip())
        assert await history.contents(first.id) is None

        # Off again: what was kept stays until it is cleared, with the log or by itself.
        await owner.core.set_setting("sharing.keep_contents", "false")
        await guest.answer_of(await guest.core.ask(conversation, "And of Spain?"))
        third = await newest(owner, 3)
        assert await history.contents(third.id) is None
        await history.forget_contents()
        await signed_by_both(owner, guest, 3, tmp_path / "receipts.jsonl")
        assert not await history.has_contents() and len(await owner.core.request_log()) == 3

    run(test, tmp_path)


def test_a_request_in_the_line_is_shown_and_can_be_removed(small_model_path: Path, tmp_path: Path) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        await owner.core.set_setting("sharing.slots", "1")
        conversation = await admitted(owner, guest, small_model_path)
        other = (await guest.core.new_conversation(await target_of(guest, conversation))).id
        await guest.answer_of(await guest.core.ask(other, QUESTION))  # from now on it is known how long one takes
        running = await guest.core.ask(conversation, LONG)
        await owner.until(RequestProgressed, lambda event: event.request.tokens > 3)
        waiting = await guest.core.ask(other, QUESTION)
        placed = await owner.until(RequestProgressed, lambda event: event.request.place == 1)
        assert placed.request.wait_until is not None
        told = await guest.until(AnswerPlace, lambda event: event.message_id == waiting and event.place == 1)
        assert told.wait > 0
        await owner.core.stop_request(placed.request.id)
        answer = await guest.answer_of(waiting)
        assert answer.error is not None and "out of the line" in answer.error.title
        ended = await owner.until(RequestEnded, lambda event: event.entry.outcome == "stopped")
        assert ended.entry.error == "You removed it from the line."
        await guest.core.stop_answer(running)
        await owner.until(RequestEnded, lambda event: event.entry.outcome == "cancelled")

    run(test, tmp_path)


async def signed_by_both(owner: Watched, guest: Watched, count: int, file: Path) -> None:
    """Each request has its receipt on both sides, and a third person reads it."""
    async with asyncio.timeout(30):
        while True:
            given = await owner.core.receipts.find(ReceiptQuery(ReceiptSide.GIVEN))
            taken = await guest.core.receipts.find(ReceiptQuery(ReceiptSide.TAKEN))
            if [one.state for one in (*given, *taken)] == [ReceiptState.SIGNED] * 2 * count:
                break
            await asyncio.sleep(0.05)
    assert {one.body for one in given} == {one.body for one in taken}
    assert {one.id: one.tokens for one in given} == {
        entry.id: entry.prompt_tokens + entry.generated_tokens for entry in await owner.core.request_log()
    }
    assert await guest.core.receipts.export(file, ReceiptQuery()) == count
    assert [one.good for one in check_file(file)] == [True] * count


async def newest(owner: Watched, count: int) -> LogEntry:
    """The last of so many requests."""
    ended: set[str] = set()

    def all_ended(event: RequestEnded) -> bool:
        ended.add(event.entry.id)
        return len(ended) == count

    return (await owner.until(RequestEnded, all_ended)).entry


async def target_of(guest: Watched, conversation_id: str) -> Target:
    return next(c.target for c in await guest.core.conversations() if c.id == conversation_id)
