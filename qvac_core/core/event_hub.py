"""Where the core's events go: listeners on the core's loop, each called for every event in order."""

from __future__ import annotations

import logging
from collections.abc import Callable

from qvac_core.core.state import CoreEvent

logger = logging.getLogger(__name__)

Listener = Callable[[CoreEvent], None]


class EventHub:
    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Returns the function that ends the subscription; calling it twice is fine."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def emit(self, event: CoreEvent) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:  # a screen's mistake must not end an answer
                logger.exception("a listener failed on %s", type(event).__name__)
