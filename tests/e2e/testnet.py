"""A testnet of our own nodes in a process of its own: prints its bootstrap address as JSON, ends when stdin closes.

`python -m tests.e2e.testnet [HOST]`.
"""

from __future__ import annotations

import asyncio
import json
import sys

from qvac_core.hyperdht import create_testnet


async def main(host: str) -> None:
    async with await create_testnet(4, host=host) as net:
        print(
            json.dumps({"event": "ready", "bootstrap": [f"{host}:{port}" for host, port in net.bootstrap]}), flush=True
        )
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"))
