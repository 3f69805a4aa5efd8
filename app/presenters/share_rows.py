"""The Share tab's state as rows of its tables: pure functions of state and time, so that a test can read a screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from app import words
from app.core_words import told
from app.i18n import comma, later, listed, number, tongue, tr, trn
from app.key_words import group_key
from app.presenters.chat_directory import model_label
from app.presenters.table_rows import Cell, Column, Row
from qvac_core.codec.key_text import short_key
from qvac_core.core.history_state import DayTotals, LogTotals, PersonTotals
from qvac_core.core.state import (
    AccessKey,
    AccessMode,
    AccessRules,
    ActiveRequest,
    LogEntry,
    SharedModel,
    SharingPhase,
    SharingState,
)

NameOf = Callable[[str], str]

MODEL_DROP = (3, 4)
MODEL_COLUMNS = (
    Column("", 50, spoken=later("Shared")),
    Column(later("Model")),
    Column(later("Memory"), 72, right=True),
    Column(later("Context"), 62, right=True),
    Column(later("Slots"), 48, right=True),
    Column("", 38, spoken=later("Acts")),
)
ACCESS_COLUMNS = (
    Column(later("Name")),
    Column(later("Key"), 150),
    Column(later("Tokens today"), 176),
    Column(later("At once"), 64, right=True),
    Column(later("Expires"), 84),
    Column(later("Last seen"), 116),
    Column("", 47, spoken=later("Acts")),
)
ACCESS_DROP = (1, 4, 3, 5)  # the key, then the expiry, then at once
RUNNING_COLUMNS = (
    Column(later("Who"), 180),
    Column(later("Model")),
    Column(later("Tokens"), 116, right=True),
    Column(later("Speed"), 140, right=True),
    Column(later("Since"), 66, right=True),
    Column("", 112, spoken=later("Stop")),
)
RUNNING_DROP = (4, 3)
LOG_COLUMNS = (
    Column(later("Time"), 82),
    Column(later("Who"), 128),
    Column(later("Model"), 160),
    Column(later("Tokens in / out"), 122, right=True),
    Column(later("Took"), 80, right=True),
    Column(later("Ended")),
)
LOG_DROP = (2, 4)


# What a model that cannot chat is for.
PURPOSES = {"embed": later("for embeddings"), "transcribe": later("for speech"), "translate": later("for translation")}
# Of a request that is no chat: what it is called in the log, and how its measure is written.
METHODS = {
    "embed": later("embeddings"),
    "transcribe": later("speech"),
    "translate": later("translation"),
    "copyModel": later("copy of the file"),
}


def model_rows(models: Iterable[SharedModel]) -> list[Row]:
    return [_model_row(model) if model.ability else _row_of_no_use(model) for model in models]


def _model_row(model: SharedModel) -> Row:
    state, tone = _model_state(model)
    name = model.display_name or model.name
    quiet = "text" if model.shared else "text2"
    chats = model.ability == "chat"
    purpose = tr(PURPOSES.get(model.ability, ""))
    quantization = model.quantization.upper()
    where = tr("at {server}", server=model.server) if model.server else ""
    detail = listed((quantization, where, purpose))
    whole = listed((detail, state))
    detail += comma() if detail and state else ""
    title = name if model.server else tr("{name} ({size} file)", name=name, size=words.size(model.size_bytes))
    return Row(
        model.name,
        (
            Cell(switch=model.shared, accessible=tr("Share {name}", name=name)),
            Cell(
                name,
                quiet,
                detail=detail,
                state=state,
                state_tone=tone,
                accessible=listed((name, quantization, purpose, where, state)),
                # The second line may not fit.
                tooltip=f"{title}\n{whole}",
            ),
            Cell("–" if model.server else words.size(model.memory_bytes), quiet),
            Cell(words.context(model.n_ctx) if chats else "–", "text2"),
            Cell(number(model.slots) if chats else "–", "text2"),
            Cell(menu=True, accessible=tr("Acts for {name}", name=name)),
        ),
    )


def _row_of_no_use(model: SharedModel) -> Row:
    reason = told(model.state.removeprefix("failed: "))
    first = reason.partition(". ")[0].removesuffix(".") + "."
    name = Cell(model.name, "text2", state=first, state_tone="danger", accessible=f"{model.name}, {reason}")
    return Row(model.name, (Cell(), name, *(Cell("–", "text2") for _ in range(3)), Cell()), f"{model.name}\n{reason}")


def _model_state(model: SharedModel) -> tuple[str, str]:
    if model.state.startswith("failed"):
        reason = told(model.state.partition(":")[2].strip())
        return (tr("failed: {reason}", reason=reason) if reason else tr("failed")), "danger"
    if model.state.startswith("away"):
        return tr("server away"), "danger" if model.shared else "text3"
    if not model.shared:
        return tr("not shared"), "text3"
    # When a server of somebody else loads it is that server's to decide.
    rests = ("" if model.server else tr("loads when asked"), "text3")
    return {"loaded": (tr("loaded"), "accent"), "loading": (tr("loading…"), "text2")}.get(model.state, rests)


def access_rows(rules: AccessRules, now: float) -> list[Row]:
    """Those the mode is about first: the allowed, or the blocked; each group as the core orders it."""
    blocked_first = rules.mode is AccessMode.DENY
    return [_access_row(key, now) for key in sorted(rules.keys, key=lambda key: key.blocked is not blocked_first)]


def _access_row(key: AccessKey, now: float) -> Row:
    name = key.name or short_key(key.public_key)
    expires, expires_tone = _expires(key, now)
    seen = tr("now") if key.connected else tr("never") if key.last_seen is None else _seen(key.last_seen, now)
    quota, fraction = _quota(key)
    at_once = "–" if key.parallel is None or key.blocked else str(key.parallel)
    facts = tr("Expires: {expires}, last seen: {seen}", expires=expires, seen=seen)
    tooltip = f"{name}\n{group_key(key.public_key)}\n{facts}"
    return Row(
        key.public_key,
        (
            Cell(
                name,
                "text2" if key.blocked else "text",
                weight=500,
                avatar=key.public_key,
                badge=tr("mine") if key.mine else "",
                tooltip=tooltip,
            ),
            Cell(short_key(key.public_key), "text2", fixed=True),
            Cell(
                quota,
                "danger" if key.blocked else "text2",
                fraction=fraction,
                icon="ban" if key.blocked else "",
                icon_tone="danger",
                accessible=tr("Quota of {name}, {quota}", name=name, quota=quota),
            ),
            Cell(at_once, "text2"),
            Cell(expires, expires_tone),
            Cell(seen, "text2", dot="live" if key.connected else ""),
            Cell(menu=True, accessible=tr("Acts for {name}", name=name)),
        ),
        tooltip,
    )


def _quota(key: AccessKey) -> tuple[str, float | None]:
    if key.blocked:
        return tr("blocked"), None
    used = words.short_count(key.tokens_today)
    if key.mine:
        return tr("{used}, no limit", used=used), None
    if key.most_today is None:
        return used, None
    limit = max(1, key.most_today)
    of = tr("{used} of {limit}", used=used, limit=words.short_count(key.most_today))
    return of, key.tokens_today / limit


def _expires(key: AccessKey, now: float) -> tuple[str, str]:
    if key.blocked:
        return "–", "text3"
    soon = key.expires_at is not None and key.expires_at - now < words.DAY
    return words.expiry(key.expires_at, now), "warn" if soon else "text2"


def _seen(then: float, now: float) -> str:
    return words.ago(then, now) if now - then < 6 * words.HOUR else words.day(then, now)


def running_rows(
    requests: Iterable[ActiveRequest],
    stopping: set[str],
    name_of: NameOf,
    now: float,
    label_of: NameOf | None = None,
) -> list[Row]:
    """Those that are worked on, then the line in its order."""
    ordered = sorted(requests, key=lambda request: (request.place, request.started_at))
    label = label_of or model_label
    return [_running_row(request, request.id in stopping, name_of, now, label) for request in ordered]


def _running_row(request: ActiveRequest, stopping: bool, name_of: NameOf, now: float, label: NameOf) -> Row:
    who = name_of(request.remote_public_key) or short_key(request.remote_public_key)
    if stopping:
        last = Cell(tr("Removing…") if request.place else tr("Stopping…"), "text3")
    elif request.place:
        last = Cell(button=tr("Remove"), accessible=tr("Remove the request of {name} from the line", name=who))
    else:
        last = Cell(button=tr("Stop"), button_icon="square", accessible=tr("Stop request of {who}", who=who))
    return Row(
        request.id,
        (
            Cell(who, weight=500, avatar=request.remote_public_key),
            Cell(label(request.model) or request.method, "text2"),
            *_progress(request, now),
            Cell(words.whole_duration(now - request.started_at), "text2"),
            last,
        ),
        f"{who}\n{group_key(request.remote_public_key)}\n{request.method}",
    )


def _progress(request: ActiveRequest, now: float) -> tuple[Cell, Cell]:
    if request.place:
        place = tr(PLACES[request.place]) if request.place in PLACES else tr("{n}th in line", n=request.place)
        wait = ""
        if request.wait_until is not None:
            left = words.whole_duration(max(1.0, request.wait_until - now))
            wait = tr("about {time} to go", time=left)
        return Cell(place, "warn", icon="hourglass", icon_tone="warn"), Cell(wait, "text2", tooltip=tr(ESTIMATE))
    speed = tr("{rate} tok/s", rate=number(request.tokens_per_second)) if request.tokens_per_second > 0 else ""
    return Cell(trn("%n token", "%n tokens", request.tokens)), Cell(speed or tr("reading…"))


PLACES = {1: later("1st in line"), 2: later("2nd in line"), 3: later("3rd in line")}
ESTIMATE = later("As long as others took lately")
ENDINGS = {
    "eos": (later("done"), "check", "accent"),
    "stopSequence": (later("done"), "check", "accent"),
    "length": (later("length reached"), "check", "accent"),
    "cancelled": (later("guest stopped it"), "square", "text2"),
    "disconnected": (later("guest left"), "square", "text2"),
}
SHORT_ENOUGH = 28  # letters of an error that stands in its cell whole
# How a sentence begins that is longer than the column, and what stands there; the tooltip has the sentence.
SHORT_CAUSES = {
    "QVAC Desktop ended before": later("restart"),
    "The conversation has": later("longer than the context"),
    "The model process ended while": later("could not be loaded"),
    "The model process ended": later("model process ended"),
    "This provider is not taking requests": later("sharing paused"),
    "Your tokens for today": later("limit of the day reached"),
    "Its tokens for today": later("limit of the day reached"),
    "The tokens of all guests": later("limit of all guests reached"),
    "It was as long as you let": later("length reached"),
    "Too many requests are waiting": later("line was full"),
    "A request may take": later("took too long"),
    "An answer may take": later("took too long"),
    "Loading the model took": later("took too long"),
    "This message is too long": later("question too long"),
    "Not enough memory": later("memory was full"),
}


def log_rows(entries: Iterable[LogEntry], name_of: NameOf, now: float, label_of: NameOf | None = None) -> list[Row]:
    """Failures that repeat each other stand in one row, "3 × …"."""
    return [_log_row(group, name_of, now, label_of or model_label) for group in _folded(entries)]


def _folded(entries: Iterable[LogEntry]) -> Iterator[list[LogEntry]]:
    """Neighbours that say the same, newest first; a request that computed something says something of its own."""
    group: list[LogEntry] = []
    for entry in entries:
        if group and _sameness(entry) != _sameness(group[0]):
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


def _sameness(entry: LogEntry) -> tuple[str, ...]:
    alone = entry.outcome != "error" or entry.prompt_tokens or entry.generated_tokens or entry.amount
    own = entry.id if alone else ""
    return entry.remote_public_key, entry.method, entry.model, entry.outcome, entry.error, own


def _log_row(group: Sequence[LogEntry], name_of: NameOf, now: float, label: NameOf) -> Row:
    entry = group[0]
    who = name_of(entry.remote_public_key) or short_key(entry.remote_public_key)
    if entry.outcome == "stopped":  # by the owner: each way to do that has its own words
        ended, icon, tone = _short(entry.error) or told(entry.error) or tr("stopped"), "square", "text2"
    else:
        ended, icon, tone = ENDINGS.get(entry.outcome, ("", "circle-x", "danger"))
        ended = tr(ended) or _cause(entry.error)
    at = datetime.fromtimestamp(entry.started_at)
    today = datetime.fromtimestamp(now).date() == at.date()
    clock = tongue().clock(at) if today else f"{tongue().date(at, year=False)} {tongue().time(at)}"
    moment = f"{at:%Y-%m-%d %H:%M:%S}"
    if len(group) > 1:
        ended = tr("{count} × {what}", count=len(group), what=ended)
        first = datetime.fromtimestamp(group[-1].started_at)
        moment = tr("{first} to {last}", first=f"{first:%Y-%m-%d %H:%M:%S}", last=moment)
    return Row(
        entry.id,
        (
            Cell(clock, "text2", tooltip=moment),
            Cell(who),
            Cell(label(entry.model) or entry.method, "text2", tooltip=tr(METHODS.get(entry.method, ""))),
            Cell(_measure(entry)),
            Cell(words.duration(entry.ms / 1000, 1), "text2"),
            Cell(ended, icon=icon, icon_tone=tone, tooltip=told(entry.error)),
        ),
        f"{who}\n{group_key(entry.remote_public_key)}\n{entry.method}",
    )


PEOPLE_COLUMNS = (
    Column(later("Who")),
    Column(later("Requests"), 90, right=True),
    Column(later("Tokens in / out"), 150, right=True),
    Column(later("Computed for"), 110, right=True),
    Column(later("Last request"), 120),
)
PEOPLE_DROP = (4, 3)
DAY_COLUMNS = (
    Column(later("Day")),
    Column(later("People"), 80, right=True),
    Column(later("Requests"), 90, right=True),
    Column(later("Tokens in / out"), 150, right=True),
    Column(later("Computed for"), 110, right=True),
)
DAY_DROP = (1, 4)


def people_rows(people: Iterable[PersonTotals], name_of: NameOf, now: float) -> list[Row]:
    return [
        Row(
            person.public_key,
            (
                Cell(name_of(person.public_key) or short_key(person.public_key), weight=500, avatar=person.public_key),
                Cell(number(person.totals.requests)),
                Cell(_tokens(person.totals)),
                Cell(words.whole_duration(person.totals.ms / 1000), "text2"),
                Cell(_seen(person.last_at, now), "text2"),
            ),
            group_key(person.public_key),
        )
        for person in people
    ]


def day_rows(days: Iterable[DayTotals]) -> list[Row]:
    return [
        Row(
            day.day,
            (
                Cell(tongue().date(datetime.fromisoformat(day.day), year=True)),
                Cell(number(day.totals.people), "text2"),
                Cell(number(day.totals.requests)),
                Cell(_tokens(day.totals)),
                Cell(words.whole_duration(day.totals.ms / 1000), "text2"),
            ),
        )
        for day in days
    ]


def _tokens(totals: LogTotals) -> str:
    return f"{number(totals.prompt_tokens)} / {number(totals.generated_tokens)}"


def _measure(entry: LogEntry) -> str:
    if entry.unit == "bytes":
        return words.size(entry.amount)
    if entry.unit == "texts":
        return trn("%n text", "%n texts", round(entry.amount))
    if entry.unit == "seconds":
        return tr("{seconds} s of audio", seconds=number(entry.amount))
    #: tokens in and out
    return tr("{prompt} / {generated}", prompt=entry.prompt_tokens, generated=entry.generated_tokens)


def _short(error: str) -> str:
    short = next((short for begin, short in SHORT_CAUSES.items() if error.startswith(begin)), "")
    return tr(short) if short else ""


def _cause(error: str) -> str:
    """Two words; the whole sentence is in the tooltip."""
    if short := _short(error):
        return short
    sentence = told(error)
    return sentence if sentence and len(sentence) <= SHORT_ENOUGH else tr("failed")


PATHS = {
    "direct": (later("Reachable directly."), "radio-tower"),
    "holepunch": (later("Reachable by hole punching."), "radio-tower"),
    "relay": (later("Reachable by relay only."), "cable"),
}


def status(
    state: SharingState, announced_at: float, people_on: int, models: int, now: float
) -> tuple[str, str, str, str]:
    """The line that is always true: icon, first clause, facts, tone."""
    facts = _announced(people_on, words.ago(announced_at, now) if announced_at else "")
    nothing = "" if models else " " + tr("No model is shared yet.")
    match state.phase:
        case SharingPhase.OFF:
            return (
                "power",
                tr("Off."),
                told(state.detail) or tr("Nobody can connect. Your key stays the same."),
                "text2",
            )
        case SharingPhase.STARTING:
            return "clock", tr("Starting."), tr("Joining the network and announcing your key."), "text2"
        case SharingPhase.STOPPING:
            return "clock", tr("Stopping."), tr("Ending what runs and withdrawing your key from the network."), "text2"
        case SharingPhase.ANNOUNCED:
            detail = f" {told(state.detail)}" if state.detail else ""
            return "radio-tower", tr("Your key can be found."), facts + detail + nothing, "accent"
        case SharingPhase.REACHABLE:
            clause, icon = PATHS.get(state.path, (later("Reachable."), "radio-tower"))
            detail = f" {told(state.detail)}" if state.detail else ""
            return icon, tr(clause), facts + detail + nothing, "accent"
        case SharingPhase.LOCAL:
            facts = f"{told(state.detail)} {_announced(people_on, '')}".strip()
            return "radio-tower", tr("Found on your network only."), facts + nothing, "text2"
        case SharingPhase.UNREACHABLE:
            why = told(state.detail) or tr("Nobody new can connect until the network changes.")
            return "triangle-alert", tr("Not reachable."), why, "danger"


def _announced(people_on: int, since: str) -> str:
    if not since:
        return trn("%n person connected.", "%n people connected.", people_on) if people_on else tr("Nobody connected.")
    if not people_on:
        return tr("Announced {when}, nobody connected.", when=since)
    return trn(
        "Announced {when}, %n person connected.", "Announced {when}, %n people connected.", people_on, when=since
    )
