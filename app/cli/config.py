"""From a verb's options to the core's configuration."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qvac_core.core.config import CoreConfig, RuleOverride
from qvac_core.core.model_options import ModelOptions
from qvac_core.errors import LocalProtocolError

if TYPE_CHECKING:
    from qvac_core.core.model_servers_state import GivenServer


def core_config(options: argparse.Namespace) -> CoreConfig:
    """Options that a verb does not have count as not given."""
    bootstrap = getattr(options, "bootstrap", None)
    return CoreConfig(
        data_dir=getattr(options, "data_dir", None),
        seed=getattr(options, "seed", None),
        bootstrap=tuple(bootstrap) if bootstrap else None,
        port=getattr(options, "port", None) or 0,
        rules=_rules(options),
        local_network=False if getattr(options, "no_local_network", False) else None,
        answer_tokens=getattr(options, "answer_tokens", None),
        model_options=_model_options(options),
        relays=tuple(getattr(options, "relay_through", None) or ()),
        go_on=getattr(options, "verb", None) in (None, "provider"),
        copies=tuple(getattr(options, "allow_copy", None) or ()) or None,
        servers=_servers(options),
        can_be_woken=getattr(options, "can_be_woken", False),
        wakes_others=getattr(options, "wakes_others", False),
        models=tuple(options.model) if getattr(options, "verb", "") == "provider" and options.model else None,
    )


def _servers(options: argparse.Namespace) -> tuple[GivenServer, ...]:
    if not (addresses := getattr(options, "server", None) or ()):
        return ()
    from qvac_core.core.model_servers_state import GivenServer  # no window needs it

    file = getattr(options, "server_key_file", None)
    if file is not None and len(addresses) > 1:
        raise LocalProtocolError(
            "--server-key-file is for one --server. Keep servers with keys by `qvac-desktop servers add`.",
            name="INVALID_OPTION",
        )
    key = server_key(file) if file is not None else ""
    return tuple(GivenServer(address, key) for address in addresses)


def server_key(file: Path) -> str:
    """The key in a file; "-" is standard input. Raises LocalProtocolError."""
    try:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise LocalProtocolError(f"The key in {file} cannot be read: {reason}.", name="INVALID_OPTION") from None
    from qvac_core.store.server_keys import checked_key  # no window needs it

    if not (key := checked_key(text)):
        raise LocalProtocolError(f"There is no key in {file}.", name="INVALID_OPTION")
    return key


def _model_options(options: argparse.Namespace) -> ModelOptions:
    names = ("context_tokens", "slots", "memory_mb", "idle_minutes")
    return ModelOptions(**{name: getattr(options, name, None) or 0 for name in names})


def _rules(options: argparse.Namespace) -> RuleOverride | None:
    if getattr(options, "verb", "") != "provider":
        return None
    rules = RuleOverride(
        allow=tuple(key.hex() for key in options.allow),
        deny=tuple(key.hex() for key in options.deny),
        allow_all=options.allow_all,
        knock=options.knock,
    )
    return rules if rules.given or rules.knock else None
