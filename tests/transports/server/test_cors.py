"""Pages of other origins: CORS headers, and WebSockets (TC)."""

from typing import Any

import aiohttp
import pytest

from protocol import EndpointOptions, HttpRequestData, Principal
from tests.transports.conftest import Connect
from tests.transports.host import CLOSE_TIMEOUT, Host
from tests.transports.negotiation import negotiate

APP = "https://app.example"
ALLOWED = {
    "Access-Control-Allow-Origin": APP,
    "Access-Control-Allow-Credentials": "true",
}


def host_for(*origins: str) -> Host:
    host = Host()
    host.map(endpoint_options=EndpointOptions(allowed_origins=origins, close_timeout=CLOSE_TIMEOUT))
    return host


def told(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The CORS headers of an answer."""
    return {
        name: value
        for name, value in response.headers.items()
        if name.startswith("Access-Control-")
    }


def preflight(method: str, headers: str = "authorization,x-signalr-user-agent") -> dict[str, str]:
    return {
        "Origin": APP,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }


@pytest.mark.parametrize(
    ("path", "method"), [("/hub/negotiate", "POST"), ("/hub", "GET"), ("/hub?id=x", "DELETE")]
)
async def test_preflight(http: aiohttp.ClientSession, path: str, method: str) -> None:
    """TC-5: the method and the headers that were asked for, and no cookie needed."""
    async with host_for(APP).run() as host:
        async with http.options(host.url + path, headers=preflight(method)) as response:
            assert response.status == 204
            assert told(response) == {
                **ALLOWED,
                "Access-Control-Allow-Methods": method,
                "Access-Control-Allow-Headers": "authorization,x-signalr-user-agent",
            }


@pytest.mark.parametrize("origin", ["https://other.example", "http://app.example", "null"])
async def test_preflight_of_another_origin(http: aiohttp.ClientSession, origin: str) -> None:
    """TC-5: answered without CORS headers, which browsers take for a refusal."""
    async with host_for(APP).run() as host:
        headers = {**preflight("POST"), "Origin": origin}
        async with http.options(f"{host.url}/hub/negotiate", headers=headers) as response:
            assert (response.status, told(response)) == (204, {})


async def test_what_is_no_preflight(http: aiohttp.ClientSession) -> None:
    """TC-5: refused like any method, with CORS headers."""
    async with host_for(APP).run() as host:
        async with http.options(f"{host.url}/hub", headers={"Origin": APP}) as response:
            assert (response.status, told(response)) == (405, ALLOWED)


async def test_no_policy(host: Host, http: aiohttp.ClientSession) -> None:
    """TC-3: then there are no CORS headers, and a preflight is a method like any other."""
    async with http.options(f"{host.url}/hub", headers=preflight("GET")) as response:
        assert (response.status, told(response)) == (405, {})
    async with http.post(f"{host.url}/hub/negotiate", headers={"Origin": APP}) as response:
        assert (response.status, told(response)) == (200, {})


@pytest.mark.parametrize(
    ("method", "query", "status"),
    [
        ("GET", "", 400),
        ("POST", "id=x", 404),
        ("DELETE", "id={token}", 400),
        ("PUT", "", 405),
        ("GET", "id={token}&crash", 500),
        ("PUT", "stranger", 401),
    ],
)
async def test_errors_may_be_read(
    http: aiohttp.ClientSession, method: str, query: str, status: int
) -> None:
    """TC-5: every answer has the headers, also 500."""

    def authenticate(request: HttpRequestData) -> Principal | None:
        if request.query("crash") is not None:
            raise LookupError("no directory")
        return None if request.query("stranger") is not None else Principal("ann")

    host = Host()
    host.map(
        endpoint_options=EndpointOptions(
            allowed_origins=[APP], authenticate=authenticate, authorize=True
        ),
    )
    async with host.run():
        body = await negotiate(http, f"{host.url}/hub/negotiate?negotiateVersion=1")
        url = f"{host.url}/hub?{query.format(token=body['connectionToken'])}"
        async with http.request(method, url, headers={"Origin": APP}) as response:
            assert (response.status, told(response)) == (status, ALLOWED)
        async with http.request(method, url, headers={"Origin": APP + ".evil"}) as response:
            assert (response.status, told(response)) == (status, {})


async def test_several_origins(http: aiohttp.ClientSession) -> None:
    """TC-1: the answer names the one that asked, and depends on it."""
    async with host_for(APP, "http://localhost:3000").run() as host:
        for origin in (APP, "http://localhost:3000"):
            url = f"{host.url}/hub/negotiate"
            async with http.post(url, headers={"Origin": origin}) as response:
                assert response.headers["Access-Control-Allow-Origin"] == origin
                assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (APP, 101),
        (None, 101),
        ("http://{host}", 101),
        ("https://{host}", 101),
        ("https://other.example", 403),
        ("https://app.example:8443", 403),
        ("http://127.0.0.1", 403),
        ("null", 403),
        ("https://[", 403),
    ],
)
async def test_web_sockets(upgrade: Connect, origin: str | None, status: int) -> None:
    """TC-3: the listed origins, the hub's own, and clients that are no browsers."""
    async with host_for(APP).run() as host:
        own = host.url.removeprefix("http://")
        headers = {} if origin is None else {"Origin": origin.format(host=own)}
        web_socket = await upgrade(f"{host.url}/hub", **headers)
        assert web_socket.head.status == status


async def test_origins_are_compared_as_browsers_write_them(http: aiohttp.ClientSession) -> None:
    """TC-1: the list may contain capitals and the default port."""
    async with host_for("https://App.Example:443").run() as host:
        async with http.post(f"{host.url}/hub/negotiate", headers={"Origin": APP}) as response:
            assert told(response) == ALLOWED


async def test_web_sockets_without_a_policy(host: Host, upgrade: Connect) -> None:
    """TC-3: as in ASP.NET Core, which checks no origins."""
    assert (await upgrade(f"{host.url}/hub", Origin="https://other.example")).head.status == 101


@pytest.mark.parametrize(
    "origin",
    ["app.example", "https://app.example/", "*", "", "https://", 1],
)
def test_what_is_no_origin(origin: Any) -> None:
    """It would never be equal to what a browser sends."""
    with pytest.raises(ValueError, match="allowed_origins"):
        EndpointOptions(allowed_origins=[origin])


def test_one_origin_is_no_list() -> None:
    with pytest.raises(TypeError, match="allowed_origins"):
        EndpointOptions(allowed_origins="https://app.example")
