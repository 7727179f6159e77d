"""Runs processes on separate cores: servers on the first core, the load generator on the last."""

import contextlib
import os
import re
import resource
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


class Unavailable(Exception):
    """This machine lacks something that a measurement needs. The text says what."""


@dataclass(frozen=True)
class Program:
    """A server that can be started.

    The program prints its port, or a URL that contains the port, when it serves. It ends when its
    standard input ends.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    path: str = "/hub"


@dataclass(frozen=True)
class Server:
    """A server process that listens on 127.0.0.1."""

    pid: int
    port: int
    path: str
    is_stateful: bool = False
    """Whether the load generator's clients use stateful reconnect."""

    def resident_kib(self) -> int:
        """Return the resident memory of the process in KiB."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(r"^VmRSS:\s*(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1])


_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = _CORES[0], _CORES[-1]


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run all processes that start within the block on ``core`` only."""
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, _CORES)


@contextlib.contextmanager
def serving(program: Program, core: int = SERVER_CORE) -> Iterator[Server]:
    """Run a server on ``core`` for the duration of the block.

    The process is killed if it does not end within ten seconds after the block. The limit of open
    files is raised as far as the hard limit allows, also for all programs that start later.
    """
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    with on_core(core):
        process = subprocess.Popen(
            program.command,
            env={**os.environ, **program.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            line = process.stdout.readline()
            port = re.search(r"(\d+)(?:/\S*)?$", line.rstrip())
            if port is None:
                raise RuntimeError(f"the server ended before it served: {program.command}")
            yield Server(process.pid, int(port[1]), program.path)
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
