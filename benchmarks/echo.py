"""CPU per SignalR echo on our hub against CPU per plain WebSocket echo on aiohttp."""

import asyncio

from .load import Echoes, Server, connected, serving
from .pairs import Costs, measured
from .servers import PLAIN_PATH, SIGNALR_PATH

# The same bytes for both: to the plain echo they are just a text.
_TEXT = b'"a text of thirty bytes in all."'
_MESSAGE = b'{"type":1,"invocationId":"1","target":"Echo","arguments":[%b]}\x1e' % _TEXT
PAIRS = 30
TOTAL = 12_800
"""Echoes of one round: enough for the few that end it, when less is in flight, not to count."""


async def _cpu(server: Server, connections: list[Echoes], total: int) -> float:
    """The server's CPU in µs per echo."""
    before = await server.get("/cpu")
    async with asyncio.timeout(60):  # one wrong answer, and they would wait for ever
        await asyncio.gather(*(each.run(total // len(connections)) for each in connections))
    return (await server.get("/cpu") - before) / total * 1e6


async def _measure(server: Server, clients: int, depth: int) -> Costs:
    async with (
        connected(server, SIGNALR_PATH, clients, _MESSAGE, _TEXT, depth) as ours,
        connected(server, PLAIN_PATH, clients, _MESSAGE, _TEXT, depth) as plain,
    ):
        return await measured(
            lambda: _cpu(server, ours, TOTAL), lambda: _cpu(server, plain, TOTAL), PAIRS
        )


def measure(clients: int, depth: int) -> Costs:
    """CPU µs per echo: ours, plain aiohttp's."""
    with serving() as server:
        return asyncio.run(_measure(server, clients, depth))
