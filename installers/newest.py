"""Makes and signs the small file that says which version is the newest. For whoever releases.

    python installers/newest.py key KEYFILE                        a new Ed25519 key; prints the public half
    python installers/newest.py sign KEYFILE --version 0.2.0 --number 12 --page https://… > newest.json

The number must grow with every file: programs refuse one that is smaller than any they have seen. The public half goes
into the packages by `build.py --updates ADDRESS --updates-key HEX`.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nacl.signing import SigningKey

VALID_DAYS = 180


def signed(key: SigningKey, *, version: str, number: int, page: str, expires: datetime, **changes: object) -> bytes:
    """The file. changes: other fields of what is signed, for tests."""
    said = {"product": "qvac-desktop", "version": version, "number": number, "page": page}
    payload = json.dumps(said | {"expires": expires.isoformat()} | changes, sort_keys=True, default=str).encode()
    outer = {
        "payload": base64.b64encode(payload).decode(),
        "signature": base64.b64encode(key.sign(payload).signature).decode(),
    }
    return json.dumps(outer, indent=1).encode() + b"\n"


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    parser.add_argument("act", choices=("key", "sign"))
    parser.add_argument("file", type=Path, metavar="KEYFILE")
    parser.add_argument("--version")
    parser.add_argument("--number", type=int)
    parser.add_argument("--page")
    options = parser.parse_args()
    if options.act == "key":
        key = SigningKey.generate()
        with os.fdopen(os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(bytes(key).hex() + "\n")
        print(bytes(key.verify_key).hex())
        return 0
    if not (options.version and options.number and options.page):
        parser.error("sign needs --version, --number and --page")
    key = SigningKey(bytes.fromhex(options.file.read_text().strip()))
    expires = datetime.now(UTC) + timedelta(days=VALID_DAYS)
    sys.stdout.buffer.write(
        signed(key, version=options.version, number=options.number, page=options.page, expires=expires)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
