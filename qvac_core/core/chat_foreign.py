"""Conversations that other programs exported: ChatGPT's conversations.json (a tree), LM Studio's conversation files.

Both are read as they were found in exports of 2025 and 2026; what is not understood is left out, not guessed. A file is
a stranger's: sizes are bounded by the caller, and nothing in it is followed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from qvac_core.core.chat_archive import LATEST, TITLE_MOST, Archived, Branched
from qvac_core.core.state import AnswerStats, Conversation, Message, Parameters, Target
from qvac_core.engines.thinking import CLOSE_TAG, OPEN_TAG

CHATGPT: Final = "ChatGPT"
LM_STUDIO: Final = "LM Studio"
EARLIEST: Final = 1_420_070_400.0  # Unix seconds, the year 2015: neither of the programs is as old
CLOCK_SLACK: Final = 24 * 3600.0  # seconds by which another machine's clock may be fast
_SPACE: Final = uuid.UUID("6b8f6c1e-3f0d-4f7c-9c55-8d2f0a4f9e11")  # ids of what is imported twice are the same


@dataclass(slots=True)
class _Node:
    id: str
    role: str
    text: str
    thinking: str
    at: float
    model: str
    parent: str = ""
    children: int = field(default=0)


# --- ChatGPT ------------------------------------------------------------------------------------------------------


def is_chatgpt(tree: object) -> bool:
    if isinstance(tree, list):
        return bool(tree) and all(isinstance(each, dict) and isinstance(each.get("mapping"), dict) for each in tree)
    return isinstance(tree, dict) and isinstance(tree.get("mapping"), dict)


def from_chatgpt(tree: Any) -> tuple[Archived, ...]:
    """What has no message that a person or the model wrote is left out."""
    conversations = tree if isinstance(tree, list) else [tree]
    read = (_chatgpt_conversation(each) for each in conversations)
    return tuple(each for each in read if each.messages)


def _chatgpt_conversation(given: Mapping[str, Any]) -> Archived:
    mapping: Mapping[str, Any] = given["mapping"]
    kept: dict[str, _Node] = {}
    stands_for: dict[str, str] = {"": ""}  # a node of theirs → the message of ours that it is, or is part of
    for key in _from_the_roots(mapping):
        node = mapping[key]
        parent = stands_for.get(_text(node.get("parent")), "")
        message = _chatgpt_message(key, node.get("message"))
        if message is None:
            stands_for[key] = parent
            continue
        before = kept.get(parent)
        # Thinking, tools and the answer are nodes in a row there; here they are one answer.
        if before is not None and before.role == message.role == "assistant" and not before.children:
            before.text = "\n\n".join(part for part in (before.text, message.text) if part)
            before.thinking = "\n\n".join(part for part in (before.thinking, message.thinking) if part)
            before.model = message.model or before.model
            stands_for[key] = parent
            continue
        if before is not None:
            before.children += 1
        message.parent = parent
        kept[key] = message
        stands_for[key] = key
    at = stands_for.get(_text(given.get("current_node")), "")
    shown: list[str] = []
    while at:
        shown.append(at)
        at = kept[at].parent
    shown.reverse()
    created = _time(given.get("create_time"))
    id = _text(given.get("conversation_id")) or _text(given.get("id")) or f"{given.get('title')} {created}"
    return _archived(CHATGPT, id, given.get("title"), created, _time(given.get("update_time")), kept.values(), shown)


def _from_the_roots(mapping: Mapping[str, Any]) -> Iterator[str]:
    """Each node behind its parent; what hangs in a circle never comes."""
    children: dict[str, list[str]] = {}
    for key, node in mapping.items():
        if key and isinstance(node, dict):  # "" is what stands before all of them
            parent = _text(node.get("parent"))
            children.setdefault(parent if parent in mapping and parent != key else "", []).append(key)
    waiting = list(reversed(children.get("", [])))
    while waiting:
        key = waiting.pop()
        yield key
        # Their own order of the branches, where it is told.
        told = mapping[key].get("children")
        order = {child: at for at, child in enumerate(told) if isinstance(child, str)} if isinstance(told, list) else {}
        waiting.extend(sorted(children.get(key, []), key=lambda child: order.get(child, len(order)), reverse=True))


def _chatgpt_message(key: str, given: Any) -> _Node | None:
    """None for what nobody said: system, tools, what is hidden, what is empty."""
    if not isinstance(given, dict):
        return None
    author, content, metadata = (_mapping(given.get(name)) for name in ("author", "content", "metadata"))
    role = author.get("role")
    if role not in ("user", "assistant") or metadata.get("is_visually_hidden_from_conversation"):
        return None
    text = thinking = ""
    kind = content.get("content_type")
    if kind in ("text", "multimodal_text"):
        text = "\n\n".join(filter(None, map(_chatgpt_part, _list(content.get("parts")))))
    elif kind == "code" and _text(content.get("text")):
        text = f"```{_language(content.get('language'))}\n{_text(content.get('text'))}\n```"
    elif kind == "thoughts":
        parts = map(_mapping, _list(content.get("thoughts")))
        thinking = "\n\n".join(
            filter(None, (_text(part.get("content")) or _text(part.get("summary")) for part in parts))
        )
    if not (text.strip() or thinking.strip()):
        return None
    model = _text(metadata.get("model_slug")) if role == "assistant" else ""
    return _Node(key, role, text, thinking, _time(given.get("create_time")), model)


def _chatgpt_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    kind = _text(_mapping(part).get("content_type"))
    if kind == "image_asset_pointer":
        return "(a picture)"
    return _text(_mapping(part).get("text"))  # what was said aloud, as it was understood


# --- LM Studio ----------------------------------------------------------------------------------------------------


def is_lm_studio(tree: object) -> bool:
    messages = tree.get("messages") if isinstance(tree, dict) else None
    return isinstance(messages, list) and all(
        isinstance(each, dict) and isinstance(each.get("versions"), list) for each in messages
    )


def from_lm_studio(tree: Any, file_name: str) -> tuple[Archived, ...]:
    kept: list[_Node] = []
    shown: list[str] = []
    parent = ""
    for place, each in enumerate(tree["messages"]):
        chosen = each.get("currentlySelected")
        nodes = [
            node
            for at, version in enumerate(each["versions"])
            if (node := _lm_studio_message(f"{place}.{at}", version)) is not None
        ]
        for node in nodes:
            node.parent = parent
            kept.append(node)
        if nodes:
            parent = next((node.id for node in nodes if node.id == f"{place}.{chosen}"), nodes[-1].id)
            shown.append(parent)
    created = _time(tree.get("createdAt"), 1000)
    last = _time(tree.get("assistantLastMessagedAt"), 1000) or _time(tree.get("userLastMessagedAt"), 1000)
    parameters = Parameters(instructions=_text(tree.get("systemPrompt"))[:100_000])
    archived = _archived(
        LM_STUDIO, f"{file_name} {created}", tree.get("name"), created, last, kept, shown, parameters=parameters
    )
    return (archived,) if archived.messages else ()


def _lm_studio_message(id: str, version: Any) -> _Node | None:
    version = _mapping(version)
    role = version.get("role")
    if role not in ("user", "assistant"):
        return None
    text: list[str] = []
    thinking: list[str] = []
    model = _text(_mapping(version.get("senderInfo")).get("senderName"))
    if version.get("type") == "multiStep":
        for step in map(_mapping, _list(version.get("steps"))):
            if step.get("type") != "contentBlock":
                continue
            thinks = _mapping(step.get("style")).get("type") == "thinking"
            (thinking if thinks else text).append(_lm_studio_text(step.get("content")))
            model = _text(_mapping(step.get("genInfo")).get("identifier")) or model
    else:
        text.append(_lm_studio_text(version.get("content")))
    said, thought = "\n\n".join(filter(None, text)), "\n\n".join(filter(None, thinking))
    if said.lstrip().startswith(OPEN_TAG) and CLOSE_TAG in said:  # as older versions kept it
        inner, _, said = said.lstrip().removeprefix(OPEN_TAG).partition(CLOSE_TAG)
        thought, said = inner.strip(), said.lstrip()
    if not (said.strip() or thought.strip()):
        return None
    return _Node(id, role, said, _unmarked(thought), 0.0, model if role == "assistant" else "")


def _unmarked(thought: str) -> str:
    return thought.strip().removeprefix(OPEN_TAG).removesuffix(CLOSE_TAG).strip()


def _lm_studio_text(content: Any) -> str:
    parts = []
    for part in map(_mapping, _list(content)):
        if part.get("type") == "text":
            parts.append(_text(part.get("text")))
        elif part.get("type") == "file":
            parts.append(f"({_text(part.get('name')) or 'a file'})\n")
    return "".join(parts)


# --- Both ---------------------------------------------------------------------------------------------------------


def _archived(
    program: str,
    id: str,
    title: Any,
    created: float,
    updated: float,
    nodes: Any,
    shown: Sequence[str],
    *,
    parameters: Parameters | None = None,
) -> Archived:
    messages = []
    for node in nodes:
        stats = None
        if node.role == "assistant":
            stats = AnswerStats(program, "imported", "", node.model, 0.0, 0.0, 0, 0)
        at = node.at or created
        message = Message(node.id, node.role, node.text, at, stats=stats, thinking=node.thinking)
        messages.append(Branched(message, node.parent))
    ours = uuid.uuid5(_SPACE, f"{program} {id}").hex
    name = " ".join(_text(title).split())[:TITLE_MOST]
    last = updated or max((each.message.created_at for each in messages), default=created)
    conversation = Conversation(ours, name, created, last or created, False, Target(), parameters or Parameters())
    return Archived(conversation, tuple(messages), tuple(shown))


def with_possible_times(archived: Archived, now: float) -> Archived:
    """Times that are none, or still to come, give way to what is known: of the message before, of the conversation, or
    `now` (Unix seconds), when it came in. A conversation of the year 1970 or 2106 is found by nobody.
    """

    def known(at: float) -> bool:
        return EARLIEST <= at <= now + CLOCK_SLACK

    conversation = archived.conversation
    told = [at for each in archived.messages if known(at := each.message.created_at)]
    begun = next((at for at in (conversation.created_at, min(told, default=0.0)) if known(at)), now)
    times: dict[str, float] = {"": begun}
    messages = []
    for each in archived.messages:  # each stands behind the one it answers
        at = each.message.created_at
        times[each.message.id] = at if known(at) else times.get(each.parent, begun)
        messages.append(replace(each, message=replace(each.message, created_at=times[each.message.id])))
    last = next((at for at in (conversation.updated_at, max(told, default=0.0)) if known(at)), begun)
    return replace(
        archived,
        conversation=replace(conversation, created_at=begun, updated_at=max(begun, last)),
        messages=tuple(messages),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _language(value: Any) -> str:
    text = _text(value)
    return text if text.isalnum() and text != "unknown" else ""


def _time(value: Any, unit: float = 1.0) -> float:
    """Unix seconds; 0 where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return value / unit if 0 < value < LATEST * unit else 0.0
