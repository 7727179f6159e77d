"""GW-30, GW-31: the names under which a gateway may be reached, and headers of all answers."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from protocol.relaying import LOOPBACK_HOSTS, HostPolicy
from signalr_gateway.config.hosts import allowed_hosts
from signalr_gateway.config.schema import Listen
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, sample_routes


@pytest.mark.parametrize(
    ("allowed", "host", "expected"),
    [
        (LOOPBACK_HOSTS, "localhost:8080", True),
        (LOOPBACK_HOSTS, "LOCALHOST", True),
        (LOOPBACK_HOSTS, "app.localhost:8080", True),
        (LOOPBACK_HOSTS, "127.0.0.1", True),
        (LOOPBACK_HOSTS, "[::1]:8080", True),
        (LOOPBACK_HOSTS, "[::1]", True),
        (LOOPBACK_HOSTS, "evil.example:8080", False),
        (LOOPBACK_HOSTS, "localhost.evil.example", False),
        (LOOPBACK_HOSTS, "evillocalhost", False),
        (LOOPBACK_HOSTS, "127.0.0.1.evil.example", False),
        (LOOPBACK_HOSTS, "", False),
        (LOOPBACK_HOSTS, None, True),
        (["App.Example.", "*.app.example"], "app.example.:443", True),
        (["*.app.example"], "a.b.app.example", True),
        (["*.app.example"], "app.example", False),
        (["::1"], "[::1]:80", True),
        (["*"], "evil.example", True),
        (None, "evil.example", True),
    ],
)
def test_host_names(allowed: Any, host: str | None, expected: bool) -> None:
    """GW-30."""
    headers = {} if host is None else {"Host": host}
    assert HostPolicy(allowed).allows(headers) is expected


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a.example", "b.example:80"], "item 2, 'b.example:80', has a port"),
        (["https://a.example"], "must be a host name alone, without scheme and path"),
        (["a example"], "must be a host name such as app.example"),
        (["a.*.example"], "must be a host name such as app.example"),
        ([""], "must be a host name such as app.example"),
        ([8], "item 1 must be text, not int"),
    ],
)
def test_what_is_no_host_name(names: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"^item") as caught:
        HostPolicy(names)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("listen", "host", "expected"),
    [
        (Listen(), "localhost", True),
        (Listen(), "evil.example", False),
        (Listen(host="127.8.0.1"), "127.8.0.1", True),
        (Listen(host="::1"), "[::1]:8080", True),
        (Listen(host="localhost"), "evil.example", False),
        (Listen(host=["127.0.0.1", "::1"]), "evil.example", False),
        (Listen(host=["127.0.0.1", "192.0.2.1"]), "any.example", True),
        (Listen(host="0.0.0.0"), "any.example", True),
        (Listen(allowed_hosts=["a.example"]), "a.example", True),
        (Listen(allowed_hosts=["a.example"]), "localhost", True),
        (Listen(host="0.0.0.0", allowed_hosts=["a.example"]), "b.example", False),
        (Listen(allowed_hosts=["*"]), "evil.example", True),
    ],
)
def test_the_default_follows_the_address(listen: Listen, host: str, expected: bool) -> None:
    """GW-30: only names of this machine on a loopback address, all names elsewhere."""
    assert HostPolicy(allowed_hosts(listen)).allows({"Host": host}) is expected


async def test_requests_for_another_host(hub: RunningHub, caplog: pytest.LogCaptureFixture) -> None:
    """GW-30: everything is refused, a page of the same host name included."""
    async with running_gateway(
        lambda o: sample_routes(o, hub.url), allowed_hosts=LOOPBACK_HOSTS
    ) as gateway:
        evil = {"Host": "evil.example", "Origin": "http://evil.example"}
        for method, path in (
            ("POST", "/api/Gateway/hub/sample/room"),
            ("POST", "/gatewayhub/negotiate"),
            ("GET", "/"),
            ("GET", "/healthz"),
        ):
            answer = await gateway.request(method, path, None, evil)
            assert (answer.status, answer.problem["code"]) == (421, "host-not-allowed")
        assert (await gateway.request("GET", "/healthz")).status == 200
    (line,) = (each.getMessage() for each in caplog.records if "the host" in each.msg)
    assert line.startswith("refused a request for the host 'evil.example' (1 so far); the option")


async def exchange(gateway: RunningGateway, request: bytes) -> str:
    parts = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer.decode()


@pytest.mark.parametrize(
    "request_line",
    [
        "GET / HTTP/1.1",
        "GET /healthz HTTP/1.1",
        "GET /nothing HTTP/1.1",
        "GET /swagger HTTP/1.1",
        "POST /gatewayhub/negotiate HTTP/1.1",
        "POST /api/Gateway/hub/no/route HTTP/1.1",
        "this is not HTTP",
    ],
)
async def test_headers_of_every_answer(gateway: RunningGateway, request_line: str) -> None:
    """GW-31: browsers do not guess types, and the server shows no versions."""
    request = f"{request_line}\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    lines = (await exchange(gateway, request.encode())).split("\r\n")
    assert lines.count("X-Content-Type-Options: nosniff") == 1
    assert "Server: aiohttp" in lines
