"""CPU time of a gateway per POST, and per delivery of an event.

The downstream hub is another process, on the core of the load generator. Only the CPU time of the
gateway's process is measured. A POST has the argument of ``echo``. The hub returns this argument,
and the gateway answers with it. The hub sends each event to the gateway, which sends it to all of
its clients.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import load, peers
from .processes import LOAD_CORE, Server, serving
from .rounds import Row, interleaved

SECONDS = 0.25
CALLERS = {"1 caller": 1, "64 callers": 64}
CLIENTS = {"1 client": (1, 400), "100 clients": (100, 40), "500 clients": (500, 16)}
"""The number of clients, and of events that are sent one after another."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A server, and the port of the hub behind it; 0 if the server is the hub."""

    server: Server
    hub_port: int = 0

    def at(self, path: str) -> Server:
        """Return the server with another path."""
        return dataclasses.replace(self.server, path=path)


@contextlib.contextmanager
def running(loop: str, root: Path = peers.ROOT) -> Iterator[Target]:
    """Run a gateway and its downstream hub for the duration of the block, and warm them up."""
    with (
        serving(peers.library(peers.LOOPS[0]), LOAD_CORE) as hub,
        serving(peers.gateway(loop, hub.port, root)) as gateway,
    ):
        target = Target(gateway, hub.port)
        _post(target, callers=4, seconds=0.1)
        yield target


@contextlib.contextmanager
def running_plain(loop: str) -> Iterator[Target]:
    """Run a POST handler on aiohttp alone for the duration of the block."""
    with serving(peers.plain_post(loop)) as server:
        yield Target(server)


@contextlib.contextmanager
def running_hub(loop: str) -> Iterator[Target]:
    """Run a hub, which clients connect to directly, for the duration of the block."""
    with serving(peers.library(loop)) as server:
        yield Target(server)


def _post(target: Target, callers: int, seconds: float) -> float:
    path = "/api/Gateway/hub/bench/echo" if target.hub_port else target.server.path
    return load.post(target.at(path), callers, seconds)


def measure_posts(targets: Mapping[str, Target], case: str, rounds: int) -> list[Row]:
    """Return the seconds of CPU per POST of one case."""

    def cost(target: Target) -> dict[str, float]:
        return {case: _post(target, CALLERS[case], SECONDS)}

    return interleaved(targets, cost, rounds)


def measure_fan_out(targets: Mapping[str, Target], case: str, rounds: int) -> list[Row]:
    """Return the seconds of CPU per delivery of one case."""
    clients, events = CLIENTS[case]

    def cost(target: Target) -> dict[str, float]:
        server = target.at("/gatewayhub") if target.hub_port else target.server
        return {case: load.fan_out(server, clients, 1, events, target.hub_port)}

    return interleaved(targets, cost, rounds)
