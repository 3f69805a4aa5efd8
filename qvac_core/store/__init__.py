"""What outlives a run: one SQLite file, the settings, the identity, the folders, the one-instance lock.

ARCHITECTURE.md "On disk".
"""

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
