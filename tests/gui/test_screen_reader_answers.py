"""What a screen reader hears of an answer, over the real AT-SPI bus: its beginning, sentences, end, and no flood."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gui.screen_reader.desk import Desk
from tests.gui.screen_reader.reader import Element, Event, Reader
from tests.gui.screen_reader.window import LONG, SENTENCE

APPLICATION = "qvac-desktop"
POLITE, ASSERTIVE = 1, 2


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path) as desk:
        yield desk


def ask(window: Element, question: str) -> None:
    """Write into the composer and press Send, through the accessibility bus alone."""
    window.find("text", "Message").write(question)
    send = window.find("push button", "Send the message")
    window.reader.until(lambda: "enabled" in send.states, "Send can be pressed")
    send.press()


def spoken(reader: Reader) -> str:
    return " ".join(" ".join(reader.announced).split())


def test_an_answer_is_announced_by_sentence_and_its_growth_costs_what_changed(desk: Desk) -> None:
    reader = desk.reader()
    desk.open("tests.gui.screen_reader.window", "chat")
    window = reader.application(APPLICATION)
    window.find("list item", "Barcode CSV merge…")
    reader.forget()
    began = time.monotonic()
    ask(window, "And for three million?")
    reader.until(lambda: "The answer is complete." in spoken(reader), "the end of the answer announced")
    seconds = time.monotonic() - began
    first, *sentences = reader.announced
    assert first == "Studio desktop is reading…"
    assert " ".join(" ".join(sentences).split()) == f"{LONG}The answer is complete."
    assert all(said.startswith(SENTENCE.strip()) for said in sentences[:-1]), "cut inside a sentence"
    assert all(said.endswith(SENTENCE.strip()) for said in sentences[:-1]), "cut inside a sentence"
    assert all(event.numbers[0] == POLITE for event in reader.events("Announcement"))

    def growth() -> list[Event]:
        return [event for event in reader.events("TextChanged") if event.detail == "insert" and event.value in LONG]

    def whole() -> bool:
        return "".join(event.value for event in growth()).strip() == LONG.strip()

    reader.until(whole, "all of the answer reported as inserted")
    grown = growth()
    assert len(grown) <= seconds + 2, "more than once a second"
    carried = sum(len(event.value) for event in reader.events("TextChanged"))
    names = [event for event in reader.events("PropertyChange") if event.detail == "accessible-name"]
    carried += sum(len(event.value) for event in names)
    assert carried <= 3 * len(LONG), f"{carried / len(LONG):.1f} times the answer as names and texts"
    octets = sum(event.size for event in reader.events())
    assert octets <= 25 * len(LONG), f"{octets / len(LONG):.1f} times the answer in messages of all kinds"


def test_the_end_of_an_answer_is_announced_however_it_ends(desk: Desk) -> None:
    reader = desk.reader()
    program = desk.open("tests.gui.screen_reader.window", "chat")
    window = reader.application(APPLICATION)
    window.find("list item", "Barcode CSV merge…")
    ask(window, "And for three million?")
    window.find("push button", "Stop the answer").press()
    reader.until(lambda: "The answer was stopped." in spoken(reader), "the stop announced")
    reader.forget()
    program.say("fail")
    ask(window, "Again?")
    reader.until(lambda: "Studio desktop went offline." in spoken(reader), "the failure announced")
    (failure,) = [event for event in reader.events("Announcement") if "went offline" in event.value]
    assert failure.numbers[0] == ASSERTIVE
    assert "The first half of it." in spoken(reader)
    program.say("notice")
    reader.until(lambda: "The clock was changed. Times in the log" in spoken(reader), "the notice announced")
