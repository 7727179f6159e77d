"""Starts child processes, reads their output line by line, and finds free ports for them.

A test does not sleep until a peer is ready, but waits for a line of its output. The modules that
start the programs define the meaning of the lines.
"""

import asyncio
import contextlib
import os
import random
import re
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.interop.journal import PATIENCE, Journal
from tests.support.checkout import ROOT

LONGEST_LINE = 16 * 1024 * 1024


class LineProcess:
    """A running program, and all lines of both of its outputs."""

    def __init__(
        self, process: asyncio.subprocess.Process, name: str, on_line: Callable[[str], None] | None
    ) -> None:
        self.lines = Journal[str](name)
        self._process = process
        self._on_line = on_line
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        *argv: str,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        on_line: Callable[[str], None] | None = None,
    ) -> "LineProcess":
        """Starts `argv` in the folder `cwd`, with `env` added to the environment.

        `on_line` is called with every line, before those who wait for it go on.
        """
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            limit=LONGEST_LINE,
        )
        return cls(process, " ".join(Path(word).name for word in argv[:4]), on_line)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for data in self._process.stdout:
            line = data.decode(errors="replace").rstrip("\r\n")
            if self._on_line is not None:
                self._on_line(line)
            self.lines.add(line)
        self.lines.end()

    def matching(self, pattern: str) -> list[re.Match[str]]:
        """The lines so far that match `pattern`."""
        return [found for line in self.lines.entries if (found := re.search(pattern, line))]

    async def line(self, pattern: str, count: int = 1) -> re.Match[str]:
        """Waits until `pattern` was found in `count` lines since the start; the last of them.

        Raises AssertionError as `Journal.wait` does.
        """
        await self.lines.wait(count, lambda line: re.search(pattern, line) is not None)
        return self.matching(pattern)[count - 1]

    async def write(self, text: str) -> None:
        """Writes to the program's standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        await self._process.stdin.drain()

    async def end_input(self) -> int:
        """Closes the program's standard input, waits for its end, and returns its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return await self._wait()

    async def interrupt(self) -> int:
        """Sends SIGTERM to the program, waits for its end, and returns its exit code."""
        self._signal(signal.SIGTERM)
        return await self._wait()

    async def kill(self) -> None:
        """Kills the program, and waits until it has ended."""
        self._signal(signal.SIGKILL)
        await self._wait()

    def freeze(self) -> None:
        """Suspends the program until `thaw`. Meanwhile only `kill` ends it."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _wait(self) -> int:
        async with asyncio.timeout(PATIENCE):
            code = await self._process.wait()
            await self._reader
        return code


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, outside the usual range of ephemeral ports.

    Those are no choice for a server that goes away and comes back: a client knocking there could be
    given the very port as its own end, and so connect to itself.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
