"""Every option of the command line is found on the Settings page, or stands here with its place elsewhere."""

from __future__ import annotations

from app.cli.options import build_parser, verbs_of
from app.presenters.settings_rows import SECTIONS

# Of one run or one question, or of a terminal alone.
ELSEWHERE = {
    "--log-file": "of a provider without a window; Report a problem shows the window's",
    "--search": "the search of the Library",
    "--yes": "the question of a dialog",
    "--prompt": "the message field of Chat",
    **dict.fromkeys(("--tools", "--allow-tool"), "the tools of a conversation, in Chat"),
    "--picture": "the paper clip of Chat",
    "--file": "the paper clip of Chat",
    "--temp": "the parameters of a conversation",
    "--timeout": "Stop, and who answers else",
    "--force-new-connection": "Try again of a provider",
    "--to": "Translate to, in a message's menu",
    "--from": "a model finds the language of a text",
    "--context": "the message field of Chat",
    "--translate": "Translate to, in a transcript's menu",
    "--format": "the export of a transcript",
    "--host": "the window listens on this machine alone",
    "--allow-origin": "Web pages that may call, on the page For programs",
    "--token": "the token on the page For programs",
    "--new-token": "New token, on the page For programs",
    "--provider": "the providers of Chat",
    "--allow-copy": "the menu of a model on Share",
    "--tools": "the tools of a conversation in Chat",
    "--allow-tool": "the question before a tool runs in Chat",
    "--copy": "the sources of a model in the Library",
    **dict.fromkeys(
        ("--name", "--parallel", "--only-model", "--hours", "--until", "--for-good", "--extra-tokens"),
        "the page of a person, under Share my GPU",
    ),
    "--minutes": "Pause, on the machine itself",
    **dict.fromkeys(("--places", "--access-days"), "the page of invites, under Share my GPU"),
    **dict.fromkeys(("--mine", "--not-mine"), "the page of a person, under Share my GPU"),
    **dict.fromkeys(("--side", "--with", "--key"), "`receipts`: what a terminal lists, exports and verifies"),
    "--quit": "Quit, in the menu of the tray",
    "--self-test": "of a terminal: whether an installation is whole, also where no window opens",
    "--json": "for programs",
    "--help": "this page",
}


def words() -> set[str]:
    rows = [row for section in SECTIONS for group in section.groups for row in group.rows]
    return {word for row in rows for word in row.words if word.startswith("--")}


def options() -> set[str]:
    parser = build_parser()
    parsers = [parser, *verbs_of(parser).values()]
    return {text for one in parsers for action in one._actions for text in action.option_strings if text[:2] == "--"}


def test_no_option_is_without_a_place() -> None:
    assert sorted(options() - words() - set(ELSEWHERE)) == []


def test_no_place_is_for_an_option_that_is_gone() -> None:
    of_other_programs = {"--cuda", "--vulkan", "--metal", "--hip"}  # of bootstrap.py
    assert sorted((words() | set(ELSEWHERE)) - options() - of_other_programs) == []
