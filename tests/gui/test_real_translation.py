"""A real window translates a message with a real small model, and with a translation model beside it: by the menu,
through the core and its worker processes."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTextEdit
from qasync import QEventLoop

from app.bridge import CoreProxy, CoreThread
from app.languages import Choice
from app.theme import Theme
from app.widgets.button import Button
from app.window import MainWindow
from qvac_core.core import Core, CoreConfig, RuleOverride
from qvac_core.core.state import Target
from tests.gui.test_real_windows import network as network
from tests.gui.test_real_windows import picture, until
from tests.gui.test_translations import acts, submenu
from tests.marian_files import FRENCH, GERMAN, write_model


def test_a_message_is_translated_by_the_model_that_chats(
    qloop: QEventLoop, theme: Theme, small_model_path: Path, tmp_path: Path
) -> None:
    async def play() -> None:
        proxy = CoreProxy(CoreThread(lambda: Core(CoreConfig(tmp_path, bootstrap=(("127.0.0.1", 9),)))))
        with theme.undressed():
            window = MainWindow(proxy, theme)
        try:
            await proxy.start()
            await proxy.call(lambda core: core.add_model_file(small_model_path))
            window.show()
            await window.load()
            window.chat.chat_here()
            page = window.chat_page.conversation
            await until(page.composer.isVisible, "the composer")
            QTest.keyClicks(page.composer.text, "the house is small.")
            QTest.keyClick(page.composer.text, Qt.Key.Key_Return)
            await until(lambda: len(window.chat.messages) == 2 and not window.chat.busy, "the answer")
            row = page.messages.rows[0]
            text = next(block for block in row.blocks() if isinstance(block, QTextEdit))
            text.selectAll()
            menu = page.messages.menu_for(text, row, text.mapToGlobal(text.rect().topLeft()))
            acts(submenu(menu, "Translate the selection to"))["French"]()
            translations = window.chat.translations
            await until(lambda: (t := translations.of(row.message.id)) is not None and not t.running, "the translation")
            picture(window, "translation")
            box = page.messages.translation(row.message.id)
            assert box is not None
            assert box.text.toPlainText().strip()
            assert not box.error.isVisible()
            await proxy.call(lambda core: core.add_model_file(write_model(tmp_path / "made", "en", "de", GERMAN)[0]))
            pair = Choice("en>de", "English to German, by a translation model")
            await until(lambda: pair in translations.languages(), "what the translation model does")
            page.messages.languages = translations.languages()
            menu = page.messages.menu_for(text, row, text.mapToGlobal(text.rect().topLeft()))
            acts(submenu(menu, "Translate the selection to"))[pair.name]()
            await until(lambda: (t := translations.of(row.message.id)) is not None and not t.running, "its translation")
            picture(window, "translation-engine")
            box = page.messages.translation(row.message.id)
            assert box is not None
            assert box.text.toPlainText() == "das Haus ist klein."
        finally:
            window.hide()
            await window.unload()
            assert await proxy.close(), "the core did not end in time"
            window.deleteLater()

    qloop.run_until_complete(play())


def test_a_message_is_translated_by_a_model_of_a_provider_and_here_when_it_is_gone(
    qloop: QEventLoop, theme: Theme, network: tuple[tuple[str, int], ...], tmp_path: Path
) -> None:
    """Neither machine has a model to chat with."""

    def core(name: str, *, rules: RuleOverride | None = None) -> CoreProxy:
        config = CoreConfig(tmp_path / name, bootstrap=network, local_network=False, rules=rules)
        return CoreProxy(CoreThread(lambda: Core(config)))

    async def play() -> None:
        owner, guest = core("owner", rules=RuleOverride(allow_all=True)), core("guest")
        with theme.undressed():
            window = MainWindow(guest, theme)
        try:
            for proxy in owner, guest:
                await proxy.start()
            german_model = write_model(tmp_path / "made", "en", "de", GERMAN)[0]
            french_model = write_model(tmp_path / "made", "en", "fr", FRENCH)[0]
            await owner.call(lambda core: core.add_model_file(german_model))
            await owner.call(lambda core: core.add_model_file(french_model))
            await owner.call(lambda core: core.start_sharing())
            key = owner.public_key
            window.show()
            await window.load()
            await guest.call(lambda core: core.add_provider(key, "Studio"))
            await guest.call(lambda core: core.connect_provider(key))
            conversation = await guest.call(lambda core: core.new_conversation(Target(key)))
            await guest.call(lambda core: core.ask(conversation.id, "the house is small."))
            window.chat.open(conversation.id)
            page = window.chat_page.conversation
            await until(lambda: page.messages.rows, "the message")
            row, translations = page.messages.rows[0], window.chat.translations
            text = next(block for block in row.blocks() if isinstance(block, QTextEdit))
            german = "English to German, by a translation model of Studio"
            await until(lambda: any(c.name == german for c in page.messages.languages), "what its models do")
            menu = page.messages.menu_for(text, row, text.mapToGlobal(text.rect().topLeft()))
            acts(submenu(menu, "Translate to"))[german]()
            await until(lambda: (t := translations.of(row.message.id)) is not None and not t.running, "the translation")
            picture(window, "translation-provider")
            box = page.messages.translation(row.message.id)
            assert box is not None
            assert box.text.toPlainText() == "das Haus ist klein."
            (entry,) = await owner.call(lambda core: core.request_log())
            assert (entry.method, entry.outcome, entry.unit) == ("translate", "eos", "texts")
            await owner.call(lambda core: core.stop_sharing())
            await until(lambda: not any("Studio" in c.name for c in page.messages.languages), "that it is gone")
            page.messages.translation_wanted.emit(row.message.id, "the house", f"en>fr@{key}")
            await until(lambda: box.error.isVisible(), "why not")
            picture(window, "translation-failed")
            await guest.call(lambda core: core.add_model_file(french_model))
            next(button for button in box.error.findChildren(Button) if button.text() == "Try again").click()
            await until(lambda: box.text.toPlainText() == "la maison" and not box.stop.isVisible(), "this machine's")
            picture(window, "translation-here-instead")
            assert box.seam.isVisible()
            assert box.seam.accessibleName().endswith(" This machine translates.")
            window.resize(720, 520)
            theme.choose("dark")
            picture(window, "translation-narrow")
        finally:
            window.hide()
            await window.unload()
            for proxy in guest, owner:
                assert await proxy.close(), "the core did not end in time"
            window.deleteLater()

    qloop.run_until_complete(play())
