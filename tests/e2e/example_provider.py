"""The provider of the SDK's delegation page, in Python: share a model with one key until Ctrl-C.

    python example_provider.py SEED_HEX64 ALLOWED_KEY MODEL [HOST:PORT]

The last argument enters a private network there; without it, the public one.
"""

import asyncio
import contextlib
import sys

from qvac_core import Firewall, close, configure, start_qvac_provider
from qvac_core.core import CoreConfig


async def main(seed: str, allowed_key: str, model: str, bootstrap: str = "") -> None:
    host, _, port = bootstrap.rpartition(":")
    configure(CoreConfig(seed=bytes.fromhex(seed), bootstrap=((host, int(port)),) if host else None))
    try:
        provided = await start_qvac_provider(Firewall("allow", [allowed_key]), models=[model])
        print(f"Provider public key: {provided.public_key}", flush=True)
        await asyncio.Event().wait()
    finally:
        await close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
