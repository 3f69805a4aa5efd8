"""Calls and models of programs as rows of tables. What a stranger wrote is plain text in one line. Knows no Qt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app import words
from app.i18n import later, listed, number, tongue, tr
from app.presenters.table_rows import Cell, Column, Row
from qvac_core.core.programs_state import ProgramModel
from qvac_core.endpoint.interface import THIS_MACHINE, Call, Offer

CALL_COLUMNS = (
    Column(later("Time"), 78),
    Column(later("Program"), 0),
    Column(later("Asked for"), 92),
    Column(later("Answered by"), 114),
    Column(later("Tokens in / out"), 98, right=True),
    Column(later("Took"), 62, right=True),
    Column(later("Ended"), 190),
)
CALL_DROP = (4, 3, 5, 2)
MODEL_COLUMNS = (
    Column(later("Name"), 0),
    Column(later("Can do"), 190),
    Column(later("Where"), 170),
    Column("", 84, spoken=later("Copy")),
)
MODEL_DROP = (1, 2)

KINDS = {
    "chat": later("chat"),
    "responses": later("chat"),
    "completions": later("chat"),
    "embeddings": later("embeddings"),
    "transcription": later("transcription"),
    "translation": later("transcription"),
}
REFUSALS = {
    "missing_api_key": later("refused: no token"),
    "invalid_api_key": later("refused: wrong token"),
    "origin_not_allowed": later("refused: a web page"),
    "host_not_allowed": later("refused: wrong address"),
}
ENDINGS = {
    "done": ("check", "accent", later("done")),
    "moved": ("waypoints", "accent", later("moved on, nothing lost")),
    "left": ("square", "text2", later("stopped by the program")),
    "stopped": ("square", "text2", later("stopped here")),
    "failed": ("circle-x", "danger", later("failed")),
    "refused": ("ban", "danger", later("refused")),
}
ABILITIES = {
    "chat": later("chat"),
    "tools": later("tools"),
    "vision": later("pictures"),
    "embed": later("embeddings"),
    "transcribe": later("transcription"),
}


def call_rows(calls: Sequence[Call], now: float) -> list[Row]:
    return [_call(call, now) for call in calls]


def _call(call: Call, now: float) -> Row:
    refused = call.outcome == "refused"
    program = _plain(call.program) or tr("a program")
    if call.program == "a web page":
        program = tr("a web page")
    took = (call.ended or now) - call.started
    tokens = f"{number(call.prompt_tokens)} / {number(call.generated_tokens)}"
    machine = _machine(call.machine)
    page = tr("The page {origin} asked.", origin=_plain(call.origin)) if call.origin else ""
    return Row(
        call.id,
        (
            Cell(tongue().clock(datetime.fromtimestamp(call.started)), tone="text2"),
            Cell(program, tooltip=page),
            Cell(tr(KINDS[call.kind]) if call.kind in KINDS else "–", tone="text2"),
            Cell(machine or "–", tone="text2"),
            Cell("–" if refused else tokens),
            Cell(words.duration(took, 1), tone="text2"),
            _ending(call, program, page),
        ),
        tooltip=page,
    )


def _plain(text: str) -> str:
    return words.one_line(" ".join(text.split()))


def _machine(name: str) -> str:
    return tr("This machine") if name == THIS_MACHINE else _plain(name)


def _ending(call: Call, program: str, page: str) -> Cell:
    if not call.ended:
        stop = tr("Stop the call of {program}", program=program)
        return Cell(button=tr("Stop"), button_icon="square", accessible=stop)
    icon, tone, text = ENDINGS.get(call.outcome, ENDINGS["failed"])
    if call.outcome == "refused":
        text = REFUSALS.get(call.reason, text)
    why = _plain(call.reason) if call.outcome == "failed" else ""
    danger = "danger" if tone == "danger" else "text"
    return Cell(tr(text), tone=danger, icon=icon, icon_tone=tone, tooltip=listed((why, page), " "))


def model_rows(models: Sequence[ProgramModel], search: str) -> list[Row]:
    wanted = search.casefold().split()
    return [_model(model) for model in models if all(word in model.id.casefold() for word in wanted)]


def _model(model: ProgramModel) -> Row:
    offer = model.offer
    dot = "local" if offer.local else "live" if offer.online else "ctl"
    return Row(
        model.id,
        (
            Cell(_plain(model.id), fixed=True, dot=dot, tooltip=model.id),
            Cell(abilities(offer), tone="text2"),
            Cell(place(offer), tone="text2"),
            Cell(
                button=tr("Copy"),
                button_icon="copy",
                flat=True,
                accessible=tr("Copy the name {name}", name=_plain(model.id)),
            ),
        ),
    )


def abilities(offer: Offer) -> str:
    return listed(tr(ABILITIES[each]) for each in offer.abilities if each in ABILITIES)


def place(offer: Offer) -> str:
    if offer.local:
        return tr("local")
    if not offer.online:
        return tr("away now")
    ways = {"direct": tr("direct"), "relay": tr("by relay"), "local network": tr("local network")}
    rtt = tr("{number} ms", number=number(round(offer.rtt_ms))) if offer.rtt_ms is not None else ""
    return listed((ways.get(offer.path, ""), rtt))
