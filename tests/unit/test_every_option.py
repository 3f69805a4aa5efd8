"""Every option, setting and field with the tests that show what it changes: one that does nothing is a promise broken.

A new one without a line here fails; so does a line whose test went away.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
from functools import cache
from pathlib import Path

import msgspec
import pytest

import qvac_core
from app.cli.options import build_parser, verbs_of
from qvac_core.core.config import CoreConfig, RuleOverride
from qvac_core.delegation.messages import GenerationParams
from qvac_core.delegation.model_config import EmbedConfig, LlmConfig, NmtConfig, WhisperConfig
from qvac_core.store.settings import (
    ChatSettings,
    EngineSettings,
    LibrarySettings,
    MannersSettings,
    NetworkSettings,
    ProgramsSettings,
    RelaySettings,
    Settings,
    SharingSettings,
    SpeechSettings,
)

ROOT = Path(__file__).parents[1]

EFFECTS = "unit/test_option_effects.py"
API = "e2e/test_api.py"
RELAY_OFFER = "e2e/test_relay_offer.py"
COPIES = "e2e/test_copies.py"
TERMINAL = "e2e/test_terminal.py"
TOOLS = "e2e/test_tools_in_terminal.py"
DELEGATION = "e2e/test_delegation.py"
BAD_PROVIDERS = "unit/test_delegation_bad_providers.py"
ANSWERS = "unit/test_delegation_answers.py"
HOSTILE = "unit/test_delegation_hostile.py"
PICTURES = "e2e/test_pictures.py"

TOOLS_BOTH = f"{API}::test_tools_schemas_and_sessions_are_the_same_here_and_at_a_provider"
WIRE = "unit/test_delegation_tools.py"
NETWORK = f"{EFFECTS}::test_where_the_network_is_entered_reaches_the_core"
LOCAL = f"{EFFECTS}::test_the_local_network_can_be_left_alone"
FOLDER = f"{EFFECTS}::test_folder_and_identity_reach_the_core"
SHARED = f"{EFFECTS}::test_who_and_what_a_provider_shares_reaches_the_core"
NODE = "e2e/test_node_verb.py::test_machines_of_it_find_each_other_by_its_nodes"
RELAY_LIMITS = f"{EFFECTS}::test_the_limits_of_a_relay_are_those_of_its_options"
CHAT = f"{EFFECTS}::test_how_a_chat_reaches_its_provider_and_asks"
SAMPLING = f"{EFFECTS}::test_sampling_of_the_load_and_of_the_request_reach_the_engine"
IGNORED = f"{EFFECTS}::test_what_is_the_owners_business_is_part_of_the_id_and_of_nothing_else"
DELEGATE = f"{EFFECTS}::test_a_delegate_of_a_program_is_carried_whole"
CONFIGURED_HERE = f"{API}::test_a_model_configuration_holds_on_this_machine"
PROVIDES = f"{API}::test_a_provider_shares_what_it_was_told_to_whom_and_how_much"
GUEST = f"{API}::test_a_guest_loads_asks_stops_and_gives_back"
STOPPED_HERE = f"{API}::test_answers_of_this_machine_are_stopped_by_request_and_by_model"
JSON_LINES = f"{TERMINAL}::test_every_line_is_a_json_object_with_the_fields_of_the_contract"
PUBLIC_KEY = f"{TERMINAL}::test_the_public_key_is_what_the_provider_sees"
DIAGNOSE = "e2e/test_diagnose.py::test_a_provider_that_is_there"
ALONE = "e2e/test_bad_input.py::test_nobody_answers_at_the_bootstrap_address"
PORT_TAKEN = "e2e/test_bad_input.py::test_a_port_in_use_is_told_and_the_next_one_taken"
QUIET = "e2e/test_unplugged.py::test_switched_off_nothing_is_sent_to_the_port"
BEFORE_VERB = "e2e/test_bad_input.py::test_options_before_the_verb_count"
TWO_FOLDERS = "gui/test_one_window.py::test_two_data_folders_are_two_instances"
RELAYS = "unit/test_cli_relays.py::test_relays_are_taken_over_in_order"
RELAYED = "e2e/test_relay_killed.py::test_an_answer_goes_on_through_the_second_relay"
RELAY_TELLS = "e2e/test_relay.py::test_the_relay_verb_tells_whom_it_joins_and_how_much_passed"
SPEECH = "e2e/test_transcription.py::test_here_and_there_the_words_are_the_same"
TRANSLATORS = "e2e/test_translation_engine.py::test_here_and_there_the_translation_is_the_same"
TRANSLATOR_ERRORS = "e2e/test_translation_engine.py::test_what_goes_wrong_is_told_alike_here_and_there"
SPEECH_ERRORS = "e2e/test_transcription.py::test_what_goes_wrong_is_told_alike_here_and_there"
SPOKEN_LIVE = "e2e/test_transcription.py::test_live_words_here_and_there"
SPEECH_WIRE = "unit/test_delegation_transcriptions.py"
LANGUAGES = "e2e/test_speech_engine.py::test_the_language_is_found_or_given"
TRANSCRIBES = "e2e/test_transcribe_verb.py::test_here_and_by_a_provider"
VERB = "unit/test_cli_transcribe.py"
GOES_ON_HERE = "e2e/test_transcribe_verb.py::test_a_provider_that_is_killed_and_a_machine_that_goes_on"
TRANSCRIBED_HERE = f"{VERB}::test_what_is_asked_of_the_model"
NEEDS_A_KEY = f"{VERB}::test_options_for_a_provider_need_its_key"
EMBEDDED = "e2e/test_embeddings.py::test_here_and_there_the_vectors_are_the_same"
EMBED_CONFIG = "e2e/test_embeddings.py::test_a_configuration_acts_here_as_there"
TRANSLATED = "e2e/test_translation.py::test_here_and_there_the_translation_is_the_same"
TRANSLATE_ERRORS = "e2e/test_translation.py::test_what_goes_wrong_is_told_alike_here_and_there"
EMBED_ERRORS = "e2e/test_embeddings.py::test_what_goes_wrong_is_told_alike_here_and_there"
EMBED_OWNERS = f"{EFFECTS}::test_how_an_embedding_model_is_loaded_is_the_owners_business"
ALLOWED = f"{DELEGATION}::test_an_allowed_guest_gets_a_streamed_answer"
BLOCKED = "e2e/test_hostile_peers.py::test_a_blocked_guests_program_ends_with_a_sentence"
WOKEN = "e2e/test_waking.py::test_who_asks_a_machine_that_sleeps_is_answered_once_it_was_woken"
WAKES = "unit/test_wake_on_lan.py::test_it_is_off_until_its_owner_says_so_and_bounded_then"
WAKES_BY_OPTION = "unit/test_wake_on_lan.py::test_the_options_of_a_provider"
KNOCK = "e2e/test_hostile_peers.py::test_a_knock_is_heard_once_and_opens_nothing"
FALLBACK = f"{DELEGATION}::test_fallback_answers_locally_and_says_so"
FORCED = "e2e/test_core_reach.py::test_a_connect_ends_when_it_is_told_to_and_a_forced_one_asks_the_network"
LIMIT = f"{BAD_PROVIDERS}::test_a_timeout_of_a_delegate_is_the_limit_of_its_connect_also_when_it_joins_a_shorter_one"
REFUSED_FILES = f"{HOSTILE}::test_a_load_of_what_is_not_offered_is_a_reply_without_success"
CARRIED = f"{ANSWERS}::test_the_owners_limits_win_and_the_askers_wishes_are_carried"
KV_SESSION = "unit/test_delegation_kv_sessions.py::test_a_provider_keeps_a_session_only_of_whole_answers"
NO_FALLBACK = "unit/test_core_chats.py::test_without_a_way_on_the_error_stands_under_what_came"
OPTIONS_OF_MODELS = "e2e/test_share_options.py::test_options_of_a_model_hold_for_guests"
MEMORY_CAP = "e2e/test_share_options.py::test_a_memory_cap_is_kept_to_and_told"
MODEL_OPTIONS_OF_A_RUN = "e2e/test_share_options.py::test_options_of_this_run_win"
HOURS = "unit/test_core_manners.py::test_hours_hold_until_they_begin_again"
MANNERS = "unit/test_core_manners.py::test_an_owner_at_work_a_battery_and_another_program"
CONTENTS = "e2e/test_share_contents.py::test_contents_are_kept_of_guests_who_were_told"
SERVERS = "e2e/test_model_servers.py::test_the_command_line"
SERVERS_AWAY = "e2e/test_model_servers.py::test_a_server_away_is_told_and_nothing_falls"
GUESTS = "unit/test_cli_guests.py::test_every_limit_is_set_told_and_lifted"
INVITE = "unit/test_cli_invite.py::test_an_invite_is_made_listed_taken_back_and_forgotten"
INVITED = "e2e/test_invites.py::test_a_link_lets_a_guest_in_and_is_worth_nothing_afterwards"
SPOT_CHECK = "unit/test_spot_check.py::test_the_options_reach_the_check"
RECEIPTS = "unit/test_receipts.py::test_the_command_lists_exports_and_verifies"
CONVERSATIONS = "e2e/test_conversations_verb.py::test_conversations_go_out_and_come_in_whole"
IDENTITY = "e2e/test_identity_verb.py::test_an_identity_is_backed_up_renewed_and_restored"
ENTRANCE = f"{API}::test_who_may_enter_is_what_the_settings_say"
SETTINGS = "unit/test_store_settings.py::test_every_setting_is_read_somewhere"
LOOK = "gui/test_settings_page.py"
KEPT_ENTRANCE = "e2e/test_settings.py::test_port_and_entrance_of_the_settings_hold_from_the_next_start"

MODELS_HERE = "e2e/test_models_verb.py::test_this_machine_and_what_it_could_get"
MODELS_THERE = "e2e/test_models_verb.py::test_what_a_provider_offers_and_to_whom"
MODELS_ACTS = "e2e/test_models_acts.py::test_a_repository_is_searched_fetched_listed_and_removed"
MODELS_NEED_A_KEY = "e2e/test_models_verb.py::test_what_is_for_a_provider_needs_its_key"
REGISTRY = "unit/test_api_registry.py::test_each_filter_narrows_and_capitals_do_not_count"
SAME_ENTRIES = "interop/test_sdk_registry.py::test_the_sdks_own_list_says_the_same"
ENTRIES = ("unit/test_api_registry.py::test_every_model_is_listed_with_where_it_comes_from", SAME_ENTRIES)
TOLD = f"{API}::test_what_is_loaded_is_told_and_forgotten_when_it_is_given_back"

SERVE = "e2e/test_serve.py::test_the_verb_serves_what_its_options_say"
SERVED = "e2e/test_serve_clients.py::test_the_official_python_client"
PROGRAMS = "gui/test_programs_page.py::test_it_is_on_at_the_start_where_its_owner_wants_that"

TEXT_VERBS = "e2e/test_text_verbs.py"
TRANSLATE_VERB = f"{TEXT_VERBS}::test_a_translation_is_the_same_here_and_there_from_everywhere"
TRANSLATE_NAMED = f"{TEXT_VERBS}::test_the_model_and_the_context_are_those_that_were_named"
TRANSLATE_WRONG = f"{TEXT_VERBS}::test_what_is_wrong_with_a_translation_is_one_line"
EMBED_VERB = f"{TEXT_VERBS}::test_vectors_are_the_same_here_and_there"
TEXT_MODELS = f"{TEXT_VERBS}::test_a_model_of_another_kind_is_told"

SHOWN_BY: dict[str, tuple[str, ...]] = {
    # The window
    "--version": (f"{EFFECTS}::test_the_version_is_told",),
    "--data-dir": (FOLDER, BEFORE_VERB, TWO_FOLDERS),
    "--bootstrap": (NETWORK, ALONE),
    "--port": (NETWORK, PORT_TAKEN),
    "--no-local-network": (LOCAL, QUIET),
    "--in-tray": (
        "gui/test_background.py::test_a_start_into_the_tray_never_loses_the_window",
        "gui/test_tray_hosts.py::test_a_start_into_the_tray_shows_no_window",
    ),
    "--quit": ("gui/test_quit_option.py::test_a_second_start_ends_the_first_and_waits_for_it",),
    "--self-test": ("e2e/test_self_test.py::test_every_part_is_tried_and_told",),
    # provider
    "provider --data-dir": (FOLDER, "e2e/test_bad_input.py::test_a_data_folder_in_use"),
    "provider --seed": (FOLDER, ALLOWED),
    "provider --allow": (SHARED, ALLOWED, f"{DELEGATION}::test_who_is_not_allowed_is_refused_with_a_sentence"),
    "provider --deny": (SHARED, BLOCKED),
    "provider --allow-all": (SHARED, DIAGNOSE),
    "provider --knock": (SHARED, KNOCK),
    "provider --model": (SHARED, ALLOWED),
    "provider --allow-copy": (
        *(SHARED, f"{COPIES}::test_the_command_line_and_a_kill_of_either_end"),
        f"{COPIES}::test_only_what_is_shared_may_be_copied",
    ),
    "provider --answer-tokens": (SHARED, PROVIDES),
    "provider --context-tokens": (SHARED, MODEL_OPTIONS_OF_A_RUN),
    "provider --slots": (SHARED, MODEL_OPTIONS_OF_A_RUN),
    "provider --memory-mb": (SHARED, MEMORY_CAP),
    "provider --idle-minutes": (SHARED, "unit/test_engines_pool.py::test_how_long_a_model_idles_is_its_own"),
    "provider --bootstrap": (NETWORK, ALONE),
    "provider --port": (NETWORK, PORT_TAKEN),
    "provider --install-service": (
        "e2e/test_service.py::test_it_is_written_started_and_removed",
        "unit/test_service.py::test_what_was_typed_goes_into_it_with_paths_from_anywhere",
    ),
    "provider --uninstall-service": ("e2e/test_service.py::test_it_is_written_started_and_removed",),
    "provider --wait": ("e2e/test_service.py::test_a_service_begins_when_the_window_has_left_the_folder",),
    "provider --log-file": ("e2e/test_service.py::test_a_provider_prints_into_a_file",),
    "provider --no-local-network": (LOCAL, ALONE),
    "provider --relay-through": (RELAYS, RELAYED),
    "provider --json": (JSON_LINES,),
    # chat
    "chat --data-dir": (FOLDER, PUBLIC_KEY),
    "chat provider_key": (CHAT, ALLOWED),
    "chat --seed": (FOLDER, ALLOWED),
    "chat --model": (f"{DELEGATION}::test_an_unknown_model_is_an_error_that_names_what_is_shared",),
    "chat --local-model": (FALLBACK, f"{EFFECTS}::test_a_local_model_that_would_never_answer_is_an_error"),
    "chat --prompt": (ALLOWED,),
    "chat --picture": (f"{PICTURES}::test_in_the_terminal",),
    "chat --tools": (f"{TOOLS}::test_the_model_of_a_provider_is_offered_the_tools_of_a_file",),
    "chat --allow-tool": (f"{TOOLS}::test_what_nobody_can_be_asked_about_does_not_run_unless_it_is_allowed",),
    "chat --timeout": (CHAT, LIMIT),
    "chat --predict": (CHAT, f"{TERMINAL}::test_an_answer_that_is_cut_says_so"),
    "chat --temp": (CHAT, CONFIGURED_HERE),
    "chat --fallback": (FALLBACK, f"{DELEGATION}::test_without_fallback_an_absent_provider_is_an_error"),
    "chat --force-new-connection": (CHAT, FORCED),
    "chat --bootstrap": (NETWORK, ALONE),
    "chat --port": (NETWORK, PORT_TAKEN),
    "chat --no-local-network": (LOCAL, QUIET),
    "chat --relay-through": (RELAYS, RELAYED),
    "chat --json": (JSON_LINES,),
    # serve
    "serve --data-dir": (SERVE, SERVED),
    "serve --model": (SERVE,),
    "serve --provider": (SERVED,),
    "serve --token": (SERVE, SERVED),
    "serve --new-token": (SERVE,),
    "serve --http-port": (SERVE, SERVED),
    "serve --host": (SERVE,),
    "serve --allow-origin": (SERVE,),
    "serve --seed": (FOLDER,),
    "serve --bootstrap": (NETWORK, SERVED),
    "serve --port": (NETWORK,),
    "serve --no-local-network": (LOCAL,),
    "serve --relay-through": (RELAYS,),
    "serve --json": (SERVE, SERVED),
    # node
    "node --data-dir": (NODE,),
    "node --host": (NODE,),
    "node --bootstrap": (NODE,),
    "node --port": (NODE,),
    "node --json": (NODE,),
    # relay
    "relay --data-dir": (FOLDER,),
    "relay --seed": (FOLDER, RELAY_TELLS),
    "relay --allow": (RELAY_LIMITS, "e2e/test_relay.py::test_a_relay_for_some_keys_only_refuses_the_rest"),
    "relay --rate": (RELAY_LIMITS, "simulation/test_relay.py::test_a_relay_keeps_to_its_rate"),
    "relay --quota": (RELAY_LIMITS, "simulation/test_relay.py::test_a_key_that_has_had_its_bytes_is_cut_off"),
    "relay --bootstrap": (NETWORK, RELAY_TELLS),
    "relay --port": (NETWORK, "e2e/test_relay.py::test_a_relay_listens_where_it_is_told_to"),
    "relay --json": (RELAY_TELLS,),
    # public-key
    "public-key --data-dir": (FOLDER, PUBLIC_KEY),
    "public-key --seed": (FOLDER, PUBLIC_KEY),
    # diagnose
    "diagnose --data-dir": (FOLDER,),
    "diagnose key": (DIAGNOSE,),
    "diagnose --seed": (FOLDER, "e2e/test_diagnose.py::test_silence_is_told_apart_within_two_seconds"),
    "diagnose --bootstrap": (NETWORK, DIAGNOSE),
    "diagnose --port": (NETWORK, PORT_TAKEN),
    "diagnose --no-local-network": (LOCAL, "e2e/test_unplugged.py::test_diagnose_says_that_it_is_on_the_local_network"),
    "diagnose --json": (DIAGNOSE,),
    # demo
    "demo --data-dir": (FOLDER, f"{TERMINAL}::test_the_demo_from_end_to_end"),
    "demo --prompt": (f"{EFFECTS}::test_the_demo_asks_what_it_is_told_to",),
    "demo --json": (f"{TERMINAL}::test_the_demo_from_end_to_end",),
    # models
    "transcribe --data-dir": (TRANSCRIBED_HERE, FOLDER),
    "transcribe file": (TRANSCRIBES, TRANSCRIBED_HERE),
    "transcribe key": (TRANSCRIBES,),
    "transcribe --model": (f"{VERB}::test_which_model_is_taken", TRANSCRIBES),
    "transcribe --language": (TRANSCRIBED_HERE, LANGUAGES),
    "transcribe --prompt": (TRANSCRIBED_HERE,),
    "transcribe --translate": (TRANSCRIBED_HERE, LANGUAGES),
    "transcribe --format": (f"{VERB}::test_the_forms_of_its_output",),
    "transcribe --fallback": (GOES_ON_HERE,),
    "transcribe --timeout": (TRANSCRIBES, NEEDS_A_KEY),
    "transcribe --seed": (TRANSCRIBES, NEEDS_A_KEY),
    "transcribe --bootstrap": (TRANSCRIBES, NETWORK, NEEDS_A_KEY),
    "transcribe --port": (NETWORK,),
    "transcribe --no-local-network": (LOCAL, NEEDS_A_KEY),
    "transcribe --relay-through": (RELAYS,),
    "transcribe --json": (f"{VERB}::test_the_forms_of_its_output", TRANSCRIBES),
    "models --data-dir": (MODELS_HERE, FOLDER),
    "models key": (MODELS_THERE, MODELS_ACTS),
    "models names": (MODELS_ACTS,),
    "models --copy": (f"{COPIES}::test_the_command_line_and_a_kill_of_either_end", MODELS_THERE),
    "models --search": ("e2e/test_models_verb.py::test_words_narrow_the_list", MODELS_THERE),
    "models --timeout": (
        "e2e/test_models_verb.py::test_a_provider_that_is_not_there_is_waited_for_as_long_as_said",
        LIMIT,
    ),
    "models --seed": (MODELS_THERE, MODELS_NEED_A_KEY),
    "models --bootstrap": (MODELS_THERE, NETWORK, MODELS_NEED_A_KEY),
    "models --port": (NETWORK,),
    "models --no-local-network": (LOCAL,),
    "models --relay-through": (RELAYS,),
    "models --json": (MODELS_HERE, MODELS_THERE),
    **{
        f"guests {option}": (GUESTS,)
        for option in (
            *("action", "key", "--data-dir", "--json", "--name", "--tokens-per-day", "--parallel", "--context-tokens"),
            *("--answer-tokens", "--only-model", "--hours", "--until", "--for-good", "--extra-tokens", "--mine"),
            "--not-mine",
        )
    },
    **{
        f"servers {option}": (SERVERS,)
        for option in (*("action", "what", "--data-dir", "--json", "--name", "--server-key-file", "--requests"),)
    },
    "provider --server": (SERVERS, SERVERS_AWAY),
    "provider --can-be-woken": (WAKES_BY_OPTION,),
    "provider --wakes-others": (WAKES_BY_OPTION,),
    "provider --server-key-file": (SERVERS,),
    **{
        f"invite {option}": (INVITE,)
        for option in (
            *("action", "what", "--data-dir", "--json", "--name", "--places", "--until", "--access-days", "--picture"),
            *("--tokens-per-day", "--parallel", "--context-tokens", "--answer-tokens", "--only-model", "--hours"),
            "--seed",
        )
    },
    **{f"invite {option}": (INVITED,) for option in ("--bootstrap", "--port", "--no-local-network")},
    "invite --relay-through": (RELAYS,),
    **{
        f"remote {option}": ("e2e/test_invites.py::test_a_machine_of_ones_own_is_managed_from_afar",)
        for option in (
            *("key", "action", "model", "--minutes", "--data-dir", "--json", "--seed", "--bootstrap", "--port"),
            "--no-local-network",
        )
    },
    "remote --relay-through": (RELAYS,),
    **{
        f"spot-check {option}": (SPOT_CHECK,)
        for option in (
            *("key", "--model", "--with", "--json", "--data-dir", "--seed", "--bootstrap", "--port"),
            *("--no-local-network", "--relay-through"),
        )
    },
    "receipts --data-dir": (RECEIPTS,),
    "receipts action": (RECEIPTS,),
    "receipts file": (RECEIPTS,),
    "receipts --side": (RECEIPTS,),
    "receipts --key": (RECEIPTS,),
    "receipts --yes": (RECEIPTS,),
    "receipts --json": (RECEIPTS,),
    "conversations --data-dir": (CONVERSATIONS,),
    "conversations action": (CONVERSATIONS,),
    "conversations files": (CONVERSATIONS,),
    "conversations --search": (CONVERSATIONS,),
    "conversations --yes": (CONVERSATIONS,),
    "conversations --json": (CONVERSATIONS,),
    "identity --data-dir": (IDENTITY,),
    "identity action": (IDENTITY,),
    "identity file": (IDENTITY,),
    "identity --yes": (IDENTITY, "e2e/test_identity_verb.py::test_nothing_is_done_that_nobody_said_yes_to"),
    "identity --json": (IDENTITY,),
    # translate
    "translate --data-dir": (FOLDER, TRANSLATE_VERB),
    "translate text": (TRANSLATE_VERB,),
    "translate key": (TRANSLATE_VERB,),
    "translate --to": (TRANSLATE_VERB,),
    "translate --from": (TRANSLATE_VERB,),
    "translate --file": (TRANSLATE_VERB, f"{TEXT_VERBS}::test_what_is_no_text_is_told"),
    "translate --context": (TRANSLATE_NAMED,),
    "translate --model": (TRANSLATE_NAMED, TEXT_MODELS),
    "translate --timeout": (LIMIT, TRANSLATE_WRONG),
    "translate --seed": (FOLDER, TRANSLATE_VERB, TRANSLATE_WRONG),
    "translate --bootstrap": (NETWORK, TRANSLATE_VERB),
    "translate --port": (NETWORK,),
    "translate --no-local-network": (LOCAL,),
    "translate --relay-through": (RELAYS,),
    "translate --json": (TRANSLATE_VERB,),
    # embed
    "embed --data-dir": (FOLDER, EMBED_VERB),
    "embed text": (EMBED_VERB,),
    "embed --model": (TEXT_MODELS,),
    "embed --timeout": (LIMIT, f"{TEXT_VERBS}::test_what_is_wrong_with_texts_is_one_line"),
    "embed --seed": (FOLDER, EMBED_VERB),
    "embed --bootstrap": (NETWORK, EMBED_VERB),
    "embed --port": (NETWORK,),
    "embed --no-local-network": (LOCAL,),
    "embed --relay-through": (RELAYS,),
    "embed --json": (EMBED_VERB,),
    # What a core is started with
    "CoreConfig.data_dir": (PUBLIC_KEY, TWO_FOLDERS),
    "CoreConfig.seed": (PUBLIC_KEY, f"{API}::test_a_folder_is_held_by_one_core_unless_it_is_told_not_to"),
    "CoreConfig.bootstrap": (ALONE, PROVIDES),
    "CoreConfig.port": (PORT_TAKEN,),
    "CoreConfig.rules": (PROVIDES,),
    "CoreConfig.models": (PROVIDES,),
    "CoreConfig.servers": (SERVERS, SERVERS_AWAY),
    "CoreConfig.can_be_woken": (WOKEN,),
    "CoreConfig.wakes_others": (WAKES_BY_OPTION,),
    "CoreConfig.copies": (SHARED,),
    "CoreConfig.models_folder": (f"{API}::test_a_core_takes_its_models_from_another_folder",),
    "CoreConfig.answer_tokens": (PROVIDES,),
    "CoreConfig.model_options": (MODEL_OPTIONS_OF_A_RUN,),
    "CoreConfig.local_network": (QUIET,),
    "CoreConfig.local_hosts": ("e2e/test_local_network.py::test_whole_cores_meet_without_any_network_and_say_where",),
    "CoreConfig.relays": (f"{API}::test_a_core_connects_through_its_relays", RELAYED),
    "CoreConfig.go_on": ("e2e/test_library_downloads.py::test_a_restart_goes_on_and_what_was_paused_stays_so",),
    "CoreConfig.updates": ("unit/test_core_newer.py::test_a_core_that_knows_where_asks_and_tells",),
    "CoreConfig.exclusive": (f"{API}::test_a_folder_is_held_by_one_core_unless_it_is_told_not_to",),
    "RuleOverride.allow": (PROVIDES, ALLOWED),
    "RuleOverride.deny": (PROVIDES, BLOCKED),
    "RuleOverride.allow_all": (DIAGNOSE,),
    "RuleOverride.knock": (KNOCK,),
    # The functions for programs
    "configure(config)": (PROVIDES,),
    "get_consumer_public_key(seed)": ("e2e/test_examples.py::test_provider_and_consumer_scripts", PROVIDES),
    "start_qvac_provider(firewall)": (PROVIDES, f"{API}::test_a_firewall_of_an_unknown_mode_lets_nobody_in"),
    "start_qvac_provider(models)": (PROVIDES,),
    "start_qvac_provider(answer_tokens)": (PROVIDES,),
    "load_model(model_src)": (GUEST, CONFIGURED_HERE),
    "load_model(delegate)": (GUEST,),
    "load_model(model_type)": (EMBEDDED, EMBED_ERRORS),
    "transcribe(model_id)": (SPEECH,),
    "transcribe(audio_chunk)": (SPEECH, SPEECH_ERRORS),
    "transcribe(prompt)": (SPEECH,),
    "transcribe(metadata)": (SPEECH,),
    "transcribe(on_progress)": (SPEECH,),
    "transcribe(request_id)": (SPEECH_ERRORS,),
    "transcribe_stream(model_id)": (SPOKEN_LIVE, SPEECH_ERRORS),
    "transcribe_stream(prompt)": (f"{SPEECH_WIRE}::test_live_speech_in_the_sdks_form",),
    "transcribe_stream(end_of_turn_silence_ms)": (SPOKEN_LIVE,),
    "transcribe_stream(vad_run_interval_ms)": (SPOKEN_LIVE,),
    "transcribe_stream(request_id)": (SPOKEN_LIVE,),
    "nmtConfig.engine": (TRANSLATORS,),
    "nmtConfig.from": (TRANSLATORS, TRANSLATOR_ERRORS),
    "nmtConfig.to": (TRANSLATORS, TRANSLATOR_ERRORS),
    "nmtConfig.mode": (TRANSLATORS,),
    "nmtConfig.srcVocabSrc": (TRANSLATORS, TRANSLATOR_ERRORS),
    "nmtConfig.dstVocabSrc": (TRANSLATORS, TRANSLATOR_ERRORS),
    "nmtConfig.pivotModel": (TRANSLATORS, TRANSLATOR_ERRORS),
    "whisperConfig.language": (SPEECH_ERRORS, LANGUAGES),
    "whisperConfig.translate": (f"{SPEECH_WIRE}::test_what_a_model_was_loaded_with_reaches_the_engine", LANGUAGES),
    "whisperConfig.initial_prompt": (f"{SPEECH_WIRE}::test_what_a_model_was_loaded_with_reaches_the_engine",),
    "whisperConfig.audio_format": (SPEECH, SPEECH_ERRORS),
    "embed(model_id)": (EMBEDDED,),
    "embed(text)": (EMBEDDED, EMBED_ERRORS),
    "embed(request_id)": (EMBED_ERRORS,),
    **{f"translate({name})": (TRANSLATED,) for name in ("model_id", "text", "stream")},
    **{
        f"translate({name})": (TRANSLATED, "unit/test_engines_translation.py::test_the_model_hears_names_and_context")
        for name in ("to", "from_", "context")
    },
    **{f"translate({name})": (TRANSLATE_ERRORS,) for name in ("model_type", "request_id")},
    **{
        f"embedConfig.{name}": (EMBED_OWNERS,)
        for name in (
            *("gpuLayers", "device", "batchSize", "flashAttention", "mainGpu", "splitMode", "tensorSplit"),
            *("verbosity", "openclCacheDir"),
        )
    },
    "embedConfig.pooling": (EMBED_CONFIG, EMBED_ERRORS),
    "embedConfig.embdNormalize": (EMBED_CONFIG,),
    "embedConfig.attention": (EMBED_ERRORS,),
    "load_model(model_config)": (CONFIGURED_HERE, GUEST, f"{API}::test_what_nobody_would_act_on_is_an_error"),
    "load_model(on_progress)": (CONFIGURED_HERE, f"{ANSWERS}::test_load_with_progress_then_an_answer_with_statistics"),
    "heartbeat(delegate)": (GUEST,),
    "completion(model_id)": (GUEST,),
    "completion(history)": (GUEST, f"{API}::test_what_nobody_would_act_on_is_an_error"),
    "completion(generation_params)": (CONFIGURED_HERE, GUEST),
    "completion(capture_thinking)": (
        f"{API}::test_thinking_comes_apart_on_this_machine_where_it_is_asked_for",
        f"{ANSWERS}::test_thinking_is_told_apart_when_asked_for",
    ),
    "completion(tools)": (TOOLS_BOTH, f"{API}::test_what_nobody_would_act_on_is_an_error"),
    "completion(tool_choice)": (TOOLS_BOTH, f"{WIRE}::test_what_a_program_gives_is_read_or_refused"),
    "completion(parallel_tool_calls)": (
        "unit/test_engines_tools.py::test_several_calls_in_one_answer",
        f"{WIRE}::test_all_that_is_said_of_tools_reaches_the_engine",
    ),
    "completion(tool_dialect)": (
        "unit/test_engines_tools.py::test_a_dialect_may_be_named_where_the_template_does_not_tell",
        f"{WIRE}::test_all_that_is_said_of_tools_reaches_the_engine",
    ),
    "completion(response_format)": (TOOLS_BOTH,),
    "completion(kv_cache)": (TOOLS_BOTH,),
    "completion(request_id)": (STOPPED_HERE, GUEST),
    "cancel(request_id)": (STOPPED_HERE, GUEST),
    "cancel(model_id)": (STOPPED_HERE, GUEST),
    "unload_model(model_id)": (CONFIGURED_HERE, GUEST),
    "get_loaded_model_info(model_id)": (TOLD, GUEST),
    **{
        f"LoadedModelInfo.{name}": (TOLD,)
        for name in (
            *("model_id", "is_delegated", "handlers", "model_type", "display_name", "addon_package", "loaded_at"),
            *("name", "path"),
        )
    },
    "LoadedModelInfo.provider_public_key": (GUEST,),
    **{
        f"model_registry_search({name})": (REGISTRY,)
        for name in ("filter", "engine", "quantization", "model_type", "addon")
    },
    **{
        f"model_registry_get_model({name})": ("unit/test_api_registry.py::test_one_by_its_path_and_source",)
        for name in ("registry_path", "registry_source")
    },
    **{
        f"ModelRegistryEntry.{name}": ENTRIES
        for name in (
            *("name", "registry_path", "registry_source", "model_id", "addon", "expected_size", "sha256_checksum"),
            *("engine", "quantization", "params", "constant"),
        )
    },
    "Delegate.provider_public_key": (DELEGATE, GUEST),
    "Delegate.timeout": (DELEGATE, LIMIT),
    "Delegate.fallback_to_local": (
        DELEGATE,
        GUEST,
        f"{BAD_PROVIDERS}::test_local_fallback_acts_where_the_load_throws_and_not_where_it_is_refused",
    ),
    "Delegate.force_new_connection": (
        *(DELEGATE, FORCED, "unit/test_delegation_door.py::test_force_new_connection_and_the_probe"),
    ),
    "Delegate.health_check_timeout": (
        *(DELEGATE, f"{BAD_PROVIDERS}::test_a_kept_connection_is_probed_for_as_long_as_its_delegate_says"),
    ),
    "Firewall.mode": (PROVIDES, f"{API}::test_a_firewall_of_an_unknown_mode_lets_nobody_in"),
    "Firewall.public_keys": (PROVIDES,),
    "Provided.public_key": (PROVIDES,),
    # What a consumer says when it loads a model
    **{f"modelConfig.{name}": (SAMPLING, CONFIGURED_HERE) for name in ("temp", "predict")},
    **{
        f"modelConfig.{name}": (SAMPLING,)
        for name in ("top_p", "top_k", "seed", "repeat_penalty", "frequency_penalty", "presence_penalty")
    },
    "modelConfig.stop_sequences": (
        CONFIGURED_HERE,
        f"{ANSWERS}::test_the_owners_limits_win_and_the_askers_wishes_are_carried",
    ),
    "modelConfig.system_prompt": (
        "unit/test_delegation_kv_sessions.py::test_a_provider_keeps_a_session_only_of_whole_answers",
    ),
    "modelConfig.reasoning_budget": (f"{ANSWERS}::test_a_reasoning_budget_of_0_switches_thinking_off",),
    "modelConfig.lora": (REFUSED_FILES,),
    "modelConfig.projectionModelSrc": (
        REFUSED_FILES,
        f"{PICTURES}::test_a_vision_part_may_be_named",
        f"{PICTURES}::test_a_guest_names_the_vision_part_that_the_model_has",
    ),
    "modelConfig.tools": (f"{HOSTILE}::test_what_is_ignored_or_refused_in_a_completion", TOOLS_BOTH),
    **{f"modelConfig.{name}": (CONFIGURED_HERE, IGNORED) for name in ("ctx_size", "gpu_layers", "device", "parallel")},
    **{
        f"modelConfig.{name}": (IGNORED,)
        for name in (
            *("no_mmap", "verbosity", "n_discarded", "cache-type-k", "cache-type-v", "main-gpu", "split-mode"),
            *("tensor-split", "openclCacheDir", "toolsMode", "image_tile_mode", "mmproj-use-gpu"),
        )
    },
    # … and for one answer
    **{
        f"generationParams.{name}": (SAMPLING,)
        for name in (
            *("temp", "top_p", "top_k", "seed", "predict"),
            *("repeat_penalty", "frequency_penalty", "presence_penalty"),
        )
    },
    "generationParams.reasoning_budget": (
        f"{ANSWERS}::test_a_reasoning_budget_of_0_switches_thinking_off",
        f"{EFFECTS}::test_a_budget_of_0_ends_thinking_on_this_machine_too",
    ),
    "generationParams.remove_thinking_from_context": (f"{EFFECTS}::test_earlier_thinking_is_left_to_the_template",),
    # The settings
    "settings.share_at_start": (
        "gui/test_background.py::test_sharing_begins_with_the_program_if_its_owner_wants_that",
    ),
    "settings.programs.at_start": (SETTINGS, PROGRAMS),
    "settings.programs.port": (SETTINGS, "e2e/test_serve.py::test_a_port_that_is_taken_is_told_with_another_one"),
    "settings.programs.origins": (SETTINGS, "unit/test_endpoint_guard.py::test_pages_that_were_named_may_call"),
    "settings.close_to_tray": ("gui/test_background.py::test_unless_it_is_to_stay_in_the_tray",),
    "settings.tell_of_updates": ("unit/test_core_newer.py::test_switched_off_it_asks_nobody_and_switched_on_it_does",),
    "settings.keep_awake": ("unit/test_core_awake.py::test_awake_while_a_guest_is_served_and_no_longer",),
    "settings.keep_awake_on_battery": ("unit/test_core_awake.py::test_on_battery_only_if_the_owner_says_so",),
    "settings.theme": (SETTINGS, "gui/test_theme_tokens.py::test_a_choice_changes_palette_and_icons"),
    "settings.language": ("gui/test_settings_page.py::test_the_language_waits_for_a_start",),
    "settings.text_size": (SETTINGS, f"{LOOK}::test_the_look_changes_live"),
    "settings.contrast": (SETTINGS, f"{LOOK}::test_the_look_changes_live"),
    "settings.code_font": (SETTINGS, f"{LOOK}::test_the_code_font_is_chosen"),
    "settings.chat.keep_states": (
        SETTINGS,
        "e2e/test_engine_kept_chats.py::test_a_guests_chat_only_where_the_owner_says_so",
    ),
    "settings.chat.send_key": (SETTINGS, f"{LOOK}::test_the_key_that_sends_is_chosen"),
    "settings.network.port": (SETTINGS, KEPT_ENTRANCE),
    "settings.network.bootstrap": (SETTINGS, KEPT_ENTRANCE),
    "settings.network.can_be_woken": (WOKEN, WAKES),
    "settings.network.wakes_others": (WOKEN, WAKES),
    "settings.speech.model": (SETTINGS, "e2e/test_settings.py::test_the_preferred_speech_model_is_told"),
    "settings.speech.microphone": (SETTINGS, "gui/test_settings_page.py::test_the_microphone_is_chosen"),
    **{
        f"settings.engine.{name}": (SETTINGS, "e2e/test_settings.py::test_the_engine_is_told_how_to_load")
        for name in ("device", "gpu_layers", "threads")
    },
    "settings.tab": (SETTINGS, "gui/test_share_window.py::test_the_tab_and_place_come_back"),
    "settings.reduced_motion": (SETTINGS, "gui/test_window_look.py::test_less_motion_can_be_asked_for"),
    "settings.local_network": (SETTINGS, "e2e/test_local_network.py::test_the_setting_switches_it_off"),
    "settings.relay.on": (f"{RELAY_OFFER}::test_it_begins_again_with_the_program_and_goes_on_counting_the_day",),
    "settings.relay.who": (f"{RELAY_OFFER}::test_people_i_allow_go_through_it_and_nobody_else",),
    "settings.relay.mb_per_second": (f"{RELAY_OFFER}::test_people_i_allow_go_through_it_and_nobody_else",),
    "settings.relay.gb_per_day": (f"{RELAY_OFFER}::test_a_day_that_is_used_up_ends_what_it_forwards",),
    "settings.sharing.admission": (SETTINGS, ENTRANCE),
    "settings.sharing.knocks": (SETTINGS, ENTRANCE),
    "settings.sharing.models": (SETTINGS, "e2e/test_core.py::test_everybody_except_and_not_shared_models"),
    "settings.sharing.copies": (f"{COPIES}::test_what_is_not_to_be_copied_is_refused_all_alike",),
    "settings.sharing.log_days": (SETTINGS, "unit/test_store_folders.py::test_log_is_pruned_by_the_setting"),
    "settings.sharing.answer_tokens": (SETTINGS, PROVIDES),
    "settings.sharing.tokens_per_day": (
        SETTINGS,
        "unit/test_delegation_limits.py::test_what_all_guests_together_may_use_ends_for_each",
    ),
    "settings.sharing.context_tokens": (SETTINGS, OPTIONS_OF_MODELS),
    "settings.sharing.slots": (SETTINGS, OPTIONS_OF_MODELS),
    "settings.sharing.memory_mb": (SETTINGS, MEMORY_CAP),
    "settings.sharing.idle_minutes": (SETTINGS, "unit/test_engines_pool.py::test_how_long_a_model_idles_is_its_own"),
    "settings.sharing.per_model": (OPTIONS_OF_MODELS,),
    "settings.sharing.log_rows": (SETTINGS, "unit/test_store_request_log.py::test_only_so_many_rows_are_kept"),
    "settings.sharing.keep_contents": (SETTINGS, CONTENTS),
    **{f"settings.manners.{name}": (SETTINGS, HOURS) for name in ("hours", "hours_from", "hours_to", "hours_days")},
    **{
        f"settings.manners.{name}": (SETTINGS, MANNERS)
        for name in ("while_active", "active_minutes", "other_gpu", "other_gpu_mb", "on_battery", "cut_running")
    },
    "settings.machine_name": (SETTINGS, CONTENTS),
    "settings.chat.fallback": (
        SETTINGS,
        "unit/test_core_chats.py::test_without_a_way_on_the_error_stands_under_what_came",
    ),
    "settings.chat.first_asked": (
        SETTINGS,
        "unit/test_core_chats.py::test_who_is_asked_first_is_a_setting",
        "e2e/test_first_asked.py::test_a_line_at_the_first_one_sends_a_question_to_the_other_that_has_the_model",
    ),
    "settings.chat.hedge": (
        SETTINGS,
        "unit/test_core_hedging.py::test_who_begins_first_answers_and_the_other_one_is_left",
    ),
    "settings.chat.local_model": (SETTINGS, f"{API}::test_the_chosen_model_of_this_machine_answers"),
    "settings.chat.tool_seconds": ("unit/test_core_tools.py::test_how_long_a_tool_may_be_silent_is_a_setting",),
    "settings.chat.answer_tokens": (
        *(SETTINGS, "e2e/test_core.py::test_an_answer_is_as_long_as_its_guest_wants_and_says_when_it_was_cut"),
    ),
    "settings.library.folder": ("e2e/test_library_folder.py::test_the_models_move_and_are_used_there",),
    "settings.library.downloads_at_once": (
        "e2e/test_library_downloads.py::test_at_most_so_many_at_once_and_the_others_in_their_order",
    ),
    "settings.network.relays": (
        SETTINGS,
        "e2e/test_core_reach.py::test_relays_are_kept_and_reach_the_open_server",
        "e2e/test_diagnose.py::test_it_goes_through_the_relays_that_the_app_goes_through",
    ),
}


def command_line() -> list[str]:
    parser = build_parser()
    parsers: dict[str, argparse.ArgumentParser] = {"": parser, **verbs_of(parser)}
    return [
        f"{verb} {(action.option_strings or [action.dest])[-1]}".strip()
        for verb, each in parsers.items()
        for action in each._actions
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    ]


def functions() -> list[str]:
    """Of what a program imports: parameters of functions, fields of values. An `Answer` is made by `completion`."""
    names = []
    for name in qvac_core.__all__:
        thing = getattr(qvac_core, name)
        if inspect.isfunction(thing):
            names += [f"{name}({parameter})" for parameter in inspect.signature(thing).parameters]
        elif dataclasses.is_dataclass(thing):
            names += [f"{name}.{item.name}" for item in dataclasses.fields(thing)]
        else:
            assert name in ("Answer", "Translation")
    return names


def everything() -> list[str]:
    return [
        *command_line(),
        *(f"{kind.__name__}.{item.name}" for kind in (CoreConfig, RuleOverride) for item in dataclasses.fields(kind)),
        *functions(),
        *(f"modelConfig.{item.encode_name}" for item in msgspec.structs.fields(LlmConfig)),
        *(f"whisperConfig.{item.encode_name}" for item in msgspec.structs.fields(WhisperConfig)),
        *(f"nmtConfig.{item.encode_name}" for item in msgspec.structs.fields(NmtConfig)),
        *(f"embedConfig.{item.encode_name}" for item in msgspec.structs.fields(EmbedConfig)),
        *(f"generationParams.{item.encode_name}" for item in msgspec.structs.fields(GenerationParams)),
        *(f"settings.{item.name}" for item in dataclasses.fields(Settings) if item.name not in SECTIONS),
        *(f"settings.{name}.{item.name}" for name, kind in SECTIONS.items() for item in dataclasses.fields(kind)),
    ]


SECTIONS = {
    "sharing": SharingSettings,
    "manners": MannersSettings,
    "chat": ChatSettings,
    "network": NetworkSettings,
    "relay": RelaySettings,
    "programs": ProgramsSettings,
    "library": LibrarySettings,
    "speech": SpeechSettings,
    "engine": EngineSettings,
}


@cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_each_has_a_test_that_shows_what_it_changes() -> None:
    assert sorted(everything()) == sorted(SHOWN_BY)


@pytest.mark.parametrize("test", sorted({test for shown in SHOWN_BY.values() for test in shown}))
def test_the_tests_are_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert name in names_in(file)
