"""The state of the one `Core`, as immutable values: what a screen renders and what the command line prints.

State flows one way (docs/architecture.md, "One core, one owner"): core → events of this module → presenter → view.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from qvac_core.core.manners_state import MannersChanged as MannersChanged
from qvac_core.core.pausing import Pause as Pause
from qvac_core.core.pausing import PauseReason as PauseReason
from qvac_core.core.pausing import PausesChanged as PausesChanged
from qvac_core.late_dataclass import dataclass
from qvac_core.lazy import exports
from qvac_core.store.records import TRANSCRIPT as TRANSCRIPT
from qvac_core.store.records import AnswerStats as AnswerStats
from qvac_core.store.records import Conversation as Conversation
from qvac_core.store.records import ConversationTools as ConversationTools
from qvac_core.store.records import Draft as Draft
from qvac_core.store.records import ErrorInfo as ErrorInfo
from qvac_core.store.records import Hit as Hit
from qvac_core.store.records import InviteRecord as InviteRecord
from qvac_core.store.records import KeyLimits as KeyLimits
from qvac_core.store.records import Knock as Knock
from qvac_core.store.records import LogEntry as LogEntry
from qvac_core.store.records import Message as Message
from qvac_core.store.records import Parameters as Parameters
from qvac_core.store.records import Picture as Picture
from qvac_core.store.records import Preset as Preset
from qvac_core.store.records import Target as Target
from qvac_core.store.records import ToolServer as ToolServer
from qvac_core.store.records import ToolUse as ToolUse
from qvac_core.store.records import UseState as UseState

if TYPE_CHECKING:
    from qvac_core.core.download_state import DownloadChanged as DownloadChanged
    from qvac_core.core.download_state import DownloadState as DownloadState
    from qvac_core.core.history_state import HistoryCleared as HistoryCleared
    from qvac_core.core.identity_state import IdentityChanged as IdentityChanged
    from qvac_core.core.invites_room import InvitesChanged as InvitesChanged
    from qvac_core.core.invites_room import InviteWish as InviteWish
    from qvac_core.core.invites_room import Offer as Offer
    from qvac_core.core.library_state import LibraryEvent
    from qvac_core.core.model_servers_state import ModelServerEntry as ModelServerEntry
    from qvac_core.core.model_servers_state import ModelServersChanged as ModelServersChanged
    from qvac_core.core.programs_state import ProgramCalled as ProgramCalled
    from qvac_core.core.programs_state import ProgramsChanged as ProgramsChanged
    from qvac_core.core.receipts_room import ReceiptsChanged as ReceiptsChanged
    from qvac_core.core.relay_offer_state import RelayOfferChanged as RelayOfferChanged
    from qvac_core.core.spot_check import SpotCheckAsked as SpotCheckAsked
    from qvac_core.core.tools_state import ServerEntry as ServerEntry
    from qvac_core.core.tools_state import ToolServersChanged as ToolServersChanged

# What a window's first look does not need, imported with the first of its names.
__getattr__ = exports(
    __name__,
    {
        "HistoryCleared": "qvac_core.core.history_state",
        "IdentityChanged": "qvac_core.core.identity_state",
        "InvitesChanged": "qvac_core.core.invites_room",
        "InviteWish": "qvac_core.core.invites_room",
        "Offer": "qvac_core.core.invites_room",
        "DownloadChanged": "qvac_core.core.download_state",
        "DownloadState": "qvac_core.core.download_state",
        "ModelServerEntry": "qvac_core.core.model_servers_state",
        "ModelServersChanged": "qvac_core.core.model_servers_state",
        "ProgramCalled": "qvac_core.core.programs_state",
        "ProgramsChanged": "qvac_core.core.programs_state",
        "ReceiptsChanged": "qvac_core.core.receipts_room",
        "RelayOfferChanged": "qvac_core.core.relay_offer_state",
        "ServerEntry": "qvac_core.core.tools_state",
        "ToolServersChanged": "qvac_core.core.tools_state",
    },
)


class SharingPhase(StrEnum):
    OFF = "off"
    STARTING = "starting"
    ANNOUNCED = "announced"  # the network leads to us: we looked; nobody else has reached us yet
    REACHABLE = "reachable"  # that, and the network saw us unfirewalled, or a peer is connected
    LOCAL = "local"  # no node of the network knows the key, but machines of the own network find it
    UNREACHABLE = "unreachable"  # `detail` says why and what helps
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class SharingState:
    """`since`: Unix seconds of the last change. `path`: how peers reach us: direct, relay (all of them), or ""."""

    phase: SharingPhase = SharingPhase.OFF
    since: float = 0.0
    detail: str = ""
    path: str = ""
    peers: int = 0


@dataclass(frozen=True, slots=True)
class SharedModel:
    """A model of the library with its switch. `state`: "loaded", "loading", "idle" (loads when asked), "failed: …".

    `ability`: what it is made for: "chat", "embed", "transcribe"; "" for a file of the models folder that is of no
    use, or not whole (`state` says why). Those are listed, and never shared or offered.
    copyable: guests may copy its file.
    server: what the owner calls the server of another program that runs it; "" = it is a file here. Its `state` may be
    "away: …" as well.
    """

    name: str
    display_name: str
    quantization: str
    size_bytes: int
    memory_bytes: int
    n_ctx: int
    slots: int
    shared: bool
    state: str
    ability: str = "chat"
    vision: bool = False
    copyable: bool = False
    server: str = ""


class AccessMode(StrEnum):
    ALLOW = "allow"  # only the keys of the list
    DENY = "deny"  # everybody except the blocked


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One key the owner decided about. Times in Unix seconds; None = never. Limits: as in `KeyLimits`.

    extra_tokens: given on top for today. mine: one of the owner's own machines, without limits. came_with: the name of
    the invite it came with, "" = the owner allowed it by hand, or the invite is forgotten. invited: it came with one.
    """

    public_key: str
    name: str
    blocked: bool
    added_at: float
    expires_at: float | None = None
    last_seen: float | None = None
    connected: bool = False
    tokens_today: int = 0
    tokens_per_day: int | None = None
    parallel: int | None = None
    context_tokens: int | None = None
    answer_tokens: int | None = None
    models: tuple[str, ...] | None = None
    hours: str = ""
    extra_tokens: int = 0
    mine: bool = False
    came_with: str = ""
    invited: bool = False

    @property
    def limits(self) -> KeyLimits:
        return KeyLimits(
            self.tokens_per_day, self.parallel, self.context_tokens, self.answer_tokens, self.models, self.hours
        )

    @property
    def most_today(self) -> int | None:
        """How many tokens it may use today; None = any number."""
        return None if self.tokens_per_day is None or self.mine else self.tokens_per_day + self.extra_tokens


@dataclass(frozen=True, slots=True)
class AccessRules:
    mode: AccessMode = AccessMode.ALLOW
    knocks: bool = True
    keys: tuple[AccessKey, ...] = ()


@dataclass(frozen=True, slots=True)
class ActiveRequest:
    """place: in the line for a slot, 1 = next, 0 = it is being worked on, since `turn_at`.

    wait_until: when its turn may come, by how long others took lately; None = nobody knows. Both in Unix seconds.
    """

    id: str
    remote_public_key: str
    method: str
    model: str
    started_at: float
    tokens: int = 0
    tokens_per_second: float = 0.0
    place: int = 0
    wait_until: float | None = None
    turn_at: float = 0.0


class Nat(StrEnum):
    """What the router in front of this machine does with its port."""

    OPEN = "open"
    CONSISTENT = "consistent"
    RANDOM = "random"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class NetworkReport:
    """`address` as others see us; None while they disagree or say nothing. Port 0: another one for each of them."""

    asked: int
    answered: int
    address: tuple[str, int] | None
    firewalled: bool
    nat: Nat

    @property
    def reachable(self) -> bool:
        return self.answered > 0


class Stage(StrEnum):
    FINDING = "finding"
    CONNECTING = "connecting"
    HANDSHAKE = "handshake"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model a provider offers. `source` is what load_model sends; sha256 is "" where it does not tell.

    vision: it can be shown pictures. wait_ms: how long a new answer would have waited when it was asked.
    """

    name: str
    source: str
    size_bytes: int = 0
    context_tokens: int = 0
    loaded: bool = False
    sha256: str = ""
    vision: bool = False
    wait_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class GuestTerms:
    """What its owner lets me use, as it said last. None: no limit. Times in Unix seconds.

    tokens_used: today; resets_at: when the day's count begins anew. opens_at: outside of my hours, until they begin.
    ends_at: when my access ends. mine: it is one of my own machines; wake: by which network cards I may wake it.
    """

    tokens_per_day: int | None = None
    tokens_used: int = 0
    resets_at: float | None = None
    parallel: int | None = None
    context_tokens: int | None = None
    answer_tokens: int | None = None
    opens_at: float | None = None
    ends_at: float | None = None
    mine: bool = False
    wake: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider in my list. state: "unknown", "connecting", "online", "silent", "offline", "refused",
    "waiting" (for its owner, who was told of this key and has not decided), "waking" (it was called out of its sleep).

    path while it is online: "direct", "local network" or "relay", then `relay` is the relay's key. `retry_at`: Unix
    seconds at which about it is tried again by itself; None when it is not, or is tried now. "silent": connected,
    asked, and nothing comes from it since `silent_since` (Unix seconds). keeps_contents: its owner keeps what is asked
    and answered. terms: what I may use there; None where its owner's program does not tell. translates: from which
    language into which its translation models get a text, as codes; `models` are those that chat.
    """

    public_key: str
    name: str
    state: str = "unknown"
    rtt_ms: float | None = None
    models: tuple[RemoteModel, ...] = ()
    added_at: float = 0.0
    last_connected: float | None = None
    error: ErrorInfo | None = None
    path: str = ""
    relay: str = ""
    retry_at: float | None = None
    silent_since: float = 0.0
    keeps_contents: bool = False
    terms: GuestTerms | None = None
    translates: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SpeechChoice:
    """A model that understands speech. where: the provider's key, "" on this machine.

    usable: it can be asked now; if not, `reason` says why. languages: ISO 639-1 codes, () = not known. preferred: the
    owner chose it in the settings.
    """

    name: str
    where: str = ""
    loaded: bool = False
    usable: bool = True
    reason: str = ""
    languages: tuple[str, ...] = ()
    preferred: bool = False


# --- Events -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SharingChanged:
    state: SharingState


@dataclass(frozen=True, slots=True)
class SharedModelsChanged:
    models: tuple[SharedModel, ...]


@dataclass(frozen=True, slots=True)
class AccessChanged:
    rules: AccessRules


@dataclass(frozen=True, slots=True)
class KnocksChanged:
    knocks: tuple[Knock, ...]


@dataclass(frozen=True, slots=True)
class PeerConnection:
    """A consumer's connection to our provider: state "open", "moved", "closed", "refused", "blocked", "knock".

    path: "direct" or "relay", then `relay` is the relay's key; both "" where no connection was made.
    """

    remote_public_key: str
    state: str
    remote_address: str = ""
    path: str = ""
    relay: str = ""


@dataclass(frozen=True, slots=True)
class RequestStarted:
    request: ActiveRequest


@dataclass(frozen=True, slots=True)
class RequestProgressed:
    request: ActiveRequest


@dataclass(frozen=True, slots=True)
class RequestEnded:
    entry: LogEntry


@dataclass(frozen=True, slots=True)
class ProvidersChanged:
    providers: tuple[ProviderEntry, ...]


@dataclass(frozen=True, slots=True)
class ConnectionStage:
    """Progress of reaching a provider. seconds: how long this stage took or runs. fraction: of a load, or None.

    error in a stage other than FAILED: it goes on, and this is why it may fail (told within 2 s).
    """

    provider_key: str
    stage: Stage
    seconds: float
    fraction: float | None = None
    error: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class AnswerPlace:
    """An answer waits for its turn at a provider. place: in the line, 1 = next, 0 = its turn has come.

    wait: seconds until then, as its provider says; 0 where it does not.
    """

    message_id: str
    place: int
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class ConversationsChanged:
    conversations: tuple[Conversation, ...]


@dataclass(frozen=True, slots=True)
class PathChanged:
    """The messages of a conversation are others now, from the first to the last: asked, edited, or another branch."""

    conversation_id: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class PresetsChanged:
    presets: tuple[Preset, ...]


@dataclass(frozen=True, slots=True)
class AnswerStarted:
    conversation_id: str
    message: Message


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """Text that was added to a streaming answer."""

    conversation_id: str
    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AnswerThinking:
    """Thinking that was added to a streaming answer's `thinking`. It comes before the text of the answer; where another
    machine goes on, it may come again."""

    conversation_id: str
    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AnswerTool:
    """A call of a tool in a streaming answer: new, or the one of that id in another state."""

    conversation_id: str
    message_id: str
    use: ToolUse


@dataclass(frozen=True, slots=True)
class AnswerSeam:
    """Somebody else goes on from `offset` in the text. One at the place of the last seam takes that one's place."""

    conversation_id: str
    message_id: str
    offset: int
    sentence: str


@dataclass(frozen=True, slots=True)
class AnswerFinished:
    conversation_id: str
    message: Message


@dataclass(frozen=True, slots=True)
class TranscriptProgress:
    """How far a transcript has come: milliseconds of audio. total_ms: 0 = not known. left_seconds: None = not known."""

    message_id: str
    done_ms: int
    total_ms: int
    left_seconds: float | None


@dataclass(frozen=True, slots=True)
class DictationHeard:
    """What somebody said so far: `settled` never changes but for growing, `unsettled` stands behind it for now."""

    dictation_id: str
    settled: str
    unsettled: str


@dataclass(frozen=True, slots=True)
class DictationEnded:
    """The whole text; of one that failed, as far as it was heard. Nothing comes of one that was discarded."""

    dictation_id: str
    text: str
    error: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class TranslationChanged:
    """A translation as far as it has come. running: more follows. error: why it broke off, with what is there kept.

    seam: why another machine than the one that was asked translates it, as a sentence.
    """

    translation_id: str
    text: str
    running: bool = True
    error: ErrorInfo | None = None
    seam: str = ""


@dataclass(frozen=True, slots=True)
class SettingChanged:
    """A setting has another value now, wherever that was said."""

    name: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know once: a settings file set aside, another machine answering for my key, …"""

    title: str
    message: str


# As a text: the union itself needs every class.
CoreEvent: TypeAlias = """
    SharingChanged
    | SharedModelsChanged
    | AccessChanged
    | KnocksChanged
    | InvitesChanged
    | PeerConnection
    | PausesChanged
    | SpotCheckAsked
    | MannersChanged
    | HistoryCleared
    | ReceiptsChanged
    | IdentityChanged
    | ProgramsChanged
    | ProgramCalled
    | SettingChanged
    | RelayOfferChanged
    | RequestStarted
    | RequestProgressed
    | RequestEnded
    | ProvidersChanged
    | ConnectionStage
    | AnswerPlace
    | ConversationsChanged
    | PathChanged
    | PresetsChanged
    | AnswerStarted
    | AnswerTokens
    | AnswerThinking
    | AnswerSeam
    | AnswerTool
    | ToolServersChanged
    | ModelServersChanged
    | AnswerFinished
    | LibraryEvent
    | TranscriptProgress
    | DictationHeard
    | DictationEnded
    | TranslationChanged
    | Notice
"""
