"""KV-cache sessions: what a prompt follows when a request sets `kvCache`, as @qvac/sdk 0.16 builds it.

docs/wire/qvac.md section 5; 0.16.0's llamacpp-completion/ops/{completion-stream,kv-cache-session}.js.
A session begins with the system prompt alone. Each request adds the messages that the session has not seen, rendered as
a prompt of their own, and its answer; one that is cut short ends the session. Here a session is the text of its turns:
the engine finds their tokens in its cache, or computes them again.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET

from qvac_core.delegation.held_models import KnownModel
from qvac_core.delegation.messages import CompletionStream
from qvac_core.delegation.model_config import LLM_DEFAULTS
from qvac_core.engines.interface import ChatMessage, SessionTurn
from qvac_core.engines.thinking import without_thinking

# Text of all sessions together; beyond, those that were used longest ago are forgotten and begin anew.
HELD_CHARACTERS = 16 * 1024 * 1024

SessionKey = tuple[bytes, str, str]


@dataclass(frozen=True, slots=True)
class KvSession:
    """messages_seen: of the conversation as its consumer sends it, the answers included."""

    turns: tuple[SessionTurn, ...]
    messages_seen: int = 0


@dataclass(frozen=True, slots=True)
class KvTurn:
    """One request of a session: its prompt is `history`, behind `session`."""

    session: tuple[SessionTurn, ...]
    history: tuple[ChatMessage, ...]
    _key: SessionKey
    _whole: tuple[ChatMessage, ...]


class KvSessions:
    """All of one provider; a key reaches only its own."""

    def __init__(self, held_characters: int = HELD_CHARACTERS) -> None:
        self._most = held_characters
        self._held = 0
        self._sessions: OrderedDict[SessionKey, KvSession] = OrderedDict()

    def begin(
        self, public_key: bytes, known: KnownModel, message: CompletionStream, history: Sequence[ChatMessage]
    ) -> KvTurn | None:
        """None for a request without `kvCache`."""
        if not message.kv_cache:
            return None
        name = message.kv_cache if isinstance(message.kv_cache, str) else _automatic(history[:-1])
        key = (public_key, known.model_id, _hash([name, isinstance(message.kv_cache, str), _variant(message, history)]))
        whole = tuple(history)
        session = self._sessions.get(key)
        if session is None:
            session = KvSession((SessionTurn((ChatMessage("system", _system_prompt(known, history)),)),))
        unseen = whole[session.messages_seen :] if session.messages_seen else ()
        return KvTurn(session.turns, unseen or tuple(m for m in whole if m.role != "system"), key, whole)

    def keep(self, turn: KvTurn, message: CompletionStream, answer: str) -> None:
        """The answer came to its own end: the next request goes on behind it."""
        self.forget(turn)
        key = turn._key
        whole = (*turn._whole, ChatMessage("assistant", answer))
        if not isinstance(message.kv_cache, str):
            key = (*key[:2], _hash([_automatic(whole), False, _variant(message, turn._whole)]))
        session = KvSession((*turn.session, SessionTurn(turn.history, answer)), len(whole))
        self._drop(key)
        self._sessions[key] = session
        self._held += _characters(session)
        while self._held > self._most:
            self._drop(next(iter(self._sessions)))

    def forget(self, turn: KvTurn) -> None:
        self._drop(turn._key)

    def _drop(self, key: SessionKey) -> None:
        session = self._sessions.pop(key, None)
        if session is not None:
            self._held -= _characters(session)


def _system_prompt(known: KnownModel, history: Sequence[ChatMessage]) -> str:
    own = next((message.content for message in history if message.role == "system"), "")
    return own or (known.config.system_prompt or "") or str(LLM_DEFAULTS["system_prompt"])


def _variant(message: CompletionStream, history: Sequence[ChatMessage]) -> list[object]:
    """Of one name there is a session for each system prompt and set of tools."""
    own = next((entry.content for entry in history if entry.role == "system"), None)
    tools = [] if message.tools is UNSET else sorted(tool.name for tool in message.tools)
    return [own, tools]


def _automatic(history: Sequence[ChatMessage]) -> str:
    """`kvCache: true`: the session is found by the conversation up to the last answer.

    As in 0.16 an answer is the same with its thinking and without: a consumer may send either back.
    """
    return _hash([[message.role, _answer(message)] for message in history])


def _answer(message: ChatMessage) -> str:
    return without_thinking(message.content).strip() if message.role == "assistant" else message.content


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _characters(session: KvSession) -> int:
    messages = sum(len(message.content) for turn in session.turns for message in turn.history)
    return messages + sum(len(turn.answer or "") for turn in session.turns)
