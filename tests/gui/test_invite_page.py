"""The page of invites, and what a guest sees of one before taking it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtTest import QTest

from app.qr_picture import as_png
from app.views.chat_provider_dialog import ProviderDialog
from app.views.invite_page import InvitePage
from app.window import MainWindow
from qvac_core.core.invites_room import InviteWish
from qvac_core.core.state import KeyLimits
from qvac_core.errors import ProviderError, StoreError
from tests.gui import limits_scenes as scenes
from tests.gui.fake_core import FakeCore
from tests.gui.populated import NOON, READING, STUDIO
from tests.gui.share_window import POPUP, Run, settle


async def page_of(window: MainWindow) -> InvitePage:
    window.share_page.access.invites.click()
    await settle(window)
    return window.share_page.invites


def test_one_is_made_chosen_and_ready_to_copy(run: Run, fake_core: FakeCore) -> None:
    scenes.person_core(fake_core)

    async def test(window: MainWindow) -> None:
        page = await page_of(window)
        assert page.none.isVisibleTo(page) and not page.card.isVisibleTo(page)
        form = page.form
        assert form.name.hasFocus()
        form.name.setText("Sewing circle")
        form.models["gpt-oss"].click()
        form.tokens.setValue(20_000)
        form.places.setValue(3)
        form.go.click()
        await settle(window)
        ((wish,),) = fake_core.called("make_invite")
        assert isinstance(wish, InviteWish)
        assert (wish.name, wish.places, wish.access_seconds) == ("Sewing circle", 3, 30 * scenes.DAY)
        assert wish.limits == KeyLimits(20_000, 1, models=("qwen3-8b", "whisper"))
        assert wish.opens_until is not None and wish.opens_until > NOON
        card = page.card
        assert card.title.text() == "Invite for Sewing circle" and card.badge.text() == "0 of 3 places taken"
        assert card.copy.kind == "primary" and card.copy.hasFocus()
        card.copy.click()
        link = QGuiApplication.clipboard().text()
        assert link.startswith("qvac://") and "/i/" in link and card.copy.kind == "quiet"
        assert page.table.rows.rowCount() == 1 and form.name.text() == ""

    run(test)


def test_models_that_come_later_are_a_choice_of_all(run: Run, fake_core: FakeCore) -> None:
    scenes.person_core(fake_core)

    async def test(window: MainWindow) -> None:
        form = (await page_of(window)).form
        form.models["whisper"].click()
        form.future.click()
        assert all(box.isChecked() and not box.isEnabled() for box in form.models.values())
        assert form.wish().limits.models is None
        form.future.click()
        assert form.wish().limits.models is not None

    run(test)


def test_what_became_of_each_and_taking_back(run: Run, fake_core: FakeCore) -> None:
    scenes.invites_core(fake_core)

    async def test(window: MainWindow) -> None:
        page = await page_of(window)
        rows = {row.cells[0].text: row for row in page.table.rows.rows}
        assert page.list.hint.text() == "2 open, 4 closed"
        assert {name: row.cells[4].text for name, row in rows.items()} == {
            "Reading group": "1 of 3: Reading room",
            "Night batch": "nobody has opened it yet",
            "For the workshop": "1 of 1: Workshop PC",
            "Exhibition kiosk": "3 of 3 taken, none over",
            "Media lab, guest": "ran out, not used",
            "Fair, Saturday": "taken back, 2 had come",
        }
        assert page.twice.isVisibleTo(page) and page.twice_said.text().startswith("another key tried Exhibition kiosk")
        page.table.pressed.emit(rows["Night batch"].key)
        await settle(window)
        assert fake_core.called("take_back") == [(rows["Night batch"].key,)]
        page.table.pressed.emit(rows["Media lab, guest"].key)
        assert page.form.name.text() == "Media lab, guest" and not page.form.models["whisper"].isChecked()
        page.which.button("open").click()
        assert page.table.rows.rowCount() == 1
        page.choose(rows["Media lab, guest"].key)
        assert not page.card.copy.isEnabled()  # a closed one is not to be given away
        page.table.opened.emit(rows["Reading group"].key)
        await settle(window)
        assert window.share.person.public_key == READING

    run(test)


def test_a_refusal_is_told_where_it_was_made_and_loses_nothing(run: Run, fake_core: FakeCore) -> None:
    scenes.person_core(fake_core)
    fake_core.fail["make_invite"] = StoreError("This invite would have run out already. Choose a later time.")

    async def test(window: MainWindow) -> None:
        page = await page_of(window)
        page.form.name.setText("Sewing circle")
        page.form.go.click()
        await settle(window)
        assert page.form.error.isVisibleTo(page) and page.form.name.text() == "Sewing circle"

    run(test)


def test_the_picture_is_written(run: Run, fake_core: FakeCore, tmp_path: Path) -> None:
    scenes.invites_core(fake_core)

    async def test(window: MainWindow) -> None:
        page = await page_of(window)
        page.card.write_picture(tmp_path / "invite.png")
        image = QImage(str(tmp_path / "invite.png"))
        assert image.width() > 600 and as_png(image)

    run(test)


@POPUP
def test_a_guest_sees_what_the_invite_gives_before_taking_it(run: Run, fake_core: FakeCore) -> None:
    scenes.guest_core(fake_core)
    offer = fake_core.invites.offers[scenes.GUEST_LINK]
    catalog = replace(offer.limits, models=("SMOLLM2_135M_INST_Q4_1", "Whisper large v3 turbo"))
    fake_core.invites.offers[scenes.GUEST_LINK] = replace(offer, limits=catalog)

    async def test(window: MainWindow) -> None:
        window.open_given(scenes.GUEST_LINK)
        await settle(window)
        await window.chat.settle()
        dialog = next(d for d in window.findChildren(ProviderDialog) if d.isVisible())
        panel = dialog.offer_panel
        assert panel.isVisibleTo(dialog) and panel.title.text() == "An invite from Studio desktop"
        said = {name: value.text() for name, (_, value) in panel.facts.items()}
        assert said["models"] == "SmolLM2 135M Instruct, Whisper large v3 turbo" and said["tokens"] == "50,000 a day"
        assert said["access"] == "30 days from now" and said["hours"] == "08:00-20:00"
        assert dialog.go.text() == "Take the invite" and fake_core.called("accept") == []
        full = ProviderError("All places of this invite are taken. Ask its owner for a new one.")
        fake_core.fail["accept"] = full
        dialog.go.click()
        await window.chat.settle()
        assert dialog.error.isVisibleTo(dialog) and dialog.error.title.text().startswith("All places")
        dialog._again()
        await window.chat.settle()
        assert fake_core.called("accept")[-1][1] == "Studio desktop"
        assert any(entry.public_key == STUDIO for entry in fake_core.provider_list)
        assert not panel.isVisibleTo(dialog)
        dialog.reject()

    run(test)


@POPUP
def test_a_damaged_invite_is_told_and_leaves_the_key(run: Run, fake_core: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.open_given(scenes.GUEST_LINK.replace("mf", "aa"))
        await settle(window)
        await window.chat.settle()
        dialog = next(d for d in window.findChildren(ProviderDialog) if d.isVisible())
        assert dialog.said.text().startswith("This invite is damaged") and dialog.key.key == STUDIO
        assert dialog.go.text() == "Connect" and dialog.go.isEnabled()
        QTest.keyClick(dialog, Qt.Key.Key_Escape)

    run(test)
