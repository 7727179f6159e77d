"""GW-58: Unix sockets, and sockets that systemd passes."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from signalr_gateway import Orchestrator, create_app
from signalr_gateway.cli.command_line import run_command
from signalr_gateway.cli.running import require_access_rules
from signalr_gateway.config.file import ConfigError, GatewayConfig, load_config
from signalr_gateway.config.hosts import allowed_hosts
from signalr_gateway.config.schema import Listen
from signalr_gateway.config.sources import UsageError
from signalr_gateway.serving import local_sockets
from signalr_gateway.serving.listener import taken
from signalr_gateway.serving.local_sockets import inherited_hosts, open_sockets
from signalr_gateway.serving.own_urls import gateway_hub_mismatch
from signalr_gateway.serving.sockets import CannotListen
from tests.support.checkout import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no Unix sockets")


async def health(connector: aiohttp.BaseConnector, url: str = "http://localhost") -> int:
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(f"{url}/healthz") as answer,
    ):
        return answer.status


async def test_a_unix_socket(tmp_path: Path) -> None:
    """The file has the given permissions, and is removed when the gateway stops."""
    file = tmp_path / "gateway.sock"
    async with taken((), 0, local_sockets=[f"unix:{file}"], unix_mode=0o660) as address:
        assert address.urls == [f"http://unix:{file}:"]
        assert stat.S_IMODE(file.stat().st_mode) == 0o660
        async with address.serving(create_app(Orchestrator())) as url:
            assert url == f"http://unix:{file}:"
            assert await health(aiohttp.UnixConnector(str(file))) == 200
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(file))) as session,
                session.ws_connect("http://localhost/gatewayhub") as client,
            ):
                await client.send_str('{"protocol":"json","version":1}\x1e')
                assert (await client.receive()).data == "{}\x1e"
        assert not file.exists()


async def test_a_socket_on_which_a_program_listens_is_kept(tmp_path: Path) -> None:
    """Also one of a gateway that has not begun to serve."""
    file = tmp_path / "gateway.sock"
    async with taken((), 0, local_sockets=[f"unix:{file}"]):
        with pytest.raises(CannotListen, match=r"gateway\.sock: another program listens there$"):
            open_sockets([f"unix:{file}"], 0o600)
        assert file.is_socket()


def test_a_dead_socket_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "gateway.sock"
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(file))
    [local] = open_sockets([f"unix:{file}"], 0o600)
    with local.bound, closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(file))


def test_any_other_file_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "gateway.sock"
    file.write_text("precious")
    with pytest.raises(CannotListen, match=r"gateway\.sock: the file is not a socket$"):
        open_sockets([f"unix:{file}"], 0o600)
    link = tmp_path / "link.sock"
    link.symlink_to(file)
    with pytest.raises(CannotListen, match=r"link\.sock: the file is not a socket$"):
        open_sockets([f"unix:{link}"], 0o600)
    assert file.read_text() == "precious"


def test_a_failure_removes_the_sockets_before_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first.sock", tmp_path / "missing" / "second.sock"
    with pytest.raises(CannotListen, match=r"second\.sock: No such file or directory$"):
        open_sockets([f"unix:{first}", f"unix:{second}"], 0o600)
    with pytest.raises(CannotListen, match=r"AF_UNIX path too long$"):
        open_sockets([f"unix:{first}", f"unix:/{'x' * 200}"], 0o600)
    assert not first.exists()


def test_a_file_that_another_program_has_put_there_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "gateway.sock"
    [local] = open_sockets([f"unix:{file}"], 0o600)
    with local.bound:
        os.unlink(file)
        file.write_text("other")
        local.remove_file()
    assert file.read_text() == "other"


# --- systemd


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A listening socket of all addresses, which systemd has passed."""
    with socket.create_server(("0.0.0.0", 0)) as listening:
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        monkeypatch.setattr(local_sockets, "_FIRST_DESCRIPTOR", os.dup(listening.fileno()))
        yield listening


async def test_a_passed_socket(passed: socket.socket) -> None:
    port = passed.getsockname()[1]
    async with taken((), 0, local_sockets=["systemd"]) as address:
        async with address.serving(create_app(Orchestrator())) as url:
            assert url == f"http://0.0.0.0:{port}"
            assert await health(aiohttp.TCPConnector(), f"http://127.0.0.1:{port}") == 200


def test_a_passed_socket_counts_as_an_address(passed: socket.socket) -> None:
    """GW-41, GW-30: what other machines can reach needs authentication."""
    listen = Listen(sockets=["systemd"])
    assert inherited_hosts() == listen.hosts == ["0.0.0.0"]
    assert allowed_hosts(listen) is None
    with pytest.raises(UsageError, match=r"will not listen on 0\.0\.0\.0 without authentication"):
        require_access_rules(GatewayConfig(orchestrator=Orchestrator(), listen=listen))
    os.close(local_sockets._FIRST_DESCRIPTOR)


@pytest.mark.parametrize("variable", ["LISTEN_PID", "LISTEN_FDS"])
def test_without_passed_sockets(
    passed: socket.socket, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Sockets that are for another process are not taken."""
    os.close(local_sockets._FIRST_DESCRIPTOR)
    monkeypatch.setenv(variable, "0")
    with pytest.raises(CannotListen, match="sockets of systemd: it has passed none"):
        open_sockets(["systemd"], 0o600)
    assert inherited_hosts() == []


def test_a_passed_descriptor_that_does_not_listen(
    passed: socket.socket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    os.close(local_sockets._FIRST_DESCRIPTOR)
    monkeypatch.setattr(local_sockets, "_FIRST_DESCRIPTOR", socket.socket().detach())
    with pytest.raises(CannotListen, match="is not a socket for streams that accepts connections"):
        open_sockets(["systemd"], 0o600)
    with (tmp_path / "file").open("w") as file:
        monkeypatch.setattr(local_sockets, "_FIRST_DESCRIPTOR", file.fileno())
        with pytest.raises(CannotListen, match=r"descriptor \d+ is not a socket$"):
            open_sockets(["systemd"], 0o600)


LIKE_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


async def test_the_command_with_a_socket_of_systemd(tmp_path: Path) -> None:
    """Both kinds at once, on the event loop that the command chooses."""
    file, configuration = tmp_path / "gateway.sock", tmp_path / "gateway.toml"
    configuration.write_text('[hubs.h]\nurl = "http://127.0.0.1:9/hub"\n')
    with socket.create_server(("127.0.0.1", 0)) as listening:
        options = ("--listen", "systemd", "--listen", f"unix:{file}", "--unix-mode", "666")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", LIKE_SYSTEMD, str(listening.fileno())),
            *("-m", "signalr_gateway", "run", str(configuration), *options),
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(listening.fileno(),),
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])},
        )
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    assert process.stdout is not None
    lines = [(await process.stdout.readline()).decode().split() for _ in range(3)]
    assert lines[2] == ["console", f"{url}/"]
    assert await health(aiohttp.TCPConnector(), url) == 200
    assert await health(aiohttp.UnixConnector(str(file))) == 200
    assert stat.S_IMODE(file.stat().st_mode) == 0o666
    process.terminate()
    assert await process.wait() == 0
    assert not file.exists()


# --- options


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ('sockets = ["unix:relative"]', "listen.sockets: must be 'systemd', or 'unix:' and an abs"),
        ('sockets = ["127.0.0.1:80"]', "listen.sockets: must be 'systemd', or 'unix:' and an abs"),
        ('unix_mode = "999"', "listen.unix_mode: must be three octal digits, such as 660"),
        ('unix_mode = "7777"', "listen.unix_mode: must be three octal digits, such as 660"),
    ],
)
def test_wrong_options(tmp_path: Path, options: str, problem: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(f'[listen]\n{options}\n[hubs.h]\nurl = "http://h"\n')
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert problem in str(caught.value)


def test_a_unix_socket_is_no_address(tmp_path: Path) -> None:
    """Other machines cannot reach it. A proxy is in front of it, whatever `gateway_hub_url` is."""
    listen = Listen(sockets=["unix:/run/gateway.sock"], host="0.0.0.0", unix_mode="0660")
    require_access_rules(GatewayConfig(orchestrator=Orchestrator(), listen=listen))
    assert set(allowed_hosts(listen) or ()) == set(allowed_hosts(Listen()) or ())
    assert listen.permissions == 0o660
    orchestrator = Orchestrator()
    orchestrator.gateway_hub_url = "https://localhost:44360/GatewayHub"
    assert gateway_hub_mismatch(orchestrator, ["http://unix:/run/gateway.sock:"]) is None


def test_the_demo_takes_no_sockets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gc, "set_threshold", lambda *_: None)  # of the process that runs tests
    assert run_command(["demo", "--listen", "unix:/run/x.sock"]) == 2
    errors = capsys.readouterr().err
    assert errors.endswith("--listen: the demo listens on an address; use --host and --port\n")
