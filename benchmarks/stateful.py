"""CPU time per message on connections with stateful reconnect, and without it.

Both kinds of connections to a server are measured with the same process. With stateful reconnect,
the time includes the Acks of both sides: a measurement ends when all messages are acknowledged.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from . import load, peers
from .processes import LOAD_CORE, SERVER_CORE, Server, on_core, serving
from .rounds import Row, interleaved

SECONDS = 0.25
EVENTS = 8000
ITEMS = 32000
_CLIENT = Path(__file__).with_name("client_cost.py")

CASES: dict[str, Callable[[Server], float]] = {
    "echo 1×64": lambda server: load.echo(server, 1, 64, False, SECONDS),
    "echo 100×16": lambda server: load.echo(server, 100, 16, False, SECONDS),
    "event to 100 connections": lambda server: load.fan_out(server, 100, 1, EVENTS // 100),
    "stream to 1 client": lambda server: load.stream(server, "stream", 1, ITEMS),
    "stream to 100 clients": lambda server: load.stream(server, "stream", 100, ITEMS // 100),
    "stream from 1 client": lambda server: load.stream(server, "upload", 1, ITEMS),
    "stream from 100 clients": lambda server: load.stream(server, "upload", 100, ITEMS // 100),
}
"""Each measures the CPU time of a server per message, in seconds."""


def named(name: str) -> tuple[str, str]:
    """Return the names of the columns of ``name``, with stateful reconnect and without it."""
    return f"{name} with", f"{name} without"


def both(servers: Mapping[str, Server]) -> dict[str, Server]:
    """Return each server twice, by the names of its two columns."""
    return {
        column: dataclasses.replace(server, is_stateful=is_stateful)
        for name, server in servers.items()
        for column, is_stateful in zip(named(name), (True, False), strict=True)
    }


def measure(servers: Mapping[str, Server], case: str, rounds: int) -> list[Row]:
    """Return the CPU time of servers per message of one case, in seconds."""
    return interleaved(both(servers), lambda server: {case: CASES[case](server)}, rounds)


def measure_clients(clients: Mapping[str, tuple[str, Path]], rounds: int) -> list[Row]:
    """Return the CPU time of clients per message of each case, in seconds.

    ``clients`` has an event loop and a checkout for each name. Each measurement is a process of its
    own, on the core of the servers. The hub is on the core of the load generator.
    """
    columns = {
        column: (*client, word)
        for name, client in clients.items()
        for column, word in zip(named(name), ("with", "without"), strict=True)
    }
    with serving(peers.stateful(peers.LOOPS[0]), LOAD_CORE) as hub:

        def cost(client: tuple[str, Path, str]) -> Mapping[str, float]:
            loop, root, word = client
            with on_core(SERVER_CORE):
                done = subprocess.run(
                    [sys.executable, str(_CLIENT), loop, str(hub.port), word],
                    env={**os.environ, **peers.environment(root)},
                    stdout=subprocess.PIPE,
                    check=True,
                )
            costs: dict[str, float] = json.loads(done.stdout)
            return costs

        return interleaved(columns, cost, rounds)
