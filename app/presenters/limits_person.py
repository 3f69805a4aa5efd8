"""One person's page of the Share tab: what they used, their limits, and the acts on them, in words."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app import words
from app.bridge import CoreProxy
from app.i18n import number, tongue, tr, trn
from app.tasks import Tasks
from qvac_core.core.interface import CoreInterface
from qvac_core.core.limits import DAYS_SHOWN, KeyUsage
from qvac_core.core.state import AccessKey, ErrorInfo, KeyLimits, RequestEnded
from qvac_core.errors import QvacError
from qvac_core.store.days import day_of
from qvac_core.store.log_records import LogTotals

if TYPE_CHECKING:
    from app.presenters.share import SharePresenter

DAY = 86_400
WARN_ABOVE = 0.8
EXTRA = 20_000  # tokens that one press gives on top, where the limit says nothing better
TOKENS, REQUESTS, TIME = "tokens", "requests", "time"


@dataclass(frozen=True, slots=True)
class DayBar:
    """label: for people. amount: of what is shown; limited: the day's limit was reached."""

    label: str
    amount: float
    limited: bool


class PersonPresenter(QObject):
    """`changed`: anything of the person. `failed(ErrorInfo)`. saved_at: Unix seconds of the last change, 0 = none."""

    changed = Signal()
    failed = Signal(object)
    gone = Signal()

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
        self._tasks: Tasks = share.tasks
        self.clock = clock
        self.public_key = ""
        self.usage: KeyUsage | None = None
        self.saved_at = 0.0
        self._asked: KeyLimits | None = None  # limits on their way to the core
        share.rules_changed.connect(self._take_rules)
        share.models_changed.connect(self.changed)
        core.core_event.connect(self._take)

    # --- What is shown

    @property
    def key(self) -> AccessKey | None:
        return self._share.key_of(self.public_key) if self.public_key else None

    @property
    def name(self) -> str:
        key = self.key
        return (key.name if key is not None else "") or words_short(self.public_key)

    def shared_models(self) -> list[tuple[str, str]]:
        """Name and title of each model that is shared."""
        return [(model.name, model.display_name or model.name) for model in self._share.models if model.shared]

    def longest_context(self) -> int:
        return max((model.n_ctx for model in self._share.models if model.shared), default=0)

    def used_fraction(self) -> float:
        key = self.key
        if key is None or key.most_today is None:
            return 0.0
        return 1.0 if key.most_today == 0 else key.tokens_today / key.most_today

    def ends_at(self) -> float | None:
        """When the tokens of today will be used up if it goes on as it went; None = not today, or nobody knows."""
        key, usage = self.key, self.usage
        if key is None or usage is None or not key.most_today or not key.tokens_today:
            return None
        now, began = self.clock(), usage.ends - DAY
        left = key.most_today - key.tokens_today
        at = now + left * (now - began) / key.tokens_today
        return at if left > 0 and at < usage.ends else None

    def extra(self) -> int:
        key = self.key
        return key.tokens_per_day if key is not None and key.tokens_per_day else EXTRA

    def bars(self, what: str) -> list[DayBar]:
        """The last DAYS_SHOWN days, oldest first."""
        key, usage = self.key, self.usage
        totals = {day.day: day.totals for day in usage.days} if usage is not None else {}
        most = key.tokens_per_day if key is not None and not key.mine else None
        bars = []
        for back in reversed(range(DAYS_SHOWN)):
            moment = self.clock() - back * DAY
            day = totals.get(day_of(moment), LogTotals())
            limited = bool(most) and day.tokens >= (most or 0)
            amount, said = _amount(day, what)
            label = tr("{day}, {amount}", day=words.day(moment - DAY / 2, self.clock()), amount=said)
            if back:
                label = tr("{day}, {amount}", day=_date(moment), amount=said)
            bars.append(DayBar(tr("{day}, limit reached", day=label) if limited else label, amount, limited))
        return bars

    def total_words(self, what: str) -> str:
        days = self.usage.days if self.usage is not None else ()
        if what == REQUESTS:
            return trn("%n request in all", "%n requests in all", sum(day.totals.requests for day in days))
        if what == TIME:
            return tr("{time} in all", time=words.whole_duration(sum(day.totals.ms for day in days) / 1000))
        return tr("{count} tokens in all", count=words.short_count(sum(day.totals.tokens for day in days)))

    # --- Life

    def show(self, public_key: str) -> None:
        self.public_key, self.usage, self.saved_at, self._asked = public_key, None, 0.0, None
        self.changed.emit()
        self.refresh()

    def leave(self) -> None:
        self.public_key = ""

    def step(self, by: int) -> str:
        """The key of the next person, or of the one before."""
        keys = [key.public_key for key in self._share.rules.keys]
        if self.public_key not in keys:
            return self.public_key
        return keys[(keys.index(self.public_key) + by) % len(keys)]

    def refresh(self) -> None:
        wanted = self.public_key

        async def load() -> None:
            usage = await self._core.call(lambda core: core.limits.usage(wanted))
            if wanted == self.public_key:
                self.usage = usage
                self.changed.emit()

        if wanted:
            self._tasks.start(load(), lambda error: None)

    # --- Intents

    def limit(self, **values: object) -> None:
        """Some of KeyLimits' fields; the others stay."""
        key = self.key
        if key is None:
            return
        public_key = self.public_key
        # On top of what was asked for and is on its way: two quick changes both last.
        before = self._asked if self._asked is not None else key.limits
        wanted: KeyLimits = replace(before, **values)  # type: ignore[arg-type]
        if wanted == before:
            return
        self._asked = wanted

        async def set_limits(core: CoreInterface) -> None:
            await core.limits.set_limits(public_key, wanted)

        self._do(tr("The limit was not changed."), set_limits, lambda: self._answered(wanted))

    def _answered(self, wanted: KeyLimits) -> None:
        if self._asked == wanted:
            self._asked = None

    def allow_model(self, name: str, allowed: bool) -> None:
        key = self.key
        if key is None:
            return
        shared = [model for model, _ in self.shared_models()]
        kept = (self._asked or key.limits).models
        now = set(shared if kept is None else kept)
        models = now | {name} if allowed else now - {name}
        everything = allowed and set(shared) <= models
        self.limit(models=None if everything else tuple(sorted(models)))

    def set_expiry(self, expires_at: float | None) -> None:
        public_key = self.public_key
        self._do(tr("The end was not changed."), lambda core: core.limits.set_expiry(public_key, expires_at))

    def set_mine(self, mine: bool) -> None:
        public_key = self.public_key
        self._do(tr("This was not changed."), lambda core: core.limits.set_mine(public_key, mine))

    def give_extra(self) -> None:
        public_key, tokens = self.public_key, self.extra()
        self._do(tr("Nothing more was given."), lambda core: core.limits.give_extra(public_key, tokens))

    def rename(self, name: str) -> None:
        self._share.rename(self.public_key, name)

    def block(self) -> None:
        self._share.block(self.public_key)

    def remove(self) -> None:
        self._share.remove(self.public_key)

    def _do(
        self,
        title: str,
        ask: Callable[[CoreInterface], Coroutine[Any, Any, None]],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        async def do() -> None:
            try:
                await self._core.call(ask)
            finally:
                ended()
            self.saved_at = self.clock()
            self.changed.emit()

        def failed(error: QvacError) -> None:
            self.failed.emit(ErrorInfo(error.name, error.code, title, error.message))
            self.changed.emit()  # a switch shows the truth again

        self._tasks.start(do(), failed)

    def _take_rules(self) -> None:
        if self.public_key and self.key is None:
            self.leave()
            self.gone.emit()
        elif self.public_key:
            self.changed.emit()

    def _take(self, event: object) -> None:
        if isinstance(event, RequestEnded) and event.entry.remote_public_key == self.public_key:
            self.refresh()


def words_short(public_key: str) -> str:
    return f"{public_key[:4]} {public_key[4:8]} … {public_key[-4:]}"


def _date(moment: float) -> str:
    from datetime import datetime

    return tongue().date(datetime.fromtimestamp(moment), year=False)


def _amount(day: LogTotals, what: str) -> tuple[float, str]:
    if what == REQUESTS:
        return day.requests, trn("%n request", "%n requests", day.requests)
    if what == TIME:
        return day.ms, words.whole_duration(day.ms / 1000)
    return day.tokens, trn("%n token", "%n tokens", day.tokens) if day.tokens < 1000 else tr(
        "{count} tokens", count=number(day.tokens)
    )
