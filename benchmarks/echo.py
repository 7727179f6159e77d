"""CPU time of a server per call of an ``async def`` method that returns its argument.

The argument has 45 bytes of JSON. In flight are 64 calls of one connection, or one call of each of
100 connections, or 16 of each. A client sends each call in a WebSocket message of its own, or joins
in one message all that it sends at a time.
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
"""Connections, calls in flight on each, and whether they are joined."""


def measure(servers: Mapping[str, Server], case: str, rounds: int) -> list[Row]:
    """Return the seconds of CPU per call of one case."""
    connections, depth, joined = CASES[case]

    def cost(server: Server) -> dict[str, float]:
        return {case: load.echo(server, connections, depth, joined, SECONDS)}

    return interleaved(servers, cost, rounds)
