"""CPU time of a server per delivery of an event that one call sends to all connections.

A call sends one event, or eight in a row. The time includes reading the call, encoding the events
and writing them to every connection.
"""

from collections.abc import Mapping

from . import load
from .processes import Server
from .rounds import Row, interleaved

DELIVERIES = 8000
CASES: dict[str, tuple[int, int]] = {
    f"{connections} connections{', eight events' if events > 1 else ''}": (connections, events)
    for events in (1, 8)
    for connections in (100, 1000, 4000)
}
"""The number of connections, and the events per call."""


def measure(servers: Mapping[str, Server], case: str, rounds: int) -> list[Row]:
    """Return the CPU time per delivery of one case, in seconds."""
    return measured(servers, case, *CASES[case], rounds)


def measured(
    servers: Mapping[str, Server], case: str, connections: int, events: int, rounds: int
) -> list[Row]:
    """Return the CPU time per delivery in seconds. A measurement has at least DELIVERIES."""
    calls = max(2, DELIVERIES // (connections * events))

    def cost(server: Server) -> dict[str, float]:
        return {case: load.fan_out(server, connections, events, calls)}

    return interleaved(servers, cost, rounds)
