"""GW-26a: which web pages may use the gateway, and the answers to other pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from protocol import is_own_origin, normal_origin
from signalr_gateway.orchestration.checks import OrchestrationError
from signalr_gateway.orchestration.orchestrator import Orchestrator
from tests.gateway.running_gateway import Answer, RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, sample_routes
from tests.support.waiting import until

APP = "https://app.example"
FOREIGN = "https://other.example"
POST = "/api/Gateway/hub/sample/echo"
JSON = {"Content-Type": "application/json"}
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,x-requested-with,x-signalr-user-agent",
}


@pytest.fixture
async def gateway(hub: RunningHub) -> AsyncIterator[RunningGateway]:
    def orchestrate(orchestrator: Orchestrator) -> None:
        sample_routes(orchestrator, hub.url)
        orchestrator.allowed_origins = ["HTTPS://App.Example:443", "http://localhost:3000"]

    async with running_gateway(orchestrate) as gateway:
        yield gateway


def cors_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name.lower().removeprefix("access-control-"): value
        for name, value in headers.items()
        if name.lower().startswith("access-control-")
    }


GRANTED = {
    "allow-origin": APP,
    "allow-credentials": "true",
    "expose-headers": "X-Request-Id, Retry-After",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", POST, 200),
        ("POST", "/api/Gateway/hub/sample/nosuch", 404),
        ("GET", "/api/Gateway/orchestration", 200),
        ("GET", "/healthz", 200),
        ("GET", "/swagger/v1/swagger.json", 200),
        ("POST", "/gatewayhub/negotiate?negotiateVersion=1", 200),
        ("GET", "/nowhere", 404),
    ],
)
async def test_pages_of_listed_origins_may_read_all_answers(
    gateway: RunningGateway, method: str, path: str, status: int
) -> None:
    """TC-5: errors too; and with credentials, which browsers' clients send."""
    answer = await gateway.request(method, path, b"[1]", {"Origin": APP, **JSON})
    assert answer.status == status
    assert cors_headers(answer.headers) == GRANTED
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", [POST, "/gatewayhub/negotiate", "/gatewayhub", "/healthz"])
async def test_a_preflight_is_granted_what_it_asks_for(gateway: RunningGateway, path: str) -> None:
    """TC-5."""
    answer = await gateway.request("OPTIONS", path, None, {"Origin": APP, **PREFLIGHT})
    assert (answer.status, answer.body) == (204, b"")
    assert cors_headers(answer.headers) == {
        **GRANTED,
        "allow-methods": "POST",
        "allow-headers": PREFLIGHT["Access-Control-Request-Headers"],
        "max-age": "600",
    }


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://app.example", f"{APP}:8443", ""])
async def test_pages_of_other_origins_are_refused(gateway: RunningGateway, origin: str) -> None:
    """GW-26a: without CORS headers, browsers block reading, and requests after a preflight."""
    foreign = {"Origin": origin}
    preflight = await gateway.request("OPTIONS", POST, None, {**foreign, **PREFLIGHT})
    assert (preflight.status, cors_headers(preflight.headers)) == (204, {})
    for method, path in (("GET", "/api/Gateway/orchestration"), ("POST", POST)):
        answer = await gateway.request(method, path, b"[1]", {**foreign, **JSON})
        assert (answer.status, cors_headers(answer.headers)) == (200, {})
        # A cache may keep this answer, but not use it for pages of listed origins.
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", [FOREIGN, "null"])
async def test_calls_for_which_browsers_do_not_ask(
    gateway: RunningGateway, hub: RunningHub, origin: str
) -> None:
    """GW-26a: bodies of no type or a form's, whatever they would have come to (GW-9)."""
    kinds = ("Text/Plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data")
    for path in (POST, "/gatewayhub/negotiate"):
        for headers in ({}, *({"Content-Type": kind} for kind in kinds)):
            answer = await gateway.request("POST", path, b"[1]", {"Origin": origin, **headers})
            assert (answer.status, answer.problem["code"]) == (403, "origin-not-allowed")
            assert cors_headers(answer.headers) == {}
    assert (hub.calls, gateway.clients) == ([], 0)
    for allowed in (APP, gateway.url):
        answer = await gateway.request("POST", POST, b"[1]", {"Origin": allowed})
        assert answer.status == 200


async def connects(gateway: RunningGateway, **headers: str) -> bool:
    """Whether a WebSocket opens with these headers."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        async with gateway.session.ws_connect(f"{gateway.url}/gatewayhub", headers=given) as socket:
            await socket.send_str('{"protocol":"json","version":1}\x1e')
            return await socket.receive_str() == "{}\x1e"
    except aiohttp.WSServerHandshakeError as error:
        if error.status != 403:
            raise
        return False


async def test_web_sockets_are_for_listed_origins_and_its_own(gateway: RunningGateway) -> None:
    """GW-26a: what a browser does not prevent itself."""
    assert await connects(gateway)
    assert await connects(gateway, Origin=APP)
    assert await connects(gateway, Origin=gateway.url)
    assert await connects(gateway, Origin=f"https://{urlsplit(gateway.url).netloc}")
    assert not await connects(gateway, Origin=FOREIGN)
    assert not await connects(gateway, Origin="null")
    assert not await connects(gateway, Origin="http://127.0.0.1:1")
    await until(lambda: gateway.clients == 0)


async def test_behind_a_proxy_its_own_pages_are_known(gateway: RunningGateway) -> None:
    """A proxy sends the public host, or the browser sends Sec-Fetch-Site."""
    public = "https://gateway.example"
    assert not await connects(gateway, Origin=public)
    assert await connects(gateway, Origin=public, X_Forwarded_Host="Gateway.Example:443")
    assert await connects(gateway, Origin=public, Sec_Fetch_Site="same-origin")
    assert not await connects(gateway, Origin=FOREIGN, Sec_Fetch_Site="cross-site")


async def test_without_a_list_only_its_own_pages_may(hub: RunningHub) -> None:
    async with running_gateway(lambda o: sample_routes(o, hub.url)) as gateway:
        assert await connects(gateway, Origin=gateway.url)
        assert not await connects(gateway, Origin=APP)
        preflight = await gateway.request("OPTIONS", POST, None, {"Origin": APP, **PREFLIGHT})
        assert (preflight.status, cors_headers(preflight.headers)) == (405, {})
        own = await gateway.request("POST", POST, b"[1]", {"Origin": gateway.url, **JSON})
        assert (own.status, cors_headers(own.headers)) == (200, {})


async def test_what_is_refused_is_logged_with_moderation(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """A page may send an origin of any length; the log shortens it."""
    answers: list[Answer] = []
    for _ in range(11):
        headers = {"Origin": "https://" + "x" * 500}
        answers.append(await gateway.request("POST", POST, b"[1]", headers))
    assert len(answers[0].problem["detail"]) < 200
    logged = [record.getMessage() for record in caplog.records if "refused" in record.msg]
    shown = "https://" + "x" * 55 + "…"
    assert logged == [f"refused a request of a web page of {shown!r} (1 so far)"]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://app.example", "https://app.example"),
        ("HTTPS://App.Example:443", "https://app.example"),
        ("http://h:80", "http://h"),
        ("http://h:443", "http://h:443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("Capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ("safari-web-extension://E4C8D8F2", "safari-web-extension://E4C8D8F2"),
        ("null", "null"),
    ],
)
def test_origins_are_written_as_browsers_write_them(text: str, normal: str) -> None:
    assert normal_origin(text) == normal


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["*"], "cannot be '*', because requests carry credentials; list each origin"),
        (["app.example"], "item 1, 'app.example', has no scheme, such as https://"),
        (["null", "https://app.example/"], "item 2, 'https://app.example/', ends with a slash"),
        (["https://app.example/x"], "goes on after the host"),
        (["https://app.example?x"], "goes on after the host"),
        (["https://user:s3cret@app.example"], "item 1 has credentials"),
        (["https://*.example"], "has a wildcard; list each origin"),
        (["https://app example"], "must be of the form https://app.example"),
        (["chrome-extension://"], "must be of the form https://app.example"),
        (["https://bücher.example"], "has a host that is not ASCII"),
        (["https://app.example:0"], "has a port that is not from 1 to 65535"),
        (["https://app.example:65536"], "has a port that is not from 1 to 65535"),
        (["wss://app.example"], "has the scheme of a connection"),
        (["file:///index.html"], "a page of file: has the origin 'null'"),
        (["Null"], "has no scheme"),
        ([""], "has no scheme"),
        ([None], "item 1 must be text, not NoneType"),
        ("https://app.example", "must be a list of origins"),
    ],
)
def test_what_is_no_origin(value: Any, text: str) -> None:
    orchestrator = Orchestrator()
    with pytest.raises(OrchestrationError) as caught:
        orchestrator.allowed_origins = value
    assert text in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.field == "allowed_origins"
    assert orchestrator.allowed_origins == ()


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://h:8080", "h:8080", True),
        ("http://h", "h:80", True),
        ("https://h", "h", True),
        ("https://h:443", "H", True),
        ("http://h", "h:443", False),
        ("http://h:8080", "h", False),
        ("ftp://h", "h", False),
        ("null", "null", False),
        ("", "", False),
        ("http://", "", False),
        ("http://h.evil", "h", False),
    ],
)
def test_the_own_origin(origin: str, host: str, own: bool) -> None:
    assert is_own_origin(origin, {"Host": host}) is own
