"""CPU time of a server per stream item of 45 bytes of JSON, in either direction.

Each connection has one stream at a time. A client sends each of its items in a WebSocket message of
its own.
"""

from collections.abc import Mapping

from . import load
from .processes import Server
from .rounds import Row, interleaved

ITEMS = 8000
CASES: dict[str, tuple[str, int]] = {
    "server to client, 1 connection": ("stream", 1),
    "server to client, 100 connections": ("stream", 100),
    "client to server, 1 connection": ("upload", 1),
    "client to server, 100 connections": ("upload", 100),
}
"""The direction, and the number of connections."""


def measure(servers: Mapping[str, Server], case: str, rounds: int) -> list[Row]:
    """Return the CPU time per item of one case, in seconds."""
    direction, connections = CASES[case]

    def cost(server: Server) -> dict[str, float]:
        return {case: load.stream(server, direction, connections, ITEMS // connections)}

    return interleaved(servers, cost, rounds)
