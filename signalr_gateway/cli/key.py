"""``signalr-gateway key new``: makes an API key, and prints what the gateway stores of it."""

from __future__ import annotations

import argparse

from ..access.api_keys import HEADER, key_hash, new_key
from ..config.options import as_toml


async def new_api_key(arguments: argparse.Namespace) -> int:
    """Print a new key, and the table for it; return the exit code. The key is stored nowhere."""
    key = new_key()
    print(
        f"key, shown only now; send it as {HEADER} or as a bearer token:\n\n    {key}\n\n"
        f"for the file of the gateway:\n\n"
        f"[authentication.api_keys.{as_toml(arguments.name)}]\nhash = {as_toml(key_hash(key))}"
    )
    return 0
