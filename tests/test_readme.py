"""The README is true: what it says to copy is copied from it and run, as real processes.

Only addresses are exchanged, so that nothing else on the machine is in the way. That names and
files exist is checked in `test_docs`.
"""

import asyncio
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from protocol import HubConnectionBuilder
from tests.documents import README, ROOT, code_blocks
from tests.interop.builds import dotnet_program, require
from tests.interop.processes import LineProcess, free_port
from tests.interop.versions import CLIENTS

DEMO, TESTS, CURL = code_blocks(README, "sh")
[CSHARP] = code_blocks(README, "csharp")
FILES: Final = {  # each begins with its name as a comment
    source.splitlines()[0].removeprefix("# "): source for source in code_blocks(README, "python")
}
PROGRAM: Final = ".venv/bin/signalr-gateway "
ENVIRONMENT: Final = {"PYTHONPATH": str(ROOT)}


@dataclass(frozen=True)
class Addresses:
    """Where this test's gateway and hub are, instead of the README's 8080 and 8081."""

    gateway: int
    hub: int

    def moved(self, text: str) -> str:
        """The README's text with these addresses in it."""
        assert re.search(r"\b808[01]\b", text)
        text = re.sub(r"\b8081\b", str(self.hub), text)
        return re.sub(r"\b8080\b", str(self.gateway), text)


def addresses() -> Addresses:
    return Addresses(free_port(), free_port())


@asynccontextmanager
async def started(*argv: str, ready: str, cwd: Path) -> AsyncIterator[LineProcess]:
    """A program that has said the line with which it says that it serves."""
    process = await LineProcess.start(*argv, env=ENVIRONMENT, cwd=cwd)
    try:
        await process.line(ready)
        yield process
    finally:
        await process.kill()


def gateway_argv(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "signalr_gateway", *arguments)


@asynccontextmanager
async def chain(at: Addresses, folder: Path) -> AsyncIterator[None]:
    """The README's hub and, as it says, the README's gateway in front of it."""
    for name, source in FILES.items():
        (folder / name).write_text(at.moved(source), encoding="utf-8")
    [run] = re.findall(r"`signalr-gateway (run [^`]+)`", README.read_text())
    gateway = gateway_argv(*run.split(), "--port", str(at.gateway))
    async with (
        started(sys.executable, "chat_hub.py", ready="Running on", cwd=folder),
        started(*gateway, ready="^console ", cwd=folder),
    ):
        yield


async def curl(at: Addresses) -> None:
    """Runs the README's curl line. It says nothing when all went well."""
    if shutil.which("curl") is None:
        pytest.skip("needs `curl` on PATH")
    process = await LineProcess.start(*shlex.split(at.moved(CURL)), "--silent", "--fail-with-body")
    assert await process.end_input() == 0, process.lines.entries
    assert process.lines.entries == []


async def test_the_demo(tmp_path: Path) -> None:
    """It prints the README's curl line, which works, and serves the page it names."""
    at = addresses()
    arguments = DEMO.strip().partition(PROGRAM)[2].split()
    demo = gateway_argv(*arguments, "--port", str(at.gateway), "--hub-port", str(at.hub))
    async with started(*demo, ready="^curl ", cwd=tmp_path) as process:
        assert at.moved(CURL).strip() in process.lines.entries
        await curl(at)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{at.gateway}/") as page:
                assert page.content_type == "text/html"
            async with session.get(f"http://127.0.0.1:{at.gateway}/healthz") as health:
                assert (await health.json())["status"] == "ok"
        assert await process.interrupt() == 0


async def test_gateway_hub_and_client(tmp_path: Path) -> None:
    """What curl says comes out of the gateway hub; the client prints what it should."""
    at = addresses()
    events: asyncio.Queue[tuple[Any, Any]] = asyncio.Queue()
    listener = HubConnectionBuilder().with_url(f"http://127.0.0.1:{at.gateway}/gatewayhub").build()
    listener.on("ReceiveMessage", lambda given, state: events.put_nowait((given, state)))
    async with chain(at, tmp_path), listener:
        await curl(at)
        assert await events.get() == (["John", "Hello!"], {})
        client = await LineProcess.start(sys.executable, "client.py", env=ENVIRONMENT, cwd=tmp_path)
        assert await client.end_input() == 0
        assert client.lines.entries == ["3", "Ada: Hi"]
        assert await events.get() == (["Ada", "Hi"], {})


@pytest.mark.interop
@pytest.mark.timeout(180)  # a first build included
async def test_the_dotnet_client(tmp_path: Path) -> None:
    at = addresses()
    source = tmp_path / "readme-client"
    source.mkdir()
    # The address comes in as an argument, so that a build serves all later runs.
    url = '"http://127.0.0.1:8080/GatewayHub"'
    assert url in CSHARP
    (source / "Program.cs").write_text(CSHARP.replace(url, "args[0]"), encoding="utf-8")
    project = ROOT / "tests/interop/dotnet/documented-client/documented-client.csproj"
    shutil.copy(project, source / "readme-client.csproj")
    program = dotnet_program(source)
    async with chain(at, tmp_path):
        client = await LineProcess.start(require("dotnet"), str(program), at.moved(url).strip('"'))
        await client.line("^listening")
        await curl(at)
        await client.line("^John: Hello!$")
        assert await client.end_input() == 0


def test_the_first_screen_has_the_two_commands() -> None:
    first_screen = "\n".join(README.read_text().splitlines()[:30])
    assert DEMO in first_screen
    assert TESTS in first_screen
    assert CURL not in first_screen


@pytest.mark.parametrize("command", [DEMO, TESTS], ids=["demo", "tests"])
def test_ci_runs_what_the_readme_says(command: str) -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert command.strip() in script.read_text()


def test_the_peers_are_those_of_the_tests() -> None:
    text = README.read_text()
    *releases, last = CLIENTS
    assert f"the .NET client {', '.join(releases)} and {last}," in text
    package = json.loads((ROOT / "tests/interop/node/package.json").read_text())
    assert f"`@microsoft/signalr` {package['dependencies']['@microsoft/signalr']} in" in text
