"""Resident memory of a server per idle connection, which has completed its handshake."""

from collections.abc import Mapping

from . import load
from .processes import Program, serving
from .rounds import Row, interleaved

_FIRST = 200  # not counted: for the first connections, the server also allocates shared state
_COUNTED = 2000


def _cost(program: Program) -> dict[str, float]:
    with serving(program) as server, load.idle(server, _FIRST):
        before = server.resident_kib()
        with load.idle(server, _COUNTED):
            grown = server.resident_kib() - before
    return {"idle connection": grown / _COUNTED}


def measure(programs: Mapping[str, Program], rounds: int) -> list[Row]:
    """Return the KiB per idle connection. Each measurement starts a server of its own."""
    return interleaved(programs, _cost, rounds, warm_up=0)
