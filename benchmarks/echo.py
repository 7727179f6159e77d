"""CPU per SignalR echo on our hub against CPU per plain WebSocket echo on aiohttp."""

import asyncio
import functools

from .load import Server, connected, serving
from .pairs import Costs, measured
from .servers import PLAIN_PATH, SIGNALR_PATH

# The same bytes for both: to the plain echo they are just a text.
_TEXT = b'"a text of thirty bytes in all."'
_MESSAGE = b'{"type":1,"invocationId":"1","target":"Echo","arguments":[%b]}\x1e' % _TEXT
_END = b"\x1e"  # occurs once in each reply
PAIRS = 20
TOTAL = 24_000


async def _cpu(server: Server, path: str, clients: int, depth: int) -> float:
    """The server's CPU in µs per echo, over new connections."""
    async with (
        connected(server, path, clients, _MESSAGE, _END, depth) as connections,
        asyncio.timeout(60),
    ):
        for connection in connections:  # all others are only counted
            reply = await connection.run(1)
            if _TEXT not in reply:
                raise ValueError(f"no echo: {reply!r}")
        before = await server.get("/cpu")
        await asyncio.gather(*(each.run(TOTAL // clients) for each in connections))
        return (await server.get("/cpu") - before) / TOTAL * 1e6


def measure(clients: int, depth: int) -> Costs:
    """CPU µs per echo: ours, plain aiohttp's."""
    with serving() as server:
        ours, plain = (
            functools.partial(_cpu, server, path, clients, depth)
            for path in (SIGNALR_PATH, PLAIN_PATH)
        )
        return asyncio.run(measured(ours, plain, PAIRS))
