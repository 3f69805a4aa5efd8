"""What a `Core` is started with. Everything left None comes from the data folder or has a default."""

from __future__ import annotations

from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from qvac_core.codec import Address
from qvac_core.late_dataclass import dataclass
from qvac_core.store.settings import ModelOptions, NetworkSettings, entrances

if TYPE_CHECKING:
    from qvac_core.core.model_servers_state import GivenServer
    from qvac_core.core.newer import UpdateSource


@dataclass(frozen=True, slots=True)
class RuleOverride:
    """Who may use the provider in this run, in place of the rules kept in the data folder (keys: 64 hex digits).

    The table of docs/architecture.md "Safe by default": nothing given = nobody.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    allow_all: bool = False
    knock: bool = False

    @property
    def given(self) -> bool:
        return bool(self.allow or self.deny or self.allow_all)


@dataclass(frozen=True, slots=True)
class CoreConfig:
    """data_dir: identity, database, caches, lock. seed: 32 bytes. bootstrap: None = as the settings say.

    port: UDP port wanted, 0 = as the settings say. models: shared in this run, by name or path (None = the switches of
    the library). models_folder: the library, when it is not the data folder's own. answer_tokens: longest answer that a
    guest may ask for; None = as the settings say. go_on: what an earlier run left unfinished, downloads and moves of
    models, goes on.
    """

    data_dir: Path | None = None
    seed: bytes | None = field(default=None, repr=False)
    bootstrap: tuple[Address, ...] | None = None
    port: int = 0
    rules: RuleOverride | None = None
    models: tuple[str, ...] | None = None
    copies: tuple[str, ...] | None = None  # models whose files guests may copy in this run; None = as the settings say
    models_folder: Path | None = None
    answer_tokens: int | None = None
    model_options: ModelOptions = field(default_factory=ModelOptions)  # of all models in this run; 0 = as the settings
    local_network: bool | None = None  # find and be found there without the internet; None = as the settings say
    local_hosts: tuple[str, ...] | None = None  # own addresses whose networks these are; None = all of them
    relays: tuple[bytes, ...] = ()  # public keys of blind relays to go through where no direct path is found
    go_on: bool = False
    can_be_woken: bool = False  # machines of one's own are told how it is woken; False = as the settings say
    wakes_others: bool = False  # it sends the wake-up call for them; False = as the settings say
    servers: tuple[GivenServer, ...] = ()  # whose models are offered in this run, beside those that are kept
    updates: UpdateSource | None = None  # where newer versions are asked for; None = nowhere
    exclusive: bool = True  # hold the one-instance lock of the data folder

    @property
    def host(self) -> str | None:
        """A network that lives on loopback gets sockets on loopback: a test must never talk to the outside."""
        if self.bootstrap and all(host == "localhost" or host.startswith("127.") for host, _port in self.bootstrap):
            return "127.0.0.1"
        return None

    def with_network(self, kept: NetworkSettings) -> CoreConfig:
        """What was not given comes from the settings. A core without any is at the public nodes, with any port."""
        bootstrap = self.bootstrap if self.bootstrap is not None else entrances(kept.bootstrap) or None
        return replace(self, port=self.port or kept.port, bootstrap=bootstrap)
