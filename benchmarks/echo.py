"""CPU per SignalR echo on our hub against CPU per plain WebSocket echo on aiohttp."""

import asyncio
from statistics import median

from .load import Server, echo_cpu, serving
from .servers import PLAIN_PATH, SIGNALR_PATH

# The same bytes for both: to the plain echo they are just a text.
_MESSAGE = (
    b'{"type":1,"invocationId":"1","target":"Echo","arguments":["a text of thirty bytes in all."]}'
    b"\x1e"
)
ROUNDS = 7
TOTAL = 24_000


async def _rounds(server: Server, clients: int, depth: int) -> tuple[float, float]:
    """Medians of interleaved rounds: ours, plain."""
    ours, plain = [], []
    for _ in range(ROUNDS):
        ours.append(
            await echo_cpu(
                server, SIGNALR_PATH, _MESSAGE, b"\x1e", clients=clients, depth=depth, total=TOTAL
            )
        )
        plain.append(
            await echo_cpu(
                server, PLAIN_PATH, _MESSAGE, b"\x1e", clients=clients, depth=depth, total=TOTAL
            )
        )
    return median(ours), median(plain)


def measure(clients: int, depth: int) -> tuple[float, float]:
    """CPU µs per echo: ours, plain aiohttp."""
    with serving() as server:
        return asyncio.run(_rounds(server, clients, depth))
