"""The wish not to sleep as a desktop's power management hears it, over a session bus of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("a session bus", allow_module_level=True)

from qvac_core.core.awake import hold
from tests.gui.tray_desk import Servant, TrayDesk


class PowerManagement(Servant):
    name = "org.freedesktop.PowerManagement"

    def __init__(self, bus: str) -> None:
        self.held: set[int] = set()
        super().__init__(bus)

    def answer(self, member: str, body: tuple[Any, ...], sender: str) -> tuple[str | None, tuple[Any, ...]] | None:
        if member == "Inhibit":
            self.held.add(7)
            return "u", (7,)
        if member == "UnInhibit":
            self.held.discard(body[0])
            return None, ()
        return None


# wakepy 1.0.0 leaves the connection of a service that is not there to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore:.*unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_desktop_hears_it_and_hears_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TrayDesk(tmp_path) as desk:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", desk.bus)
        monkeypatch.delenv("XDG_SESSION_DESKTOP", raising=False)
        assert hold() is None  # nobody manages power there
        with PowerManagement(desk.bus) as power:
            held = hold()
            assert held is not None
            assert power.held == {7}
            held.release()
            assert power.held == set()
