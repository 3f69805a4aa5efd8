"""KV-cache sessions: what stands before a request, and what a request adds."""

from __future__ import annotations

from dataclasses import replace

from qvac_core.delegation.held_models import KnownModel
from qvac_core.delegation.kv_sessions import KvSessions, KvTurn
from qvac_core.delegation.messages import CompletionStream, HistoryMessage
from qvac_core.delegation.model_config import LlmConfig
from qvac_core.engines.interface import ChatMessage, SessionTurn
from tests.unit.delegation_room import CONSUMER_KEY, DELEGATE, STRANGER_KEY, provider_room
from tests.unit.memory_stream import run
from tests.unit.scripted_engine import SMOL

RUNNER = run

KNOWN = KnownModel("ab" * 8, SMOL, SMOL.name, LlmConfig(system_prompt="Be kind."))
ONE, TWO = ChatMessage("user", "One?"), ChatMessage("user", "Two?")
ANSWER = ChatMessage("assistant", "1")
OPENING = SessionTurn((ChatMessage("system", "Be kind."),))


def _message(kv_cache: bool | str, *history: ChatMessage) -> CompletionStream:
    return CompletionStream("m", [HistoryMessage(m.role, m.content) for m in history], True, kv_cache=kv_cache)


def _begin(
    sessions: KvSessions, kv_cache: bool | str, *history: ChatMessage, key: bytes = CONSUMER_KEY
) -> tuple[KvTurn, CompletionStream]:
    message = _message(kv_cache, *history)
    turn = sessions.begin(key, KNOWN, message, history)
    assert turn is not None
    return turn, message


def test_without_kv_cache_there_is_no_session() -> None:
    assert KvSessions().begin(CONSUMER_KEY, KNOWN, _message(False, ONE), (ONE,)) is None
    unsaid = CompletionStream("m", [HistoryMessage("user", "One?")], True)
    assert KvSessions().begin(CONSUMER_KEY, KNOWN, unsaid, (ONE,)) is None


def test_a_named_session_goes_on_with_what_is_new() -> None:
    sessions = KvSessions()
    first, message = _begin(sessions, "a", ONE)
    assert (first.session, first.history) == ((OPENING,), (ONE,))
    sessions.keep(first, message, "1")
    second, _ = _begin(sessions, "a", ONE, ANSWER, TWO)
    assert second.session == (OPENING, SessionTurn((ONE,), "1")) and second.history == (TWO,)
    # nothing new: 0.16 sends the whole conversation into the session once more
    again, _ = _begin(sessions, "a", ONE, ANSWER)
    assert again.history == (ONE, ANSWER) and len(again.session) == 2
    # of others, or with another system prompt: a session of its own
    stranger, _ = _begin(sessions, "a", ONE, ANSWER, TWO, key=STRANGER_KEY)
    assert stranger.session == (OPENING,)
    pirate = ChatMessage("system", "Arr.")
    other, _ = _begin(sessions, "a", pirate, ONE)
    assert other.session == (SessionTurn((pirate,)),) and other.history == (ONE,)
    sessions.forget(second)
    fresh, _ = _begin(sessions, "a", ONE, ANSWER, TWO)
    assert (fresh.session, fresh.history) == ((OPENING,), (ONE, ANSWER, TWO))


def test_an_automatic_session_is_found_by_its_conversation() -> None:
    sessions = KvSessions()
    first, message = _begin(sessions, True, ONE)
    sessions.keep(first, message, "1")
    other, _ = _begin(sessions, True, ONE, replace(ANSWER, content="another answer"), TWO)
    assert other.session == (OPENING,)
    second, _ = _begin(sessions, True, ONE, ANSWER, TWO)
    assert len(second.session) == 2 and second.history == (TWO,)


def test_an_automatic_session_is_found_with_the_thinking_sent_back_and_without() -> None:
    sessions = KvSessions()
    for sent_back in "1", "<think>\nHm.\n</think>\n\n1", "<think>\nHm.\n</think>\n\n1 ":
        first, message = _begin(sessions, True, ONE)
        sessions.keep(first, message, "<think>\nHm.\n</think>\n\n1")
        second, _ = _begin(sessions, True, ONE, replace(ANSWER, content=sent_back), TWO)
        assert len(second.session) == 2 and second.history == (TWO,)


def test_what_is_held_of_sessions_is_bounded() -> None:
    sessions = KvSessions(held_characters=1000)
    for number in range(50):
        turn, message = _begin(sessions, f"s{number}", ONE)
        sessions.keep(turn, message, "x" * 100)
    assert sessions._held <= 1000 and 0 < len(sessions._sessions) < 10
    turn, message = _begin(sessions, "large", ONE)
    sessions.keep(turn, message, "x" * 5000)
    assert sessions._held == 0


async def test_a_provider_keeps_a_session_only_of_whole_answers() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        config = {"system_prompt": "Be kind."}
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE, model_config=config)
        history = [HistoryMessage("user", "One?")]
        await (await consumer.completion(loaded.model_id, history, kv_cache="a")).text
        history += [HistoryMessage("assistant", "one two three"), HistoryMessage("user", "Two?")]
        run = await consumer.completion(loaded.model_id, history, kv_cache="a")
        await anext(run.token_stream)
        await run.leave()
        await (await consumer.completion(loaded.model_id, history, kv_cache="a")).text
        requests = room.pool.model.requests
        assert [len(request.session) for request in requests] == [1, 2, 1]
        assert [len(request.history) for request in requests] == [1, 1, 3]
        assert all(request.session[0] == OPENING for request in requests)
        await consumer.close()
