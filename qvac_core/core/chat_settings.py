"""What each conversation asks for, the presets of that, and who answers when its provider is away.

Values act on the next answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from qvac_core.core.chat_parameters import checked
from qvac_core.core.event_hub import EventHub
from qvac_core.core.state import ConversationsChanged, Parameters, Preset, PresetsChanged, Target
from qvac_core.errors import LocalProtocolError
from qvac_core.store.store import Store

PRESET_NAME_MOST = 80
OTHERS_MOST = 32


class ChatSettingsRoom(Protocol):
    async def presets(self) -> tuple[Preset, ...]:
        """By name."""

    async def keep_preset(self, name: str, parameters: Parameters) -> None:
        """New, or in the place of the one of that name; PresetsChanged follows. LocalProtocolError."""

    async def remove_preset(self, name: str) -> None: ...

    async def set_parameters(self, conversation_id: str, parameters: Parameters, preset: str = "") -> None:
        """preset: the name they began from. LocalProtocolError for a number that no model takes. A schema that is none
        blocks nothing here: the next answer fails and says so."""

    async def set_others(self, conversation_id: str, others: Sequence[Target]) -> None:
        """Who is asked when the conversation's own provider is or goes away, one after the other; this machine is the
        last of all, whether it is named or not."""


class ChatSettings:
    def __init__(self, store: Store, events: EventHub) -> None:
        self._conversations = store.conversations
        self._run = store.database.run
        self._events = events

    async def presets(self) -> tuple[Preset, ...]:
        return await self._run(self._conversations.presets)

    async def keep_preset(self, name: str, parameters: Parameters) -> None:
        name = " ".join(name.split())
        if not 0 < len(name) <= PRESET_NAME_MOST:
            raise LocalProtocolError(f"The name of a preset has 1 to {PRESET_NAME_MOST} letters.")
        await self._run(self._conversations.keep_preset, Preset(name, checked(parameters)))
        await self._presets_changed()

    async def remove_preset(self, name: str) -> None:
        await self._run(self._conversations.remove_preset, name)
        await self._presets_changed()

    async def set_parameters(self, conversation_id: str, parameters: Parameters, preset: str = "") -> None:
        await self._run(self._conversations.set_parameters, conversation_id, checked(parameters), preset)
        await self._changed()

    async def set_others(self, conversation_id: str, others: Sequence[Target]) -> None:
        remote = tuple(dict.fromkeys(target for target in others if target.provider_key))
        await self._run(self._conversations.set_others, conversation_id, remote[:OTHERS_MOST])
        await self._changed()

    async def _changed(self) -> None:
        self._events.emit(ConversationsChanged(await self._run(self._conversations.list)))

    async def _presets_changed(self) -> None:
        self._events.emit(PresetsChanged(await self.presets()))
