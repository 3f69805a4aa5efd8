"""`Core`: identity, network, engines, provider and consumer, put together once and ended together.

The one object behind every front door (docs/architecture.md, "One core, one owner"). It is started and used on one
asyncio loop; `CoreInterface` says what each intent does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from qvac_core.codec.key_text import parse_public_key, short_key
from qvac_core.core.answering import TranslationWish
from qvac_core.core.answers import Answers
from qvac_core.core.awake import Awake, AwakeSettings
from qvac_core.core.chat_branches import ChatBranches
from qvac_core.core.chat_files import ChatFiles
from qvac_core.core.chat_settings import ChatSettings
from qvac_core.core.chats import Chats
from qvac_core.core.config import CoreConfig, RuleOverride
from qvac_core.core.contacts import Contacts
from qvac_core.core.copies import Copies
from qvac_core.core.diagnosis import examine_network
from qvac_core.core.dictation import Dictations
from qvac_core.core.event_hub import EventHub
from qvac_core.core.gauges import MachineGauges
from qvac_core.core.heard_elsewhere import Listeners, TakenOver, heard_to_the_end
from qvac_core.core.history import History
from qvac_core.core.invites_room import InvitesInterface
from qvac_core.core.kept_states import KeptStates
from qvac_core.core.library import ModelsRoom
from qvac_core.core.library_folder import finish_rename, open_library
from qvac_core.core.limits import Limits as KeyLimitsRoom
from qvac_core.core.limits import LimitsInterface
from qvac_core.core.machine import THIS_MACHINE, Machine, load_config
from qvac_core.core.machine_use import on_battery
from qvac_core.core.manners import MachineSenses, Manners
from qvac_core.core.model_options import OF_ALL_MODELS, ModelOptionsInterface
from qvac_core.core.model_servers import ModelServersRoom
from qvac_core.core.my_machines import MyMachines
from qvac_core.core.my_machines_state import MyMachinesInterface
from qvac_core.core.network import NetworkNode
from qvac_core.core.newer import Newer
from qvac_core.core.own_identity import IdentityRoom
from qvac_core.core.pausing import Pausing
from qvac_core.core.program_reach import ProgramReach
from qvac_core.core.programs import Programs
from qvac_core.core.receipts import ReceiptBook
from qvac_core.core.receipts_room import ReceiptsInterface
from qvac_core.core.relay_offer import RelayOfferRoom
from qvac_core.core.relay_offer_state import RelayOfferInterface
from qvac_core.core.sharing import Sharing
from qvac_core.core.speech import Speech
from qvac_core.core.spot_check import SpotCheckInterface, SpotChecks
from qvac_core.core.state import (
    AccessMode,
    AccessRules,
    ActiveRequest,
    AnswerStats,
    Conversation,
    CoreEvent,
    Draft,
    HistoryCleared,
    KeyLimits,
    Knock,
    LogEntry,
    Message,
    NetworkReport,
    Notice,
    ProviderEntry,
    SettingChanged,
    SharedModel,
    SharedModelsChanged,
    SharingState,
    SpeechChoice,
    Target,
)
from qvac_core.core.steward import Steward
from qvac_core.core.tools import ToolsRoom
from qvac_core.core.transcripts import Transcripts
from qvac_core.core.translating import Translating
from qvac_core.core.translations import Translations
from qvac_core.core.translators import TranslatorsHere
from qvac_core.core.waking import Sleepers, Waker
from qvac_core.delegation.admission import Limits
from qvac_core.delegation.consumer import Consumer, Delegate
from qvac_core.delegation.messages import Manage
from qvac_core.engines.live_speech import LiveOptions, LiveSession
from qvac_core.engines.llama_engine import LlamaEngine
from qvac_core.engines.model_kind import CHAT_TYPE, EMBEDDING_TYPE, SPEECH_TYPE, TRANSLATION_TYPE
from qvac_core.engines.pool import ModelPool
from qvac_core.engines.speech import AudioFile, TranscriptionEvent
from qvac_core.engines.speech_engine import WhisperEngine
from qvac_core.engines.translation_engine import TranslationEngine
from qvac_core.errors import IdentityError, QvacError, StoreError
from qvac_core.hyperdht import KeyPair
from qvac_core.store.folders import DataDir, InstanceLock
from qvac_core.store.identity import Identity, IdentityStore, SeedSource
from qvac_core.store.program_token import ProgramToken
from qvac_core.store.settings import Settings
from qvac_core.store.store import Store
from qvac_core.threads import make_in_thread

logger = logging.getLogger(__name__)

LOCAL_NETWORK = "local_network"  # of the settings
ASK_HELPER = 10.0  # seconds to reach another machine of one's own that may send a wake-up call
# Ending one part may not keep the others from ending (seconds each).
CLOSE_LIMIT = 10.0


def load_key_pair(config: CoreConfig) -> KeyPair:
    """The identity that a core of this configuration has. May wait for the system's keyring: not for an event loop."""
    return KeyPair.from_seed(load_identity(config).seed)


def load_identity(config: CoreConfig) -> Identity:
    """As `load_key_pair`."""
    if config.seed is not None:
        return Identity(config.seed, SeedSource.OPTION)
    return IdentityStore(DataDir.locate(config.data_dir)).load()


class Core:
    """Implements CoreInterface. `async with Core(config) as core` starts and closes it."""

    def __init__(self, config: CoreConfig | None = None) -> None:
        self._config = config or CoreConfig()
        self._hub = EventHub()
        self._stack = AsyncExitStack()
        self._started = False
        self._closed = False

    def subscribe(self, listener: Callable[[CoreEvent], None]) -> Callable[[], None]:
        return self._hub.subscribe(listener)

    async def __aenter__(self) -> Core:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- Life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open store, identity and node. Raises QvacError, having closed again what it opened."""
        if self._started:
            return
        self._started = True
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise

    async def _open(self) -> None:
        folder = await asyncio.to_thread(DataDir.locate(self._config.data_dir).create)
        if self._config.exclusive:
            lock = InstanceLock(folder.lock_file)
            await make_in_thread(lock.acquire, lambda _: lock.release())
            self._stack.callback(lock.release)
        self._store = await make_in_thread(lambda: Store.open(folder, now=time.time()), Store.close)
        self._stack.push_async_callback(asyncio.to_thread, self._store.close)
        identity = await asyncio.to_thread(load_identity, self._config)
        self._key_pair = KeyPair.from_seed(identity.seed)
        self.identity = IdentityRoom(
            IdentityStore(folder),
            identity.seed,
            identity.source,
            lambda: self._store.settings.settings.machine_name,
            self._hub.emit,
        )

        self._book = ReceiptBook(self._store, self._key_pair, self._hub.emit)
        self.receipts: ReceiptsInterface = self._book
        self._on_close("receipts", self._book.close)

        local = self._config.local_network
        self._entrance = self._config.with_network(self._store.settings.settings.network)
        self._network = NetworkNode(
            self._entrance,
            self._key_pair,
            folder.known_nodes_file,
            local_network=self._store.settings.settings.local_network if local is None else local,
        )
        self._on_close("network", self._network.close)
        await self._network.start()
        if not self._config.relays:
            self._network.relays = self._kept_relays()

        limits = Limits()
        given = replace(self._config.model_options, answer_tokens=self._config.answer_tokens or 0)
        self._kept_states = KeptStates(
            folder.kept_states_folder,
            self._key_pair.seed,
            lambda: self._store.settings.settings.chat.keep_states,
        )
        self._engine = LlamaEngine(kept=self._kept_states.for_load)
        self._kept_states.serve(self._engine)
        self._on_close("engine", self._engine.close)
        self._speech_engine = WhisperEngine()
        self._on_close("speech", self._speech_engine.close)
        translation_engine = TranslationEngine()
        self._on_close("translation engine", translation_engine.close)
        given_folder = self._config.models_folder
        if given_folder is None:
            await asyncio.to_thread(finish_rename, folder, self._store.settings)
        library = await asyncio.to_thread(open_library, folder, self._store.settings, given_folder)
        self.model_servers = ModelServersRoom(
            self._store, self._hub, self._config.servers, shared_names=lambda: self.machine.shared_names()
        )
        self._on_close("model servers", self.model_servers.close)
        at_servers = self.model_servers.engine
        pool = ModelPool(
            self._engine,
            at_servers={CHAT_TYPE: at_servers.load, EMBEDDING_TYPE: at_servers.load_embedding},
            others={
                EMBEDDING_TYPE: self._engine.load_embedding,
                SPEECH_TYPE: self._speech_engine.load_pooled,
                TRANSLATION_TYPE: translation_engine.load,
            },
            on_changed=self._on_models_changed,
            idle_seconds=lambda model: self.machine.idle_seconds(model),
            admit=lambda model, config, held: self.machine.admit(model, config, held),
            on_used=lambda model: self.library.used(model),
        )
        self.library = ModelsRoom(
            self._store, self._hub, library, self._engine.devices, given_folder=given_folder is not None
        )
        self._on_close("library", self.library.close)
        self.machine = Machine(
            self._store,
            self._hub,
            library,
            pool,
            limits,
            only=self._config.models,
            copies=self._config.copies,
            given=given,
            downloads=self.library.downloads_queue,
            servers=self.model_servers,
        )
        self.model_servers.on_changed = self.machine.announce
        self._hub.subscribe(lambda event: self.model_servers.tell() if isinstance(event, SharedModelsChanged) else None)
        self.model_servers.unload = pool.unload
        await self.model_servers.open()
        self._on_close("machine", self.machine.close)
        self.translators = TranslatorsHere(self.machine.translators)

        self._awake = Awake(self._awake_settings, on_battery)
        self._hub.subscribe(self._awake.take)
        self._on_close("awake", self._awake.close)
        self._awake.open()

        self.consumer = Consumer(self._network.connect, local_loader=self.machine.load_local, receipts=self._book)
        self._on_close("consumer", self.consumer.close)
        self.my_machines: MyMachinesInterface = MyMachines(self.consumer)
        self.waker = Waker(
            lambda: self._config.can_be_woken or self._store.settings.settings.network.can_be_woken,
            lambda: self._config.wakes_others or self._store.settings.settings.network.wakes_others,
        )
        self.sleepers = Sleepers(folder.sleepers_file, self.waker, self._helpers, self._ask_to_wake)
        await self.sleepers.open()
        self._on_close("sleepers", self.sleepers.close)
        self._contacts = Contacts(self._store, self._hub, self.consumer, self._key_pair.public_key, self.sleepers)
        self._network.on_stage = self._contacts.on_stage
        self._network.on_changed = self._on_network_changed
        self._network.on_connected = self._contacts.on_connected
        self._network.remembered = self._contacts.remembered
        self._on_close("contacts", self._contacts.close)
        self.tools = ToolsRoom(self._store, self._hub)
        await self.tools.open()
        self._on_close("tools", self.tools.close)
        self._chats = Chats(self._store, self._hub, self._contacts, self.machine, self.tools.rounds)
        self.tools.conversations_changed = self._chats.changed
        self.branches: ChatBranches = self._chats
        self.chat_settings = ChatSettings(self._store, self._hub)
        store = self._store
        self.chat_files = ChatFiles(store.database, store.conversations, store.pictures, self._chats.changed)
        self._on_close("chats", self._chats.close)
        self.answers = Answers(self._chats.asking, self._hub)
        self._on_close("answers", self.answers.close)
        self.spot_checks: SpotCheckInterface = SpotChecks(
            self._contacts,
            self.machine,
            self._contacts.connect,
            self._contacts.entries,
            self.machine.of_sha256,
            self._hub.emit,
        )
        self.speech = Speech(
            library,
            pool,
            load_config(limits),
            self.consumer,
            self._key_pair.public_key,
            preferred=lambda: self._store.settings.settings.speech.model,
        )
        self._dictations = Dictations(self._open_live, self._hub)
        self._on_close("dictations", self._dictations.close)
        self._transcripts = Transcripts(self._store, self._hub, self._transcribe, self._who_listens)
        self._on_close("transcripts", self._transcripts.close)
        self.translating = Translating(
            self.machine, self._contacts, lambda: self._store.settings.settings.chat.fallback
        )
        self._translations = Translations(self.translating.translate, self._hub)
        self._on_close("translations", self._translations.close)
        reach = ProgramReach(
            self.machine,
            library,
            self._contacts,
            self.consumer,
            self.speech,
            longest=lambda: self._store.settings.settings.chat.answer_tokens,
        )
        self._on_close("reach of programs", reach.close)
        self.programs = Programs(
            self._store, ProgramToken(folder), reach, self._hub.emit, bring=self._bring, meet=self.add_provider
        )
        self._on_close("programs", self.programs.close)
        self._sharing = Sharing(
            self._store,
            self._hub,
            self._network,
            self.machine,
            self._key_pair,
            limits,
            self._config.rules,
            take=lambda key, grant: self.consumer.claim(Delegate(key), grant),
            join=self._join,
            receipts=self._book,
        )
        self.invites: InvitesInterface = self._sharing.invites
        self._relay = RelayOfferRoom(
            self._store, self._hub, self._network, self._key_pair.seed, self._sharing.listed_keys
        )
        self.relay_offer: RelayOfferInterface = self._relay
        self._on_close("relay for others", self._relay.close)
        self._on_close("sharing", self._sharing.close)
        self.limits: LimitsInterface = KeyLimitsRoom(self._store, self._sharing.rules_changed)
        self.pausing = Pausing(self._store.settings, self._store.database.run, self._sharing.use_pauses, self._hub.emit)
        self._stack.callback(self.pausing.close)
        self.pausing.open()
        self._sharing.wake_addresses = self.waker.addresses
        steward = Steward(self.machine, self.library, self.pausing, self._sharing.log, self.waker.call_for_another)
        self._on_close("steward", steward.close)
        self._sharing.steward = steward
        self.history = History(self._store, self._hub.emit)
        self.gauges = MachineGauges()
        self._stack.callback(self.gauges.close)
        senses = MachineSenses(self.gauges.read_now)
        self.manners = Manners(lambda: self._store.settings.settings.manners, self.pausing, self._hub.emit, senses)
        self._on_close("manners", self.manners.close)
        self.manners.open()
        self.copies = Copies(self.consumer, self._contacts.entries, self._hub, self.machine, self.library)
        self._on_close("copies", self.copies.close)
        self.library.neighbours.connect(self.copies)
        if self._config.updates is not None:
            wanted = lambda: self._store.settings.settings.tell_of_updates  # noqa: E731
            newer = Newer(self._config.updates, folder.updates_file, wanted, self._hub.emit)
            self._on_close("newer version", newer.close)
            newer.open()
        await self.library.open(self.machine, go_on=self._config.go_on)
        self.machine.open()
        if self._config.go_on:
            await self._relay.settings_changed()
        for sentence in (*self._store.notices, self._network.notice):
            if sentence:
                self._hub.emit(Notice("", sentence))

    def _on_close(self, name: str, close: Callable[[], object]) -> None:
        """Parts end in the reverse of their start, each within a limit, whatever another one did."""

        async def end() -> None:
            try:
                async with asyncio.timeout(CLOSE_LIMIT):
                    await close()  # type: ignore[misc]
            except TimeoutError:
                logger.error("%s did not end within %d s", name, CLOSE_LIMIT)
            except QvacError as error:
                logger.error("%s ended with an error: %s", name, error)

        self._stack.push_async_callback(end)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            if hasattr(self, "consumer"):
                self.consumer.closing = True
            await self._stack.aclose()

    def _helpers(self) -> Mapping[str, str]:
        """Machines of one's own that are connected: names by key."""
        entries = self._contacts.entries()
        return {one.public_key: one.name for one in entries if one.terms is not None and one.terms.mine}

    async def _ask_to_wake(self, helper: str, macs: Sequence[str]) -> None:
        delegate = Delegate(bytes.fromhex(helper), timeout=ASK_HELPER)
        await self.consumer.manage(delegate, Manage("wake", macs=list(macs)))

    def _on_network_changed(self) -> None:
        self._contacts.network_changed()
        self.library.network_changed()

    def _on_models_changed(self) -> None:
        if not self._closed:
            self.machine.announce()

    # --- Identity and settings ------------------------------------------------------------------------------------

    @property
    def public_key(self) -> str:
        return self._key_pair.public_key.hex()

    async def setting(self, key: str) -> str:
        return self._store.settings.text(key)

    async def set_setting(self, key: str, value: str) -> None:
        if key == "library.folder":
            raise StoreError("The models folder is changed in the library, which takes the models along.")
        await self._store.database.run(self._store.settings.set_text, key, value)
        if key in OF_ALL_MODELS or key.startswith("engine."):
            await self.machine.options_changed()
        elif key == "speech.model":
            self.machine.announce()  # whoever shows what listens asks again
        elif key.startswith("relay."):
            await self._relay.settings_changed()
        elif key.startswith("manners."):
            await self.manners.look()
        elif key == "chat.keep_states":
            await self._kept_states.choice_changed()
        elif key == "sharing.tokens_per_day":
            await self._sharing.rules_changed()
        elif key in ("sharing.log_days", "sharing.log_rows"):
            await self.history.prune()
        elif key in ("sharing.keep_contents", "machine_name", "network.can_be_woken"):
            self._sharing.greeting_changed()
        if key in ("keep_awake", "keep_awake_on_battery"):
            self._awake.look()
        if key == LOCAL_NETWORK and self._config.local_network is None:
            self._network.use_local_network(self._store.settings.settings.local_network)
        self._hub.emit(SettingChanged(key))

    def _awake_settings(self) -> AwakeSettings:
        settings = self._store.settings.settings
        return AwakeSettings(settings.keep_awake, settings.keep_awake_on_battery)

    async def given(self) -> Mapping[str, str]:
        config = self._config
        given = {}
        # A network that lives on loopback leaves the local one alone, whatever the settings say.
        if config.local_network is not None or (self._entrance.host is not None and config.local_hosts is None):
            given[LOCAL_NETWORK] = "true" if self._network.local else "false"
        if config.bootstrap is not None:
            given["bootstrap"] = ", ".join(f"{host}:{port}" for host, port in config.bootstrap)
        if config.port:
            given["port"] = str(config.port)
        if config.relays:
            given["relays"] = ", ".join(key.hex() for key in config.relays)
        return given

    # --- The network ----------------------------------------------------------------------------------------------

    async def network_report(self) -> NetworkReport:
        return await examine_network(self._network.dht, self._entrance.bootstrap or ())

    async def relays(self) -> tuple[str, ...]:
        return tuple(key.hex() for key in self._network.relays)

    async def set_relays(self, public_keys: Sequence[str]) -> None:
        keys = tuple(dict.fromkeys(parse_public_key(text) for text in public_keys))
        if self._key_pair.public_key in keys:
            raise IdentityError("This is your own key. A relay is another machine, which both of you can reach.")
        if bytes.fromhex(self._relay.public_key) in keys:
            raise IdentityError("This is the relay that this machine offers itself. Name another machine's.")
        kept = tuple(key.hex() for key in keys)

        def update(settings: Settings) -> Settings:
            return replace(settings, network=replace(settings.network, relays=kept))

        await self._store.database.run(self._store.settings.change, update)
        self._network.relays = keys
        self._sharing.use_relays()

    def _kept_relays(self) -> tuple[bytes, ...]:
        """Those of the settings file, which a person may have edited: what is no key is told and left out."""
        keys = []
        for text in self._store.settings.settings.network.relays:
            try:
                keys.append(parse_public_key(text))
            except IdentityError as error:
                self._hub.emit(Notice("", f"A relay in the settings is not used: '{text[:80]}'. {error.message}"))
        return tuple(keys)

    # --- Share my GPU ---------------------------------------------------------------------------------------------

    async def sharing(self) -> SharingState:
        return self._sharing.state

    async def start_sharing(self) -> None:
        await self.machine.start()
        await self._sharing.start()

    async def use_rules(self, rules: RuleOverride) -> None:
        """Who may use it in this run, in place of the kept rules; acts at once."""
        await self._sharing.use_rules(rules)

    async def stop_sharing(self) -> None:
        await self._sharing.stop()
        await self.pausing.resume()  # of what is off there is nothing to pause

    async def free_models(self) -> None:
        # What a guest holds without using it comes back with their next request.
        self._sharing.release_unused_models()
        await self.machine.pool.unload_idle()

    async def shared_models(self) -> tuple[SharedModel, ...]:
        return self.machine.shared_models()

    async def set_model_shared(self, name: str, shared: bool) -> None:
        await self.machine.set_shared(name, shared)

    async def add_model_file(self, path: Path) -> SharedModel:
        return await self.machine.add_file(path)

    async def download_model(self, name_or_source: str, *, share: bool = False) -> None:
        await self.machine.download(name_or_source, share=share)

    async def cancel_download(self, name_or_source: str) -> None:
        await self.machine.cancel_download(name_or_source)

    async def access_rules(self) -> AccessRules:
        return await self._sharing.rules()

    async def set_access_mode(self, mode: AccessMode) -> None:
        await self._sharing.set_mode(mode)

    async def set_knocks(self, enabled: bool) -> None:
        await self._sharing.set_knocks(enabled)

    async def allow_key(
        self, public_key: str, name: str, *, hours: float | None = None, limits: KeyLimits | None = None
    ) -> None:
        await self._sharing.allow(_hex(public_key), name, hours, limits)

    async def block_key(self, public_key: str, name: str = "") -> None:
        await self._sharing.block(_hex(public_key), name)

    async def remove_key(self, public_key: str) -> None:
        await self._sharing.remove(_hex(public_key))

    async def rename_key(self, public_key: str, name: str) -> None:
        await self._sharing.rename(_hex(public_key), name)

    async def knocks(self) -> tuple[Knock, ...]:
        return self._sharing.knocks()

    async def dismiss_knock(self, public_key: str) -> None:
        self._sharing.dismiss_knock(_hex(public_key))

    async def active_requests(self) -> tuple[ActiveRequest, ...]:
        return self._sharing.active_requests()

    async def stop_request(self, request_id: str) -> None:
        self._sharing.stop_request(request_id)

    async def request_log(self, limit: int = 200, search: str = "") -> tuple[LogEntry, ...]:
        return await self._sharing.log(limit, search)

    async def clear_log(self) -> None:
        await self._sharing.clear_log()
        self._hub.emit(HistoryCleared())

    @property
    def model_options(self) -> ModelOptionsInterface:
        return self.machine

    # --- Chat -----------------------------------------------------------------------------------------------------

    async def providers(self) -> tuple[ProviderEntry, ...]:
        return self._contacts.entries()

    async def add_provider(self, public_key: str, name: str = "") -> ProviderEntry:
        return await self._contacts.add(_hex(public_key), name)

    async def _bring(self, name: str) -> None:
        await self.machine.require(name, "")

    async def _join(self, public_key: str, name: str) -> ProviderEntry:
        """Of a provider that has just let this machine in."""
        await self._contacts.add(public_key, name)
        return await self._contacts.connect(public_key)

    async def rename_provider(self, public_key: str, name: str) -> None:
        await self._contacts.rename(_hex(public_key), name)

    async def remove_provider(self, public_key: str) -> None:
        await self._contacts.remove(_hex(public_key))

    async def connect_provider(self, public_key: str) -> ProviderEntry:
        return await self._contacts.connect(_hex(public_key))

    async def conversations(self) -> tuple[Conversation, ...]:
        return await self._chats.conversations()

    async def messages(self, conversation_id: str) -> tuple[Message, ...]:
        return tuple(self._transcripts.newest(m) for m in await self._chats.messages(conversation_id))

    async def new_conversation(self, target: Target) -> Conversation:
        return await self._chats.new(target)

    async def rename_conversation(self, conversation_id: str, title: str) -> None:
        await self._chats.rename(conversation_id, title)

    async def pin_conversation(self, conversation_id: str, pinned: bool) -> None:
        await self._chats.pin(conversation_id, pinned)

    async def delete_conversation(self, conversation_id: str) -> None:
        await self._transcripts.stop_all_of(conversation_id)
        await self._chats.delete(conversation_id)
        await self._kept_states.chat_deleted()

    async def set_target(self, conversation_id: str, target: Target) -> None:
        await self._chats.set_target(conversation_id, target)

    async def drafts(self) -> dict[str, Draft]:
        return await self._chats.drafts()

    async def keep_draft(self, conversation_id: str, draft: Draft) -> None:
        await self._chats.keep_draft(conversation_id, draft)

    async def ask(self, conversation_id: str, text: str, pictures: Sequence[Path] = ()) -> str:
        return await self._chats.ask(conversation_id, text, pictures)

    def picture_file(self, sha256: str) -> Path:
        return self._chats.picture_file(sha256)

    async def retry(self, conversation_id: str) -> str:
        return await self._chats.retry(conversation_id)

    async def continue_answer_here(self, message_id: str) -> None:
        await self._chats.continue_here(message_id)

    async def stop_answer(self, message_id: str) -> None:
        await self._chats.stop(message_id)

    # --- Speech ---------------------------------------------------------------------------------------------------

    async def speech_models(self) -> tuple[SpeechChoice, ...]:
        return (*self.speech.choices(), *self._contacts.speech_models())

    async def start_dictation(self, dictation_id: str, listener: Target, language: str = "") -> None:
        await self._dictations.start(dictation_id, listener, language)

    async def dictate(self, dictation_id: str, samples: bytes) -> None:
        await self._dictations.write(dictation_id, samples)

    async def end_dictation(self, dictation_id: str) -> None:
        await self._dictations.end(dictation_id)

    async def discard_dictation(self, dictation_id: str) -> None:
        await self._dictations.discard(dictation_id)

    async def start_transcript(self, conversation_id: str, path: Path, listener: Target, language: str = "") -> str:
        return await self._transcripts.start(conversation_id, path, listener, language)

    async def stop_transcript(self, message_id: str) -> None:
        await self._transcripts.stop(message_id)

    async def continue_transcript(self, conversation_id: str, message_id: str) -> None:
        await self._transcripts.go_on(conversation_id, message_id)

    async def _open_live(self, listener: Target, language: str) -> LiveSession:
        return await self.speech.live(LiveOptions(language=language), listener)

    def _transcribe(
        self, path: Path, listener: Target, language: str, *, others: Sequence[Target], start_ms: int, segments: int
    ) -> AsyncGenerator[TranscriptionEvent | TakenOver, None]:
        def listen(
            who: Target, start_ms: int, *, impatient: Callable[[], bool]
        ) -> AsyncGenerator[TranscriptionEvent, None]:
            return self.speech.transcribe(
                AudioFile(path), who, language=language, start_ms=start_ms, impatient=impatient
            )

        listeners = Listeners(
            lambda: (*self.speech.choices(), *self._contacts.speech_models()),
            [other.provider_key for other in others],
            here=self._store.settings.settings.chat.fallback,
            language=language,
        )
        return heard_to_the_end(listener, listen, listeners, start_ms=start_ms, segments=segments)

    async def _who_listens(self, listener: Target) -> AnswerStats:
        key = listener.provider_key
        connection = self.consumer.connection(bytes.fromhex(key)) if key else None
        if not key or key == self.public_key:
            return AnswerStats(THIS_MACHINE, "local", "local", listener.model, 0.0, 0.0, 0, 0)
        entry = next((entry for entry in await self.providers() if entry.public_key == key), None)
        name = entry.name if entry is not None and entry.name else short_key(key)
        path = connection.path if connection is not None else ""
        return AnswerStats(name, "delegated", path, listener.model, 0.0, 0.0, 0, 0, provider_key=key)

    # --- Translation ----------------------------------------------------------------------------------------------

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
        self._translations.start(TranslationWish(translation_id, target, text, to, source, engines_at, tuple(others)))

    async def stop_translation(self, translation_id: str) -> None:
        await self._translations.stop(translation_id)


def _hex(public_key: str) -> str:
    """A key as people write it, as the 64 hex digits everything uses. Raises IdentityError."""
    return parse_public_key(public_key).hex()
