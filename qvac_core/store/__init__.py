"""What outlives a run: one SQLite file, the settings, the identity, the folders, the one-instance lock.

docs/architecture.md "On disk".
"""

from typing import TYPE_CHECKING

from qvac_core.lazy import exports

if TYPE_CHECKING:
    from qvac_core.store.access_list import AccessList
    from qvac_core.store.conversations import Conversations, new_id
    from qvac_core.store.database import Database
    from qvac_core.store.folders import DataDir, InstanceLock
    from qvac_core.store.identity import Identity, IdentityStore, SeedSource
    from qvac_core.store.knocks import MAX_KNOCKS, Knocks
    from qvac_core.store.known_nodes import file_of_network, load_known_nodes, prune_networks, save_known_nodes
    from qvac_core.store.providers import Providers
    from qvac_core.store.records import (
        AccessRecord,
        AnswerStats,
        Conversation,
        ErrorInfo,
        Knock,
        KnownProvider,
        LogEntry,
        Message,
        Target,
    )
    from qvac_core.store.request_log import RequestLog
    from qvac_core.store.settings import (
        Admission,
        ChatSettings,
        MannersSettings,
        ModelOptions,
        Settings,
        SharingSettings,
        Theme,
    )
    from qvac_core.store.settings_file import SettingsFile
    from qvac_core.store.store import Store
else:
    __getattr__ = exports(
        __name__,
        {
            "AccessList": "qvac_core.store.access_list",
            "Conversations": "qvac_core.store.conversations",
            "new_id": "qvac_core.store.conversations",
            "Database": "qvac_core.store.database",
            "DataDir": "qvac_core.store.folders",
            "InstanceLock": "qvac_core.store.folders",
            "Identity": "qvac_core.store.identity",
            "IdentityStore": "qvac_core.store.identity",
            "SeedSource": "qvac_core.store.identity",
            "MAX_KNOCKS": "qvac_core.store.knocks",
            "Knocks": "qvac_core.store.knocks",
            "file_of_network": "qvac_core.store.known_nodes",
            "load_known_nodes": "qvac_core.store.known_nodes",
            "prune_networks": "qvac_core.store.known_nodes",
            "save_known_nodes": "qvac_core.store.known_nodes",
            "Providers": "qvac_core.store.providers",
            "AccessRecord": "qvac_core.store.records",
            "AnswerStats": "qvac_core.store.records",
            "Conversation": "qvac_core.store.records",
            "ErrorInfo": "qvac_core.store.records",
            "Knock": "qvac_core.store.records",
            "KnownProvider": "qvac_core.store.records",
            "LogEntry": "qvac_core.store.records",
            "Message": "qvac_core.store.records",
            "Target": "qvac_core.store.records",
            "RequestLog": "qvac_core.store.request_log",
            "Admission": "qvac_core.store.settings",
            "ChatSettings": "qvac_core.store.settings",
            "MannersSettings": "qvac_core.store.settings",
            "ModelOptions": "qvac_core.store.settings",
            "Settings": "qvac_core.store.settings",
            "SharingSettings": "qvac_core.store.settings",
            "Theme": "qvac_core.store.settings",
            "SettingsFile": "qvac_core.store.settings_file",
            "Store": "qvac_core.store.store",
        },
    )

__all__ = [
    "MAX_KNOCKS",
    "AccessList",
    "AccessRecord",
    "Admission",
    "AnswerStats",
    "ChatSettings",
    "Conversation",
    "Conversations",
    "DataDir",
    "Database",
    "ErrorInfo",
    "Identity",
    "IdentityStore",
    "InstanceLock",
    "Knock",
    "Knocks",
    "KnownProvider",
    "LogEntry",
    "MannersSettings",
    "Message",
    "ModelOptions",
    "Providers",
    "RequestLog",
    "SeedSource",
    "Settings",
    "SettingsFile",
    "SharingSettings",
    "Store",
    "Target",
    "Theme",
    "file_of_network",
    "load_known_nodes",
    "new_id",
    "prune_networks",
    "save_known_nodes",
]
