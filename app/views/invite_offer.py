"""What a guest sees of an invite before taking it: what it gives, for how long, and that nobody can change it."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from app import words
from app.i18n import listed, number, tongue, tr, trn
from app.presenters.chat_directory import model_label
from app.theme import Theme
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from qvac_core.core.state import Offer


class OfferPanel(QFrame):
    """Empty until an offer is shown."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("offer")
        self.title = Label(weight=600, wrap=True)
        self.sentence = Label(tone="text2", wrap=True)
        self.facts: dict[str, tuple[Label, Label]] = {}
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        for row, (name, text) in enumerate(
            (
                ("models", tr("Models")),
                ("tokens", tr("Tokens")),
                ("at_once", tr("At once")),
                ("longest", tr("Longest")),
                ("hours", tr("Hours")),
                ("access", tr("Your access")),
                ("until", tr("Open until")),
            )
        ):
            label, value = Label(text, tone="text3"), Label(wrap=True)
            grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(value, row, 1)
            self.facts[name] = (label, value)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(IconLabel(theme, "ticket", "accent"), 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.title, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 4)
        layout.setSpacing(6)
        layout.addLayout(head)
        layout.addLayout(grid)
        layout.addWidget(self.sentence)

    def show_offer(self, offer: Offer) -> None:
        self.title.setText(
            tr("An invite from {name}", name=offer.machine)
            if offer.machine
            else tr("An invite from the owner of this key")
        )
        for name, said in offer_facts(offer).items():
            label, value = self.facts[name]
            value.setText(said)
            label.setVisible(bool(said))
            value.setVisible(bool(said))
        self.sentence.set_tone("danger" if offer.run_out else "text2")
        self.sentence.setText(
            tr("It has run out. Ask its owner for a new one.")
            if offer.run_out
            else tr("Its owner signed it. Taking it uses up a place: the link is worth less to others then.")
        )
        self.setAccessibleName(self.title.text())


def offer_facts(offer: Offer) -> dict[str, str]:
    """In words; "" where there is no limit to tell of."""
    limits = offer.limits
    if offer.models is None:
        models = tr("all that its owner shares")
    else:
        names, more = [model_label(name) for name in limits.models or ()], offer.models - len(limits.models or ())
        models = listed([*names, trn("%n more", "%n more", more)] if more > 0 else names) or tr("none")
    longest = []
    if limits.context_tokens is not None:
        longest.append(tr("chats of {count} tokens", count=number(limits.context_tokens)))
    if limits.answer_tokens is not None:
        longest.append(tr("answers of {count} tokens", count=number(limits.answer_tokens)))
    access = tr("until its owner ends it")
    if offer.access_seconds is not None:
        days = round(offer.access_seconds / words.DAY)
        access = (
            trn("%n day from now", "%n days from now", days) if days else words.whole_duration(offer.access_seconds)
        )
    until = ""
    if offer.opens_until is not None:
        at = datetime.fromtimestamp(offer.opens_until)
        until = tr("{day}, {time}", day=tongue().date(at, year=True), time=tongue().time(at))
    return {
        "models": models,
        "tokens": tr("no limit")
        if limits.tokens_per_day is None
        else tr("{count} a day", count=number(limits.tokens_per_day)),
        "at_once": "" if limits.parallel is None else trn("%n request", "%n requests", limits.parallel),
        "longest": listed(longest),
        "hours": limits.hours,
        "access": access,
        "until": until,
    }
