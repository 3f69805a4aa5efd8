"""The fake core's branches and settings of conversations, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qvac_core.core.chat_files import Form, Imported
from qvac_core.core.state import TRANSCRIPT, Hit, Message, Parameters, PathChanged, Preset, PresetsChanged, Target

if TYPE_CHECKING:
    from tests.gui.fake_core import FakeCore


class FakeBranches:
    """Keeps what stands behind each message that is not shown, as the store does."""

    def __init__(self, core: FakeCore) -> None:
        self._core = core
        self._hidden: dict[str, tuple[Message, ...]] = {}  # by the message that begins them

    async def edit(self, conversation_id: str, message_id: str, text: str) -> str:
        await self._core._enter("edit", conversation_id, message_id, text)
        path = self._core.message_lists[conversation_id]
        at = _place(path, message_id)
        asked = replace(path[at], id=self._core._id("message"), text=text)
        self._put(conversation_id, path, at, (asked,))
        return self._core._answer(conversation_id)

    async def show_branch(self, conversation_id: str, message_id: str) -> None:
        await self._core._enter("show_branch", conversation_id, message_id)
        path = self._core.message_lists[conversation_id]
        at = next(place for place, message in enumerate(path) if message_id in message.branches)
        self._hidden[path[at].id] = path[at:]
        shown = tuple(
            replace(m, branches=path[at].branches) if i == 0 else m for i, m in enumerate(self._hidden[message_id])
        )
        self.set_path(conversation_id, (*path[:at], *shown))

    async def show_message(self, conversation_id: str, message_id: str) -> None:
        await self._core._enter("show_message", conversation_id, message_id)
        hidden = next(path for path in self._hidden.values() if any(m.id == message_id for m in path))
        await self.show_branch(conversation_id, hidden[0].id)

    async def hits(self, text: str) -> tuple[Hit, ...]:
        """Of the shown paths, and of those that are hidden."""
        await self._core._enter("search_conversations", text)
        found = []
        for conversation in self._core.conversation_list:
            path = self._core.message_lists.get(conversation.id, ())
            hidden = [m for first in path for id in first.branches for m in self._hidden.get(id, ())]
            message = next((m for m in (*reversed(path), *hidden) if text.lower() in m.text.lower()), None)
            if message is not None:
                at = message.text.lower().find(text.lower())
                end = at + len(text)
                parts = (message.text[max(0, at - 20) : at], message.text[at:end], message.text[end : end + 80])
                found.append(Hit(conversation, message.id, *(" ".join(part.split("\n")) for part in parts)))
            elif text.lower() in conversation.title.lower():
                found.append(Hit(conversation))
        return tuple(found)

    async def retry(self, conversation_id: str, message_id: str = "") -> str:
        await self._core._enter("retry", conversation_id, *([message_id] if message_id else []))
        path = self._core.message_lists[conversation_id]
        turns = [m for m in path if m.role != TRANSCRIPT]
        last = turns[-1] if turns else None
        if not message_id and last is not None and last.status == "failed" and last.text:
            return self._core._answer(conversation_id, replace(last, status="streaming", error=None))
        if not message_id and (last is None or last.role != "assistant"):
            return self._core._answer(conversation_id)
        at = _place(path, message_id or turns[-1].id)
        again = Message(self._core._id("answer"), "assistant", "", self._core.clock(), status="streaming")
        if not message_id:  # recordings that were transcribed since stand before the answers from now on
            path = (*path[:at], *path[at + 1 :], path[at])
            at = len(path) - 1
        if path[at].text:
            self._put(conversation_id, path, at, (again,))
        else:
            self.set_path(conversation_id, (*path[:at], again))
        return self._core._answer(conversation_id, self._core.message_lists[conversation_id][-1])

    async def continue_answer(self, conversation_id: str) -> str:
        await self._core._enter("continue_answer", conversation_id)
        last = self._core.message_lists[conversation_id][-1]
        return self._core._answer(conversation_id, replace(last, status="streaming", error=None))

    def _put(self, conversation_id: str, path: tuple[Message, ...], at: int, new: tuple[Message, ...]) -> None:
        """One more branch in that place."""
        old = path[at]
        self._hidden[old.id] = path[at:]
        branches = (*(old.branches or (old.id,)), new[0].id)
        self.set_path(conversation_id, (*path[:at], replace(new[0], branches=branches), *new[1:]))

    def set_path(self, conversation_id: str, path: tuple[Message, ...]) -> None:
        self._core.message_lists[conversation_id] = path
        self._core.emit(PathChanged(conversation_id, path))


class FakeChatFiles:
    """`report`: what the next import comes to."""

    def __init__(self, core: FakeCore) -> None:
        self._core = core
        self.report = Imported()

    async def export(self, conversation_ids: Sequence[str], form: Form, path: Path) -> int:
        await self._core._enter("export", tuple(conversation_ids), form, path)
        return len(conversation_ids) or len(self._core.conversation_list)

    async def import_files(self, paths: Sequence[Path]) -> Imported:
        await self._core._enter("import_files", tuple(paths))
        self._core._set_conversations((*self.report.conversations, *self._core.conversation_list))
        return self.report


class FakeChatSettings:
    def __init__(self, core: FakeCore) -> None:
        self._core = core
        self.kept: dict[str, Parameters] = {}

    async def presets(self) -> tuple[Preset, ...]:
        return tuple(Preset(name, self.kept[name]) for name in sorted(self.kept))

    async def keep_preset(self, name: str, parameters: Parameters) -> None:
        await self._core._enter("keep_preset", name, parameters)
        self.kept[name] = parameters
        self._core.emit(PresetsChanged(await self.presets()))

    async def remove_preset(self, name: str) -> None:
        await self._core._enter("remove_preset", name)
        self.kept.pop(name, None)
        self._core.emit(PresetsChanged(await self.presets()))

    async def set_parameters(self, conversation_id: str, parameters: Parameters, preset: str = "") -> None:
        await self._core._enter("set_parameters", conversation_id, parameters, preset)
        self._core._change_conversation(conversation_id, parameters=parameters, preset=preset)

    async def set_others(self, conversation_id: str, others: Sequence[Target]) -> None:
        await self._core._enter("set_others", conversation_id, tuple(others))
        self._core._change_conversation(conversation_id, others=tuple(others))


def _place(path: Sequence[Message], message_id: str) -> int:
    return next(place for place, message in enumerate(path) if message.id == message_id)
