"""The command line, run as its users run it: as a process."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import signal
import socket
from errno import EADDRINUSE
from pathlib import Path

import aiohttp
import pytest

from signalr_gateway import __version__
from signalr_gateway.cli import main
from tests.gateway.command import command, failure
from tests.support.checkout import ROOT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_demo(number: signal.Signals) -> None:
    """The printed curl line reaches the chat hub, and its event a client of the gateway hub."""
    async with command("demo", "--port", "0", "--hub-port", "0") as demo:
        hub_url = (await demo.line(r"gateway hub  (\S+)"))[1]
        curl = await demo.line(r"^curl -X POST (\S+) -H '([^:]+): ([^']+)' -d '([^']+)'")
        url, name, value, body = curl.groups()
        assert body == '[{"name":"John","message":"Hello!"}]'
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(hub_url) as socket,
        ):
            await socket.send_str('{"protocol":"json","version":1}\x1e')
            assert await socket.receive_str() == "{}\x1e"
            async with session.post(url, data=body, headers={name: value}) as answer:
                assert (answer.status, await answer.read()) == (200, b"")
            event = json.loads((await socket.receive_str()).rstrip("\x1e"))
            assert event["arguments"] == [["John", "Hello!"], {}]
            await demo.line(r'^event        ReceiveMessage \["John", "Hello!"\]$')
        exit_code, errors = await demo.stop(number)
    assert exit_code == 0
    assert "Traceback" not in errors
    assert "ERROR" not in errors


async def test_the_demo_says_why_the_hub_refuses_a_call() -> None:
    """Each time, because a user tries things out. The answer has the text of the hub."""
    refused = {
        '[{"name":5}]': "parameter 1 'request': field 'name': expected str or None, got int",
        "[]": "got 0 arguments, expected 1",
        "[1]": "parameter 1 'request': expected Request, got int",
    }
    async with (
        command("demo", "--port", "0", "--hub-port", "0") as demo,
        aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session,
    ):
        url = (await demo.line(r"^curl -X POST (\S+)"))[1]
        for body in refused:
            async with session.post(url, data=body) as answer:
                assert (await answer.json(content_type=None))["code"] == "hub-error"
        _, errors = await demo.stop()
    for reason in refused.values():
        assert f"ChatHub.SendMessage: {reason}\n" in errors


async def test_events_as_the_demo_prints_them() -> None:
    """Each is one line of limited length, without characters that a terminal interprets."""
    arguments = ("demo", "--port", "0", "--hub-port", "0")
    async with command(*arguments, PYTHONIOENCODING="ascii") as demo:
        url = (await demo.line(r"^curl -X POST (\S+) "))[1]
        async with aiohttp.ClientSession() as session:
            for name, shown in (
                ("Jörg", r'"J\xf6rg"'),
                ("\x1b[2J\r\n", r'"\u001b[2J\r\n"'),
                ("€", r'"\u20ac"'),
                ("x" * 300, f'"{"x" * 198}'),
            ):
                async with session.post(url, json=[{"name": name}]) as answer:
                    assert answer.status == 200
                line = await demo.line("^event ")
                assert line.string.startswith(f"event        ReceiveMessage [{shown}")
                assert len(line.string) < 250


async def test_the_demo_stops_while_clients_are_connected() -> None:
    async with command("demo", "--port", "0", "--hub-port", "0") as demo:
        hub_url = (await demo.line(r"gateway hub  (\S+)"))[1]
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(hub_url) as socket,
        ):
            await socket.send_str('{"protocol":"json","version":1}\x1e')
            assert await socket.receive_str() == "{}\x1e"
            await demo.line("^curl")
            ended = asyncio.create_task(demo.stop())
            close = json.loads((await socket.receive_str()).rstrip("\x1e"))
            assert close["type"] == 7
            assert (await socket.receive()).data == 1000
            assert (await ended)[0] == 0


async def test_origins_given_on_the_command_line() -> None:
    """GW-26a: several, and a wrong one is one line and exit code 2."""
    origins = ("--allowed-origin", "https://a.example", "--allowed-origin", "http://b.example")
    async with command("demo", "--port", "0", "--hub-port", "0", *origins) as demo:
        url = (await demo.line(r"console      (\S+)/ "))[1]
        for origin in ("https://a.example", "http://b.example"):
            async with (
                aiohttp.ClientSession(headers={"Origin": origin}) as session,
                session.get(f"{url}/healthz") as answer,
            ):
                assert answer.headers["Access-Control-Allow-Origin"] == origin
    exit_code, errors = await failure("demo", "--port", "0", "--allowed-origin", "a.example")
    assert exit_code == 2
    assert errors.startswith("signalr-gateway: --allowed-origin: item 1, 'a.example', ")


async def test_hosts_given_on_the_command_line() -> None:
    """GW-30: in addition to the names of the machine; a wrong one is one line and exit code 2."""
    hosts = ("--allowed-host", "app.example")
    async with (
        command("demo", "--port", "0", "--hub-port", "0", *hosts) as demo,
        aiohttp.ClientSession() as session,
    ):
        hub = (await demo.line(r"chat hub     (\S+)"))[1]
        url = (await demo.line(r"console      (\S+)/ "))[1]
        for host, status in (("app.example", 200), ("localhost", 200), ("evil.example", 421)):
            async with session.get(f"{url}/healthz", headers={"Host": host}) as answer:
                assert answer.status == status
        async with session.post(f"{hub}/negotiate", headers={"Host": "app.example"}) as answer:
            assert answer.status == 400
    exit_code, errors = await failure("demo", "--port", "0", "--allowed-host", "a.example:80")
    assert exit_code == 2
    assert errors.startswith("signalr-gateway: --allowed-host: item 1, 'a.example:80', has a ")


ORCHESTRATION = """
import asyncio
import os
import signal
import time

from signalr_gateway import HubRouteInfo

def build(builder):
    return builder.with_url("http://127.0.0.1:9/hub").build()

def plain(orchestrator):
    orchestrator.add_hub("h", build).add_route("r", HubRouteInfo(invoke_method="I"))

async def asynchronous(orchestrator):
    plain(orchestrator)

def off(orchestrator):
    plain(orchestrator)
    orchestrator.start_gateway_hub = False

def wrong(orchestrator):
    orchestrator.add_hub("h", build).add_route("r", HubRouteInfo())

def crashes(orchestrator):
    raise LookupError("no such setting")

def empty(orchestrator):
    pass

def forgot_build(orchestrator):
    orchestrator.add_hub("h", lambda builder: builder)

def terminated(orchestrator):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

def interrupted(orchestrator):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)

async def terminated_later(orchestrator):
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
    await asyncio.sleep(60)

async def interrupted_later(orchestrator):
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
    await asyncio.sleep(60)

def hung_up(orchestrator):
    os.kill(os.getpid(), signal.SIGHUP)
    plain(orchestrator)

number = 5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mygateway.py").write_text(ORCHESTRATION, encoding="utf-8")
    (tmp_path / "broken.py").write_text("import nosuchmodule\n", encoding="utf-8")
    (tmp_path / "misspelt.py").write_text("\ndef plain(:\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("function", ["plain", "asynchronous", "off"])
async def test_run(folder: Path, function: str) -> None:
    """GW-3: the current folder counts, the function may be async."""
    async with command("run", f"mygateway:{function}", "--port", "0", cwd=folder) as running:
        url = (await running.line(r"console      (\S+)/$"))[1]
        assert ("gateway hub" in running.output) is (function != "off")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{url}/api/Gateway/orchestration") as answer,
        ):
            assert [hub["api"] for hub in await answer.json()] == ["h"]
        exit_code, errors = await running.stop()
    assert (exit_code, "Traceback" in errors) == (0, False)


@pytest.mark.parametrize(
    ("orchestration", "text"),
    [
        ("mygateway", "'mygateway' is not of the form module:function"),
        (":plain", "':plain' is not of the form module:function"),
        ("nosuch:plain", "cannot import 'nosuch': ModuleNotFoundError: no module named 'nosuch'"),
        ("nosuch:plain", "cannot import 'nosuch': ModuleNotFoundError: no module named 'nosuch'\n"),
        ("broken:plain", "cannot import 'broken': ModuleNotFoundError: no module named"),
        ("misspelt:plain", "cannot import 'misspelt': SyntaxError (misspelt.py, line 2)"),
        ("mygateway:nosuch", "module 'mygateway' has no function 'nosuch'"),
        ("mygateway:number", "module 'mygateway' has no function 'number'"),
        ("mygateway:wrong", "hub 'h', route 'r', invoke_method: a route needs"),
        ("mygateway:crashes", "mygateway:crashes failed: LookupError (mygateway.py, line "),
        ("mygateway:empty", "mygateway:empty adds no hub"),
        ("mygateway:forgot_build", "hub 'h', build_hub_connection: must return the built Hub"),
    ],
)
async def test_a_bad_orchestration_is_one_line_and_exit_code_2(
    folder: Path, orchestration: str, text: str
) -> None:
    exit_code, errors = await failure("run", orchestration, "--port", "0", cwd=folder)
    assert exit_code == 2
    assert errors.startswith(f"signalr-gateway: {text}")
    assert errors.count("\n") == 1


async def test_a_port_in_use_is_one_line_and_exit_code_1(folder: Path) -> None:
    """It names the option that changes the port."""
    async with command("run", "mygateway:plain", "--port", "0", cwd=folder) as first:
        port = (await first.line(r"console .*:(\d+)/$"))[1]
        for arguments, option in (
            (("run", "mygateway:off", "--port", port), "--port"),
            (("demo", "--port", port, "--hub-port", "0"), "--port"),
            (("demo", "--hub-port", port, "--port", "0"), "--hub-port"),
        ):
            exit_code, errors = await failure(*arguments, cwd=folder)
            assert exit_code == 1
            assert errors == (
                f"signalr-gateway: cannot listen on 127.0.0.1:{port}: {os.strerror(EADDRINUSE)}"
                f" (change the port with {option})\n"
            )


async def test_several_hosts(folder: Path) -> None:
    """Those of the command line replace the one of the file."""
    (folder / "gateway.toml").write_text(
        '[listen]\nhost = "192.0.2.1"\n[hubs.h]\nurl = "http://127.0.0.1:9/hub"\n', encoding="utf-8"
    )
    hosts = ("--host", "127.0.0.1", "--host", "127.0.0.2")
    arguments = ("run", "gateway.toml", "--port", "0", *hosts)
    async with command(*arguments, cwd=folder) as running:
        port = (await running.line(r"console      http://127.0.0.1:(\d+)/$"))[1]
        async with aiohttp.ClientSession() as session:
            for host in ("127.0.0.1", "127.0.0.2"):
                async with session.get(f"http://{host}:{port}/healthz") as answer:
                    assert answer.status == 200
        exit_code, errors = await running.stop()
    assert exit_code == 0
    assert f"listening on http://127.0.0.1:{port}, http://127.0.0.2:{port}\n" in errors


OWN_HUB = """
gateway_hub_url = "https://localhost:44360/GatewayHub"
[listen]
port = {port}
[hubs.own]
url = "http://localhost:{port}/gatewayhub/"
"""


async def test_a_hub_that_is_the_gateways_own(folder: Path) -> None:
    """An error for `check` and at the start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "own.toml").write_text(OWN_HUB.format(port=port), encoding="utf-8")
    for name in ("run", "check"):
        exit_code, errors = await failure(name, "own.toml", cwd=folder)
        assert exit_code == 2
        said = "\nsignalr-gateway: hub 'own', url: is the gateway's own hub; expected"
        assert said in f"\n{errors}"  # before or after the lines of the log
        assert "Traceback" not in errors


async def test_a_gateway_hub_url_that_leads_elsewhere(folder: Path) -> None:
    (folder / "gateway.toml").write_text(
        OWN_HUB.format(port=0).replace("localhost:0/gatewayhub", "127.0.0.1:9/chathub"),
        encoding="utf-8",
    )
    async with command("run", "gateway.toml", cwd=folder) as running:
        url = (await running.line(r"console      (\S+)/$"))[1]
        _, errors = await running.stop()
    (warning,) = (line for line in errors.splitlines() if "gateway_hub_url" in line)
    assert "WARNING gateway_hub_url is at https://localhost:44360, but the gateway" in warning
    assert warning.endswith(f" clients find the gateway hub at {url}/GatewayHub")


async def test_a_host_that_is_no_name(folder: Path) -> None:
    exit_code, errors = await failure(
        "run", "mygateway:plain", "--host", "a..b", "--allow-anonymous", cwd=folder
    )
    assert exit_code == 1
    assert errors == "signalr-gateway: cannot listen on a..b:8080: the host is not a valid name\n"


@pytest.mark.parametrize("event_loop", ["--uvloop", "--no-uvloop"])
@pytest.mark.parametrize(
    "function", ["terminated", "interrupted", "terminated_later", "interrupted_later"]
)
async def test_a_signal_during_the_start(folder: Path, function: str, event_loop: str) -> None:
    """Nothing is printed, and a check does not claim to have found no error."""
    orchestration = f"mygateway:{function}"
    assert await failure("run", orchestration, event_loop, cwd=folder) == (0, "")
    assert await failure("check", orchestration, event_loop, cwd=folder) == (130, "")


@pytest.mark.parametrize("event_loop", ["--uvloop", "--no-uvloop"])
async def test_a_hangup_does_not_stop_the_gateway(folder: Path, event_loop: str) -> None:
    arguments = ("run", "mygateway:hung_up", "--port", "0", event_loop)
    async with command(*arguments, cwd=folder) as running:
        url = (await running.line(r"console      (\S+)/$"))[1]
        os.kill(running.pid, signal.SIGHUP)
        async with aiohttp.ClientSession() as session:
            for _ in range(2):  # the second request is handled after the signal
                async with session.get(f"{url}/healthz") as answer:
                    assert answer.status == 200
        exit_code, errors = await running.stop(signal.SIGTERM)
    assert exit_code == 0
    assert "SIGHUP has no effect: a changed configuration is read after a restart" in errors


async def test_a_signal_while_the_demo_generates_its_certificate(tmp_path: Path) -> None:
    openssl = tmp_path / "openssl"
    openssl.write_text("#!/bin/sh\nkill -TERM $PPID\nexec sleep 60\n", encoding="utf-8")
    openssl.chmod(0o755)
    folder = tmp_path / "temporary"
    folder.mkdir()
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    async with command("demo", "--https", PATH=path, TMPDIR=str(folder)) as demo:
        assert await demo.ended() == (0, "")
    assert list(folder.iterdir()) == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"signalr-gateway {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nosuch"],
        ["run"],
        ["demo", "--port", "x"],
        ["demo", "--port", "65536"],
        ["demo", "--hub-port", "-1"],
        ["demo", "--maximum-body-size", "-5"],
    ],
)
def test_a_wrong_command_is_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


async def test_uvloop_where_it_is_absent(tmp_path: Path) -> None:
    """The current folder counts before what is installed: what lies here is found instead."""
    (tmp_path / "uvloop.py").write_text("raise ImportError", encoding="utf-8")
    exit_code, errors = await failure("demo", "--uvloop", cwd=tmp_path)
    assert exit_code == 2
    assert errors == (
        "signalr-gateway: --uvloop needs the package uvloop:"
        ' pip install "signalr-gateway[uvloop]"\n'
    )
    assert await event_loop_of_the_demo(cwd=tmp_path) == "asyncio"


@pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed")
@pytest.mark.parametrize(
    ("flags", "event_loop"),
    [((), "uvloop"), (("--uvloop",), "uvloop"), (("--no-uvloop",), "asyncio")],
)
async def test_uvloop_where_it_is_installed(flags: tuple[str, ...], event_loop: str) -> None:
    assert await event_loop_of_the_demo(*flags) == event_loop


async def test_uvloop_cannot_be_both_wanted_and_not() -> None:
    exit_code, errors = await failure("demo", "--uvloop", "--no-uvloop")
    assert (exit_code, errors) == (
        2,
        "signalr-gateway: --uvloop and --no-uvloop exclude each other\n",
    )


async def event_loop_of_the_demo(*flags: str, cwd: Path = ROOT) -> str:
    """The event loop that the demo names in its log; no other line names an event loop."""
    arguments = ("demo", "--port", "0", "--hub-port", "0", *flags)
    async with command(*arguments, cwd=cwd, merged=True) as demo:
        await demo.line("^curl")
        output = await demo.stop_and_read()
    (line,) = (line for line in output.splitlines() if "loop" in line or "gateway started" in line)
    found = re.search(r"gateway started on (\w+) \(hubs: 1, routes: 2\)$", line)
    assert found is not None
    return found[1]
