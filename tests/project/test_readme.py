"""The README is true: its commands and examples run as real processes.

The tests replace only ports, so that they do not depend on other programs of the machine.
`test_docs` checks that names and files exist.
"""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from protocol import HubConnectionBuilder
from tests.interop.processes import LineProcess
from tests.project.documented_programs import (
    ENVIRONMENT,
    Addresses,
    chat_chain,
    gateway_argv,
    run_curl,
    started,
)
from tests.support.checkout import ROOT
from tests.support.documents import README, code_blocks, code_files

DEMO, TESTS, CURL = code_blocks(README, "sh")
API: Final = ROOT / "docs" / "api.md"
FILES: Final = {**code_files(README, "python"), **code_files(README, "toml")}
RUNS: Final = re.findall(r"`signalr-gateway (run [^`]+)`", README.read_text())
LIBRARY: Final = code_files(ROOT / "docs" / "library.md", "python")
PROGRAM: Final = ".venv/bin/signalr-gateway "


async def test_the_demo(tmp_path: Path) -> None:
    """It prints the README's curl line, which works, and serves the page it names.

    The other curl lines of the API page stream, and repeat a call.
    """
    at = Addresses()
    arguments = DEMO.strip().partition(PROGRAM)[2].split()
    demo = gateway_argv(*arguments, "--port", str(at.gateway), "--hub-port", str(at.hub))
    async with started(*demo, ready="^curl ", cwd=tmp_path) as process:
        assert at.moved(CURL).strip() in process.lines.entries
        await run_curl(at, CURL, tmp_path)
        [_, streaming, keyed, _], [items] = code_blocks(API, "sh"), code_blocks(API, "text")
        await run_curl(at, streaming, tmp_path, prints=items.split())
        for _ in range(2):
            await run_curl(at, keyed, tmp_path)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{at.gateway}/") as page:
                assert page.content_type == "text/html"
            async with session.get(f"http://127.0.0.1:{at.gateway}/healthz") as health:
                assert (await health.json())["status"] == "ok"
        assert await process.interrupt() == 0


def test_the_gateway_is_written_in_toml_and_in_python() -> None:
    assert RUNS == ["run gateway.toml", "run gateway:configure"]
    assert sorted(FILES) == ["gateway.py", "gateway.toml"]


@pytest.mark.parametrize("run", RUNS)
async def test_gateway_hub_and_client(tmp_path: Path, run: str) -> None:
    """What curl posts comes out of the gateway hub; the library's client prints what it should."""
    at = Addresses()
    for name, source in FILES.items():
        (tmp_path / name).write_text(at.moved(source), encoding="utf-8")
    (tmp_path / "client.py").write_text(at.moved(LIBRARY["client.py"]), encoding="utf-8")
    events: asyncio.Queue[tuple[Any, Any]] = asyncio.Queue()
    listener = HubConnectionBuilder().with_url(f"http://127.0.0.1:{at.gateway}/gatewayhub").build()
    listener.on("ReceiveMessage", lambda given, state: events.put_nowait((given, state)))
    async with (
        chat_chain(at, tmp_path, *run.split(), "--port", str(at.gateway)),
        listener,
    ):
        await run_curl(at, CURL, tmp_path)
        assert await events.get() == (["John", "Hello!"], {})
        client = await LineProcess.start(sys.executable, "client.py", env=ENVIRONMENT, cwd=tmp_path)
        assert await client.end_input() == 0
        assert client.lines.entries == ["3", "Ada: Hi"]
        assert await events.get() == (["Ada", "Hi"], {})


async def test_sending_without_a_hub(tmp_path: Path) -> None:
    """The option of the API page switches on the addresses, and its curl line sends."""
    at = Addresses()
    [sending] = [line for line in code_blocks(API, "sh") if "/send/" in line]
    [option] = [block for block in code_blocks(API, "toml") if "[send]" in block]
    for name, source in FILES.items():
        (tmp_path / name).write_text(at.moved(source), encoding="utf-8")
    with (tmp_path / "gateway.toml").open("a", encoding="utf-8") as file:
        file.write(option)
    events: asyncio.Queue[tuple[Any, Any]] = asyncio.Queue()
    listener = HubConnectionBuilder().with_url(f"http://127.0.0.1:{at.gateway}/gatewayhub").build()
    listener.on("ReceiveMessage", lambda name, message: events.put_nowait((name, message)))
    run = ("run", "gateway.toml", "--port", str(at.gateway))
    async with chat_chain(at, tmp_path, *run), listener:
        await run_curl(at, sending, tmp_path)
        assert await events.get() == ("Ann", "Hello!")


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


def test_the_api_page_shows_the_same_call() -> None:
    assert code_blocks(API, "sh")[0] == CURL


def test_the_picture_is_small() -> None:
    [picture] = re.findall(r"!\[[^\]]+\]\((docs/[^)]+\.png)\)", README.read_text())
    content = (ROOT / picture).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) < 150_000
