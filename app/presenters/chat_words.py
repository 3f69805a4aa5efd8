"""Words of the Chat tab: sizes, numbers, what answers, and which buttons help against which failure. Knows no Qt.

The words are DESIGN.md's, "Words"; causes are recognised by the names of qvac_core.core.error_text.
"""

from __future__ import annotations

from enum import StrEnum

from app.words import duration, size, whole_duration
from qvac_core.core.state import AnswerStats, ErrorInfo, ProviderEntry, SharedModel
from qvac_core.models import DEFAULT_SMALL_MODEL

THIS_MACHINE = "This machine"


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
}


def cause_of(error: ErrorInfo) -> Cause:
    return _CAUSES.get(error.name) or _TITLES.get(error.title, Cause.OTHER)


def time_left(octets: int, rate: float) -> str:
    """Of a download: bytes still to come at a rate of bytes per second."""
    return f"about {whole_duration(octets / rate)} left" if rate > 0 else ""


def tokens(count: int) -> str:
    return str(count) if count < 1000 else f"{count / 1000:.1f}k"


def context(count: int) -> str:
    """8k context; nothing when it is not known."""
    if count <= 0:
        return ""
    return f"{count // 1024}k context" if count >= 1024 else f"{count} context"


# Of an answer that did not end by itself.
ENDINGS = {"length": "cut at its greatest length", "context": "the context is full"}


def stats_words(stats: AnswerStats) -> tuple[str, ...]:
    """The facts after the name in the line under an answer."""
    if not stats.path and not stats.generated_tokens:
        return ()  # it was asked, and nobody answered
    words = [stats.path or "path unknown"]
    if stats.generated_tokens or stats.prompt_tokens:
        words.append(f"first token {duration(stats.time_to_first_token)}")
        words.append(f"{stats.tokens_per_second:.0f} tok/s" if stats.tokens_per_second >= 10 else _slow(stats))
        # How long the prompt was comes with the end of an answer: of one that was stopped it is not known.
        in_ = f"{stats.prompt_tokens} in, " if stats.prompt_tokens else ""
        words.append(f"{in_}{stats.generated_tokens} out")
    if stats.ending in ENDINGS:
        words.append(ENDINGS[stats.ending])
    return tuple(words)


def _slow(stats: AnswerStats) -> str:
    return f"{stats.tokens_per_second:.1f} tok/s"


def provider_state(provider: ProviderEntry) -> str:
    """What stands at the right of a provider's name."""
    if provider.state == "online":
        path = {"local network": " · your network", "relay": " · via relay"}.get(provider.path, "")
        return f"{provider.rtt_ms:.0f} ms{path}" if provider.rtt_ms is not None else "online"
    return {
        "silent": "nothing comes",
        "connecting": "connecting…",
        "offline": "offline",
        "refused": "refused",
        "waiting": "waiting for the owner",
    }.get(provider.state, "")


def provider_sentence(provider: ProviderEntry) -> str:
    """The line under a provider that shows no models."""
    if provider.state == "connecting":
        return "Connecting…"
    if provider.state == "waiting":
        return "Waiting for its owner to allow your key."
    if provider.error is not None:
        return provider.error.title
    if provider.state == "silent":
        return "Nothing comes from it at the moment."
    if provider.state == "online":
        return "It shares no model with you."
    return "Not connected yet."


def local_state(model: SharedModel) -> str:
    if model.state == "loaded":
        return f"{size(model.size_bytes)}, ready"
    if model.state == "loading":
        return f"{size(model.size_bytes)}, loading"
    return size(model.size_bytes)


def default_model() -> tuple[str, int, str]:
    """Name, bytes and licence of the small model for this machine."""
    model = DEFAULT_SMALL_MODEL
    return model.file.rsplit(".", 2)[0].replace("-", " "), model.size_bytes, model.licence
