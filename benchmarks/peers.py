"""The programs of the servers that the benchmarks compare."""

import contextlib
import dataclasses
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import load
from .processes import Program, Server, Unavailable, serving

_HERE = Path(__file__).parent
ROOT = _HERE.parent
PLAIN = "aiohttp alone"
LOOPS = ("uvloop", "asyncio") if importlib.util.find_spec("uvloop") else ("asyncio",)
"""The event loops that are installed, the fastest first."""


def environment(root: Path) -> dict[str, str]:
    """Return the environment in which Python imports ``protocol`` from the checkout ``root``."""
    return {"PYTHONPATH": str(root.resolve()), "PYTHONSAFEPATH": "1"}


def library(loop: str, root: Path = ROOT) -> Program:
    """Return the hub on the library of the checkout ``root``."""
    return Program((sys.executable, str(_HERE / "servers.py"), loop), environment(root))


def plain(loop: str) -> Program:
    """Return the WebSocket server on aiohttp alone."""
    return dataclasses.replace(library(loop), path="/plain")


def plain_post(loop: str) -> Program:
    """Return the POST handler on aiohttp alone."""
    command = (sys.executable, str(_HERE / "servers.py"), loop, "post")
    return Program(command, environment(ROOT), "/post")


def streaming(loop: str, root: Path = ROOT) -> Program:
    """Return the hub that streams, on the library of the checkout ``root``."""
    command = (sys.executable, str(_HERE / "servers.py"), loop, "stream")
    return Program(command, environment(root))


def stateful(loop: str, root: Path = ROOT) -> Program:
    """Return the hub whose clients may use stateful reconnect, on the library of ``root``."""
    command = (sys.executable, str(_HERE / "servers.py"), loop, "stateful")
    return Program(command, environment(root))


def gateway(loop: str, hub_port: int, root: Path = ROOT) -> Program:
    """Return the gateway of the checkout ``root``, in front of the hub on ``hub_port``."""
    command = (sys.executable, str(_HERE / "gateway_server.py"), loop, str(hub_port))
    return Program(command, environment(root))


def kestrel() -> Program:
    """Return the hub on ASP.NET Core SignalR and Kestrel, built once per version of its source.

    Raises Unavailable where there is no .NET SDK, or the build fails.
    """
    dotnet = shutil.which("dotnet")
    if dotnet is None:
        raise Unavailable("Kestrel needs a .NET SDK, version 10 or later: no dotnet on PATH")
    sources = sorted((_HERE / "dotnet" / "echo-hub").glob("*.cs*"))
    target = load.cached_program("echo-hub", b"".join(each.read_bytes() for each in sources))
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            copy, output = Path(folder, "echo-hub"), Path(folder, "output")
            copy.mkdir()
            for each in sources:
                shutil.copy(each, copy)
            build = subprocess.run(
                [dotnet, "build", str(copy), "-c", "Release", "-o", str(output), "-nologo"],
                env={**os.environ, "MSBUILDDISABLENODEREUSE": "1", "UseSharedCompilation": "false"},
                capture_output=True,
                text=True,
            )
            if build.returncode:
                raise Unavailable(f"Kestrel: dotnet build failed:\n{build.stdout[-2000:]}")
            output.rename(target)
    return Program((dotnet, str(target / "echo-hub.dll")), {"DOTNET_NOLOGO": "1"})


@contextlib.contextmanager
def running(programs: Mapping[str, Program]) -> Iterator[dict[str, Server]]:
    """Start all programs for the duration of the block, and warm them up."""
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(serving(it)) for name, it in programs.items()}
        for server in servers.values():  # Kestrel compiles its code while it runs
            load.echo(server, connections=16, depth=4, joined=False, seconds=0.5)
            load.fan_out(server, connections=16, events=1, rounds=300)
        yield servers
