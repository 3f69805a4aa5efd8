"""A testnet of our own nodes in a process of its own: prints its bootstrap address as JSON, ends when stdin closes."""

from __future__ import annotations

import asyncio
import json
import sys

from qvac_core.hyperdht import create_testnet


async def main() -> None:
    async with await create_testnet(4) as net:
        print(
            json.dumps({"event": "ready", "bootstrap": [f"{host}:{port}" for host, port in net.bootstrap]}), flush=True
        )
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
