"""``python -m tests.recorded_client NAME…`` runs scenarios, and prints a JSON line for each."""

import asyncio
import json
import sys
from typing import Final

from .playing import outcome

_AT_A_TIME: Final = 8


async def main(names: list[str]) -> None:
    room = asyncio.Semaphore(_AT_A_TIME)

    async def play(name: str) -> None:
        async with room:
            print(json.dumps(await outcome(name)), flush=True)  # noqa: T201

    await asyncio.gather(*map(play, names))


asyncio.run(main(sys.argv[1:]))
