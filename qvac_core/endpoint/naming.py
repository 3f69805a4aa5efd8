"""How a program names a model: `machine/model`, or the model alone for whoever is nearest. Pure.

`model@machine` is the same, for programs that read a meaning of their own into a slash (openai-agents, litellm). A key
in place of the machine's name, and what the machine itself calls the model (a file, an SDK name), work too.
Names are compared without case, and spaces, hyphens and underscores are one: programs' fields often take no spaces.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from qvac_core.codec.key_text import short_key
from qvac_core.endpoint.interface import Ability, Offer

_LOOSE = re.compile(r"[\s_\-]+")


@dataclass(frozen=True, slots=True)
class Named:
    """An offer by the name that the list of models has for it."""

    id: str
    offer: Offer


def named(offers: Sequence[Offer]) -> tuple[Named, ...]:
    """Each with a name of its own. Machines of one name are told apart by their keys, files by what is known."""
    machines: dict[str, set[str]] = {}
    for offer in offers:
        machines.setdefault(_loose(offer.machine), set()).add(offer.provider_key)
    plain = [_joined(offer, twice=len(machines[_loose(offer.machine)]) > 1) for offer in offers]
    counted = Counter(_loose(name) for name in plain)
    result: list[Named] = []
    taken: set[str] = set()
    for offer, name in zip(offers, plain, strict=True):
        if counted[_loose(name)] > 1:
            more = offer.quantization if offer.quantization and offer.quantization not in name else offer.source
            name = f"{name} ({more})"
        if _loose(name) not in taken:
            taken.add(_loose(name))
            result.append(Named(name, offer))
    return tuple(result)


def _joined(offer: Offer, *, twice: bool) -> str:
    machine = offer.machine.replace("/", "-")  # the slash is ours, between machine and model
    if twice and offer.provider_key:
        machine = f"{machine} ({short_key(offer.provider_key)})"
    return f"{machine}/{offer.name}"


def find(models: Sequence[Named], wanted: str, ability: Ability) -> tuple[Named, ...]:
    """Those that `wanted` means, the first one first; several where it names no machine. () = nobody has it."""
    able = [model for model in models if ability.value in model.offer.abilities]
    exact = [model for model in able if model.id == wanted]
    if exact:
        return tuple(exact)
    loose = _loose(wanted)
    if same := [model for model in able if loose in (_loose(model.id), *_with_machine(model.offer))]:
        return tuple(same[:1])
    bare = [model for model in able if loose in (_loose(model.offer.name), _loose(model.offer.source))]
    return tuple(sorted(bare, key=lambda model: distance(model.offer)))


def _with_machine(offer: Offer) -> tuple[str, ...]:
    machines = [offer.machine, offer.provider_key] if offer.provider_key else [offer.machine]
    models = (offer.name, offer.source)
    pairs = [(machine, model) for machine in machines for model in models]
    return tuple(_loose(name) for machine, model in pairs for name in (f"{machine}/{model}", f"{model}@{machine}"))


def distance(offer: Offer) -> tuple[bool, bool, float, float]:
    """Whoever answers first: what is there before what is away, this machine, then by the time until a first word."""
    known = offer.rtt_ms if offer.rtt_ms is not None else 1e9
    return (not offer.online, not offer.local, round(offer.seconds, 1), known)


def split(wanted: str) -> tuple[str, str] | None:
    """Machine and model, where both are named."""
    machine, slash, model = wanted.partition("/")
    if not slash:
        model, slash, machine = wanted.rpartition("@")
    return (machine.strip(), model.strip()) if slash and machine.strip() and model.strip() else None


def _loose(name: str) -> str:
    return _LOOSE.sub(" ", name).strip().casefold()
