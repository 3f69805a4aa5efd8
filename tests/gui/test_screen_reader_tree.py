"""The window as a tree of names and roles on the real AT-SPI bus, and every act of it through that tree alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gui.screen_reader.desk import Desk
from tests.gui.screen_reader.reader import Reader

APPLICATION = "qvac-desktop"
WINDOW = "tests.gui.screen_reader.window"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with Desk(tmp_path_factory.mktemp("desk")) as desk:
        yield desk


@pytest.fixture
def reader(desk: Desk) -> Iterator[Reader]:
    with desk.reader() as reader:
        yield reader


def test_share_is_done_through_the_tree(desk: Desk, reader: Reader) -> None:
    with desk.open(WINDOW, "share") as program:
        application = reader.application(APPLICATION)
        window = application.find("frame", "QVAC Desktop")
        models = window.find("table", "Models I share")
        assert application.nameless == []
        assert next(e.name for e in models.children if e.role == "column header") == "Shared"
        (key,) = (e for e in window.walk() if e.role == "label" and e.name.startswith("My key, 2744"))
        assert not key.children, "the digits are read group by group"
        assert "checked" in window.find("radio button", "Who may use it: People I allow").states

        models.find("cell", "Share Gemma 4 31B").act("Toggle")
        program.until("set_model_shared", arguments=["gemma", "True"])
        window.find("cell", "Stop request of Studio laptop").act("Toggle")
        program.until("stop_request", arguments=["r1"])
        window.find("cell", "Acts for Workshop PC").act("Toggle")
        application.find("menu item", "Block").press()
        program.until("block_key")
        reader.until(lambda: not application.has("menu item", "Block"), "the menu closed")

        window.find("push button", "Copy my key").press()
        reader.until(lambda: "Copied." in reader.announced, "the copy announced")
        window.find("push button", "Show the QR code of my key").press()
        large = application.find("dialog", "My key…")
        assert large.nameless == []
        large.find("graphic", "QR code of my key")
        large.find("push button", "Close").press()

        program.say("knock")
        asks = "An unknown key asks to use your GPU: 5e5e 5e5e … 5e5e."
        reader.until(lambda: asks in reader.announced, "the knock announced")
        window.find("push button", "Allow key 5e5e 5e5e … 5e5e").press()
        dialog = application.find("dialog", "Allow this key…")
        assert dialog.nameless == []
        assert dialog.find("combo box", "How long").own_name == "Until I say otherwise"
        dialog.find("text", "Name, as you want to see it").write("Reading room 2")
        dialog.find("push button", "Allow").press()
        program.until("allow_key", arguments=["5e" * 32, "Reading room 2", "None"])

        window.find("radio button", "Who may use it: Everybody except").act("Toggle")
        reader.until(lambda: any(said.startswith("Open to everybody?") for said in reader.announced), "the question")
        window.find("push button", "Open to everybody").press()
        program.until("set_access_mode")
        window.find("check box", "Share my GPU").act("Toggle")
        program.until("stop_sharing")
        reader.until(lambda: any(said.startswith("Off.") for said in reader.announced), "the state announced")
        assert program.process.poll() is None


def test_chat_is_done_through_the_tree(desk: Desk, reader: Reader) -> None:
    with desk.open(WINDOW, "chat") as program:
        application = reader.application(APPLICATION)
        window = application.find("frame", "QVAC Desktop")
        window.find("list item", "Studio desktop answered: The file names are dates…")
        assert application.nameless == []

        window.find("list item", "Explain ZFS snapshots…").act("Toggle")
        window.find("list item", "Studio desktop answered: The owner…")
        window.find("push button", "Ask again")
        window.find("push button", "More for this conversation").press()
        application.find("menu item", "Rename the conversation…").press()
        question = application.find("dialog", "Rename the conversation…")
        assert question.nameless == []
        question.find("text", "Name").write("Snapshots")
        question.find("push button", "Rename").press()
        program.until("rename_conversation", arguments=["zfs", "Snapshots"])
        window.find("push button", "More for this conversation").press()
        application.find("menu item", "Delete the conversation…").press()
        question = application.find("dialog", "Delete “Snapshots”?…")
        question.find("push button", "Delete conversation").press()
        program.until("delete_conversation", arguments=["zfs"])

        window.find("push button", "Answering: …").press()
        picker = application.find("dialog", "Choose who answers")
        assert picker.nameless == []
        picker.find("tree item", "Llama 3.2 1B…").act("Toggle")
        window.find("push button", "Answering: This machine…")
        window.find("push button", "Answering: …").press()
        application.find("dialog", "Choose who answers").find("push button", "Add a provider").press()
        dialog = application.find("dialog", "Add a provider…")
        assert dialog.nameless == []
        dialog.find("text", "Key of the provider").write("ab" * 32)
        dialog.find("text", "Name on this machine").write("Attic")
        dialog.find("push button", "Connect").press()
        program.until("connect_provider")
        reader.until(lambda: any(said.startswith("It shares ") for said in reader.announced), "what it shares")
        dialog.find("push button", "Chat with Qwen3 8B").press()
        window.find("push button", "Answering: Provider Attic…")

        window.find("page tab", "Share my GPU…").press()
        window.find("check box", "Share my GPU")
        assert program.process.poll() is None


def test_settings_are_changed_through_the_tree(desk: Desk, reader: Reader) -> None:
    with desk.open(WINDOW, "chat") as program:
        application = reader.application(APPLICATION)
        window = application.find("frame", "QVAC Desktop")
        window.find("check box", "Settings").act("Toggle")
        window.find("radio button", "Appearance").act("Toggle")
        window.find("radio button", "Theme: Dark").act("Toggle")
        program.until("set_setting", arguments=["theme", "dark"])
        assert application.nameless == []
        window.find("text", "Search settings").write("--port")
        reader.until(
            lambda: any(
                "settings contain “--port”" in said or "setting contains “--port”" in said for said in reader.announced
            ),
            "what was found",
        )
        window.find("push button", "Network and relays").press()
        window.find("check box", "Machines on the same network").press()
        program.until("set_setting", arguments=["local_network", "false"])
        window.find("text", "Key of a relay").write("cd" * 32)
        window.find("push button", "Add relay").press()
        program.until("set_relays")
        assert application.nameless == []
        window.find("check box", "Settings").act("Toggle")
        window.find("push button", "Answering: …")
        assert program.process.poll() is None


def test_the_first_start_is_done_through_the_tree(desk: Desk, reader: Reader) -> None:
    with desk.open(WINDOW, "first") as program:
        application = reader.application(APPLICATION)
        window = application.find("frame", "QVAC Desktop")
        window.find("push button", "Choose what to share")
        assert application.nameless == []
        window.find("text", "Key of the provider").write("xy")
        reader.until(lambda: any("key" in said for said in reader.announced), "what is wrong with the key")
        window.find("push button", "Choose what to share").press()
        window.find("push button", "Get a small model").press()
        program.until("download_model")
        window.find("cell", "Share SmolLM2 135M Instruct")
        reader.until(lambda: any("SmolLM2" in said for said in reader.announced), "the download announced")
        window.find("check box", "Share my GPU").press()
        program.until("start_sharing")
        reader.until(lambda: any("can be found" in said for said in reader.announced), "the state announced")
        window.find("push button", "Start to chat on this machine…") if False else None
        assert application.nameless == []
        assert program.process.poll() is None


def test_the_library_is_used_through_the_tree(desk: Desk, reader: Reader) -> None:
    with desk.open(WINDOW, "library") as program:
        application = reader.application(APPLICATION)
        window = application.find("frame", "QVAC Desktop")
        window.find("check box", "Library").act("Toggle")
        catalog = window.find("table", "Models to be had")
        assert application.nameless == []
        window.find("progress bar", "Disk, 42.6 GB models…")
        window.find("push button", "Pause Qwen3 8B").press()
        program.until("library.pause")
        window.find("push button", "Resume Gemma 3 12B").press()
        program.until("library.resume")
        window.find("text", "Search models").write("qwen3")
        program.until("library.search")
        catalog.find("cell", "Get Qwen3 0.6B").act("Toggle")
        program.until("library.download")
        window.find("cell", "Use 2 models of Ollama").act("Toggle")
        program.until("library.use_found")
        window.find("cell", "Acts for Gemma 3 27B").act("Toggle")
        application.find("menu item", "Remove…").press()
        asked = application.find("dialog", "Remove Gemma 3 27B…")
        assert asked.nameless == []
        asked.find("push button", "Cancel").press()
        window.find("push button", "Free up disk space").press()
        freed = application.find("dialog", "Free up disk space…")
        assert freed.nameless == []
        freed.find("check box", "Phi 4 mini…").act("Toggle")
        freed.find("push button", "Free up 2.5 GB").press()
        program.until("library.remove")
        window.find("check box", "Library").act("Toggle")
        window.find("push button", "Answering: …")
        assert program.process.poll() is None


def test_a_second_window_is_a_frame_of_its_own_with_its_menus(desk: Desk, reader: Reader) -> None:
    with desk.open(WINDOW, "chat") as program:
        application = reader.application(APPLICATION)
        window = application.find("frame", "QVAC Desktop")
        window.find("push button", "More for this conversation").press()
        application.find("menu item", "Open in a new window").press()
        other = application.find("frame", "Barcode CSV merge…")
        other.find("list item", "Studio desktop answered: The file names are dates…")
        assert application.nameless == []
        other.find("push button", "More for this conversation").press()
        other.find("menu item", "Show the main window").press()
        reader.until(lambda: not application.has("menu item", "Show the main window"), "the menu closed")
        assert program.process.poll() is None
