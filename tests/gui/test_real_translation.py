"""A real window translates a message with a real small model, and with a translation model beside it: by the menu,
through the core and its worker processes."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTextEdit
from qasync import QEventLoop

from app.bridge import CoreProxy, CoreThread
from app.theme import Theme
from app.window import MainWindow
from qvac_core.core import Core, CoreConfig
from tests.gui.test_real_windows import picture, until
from tests.gui.test_translations import acts, submenu
from tests.marian_files import GERMAN, write_model


def test_a_message_is_translated_by_the_model_that_chats(
    qloop: QEventLoop, theme: Theme, small_model_path: Path, tmp_path: Path
) -> None:
    async def play() -> None:
        proxy = CoreProxy(CoreThread(lambda: Core(CoreConfig(tmp_path, bootstrap=(("127.0.0.1", 9),)))))
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
            pair = ("en>de", "English to German, by a translation model")
            await until(lambda: pair in translations.languages(), "what the translation model does")
            page.messages.languages = translations.languages()
            menu = page.messages.menu_for(text, row, text.mapToGlobal(text.rect().topLeft()))
            acts(submenu(menu, "Translate the selection to"))[pair[1]]()
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
