"""CPU time of a server per call of an ``async def`` method that returns its argument.

The argument has 45 bytes of JSON. One connection has 64 calls in flight, or 100 connections have
one or 16 calls in flight each. A client sends each call in its own WebSocket message, or all calls
that it sends at one time in one message ("joined").
"""

from collections.abc import Mapping

from . import load
from .processes import Server
from .rounds import Row, interleaved

SECONDS = 0.25

CASES: dict[str, tuple[int, int, bool]] = {
    "1×64": (1, 64, False),
    "1×64, joined": (1, 64, True),
    "100×1": (100, 1, False),
    "100×16": (100, 16, False),
    "100×16, joined": (100, 16, True),
}
"""The number of connections, the calls in flight on each, and whether the calls are joined."""


def measure(servers: Mapping[str, Server], case: str, rounds: int) -> list[Row]:
    """Return the CPU time per call of one case, in seconds."""
    connections, depth, joined = CASES[case]

    def cost(server: Server) -> dict[str, float]:
        return {case: load.echo(server, connections, depth, joined, SECONDS)}

    return interleaved(servers, cost, rounds)
