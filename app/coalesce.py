"""Events that wait for the window's next frame: tokens joined, progress and whole states newest only, order kept."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from qvac_core.core.library_state import FoundChanged, LibraryChanged, ModelsFolderChanged, SourcesChanged
from qvac_core.core.state import (
    AccessChanged,
    AnswerFinished,
    AnswerPlace,
    AnswerSeam,
    AnswerStarted,
    AnswerThinking,
    AnswerTokens,
    ConnectionStage,
    ConversationsChanged,
    CoreEvent,
    DictationEnded,
    DictationHeard,
    DownloadChanged,
    KnocksChanged,
    MannersChanged,
    PausesChanged,
    ProgramCalled,
    ProgramsChanged,
    ProvidersChanged,
    RequestEnded,
    RequestProgressed,
    RequestStarted,
    SharedModelsChanged,
    SharingChanged,
    TranscriptProgress,
    TranslationChanged,
)

WHOLE_STATES = (
    SharingChanged,
    SharedModelsChanged,
    AccessChanged,
    KnocksChanged,
    MannersChanged,
    PausesChanged,
    ProgramsChanged,
    ProvidersChanged,
    ConversationsChanged,
    LibraryChanged,
    FoundChanged,
    ModelsFolderChanged,
    SourcesChanged,
)

JOINED = (AnswerTokens, AnswerThinking)  # their texts add up


class EventBuffer:
    """Not thread-safe: lives on the core's loop."""

    def __init__(self) -> None:
        self._events: list[CoreEvent] = []
        self._places: dict[Hashable, int] = {}

    def add(self, event: CoreEvent) -> None:
        for barrier in _closes(event):
            self._places.pop(barrier, None)
        key = _key(event)
        place = self._places.get(key) if key is not None else None
        if place is None:
            if key is not None:
                self._places[key] = len(self._events)
            self._events.append(event)
            return
        waiting = self._events[place]
        if isinstance(event, JOINED) and isinstance(waiting, JOINED):
            self._events[place] = replace(waiting, text=waiting.text + event.text)
        else:
            self._events[place] = event

    def take(self) -> tuple[CoreEvent, ...]:
        events = tuple(self._events)
        self._events.clear()
        self._places.clear()
        return events


def _key(event: CoreEvent) -> Hashable | None:
    """Events of one key stand for each other; None: every one counts."""
    match event:
        case AnswerTokens() | AnswerThinking():
            return (type(event), event.message_id)
        case ProgramCalled(call=call) if not call.ended:
            return (ProgramCalled, call.id)
        case RequestProgressed():
            return (RequestProgressed, event.request.id)
        case ConnectionStage():
            return (ConnectionStage, event.provider_key, event.stage)
        case AnswerPlace():
            return (AnswerPlace, event.message_id)
        case TranscriptProgress():
            return (TranscriptProgress, event.message_id)
        case TranslationChanged() if event.running:
            return (TranslationChanged, event.translation_id)
        case DictationHeard():
            return (DictationHeard, event.dictation_id)
        case DownloadChanged() if not event.ended:
            return (DownloadChanged, event.model)
        case _ if isinstance(event, WHOLE_STATES):
            return ("whole", type(event).__name__)
        case _:
            return None


def _closes(event: CoreEvent) -> tuple[Hashable, ...]:
    """The keys that must not be merged across `event`."""
    match event:
        case AnswerStarted() | AnswerFinished():
            return (AnswerTokens, event.message.id), (AnswerThinking, event.message.id)
        case AnswerSeam():
            return (AnswerTokens, event.message_id), (AnswerThinking, event.message_id)
        case RequestStarted():
            return ((RequestProgressed, event.request.id),)
        case ProgramCalled(call=call) if call.ended:
            return ((ProgramCalled, call.id),)
        case RequestEnded():
            return ((RequestProgressed, event.entry.id),)
        case TranslationChanged() if not event.running:
            return ((TranslationChanged, event.translation_id),)
        case DictationEnded():
            return ((DictationHeard, event.dictation_id),)
        case DownloadChanged() if event.ended:
            return ((DownloadChanged, event.model),)
        case _:
            return ()
