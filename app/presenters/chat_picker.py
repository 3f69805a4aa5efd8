"""What the model picker lists: this machine, then every provider with its models or the reason there are none."""

from __future__ import annotations

from app.i18n import tr
from app.presenters.chat_words import (
    THIS_MACHINE,
    default_model,
    local_state,
    provider_sentence,
    provider_state,
)
from app.presenters.picker_rows import Group, PickerRow, RowKind
from app.words import size
from qvac_core.core.state import ProviderEntry, RemoteModel, SharedModel, Target


def groups(models: tuple[SharedModel, ...], providers: tuple[ProviderEntry, ...], current: Target) -> tuple[Group, ...]:
    return (_here(models, current), *(_provider(entry, current) for entry in providers))


def _here(models: tuple[SharedModel, ...], current: Target) -> Group:
    head = PickerRow(RowKind.GROUP, tr(THIS_MACHINE), tr("local"), local=True, online=True)
    if not models:
        name, octets, _licence = default_model()
        act = tr("Get {name}, {size}", name=name, size=size(octets))
        return Group(head, (PickerRow(RowKind.DOWNLOAD, tr("No model yet."), act=act, local=True),))
    chosen = current.model or models[0].name
    rows = tuple(
        PickerRow(
            RowKind.MODEL,
            model.display_name,
            local_state(model),
            target=Target("", model.name),
            local=True,
            current=not current.provider_key and model.name == chosen,
        )
        for model in models
    )
    return Group(head, rows)


def _provider(entry: ProviderEntry, current: Target) -> Group:
    online = entry.state == "online"
    head = PickerRow(RowKind.GROUP, entry.name, provider_state(entry), entry.public_key, online=online)
    if not entry.models or entry.state in ("offline", "refused", "waiting"):
        act = (
            ""
            if entry.state in ("connecting", "waking")
            else tr("Try again")
            if entry.error is not None
            else tr("Connect")
        )
        note = PickerRow(RowKind.CONNECT, provider_sentence(entry), public_key=entry.public_key, act=act)
        return Group(head, (note,))
    mine = current.provider_key == entry.public_key
    chosen = current.model or entry.models[0].source
    rows = tuple(
        PickerRow(
            RowKind.MODEL,
            model.name,
            _remote_state(model, asleep=entry.state == "waking"),
            entry.public_key,
            Target(entry.public_key, model.source),
            online=online,
            current=mine and chosen in (model.name, model.source),
        )
        for model in entry.models
    )
    return Group(head, rows)


def _remote_state(model: RemoteModel, *, asleep: bool) -> str:
    """asleep: what was loaded when it fell asleep may not be by the time that it is there."""
    if model.loaded and not asleep:
        return tr("loaded")
    return size(model.size_bytes) if model.size_bytes else ""
