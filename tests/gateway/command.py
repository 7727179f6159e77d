"""Runs the command line as a process, and reads its output line by line."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.checkout import ROOT


class Command:
    """A running ``python -m signalr_gateway``; its output is read line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.output = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    async def line(self, pattern: str) -> re.Match[str]:
        """Wait for a line of standard output in which `pattern` is found."""
        assert self._process.stdout is not None
        while line := (await self._process.stdout.readline()).decode():
            self.output += line
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"ended without {pattern}: {self.output} {await self.errors()}")

    async def stop_and_read(self) -> str:
        """Stop a process whose outputs are merged, and return everything that it printed."""
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGTERM)
        self.output += (await self._process.stdout.read()).decode()
        return self.output

    async def errors(self) -> str:
        assert self._process.stderr is not None
        return (await self._process.stderr.read()).decode()

    async def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        self._process.send_signal(number)
        return await self._process.wait(), await self.errors()

    async def ended(self) -> tuple[int, str]:
        return await self._process.wait(), await self.errors()


@asynccontextmanager
async def command(
    *arguments: str, cwd: Path = ROOT, merged: bool = False, **environment: str
) -> AsyncIterator[Command]:
    """With `merged`, standard error is part of standard output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "signalr_gateway", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT if merged else asyncio.subprocess.PIPE,
        cwd=cwd,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]]),
            **environment,
        },
    )
    try:
        yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def failure(*arguments: str, cwd: Path = ROOT) -> tuple[int, str]:
    """Return exit code and standard error of a command that must fail to start."""
    async with command(*arguments, cwd=cwd) as running:
        return await running.ended()
