"""Pictures of a person's page and of invites: `python -m tests.gui.screenshots_limits FOLDER [NAME…]`.

To be looked at beside the design's `limits` and `invite`.
"""

from __future__ import annotations

from PySide6.QtCore import Qt

from app.window import MainWindow
from tests.gui import limits_scenes as scenes
from tests.gui.screenshots import NARROW, Picture, main


def _mirrored_person(window: MainWindow) -> None:
    window.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    scenes.open_person(window)


def _mirrored_invites(window: MainWindow) -> None:
    window.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    scenes.open_invites(window)


SMALLEST = (720, 520)
PICTURES = (
    Picture("limits", scenes.person_core, act=scenes.open_person),
    Picture("limits-dark", scenes.person_core, "dark", act=scenes.open_person),
    Picture("limits-own", scenes.person_core, act=scenes.open_own),
    Picture("limits-narrow", scenes.person_core, size=NARROW, act=scenes.open_person),
    Picture("limits-smallest", scenes.person_core, "dark", SMALLEST, act=scenes.open_person),
    Picture("limits-mirrored", scenes.person_core, act=_mirrored_person),
    Picture("invite", scenes.invites_core, act=scenes.open_invites),
    Picture("invite-dark", scenes.invites_core, "dark", act=scenes.open_invites),
    Picture("invite-empty", scenes.person_core, act=scenes.open_invites),
    Picture("invite-narrow", scenes.invites_core, size=NARROW, act=scenes.open_invites),
    Picture("invite-smallest", scenes.invites_core, "dark", SMALLEST, act=scenes.open_invites),
    Picture("invite-mirrored", scenes.invites_core, act=_mirrored_invites),
    Picture("invite-offer", scenes.guest_core, act=scenes.open_offer),
    Picture("invite-offer-dark", scenes.guest_core, "dark", act=scenes.open_offer),
)

if __name__ == "__main__":
    main(PICTURES)
