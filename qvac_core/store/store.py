"""Everything that one data folder keeps, opened together.

docs/architecture.md "On disk".
"""

from __future__ import annotations

from dataclasses import dataclass

from qvac_core.store.access_list import AccessList
from qvac_core.store.conversations import Conversations
from qvac_core.store.database import Database
from qvac_core.store.disk import sweep_temporaries
from qvac_core.store.downloads import Downloads
from qvac_core.store.folders import DataDir
from qvac_core.store.invites import Invites
from qvac_core.store.knocks import Knocks
from qvac_core.store.model_servers import ModelServers
from qvac_core.store.model_uses import ModelUses
from qvac_core.store.pictures import PictureFiles
from qvac_core.store.providers import Providers
from qvac_core.store.receipts import Receipts
from qvac_core.store.request_history import RequestHistory
from qvac_core.store.request_log import RequestLog
from qvac_core.store.settings_file import SettingsFile
from qvac_core.store.tool_servers import ToolServers


@dataclass(frozen=True, slots=True)
class Store:
    """`notices`: sentences that the user must read once (something broken was set aside)."""

    folder: DataDir
    database: Database
    settings: SettingsFile
    request_log: RequestLog
    history: RequestHistory
    conversations: Conversations
    access_list: AccessList
    knocks: Knocks
    invites: Invites
    providers: Providers
    pictures: PictureFiles
    downloads: Downloads
    model_uses: ModelUses
    tool_servers: ToolServers
    receipts: Receipts
    model_servers: ModelServers
    notices: tuple[str, ...]

    @classmethod
    def open(cls, folder: DataDir, *, now: float) -> Store:
        """Open or make everything in the folder, and end what a crash left unfinished. Raises StoreError."""
        folder.create()
        sweep_temporaries(folder.root, now)
        settings = SettingsFile(folder.settings_file, now=now)
        database = Database.open(folder.database_file, now=now)
        request_log, conversations, receipts = RequestLog(database), Conversations(database), Receipts(database)
        request_log.close_unfinished()
        request_log.prune(now, settings.settings.sharing.log_days, settings.settings.sharing.log_rows)
        receipts.prune(now, settings.settings.sharing.log_days)
        conversations.close_unfinished()
        notices = tuple(notice for notice in (settings.notice, database.notice) if notice is not None)
        return cls(
            folder,
            database,
            settings,
            request_log,
            RequestHistory(database),
            conversations,
            AccessList(database),
            Knocks(database),
            Invites(database),
            Providers(database),
            PictureFiles(folder.pictures_folder),
            Downloads(database),
            ModelUses(database),
            ToolServers(database),
            receipts,
            ModelServers(database),
            notices,
        )

    def close(self) -> None:
        self.database.close()
