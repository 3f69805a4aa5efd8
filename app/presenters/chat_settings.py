"""What the open conversation asks for and of whom, one after the other: the panel beside it shows and changes that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.core_words import told
from app.i18n import listed, tr
from app.presenters.chat_words import provider_state
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.state import ConversationsChanged, CoreEvent, Parameters, Preset, PresetsChanged, Target
from qvac_core.errors import QvacError
from qvac_core.late_dataclass import dataclass

if TYPE_CHECKING:
    from app.presenters.chat import ChatPresenter

LETTERS_PER_TOKEN = 4  # about, of English; the model's own count is not known before it is asked


@dataclass(frozen=True, slots=True)
class Answerer:
    """One line of the order. `reach`: "here", "online", "away". `last`: this machine, when all others are away."""

    target: Target
    name: str
    words: str
    reach: str
    last: bool = False


class ChatSettings(QObject):
    changed = Signal()  # parameters, preset or order of the open conversation, or another one is open
    refused = Signal(object)  # ErrorInfo

    def __init__(self, core: CoreProxy, chat: ChatPresenter) -> None:
        super().__init__(chat)
        self._core = core
        self._chat = chat
        self._tasks = Tasks()
        self.presets: tuple[Preset, ...] = ()
        self._draft = (Parameters(), "")  # of a conversation that nobody has written in yet
        self._draft_others: tuple[Target, ...] = ()
        self._ahead = chat.chats.ahead
        core.core_event.connect(self._take)
        for signal in (chat.opened, chat.target_changed, chat.providers_changed, chat.models_changed):
            signal.connect(self.changed)

    async def load(self) -> None:
        self.presets = await self._core.call(lambda core: core.chat_settings.presets())
        self.changed.emit()

    async def close(self) -> None:
        await self._tasks.close()

    async def settle(self) -> None:
        await self._tasks.settle()

    def begin_new(self) -> None:
        """An empty conversation asks for nothing in particular."""
        self._draft, self._draft_others = (Parameters(), ""), ()

    async def adopt(self, conversation_id: str) -> None:
        """The core knows the conversation now. Raises QvacError."""
        (parameters, preset), others = self._draft, self._draft_others
        self.begin_new()
        if parameters != Parameters() or preset:
            await self._core.call(lambda core: core.chat_settings.set_parameters(conversation_id, parameters, preset))
        if others:
            await self._core.call(lambda core: core.chat_settings.set_others(conversation_id, others))

    # --- Parameters

    @property
    def parameters(self) -> Parameters:
        return self._now[0]

    @property
    def preset(self) -> str:
        """The name that the parameters began from, "" for none; it may have been removed meanwhile."""
        return self._now[1]

    @property
    def _now(self) -> tuple[Parameters, str]:
        conversation = self._chat.conversation
        if conversation is None:
            return self._draft
        return self._ahead.get(conversation.id, (conversation.parameters, conversation.preset))

    @property
    def preset_changed(self) -> bool:
        """Whether the parameters are others than those of the preset."""
        return self.parameters != self._of_preset(self.preset)

    @property
    def instruction_tokens(self) -> int:
        """About; 0 without instructions."""
        letters = len(self.parameters.instructions.strip())
        return max(1, round(letters / LETTERS_PER_TOKEN)) if letters else 0

    def change(self, **values: Any) -> None:
        """Fields of Parameters."""
        self._set(replace(self.parameters, **values), self.preset)

    def use_preset(self, name: str) -> None:
        """ "" = the defaults."""
        self._set(self._of_preset(name), name)

    def back_to_preset(self) -> None:
        self.use_preset(self.preset)

    def save_preset(self, name: str) -> None:
        """Of the parameters as they are; one of that name is updated."""
        name, parameters = " ".join(name.split()), self.parameters

        async def save() -> None:
            await self._core.call(lambda core: core.chat_settings.keep_preset(name, parameters))
            self._set(parameters, name)

        self._start(save())

    def remove_preset(self, name: str) -> None:
        self._start(self._core.call(lambda core: core.chat_settings.remove_preset(name)))

    def _of_preset(self, name: str) -> Parameters:
        return next((preset.parameters for preset in self.presets if preset.name == name), Parameters())

    def _set(self, parameters: Parameters, preset: str) -> None:
        if (parameters, preset) == self._now:
            return
        conversation = self._chat.conversation
        if conversation is None:
            self._draft = (parameters, preset)
        else:
            id = conversation.id
            self._ahead[id] = (parameters, preset)
            self._start(
                self._core.call(lambda core: core.chat_settings.set_parameters(id, parameters, preset)),
                partial(self._not_set, id),
            )
        self.changed.emit()

    def _not_set(self, conversation_id: str, error: QvacError) -> None:
        self._ahead.pop(conversation_id, None)
        self.changed.emit()
        self.refused.emit(describe(error))

    # --- Who answers

    @property
    def order(self) -> tuple[Answerer, ...]:
        """This machine is the last one where it has a model; where it is the first, nobody else is asked."""
        target, chat = self._chat.target, self._chat
        targets = [target, *self.others] if target.provider_key else []
        shown = [self._answerer(each) for each in targets]
        if chat.models or not target.provider_key:
            here = target if not target.provider_key else Target()
            model = chat.model_name(here) or tr("No model yet")
            only = not target.provider_key
            words = model if only else tr("{model}, if all others are away", model=model)
            shown.append(Answerer(here, chat.target_name(here), words, "here", last=not only))
        return tuple(shown)

    @property
    def others(self) -> tuple[Target, ...]:
        conversation = self._chat.conversation
        return conversation.others if conversation is not None else self._draft_others

    def candidates(self) -> tuple[tuple[Target, str], ...]:
        """Who could be asked too, and is not in the order: (target, words)."""
        named = {each.target.provider_key for each in self.order if each.target.provider_key}
        return tuple(
            (Target(provider.public_key, model.source), f"{provider.name}, {model.name}")
            for provider in self._chat.providers
            if provider.public_key not in named
            for model in provider.models
        ) + tuple(
            (Target(provider.public_key), provider.name)
            for provider in self._chat.providers
            if provider.public_key not in named and not provider.models
        )

    def add(self, target: Target) -> None:
        if self._chat.target.provider_key:
            self._set_order([self._chat.target, *self.others, target])
        else:  # this machine becomes the last one
            self._set_order([target])

    def move(self, place: int, to: int) -> None:
        """Among those before this machine."""
        order = [each.target for each in self.order if not each.last]
        if 0 <= place < len(order) and 0 <= to < len(order) and place != to:
            order.insert(to, order.pop(place))
            self._set_order(order)

    def remove(self, place: int) -> None:
        """With the last provider gone, this machine answers."""
        order = [each.target for each in self.order if not each.last]
        if 0 <= place < len(order):
            del order[place]
            self._set_order(order or [Target()])

    def _set_order(self, order: list[Target]) -> None:
        first, others = order[0], tuple(order[1:])
        if self._chat.conversation is None:
            self._draft_others = others
        else:
            id = self._chat.open_id
            self._start(self._core.call(lambda core: core.chat_settings.set_others(id, others)))
        if first != self._chat.target:
            self._chat.set_target(first)
        self.changed.emit()

    def _answerer(self, target: Target) -> Answerer:
        provider = self._chat.provider(target.provider_key)
        model = self._chat.model_name(target)
        state = provider_state(provider) if provider is not None else tr("not in your list any more")
        words = listed((model, state))
        online = provider is not None and provider.state == "online"
        return Answerer(target, self._chat.target_name(target), words, "online" if online else "away")

    # --- Inside

    def _take(self, event: CoreEvent) -> None:
        if isinstance(event, PresetsChanged):
            self.presets = event.presets
            self.changed.emit()
        elif isinstance(event, ConversationsChanged):
            for conversation in event.conversations:
                if self._ahead.get(conversation.id) == (conversation.parameters, conversation.preset):
                    del self._ahead[conversation.id]
            self.changed.emit()

    def _start(self, work: Any, on_error: Callable[[QvacError], None] | None = None) -> None:
        self._tasks.start(work, on_error or (lambda error: self.refused.emit(describe(error))))


async def schema_fault(text: str) -> str:
    """What is wrong with a JSON schema, "" for nothing: found off the window's thread."""

    def check() -> str:
        from qvac_core.core.chat_parameters import schema_fault as fault  # a second of a process that never needs it

        return fault(text)

    return told(await asyncio.get_running_loop().run_in_executor(None, check))
