"""Runs the programs of the documents as real processes, at free addresses."""

import re
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.interop.processes import LineProcess, free_port
from tests.support.checkout import ROOT
from tests.support.documents import code_files

ENVIRONMENT: Final = {"PYTHONPATH": str(ROOT)}
_HUB: Final = code_files(ROOT / "docs" / "library.md", "python")["chat_hub.py"]
_HUB_PORTS: Final = r"\b(?:8081|53353)\b"
_GATEWAY_PORTS: Final = r"\b(?:8080|44360)\b"


@dataclass(frozen=True)
class Addresses:
    """The ports of a test's gateway and hub, in place of the documented ones."""

    gateway: int = field(default_factory=free_port)
    hub: int = field(default_factory=free_port)

    def moved(self, text: str) -> str:
        """A documented text with these ports in it."""
        text, hubs = re.subn(_HUB_PORTS, str(self.hub), text)
        text, gateways = re.subn(_GATEWAY_PORTS, str(self.gateway), text)
        assert hubs + gateways
        return text


@asynccontextmanager
async def started(*argv: str, ready: str, cwd: Path) -> AsyncIterator[LineProcess]:
    """A program that has printed `ready`, the line that says that it serves."""
    process = await LineProcess.start(*argv, env=ENVIRONMENT, cwd=cwd)
    try:
        await process.line(ready)
        yield process
    finally:
        await process.kill()


def gateway_argv(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "signalr_gateway", *arguments)


@asynccontextmanager
async def chat_chain(at: Addresses, folder: Path, *run: str) -> AsyncIterator[None]:
    """The documented chat hub, and ``signalr-gateway`` with the arguments `run` before it."""
    (folder / "chat_hub.py").write_text(at.moved(_HUB), encoding="utf-8")
    async with (
        started(sys.executable, "chat_hub.py", ready="Running on", cwd=folder),
        started(*gateway_argv(*run), ready="^console ", cwd=folder),
    ):
        yield


async def run_curl(at: Addresses, line: str, folder: Path, *, prints: Sequence[str] = ()) -> None:
    """Run a documented curl line, which succeeds and prints these lines."""
    if shutil.which("curl") is None:
        pytest.skip("needs `curl` on PATH")
    argv = shlex.split(at.moved(line))
    process = await LineProcess.start(*argv, "--silent", "--fail-with-body", cwd=folder)
    assert await process.end_input() == 0, process.lines.entries
    assert process.lines.entries == list(prints)
