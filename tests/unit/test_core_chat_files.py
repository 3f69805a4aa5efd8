"""Conversations from and to files: ours come back whole, those of ChatGPT and LM Studio as they were, bad ones not."""

from __future__ import annotations

import io
import json
import os
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qvac_core.core.chat_archive import Archived, Branched, from_json, to_json, to_markdown
from qvac_core.core.chat_files import ChatFiles, read_file
from qvac_core.core.chat_foreign import (
    from_chatgpt,
    from_lm_studio,
    is_chatgpt,
    is_lm_studio,
    with_possible_times,
)
from qvac_core.core.state import (
    AnswerStats,
    Conversation,
    ErrorInfo,
    Message,
    Parameters,
    Picture,
    Target,
    ToolUse,
    UseState,
)
from qvac_core.errors import StoreError
from qvac_core.store.folders import DataDir
from qvac_core.store.records import TRANSCRIPT
from qvac_core.store.store import Store

STATS = AnswerStats("Studio", "delegated", "relay", "Qwen3 8B", 0.1, 50.0, 10, 3, "ab" * 32)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cf00000301010018dd8db00000000049454e44ae426082"
)


def node(id: str, parent: str | None, role: str = "", text: str = "", **content: Any) -> dict[str, Any]:
    message = None
    if role:
        body = content | {"text": text} if content else {"content_type": "text", "parts": [text]}
        message = {
            "id": id,
            "author": {"role": role},
            "create_time": 1_700_000_000.5,
            "content": body,
            "metadata": {"model_slug": "gpt-4o"} if role == "assistant" else {},
        }
    return {"id": id, "parent": parent, "message": message, "children": []}


CHATGPT = [
    {
        "title": "Tides",
        "create_time": 1_700_000_000.0,
        "update_time": 1_700_000_100.0,
        "conversation_id": "c-1",
        "current_node": "a2",
        "mapping": {
            each["id"]: each
            for each in (
                node("root", None),
                node("s", "root", "system", "hidden"),
                node("q", "s", "user", "Why tides?"),
                node("t", "q", "assistant", content_type="thoughts", thoughts=[{"summary": "s", "content": "Hm."}]),
                node("a1", "t", "assistant", "The moon."),
                node("q2", "s", "user", "Why are there tides?"),
                node("code", "q2", "assistant", content_type="code", language="python", text="print(1)"),
                node("tool", "code", "tool", "1"),
                node("a2", "tool", "assistant", "Moon and sun."),
            )
        },
    }
]
LM_STUDIO = {
    "name": "Barcodes",
    "createdAt": 1_700_000_000_000,
    "systemPrompt": "Be brief.",
    "messages": [
        {
            "versions": [{"type": "singleStep", "role": "user", "content": [{"type": "text", "text": "Hello"}]}],
            "currentlySelected": 0,
        },
        {
            "versions": [
                {
                    "type": "multiStep",
                    "role": "assistant",
                    "senderInfo": {"senderName": "qwen3-8b"},
                    "steps": [
                        {
                            "type": "contentBlock",
                            "style": {"type": "thinking"},
                            "content": [{"type": "text", "text": "They greet."}],
                        },
                        {"type": "debugInfoBlock", "debugInfo": "x"},
                        {
                            "type": "contentBlock",
                            "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "!"}],
                        },
                    ],
                },
                {
                    "type": "multiStep",
                    "role": "assistant",
                    "steps": [
                        {"type": "contentBlock", "content": [{"type": "text", "text": "<think>x</think>\n\nHey."}]}
                    ],
                },
            ],
            "currentlySelected": 0,
        },
        {
            "versions": [{"type": "singleStep", "role": "user", "content": [{"type": "text", "text": "More"}]}],
            "currentlySelected": 0,
        },
    ],
}


def shown(archived: Archived) -> list[tuple[str, str]]:
    by_id = {each.message.id: each.message for each in archived.messages}
    return [(by_id[id].role, by_id[id].text) for id in archived.shown]


def test_a_tree_of_chatgpt_keeps_its_branches() -> None:
    assert is_chatgpt(CHATGPT)
    (archived,) = from_chatgpt(CHATGPT)
    assert (archived.conversation.title, archived.conversation.updated_at) == ("Tides", 1_700_000_100.0)
    answer = "```python\nprint(1)\n```\n\nMoon and sun."
    assert shown(archived) == [("user", "Why are there tides?"), ("assistant", answer)]
    other = [each.message for each in archived.messages if each.message.text == "The moon."]
    assert other[0].thinking == "Hm."
    assert other[0].stats is not None
    assert (other[0].stats.who, other[0].stats.model) == ("ChatGPT", "gpt-4o")
    assert sum(each.parent == "" for each in archived.messages) == 2


def test_a_conversation_of_lm_studio_keeps_its_versions() -> None:
    assert is_lm_studio(LM_STUDIO)
    (archived,) = from_lm_studio(LM_STUDIO, "1700.conversation.json")
    assert shown(archived) == [("user", "Hello"), ("assistant", "Hi!"), ("user", "More")]
    answers = [each.message for each in archived.messages if each.message.role == "assistant"]
    assert [(m.thinking, m.text) for m in answers] == [("They greet.", "Hi!"), ("x", "Hey.")]
    assert archived.conversation.parameters.instructions == "Be brief."
    assert archived.conversation.created_at == 1_700_000_000.0


def ours() -> Archived:
    messages = (
        Branched(Message("q", "user", "Why?", 1.0, pictures=(Picture("ab", "image/png", "a.png"),)), ""),
        Branched(Message("a", "assistant", "One two", 2.0, stats=STATS, seams=((3, "Studio went. Here."),)), "q"),
        Branched(
            Message("b", "assistant", "", 3.0, "failed", error=ErrorInfo("X", 1, "It broke.", "Retry."), thinking="Hm"),
            "q",
        ),
    )
    asked = Parameters("Be brief.", 0.4, 0.9, 100, 7, '{"type":"object"}', think=False)
    conversation = Conversation("c", "Title", 1.0, 2.0, True, Target("ab" * 32, "m"), asked, "P", (Target("cd" * 32),))
    return Archived(conversation, messages, ("q", "a"))


def test_ours_comes_back_as_it_was() -> None:
    (back,) = from_json(to_json([ours()]))
    assert back.conversation == ours().conversation
    texts = [replace(each.message, id="") for each in back.messages]
    assert texts == [replace(each.message, id="") for each in ours().messages]
    assert [each.parent for each in back.messages] == ["", back.messages[0].message.id, back.messages[0].message.id]
    assert back.shown == (back.messages[0].message.id, back.messages[1].message.id)


def test_markdown_tells_who_answered_and_the_other_branches() -> None:
    text = to_markdown([ours()])
    for part in ("# Title", "**Studio, Qwen3 8B, relay**", "*— Studio went. Here.*", "a.png", "Another version", "Hm"):
        assert part in text, part


def broken(**changes: Any) -> bytes:
    file = json.loads(to_json([ours()]))
    file["conversations"][0].update(changes)
    return json.dumps(file).encode()


def damaged_packages() -> list[bytes]:
    """Packed in each way that Python can unpack; in the middle, and in the list at the end."""
    packages = []
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", method) as archive:
            archive.writestr("conversations.json", json.dumps(CHATGPT))
        whole = packed.getvalue()
        listed = whole.rindex(b"PK\x05\x06") + 12
        packages.append(whole[:60] + b"\xff" * 40 + whole[100:])
        packages.append(whole[: listed + 1] + b"\x7f" + whole[listed + 2 :])
    return packages


@pytest.mark.parametrize(
    "data",
    [
        *damaged_packages(),
        broken(conversation={"id": "", "title": "t", "created_at": 1, "updated_at": 1}),
        broken(messages=[{"message": {"id": "q", "role": "user", "text": "x", "created_at": 1}, "parent": "z"}]),
        broken(messages=[{"message": {"id": "q", "role": "robot", "text": "x", "created_at": 1}}]),
        broken(messages=[{"message": {"id": "q", "role": "user", "text": "x", "created_at": "now"}}]),
        broken(
            conversation={"id": "c", "title": "t", "created_at": 1, "updated_at": 1, "parameters": {"temperature": 9}}
        ),
        broken(pictures={"ab": "no base64!"}),
        json.dumps({"format": "qvac-desktop-conversations", "version": 2, "conversations": []}).encode(),
        b"[" * 100_000,
        b'{"format": "qvac-desktop-conversations"',
        b"[]",
        b'[{"mapping": {}}]',
        b"",
        b"\xff\xfe",
        b"PK\x03\x04 no package",
    ],
)
async def test_what_is_not_whole_brings_nothing(tmp_path: Path, data: bytes) -> None:
    store = Store.open(DataDir(tmp_path / "data", explicit=True), now=1.0)
    files = ChatFiles(store.database, store.conversations, store.pictures)
    bad = tmp_path / "bad.json"
    bad.write_bytes(data)
    report = await files.import_files([bad, tmp_path / "absent.json"])
    assert [name for name, _ in report.refused] == ["bad.json", "absent.json"]
    assert all(why.endswith(".") for _, why in report.refused)
    assert store.conversations.list() == ()
    store.close()


def test_a_node_without_a_name_ends_in_nothing() -> None:
    tree = [{"mapping": {"": node("", None, "user", "x"), "a": node("a", "", "user", "y")}}]
    (archived,) = from_chatgpt(tree)
    assert [each.message.text for each in archived.messages] == ["y"]


@pytest.mark.parametrize("at", [10**400, -(10**400), 10**16, float("inf"), float("nan"), True, "now"], ids=range(7))
def test_a_time_that_no_calendar_has_is_none(at: Any) -> None:
    (archived,) = from_chatgpt([{**CHATGPT[0], "create_time": at, "update_time": at}])
    assert archived.conversation.created_at == 0.0
    (archived,) = from_lm_studio({**LM_STUDIO, "createdAt": at}, "x")
    assert archived.conversation.created_at == 0.0


@pytest.mark.parametrize("at", [None, 0, -5, 4_300_000_000.0, 10**16, "now"], ids=range(6))
def test_what_has_no_possible_time_came_in_now(at: Any) -> None:
    """It is the newest in the list, and neither of 1970 nor of 2106; where a message tells its time, that is known."""
    now = time.time()
    archived = with_possible_times(from_chatgpt([{**CHATGPT[0], "create_time": at, "update_time": at}])[0], now)
    assert archived.conversation.created_at == archived.conversation.updated_at == 1_700_000_000.5
    given = {**LM_STUDIO, "createdAt": at, "assistantLastMessagedAt": at}
    archived = with_possible_times(from_lm_studio(given, "x")[0], now)
    assert (archived.conversation.created_at, archived.conversation.updated_at) == (now, now)


def test_one_message_without_a_time_stands_with_the_one_before_it() -> None:
    first, second = node("a", None, "user", "x"), node("b", "a", "assistant", "y")
    first["message"]["create_time"], second["message"]["create_time"] = 1_600_000_020.0, 9e9
    tree = {"create_time": 1_600_000_010.0, "update_time": 9e9, "mapping": {"a": first, "b": second}}
    archived = with_possible_times(from_chatgpt(tree)[0], now=1_700_000_000.0)
    assert [each.message.created_at for each in archived.messages] == [1_600_000_020.0, 1_600_000_020.0]
    conversation = archived.conversation
    assert (conversation.created_at, conversation.updated_at) == (1_600_000_010.0, 1_600_000_020.0)


def test_what_no_window_can_show_is_mended() -> None:
    odd = replace(
        ours(),
        conversation=replace(
            ours().conversation,
            created_at=-1e300,
            updated_at=1e15,
            target=Target("../../x", "m"),
            others=(Target("no key"), Target("cd" * 32)),
        ),
        messages=(
            Branched(Message("q", "user", "Why?", 1e300, seams=((2**63, "b"), (-5, "a"), (2, "c"))), ""),
            *ours().messages[1:],
        ),
    )
    (back,) = from_json(to_json([odd]))
    conversation, message = back.conversation, back.messages[0].message
    assert (conversation.created_at, conversation.updated_at, message.created_at) == (0.0, 0.0, 0.0)
    assert (conversation.target, conversation.others) == (Target(), (Target("cd" * 32),))
    assert message.seams == ((0, "a"), (2, "c"), (4, "b"))


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes that have a place in a folder")
def test_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(StoreError, match="no file"):
        read_file(tmp_path / "a.json")


async def test_what_was_hung_behind_something_younger_comes_back(tmp_path: Path) -> None:
    """A recording stays in view where a question is answered again: the older answer stands behind it from then on."""

    here = Store.open(DataDir(tmp_path / "here", explicit=True), now=1.0)
    there = Store.open(DataDir(tmp_path / "there", explicit=True), now=1.0)
    kept = here.conversations
    id = kept.create(Target(), 1.0, title="Heard").id
    for at, (name, role) in enumerate((("q", "user"), ("a", "assistant"), ("t", TRANSCRIPT))):
        kept.append(id, Message(name, role, name, float(at)), float(at))
    kept.hang(id, "t", "q")
    kept.hang(id, "a", "t")
    kept.append(id, Message("b", "assistant", "b", 9.0), 9.0, after="t")
    out = tmp_path / "out.json"
    await ChatFiles(here.database, kept, here.pictures).export((), "json", out)
    report = await ChatFiles(there.database, there.conversations, there.pictures).import_files([out])
    assert report.refused == ()
    assert [m.role for m in there.conversations.messages(id)] == ["user", TRANSCRIPT, "assistant"]
    assert there.conversations.messages(id)[-1].text == "b"
    assert sorted(m.text for m, _ in there.conversations.tree(id) if m.role != TRANSCRIPT) == ["a", "b", "q"]
    here.close()
    there.close()


async def test_a_tool_that_asked_when_the_program_was_killed_asks_nobody_in_the_export(tmp_path: Path) -> None:
    store = Store.open(DataDir(tmp_path / "here", explicit=True), now=1.0)
    id = store.conversations.create(Target(), 1.0, title="Asked").id
    use = ToolUse("u", "Files", "count_rows", "count_rows", "{}", 0, 1, UseState.ASKS)
    store.conversations.append(id, Message("m", "assistant", "", 2.0, status="streaming", tools=(use,)), 2.0)
    store.conversations.close_unfinished()  # of the next start
    out = tmp_path / "out.md"
    await ChatFiles(store.database, store.conversations, store.pictures).export((), "markdown", out)
    store.close()
    assert "`count_rows`, stopped" in out.read_text(encoding="utf-8")


def test_a_path_that_comes_back_to_itself_is_cut(tmp_path: Path) -> None:
    (back,) = from_json(to_json([replace(ours(), shown=("q", "a", "q", "a"))]))
    assert len(back.shown) == 2


async def test_pictures_travel_along_and_the_packed_export_of_chatgpt_is_read(tmp_path: Path) -> None:
    store = Store.open(DataDir(tmp_path / "here", explicit=True), now=1.0)
    there = Store.open(DataDir(tmp_path / "there", explicit=True), now=1.0)
    files = ChatFiles(store.database, store.conversations, store.pictures)
    sha256 = store.pictures.keep(PNG)
    id = store.conversations.create(Target(), 1.0, title="Seen").id
    shown = (Picture(sha256, "image/png", "a.png"), Picture("00" * 32, "image/png", "gone.png"))
    store.conversations.append(id, Message("q", "user", "Look", 1.0, pictures=shown), 1.0)
    assert await files.export((), "json", tmp_path / "out.json") == 1
    changes: list[int] = []
    into = ChatFiles(there.database, there.conversations, there.pictures, lambda: changes.append(1))
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps(CHATGPT))
        archive.writestr("chat.html", "<p>")
    report = await into.import_files([tmp_path / "out.json", tmp_path / "export.zip"])
    assert report.refused == ()
    assert len(report.conversations) == 2
    assert changes == [1]
    (message,) = there.conversations.messages(id)
    assert [picture.name for picture in message.pictures] == ["a.png"]
    assert there.pictures.read(sha256) == PNG
    store.close()
    there.close()


NAMES = [
    "mapping",
    "message",
    "messages",
    "versions",
    "parent",
    "children",
    "author",
    "role",
    "content",
    "parts",
    "content_type",
    "text",
    "steps",
    "type",
    "current_node",
    "title",
    "create_time",
    "a",
    "b",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES) | st.text(max_size=2),
            inner | st.sampled_from(["user", "assistant", "text", "a", "b", "multiStep", "contentBlock"]),
            max_size=5,
        )
    ),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON, JSON, JSON)
def test_any_file_is_read_or_refused(one: Any, two: Any, three: Any) -> None:
    trees = [one, [{"mapping": {"a": one, "b": two}, "current_node": "b", "title": three}]]
    trees.append({"messages": [{"versions": [one, two], "currentlySelected": three}]})
    for tree in trees:
        tree = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(tree)))
        if is_chatgpt(tree):
            from_chatgpt(tree)
        if is_lm_studio(tree):
            from_lm_studio(tree, "x")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qvac_core.core.chat_files.FILE_MOST", 10)
    (tmp_path / "a.json").write_bytes(b" " * 11)
    with pytest.raises(StoreError, match="larger"):
        read_file(tmp_path / "a.json")


def test_calls_of_tools_go_out_and_come_back() -> None:
    use = ToolUse("u", "Files", "count_rows", "count_rows", '{"file":"a.csv"}', 5, 1, UseState.DONE, "17 ```rows", 0.2)
    message = Message("m", "assistant", "Look.\n\n17.", 2.0, tools=(use, replace(use, id="v", state=UseState.ASKS)))
    whole = Archived(Conversation("c", "Rows", 1.0, 2.0), (Branched(message),), ("m",))
    (back,) = from_json(to_json([whole]))
    first, second = back.messages[0].message.tools
    assert first == use and second.state is UseState.STOPPED, "nothing asks any more"
    text = to_markdown([whole])
    assert text.index("Look.") < text.index("count_rows") < text.index("````\n17 ```rows\n````") < text.index("\n17.")
