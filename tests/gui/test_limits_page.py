"""A person's page: what is shown is true, what is changed acts at once, and what cannot be undone asks."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.views.limits_page import LimitsPage
from app.widgets.dialog import Dialog
from app.window import MainWindow
from qvac_core.core.state import KeyLimits
from qvac_core.errors import StoreError
from tests.gui import limits_scenes as scenes
from tests.gui.fake_core import FakeCore
from tests.gui.populated import NOON, READING, STUDIO, WORKSHOP
from tests.gui.share_window import Run, dialog_of, settle


async def page_of(window: MainWindow, key: str = READING) -> LimitsPage:
    window.share_page.open_person(key)
    await settle(window)
    return window.share_page.person


def limits_of(core: FakeCore, key: str = READING) -> KeyLimits:
    return next(each for each in core.rules.keys if each.public_key == key).limits


def test_everything_of_a_person_is_on_their_page(run: Run, fake_core: FakeCore) -> None:
    scenes.person_core(fake_core)

    async def test(window: MainWindow) -> None:
        page = await page_of(window)
        assert page.crumbs.name.text() == page.name.text() == "Reading room"
        assert page.meter.value.text() == "17,204 of 20,000 tokens" and page.facts["came"].text().endswith("group")
        assert page.spent.text() == "9 requests, 4 min 12 s of GPU"
        assert page.panel.isVisibleTo(page) and page.more.text() == "Give 20k more today"
        assert page.tokens.field.value() == 20_000 and page.hours.begin.text_value == "08:00"
        assert not page.answer.switch.isChecked() and page.answer.otherwise.text() == "as the model"
        assert [switch.isChecked() for switch, _ in page._model_rows.values()] == [True, True, False]
        assert page.models.hint.text() == "2 of 3 that you share"
        assert page._model_rows["whisper"][1].text() == "19 min of audio today"
        assert len(page.bars._bars) == 30 and page.bars._bars[-1].label.endswith("17,204 tokens")
        assert any(bar.warn for bar in page.bars._bars)

    run(test)


def test_the_end_of_an_access_is_read_whole_and_switches_stand_below_each_other(run: Run, fake_core: FakeCore) -> None:
    scenes.person_core(fake_core)

    async def test(window: MainWindow) -> None:
        page = await page_of(window)
        field = page.expiry.field
        for month in range(1, 13):
            field.show_value(datetime(2026, month, 30 if month != 2 else 25, 20, 36).timestamp())
            edit = field.lineEdit()
            assert edit.fontMetrics().horizontalAdvance(edit.text()) < edit.width(), edit.text()
        rows = (page.tokens, page.parallel, page.context_row, page.answer)
        assert len({row.switch.mapTo(page, row.switch.rect().topLeft()).x() for row in rows}) == 1

    run(test)


def test_each_limit_acts_at_once_and_says_that_it_is_saved(run: Run, fake_core: FakeCore) -> None:
    core = scenes.person_core(fake_core)

    async def test(window: MainWindow) -> None:
        page = await page_of(window)
        page.tokens.field.setValue(30_000)
        await settle(window)
        assert limits_of(core).tokens_per_day == 30_000 and page.saved.text().startswith("saved ")
        page.tokens.switch.click()
        await settle(window)
        assert limits_of(core).tokens_per_day is None and page.meter.value.text() == "17,204 tokens, no limit"
        page.tokens.switch.click()  # it comes back with its number
        page.answer.switch.click()
        await settle(window)
        assert limits_of(core).tokens_per_day == 30_000 and limits_of(core).answer_tokens == 1024
        page.hours.end.show_value("21:30")
        page.hours._take("")
        page.context.setCurrentIndex(page.context.findData(16_384))
        page.context.activated.emit(page.context.currentIndex())
        await settle(window)
        assert limits_of(core).hours == "08:00-21:30"
        page.expiry.switch.click()
        await settle(window)
        assert core.called("set_expiry") == [(READING, None)]
        page._model_rows["gpt-oss"][0].click()
        await settle(window)
        assert limits_of(core).models is None  # all that are shared
        page.more.click()
        await settle(window)
        assert core.called("give_extra") == [(READING, 30_000)]

    run(test)


def test_a_change_that_fails_is_told_and_the_switch_is_true_again(run: Run, fake_core: FakeCore) -> None:
    core = scenes.person_core(fake_core)
    core.fail["set_limits"] = StoreError("Cannot write the database: the disk is full. Free some space.")

    async def test(window: MainWindow) -> None:
        page = await page_of(window)
        page.parallel.switch.click()
        await settle(window)
        assert page.error.isVisibleTo(page) and page.parallel.switch.isChecked()

    run(test)


def test_ones_own_machine_is_asked_and_has_no_limits(run: Run, fake_core: FakeCore) -> None:
    core = scenes.person_core(fake_core)

    async def test(window: MainWindow) -> None:
        page = await page_of(window)
        page.mine.click()
        await settle(window)
        assert not page.mine.isChecked() and core.called("set_mine") == []
        question = dialog_of(window, Dialog)
        question.confirm.click()
        await settle(window)
        assert core.called("set_mine") == [(READING, True)]
        assert page.mine.isChecked() and not page.tokens.isEnabled() and page.not_for_mine.isVisibleTo(page)
        assert not page.panel.isVisibleTo(page)
        page.mine.click()
        await settle(window)
        assert core.called("set_mine")[-1] == (READING, False) and page.tokens.isEnabled()

    run(test)


def test_the_keyboard_walks_people_and_goes_back(run: Run, fake_core: FakeCore) -> None:
    scenes.person_core(fake_core)

    async def test(window: MainWindow) -> None:
        page = await page_of(window)
        QTest.keyClick(page.mine, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
        await settle(window)
        assert window.share.person.public_key == WORKSHOP
        page.before.click()
        page.before.click()
        await settle(window)
        assert window.share.person.public_key == STUDIO
        QTest.keyClick(page.mine, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
        await settle(window)
        share = window.share_page
        assert share.stack.currentWidget() is share.area

    run(test)


def test_somebody_who_is_removed_leaves_no_empty_page(run: Run, fake_core: FakeCore) -> None:
    scenes.person_core(fake_core)

    async def test(window: MainWindow) -> None:
        page = await page_of(window)
        window.share.remove(READING)
        await settle(window)
        share = window.share_page
        assert share.stack.currentWidget() is share.area and page.isHidden()

    run(test)


def test_the_estimate_is_by_todays_pace(run: Run, fake_core: FakeCore) -> None:
    core = scenes.person_core(fake_core)

    async def test(window: MainWindow) -> None:
        await page_of(window)
        ends = window.share.person.ends_at()
        assert ends is not None and NOON < ends < core.limits.used[READING].ends

    run(test)
