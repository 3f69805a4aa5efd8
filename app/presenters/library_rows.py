"""The Library page's state as rows and words: pure functions of state and time, so that a test can read a screen."""

from __future__ import annotations

from collections.abc import Callable

from app import words
from app.core_words import told
from app.i18n import later, listed, number, tr, trn
from app.presenters.library import LibraryPresenter, Neighbour, kept_context
from app.presenters.table_rows import Cell, Column, Row
from qvac_core.core.library_state import (
    Ability,
    CatalogEntry,
    DownloadChanged,
    DownloadState,
    Fit,
    FoundProgram,
    Kind,
    MachineMemory,
    ModelHere,
    ModelVersion,
    Place,
    Source,
    SourceKind,
    Verdict,
)

DAY = words.DAY
MONTH = 30 * DAY
LONG_UNUSED = 14 * DAY  # from here on it is worth saying how long

FIT_ICONS = {
    Verdict.FITS: ("circle-check", "live"),
    Verdict.LESS_CONTEXT: ("triangle-alert", "warn"),
    Verdict.TOO_LARGE: ("circle-x", "danger"),
}
KINDS = {
    Kind.CHAT: later("chat"),
    Kind.EMBED: later("embeddings, for programs"),
    Kind.TRANSCRIBE: later("speech"),
    Kind.TRANSLATE: later("translation"),
}
ABILITIES = {
    Ability.TRANSLATE: later("translates"),
    Ability.THINKS: later("thinks"),
    Ability.TOOLS: later("tools"),
    Ability.VISION: later("reads pictures"),
    Ability.ENGLISH_ONLY: later("English only"),
}
NAME_IN_BUTTON = 28  # letters of a machine's name: a button is never elided
FIND_DROP = (2,)  # the licence: the detail tells it


def find_columns(machine: MachineMemory) -> tuple[Column, ...]:
    return (
        Column(tr("Model")),
        Column(tr("Download", "size of a file"), 92, right=True),
        Column(tr("Licence"), 100),
        Column(machine_words(machine), 236),
        Column("", 134, right=True, spoken=tr("Act")),
    )


def machine_words(machine: MachineMemory) -> str:
    if machine.gpu:
        return tr("This machine, {memory}", memory=whole_gigabytes(machine.gpu_bytes))
    if machine.memory_bytes:
        return tr("This machine, {memory} of memory", memory=whole_gigabytes(machine.memory_bytes))
    return tr("This machine")


def column_size(size_bytes: int) -> str:
    """Of a model in a column of them: all in one unit, but for the smallest."""
    if not size_bytes:
        return "–"
    return tr("{count} GB", count=number(size_bytes / 1e9, 1)) if 100e6 <= size_bytes < 1e9 else words.size(size_bytes)


def about_duration(seconds: float) -> str:
    """An estimate: no more exact than it is."""
    step = 5 if seconds < 60 else 10 if seconds < 180 else 60
    return words.whole_duration(max(step, round(seconds / step) * step))


def whole_gigabytes(size_bytes: float) -> str:
    """A machine's memory as it is sold: 24 GB, though the driver keeps some of it."""
    return words.size(size_bytes) if size_bytes < 1e9 else tr("{count} GB", count=round(size_bytes / 1e9))


# --- What can be had


def find_rows(presenter: LibraryPresenter) -> list[Row]:
    return [find_row(presenter, entry) for entry in presenter.entries]


def find_row(presenter: LibraryPresenter, entry: CatalogEntry) -> Row:
    version = presenter.version(entry)
    detail = about(version.quantization, entry.kind, entry.abilities)
    beside = any(source.kind is SourceKind.NEIGHBOUR for source in version.sources)
    size = column_size(version.size_bytes)
    fit, icon, tone = fit_words(version, presenter.shorter(version))
    fits_icon, icon_tone = icon
    licence = words.licence(entry.licence)
    return Row(
        entry.id,
        (
            Cell(
                entry.title,
                weight=500,
                detail=detail,
                badge=tr("beside you") if beside else "",
                accessible=listed((entry.title, tr("beside you") if beside else "", detail)),
                tooltip=f"{entry.title}\n{version.file}",
            ),
            Cell(size, accessible=tr("Download of {size}", size=size)),
            Cell(licence or "–", "text2", accessible=licence or tr("licence not known"), tooltip=entry.licence),
            Cell(fit, tone, icon=fits_icon, icon_tone=icon_tone, tooltip=fit_tooltip(version.fit)),
            act_cell(presenter, entry, version),
        ),
        f"{entry.title}, {licence}" if licence else entry.title,
    )


def act_cell(presenter: LibraryPresenter, entry: CatalogEntry, version: ModelVersion) -> Cell:
    """What can be done about a row. That of the chosen one stands in the detail."""
    row = presenter.download_of(entry)
    if row is not None and not row.done:
        return Cell(
            progress_words(row),
            "text2",
            accessible=tr("Download of {model}: {state}", model=entry.title, state=progress_words(row)),
        )
    if presenter.here(version) is not None:
        return Cell(tr("here", "a model is on this machine"), "text2", icon="check", icon_tone="accent")
    if entry.id == presenter.chosen_id:
        return Cell()
    if version.fit.verdict is Verdict.TOO_LARGE:
        return Cell(button=tr("Get anyway…"), flat=True, accessible=tr("Get {model} anyway", model=entry.title))
    return Cell(button=tr("Get", "a model"), button_icon="download", accessible=tr("Get {model}", model=entry.title))


def progress_words(row: DownloadChanged) -> str:
    match row.state:
        case DownloadState.PAUSED:
            return tr("paused")
        case DownloadState.QUEUED:
            return tr("waits")
        case DownloadState.CHECKING:
            return tr("checking")
        case DownloadState.FAILED:
            return tr("failed")
        case _:
            return words.percent(int(100 * fraction(row)) / 100)  # 100% only when it is all there


def fraction(row: DownloadChanged) -> float:
    return min(1.0, row.downloaded / row.total) if row.total > 0 else 0.0


def about(quantization: str, kind: Kind | None, abilities: tuple[Ability, ...]) -> str:
    """ "Q4_K_M, chat, thinks, tools"."""
    said = [tr(KINDS[kind])] if kind is not None else []
    said += [tr(ABILITIES[ability]) for ability in abilities]
    return listed((quantization.upper(), *said))


def fit_words(version: ModelVersion, shorter: Fit | None) -> tuple[str, tuple[str, str], str]:
    """Words, icon with its tone, and the tone of the words."""
    fit = version.fit
    icon = FIT_ICONS[fit.verdict]
    match fit.verdict:
        case Verdict.FITS:
            return tr("fits, needs {size}", size=words.size(fit.needed_bytes)), icon, "text2"
        case Verdict.LESS_CONTEXT:
            context = words.context(kept_context(fit.largest_context))
            if shorter is None:
                return tr("only with {context} context", context=context), icon, "warn"
            needed = words.size(shorter.needed_bytes)
            return tr("only with {context} context: {size}", context=context, size=needed), icon, "warn"
        case _:
            needed = whole_gigabytes(fit.needed_bytes)
            has = number(round(fit.memory_bytes / 1e9))
            return tr("needs {size}, this has {number}", size=needed, number=has), icon, "text2"


def fit_tooltip(fit: Fit) -> str:
    lines = [
        tr(
            "With {context} context it needs {needed}; this machine has {memory}, {free} of it free now.",
            context=words.context(fit.context_tokens),
            needed=words.size(fit.needed_bytes),
            memory=words.size(fit.memory_bytes),
            free=words.size(fit.free_bytes),
        )
    ]
    if fit.place is Place.SPLIT:
        lines.append(tr("A part of it computes in the machine's memory, which is slower."))
    if fit.verdict is Verdict.FITS and not fit.now:
        lines.append(tr("Other programs have to be closed first."))
    if not fit.exact:
        lines.append(tr("Estimated from its size."))
    return "\n".join(lines)


def find_foot(presenter: LibraryPresenter) -> str:
    """How many rows of how many, and of when they are."""
    count, result = len(presenter.entries), presenter.result
    seen = ""
    if result.as_of is not None:
        seen = " " + tr("As last seen {day}.", day=words.day(result.as_of, presenter.clock()))
    if presenter.neighbour is not None:
        name = presenter.neighbour.name
        return trn("%n model can be copied from {name}.", "%n models can be copied from {name}.", count, name=name)
    if presenter.shown.value != "catalog":
        return trn("%n model at Hugging Face.", "%n models at Hugging Face.", count) + seen
    return tr("{shown} of {all} in the catalog.", shown=count, all=result.in_all) + seen


# --- The detail


def source_words(source: Source, version: ModelVersion) -> tuple[str, str]:
    """What a button says that gets a model from there, and its icon."""
    about_time = about_duration(source.seconds) if source.seconds is not None else ""
    if source.kind is SourceKind.NEIGHBOUR:
        name = words.one_line(source.name, NAME_IN_BUTTON)
        text = tr("Copy from {name}, about {time}", name=name, time=about_time)
        return text if about_time else tr("Copy from {name}", name=name), "monitor-down"
    size = words.size(version.size_bytes) if version.size_bytes else ""
    if size and about_time:
        return tr("Download {size}, about {time}", size=size, time=about_time), "download"
    return (tr("Download {size}", size=size) if size else tr("Download", "act")), "download"


def origin_words(entry: CatalogEntry, version: ModelVersion) -> str:
    """Who made it, and where it lies."""
    kinds = {source.kind for source in version.sources}
    if SourceKind.HUGGING_FACE in kinds:
        return (
            tr("by {maker}, from Hugging Face", maker=entry.publisher) if entry.publisher else tr("from Hugging Face")
        )
    web = next((source.name for source in version.sources if source.kind is SourceKind.WEB), "")
    if web:
        return tr("from {site}", site=web)
    return tr("by {maker}", maker=entry.publisher) if entry.publisher else ""


def facts(presenter: LibraryPresenter, entry: CatalogEntry, version: ModelVersion) -> list[tuple[str, str, str]]:
    """Label, value and tone of each."""
    fit = version.fit
    place = tr("Memory") if fit.place is Place.MEMORY else tr("Graphics memory")
    if fit.place is Place.SPLIT:
        place = tr("Graphics memory and memory")
    memory = tr("{pair} free", pair=words.pair_of_sizes(fit.needed_bytes, fit.free_bytes))
    if fit.verdict is not Verdict.FITS:
        needed = words.size(fit.needed_bytes)
        memory = tr("{size}, this has {memory}", size=needed, memory=whole_gigabytes(fit.memory_bytes))
    tone = {Verdict.TOO_LARGE: "danger", Verdict.LESS_CONTEXT: "warn"}.get(fit.verdict, "text" if fit.now else "warn")
    told = [(place, memory, tone)]
    folder = presenter.folder
    if folder is not None and not folder.missing and presenter.here(version) is None and version.size_bytes:
        left = folder.free_bytes - version.size_bytes
        if left >= 0:
            told.append((tr("Disk afterwards"), tr("{size} free", size=words.size(left)), "text"))
        else:
            told.append((tr("Disk"), tr("{size} too little", size=words.size(-left)), "danger"))
    told.append((tr("Licence"), words.licence(entry.licence) or tr("not known"), "text"))
    if version.speed is not None:
        told.append((tr("Speed here"), tr("about {rate} tok/s", rate=_rate(version.speed)), "text"))
    told.append((tr("Checked by"), checked_by(version), "text"))
    return told


def narrow_facts(presenter: LibraryPresenter, entry: CatalogEntry, version: ModelVersion) -> str:
    told = facts(presenter, entry, version)
    speed = [tr("about {rate} tok/s", rate=_rate(version.speed))] if version.speed is not None else []
    return listed((told[0][1], words.licence(entry.licence) or tr("licence not known"), *speed))


def checked_by(version: ModelVersion) -> str:
    hub = any(source.kind is SourceKind.HUGGING_FACE for source in version.sources)
    return "SHA-256" if version.sha256 or hub else tr("its size alone")


def version_words(version: ModelVersion) -> str:
    size = words.size(version.size_bytes) if version.size_bytes else ""
    return listed((version.quantization.upper() or version.file, size))


def _rate(speed: float) -> str:
    return number(speed, 0 if speed >= 10 else 1)


# --- Downloads


def download_title(row: DownloadChanged) -> str:
    return row.title or row.model


def download_amount(row: DownloadChanged) -> str:
    return words.pair_of_sizes(row.downloaded, row.total) if row.total > 0 else ""


def download_state(row: DownloadChanged) -> str:
    """The line below the bar: rate and time left only while bytes move."""
    left = words.whole_duration(row.left_seconds) if row.left_seconds is not None else ""
    match row.state:
        case DownloadState.RUNNING if row.rate > 0:
            rate = words.size(row.rate)
            return tr("{rate}/s, about {time} left", rate=rate, time=left) if left else tr("{rate}/s", rate=rate)
        case DownloadState.RUNNING:
            return tr("Waiting for bytes from {name}…", name=row.source) if row.source else tr("Waiting for bytes…")
        case DownloadState.QUEUED:
            return tr("Waits until another one is here.")
        case DownloadState.PAUSED:
            return tr("Paused. Goes on from here, also after a restart")
        case DownloadState.CHECKING:
            timed = tr("Checking that every byte is right, {time}", time=left)
            return timed if left else tr("Checking that every byte is right")
        case DownloadState.DONE:
            return tr("Here, and every byte is right.")
        case _:
            return ""


# --- Models here


def here_columns() -> tuple[Column, ...]:
    return (
        Column("", spoken=tr("Model")),
        Column("", 84, right=True, spoken=tr("Size")),
        Column("", 47, spoken=tr("Acts")),
    )


def here_rows(models: list[ModelHere], now: float) -> list[Row]:
    return [
        Row(
            model.name,
            (
                Cell(model.title, weight=500, detail=here_detail(model, now), tooltip=_here_tooltip(model)),
                Cell(words.size(model.size_bytes)),
                Cell(menu=True, accessible=tr("Acts for {name}", name=model.title)),
            ),
            _here_tooltip(model),
        )
        for model in models
    ]


def _here_tooltip(model: ModelHere) -> str:
    return "\n".join(filter(None, (model.title, str(model.path), told(model.problem))))


def here_detail(model: ModelHere, now: float) -> str:
    said = [model.quantization.upper()]
    if not model.ours:
        said.append(tr("from {program}", program=model.program) if model.program else tr("lies elsewhere"))
    if model.shared:
        said.append(tr("shared"))
    if model.stands_in:
        said.append(tr("answers here when others are away"))
    elif model.kind is None:
        # The first sentence; the tooltip has all of it.
        said.append(told(model.problem).partition(". ")[0].removesuffix(".") or tr("of no use here"))
    else:
        said.append(used_words(model.last_used, now))
    return listed(said)


def used_words(last_used: float | None, now: float) -> str:
    if last_used is None:
        return tr("never used")
    passed = now - last_used
    if passed < LONG_UNUSED:
        return tr("used {when}", when=words.ago(last_used, now))
    if passed < 2 * MONTH:
        return trn("not used for %n week", "not used for %n weeks", round(passed / (7 * DAY)))
    return trn("not used for %n month", "not used for %n months", round(passed / MONTH))


def here_hint(models: tuple[ModelHere, ...]) -> str:
    total = words.size(sum(model.size_bytes for model in models))
    return trn("%n model, {size}", "%n models, {size}", len(models), size=total)


# --- Near


def near_columns() -> tuple[Column, ...]:
    return (Column("", spoken=tr("Where")), Column("", 118, spoken=tr("Act")))


def near_rows(
    programs: tuple[FoundProgram, ...], neighbours: tuple[Neighbour, ...], busy: set[str], shows: Callable[[str], bool]
) -> list[Row]:
    return [*(_program_row(p, p.id in busy) for p in programs), *(_neighbour_row(n, shows(n.id)) for n in neighbours)]


def _program_row(program: FoundProgram, busy: bool) -> Row:
    unused = program.unused
    size = words.size(sum(model.size_bytes for model in unused))
    detail = trn(
        "%n model, {size}, used where it lies", "%n models, {size}, used where they lie", len(unused), size=size
    )
    titles = "\n".join(model.title for model in unused[:12])
    act = (
        Cell(tr("Reading…"), "text3")
        if busy
        else Cell(
            button=trn("Use %n", "Use %n", len(unused)),
            accessible=trn(
                "Use %n model of {program}", "Use %n models of {program}", len(unused), program=program.name
            ),
        )
    )
    return Row(
        program.id,
        (Cell(program.name, weight=500, icon="folder-open", detail=detail), act),
        f"{program.folder}\n{titles}",
    )


def _neighbour_row(neighbour: Neighbour, shown: bool) -> Row:
    detail = trn("beside you, %n model may be copied", "beside you, %n models may be copied", neighbour.models)
    act = (
        Cell(tr("shown"), "text3")
        if shown
        else Cell(
            button=trn("Show %n", "Show %n", neighbour.models),
            accessible=trn(
                "Show %n model of {name}", "Show %n models of {name}", neighbour.models, name=neighbour.name
            ),
        )
    )
    return Row(neighbour.id, (Cell(neighbour.name, weight=500, icon="monitor", detail=detail), act))


def use_words(count: int) -> str:
    return trn("Use the one found", "Use the %n found", count)


def nothing_here(programs: tuple[FoundProgram, ...]) -> tuple[str, int]:
    """The sentence below "No model on this machine", and how many could be used at once."""
    count = sum(len(program.unused) for program in programs)
    if not count:
        return tr("Find one in the catalog, or open a model file of yours."), 0
    names = [program.name for program in programs if program.unused]
    where = names[0] if len(names) == 1 else tr("{some} and {last}", some=listed(names[:-1]), last=names[-1])
    return trn(
        "{where} has one that can be used where it lies.",
        "In {where} there are %n, to be used where they lie.",
        count,
        where=where,
    ), count
