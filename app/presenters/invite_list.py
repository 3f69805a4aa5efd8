"""The page of invites: those that were made, what became of them, and a new one. Its words, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app import words
from app.bridge import CoreProxy
from app.i18n import later, listed, number, tongue, tr, trn
from app.presenters.table_rows import Cell, Column, Row
from qvac_core.codec.key_text import short_key
from qvac_core.core.interface import CoreInterface
from qvac_core.core.state import ErrorInfo, InviteRecord, InvitesChanged, InviteWish, KeyLimits
from qvac_core.errors import QvacError

if TYPE_CHECKING:
    from app.presenters.share import SharePresenter

COLUMNS = (
    Column(later("For"), 140),
    Column(later("May use"), 148),
    Column(later("Each"), 92),
    Column(later("Until"), 84),
    Column(later("What became of it")),
    Column("", 124, spoken=later("Act")),
)
DROP = (1, 2, 3)
FACES = 3


@dataclass(frozen=True, slots=True)
class Given:
    """An invite as its card and its row show it."""

    title: str
    badge: str
    models: str
    each: str
    until: str
    access: str


class InvitesPresenter(QObject):
    """`changed`: the list, or what it says. `failed(ErrorInfo)`; `made(id)`."""

    changed = Signal()
    failed = Signal(object)
    made = Signal(str)

    def __init__(
        self,
        core: CoreProxy,
        share: SharePresenter,
        *,
        clock: Callable[[], float] = time.time,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._core = core
        self._share = share
        self.clock = clock
        self.invites: tuple[InviteRecord, ...] = ()
        self.links: dict[str, str] = {}
        share.models_changed.connect(self.changed)
        share.rules_changed.connect(self.changed)
        core.core_event.connect(self._take)

    async def load(self) -> None:
        await self._keep(await self._core.call(lambda core: core.invites.list()))

    async def _keep(self, invites: tuple[InviteRecord, ...]) -> None:
        async def links(core: CoreInterface) -> dict[str, str]:
            return {invite.id: core.invites.link(invite) for invite in invites}

        self.links = await self._core.call(links)
        self.invites = invites
        self.changed.emit()

    # --- What is shown

    def shared_models(self) -> list[tuple[str, str, str]]:
        """Name, title, and what it is for."""
        kinds = {"chat": tr("chat"), "transcribe": tr("speech"), "embed": tr("embeddings")}
        return [
            (model.name, model.display_name or model.name, kinds.get(model.ability, ""))
            for model in self._share.models
            if model.shared
        ]

    def find(self, id: str) -> InviteRecord | None:
        return next((invite for invite in self.invites if invite.id == id), None)

    def is_open(self, invite: InviteRecord) -> bool:
        return invite.open_at(self.clock())

    def in_order(self, *, only_open: bool) -> list[InviteRecord]:
        """Open ones first, each group newest first."""
        shown = [invite for invite in self.invites if not only_open or self.is_open(invite)]
        return sorted(shown, key=lambda invite: not self.is_open(invite))

    def counts(self) -> str:
        opened = sum(map(self.is_open, self.invites))
        return tr("{open} open, {closed} closed", open=number(opened), closed=number(len(self.invites) - opened))

    def given(self, invite: InviteRecord) -> Given:
        limits = invite.limits
        models = (
            tr("all I share")
            if limits.models is None
            else listed([self._share.label_of(name) for name in limits.models])
        )
        tokens = (
            tr("no limit a day")
            if limits.tokens_per_day is None
            else tr("{count} tokens a day", count=words.short_count(limits.tokens_per_day))
        )
        each = (
            tokens
            if limits.parallel is None
            else tr("{tokens}, {count} at once", tokens=tokens, count=number(limits.parallel))
        )
        if limits.hours:
            each = tr("{limits}, {hours}", limits=each, hours=limits.hours)
        until = _moment(invite.opens_until) if invite.opens_until else tr("no end")
        access = (
            tr("until you end it")
            if invite.access_seconds is None
            else trn(
                "%n day from when they come", "%n days from when they come", round(invite.access_seconds / words.DAY)
            )
        )
        taken = tr("{count} of {all} places taken", count=number(len(invite.claims)), all=number(invite.places))
        return Given(tr("Invite for {name}", name=invite.name), taken, models, each, until, access)

    def rows(self, *, only_open: bool) -> list[Row]:
        return [self._row(invite) for invite in self.in_order(only_open=only_open)]

    def _row(self, invite: InviteRecord) -> Row:
        opened, now = self.is_open(invite), self.clock()
        tone = "text2" if opened else "text3"
        limits, given = invite.limits, self.given(invite)
        each = (
            tr("no limit")
            if limits.tokens_per_day is None
            else tr("{count} a day", count=words.short_count(limits.tokens_per_day))
        )
        until = words.expiry(invite.opens_until, now) if opened else _day(invite.opens_until, now)
        soon = opened and invite.opens_until is not None and invite.opens_until - now < words.DAY
        if opened:
            act = Cell(button=tr("Take back"), accessible=tr("Take back the invite for {name}", name=invite.name))
        else:
            act = Cell(
                button=tr("Again…"),
                flat=True,
                accessible=tr("Make another invite like that for {name}", name=invite.name),
            )
        return Row(
            invite.id,
            (
                Cell(invite.name, "text" if opened else "text3", weight=500),
                Cell(given.models, tone),
                Cell(each, tone),
                Cell(until, "warn" if soon else tone),
                self._became(invite, tone),
                act,
            ),
        )

    def _became(self, invite: InviteRecord, tone: str) -> Cell:
        came = len(invite.claims)
        if invite.taken_back_at is not None:
            said = trn("taken back, %n had come", "taken back, %n had come", came) if came else tr("taken back")
            return Cell(said, tone, icon="undo-2")
        full = came >= invite.places
        if not full and invite.opens_until is not None and invite.opens_until <= self.clock():
            said = trn("ran out, %n had come", "ran out, %n had come", came) if came else tr("ran out, not used")
            return Cell(said, tone, icon="clock")
        if not came:
            return Cell(tr("nobody has opened it yet"), tone, icon="clock")
        key = invite.claims[0][0]
        names = listed([self._share.name_of(key) or short_key(key) for key, _ in invite.claims[:FACES]])
        if full and invite.places > 1:
            said = tr("{count} of {count} taken, none over", count=number(came))
        else:
            said = tr("{count} of {all}: {names}", count=number(came), all=number(invite.places), names=names)
        return Cell(said, "text" if self.is_open(invite) else tone, avatar=key, tooltip=names)

    def turned_away(self) -> str:
        """Of the newest that somebody tried after its places were taken; "" = none."""
        tried = [invite for invite in self.invites if invite.turned_away_at is not None]
        if not tried:
            return ""
        newest = max(tried, key=lambda invite: invite.turned_away_at or 0)
        return tr(
            "another key tried {name} after its places were taken, {ago}. It was turned away.",
            name=newest.name,
            ago=words.ago(newest.turned_away_at or 0, self.clock()),
        )

    # --- Intents

    def make(self, wish: InviteWish) -> None:
        async def do() -> None:
            made = await self._core.call(lambda core: core.invites.make(wish))
            await self.load()
            self.made.emit(made.id)

        self._do(tr("The invite was not made."), do())

    def take_back(self, id: str) -> None:
        self._do(tr("The invite is still open."), self._core.call(lambda core: core.invites.take_back(id)))

    def remove(self, id: str) -> None:
        self._do(tr("The invite was not removed."), self._core.call(lambda core: core.invites.remove(id)))

    def wish_like(self, invite: InviteRecord) -> InviteWish:
        """For another one; what it is open until is chosen anew."""
        return InviteWish(invite.name, invite.limits, None, invite.access_seconds, invite.places)

    def _do(self, title: str, coroutine: Coroutine[Any, Any, object]) -> None:
        def failed(error: QvacError) -> None:
            self.failed.emit(ErrorInfo(error.name, error.code, title, error.message))

        self._share.tasks.start(coroutine, failed)

    def _take(self, event: object) -> None:
        if isinstance(event, InvitesChanged):
            self._share.tasks.start(self._keep(event.invites), lambda error: None)


def empty_wish(models: tuple[str, ...]) -> InviteWish:
    """What the form begins with."""
    return replace(InviteWish(""), limits=KeyLimits(50_000, 1, models=models))


def _moment(moment: float) -> str:
    at = datetime.fromtimestamp(moment)
    return tr("{day}, {time}", day=tongue().date(at, year=True), time=tongue().time(at))


def _day(moment: float | None, now: float) -> str:
    return "–" if moment is None else words.day(moment, now) if moment <= now else _short(moment)


def _short(moment: float) -> str:
    return tongue().date(datetime.fromtimestamp(moment), year=False)
