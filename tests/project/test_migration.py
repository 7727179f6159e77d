"""docs/migration.md is true: its orchestrations are the same, its commands and its client work.

The tests replace only ports, so that they do not depend on other programs of the machine.
"""

import asyncio
import os
import re
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from protocol import HubConnectionBuilder
from signalr_gateway import Orchestrator
from signalr_gateway.config.file import load_config
from signalr_gateway.serving.tls import CertificatePair, server_context
from tests.interop.builds import dotnet_program, require
from tests.interop.processes import LineProcess
from tests.project.documented_programs import Addresses, chat_chain, run_curl
from tests.project.test_docs import loaded
from tests.support.checkout import ROOT
from tests.support.documents import code_blocks, code_files

MIGRATION: Final = ROOT / "docs" / "migration.md"
GENERATE, CONVERT, CURL, DOTNET = code_blocks(MIGRATION, "sh")
[CSHARP] = code_blocks(MIGRATION, "csharp")
FILES: Final = {**code_files(MIGRATION, "python"), **code_files(MIGRATION, "toml")}
RUNS: Final = re.findall(r"`signalr-gateway (run [^`]+)`", MIGRATION.read_text())[:2]


def shell(commands: str, folder: Path, **variables: str) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs `openssl` on PATH")
    subprocess.run(
        ["sh", "-e", "-c", commands],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        check=True,
        timeout=50,
    )


@pytest.fixture
def at() -> Addresses:
    return Addresses()


@pytest.fixture
def folder(tmp_path: Path, at: Addresses) -> Path:
    """The page's files, and the certificate of its recipe."""
    for name, source in FILES.items():
        (tmp_path / name).write_text(at.moved(source), encoding="utf-8")
    shell(GENERATE, tmp_path)
    return tmp_path


def test_both_orchestrations_are_the_same(folder: Path) -> None:
    in_python = Orchestrator()
    loaded((folder / "gateway.py").read_text(), folder).configure(in_python)
    in_toml = load_config(folder / "gateway.toml").orchestrator
    assert in_python.hubs.keys() == in_toml.hubs.keys() == {"chatservice"}
    assert in_python.hubs["chatservice"].routes == in_toml.hubs["chatservice"].routes
    assert in_python.gateway_hub_path == in_toml.gateway_hub_path == "/GatewayHub"
    assert in_python.start_gateway_hub is in_toml.start_gateway_hub is True


@pytest.mark.parametrize("run", RUNS, ids=["toml", "python"])
async def test_the_recipe_for_https(folder: Path, at: Addresses, run: str) -> None:
    """curl trusts the certificate, and the event arrives at a client that does."""
    events: asyncio.Queue[tuple[Any, Any]] = asyncio.Queue()
    trusting = ssl.create_default_context(cafile=folder / "certificate.pem")
    url = f"https://localhost:{at.gateway}/GatewayHub"
    listener = HubConnectionBuilder().with_url(url, ssl=trusting).build()
    listener.on("ReceiveMessage", lambda given, state: events.put_nowait((given, state)))
    run = re.sub(r"\b44360\b", str(at.gateway), run)
    async with chat_chain(at, folder, *run.split()), listener:
        await run_curl(at, CURL, folder)
        assert await events.get() == (["John", "Hello!"], {})


AUTHORITY: Final = """
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout leaf.key -out leaf.csr
openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out leaf.pem
openssl pkcs12 -export -in leaf.pem -inkey leaf.key -certfile ca.pem -passout env:PFX_PASSWORD \
 -out gateway.pfx
"""


def test_the_recipe_for_a_pfx_file(tmp_path: Path) -> None:
    """Its certificate comes first, then the one of its authority."""
    shell(AUTHORITY + CONVERT, tmp_path, PFX_PASSWORD="a secret")
    certificate = tmp_path / "certificate.pem"
    server_context(CertificatePair(certificate, tmp_path / "key.pem"))
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    found = re.findall(f"{begin}.+?{end}", certificate.read_text(), re.DOTALL)
    expected = [(tmp_path / name).read_text().strip() for name in ("leaf.pem", "ca.pem")]
    assert found == expected


@pytest.mark.interop
@pytest.mark.timeout(180)  # a first build included
async def test_the_dotnet_client(folder: Path, at: Addresses) -> None:
    """The documentation's client, on https, trusting what the page says it should trust."""
    source = folder / "migrated-client"
    source.mkdir()
    # The address comes in as an argument, so that a build serves all later runs.
    url = '"https://localhost:44360/GatewayHub"'
    assert url in CSHARP
    (source / "Program.cs").write_text(CSHARP.replace(url, "args[0]"), encoding="utf-8")
    project = ROOT / "tests/interop/dotnet/documented-client/documented-client.csproj"
    shutil.copy(project, source / "migrated-client.csproj")
    program = dotnet_program(source)
    assignment, _, command = DOTNET.strip().partition(" ")
    variable, _, certificate = assignment.partition("=")
    assert (variable, command) == ("SSL_CERT_FILE", "dotnet run")
    async with chat_chain(at, folder, *RUNS[0].split()):
        client = await LineProcess.start(
            *(require("dotnet"), str(program), at.moved(url).strip('"')),
            env={variable: certificate},
            cwd=folder,
        )
        await client.line("^listening")
        await run_curl(at, CURL, folder)
        await client.line("^John: Hello!$")
        assert await client.end_input() == 0
