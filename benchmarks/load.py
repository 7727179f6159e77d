"""The load generator ``load.c``: built once per version of its source, run once per measurement."""

import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .processes import LOAD_CORE, Server, Unavailable, on_core

_SOURCE = Path(__file__).with_name("load.c")
_TIMEOUT = 60  # seconds of one measurement


def echo(server: Server, connections: int, depth: int, joined: bool, seconds: float) -> float:
    """Return the server's CPU time per answered call of Echo, in seconds."""
    answers, cpu = _run("echo", server, server.pid, connections, depth, int(joined), seconds)
    return cpu / answers


def post(server: Server, callers: int, seconds: float) -> float:
    """Return the server's CPU time per POST, in seconds. Each caller keeps its connection."""
    answers, cpu = _run("post", server, server.pid, callers, seconds)
    return cpu / answers


def fan_out(server: Server, connections: int, events: int, rounds: int, hub_port: int = 0) -> float:
    """Return the server's CPU time per event and connection, in seconds.

    Each round is one call of Broadcast, which sends ``events`` events to all connections. If
    ``server`` is a gateway, ``hub_port`` is the port of its downstream hub, where Broadcast is
    called.
    """
    deliveries, cpu = _run("fan-out", server, server.pid, connections, events, rounds, hub_port)
    return cpu / deliveries


def stream(server: Server, direction: str, connections: int, items: int) -> float:
    """Return the server's CPU time per stream item, in seconds. Each connection has one stream.

    ``direction`` is ``stream`` if the server sends the items, ``upload`` if the client sends them.
    """
    streamed, cpu = _run(direction, server, server.pid, connections, items)
    return cpu / streamed


def longest_wait(server: Server, hub_protocol: str, records: bytes, payload: int = 0) -> float:
    """Return the longest time in seconds that a client's call takes while another sends records.

    ``records`` are in ``hub_protocol``. They are sent as one WebSocket message, or, if ``payload``
    is not 0, in messages of ``payload`` bytes. The last record is a call of Echo with ARGUMENT of
    ``load.c``, whose answer ends the measurement. Returns nan if the server closes the connection.
    """
    return _run("stall", server, hub_protocol, payload, standard_input=records)[0]


@contextlib.contextmanager
def idle(server: Server, connections: int) -> Iterator[None]:
    """Hold open connections for the duration of the block."""
    command = _command("idle", server, connections)
    with on_core(LOAD_CORE):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"cannot open {connections} connections")
        yield  # leaving the block closes standard input, which ends the program


def _run(mode: str, server: Server, *arguments: object, standard_input: bytes = b"") -> list[float]:
    with on_core(LOAD_CORE):
        done = subprocess.run(
            _command(mode, server, *arguments),
            input=standard_input,
            capture_output=True,
            timeout=_TIMEOUT,
        )
    if done.returncode:
        raise RuntimeError(f"{mode}: {done.stderr.decode(errors='replace').strip()}")
    return [float(number) for number in done.stdout.split()]


def _command(mode: str, server: Server, *arguments: object) -> list[str]:
    stateful = ["stateful"] if server.is_stateful else []
    whole = (program(), *stateful, mode, server.port, server.path, *arguments)
    return [str(part) for part in whole]


@functools.cache
def program() -> Path:
    """Build the load generator if necessary, and return its path. Raises Unavailable."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unavailable("the load generator needs a C compiler: no cc on PATH")
    target = cached_program("load", _SOURCE.read_bytes())
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            output = Path(folder, "load")
            subprocess.run(
                [compiler, "-O2", "-Wall", "-Wextra", "-o", str(output), str(_SOURCE)], check=True
            )
            output.replace(target)
    return target


def cached_program(name: str, sources: bytes) -> Path:
    """Return the path at which a program built from ``sources`` is kept between runs.

    Creates the folder, which is private to the user.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base, "signalr-gateway-benchmarks")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{name}-{hashlib.sha256(sources).hexdigest()[:16]}"
