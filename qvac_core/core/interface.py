"""What a front door may ask of the core: the intents, as one Protocol that `Core` implements and GUI tests fake.

All coroutines run on the core's loop. Every one may raise a QvacError whose message is a sentence for the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from qvac_core.core.chat_branches import ChatBranches
    from qvac_core.core.chat_files import ChatFilesRoom
    from qvac_core.core.chat_settings import ChatSettingsRoom
    from qvac_core.core.copies import CopyRoom
    from qvac_core.core.gauges import GaugesInterface
    from qvac_core.core.history_state import HistoryInterface
    from qvac_core.core.identity_state import IdentityInterface
    from qvac_core.core.invites_room import InvitesInterface
    from qvac_core.core.library_room import LibraryRoom
    from qvac_core.core.limits import LimitsInterface
    from qvac_core.core.manners_state import MannersInterface
    from qvac_core.core.model_options import ModelOptionsInterface
    from qvac_core.core.model_servers import ModelServersInterface
    from qvac_core.core.my_machines_state import MyMachinesInterface
    from qvac_core.core.pausing import PausingInterface
    from qvac_core.core.programs_state import ProgramsInterface
    from qvac_core.core.receipts_room import ReceiptsInterface
    from qvac_core.core.relay_offer_state import RelayOfferInterface
    from qvac_core.core.spot_check import SpotCheckInterface
    from qvac_core.core.state import (
        AccessMode,
        AccessRules,
        ActiveRequest,
        Conversation,
        CoreEvent,
        Draft,
        KeyLimits,
        Knock,
        LogEntry,
        Message,
        NetworkReport,
        ProviderEntry,
        SharedModel,
        SharingState,
        SpeechChoice,
        Target,
    )
    from qvac_core.core.tools import ToolsRoomInterface
    from qvac_core.core.translators import TranslatorsInterface


class CoreInterface(Protocol):
    def subscribe(self, listener: Callable[[CoreEvent], None]) -> Callable[[], None]:
        """Call `listener` on the core's loop for every event; returns the function that ends it."""

    async def start(self) -> None:
        """Open the store, the identity and the network node. Quick: bootstrapping goes on in the background."""

    async def close(self) -> None:
        """End everything: answers, connections, announcements, workers, tasks. Bounded in time."""

    # Identity and settings
    @property
    def public_key(self) -> str:
        """64 hex digits."""

    async def setting(self, key: str) -> str:
        """A user setting as text ("" = unset): theme (system, light, dark), tab, machine_name (in links), …

        local_network ("true", "false") acts at once, unless the command line decided about it. So do keep_awake and
        keep_awake_on_battery; share_at_start and close_to_tray are the window's to act on.
        machine_name and those of sharing and manners (store/settings.py; "sharing.keep_contents", …) act at once too,
        but for sharing.context_tokens, sharing.slots and sharing.memory_mb: they act when a model is loaded next. So
        does chat.keep_states ("nothing", "own", "everybody": whose chats a model remembers over its end) where more is
        to be kept, and at once where less.
        """

    async def set_setting(self, key: str, value: str) -> None: ...

    async def given(self) -> Mapping[str, str]:
        """What was decided for this run alone, by the command line: the value in force by name, where there is one.

        local_network ("true", "false"), bootstrap, port, relays. A setting of that name is kept, and does nothing now.
        """

    @property
    def library(self) -> LibraryRoom:
        """Models to be had, their downloads, the models here and their folder."""

    # The network
    async def network_report(self) -> NetworkReport:
        """Ask some nodes how they see this machine. At most about ten seconds, when nobody answers."""

    async def relays(self) -> tuple[str, ...]:
        """Public keys of the relays to go through where no direct path is found, the first one first."""

    async def set_relays(self, public_keys: Sequence[str]) -> None:
        """Keep other relays; holds from the next connection on. IdentityError for what is no key."""

    @property
    def relay_offer(self) -> RelayOfferInterface:
        """This machine as a relay for others."""

    # Share my GPU
    async def sharing(self) -> SharingState: ...
    async def start_sharing(self) -> None: ...
    async def stop_sharing(self) -> None:
        """Ends the owner's pause as well."""

    @property
    def pausing(self) -> PausingInterface:
        """Pauses: guests stay connected, and are told when to ask again."""

    async def free_models(self) -> None:
        """Give back the memory of every model that computes nothing now; the next request loads it again."""

    async def shared_models(self) -> tuple[SharedModel, ...]: ...
    async def set_model_shared(self, name: str, shared: bool) -> None: ...
    async def add_model_file(self, path: Path) -> SharedModel: ...
    async def download_model(self, name_or_source: str, *, share: bool = False) -> None:
        """Fetch a model into the library, with DownloadChanged events. "" = the default small model.

        share: it is shared as soon as it is here.
        """

    async def cancel_download(self, name_or_source: str) -> None: ...
    async def access_rules(self) -> AccessRules: ...
    async def set_access_mode(self, mode: AccessMode) -> None: ...
    async def set_knocks(self, enabled: bool) -> None: ...
    async def allow_key(
        self, public_key: str, name: str, *, hours: float | None = None, limits: KeyLimits | None = None
    ) -> None:
        """Admit a key (hex, any spacing). Acts at once; ends its knock. IdentityError when it is not a key.

        limits: from the first moment on; None = those it has.
        """

    async def block_key(self, public_key: str, name: str = "") -> None:
        """Refuse in silence, and cut what is open."""

    async def remove_key(self, public_key: str) -> None: ...
    async def rename_key(self, public_key: str, name: str) -> None: ...
    async def knocks(self) -> tuple[Knock, ...]: ...
    async def dismiss_knock(self, public_key: str) -> None: ...
    async def active_requests(self) -> tuple[ActiveRequest, ...]: ...
    async def stop_request(self, request_id: str) -> None: ...
    async def request_log(self, limit: int = 200, search: str = "") -> tuple[LogEntry, ...]: ...
    async def clear_log(self) -> None: ...

    @property
    def model_options(self) -> ModelOptionsInterface: ...
    @property
    def manners(self) -> MannersInterface: ...
    @property
    def translators(self) -> TranslatorsInterface: ...
    @property
    def invites(self) -> InvitesInterface: ...
    @property
    def limits(self) -> LimitsInterface: ...
    @property
    def gauges(self) -> GaugesInterface: ...
    @property
    def copies(self) -> CopyRoom:
        """Which models guests may copy."""

    @property
    def model_servers(self) -> ModelServersInterface:
        """Servers of other programs whose models this machine offers."""

    @property
    def history(self) -> HistoryInterface: ...
    @property
    def receipts(self) -> ReceiptsInterface: ...
    @property
    def identity(self) -> IdentityInterface: ...

    # Chat
    async def providers(self) -> tuple[ProviderEntry, ...]: ...
    async def add_provider(self, public_key: str, name: str = "") -> ProviderEntry:
        """Remember a provider (my own key is refused with a sentence: it means this machine)."""

    async def rename_provider(self, public_key: str, name: str) -> None: ...
    async def remove_provider(self, public_key: str) -> None: ...
    async def connect_provider(self, public_key: str) -> ProviderEntry:
        """Connect (ConnectionStage events), ask for its models. Raises when it cannot be reached or refuses."""

    @property
    def my_machines(self) -> MyMachinesInterface:
        """Machines of one's own, managed from here."""

    @property
    def spot_checks(self) -> SpotCheckInterface:
        """Whether a provider computes with the file that it names."""

    async def conversations(self) -> tuple[Conversation, ...]: ...
    async def messages(self, conversation_id: str) -> tuple[Message, ...]: ...
    async def new_conversation(self, target: Target) -> Conversation: ...
    async def rename_conversation(self, conversation_id: str, title: str) -> None: ...
    async def pin_conversation(self, conversation_id: str, pinned: bool) -> None: ...
    async def delete_conversation(self, conversation_id: str) -> None: ...
    async def set_target(self, conversation_id: str, target: Target) -> None: ...
    async def drafts(self) -> dict[str, Draft]:
        """What is written and not sent, by conversation; "" is the one that nobody has written in yet."""

    async def keep_draft(self, conversation_id: str, draft: Draft) -> None: ...
    async def ask(self, conversation_id: str, text: str, pictures: Sequence[Path] = ()) -> str:
        """Append the user's message and start an answer; returns the answer's message id at once. Events follow:
        AnswerStarted, AnswerThinking…, AnswerTokens…, AnswerFinished. When the provider goes away it goes on locally
        (AnswerSeam).

        pictures: files to show to a model that sees (`SharedModel.vision`, `RemoteModel.vision`); they are kept with
        the message (`Message.pictures`), and not shown to one that does not. LocalProtocolError, ModelError for one
        that cannot be shown, before anything is kept.
        """

    def picture_file(self, sha256: str) -> Path:
        """The file of a picture of a message, for a screen."""

    async def retry(self, conversation_id: str) -> str:
        """Answer the last user message again, beside its answer so far; one without a word goes."""

    @property
    def branches(self) -> ChatBranches:
        """Editing, answering again, going on."""

    @property
    def chat_files(self) -> ChatFilesRoom:
        """Conversations out to files and in from them."""

    @property
    def tools(self) -> ToolsRoomInterface:
        """Servers of tools, what each conversation uses of them, and what may run."""

    @property
    def programs(self) -> ProgramsInterface:
        """The OpenAI-compatible endpoint of this machine."""

    @property
    def chat_settings(self) -> ChatSettingsRoom:
        """Parameters, presets, who answers else."""

    async def continue_answer_here(self, message_id: str) -> None:
        """Do not wait for the provider: this machine goes on from there (AnswerSeam). ModelError if it cannot."""

    async def stop_answer(self, message_id: str) -> None:
        """Cancel down to the GPU; AnswerFinished with status "stopped" follows."""

    # Speech
    async def speech_models(self) -> tuple[SpeechChoice, ...]:
        """Who can understand speech: this machine's models and those of the providers that are connected."""

    async def start_dictation(self, dictation_id: str, listener: Target, language: str = "") -> None:
        """Have somebody hear a person talk; returns once a model listens. Then DictationHeard…, DictationEnded of this
        id, which the caller makes up. language: ISO 639-1; "" = found by the model. ModelError when `listener` cannot.
        """

    async def dictate(self, dictation_id: str, samples: bytes) -> None:
        """What the microphone heard next: 16 kHz mono 32-bit floats, any number of them. Never waits for the model."""

    async def end_dictation(self, dictation_id: str) -> None:
        """No more is said: DictationEnded follows once the rest was listened to."""

    async def discard_dictation(self, dictation_id: str) -> None:
        """Leave at once; no event follows."""

    async def start_transcript(self, conversation_id: str, path: Path, listener: Target, language: str = "") -> str:
        """Transcribe a sound or video file into the conversation; returns the message's id at once. What its text holds
        says core/transcript.py. AnswerStarted, AnswerTokens…, TranscriptProgress…, AnswerFinished, as of an answer."""

    async def stop_transcript(self, message_id: str) -> None:
        """What is done is kept; AnswerFinished with status "stopped" follows."""

    async def continue_transcript(self, conversation_id: str, message_id: str) -> None:
        """Of one that was stopped or broke off, hear the rest; events as of `start_transcript`. Raises ModelError where
        the recording is not where it was."""

    async def start_translation(
        self,
        translation_id: str,
        text: str,
        to: str,
        target: Target,
        source: str = "",
        engines_at: str = "",
        others: Sequence[Target] = (),
    ) -> None:
        """Translate a text by whoever chats at `target`; with `source` by the translation models of the provider
        `engines_at` (a key), "" = of this machine, where they know both languages. to, source: BCP-47. Where a provider
        goes away this machine's models do it, else one of `others`, at last who chats here. TranslationChanged… of this
        id, which the caller makes up, follow; the last one with running False."""

    async def stop_translation(self, translation_id: str) -> None:
        """Down to the GPU; what is there is kept, and told once more."""
