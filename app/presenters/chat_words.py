"""Words of the Chat tab: sizes, numbers, what answers, and which buttons help against which failure. Knows no Qt.

Causes are recognised by the names of qvac_core.core.error_text.
"""

from __future__ import annotations

from enum import StrEnum

from app.core_words import told
from app.i18n import later, number, tr
from app.words import duration, size, whole_duration
from qvac_core.core.state import AnswerPlace, AnswerStats, ErrorInfo, ProviderEntry, SharedModel
from qvac_core.core.waiting_times import rounded

THIS_MACHINE = later("This machine")


class Cause(StrEnum):
    """Why something failed, as far as it decides which button helps."""

    REFUSED = "refused"
    NOT_FOUND = "not_found"
    OFFLINE = "offline"
    MODEL_NOT_SHARED = "model_not_shared"
    NO_MODEL_HERE = "no_model_here"
    OWN_KEY = "own_key"
    NO_PATH = "no_path"
    NO_NETWORK = "no_network"
    TOO_LONG = "too_long"
    USED_UP = "used_up"
    OTHER = "other"


_CAUSES = {
    "NOT_ADMITTED": Cause.REFUSED,
    "PEER_NOT_FOUND": Cause.NOT_FOUND,
    "PEER_CONNECTION_FAILED": Cause.OFFLINE,
    "ECONNRESET": Cause.OFFLINE,
    "ETIMEDOUT": Cause.OFFLINE,
    "ECLOSED": Cause.OFFLINE,
    "RELAY_LOST": Cause.OFFLINE,
    "REQUEST_TIMEOUT": Cause.OFFLINE,
    "NETWORK_OFFLINE": Cause.NO_NETWORK,
    "BOOTSTRAP_FAILED": Cause.NO_NETWORK,
    "CANNOT_HOLEPUNCH": Cause.NO_PATH,
    "CONTEXT_OVERFLOW": Cause.TOO_LONG,
    "MODEL_NOT_FOUND": Cause.MODEL_NOT_SHARED,
    "MODEL_NOT_FOUND_HERE": Cause.NO_MODEL_HERE,
}
# A wrapper keeps its own name while its title already says the cause.
_TITLES = {
    "The owner has not allowed your key yet.": Cause.REFUSED,
    "The owner did not let you in.": Cause.REFUSED,
    "No machine answers for this key.": Cause.NOT_FOUND,
    "That is not a public key: no peer can have it.": Cause.NOT_FOUND,
    "The machine went offline.": Cause.OFFLINE,
    "The machine does not share this model.": Cause.MODEL_NOT_SHARED,
    "Both routers block a direct path and no relay is set.": Cause.NO_PATH,
    "No machine of the network answers.": Cause.NO_NETWORK,
    "This machine has no network.": Cause.NO_NETWORK,
    "The conversation is longer than the model can take in.": Cause.TOO_LONG,
    "Your tokens for today are used up at this provider.": Cause.USED_UP,
    "All that this provider's owner gives its guests today is used up.": Cause.USED_UP,
    "Your time of speech for today is used up at this provider.": Cause.USED_UP,
}


def line_words(name: str, placed: AnswerPlace) -> str:
    """Of an answer that waits for its turn at this provider."""
    place, wait = number(placed.place), whole_duration(rounded(placed.wait)) if placed.wait else ""
    if placed.place == 1 and wait:
        return tr("{name} is busy with others. You are the next in line, in about {wait}.", name=name, wait=wait)
    if placed.place == 1:
        return tr("{name} is busy with others. You are the next in line.", name=name)
    if wait:
        return tr(
            "{name} is busy with others. You are number {place} in line: about {wait}.",
            name=name,
            place=place,
            wait=wait,
        )
    return tr("{name} is busy with others. You are number {place} in line.", name=name, place=place)


def cause_of(error: ErrorInfo) -> Cause:
    return _CAUSES.get(error.name) or _TITLES.get(error.title, Cause.OTHER)


def time_left(octets: int, rate: float) -> str:
    """Of a download: bytes still to come at a rate of bytes per second."""
    return tr("about {time} left", time=whole_duration(octets / rate)) if rate > 0 else ""


def tokens(count: int) -> str:
    return str(count) if count < 1000 else tr("{number}k", number=number(count / 1000, 1))


def context(count: int) -> str:
    """8k context; nothing when it is not known."""
    if count <= 0:
        return ""
    if count >= 1024:
        return tr("{count}k context", count=count // 1024)
    return tr("{count} context", count=count)


# How an answer came, as the core calls it.
PATHS = {
    "local": later("local"),
    "direct": later("direct"),
    "relay": later("relay"),
    "local network": later("local network"),
}
# Of an answer that did not end by itself.
ENDINGS = {
    "length": later("cut at its greatest length"),
    "context": later("the context is full"),
    "stopped": later("you stopped it"),
}


def stats_words(stats: AnswerStats) -> tuple[str, ...]:
    """The facts after the name in the line under an answer."""
    if not stats.path and not stats.generated_tokens:
        return ()  # it was asked, and nobody answered
    words = [tr(PATHS[stats.path]) if stats.path in PATHS else stats.path or tr("path unknown")]
    if stats.generated_tokens or stats.prompt_tokens:
        words.append(tr("first token {time}", time=duration(stats.time_to_first_token)))
        words.append(speed(stats.tokens_per_second))
        # How long the prompt was comes with the end of an answer: of one that was stopped it is not known.
        if stats.prompt_tokens:
            #: tokens
            words.append(
                tr("{prompt} in, {generated} out", prompt=stats.prompt_tokens, generated=stats.generated_tokens)
            )
        else:
            words.append(tr("{generated} out", generated=stats.generated_tokens))
    if stats.ending in ENDINGS:
        words.append(tr(ENDINGS[stats.ending]))
    if stats.beside:
        name = tr(THIS_MACHINE) if stats.beside == THIS_MACHINE else stats.beside
        words.append(
            tr("{name} was asked too, and stopped after {time}", name=name, time=duration(stats.beside_seconds))
        )
    return tuple(words)


def speed(rate: float) -> str:
    """Tokens per second."""
    return tr("{rate} tok/s", rate=number(rate, 0 if rate >= 10 else 1))


def provider_state(provider: ProviderEntry) -> str:
    """What stands at the right of a provider's name."""
    if provider.state == "online":
        if provider.rtt_ms is None:
            return tr("online")
        ms = number(provider.rtt_ms)
        if provider.path == "local network":
            return tr("{ms} ms · your network", ms=ms)
        return tr("{ms} ms · via relay", ms=ms) if provider.path == "relay" else tr("{ms} ms", ms=ms)
    return tr(_STATES[provider.state]) if provider.state in _STATES else ""


_STATES = {
    "silent": later("nothing comes"),
    "connecting": later("connecting…"),
    "waking": later("waking up…"),
    "offline": later("offline"),
    "refused": later("refused"),
    "waiting": later("waiting for the owner"),
}


def provider_sentence(provider: ProviderEntry) -> str:
    """The line under a provider that shows no models."""
    if provider.state == "connecting":
        return tr("Connecting…")
    if provider.state == "waking":
        return tr("Waking it…")
    if provider.state == "waiting":
        return tr("Waiting for its owner to allow your key.")
    if provider.error is not None:
        return told(provider.error.title)
    if provider.state == "silent":
        return tr("Nothing comes from it at the moment.")
    if provider.state == "online":
        return tr("It only translates.") if provider.translates else tr("It shares no model with you.")
    return tr("Not connected yet.")


def local_state(model: SharedModel) -> str:
    if model.server:
        at = tr("at {server}", server=model.server)
        return tr("{where}, away", where=at) if model.state.startswith("away") else at
    if model.state == "loaded":
        return tr("{size}, ready", size=size(model.size_bytes))
    if model.state == "loading":
        return tr("{size}, loading", size=size(model.size_bytes))
    return size(model.size_bytes)


def default_model() -> tuple[str, int, str]:
    """Name, bytes and licence of the small model for this machine."""
    from qvac_core.models import DEFAULT_SMALL_MODEL as model  # the list of models: not before it is asked for

    return model.file.rsplit(".", 2)[0].replace("-", " "), model.size_bytes, model.licence
